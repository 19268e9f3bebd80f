package deploy_test

import (
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"stsgate/gateway/config"
	"stsgate/gateway/family"
	"stsgate/policy"
	"stsgate/policy/policytest"
)

// examplesNow is before all dates in the examples, as their tests are.
var examplesNow = time.Date(2026, 12, 1, 0, 0, 0, 0, time.UTC)

// vocabulary is that of a gateway with everything configured: a directory, a
// farm, an issuer and places.
func vocabulary() policy.Vocabulary {
	v := policy.Vocabulary{Directory: true, Now: examplesNow}
	for _, e := range config.Defaults().Endpoints {
		if e.Kind == config.UsernameMixed2005 || e.Kind == config.UsernameMixed13 {
			v.Endpoints = append(v.Endpoints, e.Path)
		}
	}
	for _, d := range family.Names() {
		if d.Name != family.Unknown {
			v.Families = append(v.Families, string(d.Name))
		}
	}
	return v
}

// The example policies load without a warning, tell what they are for, and have
// tests that pass, lean on nothing and show each rule apply (POL-04, MFA-18).
func TestExamplePolicies(t *testing.T) {
	dirs, err := filepath.Glob("policies/*/policy.yaml")
	if err != nil || len(dirs) < 7 {
		t.Fatalf("got %d examples, %v", len(dirs), err)
	}
	for _, file := range dirs {
		dir := filepath.Dir(file)
		t.Run(filepath.Base(dir), func(t *testing.T) {
			if !strings.HasPrefix(string(read(t, file)), "# ") {
				t.Errorf("%s: no comment at the top", file)
			}
			set, err := policy.Load(os.DirFS(dir), vocabulary())
			if err != nil {
				t.Fatal(err)
			}
			for _, w := range set.Warnings(examplesNow) {
				t.Errorf("warning: %v", w)
			}
			runExampleTests(t, set, dir)
		})
	}
}

func runExampleTests(t *testing.T, set *policy.Set, dir string) {
	report, err := policytest.Run(set, os.DirFS(dir))
	if err != nil {
		t.Fatal(err)
	}
	for _, r := range report.Results {
		if r.Failed() {
			t.Errorf("%s:%d: %s: %q\n%s", r.File, r.Test.Line, r.Test.Name, r.Differences, r.Explanation)
		}
		if len(r.LeansOn) > 0 {
			t.Errorf("%s:%d: %s leans on %v", r.File, r.Test.Line, r.Test.Name, r.LeansOn)
		}
	}
	for _, rule := range report.Uncovered() {
		t.Errorf("%s:%d: rule %q applies in no test", rule.File, rule.Line, rule.Name)
	}
}

// deploy/README.md names each example.
func TestExamplePoliciesAreListed(t *testing.T) {
	readme := string(read(t, "README.md"))
	dirs, err := filepath.Glob("policies/*")
	if err != nil {
		t.Fatal(err)
	}
	unlisted := slices.DeleteFunc(dirs, func(dir string) bool { return strings.Contains(readme, "("+dir+"/policy.yaml)") })
	if len(unlisted) > 0 {
		t.Errorf("README.md does not link %v", unlisted)
	}
}
