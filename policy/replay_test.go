package policy_test

import (
	"math/rand/v2"
	"strings"
	"testing"

	"stsgate/policy"
)

// replayRules are in force when the requests of the tests are recorded.
const replayRules = preamble + `
  - {name: staff, match: {groups: [staff]}, allow: {}}
  - {name: no leavers, match: {groups: [leavers], applications: [payroll]}, deny: {}}
  - {name: outside, match: {not: {networks: [offices]}, applications: [travel]}, require: {mfa: {}}}
`

// record returns what an audit line has of a decision of the set, where only
// these facts were read.
func record(t testing.TB, s *policy.Set, f *policy.Facts, read policy.FactSet) *policy.Recorded {
	t.Helper()
	d := s.Decide(f)
	r := &policy.Recorded{Rule: d.Rule, User: f.User.Name}
	for rule := range d.Obligations.Rules() {
		r.Requires = append(r.Requires, rule.Name)
	}
	var err error
	if r.Facts, r.Missing, err = policy.ParseRecorded(f.AppendJSON(nil, read)); err != nil {
		t.Fatal(err)
	}
	if r.Was, err = policy.ParseVerdict(d.Effect.String(), d.Answer.String(), d.Obligations.SecondFactor); err != nil {
		t.Fatal(err)
	}
	return r
}

// TestReplayChanges checks each way in which a verdict changes: which rules it
// rests on, and whether the request passes more easily.
func TestReplayChanges(t *testing.T) {
	old := load(t, replayRules)
	away := func(f *policy.Facts) { f.Client.Address = addrs("203.0.113.9")[0]; f.Request.AppliesTo = "urn:travel" }
	for _, tt := range []struct {
		name, from, to string // edits of the rules
		change         func(*policy.Facts)
		want           policy.Change
		was, now       string
		weaker         bool
	}{
		{"allow to deny", "groups: [staff]", "groups: [admins]", nil,
			policy.Change{RuleThen: "staff", Application: "payroll"}, "allow issue", "deny", false},
		{"a deny that is new", "groups: [leavers]", "groups: [staff]", nil,
			policy.Change{RuleThen: "staff", Rule: "no leavers", Application: "payroll"}, "allow issue", "deny", false},
		{"deny to allow", "groups: [leavers]", "groups: [nobody]", func(f *policy.Facts) { f.User.Groups = []string{"staff", "leavers"} },
			policy.Change{RuleThen: "no leavers", Rule: "staff", Application: "payroll"}, "deny", "allow issue", true},
		{"a second factor that is new", "applications: [travel]", "applications: [payroll]", func(f *policy.Facts) { f.Client.Address = addrs("203.0.113.9")[0] },
			policy.Change{RuleThen: "staff", Rule: "outside", Application: "payroll"}, "allow issue", "allow issue with mfa", false},
		{"no second factor any more", "require: {mfa: {}}", "require: {limit: {lifetime: 1h}}", away,
			policy.Change{RuleThen: "outside", Rule: "staff", Application: "travel"}, "allow forward with mfa", "allow forward", true},
		{"deny to allow with mfa", "groups: [staff]", "groups: [guests]", func(f *policy.Facts) { away(f); f.User.Groups = []string{"guests"} },
			policy.Change{Rule: "outside", Application: "travel"}, "deny", "allow forward with mfa", true},
		{"another answer", "allow: {}", "allow: {answer: forward}", nil,
			policy.Change{RuleThen: "staff", Rule: "staff", Application: "payroll"}, "allow issue", "allow forward", false},
		{"no application any more", "urn:travel", "urn:trips", away,
			policy.Change{RuleThen: "outside", Application: "none"}, "allow forward with mfa", "deny", false},
	} {
		f := alice()
		if tt.change != nil {
			tt.change(&f)
		}
		candidate := load(t, strings.Replace(replayRules, tt.from, tt.to, 1))
		var p policy.Replay
		r := record(t, old, &f, policy.AllFacts)
		p.Add(candidate, r)
		p.Add(candidate, r)
		p.Add(old, r)
		all := p.Changes()
		if len(all) != 1 || p.Unchanged != 1 || p.Undecided != 0 {
			t.Errorf("%s: got %v, %d unchanged, %d undecided", tt.name, all, p.Unchanged, p.Undecided)
			continue
		}
		got := all[0]
		tt.want.Was, tt.want.Now, tt.want.User, tt.want.Count = got.Was, got.Now, f.User.Name, 2
		if got != tt.want || got.Was.String() != tt.was || got.Now.String() != tt.now || got.Now.Weaker(got.Was) != tt.weaker || got.Was.Weaker(got.Now) && tt.weaker {
			t.Errorf("%s: got %+v: %s to %s, weaker %v", tt.name, got, got.Was, got.Now, got.Now.Weaker(got.Was))
		}
	}
}

// TestReplayUndecided checks that a request is undecided exactly where a rule
// that counts, for its application, asks for a fact that the line lacks; a
// fact that was unknown then is unknown again.
func TestReplayUndecided(t *testing.T) {
	old := load(t, replayRules)
	f := alice()
	lacking := policy.AllFacts.Without(policy.ClientCountry, policy.SourceFailures)
	for _, tt := range []struct {
		rule      string
		undecided policy.Fact // NumFacts for none
	}{
		{"  - {name: new, match: {countries: [NO]}, deny: {}}", policy.ClientCountry},
		{"  - {name: new, match: {not: {countries: [NO]}, applications: [payroll]}, require: {mfa: {}}}", policy.ClientCountry},
		{"  - {name: new, when: 'source.failures > 3', deny: {}}", policy.SourceFailures},
		{"  - {name: new, match: {asns: [1]}, deny: {}, except: [{match: {countries: [NO]}, owner: o, reason: r, expires: 2027-01-01}]}", policy.ClientCountry},
		{"  - {name: new, match: {countries: [NO], applications: [travel]}, deny: {}}", policy.NumFacts},
		{"  - {name: new, match: {asns: [1]}, deny: {}, except: [{match: {countries: [NO], applications: [travel]}, owner: o, reason: r, expires: 2027-01-01}]}", policy.NumFacts},
		{"  - {name: new, match: {countries: [NO]}, deny: {}, mode: report-only}", policy.NumFacts},
		{"  - {name: new, match: {asns: [1]}, deny: {}}", policy.NumFacts},
	} {
		var p policy.Replay
		p.Add(load(t, replayRules+tt.rule), record(t, old, &f, lacking))
		if want := tt.undecided != policy.NumFacts; p.Undecided == 1 != want || p.Unchanged == 0 != want || len(p.Changes()) > 0 || want && p.Lacking[tt.undecided] != 1 {
			t.Errorf("%s: got %+v", tt.rule, p)
		}
	}

	var p policy.Replay
	candidate := load(t, replayRules+"  - {name: new, match: {countries: [NO]}, deny: {}}")
	f.Known = f.Known.Without(policy.ClientCountry)
	p.Add(candidate, record(t, old, &f, policy.AllFacts))
	if all := p.Changes(); len(all) != 1 || all[0].Now.Effect != policy.Deny || all[0].Rule != "new" {
		t.Errorf("unknown then: got %v, want denied by the new rule", all)
	}
	// A realm too long for a record could be any application's.
	f.Request.AppliesTo = strings.Repeat("x", 600)
	p = policy.Replay{}
	if p.Add(candidate, record(t, old, &f, policy.AllFacts)); p.Undecided != 1 || p.Lacking[policy.RequestAppliesTo] != 1 {
		t.Errorf("a realm that was cut: got %+v", p)
	}
}

// TestReplayItself checks that a set over what it decided itself changes
// nothing, and leaves nothing undecided where it had read what it asks for.
func TestReplayItself(t *testing.T) {
	rnd := rand.New(rand.NewPCG(7, 8))
	for range 300 {
		catchAll := rnd.IntN(2) == 0
		s := twinSet(t, randomRules(rnd, catchAll), 2, catchAll)
		var p policy.Replay
		for range 100 {
			f := randomFacts(rnd)
			if !f.Known.Has(policy.ClientForwarded) { // then nobody knows where the client is
				f.Known = f.Known.Without(policy.ClientCountry, policy.ClientASN)
			}
			p.Add(s, record(t, s, f, s.Mentions()|policy.AllFacts.Without(policy.UserGroups, policy.UserName)))
		}
		if p.Unchanged != 100 || len(p.Changes()) != 0 {
			t.Fatalf("got %d unchanged, %d undecided, %v", p.Unchanged, p.Undecided, p.Changes())
		}
	}
}

// TestReplayJoin checks that parts join to the whole, and the order of what
// changes: what passes more easily first, then what is most frequent.
func TestReplayJoin(t *testing.T) {
	old, candidate := load(t, replayRules), load(t, strings.NewReplacer("[leavers]", "[nobody]", "[staff]", "[bosses]").Replace(replayRules)+
		"  - {name: leavers again, match: {groups: [leavers], applications: [payroll]}, allow: {}}")
	var whole policy.Replay
	var parts [3]policy.Replay
	rnd := rand.New(rand.NewPCG(1, 2))
	for i := range 300 {
		f := alice()
		f.User.Name = []string{"a", "b", "c"}[rnd.IntN(3)]
		if rnd.IntN(4) == 0 {
			f.User.Groups = append(f.User.Groups, "leavers")
		}
		r := record(t, old, &f, policy.AllFacts)
		whole.Add(candidate, r)
		parts[i%3].Add(candidate, r)
	}
	var joined policy.Replay
	for i := range parts {
		joined.Join(&parts[i])
	}
	got, want := joined.Changes(), whole.Changes()
	if len(got) != len(want) || len(want) != 6 || joined.Unchanged != whole.Unchanged {
		t.Fatalf("got %v, want %v", got, want)
	}
	for i := range want {
		if got[i] != want[i] {
			t.Errorf("got %v, want %v", got[i], want[i])
		}
		if (i < 3) != want[i].Now.Weaker(want[i].Was) || i%3 > 0 && want[i].Count > want[i-1].Count {
			t.Errorf("%d: got %+v", i, want[i])
		}
	}
}

// TestParseVerdict checks that what is no verdict is none.
func TestParseVerdict(t *testing.T) {
	for _, tt := range []struct {
		effect, answer string
		mfa            bool
		want           string
	}{
		{"allow", "issue", false, "allow issue"},
		{"allow", "forward", true, "allow forward with mfa"},
		{"deny", "", false, "deny"},
		{"deny", "issue", true, "deny"},
		{"allow", "", false, `"" is no answer`},
		{"allow", "none", false, `"none" is no answer`},
		{"", "issue", false, `"" is no effect`},
		{"require", "issue", false, `"require" is no effect`},
	} {
		v, err := policy.ParseVerdict(tt.effect, tt.answer, tt.mfa)
		got := v.String()
		if err != nil {
			got = err.Error()
		}
		if got != tt.want {
			t.Errorf("%+v: got %s", tt, got)
		}
	}
}

// TestApplying checks that the rules that apply are those that an explanation
// says do, and that the decision is Decide's.
func TestApplying(t *testing.T) {
	rnd := rand.New(rand.NewPCG(3, 4))
	for range 100 {
		s := twinSet(t, randomRules(rnd, true), 2, true)
		for range 30 {
			f := randomFacts(rnd)
			d, applying := s.Applying(f)
			x := s.Explain(f)
			var want []*policy.Rule
			for i := range x.Rules {
				if x.Applies(&x.Rules[i]) {
					want = append(want, x.Rules[i].Rule)
				}
			}
			if got, want := ruleNames(applying), ruleNames(want); got != want || decided(d) != decided(s.Decide(f)) {
				t.Fatalf("got %s (%s), want %s (%s)", got, decided(d), want, decided(s.Decide(f)))
			}
		}
	}
}
