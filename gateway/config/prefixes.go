package config

import (
	"bytes"
	"errors"
	"fmt"
	"net/netip"
	"unicode/utf8"
)

// maxMistakes bounds what is reported of one file of prefixes: a wrong file
// has one mistake a line.
const maxMistakes = 20

// ParsePrefixes reads the content of the file that [Prefixes] names: one
// address or prefix a line, # comments and empty lines. The error has every
// mistake, one a line, each an *Error with that name; a file without a prefix
// is one.
func ParsePrefixes(file string, content []byte) ([]netip.Prefix, error) {
	var all []netip.Prefix
	var errs []error
	line := 0
	for text := range bytes.Lines(content) {
		line++
		text, _, _ = bytes.Cut(text, []byte("#"))
		entry := bytes.TrimSpace(text)
		if len(entry) == 0 {
			continue
		}
		p, err := parsePrefix(string(entry))
		if err == nil {
			all = append(all, p)
			continue
		}
		if len(errs) == maxMistakes {
			errs = append(errs, &Error{file, line, 1, "too many mistakes: the rest of the file is not read"})
			break
		}
		column := 1 + utf8.RuneCount(text[:bytes.Index(text, entry)])
		errs = append(errs, &Error{file, line, column, err.Error()})
	}
	if len(all) == 0 && len(errs) == 0 {
		errs = append(errs, &Error{file, 1, 1, "the file holds no prefix"})
	}
	if len(errs) > 0 {
		return nil, errors.Join(errs...)
	}
	return all, nil
}

// parsePrefix reads a prefix or one address. A prefix with host bits set is a
// slip of the hand, and one of length zero would believe everybody.
func parsePrefix(s string) (netip.Prefix, error) {
	if a, err := netip.ParseAddr(s); err == nil {
		if a.Zone() != "" || a.Is4In6() {
			return netip.Prefix{}, fmt.Errorf("%q: want a plain IPv4 or IPv6 address", s)
		}
		return netip.PrefixFrom(a, a.BitLen()), nil
	}
	p, err := netip.ParsePrefix(s)
	switch {
	case err != nil:
		return netip.Prefix{}, fmt.Errorf("want an address or a prefix such as 10.0.0.0/8, got %.64q", s)
	case p.Addr().Is4In6():
		return netip.Prefix{}, fmt.Errorf("%q: write it as an IPv4 prefix", s)
	case p.Bits() == 0:
		return netip.Prefix{}, fmt.Errorf("%q holds every address", s)
	case p != p.Masked():
		return netip.Prefix{}, fmt.Errorf("%q has host bits set; the prefix is %s", s, p.Masked())
	}
	return p, nil
}
