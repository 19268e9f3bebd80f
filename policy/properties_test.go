package policy_test

import (
	"fmt"
	"math/rand/v2"
	"os"
	"slices"
	"strings"
	"testing"
	"time"

	"stsgate/policy"
)

// amount is how many sets are generated, and how many requests for each: a
// million cases with POLICY_CASES=all (POL-07).
func amount() (sets, requests int) {
	switch {
	case os.Getenv("POLICY_CASES") == "all":
		return 5_000, 200
	case testing.Short():
		return 60, 100
	default:
		return 200, 100
	}
}

// A change makes other rules of some, which must not loosen any decision.
type change struct {
	name string
	// conflicts tells that it may take away an allow which contradicted another
	// one's answer: that turns a refusal into an allow.
	conflicts bool
	rules     func(rnd *rand.Rand, rules []twinRule, catchAll bool) []twinRule
}

var changes = []change{
	{"a deny more", false, func(rnd *rand.Rand, rules []twinRule, catchAll bool) []twinRule {
		return append(rules, randomRule(rnd, "more", "deny", catchAll))
	}},
	{"a require more", false, func(rnd *rand.Rand, rules []twinRule, catchAll bool) []twinRule {
		return append(rules, randomRule(rnd, "more", "require", catchAll))
	}},
	{"an allow less", true, func(rnd *rand.Rand, rules []twinRule, _ bool) []twinRule {
		for _, i := range rnd.Perm(len(rules)) {
			if rules[i].effect == "allow" {
				return slices.Delete(rules, i, i+1)
			}
		}
		return rules
	}},
	{"an exception that has expired", false, func(rnd *rand.Rand, rules []twinRule, _ bool) []twinRule {
		for _, i := range rnd.Perm(len(rules)) {
			if n := len(rules[i].except); n > 0 {
				rules[i].except = slices.Clone(rules[i].except)
				rules[i].except[rnd.IntN(n)].expires = noon.Add(-24 * time.Hour)
				return rules
			}
		}
		return rules
	}},
}

// looser tells that a request which b allows was refused before, or that it
// owes less.
func looser(b, a *policy.Decision) bool {
	if b.Effect != policy.Allow {
		return false
	}
	if a.Effect != policy.Allow {
		return true
	}
	before, after := verdict(a), verdict(b)
	for _, name := range before.owed {
		if !slices.Contains(after.owed, name) {
			return true
		}
	}
	return before.mfa && (!after.mfa || after.remember > before.remember) || before.life > 0 && (after.life == 0 || after.life > before.life)
}

// A trial is one random set with its changed forms.
type trial struct {
	catchAll bool
	rules    []twinRule
	set      *policy.Set
	changed  []*policy.Set // by changes
	shuffled *policy.Set
	reported *policy.Set // with rules more that only report
}

func newTrial(t *testing.T, rnd *rand.Rand) *trial {
	x := &trial{catchAll: rnd.IntN(2) == 0}
	x.rules = randomRules(rnd, x.catchAll)
	x.set = twinSet(t, x.rules, 1, x.catchAll)
	for _, c := range changes {
		x.changed = append(x.changed, twinSet(t, c.rules(rnd, slices.Clone(x.rules), x.catchAll), 1, x.catchAll))
	}
	shuffled := slices.Clone(x.rules)
	rnd.Shuffle(len(shuffled), func(i, j int) { shuffled[i], shuffled[j] = shuffled[j], shuffled[i] })
	x.shuffled = twinSet(t, shuffled, 1+rnd.IntN(4), x.catchAll)
	more := slices.Clone(x.rules)
	for _, effect := range []string{"allow", "deny", "require"} {
		r := randomRule(rnd, "report "+effect, effect, x.catchAll)
		r.report = true
		more = append(more, r)
	}
	x.reported = twinSet(t, more, 1, x.catchAll)
	return x
}

// check holds one request to every property, and says which it breaks.
func (x *trial) check(rnd *rand.Rand, f *policy.Facts) (broken string, d policy.Decision) {
	d = x.set.Decide(f)
	application := twinApplication(f, x.catchAll)
	got, want := verdict(&d), twinDecide(x.rules, f, application)
	named := want.outcome == "unknown" || want.outcome != "allow" && twinNamed(x.rules, f, application)
	// Of several causes one is named for any user first: the twin knows no
	// precedence.
	if want.outcome == "deny" && got.outcome == "conflict" && named {
		want.outcome = "conflict"
	}
	if fmt.Sprint(got) != fmt.Sprint(want) || d.Named != named {
		return fmt.Sprintf("twin: got %+v named %v, want %+v named %v", got, d.Named, want, named), d
	}
	for i, c := range changes {
		if e := x.changed[i].Decide(f); looser(&e, &d) && !(c.conflicts && d.Cause == policy.Conflict) {
			return fmt.Sprintf("with %s, %s becomes %s", c.name, decided(d), decided(e)), d
		}
	}
	if e := x.reported.Decide(f); ruled(e) != ruled(d) {
		return fmt.Sprintf("with rules that report, %s becomes %s", decided(d), decided(e)), d
	}
	if e := x.shuffled.Decide(reordered(rnd, f)); decided(e) != decided(d) {
		return fmt.Sprintf("in another order, %s becomes %s", decided(d), decided(e)), d
	}
	fact := policy.Fact(rnd.IntN(int(policy.NumFacts)))
	less := *f
	less.Known = less.Known.Without(fact)
	if e := x.set.Decide(&less); looser(&e, &d) && d.Cause != policy.Conflict {
		return fmt.Sprintf("without %s, %s becomes %s", fact, decided(d), decided(e)), d
	}
	return x.told(rnd, f, &d), d
}

// told checks that what the client may be told does not depend on the user:
// everybody hears the same (POL-09).
func (x *trial) told(rnd *rand.Rand, f *policy.Facts, d *policy.Decision) string {
	told := func(d *policy.Decision) string {
		switch {
		case !d.Named:
			return "nothing"
		case d.Cause == policy.Conflict || d.Cause == policy.UnknownApplication:
			return d.Cause.String()
		default:
			return "denied"
		}
	}
	other := *f
	other.User, other.Client.Familiar = pick(rnd, twinUsers...), rnd.IntN(2) == 0
	other.Known |= policy.UserFacts
	if rnd.IntN(4) == 0 {
		other.Known &^= policy.UserFacts
	}
	if e := x.set.Decide(&other); told(&e) != told(d) {
		return fmt.Sprintf("one user is told %s and another one %s", told(d), told(&e))
	}
	return ""
}

// ruled renders a decision without what is reported.
func ruled(d policy.Decision) string {
	d.Reported = nil
	return decided(d)
}

// reordered names the client's addresses in another order.
func reordered(rnd *rand.Rand, f *policy.Facts) *policy.Facts {
	g := *f
	n := len(f.Client.Forwarded)
	if n == 0 {
		return &g
	}
	places := append(slices.Clone(f.Client.Places), make([]policy.Place, n)...)[:n]
	g.Client.Forwarded, g.Client.Places = nil, nil
	for _, i := range rnd.Perm(n) {
		g.Client.Forwarded = append(g.Client.Forwarded, f.Client.Forwarded[i])
		g.Client.Places = append(g.Client.Places, places[i])
	}
	return &g
}

// TestProperties generates sets and requests, and holds each decision to the
// twin's and to what must hold of all (POL-07, POL-09): a deny or a require
// more, an allow less, an exception that expires, or a fact that becomes
// unknown never loosens; the order of rules, files and addresses never matters;
// rules that report change nothing; what the client is told does not depend on
// the user. One thing is known to loosen: the loss of an allow that
// contradicted another one's answer.
func TestProperties(t *testing.T) {
	sets, requests := amount()
	seen := map[string]int{}
	for i := range sets {
		rnd := rand.New(rand.NewPCG(1, uint64(i)))
		x := newTrial(t, rnd)
		for range requests {
			f := randomFacts(rnd)
			broken, d := x.check(rnd, f)
			if broken != "" {
				t.Fatalf("seed %d, facts %+v:\n%s\n%s", i, f, broken, lines(x.rules))
			}
			v := verdict(&d)
			seen[fmt.Sprint(v.outcome, " ", v.answer, " ", d.Named)]++
			seen[fmt.Sprintf("owes %d", len(v.owed))]++
			seen[fmt.Sprintf("reports %v", len(v.reported) > 0)]++
		}
	}
	t.Log(sets*requests, "cases:", seen)
	if n := len(strings.Fields(fmt.Sprint(seen))); n < 20 || seen["owes 2"] == 0 {
		t.Errorf("the random sets reach too little: %v", seen)
	}
}
