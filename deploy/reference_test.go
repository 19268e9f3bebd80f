package deploy_test

import (
	"fmt"
	"go/doc/comment"
	"go/parser"
	"go/token"
	"os"
	"regexp"
	"slices"
	"strings"
	"testing"

	"stsgate/gateway/audit"
	"stsgate/gateway/family"
	"stsgate/gateway/refusal"
	"stsgate/gateway/wstrust"
	"stsgate/policy"
)

const referenceIntroduction = `# Reference

Every key, condition, reason, field, metric and verb of stsgate. This page is generated: the texts stand in the code
at the thing that they describe, a test compares, and ` + "`make golden`" + ` writes the page anew.
[README.md](README.md) tells how to run it.
`

// TestReference holds REFERENCE.md to the code. UPDATE=1 writes it.
func TestReference(t *testing.T) {
	const file = "REFERENCE.md"
	got := reference(t)
	if os.Getenv("UPDATE") == "1" {
		if err := os.WriteFile(file, []byte(got), 0o644); err != nil {
			t.Fatal(err)
		}
		return
	}
	want, have := strings.Split(string(read(t, file)), "\n"), strings.Split(got, "\n")
	for i := range max(len(want), len(have)) {
		if i >= len(want) || i >= len(have) || want[i] != have[i] {
			t.Fatalf("%s:%d does not say what the code says; make golden (or UPDATE=1 go test ./deploy) writes it anew\ncode %q\nfile %q",
				file, i+1, have[min(i, len(have)-1)], want[min(i, len(want)-1)])
		}
	}
}

// reference renders the page.
func reference(t *testing.T) string {
	t.Helper()
	sections := []struct{ title, text string }{
		{"Configuration", configurationSection(t)},
		{"Policy", policySection(t)},
		{"Refusals", refusalsSection()},
		{"Tolerances", tolerancesSection()},
		{"Audit record", auditSection(t)},
		{"Metrics", metricsSection(t)},
		{"Commands", commandsSection(t)},
	}
	var contents, body strings.Builder
	for _, s := range sections {
		fmt.Fprintf(&contents, "- [%s](#%s)", s.title, anchor(s.title))
		separator := ": "
		for _, m := range regexp.MustCompile(`(?m)^### (.+)$`).FindAllStringSubmatch(s.text, -1) {
			fmt.Fprintf(&contents, "%s[%s](#%s)", separator, strings.ReplaceAll(m[1], "`", ""), anchor(m[1]))
			separator = ", "
		}
		contents.WriteString("\n")
		fmt.Fprintf(&body, "\n## %s\n\n%s", s.title, s.text)
	}
	return referenceIntroduction + "\n" + contents.String() + body.String()
}

// TestReferenceLinks holds that each link within the page has one place to go.
func TestReferenceLinks(t *testing.T) {
	text := reference(t)
	places := map[string]int{}
	for _, m := range regexp.MustCompile(`(?m)^##+ (.+)$`).FindAllStringSubmatch(text, -1) {
		places[anchor(m[1])]++
	}
	for _, m := range regexp.MustCompile(`\]\(#([^)]*)\)`).FindAllStringSubmatch(text, -1) {
		if n := places[m[1]]; n != 1 {
			t.Errorf("#%s: got %d headings, want 1", m[1], n)
		}
	}
}

// policySection has the language as the package's comment tells it, and the
// keys.
func policySection(t *testing.T) string {
	var b strings.Builder
	b.WriteString("The files in the folder that the key `policy` of the configuration names.\n\n")
	b.WriteString(packageComment(t, "../policy/doc.go", "The language", map[string]string{"Keys": "#keys-of-a-file", "Conflict": "#refusals"}))
	b.WriteString(keyTables(policy.Keys()))
	fmt.Fprintf(&b, "\n### Facts\n\nWhat `when` and files of facts call by these names. A claim is what the client chooses freely: it never grants alone. What costs a\n"+
		"look-up is looked up when a rule asks for it, or for the audit record.\n\n%s", factsTable())
	fmt.Fprintf(&b, "\n### Families\n\nThe values of `client.family`.\n\n%s", familiesTable())
	b.WriteString("\n### Tests\n\n")
	b.WriteString(packageComment(t, "../policy/doc.go", "Tests", nil))
	b.WriteString(keyTables(policy.TestKeys()))
	return b.String()
}

// keyTables has a table for each place that keys stand in.
func keyTables(keys []policy.Key) string {
	var b strings.Builder
	var places []string
	for _, k := range keys {
		if !slices.Contains(places, k.Place) {
			places = append(places, k.Place)
		}
	}
	for _, place := range places {
		var rows [][]string
		for _, k := range keys {
			if k.Place == place {
				rows = append(rows, []string{code(k.Name), plain(k.Type), plain(k.Meaning)})
			}
		}
		article := "a"
		if strings.ContainsAny(place[:1], "aeiou") {
			article = "an"
		}
		fmt.Fprintf(&b, "\n### Keys of %s %s\n\n%s", article, place, table([]string{"Key", "Value", "Meaning"}, rows))
	}
	return b.String()
}

func factsTable() string {
	var rows [][]string
	for _, f := range policy.FactInfos() {
		var kinds []string
		if f.Claim {
			kinds = append(kinds, "claim")
		}
		if f.LookUp {
			kinds = append(kinds, "look-up")
		}
		rows = append(rows, []string{code(f.Name), f.Type, strings.Join(kinds, ", "), plain(f.Meaning)})
	}
	return table([]string{"Fact", "Value", "Kind", "Meaning"}, rows)
}

func familiesTable() string {
	var rows [][]string
	for _, f := range family.Names() {
		rows = append(rows, []string{code(string(f.Name)), plain(f.Doc)})
	}
	return table([]string{"Family", "Software"}, rows)
}

// packageComment renders one section of a package's comment. What it refers to
// in the package is linked as links say, or else is plain.
func packageComment(t *testing.T, file, heading string, links map[string]string) string {
	t.Helper()
	parsed, err := parser.ParseFile(token.NewFileSet(), file, nil, parser.ParseComments|parser.PackageClauseOnly)
	if err != nil {
		t.Fatal(err)
	}
	known := comment.Parser{LookupSym: func(_, name string) bool { return links[name] != "" }}
	all := known.Parse(parsed.Doc.Text())
	var section comment.Doc
	inside := false
	for _, block := range all.Content {
		if h, ok := block.(*comment.Heading); ok {
			inside = len(h.Text) == 1 && h.Text[0] == comment.Plain(heading)
		} else if inside {
			section.Content = append(section.Content, block)
		}
	}
	if len(section.Content) == 0 {
		t.Fatalf("%s: the package's comment has no section %q", file, heading)
	}
	printer := comment.Printer{DocLinkURL: func(l *comment.DocLink) string { return links[l.Name] }}
	return string(printer.Markdown(&section))
}

func refusalsSection() string {
	var early, faults [][]string
	texts, reasons := []string(nil), map[string][]string{}
	for _, r := range refusal.Reasons() {
		row := r.Row()
		answer := fmt.Sprint(row.Status)
		if row.Fault() {
			side, prefix := "Receiver", "wst"
			if row.Sender {
				side = "Sender"
			}
			if row.Security {
				prefix = "wsse"
			}
			answer += ", " + side + ", " + code(prefix+":"+row.Code)
		}
		if row.Close {
			answer += "; closes"
		}
		cells := []string{code(row.Label), answer, plain(row.Text), strings.ToLower(row.Level.String()), plain(row.Meaning)}
		if !row.Fault() {
			early = append(early, cells)
			continue
		}
		faults = append(faults, cells)
		if reasons[row.Text] == nil {
			texts = append(texts, row.Text)
		}
		reasons[row.Text] = append(reasons[row.Text], code(row.Label))
	}
	var index [][]string
	for _, text := range texts {
		index = append(index, []string{plain(text), strings.Join(reasons[text], ", ")})
	}
	header := []string{"Reason", "Answer", "Text", "Log", "Meaning"}
	return "Why a request got no token. The reason is `event.reason` in the audit record and the label `reason` of\n" +
		"`stsgate_exchanges_total`; both say `ok` for a request that was answered. The client never reads it: it reads the text, and behind\n" +
		"it the transaction id, under which log and audit have the cause. \"closes\" says that the connection is closed after the answer.\n" +
		"\n### Before there is a message\n\nA plain HTTP status.\n\n" + table(header, early) +
		"\n### SOAP faults\n\nSender is `Client` in SOAP 1.1, and Receiver is `Server`. `wst` is the namespace of the endpoint's WS-Trust version, `wsse` that of\n" +
		"WS-Security 1.0. A fault has `Retry-After: 1`, so that no client repeats the message at once by itself.\n\n" +
		table(header, faults) +
		"\n### By the text that a user reads\n\n" + table([]string{"Text", "Reasons"}, index)
}

func tolerancesSection() string {
	var rows [][]string
	for _, t := range wstrust.Tolerances() {
		answer := "forward, issue"
		if t.IssueOnly() {
			answer = "issue"
		}
		rows = append(rows, []string{code(t.String()), plain(t.Meaning()), plain(t.Needs()), answer})
	}
	return "Deviations from the specifications that are accepted, since they can be read in one way only. A message that was accepted with\n" +
		"some has them in `labels.tolerated`. Where only the built-in issuer can answer such a message, a request that would be forwarded is refused.\n" +
		"`endpoints[].tolerate` leaves some out: who needs one of these is refused there as `malformed`.\n\n" +
		table([]string{"Name", "Deviation", "Needed by", "Answered by"}, rows)
}

func auditSection(t *testing.T) string {
	header := []string{"Field", "Present", "Meaning"}
	var b strings.Builder
	b.WriteString("One line of JSON for each. The names are those of the Elastic Common Schema 8, flattened; what the schema has no name for\n" +
		"stands under `labels`. [audit.schema.json](audit.schema.json) is a JSON schema of a line; of what it is the record its `event.action` tells.\n")
	for _, k := range audit.Kinds() {
		var actions []string
		for _, a := range k.Actions {
			actions = append(actions, code(a))
		}
		fmt.Fprintf(&b, "\n### Record of %s\n\n%s `event.action` is %s.\n\n%s", k.Name, k.Doc, strings.Join(actions, ", "), table(header, auditRows(t, k.Own())))
	}
	fmt.Fprintf(&b, "\n### The end of every line\n\nWho wrote it, and its place in a chain, which `stsgate audit verify` follows.\n\n%s",
		table(header, auditRows(t, stampFields())))
	return b.String()
}

// stampFields are the fields that every line ends with.
func stampFields() []audit.Field {
	k := audit.Kinds()[0]
	return k.All()[len(k.Own()):]
}

func auditRows(t *testing.T, fields []audit.Field) [][]string {
	t.Helper()
	meanings := comments(t, "../gateway/audit")
	var rows [][]string
	for _, f := range fields {
		present := "always"
		if !f.Always {
			present = "if any"
		}
		rows = append(rows, []string{code(f.Name), present, plain(meanings[f.Struct+"."+f.Go])})
	}
	return rows
}

// TestAuditFields holds that each field is documented, and named as the
// Elastic Common Schema does.
func TestAuditFields(t *testing.T) {
	sets := []string{"client", "destination", "error", "event", "hash", "host", "http", "labels", "process", "rule", "service", "source", "tls", "transaction", "url", "user", "user_agent"}
	all := stampFields()
	for _, k := range audit.Kinds() {
		all = append(all, k.Own()...)
	}
	for _, row := range auditRows(t, all) {
		name, meaning := strings.Trim(row[0], "`"), row[2]
		set, rest, _ := strings.Cut(name, ".")
		if name != "@timestamp" && (!slices.Contains(sets, set) || !regexp.MustCompile(`^[a-z_]+(\.[a-z_]+)*$|^sha256$`).MatchString(rest)) {
			t.Errorf("%q is no name of the schema", name)
		}
		if !strings.HasSuffix(meaning, ".") {
			t.Errorf("%s: got comment %q, want a sentence", name, meaning)
		}
	}
}

// anchor is what GitHub makes of a heading.
func anchor(heading string) string {
	return strings.ReplaceAll(regexp.MustCompile(`[^a-z0-9 _-]`).ReplaceAllString(strings.ToLower(heading), ""), " ", "-")
}

// table renders a table of Markdown.
func table(header []string, rows [][]string) string {
	var b strings.Builder
	fmt.Fprintf(&b, "| %s |\n|%s\n", strings.Join(header, " | "), strings.Repeat("---|", len(header)))
	for _, row := range rows {
		fmt.Fprintf(&b, "| %s |\n", strings.Join(row, " | "))
	}
	return b.String()
}

// code renders a name.
func code(s string) string { return "`" + strings.ReplaceAll(s, "|", `\|`) + "`" }

// plain renders a text so that nothing in it is markup; addresses become code,
// since they are no links.
func plain(s string) string {
	s = strings.NewReplacer("|", `\|`, "*", `\*`, "<", `\<`, "`", "\\`").Replace(s)
	return regexp.MustCompile(`https?://[^\s,;:)]*[^\s,;:).](:\w+)?`).ReplaceAllStringFunc(s, code)
}
