package directory

import (
	"encoding/base64"
	"encoding/binary"
	"fmt"
	"strconv"
	"strings"
	"time"

	"github.com/go-ldap/ldap/v3"

	"stsgate/gateway/account"
)

// accountAttributes are read of every account. What tells its state is only
// told to who may read "account restrictions".
var accountAttributes = []string{
	"objectGUID", "sAMAccountName", "userPrincipalName",
	"userAccountControl", "msDS-User-Account-Control-Computed", "accountExpires", "pwdLastSet",
	"mail", "displayName", "mS-DS-ConsistencyGuid",
}

// Bits of userAccountControl and of msDS-User-Account-Control-Computed, which
// alone has the last two (MS-ADTS, sections 2.2.16 and 3.1.1.4.5.17).
const (
	accountDisabled = 0x2
	lockedOut       = 0x10
	passwordExpired = 0x800000
)

// readAccount makes an account, without its groups, of what the controller
// says at a time.
func readAccount(e *ldap.Entry, d *domain, now time.Time) (*account.Account, error) {
	id, err := guid(e.GetRawAttributeValue("objectGUID"))
	if err != nil {
		return nil, err
	}
	a := &account.Account{ID: id, UPN: e.GetAttributeValue("userPrincipalName"), SAM: e.GetAttributeValue("sAMAccountName"), Domain: d.netBIOS}
	if a.SAM == "" {
		return nil, fmt.Errorf("account %s has no sAMAccountName", id)
	}
	if n, err := account.ParseName(a.UPN); err != nil || n.Form != account.UPN {
		a.UPN = a.SAM + "@" + d.dns
	}
	if err := readState(a, e, now); err != nil {
		return nil, fmt.Errorf("account %s: %w", id, err)
	}
	a.Attributes = map[string][]string{}
	for from, to := range map[string]string{"mail": "mail", "displayName": "display_name"} {
		if v := e.GetAttributeValues(from); len(v) > 0 {
			a.Attributes[to] = v
		}
	}
	if b := e.GetRawAttributeValue("mS-DS-ConsistencyGuid"); len(b) > 0 {
		a.Attributes["immutable_id"] = []string{base64.StdEncoding.EncodeToString(b)}
	}
	return a, nil
}

// readState reads what may keep an account from signing in. What cannot be
// read is not taken for harmless.
func readState(a *account.Account, e *ldap.Entry, now time.Time) error {
	control, err := integer(e, "userAccountControl")
	if err != nil {
		return err
	}
	computed, err := integer(e, "msDS-User-Account-Control-Computed")
	if err != nil {
		return err
	}
	expires, err := integer(e, "accountExpires")
	if err != nil {
		return err
	}
	set, err := integer(e, "pwdLastSet")
	if err != nil {
		return err
	}
	a.Disabled = control&accountDisabled != 0
	a.Locked = computed&lockedOut != 0
	a.PasswordExpired = computed&passwordExpired != 0
	end, ends := instant(expires)
	a.Expired = ends && !end.After(now)
	a.PasswordSet, _ = instant(set)
	return nil
}

// integer reads an attribute that every account has.
func integer(e *ldap.Entry, attribute string) (int64, error) {
	text := e.GetAttributeValue(attribute)
	if text == "" {
		return 0, fmt.Errorf("%s is not told: the bind account may not read it", attribute)
	}
	n, err := strconv.ParseInt(text, 10, 64)
	if err != nil {
		return 0, fmt.Errorf("%s is not a number", attribute)
	}
	return n, nil
}

// instant reads a FILETIME, 100 ns since 1601. 0 and the largest number are
// no time: never.
func instant(n int64) (time.Time, bool) {
	const ticks, epoch = 10_000_000, 11_644_473_600 // a second; 1601 to 1970 in seconds
	if n <= 0 || n == 1<<63-1 {
		return time.Time{}, false
	}
	return time.Unix(n/ticks-epoch, n%ticks*100), true
}

// guid writes sixteen bytes as text: the first three groups are little-endian
// (MS-DTYP, section 2.3.4.2).
func guid(b []byte) (string, error) {
	if len(b) != 16 {
		return "", fmt.Errorf("objectGUID has %d bytes, want 16", len(b))
	}
	return fmt.Sprintf("%08x-%04x-%04x-%x-%x", binary.LittleEndian.Uint32(b), binary.LittleEndian.Uint16(b[4:]),
		binary.LittleEndian.Uint16(b[6:]), b[8:10], b[10:]), nil
}

// sid writes a security identifier as text (MS-DTYP, sections 2.4.2.1 and
// 2.4.2.2). It reports whether b is one.
func sid(b []byte) (string, bool) {
	if len(b) < 8 || b[0] != 1 || b[1] > 15 || len(b) != 8+4*int(b[1]) {
		return "", false
	}
	var s strings.Builder
	fmt.Fprintf(&s, "S-1-%d", uint64(binary.BigEndian.Uint16(b[2:]))<<32|uint64(binary.BigEndian.Uint32(b[4:])))
	for i := 8; i < len(b); i += 4 {
		fmt.Fprintf(&s, "-%d", binary.LittleEndian.Uint32(b[i:]))
	}
	return s.String(), true
}
