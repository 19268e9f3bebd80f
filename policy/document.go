package policy

import (
	"bytes"
	"cmp"
	"errors"
	"io"
	"strings"
	"unicode"
	"unicode/utf8"

	"go.yaml.in/yaml/v4"
	"go.yaml.in/yaml/v4/plugin/loaderlimits"
)

// Bounds of the files (security.md, POL-01).
const (
	maxPolicyFile  = 1 << 20
	maxNetworkFile = 64 << 20
	maxDepth       = 32
)

// emptyFile is what is wrong with a file that holds nothing.
func (r *reader) emptyFile() string {
	return "the file is empty: it needs " + cmp.Or(r.needs, "networks, applications or rules")
}

// parse reads the one YAML document of a file. It returns nil when there is
// none or when its structure cannot be trusted, and has then recorded why.
func (r *reader) parse(content []byte) *yaml.Node {
	if !r.legible(content) {
		return nil
	}
	y, err := yaml.NewLoader(bytes.NewReader(content), yaml.WithPlugin(loaderlimits.New(loaderlimits.DepthValue(maxDepth))))
	if err != nil {
		r.unreadable(err)
		return nil
	}
	var doc, second yaml.Node
	switch err := y.Load(&doc); {
	case err == io.EOF || err == nil && len(doc.Content) != 1:
		r.failAt(1, 1, "%s", r.emptyFile())
		return nil
	case err != nil:
		r.unreadable(err)
		return nil
	}
	switch err := y.Load(&second); {
	case err == nil:
		r.fail(&second, "a second document: a policy file has one")
	case err != io.EOF:
		r.unreadable(err)
		return nil
	}
	r.inspect(doc.Content[0])
	return doc.Content[0]
}

// unreadable records an error of the YAML parser.
func (r *reader) unreadable(err error) {
	if e, ok := errors.AsType[*yaml.LoadError](err); ok {
		msg := e.Message
		if strings.Contains(msg, "mapping values are not allowed") {
			msg += ": put a text with ': ' in quotes"
		}
		r.failAt(max(1, e.Mark.Line), max(1, e.Mark.Column), "not valid YAML: %s", msg)
		return
	}
	r.failAt(1, 1, "not valid YAML: %v", err)
}

// legible records the first character of each line that a reader of the file
// could not see or could take for another: tabs, control and format
// characters, unusual spaces and line breaks.
func (r *reader) legible(content []byte) bool {
	ok := true
	line, column, seen := 1, 0, false
	for i := 0; i < len(content); {
		c, size := utf8.DecodeRune(content[i:])
		i += size
		if c == '\n' {
			line, column, seen = line+1, 0, false
			continue
		}
		column++
		if seen || visible(c) || c == '\r' && i < len(content) && content[i] == '\n' {
			continue
		}
		ok, seen = false, true
		switch c {
		case '\t':
			r.failAt(line, column, "a tab: use spaces")
		case utf8.RuneError:
			r.failAt(line, column, "not UTF-8 text")
		case '\ufeff':
			r.failAt(line, column, "a byte order mark: save the file as UTF-8 without one")
		default:
			r.failAt(line, column, "character %U is not allowed", c)
		}
	}
	return ok
}

// visible tells that c is a space or a character that can be seen.
func visible(c rune) bool { return unicode.IsPrint(c) && c != utf8.RuneError }

// inspect refuses what makes one text stand for another: anchors, aliases and
// explicit tags.
func (r *reader) inspect(n *yaml.Node) {
	switch {
	case n.Kind == yaml.AliasNode:
		r.fail(n, "an alias: say it again in full")
		return
	case n.Anchor != "":
		r.fail(n, "an anchor: say it again in full where it is needed")
	case n.Style&yaml.TaggedStyle != 0 && n.Value == "" && !strings.HasPrefix(n.ShortTag(), "!!"):
		r.fail(n, "a tag: the type of a value follows from its key; to negate, use not:")
	case n.Style&yaml.TaggedStyle != 0:
		r.fail(n, "a tag: the type of a value follows from its key")
	}
	for _, c := range n.Content {
		r.inspect(c)
	}
}
