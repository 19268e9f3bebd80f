package audit_test

import (
	"encoding/hex"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"stsgate/gateway/audit"
)

// release enters a token into the ledger.
func release(t testing.TB, l *audit.Log, n int, at time.Time, change func(*audit.Record)) audit.Token {
	t.Helper()
	token := audit.Token{ID: fmt.Sprint("_", n), Hash: [32]byte{byte(n), byte(n >> 8), 7}, Issued: at, Audiences: []string{"https://app.example/?a=1&b=2"}}
	r := &audit.Record{Time: at, Action: "issue-token", Outcome: "success", Reason: "ok", Transaction: fmt.Sprintf("%032x", n), Application: "payroll",
		AppliesTo: token.Audiences[0], AssertionID: token.ID, AssertionHash: hex.EncodeToString(token.Hash[:])}
	if change != nil {
		change(r)
	}
	if err := l.Append(r); err != nil {
		t.Fatal(err)
	}
	return token
}

func find(t testing.TB, token audit.Token, files ...string) audit.Entry {
	t.Helper()
	e, err := audit.FindToken(files, token)
	if err != nil {
		t.Fatal(err)
	}
	return e
}

// TOK-06: every token that was released is found, over a rotation, and no other
// is taken for one.
func TestLedger(t *testing.T) {
	dir := t.TempDir()
	file := filepath.Join(dir, "audit.jsonl")
	l := start(t, dir)
	begin := time.Now().Add(-5 * time.Hour)
	var released []audit.Token
	for i := range 300 {
		if i == 150 {
			if err := os.Rename(file, filepath.Join(dir, "audit.jsonl.1")); err != nil {
				t.Fatal(err)
			}
			if err := l.Reopen(); err != nil {
				t.Fatal(err)
			}
		}
		released = append(released, release(t, l, i, begin.Add(time.Duration(i)*time.Minute), nil))
	}
	files, err := audit.Segments(file)
	if err != nil || len(files) != 2 {
		t.Fatalf("got the segments %v, %v", files, err)
	}
	for i, token := range released {
		token.Issued = token.Issued.Add(time.Duration(i%9-4) * time.Minute) // by another clock
		if e := find(t, token, files...); e.Verdict != audit.Released || e.Line.Transaction != fmt.Sprintf("%032x", i) {
			t.Errorf("token %d: %v: %s", i, e.Verdict, e.Why)
		}
		token.Hash[9]++
		if e := find(t, token, files...); e.Verdict != audit.Unknown || !strings.Contains(e.Why, "this is another") {
			t.Errorf("another token of the id %d: %v: %s", i, e.Verdict, e.Why)
		}
	}
	stranger := audit.Token{ID: "_stranger", Issued: begin.Add(time.Hour)}
	if e := find(t, stranger, files...); e.Verdict != audit.Unknown || e.Why != "" {
		t.Errorf("a token that nobody released: %v: %s", e.Verdict, e.Why)
	}
	stranger.Issued = time.Now().Add(time.Hour)
	if e := find(t, stranger, files...); e.Verdict != audit.Unknown {
		t.Errorf("a token of the future, and the gateway runs: %v: %s", e.Verdict, e.Why)
	}
	stranger.Issued = begin.Add(time.Hour)
	if e := find(t, stranger, file); e.Verdict != audit.CannotTell || !strings.Contains(e.Why, "the log begins at") {
		t.Errorf("without the lines of the time: %v: %s", e.Verdict, e.Why)
	}
	stop(t, l)
	stranger.Issued = time.Now()
	if e := find(t, stranger, files...); e.Verdict != audit.CannotTell || !strings.Contains(e.Why, "the log ends at") {
		t.Errorf("after the end of a log that nobody writes: %v: %s", e.Verdict, e.Why)
	}
}

// TOK-06: for an application that got encrypted tokens nothing is unknown.
func TestLedgerEncrypted(t *testing.T) {
	dir := t.TempDir()
	l := start(t, dir)
	defer stop(t, l)
	files := []string{filepath.Join(dir, "audit.jsonl")}
	now := time.Now()
	release(t, l, 1, now.Add(-time.Hour), nil)
	encrypted := release(t, l, 2, now, func(r *audit.Record) { r.AssertionID, r.Encrypted = "", true })
	encrypted.ID, encrypted.Audiences, encrypted.Issued = "", nil, time.Time{}
	if e := find(t, encrypted, files...); e.Verdict != audit.Released {
		t.Errorf("the encrypted token itself: %v: %s", e.Verdict, e.Why)
	}
	token := audit.Token{ID: "_9", Issued: now, Audiences: []string{"https://app.example/?a=1&b=2"}}
	if e := find(t, token, files...); e.Verdict != audit.CannotTell || !strings.Contains(e.Why, "encrypted") {
		t.Errorf("another token of the application: %v: %s", e.Verdict, e.Why)
	}
	token.Audiences = []string{"urn:other"}
	if e := find(t, token, files...); e.Verdict != audit.Unknown {
		t.Errorf("a token of another application: %v: %s", e.Verdict, e.Why)
	}
	// Two realms of one application.
	release(t, l, 3, now, func(r *audit.Record) { r.AppliesTo = "urn:other" })
	if e := find(t, token, files...); e.Verdict != audit.CannotTell {
		t.Errorf("another realm of the application: %v: %s", e.Verdict, e.Why)
	}
}

// A line that was changed does not vouch for a token.
func TestLedgerForged(t *testing.T) {
	dir := t.TempDir()
	file := filepath.Join(dir, "audit.jsonl")
	l := start(t, dir)
	token := release(t, l, 1, time.Now(), nil)
	stop(t, l)
	b, err := os.ReadFile(file)
	if err != nil {
		t.Fatal(err)
	}
	old := hex.EncodeToString(token.Hash[:])
	token.Hash[0]++
	if err := os.WriteFile(file, []byte(strings.Replace(string(b), old, hex.EncodeToString(token.Hash[:]), 1)), 0o600); err != nil {
		t.Fatal(err)
	}
	if e, err := audit.FindToken([]string{file}, token); err == nil {
		t.Errorf("got %v", e)
	}
}

// TOK-06: the budget is 1 s for a day of 1,000,000 lines.
func BenchmarkFindToken(b *testing.B) {
	file := filepath.Join(b.TempDir(), "audit.jsonl")
	long(b, file, 1_000_000)
	at := time.Date(2026, 3, 2, 17, 0, 0, 0, time.UTC)
	for b.Loop() {
		if e := find(b, audit.Token{ID: "_stranger", Issued: at}, file); e.Verdict != audit.Unknown {
			b.Fatal(e)
		}
	}
}

// TOK-06: of 10,000 released tokens each is found; every fifth is asked for.
func TestLedgerFindsAll(t *testing.T) {
	file := filepath.Join(t.TempDir(), "audit.jsonl")
	const n = 10_000
	long(t, file, n)
	at := time.Date(2026, 3, 2, 0, 0, 0, 0, time.UTC)
	for i := 0; i < n; i += 5 {
		token := audit.Token{Issued: at.Add(time.Duration(i) * (24 * time.Hour / n))}
		for k := range 8 {
			token.Hash[31-k] = byte(i >> (8 * k))
		}
		if e := find(t, token, file); e.Verdict != audit.Released || e.Line.Transaction != fmt.Sprintf("%032x", i) {
			t.Fatalf("token %d: %v: %s", i, e.Verdict, e.Why)
		}
	}
}
