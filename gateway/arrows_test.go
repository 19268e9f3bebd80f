package gateway_test

import (
	"encoding/json"
	"errors"
	"io"
	"os/exec"
	"slices"
	"strings"
	"testing"
)

// may lists, for each folder, what of the project its packages may import:
// exact packages, or a folder with a trailing slash. The first entry that is a
// prefix of a package holds for it.
var may = []struct {
	folder string
	allows []string
}{
	{"stsgate/cmd/", []string{"stsgate/gateway", "stsgate/gateway/", "stsgate/policy", "stsgate/policy/", "stsgate/upstream/", "stsgate/deploy"}},

	// The leaves.
	{"stsgate/gateway/account", nil},
	{"stsgate/gateway/refusal", nil},
	{"stsgate/gateway/soap", nil},
	{"stsgate/gateway/audit/", []string{"stsgate/gateway/audit"}},
	{"stsgate/gateway/audit", nil},
	{"stsgate/gateway/clientip", nil},
	{"stsgate/gateway/clock", nil},
	{"stsgate/gateway/config", nil},
	{"stsgate/gateway/place", nil},
	{"stsgate/gateway/socket", nil},
	{"stsgate/gateway/state/", []string{"stsgate/gateway/state"}},
	{"stsgate/gateway/state", nil},

	{"stsgate/gateway/mfa/knock", []string{"stsgate/gateway/state"}},
	{"stsgate/gateway/mfa/factor", []string{"stsgate/gateway/account", "stsgate/gateway/state", "stsgate/policy"}},
	{"stsgate/gateway/mfa", []string{"stsgate/gateway/mfa/factor", "stsgate/gateway/mfa/knock", "stsgate/gateway/account", "stsgate/gateway/refusal", "stsgate/gateway/state", "stsgate/policy"}},
	{"stsgate/gateway/guard", []string{"stsgate/gateway/account", "stsgate/gateway/refusal", "stsgate/gateway/state"}},
	{"stsgate/gateway/admin", []string{"stsgate/gateway/account", "stsgate/gateway/audit", "stsgate/gateway/guard", "stsgate/gateway/mfa/factor", "stsgate/gateway/state"}},
	{"stsgate/gateway/portal", []string{"stsgate/gateway/mfa", "stsgate/gateway/mfa/factor", "stsgate/gateway/mfa/knock", "stsgate/gateway/account", "stsgate/gateway/clientip", "stsgate/gateway/state", "stsgate/policy"}},
	{"stsgate/gateway/wstrust", []string{"stsgate/gateway/soap", "stsgate/gateway/account"}},
	{"stsgate/gateway/mex", []string{"stsgate/gateway/refusal", "stsgate/gateway/soap", "stsgate/gateway/wstrust"}},
	{"stsgate/gateway/edge", []string{"stsgate/gateway/refusal", "stsgate/gateway/socket"}},
	// The path of an exchange imports the rooms below it except those that cmd
	// builds around it.
	{"stsgate/gateway", []string{"stsgate/policy", "stsgate/gateway/account", "stsgate/gateway/audit", "stsgate/gateway/clientip", "stsgate/gateway/family", "stsgate/gateway/guard", "stsgate/gateway/mfa", "stsgate/gateway/mfa/factor",
		"stsgate/gateway/place", "stsgate/gateway/refusal", "stsgate/gateway/soap", "stsgate/gateway/wstrust"}},

	{"stsgate/policy/policytest", []string{"stsgate/policy"}},
	{"stsgate/policy", nil},

	{"stsgate/upstream/", []string{"stsgate/upstream/", "stsgate/gateway/wstrust", "stsgate/gateway/soap", "stsgate/gateway/socket", "stsgate/gateway/account"}},
	{"stsgate/deploy", nil},
	{"stsgate/testdata", nil},
}

// The arrows between packages, over what ships (design.md, section 3). A
// package that no row names is not allowed anything.
func TestArrows(t *testing.T) {
	cmd := exec.Command("go", "list", "-json=ImportPath,Imports", "stsgate/...")
	out, err := cmd.Output()
	if err != nil {
		t.Fatalf("go list: %v", err)
	}
	packages := 0
	for d := json.NewDecoder(strings.NewReader(string(out))); ; packages++ {
		var p struct {
			ImportPath string
			Imports    []string
		}
		if err := d.Decode(&p); errors.Is(err, io.EOF) {
			break
		} else if err != nil {
			t.Fatal(err)
		}
		allows, known := allowed(p.ImportPath)
		if !known {
			t.Errorf("%s is in no row of the arrows", p.ImportPath)
		}
		for _, i := range p.Imports {
			if strings.HasPrefix(i, "stsgate/") && !permitted(allows, i) {
				t.Errorf("%s imports %s", p.ImportPath, i)
			}
		}
	}
	if packages < 10 {
		t.Errorf("go list saw %d packages", packages)
	}
}

func allowed(path string) ([]string, bool) {
	for _, row := range may {
		if path == row.folder || strings.HasPrefix(path, strings.TrimSuffix(row.folder, "/")+"/") {
			return row.allows, true
		}
	}
	return nil, false
}

func permitted(allows []string, path string) bool {
	return slices.ContainsFunc(allows, func(a string) bool {
		return a == path || strings.HasSuffix(a, "/") && strings.HasPrefix(path, a)
	})
}

func TestArrowsAreHeld(t *testing.T) {
	for _, c := range []struct {
		from, to string
		want     bool
	}{
		{"stsgate/gateway", "stsgate/policy", true},
		{"stsgate/gateway", "stsgate/upstream/adfs", false},
		{"stsgate/gateway", "stsgate/gateway/edge", false},
		{"stsgate/policy", "stsgate/gateway/soap", false},
		{"stsgate/policy/policytest", "stsgate/gateway/soap", false},
		{"stsgate/upstream/adfs", "stsgate/gateway/wstrust", true},
		{"stsgate/upstream/adfs/adfstest", "stsgate/upstream/xmlsig", true},
		{"stsgate/upstream/adfs", "stsgate/gateway/refusal", false},
		{"stsgate/gateway/soap", "stsgate/gateway/account", false},
		{"stsgate/cmd/stsgate", "stsgate/testdata", false},
	} {
		allows, _ := allowed(c.from)
		if got := permitted(allows, c.to); got != c.want {
			t.Errorf("%s importing %s: %v, want %v", c.from, c.to, got, c.want)
		}
	}
}
