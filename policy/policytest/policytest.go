// Package policytest runs the tests that live beside policy files: facts in,
// the expected decision out, and which rules no test has seen apply.
//
// It decides nothing itself and prints nothing: a Report is data.
package policytest

import (
	"io/fs"
	"slices"

	"stsgate/policy"
)

// A Report is what the tests of a policy directory found.
type Report struct {
	Results []Result
	// Coverage has every rule of the set, by name.
	Coverage []Coverage
}

// A Result is what became of one test.
type Result struct {
	File string
	Test policy.Test
	// Differences are what was not as expected, one line each.
	Differences []string
	// LeansOn are facts that the test leaves out and on whose being empty the
	// expected outcome rests: unknown, they would change it, each by itself or,
	// where none does, all of them together.
	LeansOn []string
	// Explanation is how the set came to its decision, nil for a test that
	// passed.
	Explanation *policy.Explanation
}

// Failed reports that a test did not find what it expects.
func (r *Result) Failed() bool { return len(r.Differences) > 0 }

// A Coverage tells in how many tests a rule applied, or would have in
// report-only.
type Coverage struct {
	Rule  *policy.Rule
	Tests int
}

// Failures counts the tests that failed.
func (r *Report) Failures() int {
	n := 0
	for i := range r.Results {
		if r.Results[i].Failed() {
			n++
		}
	}
	return n
}

// Uncovered are the rules that applied in no test.
func (r *Report) Uncovered() []*policy.Rule {
	var all []*policy.Rule
	for _, c := range r.Coverage {
		if c.Tests == 0 {
			all = append(all, c.Rule)
		}
	}
	return all
}

// Run runs all tests of fsys against the set. An error is of type
// policy.Errors: a file of tests is wrong.
func Run(set *policy.Set, fsys fs.FS) (*Report, error) {
	suites, err := set.ReadSuites(fsys)
	if err != nil {
		return nil, err
	}
	report := new(Report)
	tests := make(map[*policy.Rule]int)
	for _, suite := range suites {
		for _, t := range suite.Tests {
			d, applying := set.Applying(&t.Facts)
			for _, rule := range applying {
				tests[rule]++
			}
			result := Result{File: suite.File, Test: t, Differences: t.Expect.Differences(&d, applying)}
			if result.Failed() {
				x := set.Explain(&t.Facts)
				result.Explanation = &x
			} else {
				result.LeansOn = leansOn(set, &t)
			}
			report.Results = append(report.Results, result)
		}
	}
	for _, rule := range set.Rules() {
		report.Coverage = append(report.Coverage, Coverage{rule, tests[rule]})
	}
	return report, nil
}

// leansOn names the facts that t leaves out and that its outcome needs to be
// empty: each that changes it by being unknown or, when none does, a few that
// do together.
func leansOn(set *policy.Set, t *policy.Test) []string {
	var left []policy.Fact
	for _, info := range policy.FactInfos() {
		if !t.Given.Has(info.Fact) && set.Mentions().Has(info.Fact) {
			left = append(left, info.Fact)
		}
	}
	changes := func(unknown ...policy.Fact) bool {
		f := t.Facts
		f.Known = f.Known.Without(unknown...)
		d, applying := set.Applying(&f)
		return len(t.Expect.Differences(&d, applying)) > 0
	}
	if !changes(left...) {
		return nil
	}
	alone := slices.DeleteFunc(slices.Clone(left), func(f policy.Fact) bool { return !changes(f) })
	if len(alone) == 0 {
		alone = fewest(left, changes)
	}
	names := make([]string, len(alone))
	for i, f := range alone {
		names[i] = f.String()
	}
	return names
}

// fewest leaves out of all facts those without which the others still make a
// change.
func fewest(all []policy.Fact, changes func(...policy.Fact) bool) []policy.Fact {
	for i := len(all) - 1; i >= 0; i-- {
		if fewer := slices.Delete(slices.Clone(all), i, i+1); changes(fewer...) {
			all = fewer
		}
	}
	return all
}
