package guard

import (
	"encoding/hex"
	"errors"
	"fmt"
	"net/netip"

	"stsgate/gateway/state"
)

// The keys of what the guard keeps. Most are one part, which costs little to
// make: several are looked up for every sign-in. They begin with what they are of.
const (
	ofUser   = "user-"
	ofSource = "source-"
	ofHome   = "home-"
)

func failuresKey(user string) state.Key     { return state.Counters.Key(ofUser + user) }
func blockKey(p netip.Prefix) state.Key     { return state.Locks.Key(ofSource + prefixName(p)) }
func sourceBanKey(p netip.Prefix) state.Key { return state.Bans.Key(ofSource + prefixName(p)) }
func userBanKey(user string) state.Key      { return state.Bans.Key(ofUser + user) }

func homeKey(user string, address netip.Prefix) state.Key {
	return state.Grants.Key(ofHome+user, prefixName(address))
}

// talliesKey is what the tallies of a network are below.
func talliesKey(network netip.Prefix) state.Key {
	return state.Counters.Key(ofSource + prefixName(network))
}

func tallyKey(s source, user string) state.Key {
	return state.Counters.Key(ofSource+prefixName(s.network), prefixName(s.address), user)
}

// parsePrefixName undoes prefixName.
func parsePrefixName(name string) (netip.Prefix, error) {
	if name == "" {
		return netip.Prefix{}, errors.New("no prefix")
	}
	b, err := hex.DecodeString(name[1:])
	size := map[byte]int{'4': 4, '6': 16}[name[0]]
	if err != nil || len(b) > size {
		return netip.Prefix{}, fmt.Errorf("%q is no prefix", name)
	}
	full := make([]byte, size)
	copy(full, b)
	a, ok := netip.AddrFromSlice(full)
	if !ok {
		return netip.Prefix{}, fmt.Errorf("%q is no prefix", name)
	}
	return netip.PrefixFrom(a, 8*len(b)), nil
}

// prefixName writes a prefix of whole bytes as the digits of those, after 4 or
// 6: 4cb0071 is 203.0.113.0/24.
func prefixName(p netip.Prefix) string {
	var name [1 + 2*16]byte
	if p.Addr().Is4() {
		a := p.Addr().As4()
		name[0] = '4'
		return string(name[:1+hex.Encode(name[1:], a[:p.Bits()/8])])
	}
	a := p.Addr().As16()
	name[0] = '6'
	return string(name[:1+hex.Encode(name[1:], a[:p.Bits()/8])])
}
