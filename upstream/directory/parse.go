package directory

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"iter"
	"slices"
	"strings"
	"unicode"

	"go.yaml.in/yaml/v4"

	"stsgate/gateway/account"
)

// An entry is one user of a file.
type entry struct {
	account account.Account
	hash    hash // the zero hash for an account without a password
	node    *yaml.Node
}

// downLevel returns the entry's DOMAIN\sam in lower case, empty without a domain.
func (e *entry) downLevel() string {
	if e.account.Domain == "" {
		return ""
	}
	return strings.ToLower(e.account.Domain + `\` + e.account.SAM)
}

// A document is a users file as read.
type document struct {
	entries []*entry
	list    *yaml.Node // the value of users
}

// A parser collects what is wrong with a file instead of stopping at it.
type parser struct {
	path string
	errs []error
}

// parse reads a users file strictly: one document, known keys, each once, no
// anchors, no value of another type. The error joins all mistakes.
func parse(path string, src []byte) (document, error) {
	p := &parser{path: path}
	root, err := p.root(src)
	if err != nil {
		return document{}, err
	}
	var doc document
	for key, value := range p.pairs(root) {
		switch key.Value {
		case "users":
			doc.list = value
		default:
			p.errorf(key, "unknown key %q: the only one here is users", key.Value)
		}
	}
	if doc.list == nil {
		p.errorf(root, "users is missing")
	} else if !isNull(doc.list) {
		for _, item := range p.items(doc.list) {
			doc.entries = append(doc.entries, p.entry(item))
		}
	}
	p.unique(doc.entries)
	if err := errors.Join(p.errs...); err != nil {
		return document{}, err
	}
	return doc, nil
}

// root returns the root of the one document that src is.
func (p *parser) root(src []byte) (*yaml.Node, error) {
	loader, err := yaml.NewLoader(bytes.NewReader(src))
	if err != nil {
		return nil, p.syntax(err)
	}
	var doc, second yaml.Node
	if err := loader.Load(&doc); errors.Is(err, io.EOF) {
		return nil, fmt.Errorf("%s:1:1: users is missing", p.path)
	} else if err != nil {
		return nil, p.syntax(err)
	}
	if err := loader.Load(&second); err == nil {
		return nil, fmt.Errorf("%s:%d:%d: a second document is not read here", p.path, second.Line, second.Column)
	} else if !errors.Is(err, io.EOF) {
		return nil, p.syntax(err)
	}
	return doc.Content[0], nil
}

// syntax turns the YAML library's error into one that starts with the place.
func (p *parser) syntax(err error) error {
	if e, ok := errors.AsType[*yaml.LoadError](err); ok {
		return fmt.Errorf("%s:%d:%d: %s", p.path, max(1, e.Mark.Line), max(1, e.Mark.Column), e.Message)
	}
	return fmt.Errorf("%s:1:1: %w", p.path, err)
}

func (p *parser) errorf(n *yaml.Node, format string, args ...any) {
	p.errs = append(p.errs, fmt.Errorf("%s:%d:%d: "+format, append([]any{p.path, n.Line, n.Column}, args...)...))
}

// entry reads one user. What is wrong is left empty in the entry.
func (p *parser) entry(n *yaml.Node) *entry {
	e := &entry{node: n}
	a := &e.account
	for key, value := range p.pairs(n) {
		switch key.Value {
		case "name":
			a.UPN = p.name(value, account.UPN, "user principal name such as alice@contoso.example")
		case "guid":
			a.ID = p.guid(value)
		case "sam":
			a.SAM = p.name(value, account.Bare, "bare name such as alice")
		case "domain":
			a.Domain = p.name(value, account.Bare, "short domain name such as CONTOSO")
		case "groups":
			a.Groups = p.texts(value)
		case "password":
			e.hash = p.password(value)
		case "disabled":
			a.Disabled = p.boolean(value)
		case "attributes":
			a.Attributes = p.attributes(value)
		default:
			p.errorf(key, "unknown key %q: a user has name, guid, sam, domain, groups, password, disabled and attributes", key.Value)
		}
	}
	for _, key := range []string{"name", "guid"} {
		if n.Kind == yaml.MappingNode && valueOf(n, key) == nil {
			p.errorf(n, "%s is missing", key)
		}
	}
	if a.SAM == "" && a.UPN != "" {
		a.SAM = a.UPN[:strings.LastIndexByte(a.UPN, '@')]
		if strings.Contains(a.SAM, "@") {
			p.errorf(n, "sam is missing: %q is not one", a.SAM)
		}
	}
	return e
}

// unique reports what two users share and must not. A bare name may be shared
// by users of two domains; it then stands for none.
func (p *parser) unique(entries []*entry) {
	first := make(map[string]*entry)
	claim := func(e *entry, key, value, name string) {
		if value == "" {
			return
		}
		if other := first[name]; other != nil {
			p.errorf(place(e.node, key), "%s is taken by the user in line %d", value, other.node.Line)
			return
		}
		first[name] = e
	}
	for _, e := range entries {
		claim(e, "name", e.account.UPN, "name "+strings.ToLower(e.account.UPN))
		claim(e, "guid", e.account.ID, "guid "+e.account.ID)
		claim(e, "sam", e.downLevel(), "down-level "+e.downLevel())
	}
}

// pairs yields keys and values of a mapping, each key once.
func (p *parser) pairs(n *yaml.Node) iter.Seq2[*yaml.Node, *yaml.Node] {
	return func(yield func(*yaml.Node, *yaml.Node) bool) {
		if !p.is(n, yaml.MappingNode, "!!map", "a mapping (key: value)") {
			return
		}
		seen := make(map[string]bool)
		for i := 0; i+1 < len(n.Content); i += 2 {
			key, value := n.Content[i], n.Content[i+1]
			if !p.is(key, yaml.ScalarNode, "!!str", "a plain word as key") {
				continue
			}
			if seen[key.Value] {
				p.errorf(key, "%s is given twice", key.Value)
				continue
			}
			seen[key.Value] = true
			if !yield(key, value) {
				return
			}
		}
	}
}

// items returns the elements of a list.
func (p *parser) items(n *yaml.Node) []*yaml.Node {
	if !p.is(n, yaml.SequenceNode, "!!seq", "a list") {
		return nil
	}
	return n.Content
}

// text returns a string that is not empty and has no control characters.
func (p *parser) text(n *yaml.Node) string {
	if !p.is(n, yaml.ScalarNode, "!!str", "a text (quote numbers, true and false)") {
		return ""
	}
	if n.Value == "" || strings.ContainsFunc(n.Value, unicode.IsControl) {
		p.errorf(n, "text is empty or has control characters")
		return ""
	}
	return n.Value
}

// texts returns a list of strings.
func (p *parser) texts(n *yaml.Node) []string {
	var all []string
	for _, item := range p.items(n) {
		s := p.text(item)
		if slices.Contains(all, s) {
			p.errorf(item, "%q is listed twice", s)
		}
		all = append(all, s)
	}
	return all
}

// name returns a user name of one form.
func (p *parser) name(n *yaml.Node, form account.Form, want string) string {
	s := p.text(n)
	if s == "" {
		return ""
	}
	if name, err := account.ParseName(s); err != nil || name.Form != form {
		p.errorf(n, "%q is not a %s", s, want)
		return ""
	}
	return s
}

func (p *parser) guid(n *yaml.Node) string {
	s := p.text(n)
	if s == "" {
		return ""
	}
	id, ok := account.GUID(s)
	if !ok {
		p.errorf(n, "%q is not a GUID", s)
	}
	return id
}

// password never quotes what it reads: it may be a password that somebody
// wrote where the hash belongs.
func (p *parser) password(n *yaml.Node) hash {
	if !p.is(n, yaml.ScalarNode, "!!str", "a text in quotes") {
		return hash{}
	}
	h, err := parseHash(n.Value)
	if err != nil {
		p.errorf(n, "%w", err)
	}
	return h
}

func (p *parser) boolean(n *yaml.Node) bool {
	return p.is(n, yaml.ScalarNode, "!!bool", "true or false") && n.Value == "true"
}

// attributes reads the values that an application's claims may name.
func (p *parser) attributes(n *yaml.Node) map[string][]string {
	all := make(map[string][]string)
	for key, value := range p.pairs(n) {
		if key.Value == "" || strings.Trim(key.Value, "abcdefghijklmnopqrstuvwxyz0123456789_") != "" {
			p.errorf(key, "attribute %q is not of a-z, 0-9 and _", key.Value)
			continue
		}
		all[key.Value] = p.texts(value)
	}
	return all
}

// is reports whether n is of a kind and a tag, and complains when it is not.
func (p *parser) is(n *yaml.Node, kind yaml.Kind, tag, want string) bool {
	switch {
	case n.Kind == yaml.AliasNode || n.Anchor != "":
		p.errorf(n, "anchors and aliases are not read here")
	case n.Kind != kind || n.Tag != tag || n.Style&yaml.TaggedStyle != 0:
		p.errorf(n, "want %s", want)
	default:
		return true
	}
	return false
}

func isNull(n *yaml.Node) bool { return n.Kind == yaml.ScalarNode && n.Tag == "!!null" }

// valueOf returns the value under a key of a mapping, nil for none.
func valueOf(n *yaml.Node, key string) *yaml.Node {
	for i := 0; i+1 < len(n.Content); i += 2 {
		if n.Content[i].Value == key {
			return n.Content[i+1]
		}
	}
	return nil
}

// place returns the value under a key, or the mapping itself where the value
// was not written but derived.
func place(n *yaml.Node, key string) *yaml.Node {
	if v := valueOf(n, key); v != nil {
		return v
	}
	return n
}
