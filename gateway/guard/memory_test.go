package guard_test

import (
	"context"
	"fmt"
	"net/netip"
	"os"
	"runtime"
	"testing"
	"time"

	"stsgate/gateway/account"
	"stsgate/gateway/guard"
)

// Memory is bounded, however many users and sources were seen: of those who
// succeed at once, and of those who fail as they are forgotten.
func TestMemory(t *testing.T) {
	if os.Getenv("GUARD_DAYS") == "" {
		t.Skip("two million sign-ins are of make campaign")
	}
	bubble(t, func(t *testing.T) {
		s := newSite(t, 1, nil, nil)
		ctx, g := context.Background(), s.guards[0]
		attempt := func(i int) guard.Attempt {
			return guard.Attempt{User: fmt.Sprint("user", i), Password: account.NewPassword([]byte("password")),
				Addresses: []netip.Addr{netip.AddrFrom4([4]byte{byte(i >> 16), byte(i >> 8), byte(i), 1})}}
		}
		succeed := func(i int) {
			try, err := g.Take(ctx, attempt(i))
			if err != nil {
				t.Fatal(err)
			}
			try.Settle(ctx, guard.Proven)
			try.Completed()
		}
		fail := func(i int) {
			if err := g.FailedUnknown(ctx, attempt(i)); err != nil {
				t.Fatal(err)
			}
			time.Sleep(10 * time.Millisecond)
		}
		for i := range 100_000 {
			succeed(i)
			fail(i)
		}
		full := heap()
		for i := range 900_000 {
			succeed(100_000 + i)
			fail(100_000 + i)
		}
		after := heap()
		t.Logf("%d MiB after 100,000 users and sources, %d MiB after 1,000,000", full>>20, after>>20)
		if after > full+full/2 || after > 256<<20 {
			t.Errorf("the heap grew from %d to %d MiB", full>>20, after>>20)
		}
	})
}

func heap() uint64 {
	runtime.GC()
	var m runtime.MemStats
	runtime.ReadMemStats(&m)
	return m.HeapAlloc
}

// BenchmarkTake is what a sign-in costs that succeeds; BenchmarkBanned one that
// is refused (LOCK-04: at most 50 us).
func BenchmarkTake(b *testing.B) {
	s := newSite(b, 1, nil, nil)
	ctx, g := context.Background(), s.guards[0]
	a := guard.Attempt{User: alice, Password: account.NewPassword([]byte("password")), Addresses: addresses("203.0.113.9")}
	for b.Loop() {
		try, err := g.Take(ctx, a)
		if err != nil {
			b.Fatal(err)
		}
		try.Settle(ctx, guard.Proven)
		try.Completed()
	}
}

func BenchmarkBanned(b *testing.B) {
	s := newSite(b, 1, nil, nil)
	for i := range 10 {
		s.signIn(s.guards[0], fmt.Sprint("user", i), "guess", "203.0.113.9")
	}
	a := guard.Attempt{User: alice, Password: account.NewPassword([]byte("password")), Addresses: addresses("203.0.113.9")}
	for try, err := s.guards[0].Take(context.Background(), a); err == nil; try, err = s.guards[0].Take(context.Background(), a) {
		try.Settle(context.Background(), guard.Unsettled) // until the mirror has it
	}
	for b.Loop() {
		if _, err := s.guards[0].Take(context.Background(), a); err == nil {
			b.Fatal("not refused")
		}
	}
}
