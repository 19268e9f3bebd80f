package policy

import (
	"io/fs"
	"slices"
	"strings"

	"go.yaml.in/yaml/v4"
)

// TestSuffix ends the names of the files that hold tests. Load leaves them
// out.
const TestSuffix = "_test.yaml"

// A Suite is the tests of one file.
type Suite struct {
	// File is the file's name, below Vocabulary.Dir.
	File  string
	Tests []Test
}

// A Test says what a set decides on some facts.
type Test struct {
	Name string
	// Line is where the test stands.
	Line int
	// Facts are those of the test and, where it leaves them out, the file's
	// defaults. What both leave out is empty, and the time unknown.
	Facts Facts
	// Given are the facts that test or defaults mention, unknown ones included.
	Given  FactSet
	Expect Expect
}

// ReadSuites reads all files *_test.yaml of fsys, in the order of their
// names, and checks that what tests name is in the set. The error is of type
// Errors and holds every mistake of every file.
func (s *Set) ReadSuites(fsys fs.FS) ([]Suite, error) {
	names, err := fs.Glob(fsys, "*"+TestSuffix)
	if err != nil {
		return nil, Errors{{File: s.vocabulary.path("."), Msg: "read policy directory: " + err.Error()}}
	}
	var errs Errors
	l := &loader{fsys: fsys, contents: make(map[string][]byte)}
	var all []Suite
	for _, name := range names {
		if strings.HasPrefix(name, ".") {
			continue
		}
		content, err := l.read(name, maxPolicyFile)
		if err != nil {
			errs = append(errs, &Error{File: s.vocabulary.path(name), Msg: err.Error()})
			continue
		}
		r := &suiteReader{reader: reader{file: s.vocabulary.path(name), needs: "tests", errs: &errs, vocabulary: &s.vocabulary}, set: s}
		all = append(all, r.suite(content))
	}
	if len(errs) > 0 {
		return nil, errs.sorted()
	}
	return all, nil
}

// A suiteReader reads the tests of one file.
type suiteReader struct {
	reader
	set      *Set
	defaults *yaml.Node // nil when there are none
	given    FactSet    // by the defaults
}

func (r *suiteReader) suite(content []byte) Suite {
	suite := Suite{File: r.file}
	n := r.parse(content)
	if n == nil {
		return suite
	}
	fields := r.fields(n, inSuite, "a mapping with tests, and defaults")
	if f, ok := fields["defaults"]; ok {
		r.readDefaults(f.value)
	}
	tests, ok := fields["tests"]
	if !ok {
		if fields != nil {
			r.fail(n, "the file needs tests")
		}
		return suite
	}
	first := make(map[string]int)
	for _, c := range r.list(tests.value, "a list of tests") {
		t := r.test(c)
		if line, twice := first[t.Name]; twice && t.Name != "" {
			r.fail(c, "test %q stands already on line %d", t.Name, line)
		}
		first[t.Name] = c.Line
		suite.Tests = append(suite.Tests, t)
	}
	return suite
}

// readDefaults reads the facts of all tests. With a mistake in them there are
// none, so that it is reported where it stands and not once for each test.
func (r *suiteReader) readDefaults(n *yaml.Node) {
	before := len(*r.errs)
	file := r.facts(n, nil)
	for i := 0; n.Kind == yaml.MappingNode && i < len(n.Content); i += 2 {
		if key := n.Content[i]; key.Value == "unknown" || key.Value == "not_read" {
			r.fail(key, "defaults are values: unknown stands beside the facts of a test")
		}
	}
	if len(*r.errs) == before {
		r.defaults, r.given = n, file.Given
	}
}

func (r *suiteReader) test(n *yaml.Node) Test {
	t := Test{Line: n.Line}
	fields := r.fields(n, inTest, "a test: a mapping with name, facts and expect")
	if fields == nil {
		return t
	}
	for _, key := range []string{"name", "facts", "expect"} {
		if _, ok := fields[key]; !ok {
			r.fail(n, "a test needs %s", key)
		}
	}
	if f, ok := fields["name"]; ok {
		t.Name, _ = r.text(f.value, "a test's name")
	}
	if f, ok := fields["facts"]; ok {
		unknown := fields["unknown"].value
		file := r.facts(r.filled(f.value, unknown), unknown)
		t.Facts, t.Given = file.Facts, file.Given|r.given
	}
	if f, ok := fields["expect"]; ok {
		t.Expect = r.expect(f.value)
	}
	return t
}

// filled returns the facts of a test with those defaults that it neither gives
// nor calls unknown. A group of facts that is empty, such as user: {}, gives
// all of them as empty.
func (r *suiteReader) filled(facts, unknown *yaml.Node) *yaml.Node {
	if r.defaults == nil || facts.Kind != yaml.MappingNode {
		return facts
	}
	left := make(map[string]bool)
	for _, list := range []*yaml.Node{unknown, valueOf(facts, "unknown"), valueOf(facts, "not_read")} {
		if list != nil {
			for _, name := range list.Content {
				left[name.Value] = true
			}
		}
	}
	all := *facts
	all.Content = slices.Clone(facts.Content)
	for i := 0; i+1 < len(r.defaults.Content); i += 2 {
		key, group := r.defaults.Content[i], r.defaults.Content[i+1]
		own := valueOf(facts, key.Value)
		switch {
		case left[key.Value]:
		case own == nil && group.Kind != yaml.MappingNode: // time
			all.Content = append(all.Content, key, group)
		case own == nil:
			none := &yaml.Node{Kind: yaml.MappingNode, Line: group.Line, Column: group.Column}
			if some := filledGroup(none, group, key.Value, left); len(some.Content) > 0 || len(group.Content) == 0 {
				all.Content = append(all.Content, key, some)
			}
		case own.Kind == yaml.MappingNode && len(own.Content) > 0:
			all.Content[slices.Index(all.Content, own)] = filledGroup(own, group, key.Value, left)
		}
	}
	return &all
}

// filledGroup returns the facts of a group with those of another that it
// lacks, but for those that are to be left out.
func filledGroup(own, defaults *yaml.Node, group string, left map[string]bool) *yaml.Node {
	all := *own
	all.Content = slices.Clone(own.Content)
	for i := 0; i+1 < len(defaults.Content); i += 2 {
		if key := defaults.Content[i]; valueOf(own, key.Value) == nil && !left[group+"."+key.Value] {
			all.Content = append(all.Content, key, defaults.Content[i+1])
		}
	}
	return &all
}

// valueOf returns what stands under a key of a mapping, or nil.
func valueOf(n *yaml.Node, key string) *yaml.Node {
	for i := 0; i+1 < len(n.Content); i += 2 {
		if n.Content[i].Value == key {
			return n.Content[i+1]
		}
	}
	return nil
}
