package wstrust_test

import (
	"fmt"
	"os"
	"strings"
	"testing"

	"stsgate/gateway/wstrust"
)

// The table of tolerances in the package comment is what the code says
// (SOAP-17). UPDATE=1 writes it.
func TestTolerancesInPackageComment(t *testing.T) {
	const file, begin, end = "doc.go", "// table is generated from the list of them.\n//\n", "package wstrust\n"
	source, err := os.ReadFile(file)
	if err != nil {
		t.Fatal(err)
	}
	before, rest, found := strings.Cut(string(source), begin)
	have, _, ended := strings.Cut(rest, end)
	if !found || !ended {
		t.Fatalf("%s has no place for the table between %q and %q", file, begin, end)
	}
	want := tolerancesTable()
	if have == want {
		return
	}
	if os.Getenv("UPDATE") != "1" {
		t.Fatalf("%s has another table than the code; UPDATE=1 go test ./gateway/wstrust writes it\ngot\n%s\nwant\n%s", file, have, want)
	}
	if err := os.WriteFile(file, []byte(before+begin+want+end), 0o644); err != nil {
		t.Fatal(err)
	}
}

// tolerancesTable has two lines for each tolerance, as gofmt has them.
func tolerancesTable() string {
	var b strings.Builder
	row := func(name, answer, needs string) { fmt.Fprintf(&b, "//\t%-26s %-14s %s\n", name, answer, needs) }
	row("name", "answered by", "needed by")
	for _, tol := range wstrust.Tolerances() {
		answer := "farm, issuer"
		if tol.IssueOnly() {
			answer = "issuer"
		}
		row(tol.String(), answer, tol.Needs())
		fmt.Fprintf(&b, "//\t    %s\n", tol.Meaning())
	}
	return b.String()
}
