package jetstream

import (
	"bufio"
	"context"
	"errors"
	"fmt"
	"math/rand/v2"
	"os"
	"os/exec"
	"slices"
	"strconv"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"stsgate/gateway/state"
)

// The writer is this test binary in another process. It opens the store, says
// what is in it, then writes until it is killed, and says before and after each
// write what it does.
const (
	writerDir  = "STATE_WRITER_DIR"
	writerKey  = "STATE_WRITER_KEY"
	writers    = 8
	passingTTL = 20 * time.Second
	reopenLast = 5 * time.Second
)

func TestMain(m *testing.M) {
	if dir := os.Getenv(writerDir); dir != "" {
		if err := runWriter(dir, os.Getenv(writerKey)); err != nil {
			fmt.Println("failed", err)
			os.Exit(1)
		}
		return
	}
	os.Exit(m.Run())
}

// said are lines of the writer: a word and its arguments.
var saying sync.Mutex

func say(words ...any) {
	saying.Lock()
	defer saying.Unlock()
	fmt.Println(words...)
}

func runWriter(dir, key string) error {
	keys, err := state.ParseKeys([]byte(key))
	if err != nil {
		return err
	}
	start := time.Now()
	below, err := Open(context.Background(), Config{Dir: dir, Keys: keys, Encrypt: true})
	if err != nil {
		return err
	}
	s := state.Seal(below, keys)
	say("opened", time.Since(start).Microseconds())
	for _, b := range []state.Bucket{state.Enrolments, state.Approvals} {
		ctx, cancel := context.WithTimeout(context.Background(), 30*time.Second)
		all, err := s.List(ctx, b.Key())
		cancel()
		if err != nil {
			return err
		}
		for _, r := range all {
			say("holds", r.Key, string(r.Value), r.Revision)
		}
	}
	say("ready")
	var wg sync.WaitGroup
	for i := range writers {
		wg.Go(func() { write1(s, i) })
	}
	wg.Wait()
	return nil
}

// write1 changes the keys of one worker, one after the other, until a write
// fails: some that stand, and some that are made, spent with a shorter ttl or
// deleted, and never used again.
func write1(s *state.Sealed, worker int) {
	for n := 0; ; n++ {
		ctx, cancel := context.WithTimeout(context.Background(), 10*time.Second)
		value := fmt.Sprintf("%d-%d-%d", os.Getpid(), worker, n)
		err := stand(ctx, s, state.Enrolments.Key(fmt.Sprint(worker), fmt.Sprint(rand.IntN(12))), value)
		if err == nil && n%2 == 0 {
			err = spend(ctx, s, state.Approvals.Key(value))
		}
		cancel()
		if err != nil {
			say("stopped", err)
			return
		}
	}
}

// tell says what a write does before and after it.
func tell(k state.Key, value string, do func() error) error {
	say("writes", k, value)
	if err := do(); err != nil {
		return err
	}
	say("wrote", k, value, time.Now().UnixNano())
	return nil
}

func stand(ctx context.Context, s *state.Sealed, k state.Key, value string) error {
	r, err := s.Get(ctx, k)
	switch {
	case errors.Is(err, state.ErrNotFound):
		return tell(k, value, func() error { _, err := s.Create(ctx, k, []byte(value), 0); return err })
	case err != nil:
		return err
	case rand.IntN(4) == 0:
		return tell(k, "-", func() error { return s.Delete(ctx, k, r.Revision) })
	}
	return tell(k, value, func() error { _, err := s.CompareAndSwap(ctx, k, r.Revision, []byte(value), 0); return err })
}

func spend(ctx context.Context, s *state.Sealed, k state.Key) error {
	var revision uint64
	err := tell(k, "open", func() (err error) {
		revision, err = s.Create(ctx, k, []byte("open"), passingTTL)
		return err
	})
	if err != nil {
		return err
	}
	if rand.IntN(3) == 0 {
		return tell(k, "-", func() error { return s.Delete(ctx, k, revision) })
	}
	return tell(k, "spent", func() error {
		_, err := s.CompareAndSwap(ctx, k, revision, []byte("spent"), time.Second)
		return err
	})
}

// A model is what must be in the store.
type model struct {
	acked   map[string]string    // the value by key, "-" for none
	pending map[string][]string  // what was begun since and may have been made
	made    map[string]time.Time // when a passing record was
	writes  int
	slowest time.Duration
	cut     atomic.Int64 // when the power began to go, in Unix ns; 0 for never
}

func newModel() *model {
	return &model{acked: map[string]string{}, pending: map[string][]string{}, made: map[string]time.Time{}}
}

// compare holds what the writer found to the model, then takes it as the truth.
func (m *model) compare(t *testing.T, holds map[string]string) {
	t.Helper()
	for k := range holds {
		if m.acked[k] == "" {
			m.acked[k] = "-"
		}
	}
	for k, want := range m.acked {
		got, ok := holds[k]
		if !ok {
			got = "-"
		}
		age := time.Since(m.made[k])
		passed := !ok && !m.made[k].IsZero() && age > passingTTL-time.Second
		if got != want && !slices.Contains(m.pending[k], got) && !passed {
			t.Errorf("%s holds %q, acknowledged was %q, begun %q, made %s ago", k, got, want, m.pending[k], age)
		}
		m.acked[k] = got
		if passed && age > 2*passingTTL {
			delete(m.acked, k)
			delete(m.made, k)
		}
	}
	clear(m.pending)
}

// note takes in one line. It tells whether the writer is ready, and why it failed.
func (m *model) note(t *testing.T, holds map[string]string, line string) (ready bool, failed error) {
	word, rest, _ := strings.Cut(line, " ")
	args := strings.Fields(rest)
	switch word {
	case "opened":
		us, _ := strconv.Atoi(args[0])
		m.slowest = max(m.slowest, time.Duration(us)*time.Microsecond)
	case "holds":
		holds[args[0]] = args[1]
	case "ready":
		m.compare(t, holds)
		return true, nil
	case "writes":
		m.pending[args[0]] = append(m.pending[args[0]], args[1])
		if args[1] == "open" {
			m.made[args[0]] = time.Now()
		}
	case "wrote":
		m.wrote(args)
	case "failed":
		return false, errors.New(rest)
	}
	return false, nil
}

// wrote takes in an acknowledgement. While the power goes, which takes some
// milliseconds here, a sync may report success and be lost; what is said then
// counts as begun.
func (m *model) wrote(args []string) {
	at, _ := strconv.ParseInt(args[2], 10, 64)
	if cut := m.cut.Load(); cut > 0 && at >= cut {
		return
	}
	m.writes++
	m.acked[args[0]] = args[1]
	delete(m.pending, args[0])
}

// round runs a writer, calls end soon after it began to write, and notes what
// it said until it was gone.
func (m *model) round(t *testing.T, dir string, key []byte, end func(*exec.Cmd)) {
	t.Helper()
	cmd := exec.Command(os.Args[0])
	cmd.Env = append(os.Environ(), writerDir+"="+dir, writerKey+"="+string(key))
	cmd.Stderr = os.Stderr
	out, err := cmd.StdoutPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	late := time.AfterFunc(time.Minute, func() { cmd.Process.Kill() })
	defer late.Stop()
	m.cut.Store(0)
	holds, wasReady := map[string]string{}, false
	for lines := bufio.NewScanner(out); lines.Scan(); {
		ready, failed := m.note(t, holds, lines.Text())
		if failed != nil {
			t.Fatalf("the store does not open: %v", failed)
		}
		if ready {
			wasReady = true
			time.AfterFunc(5*time.Millisecond+rand.N(95*time.Millisecond), func() { end(cmd) })
		}
	}
	cmd.Wait()
	if !wasReady {
		t.Fatal("the writer ended before it was ready")
	}
}

func rounds(t *testing.T, name string, plain int) int {
	n, err := strconv.Atoi(os.Getenv(name))
	if err != nil {
		return plain
	}
	return n
}

// STATE-04: kills at random instants lose nothing that was acknowledged, bring
// nothing back, and leave a store that opens.
func TestKill(t *testing.T) {
	m, dir, key := newModel(), t.TempDir(), state.NewKey()
	n := rounds(t, "CRASH_ROUNDS", 10)
	for range n {
		m.round(t, dir, key, func(c *exec.Cmd) { c.Process.Kill() })
		if t.Failed() {
			return
		}
	}
	m.report(t, n)
}

func (m *model) report(t *testing.T, n int) {
	if m.writes < n {
		t.Errorf("%d writes in %d rounds prove nothing", m.writes, n)
	}
	if m.slowest > reopenLast {
		t.Errorf("the slowest opening took %s, want at most %s", m.slowest, reopenLast)
	}
	t.Logf("%d rounds, %d writes acknowledged, slowest opening %s", n, m.writes, m.slowest)
}
