package audit_test

import (
	"bufio"
	"bytes"
	"crypto/ed25519"
	"crypto/sha256"
	"encoding/hex"
	"fmt"
	"math/rand/v2"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"testing"
	"time"

	"stsgate/gateway/audit"
)

// A forger can rewrite the log but has no key.
type forger struct {
	lines [][]byte
	first int // index of the first line that is not as it was
}

// rechain gives the lines from index i on numbers and hashes that fit.
func (f *forger) rechain(i int) {
	previous, n := strings.Repeat("0", 64), uint64(0)
	for k, line := range f.lines {
		at := bytes.LastIndex(line, []byte(`,"event.hash":"`))
		if k >= i {
			body := line[:bytes.LastIndex(line[:at], []byte(`,"event.sequence":`))]
			line = fmt.Appendf(bytes.Clone(body), `,"event.sequence":%d,"labels.previous_hash":"%s"`, n+1, previous)
			sum := sha256.Sum256(line)
			at = len(line)
			line = append(fmt.Appendf(line, `,"event.hash":"%x`, sum), "\"}\n"...)
			f.lines[k] = line
		}
		n++
		previous = string(line[at+len(`,"event.hash":"`) : at+len(`,"event.hash":"`)+64])
	}
}

func (f *forger) dropCheckpoints(i int) {
	f.lines = slices.Concat(f.lines[:i], slices.DeleteFunc(slices.Clone(f.lines[i:]), func(b []byte) bool {
		return bytes.Contains(b, []byte(`"audit-checkpoint"`))
	}))
}

// mutate edits, deletes or swaps.
func (f *forger) mutate(r *rand.Rand) string {
	i := r.IntN(len(f.lines))
	f.first = i
	switch r.IntN(4) {
	case 0:
		line := bytes.Clone(f.lines[i])
		k := r.IntN(len(line) - 1)
		line[k] ^= byte(1 << r.IntN(7))
		if line[k] == '\n' {
			line[k] ^= 0x40
		}
		f.lines[i] = line
		return "bit"
	case 1:
		line := bytes.Replace(f.lines[i], []byte(`"success"`), []byte(`"failure"`), 1)
		f.lines[i] = line
		return "edit"
	case 2:
		n := min(1+r.IntN(5), len(f.lines)-i)
		f.lines = slices.Delete(f.lines, i, i+n)
		return "delete"
	default:
		k := r.IntN(len(f.lines))
		for k == i {
			k = r.IntN(len(f.lines))
		}
		f.first = min(i, k)
		f.lines[i], f.lines[k] = f.lines[k], f.lines[i]
		return "swap"
	}
}

// AUD-02: 1,000 random changes by someone who can rewrite the file and not sign
// are all found: at the line itself by a plain change; with the chain made to
// fit, at the next checkpoint; with the later checkpoints taken out as well, by
// those in the second place.
func TestMutations(t *testing.T) {
	dir := t.TempDir()
	l := start(t, dir)
	for range 6 {
		together(t, l, 100)
		if err := l.Reopen(); err != nil { // which makes a checkpoint
			t.Fatal(err)
		}
	}
	stop(t, l)
	whole, err := os.ReadFile(filepath.Join(dir, "audit.jsonl"))
	if err != nil {
		t.Fatal(err)
	}
	all := slices.Collect(bytes.Lines(whole))
	forged := filepath.Join(t.TempDir(), "audit.jsonl")
	r := rand.New(rand.NewPCG(1, 2))
	found, alone := map[string]int{}, 0
	const want = 1000
	for i := range want {
		f := &forger{lines: slices.Clone(all)}
		kind := f.mutate(r)
		effort := []string{"plain", "rechained", "cut"}[i%3]
		if effort != "plain" {
			if kind == "bit" { // in the place of the line itself, which is made to fit
				f.lines[f.first] = bytes.Replace(all[f.first], []byte(`"success"`), []byte(`"unknown"`), 1)
			}
			if effort == "cut" {
				f.dropCheckpoints(f.first)
			}
			f.rechain(min(f.first, len(f.lines)))
		}
		if err := os.WriteFile(forged, bytes.Join(f.lines, nil), 0o600); err != nil {
			t.Fatal(err)
		}
		here := verify(t, audit.VerifyConfig{Files: []string{forged}, Key: public()})
		there := verify(t, audit.VerifyConfig{Files: []string{forged}, Key: public(), Checkpoints: []string{filepath.Join(dir, "elsewhere")}})
		switch {
		case there.Bad == nil:
			t.Errorf("%d: %s, %s, at line %d: not found", i, kind, effort, f.first+1)
		case effort == "plain" && there.Bad.Line != f.first+1 && !(kind == "delete" && f.first == len(f.lines)):
			t.Errorf("%d: %s at line %d: found at %v", i, kind, f.first+1, there.Bad)
		case there.Bad.Line < f.first+1:
			t.Errorf("%d: %s, %s, at line %d: found before it, %v", i, kind, effort, f.first+1, there.Bad)
		default:
			found[effort]++
		}
		if here.Bad != nil {
			alone++
		} else if here.Unsealed == 0 && f.first < len(f.lines) {
			t.Errorf("%d: %s, %s, at line %d: neither found nor unsealed without the second place", i, kind, effort, f.first+1)
		}
	}
	t.Logf("found %v of %d; without the second place %d, the others in what is told to be unsealed", found, want, alone)
}

// AUD-02: what is cut off at the end is found by the second place, and without
// it the end of what is vouched for is told.
func TestCutOff(t *testing.T) {
	dir := t.TempDir()
	l := start(t, dir)
	for range 3 {
		together(t, l, 700)
	}
	stop(t, l)
	whole, err := os.ReadFile(filepath.Join(dir, "audit.jsonl"))
	if err != nil {
		t.Fatal(err)
	}
	all := slices.Collect(bytes.Lines(whole))
	file := filepath.Join(t.TempDir(), "audit.jsonl")
	for keep := len(all) - 1; keep > 0; keep -= 97 {
		if err := os.WriteFile(file, bytes.Join(all[:keep], nil), 0o600); err != nil {
			t.Fatal(err)
		}
		r := verify(t, audit.VerifyConfig{Files: []string{file}, Key: public(), Checkpoints: []string{filepath.Join(dir, "elsewhere")}})
		if keep < len(all)-1 && (r.Bad == nil || !strings.Contains(r.Bad.Msg, "missing at the end")) {
			t.Errorf("%d lines kept: %v", keep, r.Bad)
		}
		if r = verify(t, audit.VerifyConfig{Files: []string{file}, Key: public()}); r.Bad != nil || r.Unsealed == 0 {
			t.Errorf("%d lines kept, without the second place: %+v", keep, r)
		}
	}
}

// A log that was written anew as a whole, or by another key, has no checkpoint
// that counts.
func TestAnotherKey(t *testing.T) {
	dir := t.TempDir()
	l := start(t, dir)
	add(t, l, "a", 3)
	stop(t, l)
	other, _, err := ed25519.GenerateKey(nil)
	if err != nil {
		t.Fatal(err)
	}
	r := verify(t, audit.VerifyConfig{Files: []string{filepath.Join(dir, "audit.jsonl")}, Key: other})
	if r.Bad == nil || r.Bad.Line != 4 || !strings.Contains(r.Bad.Msg, "not signed by the key") {
		t.Errorf("got %v", r.Bad)
	}
	if _, err := audit.Verify(audit.VerifyConfig{Key: other, Checkpoints: []string{filepath.Join(dir, "elsewhere")}}); err == nil {
		t.Error("checkpoints of another key are taken")
	}
}

// long writes a log of n lines, without a disk to wait for.
func long(tb testing.TB, file string, n int) {
	tb.Helper()
	f, err := os.Create(file)
	if err != nil {
		tb.Fatal(err)
	}
	defer f.Close()
	out := bufio.NewWriterSize(f, 1<<20)
	var b bytes.Buffer
	previous := make([]byte, 64)
	copy(previous, strings.Repeat("0", 64))
	at := time.Date(2026, 3, 2, 0, 0, 0, 0, time.UTC)
	pad := strings.Repeat("x", 600)
	for i := range n {
		b.Reset()
		fmt.Fprintf(&b, `{"@timestamp":"%s","event.action":"issue-token","event.outcome":"success","event.reason":"ok","transaction.id":"%032x","labels.pad":"%s"`,
			at.Add(time.Duration(i)*(24*time.Hour/time.Duration(n))).Format(time.RFC3339Nano), i, pad)
		b.WriteString(`,"hash.sha256":"` + fmt.Sprintf("%064x", i) + `","host.name":"gw1","event.sequence":` + strconv.Itoa(i+1) + `,"labels.previous_hash":"`)
		b.Write(previous)
		b.WriteString(`"`)
		sum := sha256.Sum256(b.Bytes())
		hex.Encode(previous, sum[:])
		b.WriteString(`,"event.hash":"` + string(previous) + "\"}\n")
		if _, err := b.WriteTo(out); err != nil {
			tb.Fatal(err)
		}
	}
	if err := out.Flush(); err != nil {
		tb.Fatal(err)
	}
}

// AUD-03: the budget is 200,000 lines a second.
func BenchmarkVerify(b *testing.B) {
	const n = 400_000
	file := filepath.Join(b.TempDir(), "audit.jsonl")
	long(b, file, n)
	for b.Loop() {
		if r := verify(b, audit.VerifyConfig{Files: []string{file}}); r.Bad != nil || r.Lines != n {
			b.Fatal(r.Bad, r.Lines)
		}
	}
	b.ReportMetric(float64(n)*float64(b.N)/b.Elapsed().Seconds(), "lines/s")
}
