package account

import (
	"encoding/base64"
	"encoding/hex"
	"strings"
)

// GUID returns the canonical form of a GUID: 8-4-4-4-12, lower case, without
// braces. It reports whether s is one.
func GUID(s string) (string, bool) {
	s = strings.ToLower(strings.TrimSuffix(strings.TrimPrefix(s, "{"), "}"))
	if len(s) != 36 || s[8] != '-' || s[13] != '-' || s[18] != '-' || s[23] != '-' {
		return "", false
	}
	if _, err := hex.DecodeString(strings.ReplaceAll(s, "-", "")); err != nil {
		return "", false
	}
	return s, true
}

// immutableID encodes a GUID as Active Directory stores it: the first three
// groups little-endian, the rest as written (MS-DTYP, section 2.3.4.2).
func immutableID(guid string) string {
	b, err := hex.DecodeString(strings.ReplaceAll(guid, "-", ""))
	if err != nil || len(b) != 16 {
		return ""
	}
	b[0], b[1], b[2], b[3] = b[3], b[2], b[1], b[0]
	b[4], b[5] = b[5], b[4]
	b[6], b[7] = b[7], b[6]
	return base64.StdEncoding.EncodeToString(b)
}
