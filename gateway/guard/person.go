package guard

import (
	"crypto/hmac"
	"net/netip"
	"slices"
	"time"

	"stsgate/gateway/state"
)

// A person is what is kept of a user in memory, to be lost at any time.
type person struct {
	// right is the hash of the password that was right last.
	right []byte
	tries meter
	// homes are where the user signed in from, to the end, the last first.
	homes []netip.Prefix
	// written is the record of failures that was written last here, until the
	// mirror has it.
	written   state.Record
	writtenAt time.Time
}

// mostHomes bounds the addresses that are kept in memory as familiar to a user.
const mostHomes = 4

func (p *person) isRight(mac []byte) bool { return len(p.right) > 0 && hmac.Equal(p.right, mac) }

func (p *person) atHome(a netip.Prefix) bool { return slices.Contains(p.homes, a) }

func (p *person) cameFrom(a netip.Prefix) {
	if len(p.homes) > 0 && p.homes[0] == a {
		return
	}
	p.homes = slices.DeleteFunc(p.homes, func(h netip.Prefix) bool { return h == a })
	p.homes = slices.Insert(p.homes, 0, a)
	p.homes = p.homes[:min(len(p.homes), mostHomes)]
}

// wrote keeps what was written until the mirror has it.
func (p *person) wrote(r state.Record, now time.Time) {
	if r.Revision > p.written.Revision {
		p.written, p.writtenAt = r, now
	}
}

// overtakes tells whether what was written here is newer than what the mirror
// has. A mirror that is fresh lacks nothing that is older than it may be; then
// the record that it lacks was deleted, by an operator.
func (p *person) overtakes(mirrored state.Record, now time.Time) bool {
	return p.written.Revision > mirrored.Revision && now.Before(p.writtenAt.Add(2*state.MaxAge))
}

// failuresOf returns the record of a user's failures that is known here. g.mu
// is held.
func (g *Guard) failuresOf(user string, now time.Time) (state.Record, *failures, error) {
	r, err := found(g.counters, failuresKey(user))
	if err != nil {
		return r, nil, err
	}
	if p := g.people.get(user); p != nil && p.overtakes(r, now) {
		r = p.written
	}
	f, err := parseFailures(r.Value)
	return r, f, err
}
