package audit_test

import (
	"bytes"
	"fmt"
	"os"
	"strings"
	"testing"
	"time"

	"stsgate/gateway/audit"
)

// POL-05, AUD-06: however much a reload has to tell, and whatever stands in the
// files, its record is one line of at most 8 KiB.
func TestReload(t *testing.T) {
	evil := "a\r\n\x1b[2J\u202e<&>" + strings.Repeat("<", 1000)
	many := make([]string, 1000)
	for i := range many {
		many[i] = fmt.Sprintf("rules.yaml:%d:11: rule %q is gone: it would deny", i+1, evil)
	}
	few := []string{`rules.yaml:1:11: rule "d" is gone: it would deny`, `rules.yaml:2:11: rule "a" allows more`}
	for _, tt := range []struct {
		name          string
		reload        audit.Reload
		edits, atMost int
	}{
		{"nothing", audit.Reload{Outcome: "success"}, 0, 0},
		{"few edits", audit.Reload{Outcome: "success", Weakened: len(few), Edits: few}, 2, 2},
		{"many edits", audit.Reload{Outcome: "success", Weakened: len(many), Edits: many}, 1, 999},
		{"many mistakes", audit.Reload{Outcome: "failure", Error: strings.Join(many, "\n")}, 0, 0},
		{"both", audit.Reload{Outcome: "failure", Edits: many, Error: strings.Join(many, "\n")}, 1, 999},
	} {
		t.Run(tt.name, func(t *testing.T) {
			l, file := open(t)
			tt.reload.Time, tt.reload.Action = time.Now(), "reload"
			tt.reload.Was, tt.reload.Revision = "0123456789abcdef", "fedcba9876543210"
			if err := l.AppendReload(&tt.reload); err != nil {
				t.Fatal(err)
			}
			if err := l.Close(); err != nil {
				t.Fatal(err)
			}
			b, err := os.ReadFile(file)
			if err != nil {
				t.Fatal(err)
			}
			if len(b) > 8<<10 || bytes.Count(b, []byte("\n")) != 1 || bytes.ContainsAny(b, "\r\x1b\u202e") {
				t.Errorf("got %d bytes: %q", len(b), b)
			}
			r := lines(t, file)[0]
			if r["event.action"] != "reload" || r["rule.ruleset"] != tt.reload.Revision || r["labels.ruleset_before"] != tt.reload.Was || r["labels.weakened"] != float64(tt.reload.Weakened) {
				t.Errorf("got %v", r)
			}
			edits, _ := r["labels.weakening_edits"].([]any)
			if len(edits) < tt.edits || len(edits) > tt.atMost {
				t.Errorf("got %d edits, want %d to %d", len(edits), tt.edits, tt.atMost)
			}
		})
	}
}

// A reload after Close is no reload.
func TestReloadClosed(t *testing.T) {
	l, _ := open(t)
	if err := l.Close(); err != nil {
		t.Fatal(err)
	}
	if err := l.AppendReload(&audit.Reload{}); err == nil {
		t.Error("got no error")
	}
}
