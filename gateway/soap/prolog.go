package soap

import "bytes"

const byteOrderMark = "\uFEFF"

// prolog steps over a byte order mark and an XML declaration.
func (s *scanner) prolog() (int, *Error) {
	i := 0
	if bytes.HasPrefix(s.src, []byte(byteOrderMark)) {
		i = len(byteOrderMark)
	}
	if bytes.IndexByte(s.src[:min(4, len(s.src))], 0) >= 0 {
		return 0, refuse("XML-01", 0, "document is in UTF-16 or UTF-32")
	}
	if !bytes.HasPrefix(s.src[i:], []byte("<?xml")) {
		return i, nil
	}
	n := declaration(s.src[i:])
	if n == 0 {
		return 0, refuse("XML-03", i, "XML declaration is not version 1.0, UTF-8, in the usual form")
	}
	return i + n, nil
}

// declaration returns the length of the XML declaration that b begins with,
// 0 when it is not of the allowed form (XML-03).
func declaration(b []byte) int {
	rest, ok := bytes.CutPrefix(b, []byte("<?xml version="))
	if !ok {
		return 0
	}
	version, rest := cutQuoted(rest)
	if string(version) != "1.0" {
		return 0
	}
	if after, found := bytes.CutPrefix(rest, []byte(" encoding=")); found {
		var encoding []byte
		encoding, rest = cutQuoted(after)
		if !bytes.EqualFold(encoding, []byte("utf-8")) {
			return 0
		}
		if after, found := bytes.CutPrefix(rest, []byte(" standalone=")); found {
			var standalone []byte
			standalone, rest = cutQuoted(after)
			if v := string(standalone); v != "yes" && v != "no" {
				return 0
			}
		}
	}
	rest, ok = bytes.CutPrefix(bytes.TrimPrefix(rest, []byte(" ")), []byte("?>"))
	if !ok {
		return 0
	}
	return len(b) - len(rest)
}

// cutQuoted returns the text in quotes that b begins with, and what follows
// it; nothing when there is none.
func cutQuoted(b []byte) (value, rest []byte) {
	if len(b) == 0 || b[0] != '"' && b[0] != '\'' {
		return nil, nil
	}
	end := bytes.IndexByte(b[1:], b[0])
	if end < 0 {
		return nil, nil
	}
	return b[1 : 1+end], b[2+end:]
}
