package family_test

import (
	"bytes"
	"slices"
	"strings"
	"testing"

	"stsgate/gateway/family"
	"stsgate/gateway/soap"
)

// Mutants: with another prefix, another order, another id, another media
// type, other quotes, other white space or an element more a request is unknown, never of
// another family.
func TestMutants(t *testing.T) {
	t.Run("own", func(t *testing.T) { mutate(t, own(t)) })
	t.Run("collected", func(t *testing.T) { mutate(t, collected(t)) })
}

func mutate(t *testing.T, messages []message) {
	counts := make(map[string]int)
	for _, m := range messages {
		if m.family == family.Unknown {
			continue
		}
		for kind, mutants := range map[string][]message{
			"prefix":      otherPrefixes(t, m),
			"order":       otherOrders(t, m),
			"id":          otherIDs(t, m),
			"media type":  otherMediaTypes(m),
			"quotes":      {otherQuotes(m)},
			"white space": {otherSpace(t, m)},
			"declaration": {otherDeclaration(t, m)},
			"element":     oneMore(t, m),
		} {
			if len(mutants) == 0 {
				t.Errorf("%s: no mutant with another %s", m.file, kind)
			}
			for _, mutant := range mutants {
				counts[kind]++
				d, err := soap.Scan(mutant.body, soap.Request)
				if err != nil {
					t.Errorf("%s, another %s: %v\n%s", m.file, kind, err, mutant.body)
				} else if got := family.Of(d, mutant.headers); got != family.Unknown {
					t.Errorf("%s, another %s: got %s\n%+v\n%s", m.file, kind, got, mutant.headers, mutant.body)
				}
			}
		}
	}
	t.Log(counts)
}

// fixed returns the elements of a request that its client's software writes,
// and not its application, in containers that the shape is made of.
func fixed(m message, d *soap.Document) []*soap.Element {
	end := int32(len(m.body))
	var elements []*soap.Element
	for i := range d.Elements() {
		e := &d.Elements()[i]
		if e.Start >= end {
			break
		}
		if in := d.Parent(e); in != nil && slices.Contains(containers, in.Name.Local) {
			elements = append(elements, e)
		}
		switch {
		case m.family == family.Zeep && e.Name.Local == "RequestSecurityToken":
			end = e.ContentStart
		case m.family == family.WSS4J && e.Name.Local == "Password":
			end = e.End
		}
	}
	return elements
}

var containers = []string{
	"Envelope", "Header", "Body", "ReplyTo", "Security", "Timestamp", "UsernameToken",
	"RequestSecurityToken", "AppliesTo", "EndpointReference",
}

// with returns m with a part of its body replaced.
func (m message) with(start, end int32, text string) message {
	m.body = slices.Concat(m.body[:start], []byte(text), m.body[end:])
	return m
}

// otherPrefixes renames each prefix that is used.
func otherPrefixes(t *testing.T, m message) []message {
	d := m.scan(t)
	used := map[string]bool{string(d.Prefix(d.Root())): true}
	for _, e := range fixed(m, d) {
		used[string(d.Prefix(e))] = true
	}
	delete(used, "")
	var mutants []message
	for p := range used {
		mutant := m
		mutant.body = []byte(strings.NewReplacer(
			"<"+p+":", "<q:", "</"+p+":", "</q:", " "+p+":", " q:", "xmlns:"+p+"=", "xmlns:q=",
		).Replace(string(m.body)))
		mutants = append(mutants, mutant)
	}
	return mutants
}

// otherOrders changes each two neighbours about.
func otherOrders(t *testing.T, m message) []message {
	d := m.scan(t)
	elements := fixed(m, d)
	var mutants []message
	for _, a := range elements {
		for _, b := range elements {
			if b.Start < a.End || d.Parent(a) != d.Parent(b) || len(bytes.TrimSpace(m.body[a.End:b.Start])) > 0 || a.Name == b.Name {
				continue
			}
			if a.Name.Local == "Header" {
				continue // it is no envelope with the Body first
			}
			swapped := string(d.Raw(b)) + string(m.body[a.End:b.Start]) + string(d.Raw(a))
			mutants = append(mutants, m.with(a.Start, b.End, swapped))
		}
	}
	return mutants
}

// otherIDs changes each id.
func otherIDs(t *testing.T, m message) []message {
	d := m.scan(t)
	var mutants []message
	for _, e := range fixed(m, d) {
		if strings.EqualFold(e.Name.Local, "MessageID") {
			mutants = append(mutants, m.with(e.ContentStart, e.ContentEnd, "urn:uuid:1"))
		}
		for a := range d.RawAttrs(e) {
			if a.Name.Local == "Id" {
				at := int32(cap(m.body) - cap(a.Raw)) // it lies in the body
				mutants = append(mutants, m.with(at, at+int32(len(a.Raw)), "id-of-mine"))
			}
		}
	}
	if len(mutants) == 0 { // no ids: that is a trait as well
		root := d.Elements()[1]
		mutants = append(mutants, m.with(root.ContentStart-1, root.ContentStart-1, " Id='_1'"))
	}
	return mutants
}

func otherMediaTypes(m message) []message {
	var mutants []message
	for _, contentType := range []string{
		"text/xml", "application/xml; charset=utf-8", "application/soap+xml;charset=utf-8", `text/xml; charset="utf-8"`,
		`application/soap+xml; charset=UTF-8; action="urn:a"`, "multipart/related",
	} {
		mutant := m
		mutant.headers.ContentType = contentType
		mutants = append(mutants, mutant)
	}
	return mutants
}

// otherQuotes uses the other quotes in all tags.
func otherQuotes(m message) message {
	mutant := m
	mutant.body = bytes.Clone(m.body)
	inTag, in := false, byte(0)
	for i, c := range mutant.body {
		switch {
		case !inTag:
			inTag = c == '<'
		case in != 0 && c == in, in == 0 && (c == '"' || c == '\''):
			mutant.body[i] = '"' + '\'' - c
			if in = c ^ in; in != c {
				in = 0
			}
		case in == 0 && c == '>':
			inTag = false
		}
	}
	if bytes.Contains(m.body, []byte("mustUnderstand=\"")) && bytes.Contains(m.body, []byte("mustUnderstand='")) {
		mutant.body = bytes.ReplaceAll(m.body, []byte("'"), []byte(`"`))
	}
	return mutant
}

// otherSpace puts a blank line before Header, or takes it away.
func otherSpace(t *testing.T, m message) message {
	d := m.scan(t)
	root, first := d.Root(), &d.Elements()[1]
	if first.Start > root.ContentStart {
		return m.with(root.ContentStart, first.Start, "")
	}
	return m.with(root.ContentStart, root.ContentStart, "\n")
}

// otherDeclaration writes an XML declaration as no client does.
func otherDeclaration(t *testing.T, m message) message {
	return m.with(0, m.scan(t).Root().Start, `<?xml version="1.0" encoding="Utf-8"?>`)
}

// oneMore adds an element at the end of each container.
func oneMore(t *testing.T, m message) []message {
	d := m.scan(t)
	seen := make(map[*soap.Element]bool)
	var mutants []message
	for _, e := range fixed(m, d) {
		in := d.Parent(e)
		if m.family == family.WSS4J || seen[in] || m.family == family.Zeep && (in.Name.Local == "Body" || in == d.Root()) {
			continue // what is behind it is the application's
		}
		seen[in] = true
		mutants = append(mutants, m.with(in.ContentEnd, in.ContentEnd, "<q:more xmlns:q='urn:q'/>"))
	}
	if m.family == family.WSS4J {
		root := d.Root()
		mutants = append(mutants, m.with(root.ContentStart, root.ContentStart, "<q:more xmlns:q='urn:q'/>"))
	}
	return mutants
}
