package audit_test

import (
	"bytes"
	"os"
	"reflect"
	"strings"
	"testing"

	"stsgate/gateway/audit"
)

// What a record says of a decision is read back from its line, for a replay.
func TestReadDecision(t *testing.T) {
	full := decided()
	for name, tt := range map[string]struct {
		change func(*audit.Record)
		want   audit.Decision
	}{
		"all": {func(*audit.Record) {}, audit.Decision{
			Effect: "allow", Answer: "issue", SecondFactor: true, Rule: full.Rule, Requires: full.Requires, User: full.UserName, Facts: full.Facts,
		}},
		"a name that did not resolve": {func(r *audit.Record) {
			*r = audit.Record{Effect: "deny", UserHash: "00ff", Facts: full.Facts}
		}, audit.Decision{Effect: "deny", User: "00ff", Facts: full.Facts}},
		"policy was not asked": {func(r *audit.Record) { *r = audit.Record{Error: "not & <XML>"} }, audit.Decision{User: "unknown"}},
	} {
		t.Run(name, func(t *testing.T) {
			l, file := open(t)
			r := decided()
			tt.change(r)
			if err := l.Append(r); err != nil {
				t.Fatal(err)
			}
			if err := l.Close(); err != nil {
				t.Fatal(err)
			}
			line, err := os.ReadFile(file)
			if err != nil {
				t.Fatal(err)
			}
			if bytes.Count(line, []byte("\n")) != 1 {
				t.Errorf("not one line: %s", line)
			}
			got, err := audit.ReadDecision(line)
			if err != nil || !reflect.DeepEqual(got, tt.want) {
				t.Errorf("got %+v, %v, want %+v", got, err, tt.want)
			}
		})
	}
}

// A line that was cut, or is of something else, is an error.
func TestReadDecisionMistakes(t *testing.T) {
	for _, line := range []string{"", "\n", `{"labels.effect":"allow`, `{"labels.effect":1}`, `{"labels.requires":"one"}`, `[]`, `{} {}`} {
		if d, err := audit.ReadDecision([]byte(line)); err == nil || !strings.HasPrefix(err.Error(), "read audit line: ") {
			t.Errorf("%q: got %+v, %v, want an error", line, d, err)
		}
	}
}
