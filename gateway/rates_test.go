package gateway

import (
	"fmt"
	"testing"
	"testing/fstest"
	"time"

	"stsgate/policy"
)

// owed returns what a request for urn:payroll owes under some requires.
func owed(t *testing.T, requires ...string) *policy.Obligations {
	t.Helper()
	content := "applications:\n  payroll: {realms: [\"urn:payroll\"], answer: issue}\nrules:\n  - {name: a, match: everyone, allow: {}}\n"
	for i, r := range requires {
		content += fmt.Sprintf("  - {name: r%d, match: everyone, require: %s}\n", i, r)
	}
	set, err := policy.Load(fstest.MapFS{"p.yaml": {Data: []byte(content)}}, policy.Vocabulary{})
	if err != nil {
		t.Fatal(err)
	}
	d := set.Decide(&policy.Facts{Known: policy.AllFacts, Request: policy.Request{AppliesTo: "urn:payroll"}})
	if d.Effect != policy.Allow {
		t.Fatal(d.Why())
	}
	return &d.Obligations
}

// TestRates: in no span of a rate's length more requests of one user pass than
// it says, and one that does not pass is not counted anywhere.
func TestRates(t *testing.T) {
	o := owed(t, "{limit: {rate: 3/1m}}", "{limit: {rate: 4/1h}}", "{limit: {lifetime: 5m}}")
	r := rates{passed: map[rateKey][]time.Time{}}
	start := time.Date(2026, 12, 1, 12, 0, 0, 0, time.UTC)
	for _, step := range []struct {
		after time.Duration
		user  string
		full  string
	}{
		{0, "alice", ""},
		{0, "alice", ""},
		{59 * time.Second, "alice", ""},
		{59 * time.Second, "alice", "r0"},
		{59 * time.Second, "bob", ""},
		{time.Minute, "alice", ""}, // the first two are a minute old
		{time.Minute, "alice", "r1"},
		{time.Hour - time.Second, "alice", "r1"},
		{time.Hour, "alice", ""},
	} {
		full := ""
		if rule := r.take(o, step.user, start.Add(step.after)); rule != nil {
			full = rule.Name
		}
		if full != step.full {
			t.Errorf("%s after %s: got %q, want %q", step.user, step.after, full, step.full)
		}
	}
}

// TestRatesForget: whoever does not come back leaves nothing behind.
func TestRatesForget(t *testing.T) {
	o := owed(t, "{limit: {rate: 3/1m}}")
	r := rates{passed: map[rateKey][]time.Time{}}
	start := time.Date(2026, 12, 1, 12, 0, 0, 0, time.UTC)
	for i := range 1000 {
		r.take(o, fmt.Sprint(i), start)
	}
	r.take(o, "last", start.Add(policy.MaxRatePer+time.Hour))
	if len(r.passed) != 1 {
		t.Errorf("got %d users remembered, want the last alone", len(r.passed))
	}
}
