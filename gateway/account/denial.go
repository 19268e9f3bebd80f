package account

// A Denial is an [ErrDenied] of a directory that says why. It is for guards
// and operators, and never for a client.
type Denial uint8

// The denials. Active Directory tells those below AccountLocked only to who
// sent the right password.
const (
	WrongPassword Denial = iota // or one that the directory gives no other reason for
	NoAccount
	AccountLocked
	AccountDisabled
	AccountExpired
	PasswordExpired
	PasswordMustChange
	OutOfHours  // the account may not sign in at this time
	OutOfPlaces // the account may not sign in from everywhere
)

// Wrong tells that the try was a wrong guess.
func (d Denial) Wrong() bool { return d == WrongPassword || d == NoAccount }

// Right tells that the password was right, and the account refused all the
// same. Of an account that is locked neither Right nor Wrong is known.
func (d Denial) Right() bool { return d > AccountLocked }

// Is makes a Denial an ErrDenied.
func (d Denial) Is(target error) bool { return target == ErrDenied }

// Error says why, in words for operators.
func (d Denial) Error() string {
	switch d {
	case NoAccount:
		return "no such account"
	case AccountLocked:
		return "the account is locked"
	case AccountDisabled:
		return "the account is disabled"
	case AccountExpired:
		return "the account has expired"
	case PasswordExpired:
		return "the password has expired"
	case PasswordMustChange:
		return "the password must be changed first"
	case OutOfHours:
		return "the account may not sign in at this time"
	case OutOfPlaces:
		return "the account may sign in from named workstations only"
	default:
		return "wrong password"
	}
}
