package adfs

import (
	"context"
	"net"
	"os"
	"syscall"
	"testing"
	"time"

	"stsgate/gateway/wstrust"
)

// HDR-06: a token proves for a day. One that says the intranet outweighs the
// others until there was none for an hour, and warns once in one.
func TestEvidenceAges(t *testing.T) {
	token := func(values ...string) *wstrust.Assertion {
		return &wstrust.Assertion{Claims: []wstrust.Claim{{URI: "urn:other", Values: []string{"true"}}, {URI: insideCorporateNetwork, Values: values}}}
	}
	type event struct {
		after time.Duration
		token *wstrust.Assertion
		warns bool
	}
	for name, c := range map[string]struct {
		events []event
		at     time.Duration
		want   State
	}{
		"none":                  {nil, 0, Unproven},
		"outside":               {[]event{{0, token("false"), false}}, 24 * time.Hour, Proven},
		"outside, old":          {[]event{{0, token("false"), false}}, 25 * time.Hour, Unproven},
		"outside, renewed":      {[]event{{0, token("false"), false}, {time.Hour, token("false"), false}}, 25 * time.Hour, Proven},
		"in capitals":           {[]event{{0, token("True"), true}}, 0, Violated},
		"two values":            {[]event{{0, token("false", "true"), true}}, 0, Violated},
		"no value":              {[]event{{0, token(), false}}, 0, Unproven},
		"another value":         {[]event{{0, token("1"), false}}, 0, Unproven},
		"inside, alone":         {[]event{{0, token("true"), true}}, 24 * time.Hour, Violated},
		"inside, old":           {[]event{{0, token("true"), true}}, 25 * time.Hour, Unproven},
		"both within an hour":   {[]event{{0, token("true"), true}, {59 * time.Minute, token("false"), false}}, 2 * time.Hour, Violated},
		"outside since an hour": {[]event{{0, token("true"), true}, {time.Hour, token("false"), false}}, 2 * time.Hour, Proven},
		"warned once":           {[]event{{0, token("true"), true}, {59 * time.Minute, token("true"), false}}, 2 * time.Hour, Violated},
		"warned again":          {[]event{{0, token("true"), true}, {time.Hour, token("true"), true}}, 2 * time.Hour, Violated},
	} {
		t.Run(name, func(t *testing.T) {
			var e extranet
			begin := time.Date(2026, 11, 28, 12, 0, 0, 0, time.UTC)
			for _, v := range c.events {
				if got := e.note(v.token, begin.Add(v.after)); got != v.warns {
					t.Errorf("after %v: got warning %v, want %v", v.after, got, v.warns)
				}
			}
			if got := e.standing(begin.Add(c.at)); got.State != c.want || got.Why == "" {
				t.Errorf("got %v, %q, want %v", got.State, got.Why, c.want)
			}
		})
	}
}

// HDR-08: a firewall drops or refuses; for want of the address, of a route or of
// the right to use them nothing was tried.
func TestRefused(t *testing.T) {
	for err, want := range map[error]bool{
		context.DeadlineExceeded: true, os.ErrDeadlineExceeded: true, syscall.ETIMEDOUT: true,
		syscall.ECONNREFUSED: true, syscall.ECONNRESET: true, syscall.EHOSTUNREACH: true,
		syscall.EADDRNOTAVAIL: false, syscall.ENETUNREACH: false, syscall.EPERM: false, syscall.EMFILE: false, context.Canceled: false,
	} {
		if got := refused(&net.OpError{Op: "dial", Err: os.NewSyscallError("connect", err)}); got != want {
			t.Errorf("%v: got %v, want %v", err, got, want)
		}
	}
}
