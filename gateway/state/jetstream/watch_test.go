package jetstream

import (
	"context"
	"errors"
	"math/rand/v2"
	"strings"
	"testing"
	"time"

	"github.com/nats-io/nats.go"

	"stsgate/gateway/state"
	"stsgate/gateway/state/statetest"
)

// A witness has a watch whose end is an error of the test.
type witness struct {
	t      *testing.T
	events chan state.Event
}

// watching returns a watch that is current.
func watching(t *testing.T, s state.Store, prefix state.Key) *witness {
	t.Helper()
	w := &witness{t, make(chan state.Event, 4096)}
	ctx, cancel := context.WithCancel(t.Context())
	done := make(chan struct{})
	go func() {
		defer close(done)
		for e, err := range s.Watch(ctx, prefix) {
			if err != nil {
				if ctx.Err() == nil {
					t.Errorf("the watch ended: %v", err)
				}
				return
			}
			w.events <- e
		}
	}()
	t.Cleanup(func() { cancel(); <-done })
	w.await(state.Current, state.Key{})
	return w
}

// await returns when the watch has told of a key.
func (w *witness) await(kind state.Kind, k state.Key) {
	w.t.Helper()
	for last := time.After(30 * time.Second); ; {
		select {
		case e := <-w.events:
			if e.Kind == kind && e.Record.Key == k {
				return
			}
		case <-last:
			w.t.Fatalf("%v was not told within 30 s", k)
		}
	}
}

// A change that a watch did not hear of is asked for, also when nothing follows.
func TestWatchLosesNothing(t *testing.T) {
	s, c := cabledStore(t)
	first, second := state.Bans.Key("first"), state.Bans.Key("second")
	w := watching(t, s, state.Bans.Key())
	c.answers.Store(true)
	if _, err := s.Create(within(t, 100*time.Millisecond), first, nil, 0); !errors.Is(err, state.ErrUnknown) {
		t.Fatal(err)
	}
	c.answers.Store(false)
	w.await(state.Put, first)
	w.await(state.Current, state.Key{})
	put(t, s, second, "", 0)
	w.await(state.Put, second)
}

// What watches promise holds when they hear of two changes in three.
func TestDeafWatch(t *testing.T) {
	deaf := func(*nats.Msg) bool { return rand.IntN(3) == 0 }
	doors := []state.Store{open(t, Config{Dir: t.TempDir(), Keys: newKeys(t), deaf: deaf})}
	if !testing.Short() {
		c := newCluster(t)
		config := c.config(0)
		config.deaf = deaf
		doors = append(doors, open(t, config))
	}
	for _, s := range doors {
		for _, c := range statetest.Cases() {
			if strings.HasPrefix(c.Name, "watch") && c.Name != "watch tells changes in order" {
				t.Run(c.Name, func(t *testing.T) { c.Run(t, []state.Store{s}) })
			}
		}
	}
}

// What was asked for may have been replaced: a fence of before does not tell that
// the watch is current while it knows neither the one nor the other.
func TestReplacedWhileAsked(t *testing.T) {
	s := inDir(t)
	ctx, k := t.Context(), state.Bans.Key("mallory")
	var told []state.Event
	w := &watch{s: s, bucket: state.Bans, prefix: state.Bans.Key(), beaten: map[uint64]time.Time{}, beat: s.beat(state.Bans),
		tell: func(e state.Event) bool { told = append(told, e); return true }}
	expect := func(f fence, err error) {
		t.Helper()
		if err := errors.Join(err, w.expect(ctx, f), w.reached()); err != nil {
			t.Fatal(err)
		}
	}
	first := put(t, s, k, "one", 0)
	before, err := w.beat.ask(ctx)
	if err != nil {
		t.Fatal(err)
	}
	second, err := s.CompareAndSwap(ctx, k, first, []byte("two"), 0)
	if err != nil {
		t.Fatal(err)
	}
	third := put(t, s, state.Bans.Key("later"), "", 0)
	w.ahead = []fence{{first, before.asOf.Add(-2 * deliverLast)}} // late, so that it asks
	w.seen = first - 1
	expect(before, nil)
	if len(told) != 1 || told[0].Record.Revision != second {
		t.Fatalf("told %+v, want revision %d and that nothing is current", told, second)
	}
	w.seen = first // as if the answer had ended here
	told = nil
	expect(before, nil)
	if told != nil {
		t.Fatalf("told %+v by a fence of before", told)
	}
	expect(w.beat.ask(ctx))
	if err := w.fill(ctx, third); err != nil {
		t.Fatal(err)
	}
	expect(w.beat.ask(ctx))
	if n := len(told); n != 3 || told[2].Kind != state.Current {
		t.Errorf("told %+v, want both records, then that it is current", told)
	}
}

// A watch goes on when any one server is lost, and needs no consumer for that.
func TestWatchOutlivesServers(t *testing.T) {
	if testing.Short() {
		t.Skip("starts three servers")
	}
	c := newCluster(t)
	s := open(t, c.config(0, 1, 2))
	w := watching(t, s, state.Bans.Key())
	for b, stream := range s.streams {
		all := stream.ListConsumers(within(t, 10*time.Second))
		for i := range all.Info() {
			t.Errorf("the bucket %s has a consumer %s", b, i.Name)
		}
		if err := all.Err(); err != nil {
			t.Error(err)
		}
	}
	for i, name := range []string{"first", "second", "third"} {
		c.stop(i)
		k := state.Bans.Key(name)
		if _, err := s.Create(within(t, 30*time.Second), k, nil, 0); err != nil {
			t.Fatal(err)
		}
		w.await(state.Put, k)
		w.await(state.Current, state.Key{})
		c.start(i)
		c.ready()
	}
}

// A bucket that somebody removed and made again is not taken for the one before.
func TestBucketMadeAnew(t *testing.T) {
	if testing.Short() {
		t.Skip("starts three servers")
	}
	c := newCluster(t)
	s := open(t, c.config(0))
	put(t, s, state.Bans.Key("mallory"), "", 0)
	current := false
	for e, err := range s.Watch(within(t, 30*time.Second), state.Bans.Key()) {
		if err != nil {
			if !current || !strings.Contains(err.Error(), "the bucket bans was made anew") {
				t.Errorf("the watch ended with %v", err)
			}
			return
		}
		if e.Kind != state.Current || current {
			continue
		}
		current = true
		config := s.config(state.Bans, 3)
		if err := s.js.DeleteStream(t.Context(), config.Name); err != nil {
			t.Fatal(err)
		}
		if _, err := s.js.CreateStream(within(t, 30*time.Second), config); err != nil {
			t.Fatal(err)
		}
	}
}

// A stream whose leader tells nobody what it stored is told to.
func TestStreamThatIsSilent(t *testing.T) {
	dir, keys := t.TempDir(), newKeys(t)
	s, err := Open(t.Context(), Config{Dir: dir, Keys: keys})
	if err != nil {
		t.Fatal(err)
	}
	config := s.config(state.Bans, 1)
	config.RePublish = nil
	if _, err := s.js.UpdateStream(t.Context(), config); err != nil {
		t.Fatal(err)
	}
	if err := s.Close(); err != nil {
		t.Fatal(err)
	}
	s = open(t, Config{Dir: dir, Keys: keys})
	info, err := s.streams[state.Bans].Info(t.Context())
	if err != nil || info.Config.RePublish == nil {
		t.Errorf("it stays silent: %+v, %v", info, err)
	}
}
