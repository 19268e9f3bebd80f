package policy_test

import (
	"bytes"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"testing/fstest"

	"github.com/rogpeppe/go-internal/txtar"

	"stsgate/policy"
)

// vocabulary is what the files of testdata may name.
var vocabulary = policy.Vocabulary{
	Endpoints: []string{"/adfs/services/trust/2005/usernamemixed", "/adfs/services/trust/13/usernamemixed"},
	Families:  []string{"adal", "outlook", "browser"},
	Now:       noon,
	Directory: true,
}

// load loads a policy set of one file. Its rules may make no sense.
func load(t testing.TB, content string) *policy.Set {
	t.Helper()
	s, err := policy.LoadUnlinted(fstest.MapFS{"policy.yaml": {Data: []byte(content)}}, vocabulary)
	if err != nil {
		t.Fatal(err)
	}
	return s
}

// mistakes loads files and returns what is wrong with them, line by line.
func mistakes(t testing.TB, files fstest.MapFS, v policy.Vocabulary) []string {
	t.Helper()
	s, err := policy.Load(files, v)
	if err == nil {
		return nil
	}
	if s != nil {
		t.Error("a set beside an error")
	}
	all, ok := errors.AsType[policy.Errors](err)
	if !ok {
		t.Fatalf("error is %T, want policy.Errors", err)
	}
	var lines []string
	for _, e := range all {
		lines = append(lines, e.Error())
	}
	return lines
}

// TestFiles loads each file of testdata/policies by itself (POL-01). A bad
// file says in its first lines what is wrong with it, everything and at once.
func TestFiles(t *testing.T) {
	names, err := filepath.Glob("testdata/policies/*.yaml")
	if err != nil || len(names) == 0 {
		t.Fatalf("no files: %v", err)
	}
	lists, err := filepath.Glob("testdata/policies/networks/*")
	if err != nil {
		t.Fatal(err)
	}
	for _, name := range names {
		t.Run(filepath.Base(name), func(t *testing.T) {
			files := fstest.MapFS{}
			for _, list := range lists {
				files["networks/"+filepath.Base(list)] = &fstest.MapFile{Data: read(t, list)}
			}
			content := read(t, name)
			files["policy.yaml"] = &fstest.MapFile{Data: content}
			v := vocabularyOf(name)
			got := strings.Join(mistakes(t, files, v), "\n")
			want := strings.Join(expected(content), "\n")
			if strings.HasSuffix(name, ".bad.yaml") == (want == "") {
				t.Fatal("a bad file says what is wrong with it, and a good one does not")
			}
			if got != want {
				t.Errorf("got\n%s\nwant\n%s", got, want)
			}
		})
	}
}

// TestBad loads each file of testdata/bad.txtar by itself (POL-01).
func TestBad(t *testing.T) {
	archive := txtar.Parse(read(t, "testdata/bad.txtar"))
	for _, f := range archive.Files {
		t.Run(f.Name, func(t *testing.T) {
			want := strings.Join(expected(f.Data), "\n")
			got := strings.Join(mistakes(t, fstest.MapFS{"policy.yaml": {Data: f.Data}}, vocabulary), "\n")
			if got != want || got == "" {
				t.Errorf("got\n%s\nwant\n%s", got, want)
			}
		})
	}
	if n := len(archive.Files); n < 150 {
		t.Errorf("got %d files, want 150", n)
	}
}

// vocabularyOf is what a file of testdata may name: less than all where its
// name says so.
func vocabularyOf(name string) policy.Vocabulary {
	v := vocabulary
	v.Directory = !strings.Contains(name, "nodirectory")
	if strings.Contains(name, "unavailable") {
		v.Unavailable = v.Unavailable.With(policy.ClientCountry, policy.ClientASN, policy.ClientFamily, policy.ClientFamiliar, policy.SourceFailures)
	}
	return v
}

// expected returns the mistakes that a file's first lines announce.
func expected(content []byte) []string {
	var all []string
	for line := range bytes.Lines(content) {
		text, ok := strings.CutPrefix(strings.TrimSuffix(string(line), "\n"), "#! ")
		if !ok {
			break
		}
		if first := text[0]; first >= '0' && first <= '9' {
			text = "policy.yaml:" + text
		}
		all = append(all, text)
	}
	return all
}

func read(t testing.TB, name string) []byte {
	t.Helper()
	b, err := os.ReadFile(name)
	if err != nil {
		t.Fatal(err)
	}
	return b
}

// denyAll is a small file without a mistake.
const denyAll = "rules:\n  - {name: none, match: everyone, deny: {}}\n"

// TestCharacters refuses what a reader of a file cannot see (POL-01).
func TestCharacters(t *testing.T) {
	tests := []struct{ name, content, want string }{
		{"tab as indent", "rules:\n\t- name: x\n", "2:1: a tab: use spaces"},
		{"tab after text", "rules: #\tx\n", "1:9: a tab: use spaces"},
		{"tab in quotes", "rules: \"\t\"\n", "1:9: a tab: use spaces"},
		{"a tab on two lines", "a:\t\t\nb:\t\n", "1:3: a tab: use spaces\n2:3: a tab: use spaces"},
		{"byte order mark", "\ufeff" + denyAll, "1:1: a byte order mark: save the file as UTF-8 without one"},
		{"UTF-16", "\xff\xfer\x00\n\x00", "1:1: not UTF-8 text\n2:1: character U+0000 is not allowed"},
		{"Latin-1", denyAll + "# M\xfcnchen\n", "3:4: not UTF-8 text"},
		{"NUL", denyAll + "\x00", "3:1: character U+0000 is not allowed"},
		{"escape sequence", denyAll + "# \x1b[2K", "3:3: character U+001B is not allowed"},
		{"lone carriage return", "# x\rrules: {}\n", "1:4: character U+000D is not allowed"},
		{"next line", "# x\u0085rules: {}\n", "1:4: character U+0085 is not allowed"},
		{"line separator", "# x\u2028rules: {}\n", "1:4: character U+2028 is not allowed"},
		{"paragraph separator", "# x\u2029rules: {}\n", "1:4: character U+2029 is not allowed"},
		{"no-break space", "rules:\u00a0\n", "1:7: character U+00A0 is not allowed"},
		{"zero-width space", denyAll + "# a\u200bb", "3:4: character U+200B is not allowed"},
		{"bidi override", denyAll + "# \u202eedoc", "3:3: character U+202E is not allowed"},
		{"columns are characters", "# äöü\t", "1:6: a tab: use spaces"},
		{"lines as on Windows", strings.ReplaceAll(denyAll, "\n", "\r\n"), ""},
		{"nothing", "", "1:1: the file is empty: it needs networks, applications or rules"},
		{"a document of nothing", "---\n...\n", "2:1: want a mapping with networks, applications or rules, got nothing"},
		{"the largest file", denyAll + strings.Repeat("#", 1<<20-len(denyAll)), ""},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			got := mistakes(t, fstest.MapFS{"a.yaml": {Data: []byte(tt.content)}}, vocabulary)
			var want []string
			for line := range strings.Lines(tt.want) {
				want = append(want, "a.yaml:"+strings.TrimSuffix(line, "\n"))
			}
			if !slices.Equal(got, want) {
				t.Errorf("got %q, want %q", got, want)
			}
		})
	}
}

// TestDirectory is about which files are read.
func TestDirectory(t *testing.T) {
	tests := []struct {
		name  string
		files map[string]string
		want  []string
	}{
		{"one file", map[string]string{"a.yaml": denyAll}, nil},
		{"no file", nil, []string{".: the policy directory holds no file *.yaml"}},
		{"tests only", map[string]string{"a_test.yaml": denyAll}, []string{".: the policy directory holds no file *.yaml"}},
		{"not read", map[string]string{"a.yaml": denyAll, "a_test.yaml": "?", "README.md": "?", ".a.yaml": "?", "b/b.yaml": "?", "..data/a.yaml": "?"}, nil},
		{"names that look read", map[string]string{"a.yaml": denyAll, "b.yml": denyAll, "c.YAML": denyAll}, []string{
			"b.yml: would not be read: call it b.yaml", "c.YAML: would not be read: call it c.yaml"}},
		{"too large", map[string]string{"a.yaml": denyAll + strings.Repeat("#", 1<<20)}, []string{"a.yaml: the file is larger than 1 MiB"}},
		{"mistakes of two files", map[string]string{"b.yaml": "rule: []\n", "a.yaml": denyAll + "x: 1\n"}, []string{
			`a.yaml:3:1: unknown key "x": the keys here are networks, applications, rules`,
			`b.yaml:1:1: unknown key "rule": did you mean "rules"?`}},
		{"a name in two files", map[string]string{
			"a.yaml": "networks: {n: [192.0.2.1]}\napplications: {p: {realms: [urn:p], answer: issue}}\n" + denyAll,
			"b.yaml": "networks: {n: [192.0.2.2]}\napplications: {p: {realms: [urn:p], answer: issue}}\n" + denyAll}, []string{
			`b.yaml:1:12: network "n" is defined already at a.yaml:1`,
			`b.yaml:2:16: application "p" is defined already at a.yaml:2`,
			`b.yaml:2:29: realm "urn:p" belongs to the application at a.yaml:2 already`,
			`b.yaml:4:12: rule "none" is defined already at a.yaml:4`}},
		{"names of another file", map[string]string{
			"a.yaml": "rules:\n  - {name: a, match: {networks: [n], applications: [p]}, allow: {}}\n",
			"b.yaml": "networks: {n: [192.0.2.2]}\n",
			"c.yaml": "applications: {p: {realms: [urn:p], answer: issue}}\n"}, nil},
		{"names that an unreadable file may define", map[string]string{
			"a.yaml": "rules:\n  - {name: a, match: {networks: [n], applications: [p]}, allow: {}}\n",
			"b.yaml": "networks: {n: [192.0.2.2]\n"}, []string{
			"b.yaml:2:1: not valid YAML: did not find expected ',' or '}'"}},
		{"network file with a wrong line each", map[string]string{
			"a.yaml": "networks: {n: {file: n.txt}}\n", "n.txt": strings.Repeat("?\n", 30)}, append(
			slices.Collect(func(yield func(string) bool) {
				for i := range 20 {
					yield(fmt.Sprintf(`n.txt:%d:1: "?" is neither a prefix such as 192.0.2.0/24 nor an address`, i+1))
				}
			}), "n.txt:21:1: too many mistakes: the rest of the file is not read")},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			files := fstest.MapFS{}
			for name, content := range tt.files {
				files[name] = &fstest.MapFile{Data: []byte(content)}
			}
			if got := mistakes(t, files, vocabulary); !slices.Equal(got, tt.want) {
				t.Errorf("got %q, want %q", got, tt.want)
			}
		})
	}
}

// TestLinks reads a directory as Kubernetes mounts it, through symbolic links.
func TestLinks(t *testing.T) {
	dir := t.TempDir()
	for _, err := range []error{
		os.Mkdir(filepath.Join(dir, "..1"), 0o755),
		os.WriteFile(filepath.Join(dir, "..1", "a.yaml"), []byte(denyAll), 0o644),
		os.Symlink("..1", filepath.Join(dir, "..data")),
		os.Symlink(filepath.Join("..data", "a.yaml"), filepath.Join(dir, "a.yaml")),
	} {
		if err != nil {
			t.Fatal(err)
		}
	}
	s, err := policy.Load(os.DirFS(dir), vocabulary)
	if err != nil {
		t.Fatal(err)
	}
	if got := len(s.Rules()); got != 1 {
		t.Errorf("got %d rules, want 1", got)
	}
}

// TestRevision checks that the revision changes with everything that was read
// and with nothing else (POL-03).
func TestRevision(t *testing.T) {
	revision := func(files map[string]string) string {
		t.Helper()
		mapped := fstest.MapFS{}
		for name, content := range files {
			mapped[name] = &fstest.MapFile{Data: []byte(content)}
		}
		s, err := policy.Load(mapped, vocabulary)
		if err != nil {
			t.Fatal(err)
		}
		return s.Revision()
	}
	const network = "networks: {n: {file: n.txt}}\n"
	base := map[string]string{"a.yaml": denyAll, "b.yaml": network, "n.txt": "192.0.2.1\n"}
	first := revision(base)
	if len(first) != 16 || strings.Trim(first, "0123456789abcdef") != "" {
		t.Errorf("revision %q is not 16 hexadecimal digits", first)
	}
	same := map[string]string{"a.yaml": denyAll, "b.yaml": network, "n.txt": "192.0.2.1\n", "other.txt": "x", "a_test.yaml": "x"}
	if got := revision(same); got != first {
		t.Errorf("files that are not read change the revision: %s, %s", got, first)
	}
	for name, files := range map[string]map[string]string{
		"rule file":    {"a.yaml": denyAll + "#", "b.yaml": network, "n.txt": "192.0.2.1\n"},
		"network file": {"a.yaml": denyAll, "b.yaml": network, "n.txt": "192.0.2.2\n"},
		"file name":    {"c.yaml": denyAll, "b.yaml": network, "n.txt": "192.0.2.1\n"},
	} {
		if got := revision(files); got == first {
			t.Errorf("%s: the revision is the same", name)
		}
	}
}

// TestErrors checks how mistakes print and unwrap.
func TestErrors(t *testing.T) {
	_, err := policy.Load(fstest.MapFS{"a.yaml": {Data: []byte("x: 1\ny: 2\n")}}, vocabulary)
	const want = `a.yaml:1:1: unknown key "x": the keys here are networks, applications, rules
a.yaml:2:1: unknown key "y": the keys here are networks, applications, rules`
	if err == nil || err.Error() != want {
		t.Errorf("got %v, want %s", err, want)
	}
	if one, ok := errors.AsType[*policy.Error](err); !ok || one.Line != 1 {
		t.Errorf("got %v, want the first mistake", one)
	}
}

// TestKeys checks that the loader takes exactly the documented keys, and that
// the documentation names every source of a claim.
func TestKeys(t *testing.T) {
	content, tests := string(read(t, "testdata/policies/language.good.yaml")), string(read(t, "testdata/suites/language_test.yaml"))
	for _, k := range policy.TestKeys() {
		if !strings.Contains(tests, k.Name+":") || k.Type == "" || !strings.HasSuffix(k.Meaning, ".") {
			t.Errorf("language_test.yaml does not show %s of %s, or it is not described", k.Name, k.Place)
		}
	}
	for _, k := range policy.Keys() {
		if !strings.Contains(content, k.Name+":") {
			t.Errorf("language.good.yaml does not show %s of %s", k.Name, k.Place)
		}
		if k.Type == "" || !strings.HasSuffix(k.Meaning, ".") {
			t.Errorf("%s of %s is not described", k.Name, k.Place)
		}
		if k.Place == "claim" && k.Name == "from" {
			_, err := policy.Load(fstest.MapFS{"a.yaml": {Data: []byte("applications: {a: {realms: [r], answer: issue, name_id: {from: zzzzzzzz}}}")}}, vocabulary)
			_, list, _ := strings.Cut(err.Error(), "want ")
			list, _, _ = strings.Cut(list, " or attribute")
			for source := range strings.SplitSeq(list, ", ") {
				if !strings.Contains(k.Meaning, source) {
					t.Errorf("source %s is not described", source)
				}
			}
		}
	}
	if got := len(policy.MatchKeys()); got != 18 {
		t.Errorf("got %d match keys, want 18", got)
	}
}

// What the configuration cannot answer with is a mistake of the policy.
func TestLoadWithoutFarmOrIssuer(t *testing.T) {
	const text = `applications:
  forwarded: {realms: [urn:f], answer: forward}
  issued: {realms: [urn:i], answer: issue}
rules:
  - {name: a, match: everyone, allow: {answer: issue}}
`
	files := fstest.MapFS{"p.yaml": {Data: []byte(text)}}
	for _, tt := range []struct {
		vocabulary policy.Vocabulary
		want       string
	}{
		{policy.Vocabulary{}, ""},
		{policy.Vocabulary{NoFarm: true}, "p.yaml:2:40: answer: forward needs a farm, and the configuration has none"},
		{policy.Vocabulary{NoIssuer: true}, "p.yaml:3:37: answer: issue needs an issuer, and the configuration has none\n" +
			"p.yaml:5:48: answer: issue needs an issuer, and the configuration has none"},
	} {
		got := ""
		if _, err := policy.Load(files, tt.vocabulary); err != nil {
			got = err.Error()
		}
		if got != tt.want {
			t.Errorf("with %+v: got %q, want %q", tt.vocabulary, got, tt.want)
		}
	}
}

// mistakesOf returns what is wrong with a set of one file.
func mistakesOf(t testing.TB, content string, v policy.Vocabulary) []string {
	t.Helper()
	return mistakes(t, fstest.MapFS{"policy.yaml": {Data: []byte(content)}}, v)
}

// Every file has one name, the one by which it can be opened: where a mistake
// stands, in what the mistake says, in warnings and in explanations.
func TestDir(t *testing.T) {
	v := vocabulary
	v.Dir = "../sets/policies"
	const staff = "  - {name: staff, match: {groups: [staff]}, allow: {}}\n"
	files := fstest.MapFS{
		"a.yaml":         {Data: []byte(preamble + staff)},
		"b.yaml":         {Data: []byte("rules:\n" + staff + "networks:\n  n: {file: lists/n.txt}\n  m: {file: none.txt}\n")},
		"c.yml":          {},
		"lists/n.txt":    {Data: []byte("192.0.2.1/24")},
		"a_test.yaml":    {Data: []byte("tests: [{}]")},
		"good_test.yaml": {Data: []byte("tests: [{name: a, facts: {}, expect: {effect: deny}}]")},
	}
	_, err := policy.Load(files, v)
	want := []string{
		"../sets/policies/b.yaml:2:12: rule \"staff\" is defined already at ../sets/policies/a.yaml:10",
		"../sets/policies/b.yaml:5:13: read file: open none.txt: file does not exist",
		"../sets/policies/c.yml: would not be read: call it c.yaml",
		"../sets/policies/lists/n.txt:1:1: 192.0.2.1/24 has bits behind its length: did you mean 192.0.2.0/24?",
	}
	if got := strings.Split(err.Error(), "\n"); !slices.Equal(got, want) {
		t.Errorf("got\n%s\nwant\n%s", err, strings.Join(want, "\n"))
	}
	if _, err := policy.Load(fstest.MapFS{}, v); err == nil || err.Error() != "../sets/policies: the policy directory holds no file *.yaml" {
		t.Errorf("got %v", err)
	}
	delete(files, "b.yaml")
	delete(files, "c.yml")
	s, err := policy.Load(files, v)
	if err != nil {
		t.Fatal(err)
	}
	if _, err := s.ReadSuites(files); err == nil || !strings.HasPrefix(err.Error(), "../sets/policies/a_test.yaml:1:9: a test needs") {
		t.Errorf("got %v", err)
	}
	delete(files, "a_test.yaml")
	if all, err := s.ReadSuites(files); err != nil || all[0].File != "../sets/policies/good_test.yaml" {
		t.Errorf("got %v, %v", all, err)
	}
	if all := s.Warnings(noon); len(all) == 0 || all[0].File != "../sets/policies/a.yaml" {
		t.Errorf("got %v", all)
	}
	f := alice()
	if x := s.Explain(&f); !strings.Contains(x.String(), `rule "staff" (../sets/policies/a.yaml:10, allow)`) {
		t.Errorf("got %s", &x)
	}
}
