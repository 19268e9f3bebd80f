package gateway_test

import (
	"fmt"
	"strings"
	"testing"

	"stsgate/gateway"
	"stsgate/gateway/audit"
	"stsgate/gateway/wstrust"
)

// AUD-08: where names are hashed no record has one, however the exchange ends,
// and one name has one hash.
func TestHashedNames(t *testing.T) {
	for name, c := range map[string]struct {
		user  string
		bends string // what the farm's token says in the place of alice
	}{
		"released": {alice.UPN, alice.UPN},
		"denied":   {mallory.UPN, ""},
		"mismatch": {alice.UPN, "carol@contoso.example"},
		"unknown":  {"nobody@contoso.example", ""},
	} {
		atFresh(t, name, func(t *testing.T) {
			var file string
			g := newGate(t, func(c *gateway.Config) {
				file = t.TempDir() + "/audit.jsonl"
				l, err := audit.Open(audit.Config{File: file, HashNames: true})
				if err != nil {
					t.Fatal(err)
				}
				t.Cleanup(func() { l.Close() })
				c.Audit = l
			})
			g.audited = file
			if c.bends != "" {
				g.farm.bends(alice.UPN, c.bends)
			}
			g.ask(modern, func(q *wstrust.Query) { q.Username = c.user })
			r := g.record()
			text := strings.ToLower(fmt.Sprint(r))
			for _, part := range []string{"alice", "mallory@", "carol@", "nobody"} {
				if strings.Contains(text, part) {
					t.Errorf("%q stands in %v", part, r)
				}
			}
			if h, _ := r["user.hash"].(string); len(h) != 32 {
				t.Errorf("got user.hash %q", h)
			}
			if unknown := name == "unknown"; (r["labels.user_length"] == "17-32") != unknown || (r["user.id"] == nil) != unknown {
				t.Errorf("got length %v and id %v", r["labels.user_length"], r["user.id"])
			}
		})
	}
}
