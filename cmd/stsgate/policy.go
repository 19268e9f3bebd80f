package main

import (
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"strings"
	"time"

	"stsgate/gateway/config"
	"stsgate/policy"
	"stsgate/policy/policytest"
)

// policyVerbs work on policy files, without a gateway.
type policyVerbs struct {
	Test    policyTest    `cmd:"" help:"Run the tests beside the policy files."`
	Explain policyExplain `cmd:"" help:"Explain what is decided on given facts, and why."`
	Replay  policyReplay  `cmd:"" help:"List the verdicts of the past that a policy would change."`
}

// Help shows examples.
func (policyVerbs) Help() string {
	return `Examples:
  stsgate policy test policies
  stsgate policy explain policies --facts facts.yaml
  stsgate policy replay policies --audit audit.jsonl`
}

// A policyDir names policy files and what they are loaded with.
type policyDir struct {
	Config string `short:"c" placeholder:"FILE" help:"The configuration, for the endpoints and whether there are a directory, a farm and an issuer; without it, the preset of endpoints and everything else is there."`
	Dir    string `arg:"" help:"The policy directory."`
}

// load reads the policy files.
func (d *policyDir) load() (*policy.Set, fs.FS, error) {
	v := anything()
	if d.Config != "" {
		c, err := config.Load(d.Config)
		if err != nil {
			return nil, nil, mistakes{err}
		}
		v = vocabulary(c)
	}
	return loadDir(d.Dir, v)
}

// loadDir reads the policy files of a directory that the user names.
func loadDir(dir string, v policy.Vocabulary) (*policy.Set, fs.FS, error) {
	if info, err := os.Stat(dir); err != nil || !info.IsDir() {
		return nil, nil, usageError{fmt.Errorf("%s is not a directory of policy files", dir)}
	}
	fsys := os.DirFS(dir)
	v.Dir = fromHere(dir)
	set, err := policy.Load(fsys, v)
	if err != nil {
		return nil, nil, mistakes{err}
	}
	return set, fsys, nil
}

type policyTest struct {
	policyDir
	JUnit string `name:"junit" placeholder:"FILE" help:"Write the results in the XML form of JUnit as well."`
}

// Help shows examples.
func (policyTest) Help() string {
	return `Runs the tests of all files *_test.yaml in the policy directory and prints the warnings that check
prints of policy, what failed with the explanation of the decision, then the rules that applied in no
test. A test whose outcome rests on a
fact that it leaves out is named: the fact is empty in the test, and may be unknown in a request.

The exit code is 0 when all tests passed, 1 otherwise.

Examples:
  stsgate policy test policies
  stsgate policy test policies -c stsgate.yaml --junit policy.xml`
}

// Run runs the tests.
func (v *policyTest) Run(c *console) error {
	set, fsys, err := v.load()
	if err != nil {
		return err
	}
	report, err := policytest.Run(set, fsys)
	if err != nil {
		return mistakes{err}
	}
	if len(report.Results) == 0 {
		return fmt.Errorf("%s holds no test: write NAME%s", v.Dir, policy.TestSuffix)
	}
	if v.JUnit != "" {
		if err := writeJUnit(v.JUnit, report); err != nil {
			return err
		}
	}
	for _, w := range set.Warnings(time.Now()) {
		fmt.Fprintln(c.out, "note ", w)
	}
	printReport(c.out, report)
	if report.Failures() > 0 {
		return errReported
	}
	return nil
}

func writeJUnit(file string, report *policytest.Report) error {
	f, err := os.Create(file)
	if err != nil {
		return err
	}
	return errors.Join(report.WriteJUnit(f), f.Close())
}

func printReport(w io.Writer, report *policytest.Report) {
	for i := range report.Results {
		r := &report.Results[i]
		at := fmt.Sprintf("%s:%d", r.File, r.Test.Line)
		switch {
		case r.Failed():
			fmt.Fprintf(w, "FAIL  %s: %s\n", at, r.Test.Name)
			for _, d := range r.Differences {
				fmt.Fprintf(w, "    %s\n", d)
			}
			fmt.Fprint(w, indent(r.Explanation.String(), "      "))
		case len(r.LeansOn) > 0:
			fmt.Fprintf(w, "note  %s: %s: the outcome rests on facts that the test leaves out: %s\n", at, r.Test.Name, strings.Join(r.LeansOn, ", "))
		}
	}
	uncovered := report.Uncovered()
	for _, rule := range uncovered {
		fmt.Fprintf(w, "note  %s:%d: rule %q applies in no test\n", rule.File, rule.Line, rule.Name)
	}
	passed := len(report.Results) - report.Failures()
	fmt.Fprintf(w, "%d of %d tests passed; %d of %d rules covered\n",
		passed, len(report.Results), len(report.Coverage)-len(uncovered), len(report.Coverage))
}

// indent puts the prefix before each line.
func indent(text, prefix string) string {
	text = strings.TrimSuffix(text, "\n")
	return prefix + strings.ReplaceAll(text, "\n", "\n"+prefix) + "\n"
}
