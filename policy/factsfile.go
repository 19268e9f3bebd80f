package policy

import (
	"fmt"
	"math"
	"net/netip"
	"slices"
	"strconv"
	"strings"

	"go.yaml.in/yaml/v4"
)

// A FactsFile is the facts of a request as a file or a test gives them:
//
//	user: {name: alice@contoso.example, guid: ..., sam: alice, domain: CONTOSO, groups: [staff]}
//	client: {address: 203.0.113.7, forwarded: [...], country: DE, asn: 64500, family: adal, user_agent: ..., familiar: true}
//	source: {failed_users: 0, failures: 0}
//	request: {applies_to: "urn:payroll", endpoint: ..., version: 1.3, type: issue, credential: password, token_type: saml1.1, key_type: bearer, soap: 1.2}
//	delegation: {on_behalf_of: ..., act_as: ...}
//	time: 2026-11-22T10:00:00Z
//	unknown: [user.groups, client.country]
//
// A fact that is left out is empty; an address, which no request lacks, is ::,
// and a time, which none lacks either, is unknown.
// Those under unknown could not be read; a first part such as user stands for
// all facts of the user. Country and asn have one value for all addresses that
// the client may be at, or a list with one for each. The application follows
// from applies_to.
//
// The facts of an audit record are of this form in JSON. They may have
// not_read beside unknown: facts that nobody asked for, or whose value was too
// long for the record. Read from a file, these are unknown too.
type FactsFile struct {
	Facts Facts
	// Given are the facts that the file names, be it as empty or as unknown: a
	// first part with no facts, such as user: {}, gives all of them as empty.
	// An address, its country or its asn gives client.forwarded as well, and
	// applies_to the application.
	Given FactSet
}

// ReadFacts reads a file of facts: their mapping, or a mapping of facts with
// that, and unknown beside it. The error is of type Errors and holds every
// mistake.
func ReadFacts(name string, content []byte) (FactsFile, error) {
	var errs Errors
	r := &reader{file: name, needs: "facts", errs: &errs}
	var file FactsFile
	switch n := r.parse(content); {
	case n == nil:
	case n.Kind == yaml.MappingNode && slices.ContainsFunc(n.Content, func(c *yaml.Node) bool { return c.Value == "facts" }):
		fields := r.keyed(n, "a mapping with facts", "", []string{"facts", "unknown"})
		if f, ok := fields["facts"]; ok {
			file = r.facts(f.value, fields["unknown"].value)
		}
	default:
		file = r.facts(n, nil)
	}
	if len(errs) > 0 {
		return FactsFile{}, errs.sorted()
	}
	return file, nil
}

// A factsReader reads one mapping of facts.
type factsReader struct {
	*reader
	file         FactsFile
	named        map[Fact]bool
	country, asn *yaml.Node
}

// facts reads a mapping of facts, and a list of those that are unknown, which
// may be nil.
func (r *reader) facts(n, unknown *yaml.Node) FactsFile {
	w := &factsReader{reader: r, file: FactsFile{Facts: Facts{Known: AllFacts}}, named: make(map[Fact]bool)}
	fields := r.keyed(n, "a mapping of facts", "", append(factGroups(), "unknown", "not_read"))
	for _, group := range factGroups() {
		if f, ok := fields[group]; ok {
			w.group(group, f.value)
		}
	}
	w.places()
	w.unknown(fields["unknown"].value, false)
	w.unknown(unknown, false)
	w.unknown(fields["not_read"].value, true)
	if !w.named[Time] {
		w.file.Facts.Known = w.file.Facts.Known.Without(Time)
	}
	if c := &w.file.Facts.Client; !w.named[ClientAddress] && len(c.Forwarded) == 0 {
		c.Address = netip.IPv6Unspecified()
	}
	if w.named[ClientAddress] || w.named[ClientCountry] || w.named[ClientASN] {
		w.file.Given = w.file.Given.With(ClientForwarded)
	}
	if w.file.Given.Has(RequestAppliesTo) {
		w.file.Given = w.file.Given.With(RequestApplication)
	}
	if !w.file.Facts.Known.Has(RequestAppliesTo) {
		w.file.Facts.Known = w.file.Facts.Known.Without(RequestApplication)
	}
	return w.file
}

// factGroups returns the first parts of the names of facts.
func factGroups() []string {
	var groups []string
	for _, f := range factInfos {
		if group, _, _ := strings.Cut(f.Name, "."); !slices.Contains(groups, group) {
			groups = append(groups, group)
		}
	}
	return groups
}

// keyed reads a mapping whose keys are these, which are below in.
func (r *reader) keyed(n *yaml.Node, what, in string, known []string) map[string]field {
	all := make(map[string]field)
	for _, f := range r.entries(n, what) {
		key := f.key.Value
		switch {
		case slices.Contains(known, key):
			all[key] = f
		case in+key == RequestApplication.String():
			r.fail(f.key, "%s%s follows from %s, and is not given", in, key, RequestAppliesTo)
		case nearest(key, known) != "":
			r.fail(f.key, "unknown key %q: did you mean %q?", key, nearest(key, known))
		default:
			r.fail(f.key, "unknown key %q: the keys here are %s", key, strings.Join(known, ", "))
		}
	}
	return all
}

// group reads the facts of one first part.
func (w *factsReader) group(group string, n *yaml.Node) {
	if group == Time.String() {
		w.read(Time, n)
		return
	}
	var known []string
	facts := make(map[string]Fact)
	for f := range NumFacts {
		key, in := strings.CutPrefix(f.String(), group+".")
		if !in || f == RequestApplication {
			continue
		}
		known, facts[key] = append(known, key), f
		if n.Kind == yaml.MappingNode && len(n.Content) == 0 {
			w.file.Given = w.file.Given.With(f)
		}
	}
	const sam = "sam"
	if group == "user" {
		known = append(known, sam)
	}
	for key, f := range w.keyed(n, "a mapping of facts", group+".", known) {
		if key == sam {
			w.file.Facts.User.SAM, _ = w.anyText(f.value, "a name")
			continue
		}
		w.read(facts[key], f.value)
	}
}

// read reads one fact.
func (w *factsReader) read(f Fact, n *yaml.Node) {
	facts := &w.file.Facts
	w.file.Given, w.named[f] = w.file.Given.With(f), true
	switch f {
	case UserGroups:
		facts.User.Groups = listOf(w, n, "a list of names", w.nameOf)
	case ClientAddress:
		facts.Client.Address, _ = w.address(n)
	case ClientForwarded:
		facts.Client.Forwarded = listOf(w, n, "a list of addresses", w.address)
	case ClientCountry:
		w.country = n
	case ClientASN:
		w.asn = n
	case ClientFamiliar:
		facts.Client.Familiar = w.truth(n)
	case SourceFailedUsers:
		facts.Source.FailedUsers = w.number(n, math.MaxInt32)
	case SourceFailures:
		facts.Source.Failures = w.number(n, math.MaxInt32)
	case Time:
		facts.Time = w.instant(n)
	default:
		*facts.text(f) = w.textOf(f, n)
	}
}

// textOf reads a fact of type text.
func (w *factsReader) textOf(f Fact, n *yaml.Node) string {
	words := w.closedWords(f)
	if n.Kind == yaml.ScalarNode && n.ShortTag() == "!!float" && slices.Contains(words, n.Value) {
		return n.Value // a version
	}
	s, ok := w.anyText(n, "text")
	switch {
	case !ok || words == nil || s == "":
	case spelled[s] != "":
		w.fail(n, "%q is known by its word: write %s", s, spelled[s])
	case !mayBe(f, words, s):
		w.fail(n, "%s is never %q%s", f, s, oneOf(s, words))
	}
	return s
}

// anyText reads text of any characters, as a client may choose them.
func (w *factsReader) anyText(n *yaml.Node, what string) (string, bool) {
	if !w.is(n, yaml.ScalarNode, what) || n.Style&yaml.TaggedStyle != 0 {
		return "", false
	}
	switch tag := n.ShortTag(); tag {
	case "!!str":
		return n.Value, true
	case "!!null":
		w.fail(n, `want %s, got nothing: "" is empty`, what)
	default:
		w.fail(n, "want %s, got %s: put it in quotes", what, kind(n))
	}
	return "", false
}

func (w *factsReader) nameOf(n *yaml.Node) (string, bool) { return w.anyText(n, "a name") }

// address reads an address as facts have it.
func (w *factsReader) address(n *yaml.Node) (netip.Addr, bool) {
	s, ok := w.anyText(n, "an address")
	if !ok {
		return netip.Addr{}, false
	}
	a, err := netip.ParseAddr(s)
	if err != nil || a.Zone() != "" {
		w.fail(n, "%q is no address: want one such as 203.0.113.7 or 2001:db8::7", s)
		return netip.Addr{}, false
	}
	return a.Unmap(), true
}

func (w *factsReader) number(n *yaml.Node, most uint64) int {
	v, err := strconv.ParseUint(n.Value, 10, 64)
	switch {
	case !w.is(n, yaml.ScalarNode, "a number"):
		return 0
	case n.ShortTag() != "!!int" || err != nil || v > most:
		w.fail(n, "want a number from 0 to %d, got %q", most, n.Value)
		return 0
	}
	return int(v)
}

func (w *factsReader) countryOf(n *yaml.Node) (string, bool) {
	s, ok := w.anyText(n, "a country")
	if ok && s != "" && !isCountry(s) {
		w.fail(n, "%q is not a two-letter code of ISO 3166-1, such as DE", s)
	}
	return s, ok
}

func (w *factsReader) asnOf(n *yaml.Node) (int, bool) { return w.number(n, math.MaxUint32), true }

// places fills in the countries and the autonomous systems, once the number
// of addresses is known.
func (w *factsReader) places() {
	client := &w.file.Facts.Client
	count := max(1, len(client.Forwarded))
	countries := forEach(w, w.country, count, w.countryOf)
	numbers := forEach(w, w.asn, count, w.asnOf)
	if countries == nil && numbers == nil {
		return
	}
	client.Places = make([]Place, count)
	for i := range count {
		if countries != nil {
			client.Places[i].Country = countries[i]
		}
		if numbers != nil {
			client.Places[i].ASN = uint32(numbers[i])
		}
	}
}

// listOf reads a list, which may be empty.
func listOf[T any](w *factsReader, n *yaml.Node, what string, read func(*yaml.Node) (T, bool)) []T {
	if !w.is(n, yaml.SequenceNode, what) {
		return nil
	}
	var all []T
	for _, c := range n.Content {
		if v, ok := read(c); ok {
			all = append(all, v)
		}
	}
	return all
}

// forEach reads one value for all addresses, or a list with one for each. The
// result is nil, or as long as there are addresses.
func forEach[T any](w *factsReader, n *yaml.Node, count int, read func(*yaml.Node) (T, bool)) []T {
	switch {
	case n == nil:
		return nil
	case n.Kind != yaml.SequenceNode:
		v, _ := read(n)
		return slices.Repeat([]T{v}, count)
	}
	all := listOf(w, n, "a list", read)
	if len(n.Content) != count {
		w.fail(n, "want one value, or %d: one for each address", count)
	}
	if len(all) != count {
		return nil
	}
	return all
}

// unknown reads a list of facts that are unknown, and may have a value that is
// cut.
func (w *factsReader) unknown(n *yaml.Node, cut bool) {
	if n == nil {
		return
	}
	for _, name := range w.texts(n, "a list of facts", "fact", func(c *yaml.Node) (string, bool) { return w.text(c, "the name of a fact") }) {
		found := false
		for f := range NumFacts {
			if f != RequestApplication && (f.String() == name.text || strings.HasPrefix(f.String(), name.text+".")) {
				found = true
				w.forget(f, name, cut)
			}
		}
		if !found {
			w.failAt(name.at.line, name.at.column, "unknown fact %q%s", name.text, didYouMean(name.text, factNames()))
		}
	}
}

// forget makes a fact unknown.
func (w *factsReader) forget(f Fact, name named, cut bool) {
	switch {
	case !w.named[f] || cut:
	case name.text == f.String():
		w.failAt(name.at.line, name.at.column, "%s has a value already", f)
		return
	default:
		return // a first part stands for the facts that have no value
	}
	w.file.Facts.Known = w.file.Facts.Known.Without(f)
	w.file.Given = w.file.Given.With(f)
}

// factNames returns the names of the facts that a file may call unknown, and
// their first parts.
func factNames() []string {
	names := factGroups()
	for f := range NumFacts {
		if f != RequestApplication {
			names = append(names, f.String())
		}
	}
	return names
}

// oneOf says which of the words may be meant, or all of a few.
func oneOf(s string, words []string) string {
	if hint := didYouMean(s, words); hint != "" || len(words) > 8 {
		return hint
	}
	return fmt.Sprintf(": want one of %q", words)
}
