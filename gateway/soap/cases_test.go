package soap_test

import (
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"testing"

	"stsgate/gateway/soap"
	"stsgate/testdata/oracle"
)

// A scanCase is a document and the rule that refuses it, accepted for none.
type scanCase struct{ name, src, rule string }

// scanCases returns the documents of testdata/cases. A line has the rule, or
// the word accept, then the document in Go's quotes, then what it is about.
func scanCases(t *testing.T) []scanCase {
	t.Helper()
	files, err := filepath.Glob("testdata/cases/*.txt")
	if err != nil {
		t.Fatal(err)
	}
	var cases []scanCase
	for _, file := range files {
		b, err := os.ReadFile(file)
		if err != nil {
			t.Fatal(err)
		}
		for n, line := range strings.Split(string(b), "\n") {
			if line == "" || line[0] == '#' {
				continue
			}
			rule, rest, _ := strings.Cut(line, " ")
			quoted, err := strconv.QuotedPrefix(rest)
			if err != nil {
				t.Fatalf("%s:%d: no document in quotes", file, n+1)
			}
			src, err := strconv.Unquote(quoted)
			name := strings.TrimPrefix(rest[len(quoted):], " ")
			if err != nil || name == "" {
				t.Fatalf("%s:%d: want RULE \"DOCUMENT\" NAME", file, n+1)
			}
			if rule == "accept" {
				rule = accepted
			}
			cases = append(cases, scanCase{strings.TrimSuffix(filepath.Base(file), ".txt") + " " + rule + " " + name, src, rule})
		}
	}
	return cases
}

// TEST-02, XML-30: documents whose verdict was decided by the rules, not by
// the scanner. What is accepted, encoding/xml and both readers of .NET read
// as Scan does.
func TestCases(t *testing.T) {
	cases := scanCases(t)
	for _, c := range ruleCases {
		cases = append(cases, scanCase(c))
	}
	if len(cases) < 300 {
		t.Errorf("got %d cases, want at least 300", len(cases))
	}
	seen := make(map[string]string)
	for _, c := range cases {
		t.Run(c.name, func(t *testing.T) {
			if other, ok := seen[c.src]; ok {
				t.Errorf("the same document as %q", other)
			}
			seen[c.src] = c.name
			if got := ruleOf(t, c.src, soap.Request); got != c.rule {
				t.Errorf("got rule %q, want %q", got, c.rule)
			}
			compareWithTwin(t, []byte(c.src), soap.Request)
		})
	}
	t.Run("XML-30 .NET", func(t *testing.T) {
		judge := oracle.Start(t)
		agreed := 0
		for _, c := range cases {
			d, err := soap.Scan([]byte(c.src), soap.Request)
			if err != nil {
				continue
			}
			v, err := judge.Read([]byte(c.src))
			if err != nil {
				t.Fatal(err)
			}
			for reader, diff := range map[string]string{"XmlReader": v.XML.Difference(d), "WCF": v.WCF.Difference(d)} {
				if diff != "" {
					t.Errorf("%s: %s: %s", c.name, reader, diff)
				}
			}
			agreed++
		}
		t.Logf("%d of %d cases are accepted, and read alike", agreed, len(cases))
	})
}
