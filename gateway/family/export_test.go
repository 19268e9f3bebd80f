package family

import (
	"strings"

	"stsgate/gateway/soap"
)

// Traits are those of one request.
type Traits struct {
	ContentType, SOAPAction, Prolog, Quotes, Layout, Outline string
}

// TraitsOf returns the traits of a request.
func TraitsOf(d *soap.Document, h Headers) Traits {
	var s shape
	s.read(d)
	return Traits{
		ContentType: h.ContentType,
		SOAPAction:  actionForm(h.SOAPAction),
		Prolog:      string(s.prolog),
		Quotes:      s.quotes,
		Layout:      s.layout,
		Outline:     strings.TrimSpace(string(s.outline[:s.size])),
	}
}

// Fitting returns the numbers of the fingerprints that a request has all traits of.
func Fitting(d *soap.Document, h Headers) []int {
	var s shape
	s.read(d)
	var fitting []int
	for i := range table {
		if table[i].fits(&s, h) {
			fitting = append(fitting, i)
		}
	}
	return fitting
}

// Fingerprint returns the name, the software, the source and the trait of a
// fingerprint, and whether there is one of this number.
func Fingerprint(i int) (name Name, text [3]string, ok bool) {
	if i >= len(table) {
		return "", text, false
	}
	return table[i].name, [3]string{table[i].software, table[i].source, table[i].trait}, true
}

// Learnt reports whether a request has the traits of a fingerprint that says
// of each which values it may have.
func Learnt(outline string, others []Traits, d *soap.Document, h Headers) bool {
	f := fingerprint{outline: outline, quotes: others[0].Quotes}
	for _, t := range others {
		f.contentTypes = append(f.contentTypes, t.ContentType)
		f.soapAction = append(f.soapAction, t.SOAPAction)
		f.prologs = append(f.prologs, t.Prolog)
		f.layouts = append(f.layouts, t.Layout)
	}
	var s shape
	s.read(d)
	return compile([]fingerprint{f})[0].fits(&s, h)
}

// Choose returns the name of a request by fingerprints that have its traits
// and these names.
func Choose(names []Name, d *soap.Document, h Headers) Name {
	var s shape
	s.read(d)
	t := TraitsOf(d, h)
	var all []fingerprint
	for _, n := range names {
		all = append(all, fingerprint{
			name: n, contentTypes: []string{t.ContentType}, soapAction: []string{t.SOAPAction},
			prologs: []string{t.Prolog}, quotes: t.Quotes, layouts: []string{t.Layout}, outline: t.Outline,
		})
	}
	return choose(compile(all), &s, h)
}
