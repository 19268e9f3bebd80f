package mfa

import (
	"bytes"

	"stsgate/gateway/mfa/factor"
	"stsgate/gateway/refusal"
	"stsgate/policy"
)

// Split cuts a text in two at the last separator, if what follows has the form
// of a code of one of the factors (MFA-24). It does not copy. There is one
// reading of a text: nobody tries it uncut when it fails.
func Split(text []byte, separator string, f policy.Factors) (password, code []byte, ok bool) {
	i := bytes.LastIndex(text, []byte(separator))
	if i < 1 || separator == "" {
		return text, nil, false
	}
	password, code = text[:i], text[i+len(separator):]
	if factor.CodeFactors(code)&f == 0 {
		return text, nil, false
	}
	return password, code, true
}

// Cut is Split for what a user typed as the password: where a rule that applies
// takes codes, and the user has an authenticator for one. The caller has made
// sure that the message is one that codes are taken from.
func (s *Service) Cut(user string, app *policy.Application, requires []*policy.MFA, text []byte) (password, code []byte, ok bool, err error) {
	var f policy.Factors
	for _, m := range requires {
		if m.ShapesFor(app).Has(policy.Code) {
			f |= m.Factors
		}
	}
	if _, _, cut := Split(text, s.c.Separator, f); !cut || s.c.Factors == nil {
		return text, nil, false, nil
	}
	has, err := s.c.Factors.Accepts(user, f)
	if err != nil {
		return nil, nil, false, &refusal.Refusal{Reason: refusal.StateDown, Err: err}
	}
	password, code, ok = Split(text, s.c.Separator, has)
	return password, code, ok, nil
}
