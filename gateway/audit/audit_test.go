package audit_test

import (
	"bufio"
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"net/netip"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"

	"stsgate/gateway/audit"
)

func open(t testing.TB) (*audit.Log, string) {
	t.Helper()
	file := filepath.Join(t.TempDir(), "audit.jsonl")
	l, err := audit.Open(audit.Config{File: file})
	if err != nil {
		t.Fatal(err)
	}
	return l, file
}

func lines(t testing.TB, file string) []map[string]any {
	t.Helper()
	b, err := os.ReadFile(file)
	if err != nil {
		t.Fatal(err)
	}
	var all []map[string]any
	for s := bufio.NewScanner(bytes.NewReader(b)); s.Scan(); {
		var m map[string]any
		if err := json.Unmarshal(s.Bytes(), &m); err != nil {
			t.Fatalf("line %q: %v", s.Text(), err)
		}
		all = append(all, m)
	}
	return all
}

// AUD-01: when Append has returned, the line is in the file.
func TestAppendIsInTheFile(t *testing.T) {
	l, file := open(t)
	defer l.Close()
	for i := range 10 {
		if err := l.Append(&audit.Record{Transaction: fmt.Sprint(i), Outcome: "success"}); err != nil {
			t.Fatal(err)
		}
		got := lines(t, file)
		if len(got) != i+1 || got[i]["transaction.id"] != fmt.Sprint(i) {
			t.Fatalf("after append %d the file holds %v", i, got)
		}
	}
}

func TestAppendTogether(t *testing.T) {
	var commits int
	file := filepath.Join(t.TempDir(), "audit.jsonl")
	l, err := audit.Open(audit.Config{File: file, Wrote: func(time.Duration) { commits++ }})
	if err != nil {
		t.Fatal(err)
	}
	const workers, each = 16, 50
	var wg sync.WaitGroup
	for w := range workers {
		wg.Go(func() {
			for i := range each {
				if err := l.Append(&audit.Record{Transaction: fmt.Sprintf("%d-%d", w, i)}); err != nil {
					t.Error(err)
				}
			}
		})
	}
	wg.Wait()
	if err := l.Close(); err != nil {
		t.Fatal(err)
	}
	seen := map[any]bool{}
	for _, m := range lines(t, file) {
		seen[m["transaction.id"]] = true
	}
	if len(seen) != workers*each {
		t.Errorf("%d distinct records, want %d", len(seen), workers*each)
	}
	if commits == 0 || commits > workers*each {
		t.Errorf("%d commits for %d records", commits, workers*each)
	}
}

func TestClosed(t *testing.T) {
	l, _ := open(t)
	if err := l.Close(); err != nil {
		t.Fatal(err)
	}
	if err := l.Append(&audit.Record{}); !errors.Is(err, audit.ErrClosed) {
		t.Errorf("Append after Close: %v", err)
	}
	if err := l.Reopen(); !errors.Is(err, audit.ErrClosed) {
		t.Errorf("Reopen after Close: %v", err)
	}
	if err := l.Close(); !errors.Is(err, audit.ErrClosed) {
		t.Errorf("second Close: %v", err)
	}
}

func TestReopenAfterRotation(t *testing.T) {
	l, file := open(t)
	defer l.Close()
	appendOne := func(id string) {
		t.Helper()
		if err := l.Append(&audit.Record{Transaction: id}); err != nil {
			t.Fatal(err)
		}
	}
	appendOne("before")
	if err := os.Rename(file, file+".1"); err != nil {
		t.Fatal(err)
	}
	if err := l.Reopen(); err != nil {
		t.Fatal(err)
	}
	appendOne("after")
	if got := lines(t, file); len(got) != 1 || got[0]["transaction.id"] != "after" {
		t.Errorf("the new file holds %v", got)
	}
	if got := lines(t, file+".1"); len(got) != 1 || got[0]["transaction.id"] != "before" {
		t.Errorf("the old file holds %v", got)
	}
}

// AUD-06: whatever a client sends is one line, without control characters.
func TestInjection(t *testing.T) {
	l, file := open(t)
	defer l.Close()
	evil := "alice\r\n{\"event.outcome\":\"success\"}\x1b[2J\u202e\u2028" + strings.Repeat("x", 10000)
	r := &audit.Record{UserName: evil, UserAgent: evil, AppliesTo: evil, TokenType: evil, Error: evil, Client: netip.MustParseAddr("192.0.2.1")}
	if err := l.Append(r); err != nil {
		t.Fatal(err)
	}
	b, err := os.ReadFile(file)
	if err != nil {
		t.Fatal(err)
	}
	if n := bytes.Count(b, []byte("\n")); n != 1 {
		t.Errorf("%d lines", n)
	}
	if len(b) > 8<<10 {
		t.Errorf("%d bytes, at most 8 KiB allowed", len(b))
	}
	got := lines(t, file)[0]
	for _, field := range []string{"user.name", "user_agent.original", "labels.applies_to", "labels.token_type", "error.message"} {
		if s := got[field].(string); strings.ContainsAny(s, "\r\n\x1b\u202e\u2028") {
			t.Errorf("%s = %q", field, s)
		}
	}
	if r.UserName != evil {
		t.Error("Append changed the caller's record")
	}
	if got["client.ip"] != "192.0.2.1" || got["source.ip"] != nil {
		t.Errorf("addresses: %v, %v", got["client.ip"], got["source.ip"])
	}
}

// AUD-06: a line has at most 8 KiB, whatever a client or a policy puts into it.
func TestLongestLine(t *testing.T) {
	l, file := open(t)
	defer l.Close()
	evil := strings.Repeat("\u2028<", 500)
	r := &audit.Record{UserAgent: evil, UserName: evil, AppliesTo: evil, TokenType: evil, Error: evil, Facts: []byte(`{"user":"` + strings.Repeat("x", 7000) + `"}`)}
	for range 20 {
		r.Forwarded = append(r.Forwarded, netip.MustParseAddr("2001:db8:1111:2222:3333:4444:5555:6666"))
	}
	for range 60 {
		r.Reported, r.Requires = append(r.Reported, strings.Repeat("r", 60)), append(r.Requires, strings.Repeat("q", 60))
	}
	if err := l.Append(r); err != nil {
		t.Fatal(err)
	}
	b, err := os.ReadFile(file)
	if err != nil {
		t.Fatal(err)
	}
	got := lines(t, file)[0]
	if len(b) > 8<<10 || got["labels.clipped"] != true || got["labels.facts"] != nil {
		t.Errorf("%d bytes: %s", len(b), b)
	}
}

func BenchmarkAppend16(b *testing.B) {
	l, _ := open(b)
	defer l.Close()
	r := &audit.Record{Time: time.Now(), Outcome: "success", Transaction: "0123456789abcdef0123456789abcdef", Path: "/adfs/services/trust/13/usernamemixed",
		UserName: "alice@contoso.example", AppliesTo: "urn:federation:MicrosoftOnline", Application: "microsoft-365"}
	b.SetParallelism(8)
	b.ReportAllocs()
	b.RunParallel(func(pb *testing.PB) {
		for pb.Next() {
			if err := l.Append(r); err != nil {
				b.Error(err)
			}
		}
	})
}
