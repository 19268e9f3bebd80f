package main

import (
	"bufio"
	"bytes"
	"cmp"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os"
	"runtime"
	"slices"
	"sync"
	"text/tabwriter"

	"stsgate/gateway/audit"
	"stsgate/policy"
)

type policyReplay struct {
	policyDir
	Audit []string `required:"" sep:"none" placeholder:"FILE" help:"Audit files, in any order; - for standard input. May be repeated, or more files follow."`
	More  []string `arg:"" optional:"" name:"file" help:"More audit files."`
	JSON  bool     `name:"json" help:"Print JSON."`
}

// Help shows examples.
func (policyReplay) Help() string {
	return `Decides anew on every request that the audit files record, by the policy files of the directory, and lists
the verdicts that would change, grouped by rule, application and user: those that would pass more
easily first, marked with !. Where rules for the application ask for a fact that the line lacks, the
request is undecided; the configuration audit: {facts: all} records all.

The exit code is 0, changes or not.

Examples:
  stsgate policy replay candidate --audit /var/log/stsgate/audit*.jsonl
  zcat audit-*.jsonl.gz | stsgate policy replay candidate --audit - --json`
}

// Run replays.
func (v *policyReplay) Run(c *console) error {
	set, _, err := v.load()
	if err != nil {
		return err
	}
	total := new(replayed)
	for _, file := range slices.Concat(v.Audit, v.More) {
		if err := total.file(c, file, set); err != nil {
			return fmt.Errorf("--audit: %w", err)
		}
	}
	if v.JSON {
		return total.writeJSON(c.out)
	}
	return total.print(c.out)
}

// A replayed is what lines of audit files came to.
type replayed struct {
	policy.Replay
	lines   int    // all
	without int    // record no decision of a policy
	broken  int    // cannot be read
	why     string // the first of them that was found cannot
}

func (r *replayed) file(c *console, name string, set *policy.Set) error {
	in := c.in
	if name != "-" {
		f, err := os.Open(name)
		if err != nil {
			return usageError{err}
		}
		defer f.Close()
		in = f
	}
	if err := r.read(in, set); err != nil {
		return fmt.Errorf("read %s: %w", name, err)
	}
	return nil
}

// chunk is how much a worker takes at once, in bytes.
const chunk = 1 << 20

// read replays all lines of a file, on all processors.
func (r *replayed) read(in io.Reader, set *policy.Set) error {
	chunks := make(chan []byte, 1)
	var mu sync.Mutex
	var workers sync.WaitGroup
	for range runtime.GOMAXPROCS(0) {
		workers.Go(func() {
			mine := new(replayed)
			for lines := range chunks {
				for line := range bytes.Lines(lines) {
					mine.line(line, set)
				}
			}
			mu.Lock()
			defer mu.Unlock()
			r.join(mine)
		})
	}
	err := split(in, chunks)
	close(chunks)
	workers.Wait()
	return err
}

// split sends the lines of a file in chunks.
func split(in io.Reader, chunks chan<- []byte) error {
	b := bufio.NewReaderSize(in, 64<<10)
	for {
		lines := make([]byte, chunk)
		n, err := io.ReadFull(b, lines)
		lines = lines[:n]
		if err == nil && lines[n-1] != '\n' {
			var rest []byte
			rest, err = b.ReadBytes('\n')
			lines = append(lines, rest...)
		}
		if len(lines) > 0 {
			chunks <- lines
		}
		switch {
		case err == io.EOF || errors.Is(err, io.ErrUnexpectedEOF):
			return nil
		case err != nil:
			return err
		}
	}
}

func (r *replayed) line(line []byte, set *policy.Set) {
	r.lines++
	recorded, err := recordedDecision(line)
	switch {
	case errors.Is(err, errNoDecision):
		r.without++
	case err != nil:
		r.broken++
		r.why = cmp.Or(r.why, err.Error())
	default:
		r.Add(set, recorded)
	}
}

// errNoDecision says that policy was not asked.
var errNoDecision = errors.New("no decision")

func recordedDecision(line []byte) (*policy.Recorded, error) {
	d, err := audit.ReadDecision(line)
	if err != nil {
		return nil, err
	}
	if d.Effect == "" {
		return nil, errNoDecision
	}
	r := &policy.Recorded{Rule: d.Rule, Requires: d.Requires, User: d.User, Missing: policy.AllFacts}
	if d.Facts != nil { // a record that would have been too long has none
		if r.Facts, r.Missing, err = policy.ParseRecorded(d.Facts); err != nil {
			return nil, err
		}
	}
	r.Was, err = policy.ParseVerdict(d.Effect, d.Answer, d.SecondFactor)
	return r, err
}

func (r *replayed) join(o *replayed) {
	r.lines += o.lines
	r.without += o.without
	r.broken += o.broken
	r.why = cmp.Or(r.why, o.why)
	r.Join(&o.Replay)
}

func (r *replayed) print(w io.Writer) error {
	changes := r.Changes()
	if len(changes) > 0 {
		t := tabwriter.NewWriter(w, 0, 0, 2, ' ', 0)
		fmt.Fprintln(t, "\tcount\twas\tby rule\tnow\tby rule\tapplication\tuser")
		for _, c := range changes {
			mark := ""
			if c.Now.Weaker(c.Was) {
				mark = "!"
			}
			fmt.Fprintf(t, "%s\t%d\t%s\t%s\t%s\t%s\t%s\t%s\n",
				mark, c.Count, c.Was, cmp.Or(c.RuleThen, "none"), c.Now, cmp.Or(c.Rule, "none"), c.Application, c.User)
		}
		if err := t.Flush(); err != nil {
			return err
		}
	}
	for fact, n := range r.Lacking {
		if n > 0 {
			fmt.Fprintf(w, "note  %d undecided: the lines lack %s\n", n, policy.Fact(fact))
		}
	}
	if r.why != "" {
		fmt.Fprintf(w, "note  %d not readable, such as one with: %s\n", r.broken, r.why)
	}
	_, err := fmt.Fprintf(w, "%d lines: %d verdicts change, %d stay, %d undecided; %d without a decision, %d not readable\n",
		r.lines, changed(changes), r.Unchanged, r.Undecided, r.without, r.broken)
	return err
}

func changed(changes []policy.Change) int {
	n := 0
	for _, c := range changes {
		n += c.Count
	}
	return n
}

// The JSON of a replay.
type (
	replayJSON struct {
		Lines           int            `json:"lines"`
		Changed         int            `json:"changed"`
		Unchanged       int            `json:"unchanged"`
		Undecided       int            `json:"undecided"`
		Lacking         map[string]int `json:"lacking"`
		WithoutDecision int            `json:"without_decision"`
		NotReadable     int            `json:"not_readable"`
		Changes         []changeJSON   `json:"changes"`
	}
	changeJSON struct {
		Was         string `json:"was"`
		Now         string `json:"now"`
		Weaker      bool   `json:"weaker"`
		Rule        string `json:"rule"`
		RuleThen    string `json:"rule_then"`
		Application string `json:"application"`
		User        string `json:"user"`
		Count       int    `json:"count"`
	}
)

func (r *replayed) writeJSON(w io.Writer) error {
	changes := r.Changes()
	j := replayJSON{
		Lines: r.lines, Changed: changed(changes), Unchanged: r.Unchanged, Undecided: r.Undecided, Lacking: map[string]int{},
		WithoutDecision: r.without, NotReadable: r.broken, Changes: []changeJSON{},
	}
	for fact, n := range r.Lacking {
		if n > 0 {
			j.Lacking[policy.Fact(fact).String()] = n
		}
	}
	for _, c := range changes {
		j.Changes = append(j.Changes, changeJSON{c.Was.String(), c.Now.String(), c.Now.Weaker(c.Was), c.Rule, c.RuleThen, c.Application, c.User, c.Count})
	}
	e := json.NewEncoder(w)
	e.SetIndent("", "  ")
	return e.Encode(j)
}
