package policy_test

import (
	"context"
	"fmt"
	"io/fs"
	"maps"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strings"
	"testing"
	"time"

	"stsgate/gateway/family"
	"stsgate/gateway/refusal"
	"stsgate/policy"
	"stsgate/policy/policytest"
)

const manual = "README.md"

// TestManualTables holds the tables of README.md to the code. UPDATE=1 writes
// them.
func TestManualTables(t *testing.T) {
	text := string(read(t, manual))
	got := text
	for name, table := range map[string]string{
		"match": matchTable(), "families": familiesTable(), "facts": factsTable(), "hears": hearsTable(),
	} {
		begin, end := "<!-- generated: "+name+" -->\n", "<!-- end -->\n"
		before, rest, ok := strings.Cut(got, begin)
		_, after, ends := strings.Cut(rest, end)
		if !ok || !ends {
			t.Fatalf("%s has no place for %q", manual, name)
		}
		got = before + begin + table + end + after
	}
	if os.Getenv("UPDATE") == "1" {
		if err := os.WriteFile(manual, []byte(got), 0o644); err != nil {
			t.Fatal(err)
		}
		return
	}
	if got != text {
		t.Errorf("%s does not say what the code says; UPDATE=1 go test ./policy -run TestManualTables writes it anew", manual)
	}
}

func matchTable() string {
	var rows [][]string
	for _, k := range policy.MatchKeys() {
		rows = append(rows, []string{"`" + k.Name + "`", k.Type, k.Meaning})
	}
	return markdown([]string{"Key", "Value", "Meaning"}, rows)
}

func familiesTable() string {
	var all []string
	for _, d := range family.Names() {
		all = append(all, "`"+string(d.Name)+"` "+strings.TrimSuffix(d.Doc, "."))
	}
	return strings.Join(all, " · ") + "\n"
}

func factsTable() string {
	var rows [][]string
	for _, f := range policy.FactInfos() {
		typ := f.Type
		if f.Claim {
			typ += ", the client's own"
		}
		rows = append(rows, []string{"`" + f.Name + "`", typ, f.Meaning})
	}
	return markdown([]string{"Fact", "Type", "Meaning"}, rows)
}

func hearsTable() string {
	var rows [][]string
	for _, r := range []refusal.Reason{refusal.UnknownApplication, refusal.Denied, refusal.DeniedUser, refusal.Conflict, refusal.ConflictUser, refusal.SecondFactor} {
		row := r.Row()
		rows = append(rows, []string{"`" + row.Label + "`", row.Text, row.Meaning})
	}
	return markdown([]string{"Reason in audit", "Text that the client gets", "Meaning"}, rows)
}

func markdown(header []string, rows [][]string) string {
	var b strings.Builder
	fmt.Fprintf(&b, "| %s |\n|%s\n", strings.Join(header, " | "), strings.Repeat("---|", len(header)))
	for _, row := range rows {
		line := strings.NewReplacer("*", `\*`, "<", `\<`).Replace(strings.Join(row, " | "))
		fmt.Fprintf(&b, "| %s |\n", line)
	}
	return b.String()
}

// TestManual does what README.md says. The files of a section make a directory:
// a block of yaml or text is the files that its comments name, and a console
// block has commands and what they print, where … is anything. At the end of
// the section its policies load and their tests pass, unless it has a block
// "yaml wrong".
func TestManual(t *testing.T) {
	bin := t.TempDir()
	build := exec.Command("go", "build", "-o", bin, "../cmd/stsgate")
	if out, err := build.CombinedOutput(); err != nil {
		t.Fatalf("build: %v: %s", err, out)
	}
	root := t.TempDir()
	for _, s := range sections(t, string(read(t, manual))) {
		t.Run(s.title, func(t *testing.T) { s.run(t, bin, root) })
	}
}

// A section is what stands below one heading of the second level.
type section struct {
	title   string
	filesOf string // the section whose files it begins with
	blocks  []block
}

// A block is fenced text.
type block struct {
	line       int // of its first one
	info, text string
}

// sections splits the manual.
func sections(t *testing.T, text string) []section {
	t.Helper()
	all := []section{{title: "introduction"}}
	fence := regexp.MustCompile("^```(.*)$")
	filesOf := regexp.MustCompile(`^<!-- files of: (.*) -->$`)
	var open *block
	number := 0
	for line := range strings.Lines(text) {
		number++
		s := &all[len(all)-1]
		title, isTitle := strings.CutPrefix(line, "## ")
		m := fence.FindStringSubmatch(strings.TrimSuffix(line, "\n"))
		switch {
		case open != nil && m == nil:
			open.text += line
		case open != nil:
			s.blocks, open = append(s.blocks, *open), nil
		case m != nil:
			open = &block{line: number + 1, info: m[1]}
		case isTitle:
			all = append(all, section{title: strings.TrimSpace(title)})
		default:
			if m := filesOf.FindStringSubmatch(strings.TrimSpace(line)); m != nil {
				s.filesOf = m[1]
			}
		}
	}
	if open != nil || len(all) < 10 {
		t.Fatalf("%s is cut: %d sections", manual, len(all))
	}
	return all
}

// run does what a section says in a directory of root with the section's name.
func (s *section) run(t *testing.T, bin, root string) {
	dir := filepath.Join(root, s.title)
	if s.filesOf != "" {
		if err := os.CopyFS(dir, os.DirFS(filepath.Join(root, s.filesOf))); err != nil {
			t.Fatal(err)
		}
	}
	wrong := false
	for _, b := range s.blocks {
		switch b.info {
		case "yaml", "yaml wrong", "text":
			wrong = wrong || b.info == "yaml wrong"
			b.write(t, dir)
		case "console":
			b.execute(t, bin, dir)
		default:
			t.Errorf("%s:%d: a block %q is never executed", manual, b.line, b.info)
		}
	}
	if len(s.blocks) == 0 {
		return
	}
	files := os.DirFS(filepath.Join(dir, "policies"))
	set, err := policy.Load(files, manualVocabulary())
	switch {
	case wrong && err == nil:
		t.Error("loads, and the manual calls it wrong")
	case wrong:
	case err != nil:
		t.Error(err)
	default:
		pass(t, set, files)
	}
}

// write writes the files of a block.
func (b *block) write(t *testing.T, dir string) {
	t.Helper()
	files := regexp.MustCompile(`(?m)^# (policies/\S+)$`).FindAllStringSubmatchIndex(b.text, -1)
	if len(files) == 0 || files[0][0] != 0 {
		t.Fatalf("%s:%d: the first line names no file", manual, b.line)
	}
	for i, at := range files {
		end := len(b.text)
		if i+1 < len(files) {
			end = files[i+1][0]
		}
		file := filepath.Join(dir, b.text[at[2]:at[3]])
		if err := os.MkdirAll(filepath.Dir(file), 0o700); err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(file, []byte(b.text[at[0]:end]), 0o600); err != nil {
			t.Fatal(err)
		}
	}
}

// execute runs the commands of a block and compares what they print.
func (b *block) execute(t *testing.T, bin, dir string) {
	t.Helper()
	for _, c := range commands(b.text) {
		ctx, cancel := context.WithTimeout(t.Context(), time.Minute)
		sh := exec.CommandContext(ctx, "sh", "-c", c.command)
		sh.Dir = dir
		sh.Env = append(os.Environ(), "PATH="+bin+":"+os.Getenv("PATH"), "LC_ALL=C")
		out, _ := sh.CombinedOutput() // what a failure prints is compared, too
		cancel()
		want := "^" + strings.ReplaceAll(regexp.QuoteMeta(c.output), "…", ".*") + "$"
		if !regexp.MustCompile(want).Match(out) {
			t.Errorf("%s:%d: $ %s\nprinted\n%s\nand the manual says\n%s", manual, b.line, c.command, out, c.output)
		}
	}
}

// A command is what follows "$ ", with its here-document, and what it prints.
type command struct{ command, output string }

func commands(text string) []command {
	var all []command
	end := ""
	for line := range strings.Lines(text) {
		word, isCommand := strings.CutPrefix(line, "$ ")
		switch {
		case end != "":
			all[len(all)-1].command += line
			if strings.TrimSpace(line) == end {
				end = ""
			}
		case isCommand:
			all = append(all, command{command: word})
			if _, rest, here := strings.Cut(word, "<<'"); here {
				end, _, _ = strings.Cut(rest, "'")
			}
		default:
			all[len(all)-1].output += line
		}
	}
	return all
}

// manualVocabulary is what the program takes without a configuration.
func manualVocabulary() policy.Vocabulary {
	v := policy.Vocabulary{Directory: true, Endpoints: []string{"/adfs/services/trust/13/usernamemixed", "/adfs/services/trust/2005/usernamemixed"}}
	for _, d := range family.Names() {
		v.Families = append(v.Families, string(d.Name))
	}
	return v
}

// pass runs the tests of a policy directory.
func pass(t *testing.T, set *policy.Set, files fs.FS) {
	t.Helper()
	report, err := policytest.Run(set, files)
	if err != nil {
		t.Fatal(err)
	}
	for _, r := range report.Results {
		for _, d := range r.Differences {
			t.Errorf("%s:%d: %s: %s\n%s", r.File, r.Test.Line, r.Test.Name, d, r.Explanation)
		}
	}
}

// The links within the manual have a place to go.
func TestManualLinks(t *testing.T) {
	text := string(read(t, manual))
	places := make(map[string]bool)
	for _, s := range sections(t, text) {
		places[strings.ReplaceAll(strings.ToLower(s.title), " ", "-")] = true
	}
	linked := make(map[string]bool)
	for _, m := range regexp.MustCompile(`\]\(([^)#]*)#?([^)]*)\)`).FindAllStringSubmatch(text, -1) {
		switch {
		case m[1] == "":
			linked[m[2]] = true
		case !strings.Contains(m[1], ":"):
			if _, err := os.Stat(m[1]); err != nil {
				t.Error(err)
			}
		}
	}
	delete(places, "introduction")
	for place := range maps.Keys(linked) {
		if !places[place] {
			t.Errorf("#%s is no heading", place)
		}
	}
	for place := range maps.Keys(places) {
		if !linked[place] {
			t.Errorf("nothing leads to #%s", place)
		}
	}
}
