package policy

import (
	"fmt"
	"slices"
	"strings"

	"go.yaml.in/yaml/v4"
)

// A reader reads the nodes of one file and records what is wrong with them.
// Its methods return nothing usable for a node that is wrong.
type reader struct {
	file       string
	needs      string // what the file is told to have when it is empty, "" for a policy file
	content    []byte // of the file
	errs       *Errors
	vocabulary *Vocabulary
}

// A place is where something stands in the files.
type place struct {
	file         string
	line, column int
}

func (p place) errorf(format string, args ...any) *Error {
	return &Error{p.file, p.line, p.column, fmt.Sprintf(format, args...)}
}

func (r *reader) at(n *yaml.Node) place { return place{r.file, n.Line, n.Column} }

func (r *reader) fail(n *yaml.Node, format string, args ...any) {
	r.failAt(n.Line, n.Column, format, args...)
}

func (r *reader) failAt(line, column int, format string, args ...any) {
	*r.errs = append(*r.errs, &Error{r.file, line, column, fmt.Sprintf(format, args...)})
}

// A field is one key of a mapping with its value.
type field struct{ key, value *yaml.Node }

// entries reads a mapping in order; what names it for the author.
func (r *reader) entries(n *yaml.Node, what string) []field {
	if !r.is(n, yaml.MappingNode, what) {
		return nil
	}
	first := make(map[string]int)
	var all []field
	for i := 0; i+1 < len(n.Content); i += 2 {
		key, value := n.Content[i], n.Content[i+1]
		if key.Kind == yaml.AliasNode {
			continue
		}
		if key.Kind != yaml.ScalarNode {
			r.fail(key, "a key is one word")
			continue
		}
		if line, twice := first[key.Value]; twice {
			r.fail(key, "key %q stands already on line %d", key.Value, line)
			continue
		}
		first[key.Value] = key.Line
		all = append(all, field{key, value})
	}
	return all
}

// fields reads a mapping whose keys are those of a place. The result is nil
// only when n is no mapping.
func (r *reader) fields(n *yaml.Node, in, what string) map[string]field {
	entries := r.entries(n, what)
	if n.Kind != yaml.MappingNode {
		return nil
	}
	known := keysOf(in)
	all := make(map[string]field)
	for _, f := range entries {
		if slices.Contains(known, f.key.Value) {
			all[f.key.Value] = f
			continue
		}
		switch near := nearest(f.key.Value, known); {
		case near != "":
			r.fail(f.key, "unknown key %q: did you mean %q?", f.key.Value, near)
		case len(known) == 0:
			r.fail(f.key, "unknown key %q: no key stands here", f.key.Value)
		default:
			r.fail(f.key, "unknown key %q: the keys here are %s", f.key.Value, strings.Join(known, ", "))
		}
	}
	return all
}

// list reads a list that must not be empty.
func (r *reader) list(n *yaml.Node, what string) []*yaml.Node {
	if !r.is(n, yaml.SequenceNode, what) {
		return nil
	}
	if len(n.Content) == 0 {
		r.fail(n, "an empty list: want %s", what)
	}
	return n.Content
}

// texts reads a list of texts, none of which may come twice.
func (r *reader) texts(n *yaml.Node, list, what string, read func(*yaml.Node) (string, bool)) []named {
	var all []named
	first := make(map[string]int)
	for _, c := range r.list(n, list) {
		s, ok := read(c)
		if !ok {
			continue
		}
		if line, twice := first[s]; twice {
			r.fail(c, "%s %q stands already on line %d", what, s, line)
			continue
		}
		first[s] = c.Line
		all = append(all, named{s, r.at(c)})
	}
	return all
}

// A named is a text with its place, to be looked up when all files are read.
type named struct {
	text string
	at   place
}

// text reads one line of text. A number, a date or a truth value is none.
func (r *reader) text(n *yaml.Node, what string) (string, bool) {
	if !r.is(n, yaml.ScalarNode, what) || n.Style&yaml.TaggedStyle != 0 {
		return "", false
	}
	switch tag := n.ShortTag(); {
	case tag == "!!null" || tag == "!!str" && n.Value == "":
		r.fail(n, "want %s, got nothing", what)
		return "", false
	case tag != "!!str":
		r.fail(n, "want %s, got %s: put it in quotes", what, kind(n))
		return "", false
	case strings.TrimSpace(n.Value) != n.Value:
		r.fail(n, "want %s, without space around it", what)
		return "", false
	}
	for _, c := range n.Value {
		if !visible(c) {
			r.fail(n, "want %s in one line; character %U is not allowed", what, c)
			return "", false
		}
	}
	return n.Value, true
}

// name reads a name that is referred to: of a network or an application. It
// also stands in metrics, so its characters are few.
func (r *reader) name(n *yaml.Node, what string) (string, bool) {
	s, ok := r.text(n, what)
	if !ok {
		return "", false
	}
	const letters = "abcdefghijklmnopqrstuvwxyz0123456789"
	if len(s) > 64 || strings.Trim(s, letters+"._-") != "" || !strings.Contains(letters, s[:1]) {
		r.fail(n, "%q is not %s: use up to 64 lower-case letters, digits, dots, hyphens and underscores", s, what)
		return "", false
	}
	return s, true
}

// word reads one word of a closed list. A number is taken as written, since
// 1.2 is one in YAML.
func (r *reader) word(n *yaml.Node, words ...string) (string, bool) {
	want := "want " + strings.Join(words, " or ")
	if n.Kind == yaml.ScalarNode && slices.Contains(words, n.Value) {
		return n.Value, true
	}
	switch {
	case n.Kind == yaml.AliasNode:
	case n.Kind == yaml.ScalarNode && n.ShortTag() != "!!null":
		r.fail(n, "%s, got %q", want, n.Value)
	default:
		r.fail(n, "%s, got %s", want, kind(n))
	}
	return "", false
}

// truth reads true or false, in these words only.
func (r *reader) truth(n *yaml.Node) bool {
	s, ok := r.word(n, "true", "false")
	if ok && n.ShortTag() != "!!bool" {
		r.fail(n, "want true or false, without quotes")
	}
	return s == "true"
}

// is checks the kind of a node. An alias is already recorded, as a tag is.
func (r *reader) is(n *yaml.Node, k yaml.Kind, what string) bool {
	if n.Kind != k && n.Kind != yaml.AliasNode {
		r.fail(n, "want %s, got %s", what, kind(n))
	}
	return n.Kind == k
}

// kind names what a node is, for its author.
func kind(n *yaml.Node) string {
	switch n.Kind {
	case yaml.MappingNode:
		return "a mapping"
	case yaml.SequenceNode:
		return "a list"
	}
	switch n.ShortTag() {
	case "!!null":
		return "nothing"
	case "!!bool":
		return "a truth value"
	case "!!int", "!!float":
		return "a number"
	case "!!timestamp":
		return "a date"
	default:
		return "text"
	}
}
