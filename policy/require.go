package policy

import (
	"slices"
	"strconv"
	"strings"
	"time"

	"go.yaml.in/yaml/v4"
)

// Shapes is a set of ways in which a second factor may come.
type Shapes uint8

const (
	Hold      Shapes = 1 << iota // the request waits while the user approves
	Code                         // a code follows the password
	Grant                        // the user approved beforehand
	Challenge                    // a fault tells a number, and the retry redeems it

	allShapes = Hold | Code | Grant | Challenge
	// hiddenShapes do not tell the client that its password was right.
	hiddenShapes = Code | Grant
)

var shapeNames = []string{"hold", "code", "grant", "challenge"}

// Has reports that all of these are in the set.
func (s Shapes) Has(all Shapes) bool { return s&all == all }

// String returns the names, with a comma between two.
func (s Shapes) String() string { return joinNames(uint8(s), shapeNames) }

// Factors is a set of second factors.
type Factors uint8

const (
	TOTP Factors = 1 << iota
	Passkey
	RADIUS
	Recovery

	defaultFactors = TOTP | Passkey | RADIUS
	// typedFactors can be a code behind the password.
	typedFactors = TOTP | RADIUS | Recovery
)

var factorNames = []string{"totp", "passkey", "radius", "recovery"}

// Has reports that all of these are in the set.
func (f Factors) Has(all Factors) bool { return f&all == all }

// String returns the names, with a comma between two.
func (f Factors) String() string { return joinNames(uint8(f), factorNames) }

func joinNames(set uint8, names []string) string {
	var all []string
	for i, name := range names {
		if set>>i&1 == 1 {
			all = append(all, name)
		}
	}
	return strings.Join(all, ",")
}

// An MFA is a second factor that a rule requires.
type MFA struct {
	// Shapes are the ways in which it may come, and Factors what it may be.
	Shapes  Shapes
	Factors Factors
	// Remember is how long a proof stands for later requests, up to 24 hours;
	// 0 means that each request needs its own.
	Remember time.Duration
	// ByNetwork tells that a remembered proof stands for the client's network
	// and not for its address alone.
	ByNetwork bool
	// Number tells that the approval must be tied to the request by a number or
	// a code, which Shapes already says.
	Number bool
}

// ShapesFor returns the shapes that an application can take.
func (m *MFA) ShapesFor(a *Application) Shapes {
	if a.Hide {
		return m.Shapes & hiddenShapes
	}
	return m.Shapes
}

// maxRemember is the longest that a proof is remembered (security.md, MFA-15).
const maxRemember = 24 * time.Hour

// A Limit caps tokens and requests.
type Limit struct {
	// Lifetime is the longest that a token may be valid, 0 for no cap.
	Lifetime time.Duration
	Rate     Rate
}

// A Rate is how many requests of one user may pass within a time. The zero
// Rate is no cap.
type Rate struct {
	Count int
	Per   time.Duration
}

// Bounds of a rate.
const (
	maxRateCount = 1_000_000
	minRatePer   = time.Second
	// MaxRatePer is the longest time that a rate counts.
	MaxRatePer = 24 * time.Hour
)

// require reads what a rule requires.
func (r *reader) require(n *yaml.Node, rule *Rule) {
	fields := r.fields(n, inRequire, "a mapping with mfa or limit")
	if fields != nil && len(n.Content) == 0 {
		r.fail(n, "a require needs mfa or limit")
	}
	if f, ok := fields["mfa"]; ok {
		rule.MFA = r.mfa(f.value)
	}
	if f, ok := fields["limit"]; ok {
		rule.Limit = r.limit(f.value)
	}
}

func (r *reader) mfa(n *yaml.Node) *MFA {
	m := &MFA{Shapes: allShapes, Factors: defaultFactors}
	fields := r.fields(n, inMFA, "a mapping, which may be empty: {}")
	if f, ok := fields["factors"]; ok {
		m.Factors = Factors(r.set(f.value, "a list of factors", "factor", factorNames))
	}
	if f, ok := fields["assurance"]; ok {
		m.Number = r.assurance(f.value)
	}
	r.shapes(fields, m)
	if f, ok := fields["remember"]; ok {
		d, ok := r.duration(f.value, "30m or 8h")
		if ok && (d < 0 || d > maxRemember) {
			r.fail(f.value, "a proof is remembered for up to 24h, not %s", f.value.Value)
		}
		m.Remember = d
	}
	if f, ok := fields["bind"]; ok {
		word, _ := r.word(f.value, "address", "network")
		m.ByNetwork = word == "network"
	}
	return m
}

// shapes reads the shapes, or takes those that the other keys leave. A shape
// that is named and cannot be met is a mistake.
func (r *reader) shapes(fields map[string]field, m *MFA) {
	f, named := fields["shapes"]
	if named {
		m.Shapes = Shapes(r.set(f.value, "a list of shapes", "shape", shapeNames))
	}
	drop := func(s Shapes, why string) {
		if named && m.Shapes.Has(s) {
			r.fail(f.value, "%s", why)
		}
		m.Shapes &^= s
	}
	if m.Factors != 0 && m.Factors&typedFactors == 0 {
		drop(Code, "the shape code needs a factor that can be typed: totp, radius or recovery")
	}
	if m.Number {
		drop(Hold, "assurance: number leaves out the shape hold: a client that waits shows no number")
	}
}

// assurance reads what a proof must be worth.
func (r *reader) assurance(n *yaml.Node) (number bool) {
	if n.Kind == yaml.ScalarNode && n.Value == "phishing-resistant" {
		r.fail(n, "no shape is phishing-resistant: none of them ties the proof to the client's connection; want any or number")
		return false
	}
	word, _ := r.word(n, "any", "number")
	return word == "number"
}

// set reads a list of words as a bit for each.
func (r *reader) set(n *yaml.Node, list, what string, words []string) uint8 {
	var all uint8
	read := func(c *yaml.Node) (string, bool) {
		s, ok := r.text(c, "a "+what)
		if ok && !slices.Contains(words, s) {
			if near := nearest(s, words); near != "" {
				r.fail(c, "unknown %s %q: did you mean %q?", what, s, near)
			} else {
				r.fail(c, "unknown %s %q: want %s", what, s, strings.Join(words, ", "))
			}
			return "", false
		}
		return s, ok
	}
	for _, v := range r.texts(n, list, what, read) {
		all |= 1 << slices.Index(words, v.text)
	}
	return all
}

func (r *reader) limit(n *yaml.Node) Limit {
	var l Limit
	fields := r.fields(n, inLimit, "a mapping with lifetime or rate")
	if fields != nil && len(n.Content) == 0 {
		r.fail(n, "a limit needs lifetime or rate")
	}
	if f, ok := fields["lifetime"]; ok {
		l.Lifetime = r.lifetime(f.value)
	}
	if f, ok := fields["rate"]; ok {
		l.Rate = r.rate(f.value)
	}
	return l
}

func (r *reader) rate(n *yaml.Node) Rate {
	s, ok := r.text(n, "a rate such as 20/1m")
	if !ok {
		return Rate{}
	}
	count, per, _ := strings.Cut(s, "/")
	number, err := strconv.Atoi(count)
	d, wrong := time.ParseDuration(per)
	switch {
	case err != nil || wrong != nil || strconv.Itoa(number) != count:
		r.fail(n, "%q is not a rate such as 20/1m", s)
	case number < 1 || number > maxRateCount:
		r.fail(n, "a rate counts 1 to %d requests, not %s", maxRateCount, count)
	case d < minRatePer || d > MaxRatePer:
		r.fail(n, "a rate counts for 1s to 24h, not %s", per)
	}
	return Rate{number, d}
}

// meetable refuses a second factor that an application of the rule cannot take.
func (l *loader) meetable(rule *Rule) {
	if rule.MFA == nil {
		return
	}
	for _, a := range l.applications {
		if rule.MFA.Shapes != 0 && rule.covers(a.Name) && rule.MFA.ShapesFor(a) == 0 {
			l.failAt(rule.effectAt, "application %q has oracle: hide and takes only code and grant, and rule %q allows neither", a.Name, rule.Name)
		}
	}
}
