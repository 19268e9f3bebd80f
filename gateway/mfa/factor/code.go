package factor

import (
	"crypto/rand"
	"strings"

	"stsgate/gateway/account"
)

// alphabet is Crockford's base32: no letter looks like another or like a digit.
const alphabet = "0123456789ABCDEFGHJKMNPQRSTVWXYZ"

const (
	bindingChars  = 10 // 50 bit, and the user's name (MFA-11)
	recoveryChars = 16 // 80 bit (MFA-13)
)

// newCode returns a random code, five bits in each character.
func newCode(chars int) []byte {
	code := make([]byte, chars)
	rand.Read(code)
	for i := range code {
		code[i] = alphabet[code[i]%32]
	}
	return code
}

// grouped is a code as users see it, which wipes the one it is made of.
func grouped(code []byte, group int) account.Password {
	var text []byte
	for i, c := range code {
		if i > 0 && i%group == 0 {
			text = append(text, '-')
		}
		text = append(text, c)
	}
	clear(code)
	return account.NewPassword(text)
}

// plain undoes what users do to a code: small letters, letters for digits,
// blanks and hyphens. It returns nil for what is no code of that length.
func plain(typed []byte, chars int) []byte {
	if len(typed) > 2*chars {
		return nil
	}
	code := make([]byte, 0, chars)
	for _, c := range typed {
		switch {
		case c == '-' || c == ' ':
			continue
		case 'a' <= c && c <= 'z':
			c -= 'a' - 'A'
		}
		switch c {
		case 'O':
			c = '0'
		case 'I', 'L':
			c = '1'
		}
		if strings.IndexByte(alphabet, c) < 0 || len(code) == chars {
			return nil
		}
		code = append(code, c)
	}
	if len(code) != chars {
		return nil
	}
	return code
}
