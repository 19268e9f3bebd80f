package portal

// A why says to a user why a sign-in was refused, in short and with what to do.
type why struct{ short, long string }

// whyText is the why of a reason's label.
func whyText(label string) why {
	switch label {
	case "wrong-password", "unknown-user", "denied-user", "conflict-user":
		if label == "wrong-password" {
			return why{"The password was not accepted", "It was wrong or has expired, or your account does not take sign-ins now. A program may still have an old password: type the new one there."}
		}
		return why{"Your account may not do that", "A rule of your company keeps your account from this application, from there or with that program. Your help desk can say more."}
	case "denied", "conflict", "unknown-application", "farm-denied", "farm-unknown-application":
		return why{"A rule does not allow it", "A rule of your company refuses such a sign-in, whoever asks. Your help desk can say more."}
	case "locked":
		return why{"Too many wrong passwords", "Somebody, or a program with an old password, tried too often. It opens again by itself after a while; look for the program if it does not."}
	case "banned":
		return why{"Closed by your company", "Your account, or the address that it came from, was closed. Your help desk can say more."}
	case "address-blocked":
		return why{"You closed that address", "You said that a sign-in from there was not you, so that nobody can sign in as you from there for an hour."}
	case "second-factor":
		return why{"A second factor is needed", "The password was right, and a second factor is asked for that this program or this way of asking cannot bring."}
	case "second-factor-approve":
		return why{"It was not approved in time", "The password was right, but nobody approved it here while the program waited. Open the start page here, then sign in again in the program."}
	case "second-factor-number":
		return why{"A number was to be typed here", "The password was right. The program shows a number: type it on the start page here, then try again in the program."}
	case "second-factor-denied":
		return why{"It was denied here", "You, or somebody signed in as you, denied it on these pages. If that was not you, say so below at once."}
	case "second-factor-stopped":
		return why{"You were not asked", "The password was right, but another sign-in waited for your answer, or you had been asked three times within ten minutes: answer what waits, and sign in again in the program. After five that you denied or did not answer you are not asked for an hour, and typed codes still work. If these were not you, change your password."}
	case "wrong-code":
		return why{"The code was not accepted", "The password was right, but the code behind it was wrong, too old, or used before. Wait for the next one."}
	case "rate-limited", "throttled":
		return why{"Too many at once", "More came in so short a time than are taken. Wait a little."}
	case "replayed":
		return why{"The same message came again", "It was taken once already. Sign in anew in the program; if it stays, tell your help desk."}
	case "expired":
		return why{"The clock is wrong", "The clock of the device that asked differs too much from ours. Set it right and try again."}
	case "unsupported", "unsupported-credential", "second-credential", "wrong-version", "malformed", "misaddressed":
		return why{"The program asked in a way that is not taken", "Update it, or tell your help desk which program it is."}
	}
	return why{"Something did not work", "It was not because of you. Try again; if it stays, tell your help desk the number of the transaction."}
}
