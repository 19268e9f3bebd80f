package policy

import (
	"crypto/sha256"
	"encoding/binary"
	"encoding/hex"
	"fmt"
	"io"
	"io/fs"
	"maps"
	"path"
	"slices"
	"strings"
	"time"
)

// A Vocabulary is what policy cannot know by itself.
type Vocabulary struct {
	// Dir is the path of the directory. It stands before the names of files,
	// wherever they are told; it may be empty.
	Dir string
	// Endpoints are the published paths.
	Endpoints []string
	// Families are the families of clients that requests are told apart by,
	// without UnknownFamily.
	Families []string
	// Directory tells that there is one, so that rules may name users, groups
	// and domains.
	Directory bool
	// NoFarm and NoIssuer tell that nothing can be forwarded, or issued, so
	// that a policy which says so is a mistake.
	NoFarm, NoIssuer bool
	// Unavailable are the facts that the configuration never tells, so that a
	// condition on one is a mistake.
	Unavailable FactSet
	// Now is the time by which an exception is found to last too long; zero
	// finds none.
	Now time.Time
}

// path returns what a file is called where it is told.
func (v *Vocabulary) path(name string) string { return path.Join(v.Dir, name) }

// A Set is all rules of a policy directory, compiled. It is immutable and may
// be used by several goroutines.
type Set struct {
	revision     string
	vocabulary   Vocabulary // for the tests of the set
	networks     map[string]*network
	applications []*Application // by name
	rules        []*Rule        // by name
	scopes       map[string]*scope
	rest         *scope // of the realm "*", or nil
	index        index
	mentions     FactSet
}

// Load reads all policy files of fsys: *.yaml but *_test.yaml, and the network
// files that they name. The error is of type Errors and holds every mistake of
// every file.
func Load(fsys fs.FS, v Vocabulary) (*Set, error) {
	return load(fsys, v, (*loader).lint)
}

// load reads a set. Lint looks for rules that make no sense, once nothing else
// is wrong.
func load(fsys fs.FS, v Vocabulary, lint func(*loader)) (*Set, error) {
	l := &loader{
		fsys:         fsys,
		vocabulary:   v,
		contents:     make(map[string][]byte),
		applications: make(map[string]*Application),
		realms:       make(map[string]*Application),
		ruleNames:    make(map[string]*Rule),
		set:          &Set{vocabulary: v, networks: make(map[string]*network)},
	}
	for _, name := range l.list() {
		l.file(name)
	}
	// Names that only an unreadable file may define are not called unknown.
	if !l.gap {
		l.resolve()
	}
	if len(l.errs) == 0 {
		lint(l)
	}
	if len(l.errs) > 0 {
		return nil, l.errs.sorted()
	}
	l.compile()
	l.set.revision = revision(l.contents)
	return l.set, nil
}

// Revision identifies what was loaded: a hash of the names and contents of
// all files, network files included.
func (s *Set) Revision() string { return s.revision }

// Mentions returns the facts that rules ask for. Others need not be gathered.
func (s *Set) Mentions() FactSet { return s.mentions }

// Rules returns all rules, by name.
func (s *Set) Rules() []*Rule { return slices.Clone(s.rules) }

// Applications returns all applications, by name.
func (s *Set) Applications() []*Application { return slices.Clone(s.applications) }

// A loader reads one policy directory.
type loader struct {
	fsys         fs.FS
	vocabulary   Vocabulary
	errs         Errors
	gap          bool              // a file could not be read as a whole
	contents     map[string][]byte // every file that was read, by name
	applications map[string]*Application
	realms       map[string]*Application
	ruleNames    map[string]*Rule
	set          *Set
}

// list returns the names of the policy files.
func (l *loader) list() []string {
	entries, err := fs.ReadDir(l.fsys, ".")
	if err != nil {
		l.fail(".", "read policy directory: %v", err)
	}
	var names []string
	for _, e := range entries {
		name := e.Name()
		switch {
		case strings.HasPrefix(name, ".") || e.IsDir() || strings.HasSuffix(name, TestSuffix):
		case strings.HasSuffix(name, ".yaml"):
			names = append(names, name)
		case strings.HasSuffix(strings.ToLower(name), ".yml") || strings.HasSuffix(strings.ToLower(name), ".yaml"):
			l.fail(name, "would not be read: call it %s.yaml", name[:strings.LastIndexByte(name, '.')])
		}
	}
	if len(names) == 0 && len(l.errs) == 0 {
		l.fail(".", "the policy directory holds no file *.yaml")
	}
	return names
}

func (l *loader) fail(file, format string, args ...any) {
	l.gap = true
	l.errs = append(l.errs, &Error{File: l.vocabulary.path(file), Msg: fmt.Sprintf(format, args...)})
}

// file reads one policy file.
func (l *loader) file(name string) {
	content, err := l.read(name, maxPolicyFile)
	if err != nil {
		l.fail(name, "%v", err)
		return
	}
	r := &reader{file: l.vocabulary.path(name), content: content, errs: &l.errs, vocabulary: &l.vocabulary}
	n := r.parse(content)
	if n == nil {
		l.gap = true
		return
	}
	fields := r.fields(n, inFile, "a mapping with networks, applications or rules")
	l.gap = l.gap || 2*len(fields) != len(n.Content)
	if fields != nil && len(n.Content) == 0 {
		r.fail(n, "%s", r.emptyFile())
	}
	if f, ok := fields["networks"]; ok {
		l.networks(r, f.value)
	}
	if f, ok := fields["applications"]; ok {
		l.readApplications(r, f.value)
	}
	if f, ok := fields["rules"]; ok {
		l.readRules(r, f.value)
	}
}

// read returns a file's content, the same one each time.
func (l *loader) read(name string, limit int64) ([]byte, error) {
	if content, ok := l.contents[name]; ok {
		return content, nil
	}
	f, err := l.fsys.Open(name)
	if err != nil {
		return nil, fmt.Errorf("read file: %w", err)
	}
	defer f.Close()
	content, err := io.ReadAll(io.LimitReader(f, limit+1))
	if err != nil {
		return nil, fmt.Errorf("read file: %w", err)
	}
	if int64(len(content)) > limit {
		return nil, fmt.Errorf("the file is larger than %d MiB", limit>>20)
	}
	l.contents[name] = content
	return content, nil
}

// revision hashes names and contents, each with its length before it.
func revision(contents map[string][]byte) string {
	h := sha256.New()
	write := func(b []byte) {
		_ = binary.Write(h, binary.BigEndian, uint64(len(b))) // a hash takes every write
		h.Write(b)
	}
	for _, name := range slices.Sorted(maps.Keys(contents)) {
		write([]byte(name))
		write(contents[name])
	}
	return hex.EncodeToString(h.Sum(nil)[:8])
}
