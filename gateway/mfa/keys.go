package mfa

import (
	"crypto/hmac"
	"crypto/sha256"
	"encoding/binary"
	"encoding/hex"
	"fmt"
	"net/netip"

	"stsgate/gateway/state"
	"stsgate/policy"
)

// mac returns a keyed hash of parts, of which each use has its own. Nobody can
// try passwords on what the store keeps without the secret.
func (s *Service) mac(use string, parts ...[]byte) []byte {
	h := hmac.New(sha256.New, s.c.Secret)
	write := func(b []byte) {
		var size [8]byte
		binary.BigEndian.PutUint64(size[:], uint64(len(b)))
		h.Write(size[:])
		h.Write(b)
	}
	write([]byte("mfa: " + use))
	for _, p := range parts {
		write(p)
	}
	return h.Sum(nil)[:16]
}

func (s *Service) name(use string, parts ...[]byte) string {
	return hex.EncodeToString(s.mac(use, parts...))
}

// approvalKey is where the approval of a request is (MFA-02): of its user,
// application, address and password alone, and where no address binds, of
// itself alone.
func (s *Service) approvalKey(r *Request) state.Key {
	if r.approval != (state.Key{}) {
		return r.approval
	}
	where := []byte(r.Transaction)
	if r.Address.IsValid() {
		where = []byte(bound(r.Address).String())
	}
	r.approval = state.Approvals.Key("user-"+r.User.ID, s.name("approval", []byte(r.User.ID), []byte(r.Application.Name), where, r.Password.Bytes()))
	return r.approval
}

// approvalsKey is what the approvals of a user are below.
func approvalsKey(user string) state.Key { return state.Approvals.Key("user-" + user) }

// seenKey is what the places are below that a user could grant.
func seenKey(user string) state.Key { return state.Approvals.Key("seen-" + user) }

// ofFactors is what keys begin with in buckets that others share.
const ofFactors = "mfa-"

// grantsKey is what the grants of a user are below.
func grantsKey(user string) state.Key { return state.Grants.Key(ofFactors + user) }

func (s *Service) grantKey(user, application string, address netip.Prefix, shape policy.Shapes) state.Key {
	return state.Grants.Key(ofFactors+user, s.name("grant", []byte(application), []byte(address.String()), []byte{byte(shape)}))
}

func fatigueKey(user string) state.Key { return state.Counters.Key(ofFactors + user) }

func blockKey(user string, address netip.Prefix) state.Key {
	return state.Locks.Key(ofFactors+user, address.String())
}

// bound is what an address binds: IPv4 itself, and IPv6 its network of 64 bits
// (MFA-23).
func bound(a netip.Addr) netip.Prefix { return cut(a, 32, 64) }

// network is what an address stands for where a rule binds a network.
func network(a netip.Addr) netip.Prefix { return cut(a, 24, 48) }

func cut(a netip.Addr, bits4, bits6 int) netip.Prefix {
	a = a.Unmap().WithZone("")
	bits := bits6
	if a.Is4() {
		bits = bits4
	}
	p, err := a.Prefix(bits)
	if err != nil { // only of the zero Addr, which callers have excluded
		return netip.Prefix{}
	}
	return p
}

// number is the number of a prompt (MFA-03): made of its random seed, so that
// the store does not hold it, and a client that asks again is told the same.
func (s *Service) number(seed []byte) string {
	return fmt.Sprintf("%06d", binary.BigEndian.Uint64(s.mac("number", seed))%1_000_000)
}
