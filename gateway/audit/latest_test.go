package audit_test

import (
	"bytes"
	"context"
	"crypto/sha256"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"stsgate/gateway/audit"
)

func TestLatest(t *testing.T) {
	l, file := open(t)
	for i := range 100 {
		r := audit.Record{Time: time.Now(), Action: "issue-token", Outcome: "success", Transaction: fmt.Sprintf("%032x", i), UserID: fmt.Sprint("user-", i%3)}
		if err := l.Append(&r); err != nil {
			t.Fatal(err)
		}
	}
	for range 10 { // lines with the one text and without the other
		if err := l.AppendAct(&audit.Act{Time: time.Now(), Action: "portal-deny", Outcome: "success", UserID: "user-1"}); err != nil {
			t.Fatal(err)
		}
	}
	if err := l.Close(); err != nil {
		t.Fatal(err)
	}
	for _, c := range []struct {
		within int64
		most   int
		text   string
		want   int
		first  int
	}{
		{1 << 20, 10, `"user.id":"user-1"`, 10, 97},
		{1 << 20, 1000, `"user.id":"user-0"`, 34, 99},
		{1 << 20, 10, `"user.id":"user-4"`, 0, 0},
		{6000, 1000, `"user.id":"`, -1, 99},
	} {
		got, err := audit.Latest(t.Context(), []string{file}, c.within, c.most, `"event.action":"issue-token"`, c.text)
		if err != nil {
			t.Fatal(err)
		}
		if len(got) != c.want && c.want >= 0 || c.want < 0 && (len(got) < 2 || len(got) > 20) {
			t.Errorf("%+v: %d lines", c, len(got))
		}
		if len(got) > 0 && !strings.Contains(string(got[0]), fmt.Sprintf("%032x", c.first)) {
			t.Errorf("%+v: the first is %s", c, got[0])
		}
	}
}

// A long log in two files is read from its end, and is the same as if it were
// read as a whole.
func TestLatestOfManyParts(t *testing.T) {
	const size = 22 << 20 // of a file
	var files []string
	var all [][]byte // from the end
	var begins []int // each of them
	n, total := 0, 0
	for i := range 2 {
		var text []byte
		for ; len(text) < size; n++ {
			id := fmt.Sprintf("%032x", n)
			length := 512 // so that each part begins with a line
			if i == 0 {
				length = 400 + n%600
			}
			all, begins = append(all, []byte(id)), append(begins, total)
			text, total = append(text, chained(id, n, length)...), total+length
		}
		files = append(files, filepath.Join(t.TempDir(), fmt.Sprint("audit-", i, ".jsonl")))
		if err := os.WriteFile(files[i], text, 0o600); err != nil {
			t.Fatal(err)
		}
	}
	slices.Reverse(all)
	for _, c := range []struct{ within, most int }{
		{1 << 30, 1 << 30}, {1 << 30, 1}, {1 << 30, len(all) - 1}, {1 << 30, len(all) * 2 / 3}, {size + size/3, 1 << 30}, {size / 3, 1 << 30},
	} {
		got, err := audit.Latest(t.Context(), files, int64(c.within), c.most, `"transaction.id":"`, `"user.id":"12efcdab"`)
		if err != nil {
			t.Fatal(err)
		}
		inside := slices.DeleteFunc(slices.Clone(begins), func(at int) bool { return at < total-c.within })
		if want := min(c.most, len(inside)); len(got) != want {
			t.Fatalf("%+v: %d lines, want %d of %d", c, len(got), want, len(all))
		}
		for i := range got {
			if !bytes.Contains(got[i], all[i]) {
				t.Fatalf("%+v: line %d is %s, not %s", c, i, got[i], all[i])
			}
		}
	}
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	if _, err := audit.Latest(ctx, files, 1<<30, 1, "nowhere"); !errors.Is(err, context.Canceled) {
		t.Errorf("got %v for nobody who waits", err)
	}
}

// chained is a line of some length, at least 400, that begins and ends well, of no chain.
func chained(id string, n, length int) []byte {
	sequence := fmt.Sprintf(`","event.sequence":%d,"labels.previous_hash":"%064x"`, n+1, n)
	line := fmt.Appendf(nil, `{"@timestamp":"2026-11-22T10:00:00Z","transaction.id":"%s","user.id":"12efcdab","labels.filler":"`, id)
	line = append(line, strings.Repeat("x", length-len(line)-len(sequence)-len(`,"event.hash":""}`)-64-1)...)
	line = append(line, sequence...)
	return fmt.Appendf(line, `,"event.hash":"%x"}`+"\n", sha256.Sum256(line))
}
