package policy_test

import (
	"fmt"
	"maps"
	"math/rand/v2"
	"net/netip"
	"slices"
	"strings"
	"testing"
	"testing/fstest"
	"time"

	"stsgate/policy"
)

// The twin is a slow evaluator that follows the words of the language, rule
// by rule and address by address. It shares no code with the package.

type twinRule struct {
	name    string
	allow   bool
	match   map[string][]string // by key; nil for everyone
	not     map[string][]string
	answer  string
	expires time.Time
	report  bool
}

var (
	twinNetworks = map[string][]string{
		"n1": {"192.0.2.0/24"},
		"n2": {"192.0.2.0/25", "2001:db8::/32"},
		"n3": {"198.51.100.0/24", "192.0.2.128/32", "2001:db8:1::/48"},
		"n4": {"0.0.0.0/0"},
	}
	twinRealms  = map[string]string{"urn:a": "a", "urn:b": "b", "urn:b2": "b"}
	twinAnswers = map[string]string{"a": "issue", "b": "forward", "rest": "forward"}
	twinValues  = map[string][]string{
		"users":        {"alice@contoso.example", `CONTOSO\bob`, "*@partner.example", "svc-*", `LAB\*`},
		"groups":       {"staff", "Admins", "sales"},
		"domains":      {"CONTOSO", "lab"},
		"networks":     {"n1", "n2", "n3", "n4"},
		"applications": {"a", "b", "rest"},
		"endpoints":    {endpoint13, endpoint2005},
		"versions":     {"1.2", "1.3"},
	}
	twinKeys  = slices.Sorted(maps.Keys(twinValues))
	twinUsers = []policy.User{
		{},
		{Name: "Alice@contoso.example", SAM: "alice", Domain: "contoso", Groups: []string{"Staff", "others"}},
		{Name: "bob@partner.example", SAM: "bob", Domain: "CONTOSO", Groups: []string{"admins", "SALES"}},
		{Name: "svc-x@lab.example", SAM: "svc-x", Domain: "LAB", Groups: []string{"sales"}},
	}
	twinAddrs = append(addrs("192.0.2.1", "::ffff:192.0.2.128", "192.0.2.200", "198.51.100.7", "203.0.113.1",
		"2001:db8::1", "2001:db8:1::1%eth0", "2001:db9::1"), netip.Addr{})
)

// A tri is true (1), false (-1) or unknown (0).
type tri int

func triOf(b bool) tri {
	if b {
		return 1
	}
	return -1
}

// twinCondition evaluates one key.
func twinCondition(key string, values []string, f *policy.Facts) tri {
	one := func(fact policy.Fact, s string) tri {
		if !f.Known.Has(fact) {
			return 0
		}
		return triOf(slices.Contains(values, s))
	}
	switch key {
	case "applications":
		name := twinRealms[f.Request.AppliesTo]
		if name == "" {
			name = "rest"
		}
		return triOf(slices.Contains(values, name))
	case "endpoints":
		return one(policy.RequestEndpoint, f.Request.Endpoint)
	case "versions":
		return one(policy.RequestVersion, f.Request.Version)
	case "networks":
		return twinNetwork(values, f)
	}
	if !f.Known.Has(policy.UserName) {
		return 0
	}
	for _, v := range values {
		switch key {
		case "users":
			for _, name := range []string{f.User.Name, f.User.Domain + `\` + f.User.SAM} {
				if len(name) > 1 && twinUser(strings.ToLower(v), strings.ToLower(name)) {
					return 1
				}
			}
		case "groups":
			for _, g := range f.User.Groups {
				if strings.EqualFold(g, v) {
					return 1
				}
			}
		case "domains":
			if strings.EqualFold(f.User.Domain, v) {
				return 1
			}
		}
	}
	return -1
}

func twinUser(pattern, name string) bool {
	if text, ok := strings.CutSuffix(pattern, "*"); ok {
		return strings.HasPrefix(name, text)
	}
	if text, ok := strings.CutPrefix(pattern, "*"); ok {
		return strings.HasSuffix(name, text)
	}
	return pattern == name
}

func twinNetwork(names []string, f *policy.Facts) tri {
	clients := f.Client.Forwarded
	if !f.Known.Has(policy.ClientForwarded) || len(clients) == 0 && !f.Known.Has(policy.ClientAddress) {
		return 0
	}
	if len(clients) == 0 {
		clients = []netip.Addr{f.Client.Address}
	}
	in, out := 0, 0
	for _, a := range clients {
		if !a.IsValid() {
			return 0
		}
		found := false
		for _, name := range names {
			for _, p := range twinNetworks[name] {
				found = found || netip.MustParsePrefix(p).Contains(a.Unmap().WithZone(""))
			}
		}
		if found {
			in++
		} else {
			out++
		}
	}
	switch {
	case in > 0 && out == 0:
		return 1
	case out > 0 && in == 0:
		return -1
	default:
		return 0
	}
}

// matches is the and of all conditions; skipUser leaves those on the user out.
func (r *twinRule) matches(f *policy.Facts, skipUser bool) tri {
	if r.allow && !r.expires.IsZero() && (!f.Known.Has(policy.Time) || !f.Time.Before(r.expires)) {
		return -1
	}
	result := tri(1)
	for i, conditions := range []map[string][]string{r.match, r.not} {
		for key, values := range conditions {
			if skipUser && (key == "users" || key == "groups" || key == "domains") {
				continue
			}
			c := twinCondition(key, values, f)
			if i == 1 {
				c = -c
			}
			result = min(result, c)
		}
	}
	return result
}

func (r *twinRule) mentionsUser() bool {
	for _, key := range []string{"users", "groups", "domains"} {
		if r.match[key] != nil || r.not[key] != nil {
			return true
		}
	}
	return false
}

// A twinVerdict is what the twin says: allow, deny, conflict or unknown.
type twinVerdict struct {
	outcome, answer string
	reported        []string
}

// twinDecide evaluates all rules for which keep holds.
func twinDecide(rules []twinRule, f *policy.Facts, catchAll bool) twinVerdict {
	application := twinRealms[f.Request.AppliesTo]
	if application == "" {
		if !catchAll || f.Request.AppliesTo == "" {
			return twinVerdict{outcome: "unknown"}
		}
		application = "rest"
	}
	var v twinVerdict
	denied, allowed := false, false
	answers := map[string]bool{}
	for i := range rules {
		r := &rules[i]
		m := r.matches(f, false)
		applies := m == 1 || m == 0 && !r.allow
		switch {
		case applies && r.report:
			v.reported = append(v.reported, r.name)
		case applies && r.allow:
			allowed = true
			if r.answer != "" {
				answers[r.answer] = true
			}
		case applies:
			denied = true
		}
	}
	slices.Sort(v.reported)
	switch {
	case denied || !allowed:
		v.outcome = "deny"
	case len(answers) > 1:
		v.outcome = "conflict"
	case len(answers) == 1:
		v.outcome, v.answer = "allow", slices.Collect(maps.Keys(answers))[0]
	default:
		v.outcome, v.answer = "allow", twinAnswers[application]
	}
	return v
}

// twinNamed tells that the request is refused whoever the user is: denies
// that mention no user, and allows with the user's part granted.
func twinNamed(rules []twinRule, f *policy.Facts) bool {
	open := false
	answers := map[string]bool{}
	for i := range rules {
		r := &rules[i]
		m := r.matches(f, true)
		switch {
		case r.report:
		case !r.allow && m >= 0 && !r.mentionsUser():
			return true
		case r.allow && m == 1:
			open = true
			if r.answer != "" && !r.mentionsUser() {
				answers[r.answer] = true
			}
		}
	}
	return !open || len(answers) > 1
}

func pick(rnd *rand.Rand, list []string) []string {
	list = slices.Clone(list)
	rnd.Shuffle(len(list), func(i, j int) { list[i], list[j] = list[j], list[i] })
	return list[:1+rnd.IntN(min(3, len(list)))]
}

func randomConditions(rnd *rand.Rand, odds int, catchAll bool) map[string][]string {
	var m map[string][]string
	for _, key := range twinKeys {
		if rnd.IntN(odds) > 0 {
			continue
		}
		values := twinValues[key]
		if key == "applications" && !catchAll {
			values = values[:2]
		}
		if m == nil {
			m = map[string][]string{}
		}
		m[key] = pick(rnd, values)
	}
	return m
}

func randomRule(rnd *rand.Rand, i int, catchAll bool) twinRule {
	r := twinRule{name: fmt.Sprintf("r%d", i), allow: rnd.IntN(3) > 0, report: rnd.IntN(6) == 0}
	if rnd.IntN(8) > 0 {
		r.match = randomConditions(rnd, 5, catchAll)
		r.not = randomConditions(rnd, 12, catchAll)
	}
	if r.allow && rnd.IntN(6) == 0 {
		r.expires = noon.Add(time.Duration(rnd.IntN(3)-1) * time.Hour)
	}
	if r.allow && rnd.IntN(2) == 0 {
		r.answer = []string{"issue", "forward"}[rnd.IntN(2)]
		if catchAll && r.answer == "issue" { // which the loader insists on
			if r.not == nil {
				r.not = map[string][]string{}
			}
			r.not["applications"] = []string{"rest"}
		}
	}
	return r
}

func randomRules(rnd *rand.Rand, catchAll bool) []twinRule {
	rules := make([]twinRule, 1+rnd.IntN(8))
	for i := range rules {
		rules[i] = randomRule(rnd, i, catchAll)
	}
	return rules
}

func randomFacts(rnd *rand.Rand) *policy.Facts {
	f := &policy.Facts{
		Known: policy.AllFacts,
		Time:  noon.Add(time.Duration(rnd.IntN(3)-1) * time.Hour),
		User:  twinUsers[rnd.IntN(len(twinUsers))],
		Request: policy.Request{
			AppliesTo: []string{"urn:a", "urn:a", "urn:a", "urn:b", "urn:b2", "urn:c", "*", ""}[rnd.IntN(8)],
			Endpoint:  []string{endpoint13, endpoint2005}[rnd.IntN(2)],
			Version:   []string{"1.2", "1.3"}[rnd.IntN(2)],
		},
	}
	for _, fact := range []policy.Fact{policy.Time, policy.RequestEndpoint, policy.RequestVersion, policy.ClientAddress, policy.ClientForwarded} {
		if rnd.IntN(12) == 0 {
			f.Known = f.Known.Without(fact)
		}
	}
	if rnd.IntN(6) == 0 {
		f.Known &^= policy.UserFacts
	}
	address := func() netip.Addr { return twinAddrs[min(rnd.IntN(len(twinAddrs)), rnd.IntN(2*len(twinAddrs)))] }
	f.Client.Address = address()
	for range rnd.IntN(6) / 2 {
		f.Client.Forwarded = append(f.Client.Forwarded, address())
	}
	return f
}

// yaml writes the rule in the language.
func (r *twinRule) yaml() string {
	conditions := func(m map[string][]string) []string {
		var all []string
		for key, values := range m {
			all = append(all, fmt.Sprintf("%s: ['%s']", key, strings.Join(values, "', '")))
		}
		return all
	}
	match := conditions(r.match)
	if not := conditions(r.not); len(not) > 0 {
		match = append(match, "not: {"+strings.Join(not, ", ")+"}")
	}
	parts := []string{"name: " + r.name, "match: everyone", "deny: {}"}
	if len(match) > 0 {
		parts[1] = "match: {" + strings.Join(match, ", ") + "}"
	}
	if r.allow {
		parts[2] = "allow: {}"
		if r.answer != "" {
			parts[2] = "allow: {answer: " + r.answer + "}"
		}
	}
	if !r.expires.IsZero() {
		parts = append(parts, "expires: "+r.expires.Format(time.RFC3339))
	}
	if r.report {
		parts = append(parts, "mode: report-only")
	}
	return "  - {" + strings.Join(parts, ", ") + "}\n"
}

// twinSet loads the rules, spread over a number of files.
func twinSet(t testing.TB, rules []twinRule, files int, catchAll bool) *policy.Set {
	t.Helper()
	names := "networks:\n"
	for name, prefixes := range twinNetworks {
		names += fmt.Sprintf("  %s: ['%s']\n", name, strings.Join(prefixes, "', '"))
	}
	names += "applications:\n  a: {realms: ['urn:a'], answer: issue}\n  b: {realms: ['urn:b', 'urn:b2'], answer: forward}\n"
	if catchAll {
		names += "  rest: {realms: ['*'], answer: forward}\n"
	}
	mapped := fstest.MapFS{"names.yaml": {Data: []byte(names)}}
	for i := range rules {
		file := fmt.Sprintf("f%d.yaml", i%files)
		if mapped[file] == nil {
			mapped[file] = &fstest.MapFile{Data: []byte("rules:\n")}
		}
		mapped[file].Data = append(mapped[file].Data, rules[i].yaml()...)
	}
	s, err := policy.LoadUnlinted(mapped, vocabulary)
	if err != nil {
		t.Fatalf("%v\n%s", err, mapped["f0.yaml"].Data)
	}
	return s
}

// verdict renders a decision as the twin does.
func verdict(d policy.Decision) twinVerdict {
	v := twinVerdict{outcome: d.Effect.String()}
	for _, r := range d.Reported {
		v.reported = append(v.reported, r.Name)
	}
	slices.Sort(v.reported)
	switch {
	case d.Effect == policy.Allow:
		v.answer = d.Answer.String()
	case d.Cause == policy.UnknownApplication:
		v.outcome = "unknown"
	case d.Cause == policy.Conflict:
		v.outcome = "conflict"
	}
	return v
}

// sets and factsPerSet give a million decisions in the long run (POL-07).
func amount(t *testing.T) (sets, factsPerSet int) {
	if testing.Short() {
		return 100, 100
	}
	return 2_000, 500
}

// TestTwin compares each decision with the twin's. A conflict may also be
// named where the twin, which knows no precedence of causes, says deny.
func TestTwin(t *testing.T) {
	sets, factsPerSet := amount(t)
	seen := map[string]int{}
	for i := range sets {
		rnd := rand.New(rand.NewPCG(1, uint64(i)))
		catchAll := rnd.IntN(2) == 0
		rules := randomRules(rnd, catchAll)
		s := twinSet(t, rules, 1+rnd.IntN(3), catchAll)
		for range factsPerSet {
			f := randomFacts(rnd)
			d := s.Decide(f)
			got, want := verdict(d), twinDecide(rules, f, catchAll)
			named := want.outcome == "unknown" || want.outcome != "allow" && twinNamed(rules, f)
			if want.outcome == "deny" && got.outcome == "conflict" && named {
				want.outcome = "conflict"
			}
			if fmt.Sprint(got) != fmt.Sprint(want) || d.Named != named {
				t.Fatalf("seed %d, facts %+v:\ngot  %+v named %v (%s)\nwant %+v named %v\n%s", i, f, got, d.Named, d.Why(), want, named, lines(rules))
			}
			seen[fmt.Sprint(got.outcome, " ", got.answer, " ", named)]++
		}
	}
	t.Log(seen)
	if len(seen) < 7 {
		t.Errorf("the random sets reach too little: %v", seen)
	}
}

func lines(rules []twinRule) string {
	var b strings.Builder
	for i := range rules {
		b.WriteString(rules[i].yaml())
	}
	return b.String()
}

// TestMonotone checks that adding a deny never allows more and that removing
// an allow never does, but for an allow that contradicted another one's answer
// (POL-07).
func TestMonotone(t *testing.T) {
	sets, factsPerSet := amount(t)
	for i := range sets / 4 {
		rnd := rand.New(rand.NewPCG(2, uint64(i)))
		rules := randomRules(rnd, false)
		before := twinSet(t, rules, 1, false)
		deny := randomRule(rnd, len(rules), false)
		deny.allow, deny.answer, deny.expires = false, "", time.Time{}
		more := twinSet(t, append(slices.Clone(rules), deny), 1, false)
		at := rnd.IntN(len(rules))
		fewer := before
		if rules[at].allow {
			fewer = twinSet(t, slices.Delete(slices.Clone(rules), at, at+1), 1, false)
		}
		for range factsPerSet {
			f := randomFacts(rnd)
			d := before.Decide(f)
			if d.Effect == policy.Allow {
				continue
			}
			if e := more.Decide(f); e.Effect == policy.Allow {
				t.Fatalf("seed %d: with deny %s, %s becomes %s", i, deny.yaml(), decided(d), decided(e))
			}
			if e := fewer.Decide(f); e.Effect == policy.Allow && d.Cause != policy.Conflict {
				t.Fatalf("seed %d: without %s, %s becomes %s", i, rules[at].yaml(), decided(d), decided(e))
			}
		}
	}
}

// TestOrder checks that neither the order of rules and files nor that of the
// client's addresses matters (POL-07).
func TestOrder(t *testing.T) {
	sets, factsPerSet := amount(t)
	for i := range sets / 4 {
		rnd := rand.New(rand.NewPCG(3, uint64(i)))
		rules := randomRules(rnd, true)
		s := twinSet(t, rules, 1, true)
		shuffled := slices.Clone(rules)
		rnd.Shuffle(len(rules), func(i, j int) { shuffled[i], shuffled[j] = shuffled[j], shuffled[i] })
		other := twinSet(t, shuffled, 1+rnd.IntN(4), true)
		for range factsPerSet {
			f := randomFacts(rnd)
			got := decided(s.Decide(f))
			list := f.Client.Forwarded
			rnd.Shuffle(len(list), func(i, j int) { list[i], list[j] = list[j], list[i] })
			if again := decided(other.Decide(f)); got != again {
				t.Fatalf("seed %d: got %s, in another order %s", i, got, again)
			}
		}
	}
}

// TestNamed checks that what the client may be told does not depend on the
// user: everybody hears the same (POL-09).
func TestNamed(t *testing.T) {
	sets, factsPerSet := amount(t)
	for i := range sets / 4 {
		rnd := rand.New(rand.NewPCG(4, uint64(i)))
		s := twinSet(t, randomRules(rnd, true), 1, true)
		for range factsPerSet / 4 {
			f := randomFacts(rnd)
			known := f.Known
			told := func(u policy.User) string {
				f.User, f.Known = u, known.With(policy.UserName, policy.UserGUID, policy.UserDomain, policy.UserGroups)
				if u.Name == "" && u.Domain == "down" {
					f.Known = known &^ policy.UserFacts
				}
				switch d := s.Decide(f); {
				case !d.Named:
					return "nothing"
				case d.Cause == policy.Conflict || d.Cause == policy.UnknownApplication:
					return d.Cause.String()
				default:
					return "denied"
				}
			}
			first := told(policy.User{Domain: "down"})
			for _, u := range twinUsers {
				if got := told(u); got != first {
					t.Fatalf("seed %d, facts %+v: %q for one user and %q for another", i, f, first, got)
				}
			}
		}
	}
}
