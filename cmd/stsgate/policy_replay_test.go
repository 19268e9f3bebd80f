package main

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"math/rand/v2"
	"net/netip"
	"strings"
	"testing"
	"testing/fstest"
	"testing/iotest"
	"time"

	"stsgate/gateway/audit"
	"stsgate/policy"
)

const replayRules = `
networks: {offices: [203.0.113.0/25]}
applications:
  payroll: {realms: ["urn:payroll"], answer: issue}
  travel: {realms: ["urn:travel"], answer: forward}
rules:
  - {name: staff, match: {groups: [staff]}, allow: {}}
  - {name: outside, match: {not: {networks: [offices]}}, require: {mfa: {}}}
`

// replayedSet has rules of its own for 50 groups.
func replayedSet(t testing.TB) *policy.Set {
	t.Helper()
	var rules strings.Builder
	rules.WriteString(replayRules)
	for i := range 50 {
		fmt.Fprintf(&rules, "  - {name: group %d, match: {groups: [group%d], versions: ['1.3']}, deny: {}}\n", i, i)
	}
	set, err := policy.Load(fstest.MapFS{"rules.yaml": {Data: []byte(rules.String())}}, anything())
	if err != nil {
		t.Fatal(err)
	}
	return set
}

// auditLines writes lines as a gateway does that allows all without a second
// factor, of many users at many addresses.
func auditLines(t testing.TB, n int) []byte {
	t.Helper()
	var b bytes.Buffer
	e := json.NewEncoder(&b)
	rnd := rand.New(rand.NewPCG(1, 1))
	for i := range n {
		user := fmt.Sprintf("user%d", rnd.IntN(1+n/50))
		f := policy.Facts{
			Known:  policy.AllFacts,
			Time:   time.Date(2026, 11, 22, 10, 0, 0, i, time.UTC),
			User:   policy.User{Name: user + "@contoso.example", GUID: "12efcdab-5634-9078-abcd-ef1234567890", SAM: user, Domain: "CONTOSO", Groups: []string{"staff", "Domain Users", fmt.Sprintf("group%d", rnd.IntN(1000))}},
			Client: policy.Client{Address: netip.AddrFrom4([4]byte{203, 0, 113, byte(rnd.Uint32())}), Family: "adal", UserAgent: "Microsoft Office/16.0 (Windows NT 10.0)"},
			Request: policy.Request{
				AppliesTo: []string{"urn:payroll", "urn:travel"}[rnd.IntN(2)], Endpoint: "/adfs/services/trust/13/usernamemixed", Version: "1.3",
				Type: "issue", Credential: "password", TokenType: "saml1.1", KeyType: "bearer", SOAP: "1.2",
			},
		}
		err := e.Encode(&audit.Record{
			Time: f.Time, Action: "issue-token", Outcome: "success", Reason: "ok", Duration: time.Millisecond, Transaction: fmt.Sprintf("%032x", i),
			Source: f.Client.Address, Client: f.Client.Address, UserAgent: f.Client.UserAgent, TLS: "1.3", Path: f.Request.Endpoint, Status: 200,
			UserID: f.User.GUID, UserName: f.User.Name, Application: "payroll", AppliesTo: f.Request.AppliesTo, Version: "1.3", SOAP: "1.2",
			Effect: "allow", Answer: "issue", Rule: "staff", Revision: "0123456789abcdef", AssertionID: "_0123456789abcdef0123456789abcdef",
			Facts: f.AppendJSON(nil, policy.AllFacts.Without(policy.ClientCountry, policy.ClientASN, policy.ClientFamiliar, policy.SourceFailedUsers, policy.SourceFailures)),
		})
		if err != nil {
			t.Fatal(err)
		}
	}
	return b.Bytes()
}

// Each line is read once and whole, wherever a chunk ends, however long it is,
// and with or without a line break at the end.
func TestReplayReadsEachLine(t *testing.T) {
	set := replayedSet(t)
	lines := auditLines(t, 3*chunk/1300)
	if len(lines) < 2*chunk {
		t.Fatalf("got %d bytes, want some chunks", len(lines))
	}
	long := `{"error.message":"` + strings.Repeat("x", 2*chunk) + `"}`
	for name, tt := range map[string]struct {
		in              string
		lines, w, wrong int
	}{
		"nothing":                {"", 0, 0, 0},
		"chunks":                 {string(lines), bytes.Count(lines, []byte("\n")), 0, 0},
		"no break at the end":    {"{}\n{}", 2, 2, 0},
		"a long line":            {"{}\n" + long + "\n{}\n", 3, 3, 0},
		"a chunk to the byte":    {exact(chunk) + "{}\n", 2, 2, 0},
		"a line that is none":    {"{}\nx\n", 2, 1, 1},
		"no facts":               {`{"labels.effect":"allow","labels.answer":"issue"}` + "\n", 1, 0, 0},
		"an empty line":          {"{}\n\n{}\n", 3, 2, 1},
		"a verdict that is none": {`{"labels.effect":"maybe","labels.facts":{}}` + "\n", 1, 0, 1},
	} {
		r := new(replayed)
		if err := r.read(iotest.HalfReader(strings.NewReader(tt.in)), set); err != nil {
			t.Errorf("%s: %v", name, err)
		}
		if name == "no facts" && r.Undecided != 1 {
			t.Error("decided without facts")
		}
		decided := r.Unchanged + r.Undecided + changed(r.Changes())
		if r.lines != tt.lines || r.without != tt.w || r.broken != tt.wrong || r.lines != decided+r.without+r.broken || (r.why == "") != (r.broken == 0) {
			t.Errorf("%s: got %d lines, %d without, %d broken (%s), %d decided", name, r.lines, r.without, r.broken, r.why, decided)
		}
	}
	broken := errors.New("disk")
	r := new(replayed)
	if err := r.read(io.MultiReader(strings.NewReader("{}\n"), iotest.ErrReader(broken)), set); !errors.Is(err, broken) {
		t.Errorf("got %v, want the reader's error", err)
	}
}

// exact is one line of n bytes.
func exact(n int) string {
	const head, tail = `{"x":"`, "\"}\n"
	return head + strings.Repeat("x", n-len(head)-len(tail)) + tail
}

// BenchmarkReplay measures a replay on all processors.
func BenchmarkReplay(b *testing.B) {
	set := replayedSet(b)
	const n = 50_000
	lines := auditLines(b, n)
	b.SetBytes(int64(len(lines)))
	for b.Loop() {
		r := new(replayed)
		if err := r.read(bytes.NewReader(lines), set); err != nil || r.lines != n || r.broken > 0 || changed(r.Changes()) == 0 {
			b.Fatalf("got %d lines, %d broken, %v", r.lines, r.broken, err)
		}
	}
	b.ReportMetric(float64(n)*float64(b.N)/b.Elapsed().Seconds(), "lines/s")
}
