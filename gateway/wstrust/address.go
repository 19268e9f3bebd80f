package wstrust

import "strings"

// CheckAddress judges where the message says it goes (security.md, SOAP-04):
// host and port are those that the request came to, path is the endpoint's.
// A To must be an https URL without user information, query, fragment or
// percent sign; its port is absent, 443 or port; case does not count, and one
// slash at the end neither. WCF does not compare the host, so this is the
// only place that does.
//
// With needed set the message is to be forwarded as it is: it then must have
// Action and To, and no deviation that the farm would refuse or misread.
//
// The error is an *Error of kind Misaddressed or Unsupported.
func (r *Request) CheckAddress(host, port, path string, needed bool) error {
	if needed {
		for _, t := range r.Tolerated {
			switch {
			case t == NoAddressing:
				return &Error{Kind: Misaddressed, Rule: "SOAP-04", Offset: -1, Msg: "Action or To is missing, and the farm needs them"}
			case t.IssueOnly():
				return &Error{Kind: Unsupported, Rule: "SOAP-17", Offset: -1, Msg: "tolerance " + t.String() + " is for messages that are not forwarded"}
			}
		}
	}
	if r.To == "" {
		return nil
	}
	misaddressed := func(msg string) error {
		return &Error{Kind: Misaddressed, Rule: "SOAP-04", Offset: -1, Msg: msg}
	}
	const scheme = "https://"
	if !plainURL(r.To) || len(r.To) < len(scheme) || !strings.EqualFold(r.To[:len(scheme)], scheme) {
		return misaddressed("To is not a plain https URL")
	}
	authority, toPath, _ := strings.Cut(r.To[len(scheme):], "/")
	toHost, toPort, _ := strings.Cut(authority, ":")
	switch {
	case !strings.EqualFold(toHost, host):
		return misaddressed("To names another host")
	case authority != toHost && toPort != "443" && toPort != port:
		return misaddressed("To names another port")
	case !strings.EqualFold(strings.TrimSuffix("/"+toPath, "/"), strings.TrimSuffix(path, "/")):
		return misaddressed("To names another path")
	}
	return nil
}

// plainURL tells that s is printable ASCII without what could hide a part of
// a URL from one reader: user information, query, fragment, escape, backslash.
func plainURL(s string) bool {
	for _, c := range []byte(s) {
		if !plain[c] {
			return false
		}
	}
	return true
}

var plain = func() (is [256]bool) {
	for c := '!'; c <= '~'; c++ {
		is[c] = !strings.ContainsRune(`@?#%\`, c)
	}
	return is
}()
