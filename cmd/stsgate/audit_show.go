package main

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"regexp"

	"stsgate/gateway/audit"
	"stsgate/gateway/config"
	"stsgate/gateway/refusal"
)

// A ledgerFlag says where the audit log is.
type ledgerFlag struct {
	Audit  []string `placeholder:"FILE" help:"The audit log; what was rotated away beside it is read too. May be repeated."`
	Config string   `short:"c" placeholder:"FILE" help:"The configuration that names the audit log, where --audit does not."`
}

// files returns the log with what was rotated away.
func (l *ledgerFlag) files() ([]string, error) {
	named := l.Audit
	if len(named) == 0 {
		if l.Config == "" {
			return nil, usageError{errors.New("want --audit or --config")}
		}
		c, err := config.Load(l.Config)
		if err != nil {
			return nil, mistakes{err}
		}
		named = []string{c.Audit.File}
	}
	var all []string
	seen := make(map[string]bool)
	for _, n := range named {
		segments, err := audit.Segments(n)
		if err != nil {
			return nil, err
		}
		for _, s := range segments {
			if !seen[s] {
				seen[s], all = true, append(all, s)
			}
		}
	}
	return all, nil
}

type auditShow struct {
	ledgerFlag
	JSON bool   `name:"json" help:"Print the line as it stands."`
	ID   string `arg:"" help:"The transaction id, which the user finds in a fault."`
}

// Help shows examples.
func (auditShow) Help() string {
	return `Prints the record of one transaction: how it ended and what that means, the rule, the facts that
policy decided on, and the cause. The exit code is 1 when there is no such record: an id that is not
there may be of one of many requests that were refused before there was a message to read, of which
the last of each source and reason in 10 seconds is recorded; the log line has it.

Examples:
  stsgate audit show -c /etc/stsgate/stsgate.yaml 0f6e6c1ab2a94b51a2f3f8f4a1d7c9e0
  stsgate audit show --audit audit.jsonl --json 0f6e6c1ab2a94b51a2f3f8f4a1d7c9e0`
}

// Run prints the record.
func (v *auditShow) Run(c *console) error {
	if !regexp.MustCompile(`^[0-9a-f]{32}$`).MatchString(v.ID) {
		return usageError{fmt.Errorf("want a transaction id of 32 hex digits, got %q", v.ID)}
	}
	files, err := v.files()
	if err != nil {
		return err
	}
	line, err := audit.Find(files, v.ID)
	if err != nil {
		return err
	}
	if line == nil {
		return fmt.Errorf("no record of transaction %s", v.ID)
	}
	if v.JSON {
		_, err := c.out.Write(line)
		return err
	}
	return showLine(c, line)
}

// showLine prints a line, a field each.
func showLine(c *console, line []byte) error {
	var l audit.Line
	if err := json.Unmarshal(line, &l); err != nil {
		return fmt.Errorf("the record cannot be read: %w", err)
	}
	fmt.Fprintf(c.out, "%s: %s, %s\n", l.Transaction, l.Outcome, l.Reason)
	if row, ok := refusal.ByLabel(l.Reason); ok {
		fmt.Fprintln(c.out, " ", row.Meaning)
	}
	d := json.NewDecoder(bytes.NewReader(line))
	d.UseNumber()
	if _, err := d.Token(); err != nil {
		return err
	}
	for d.More() {
		name, err := d.Token()
		if err != nil {
			return err
		}
		var value json.RawMessage
		if err := d.Decode(&value); err != nil {
			return err
		}
		if err := showField(c, fmt.Sprint(name), value); err != nil {
			return err
		}
	}
	return nil
}

func showField(c *console, name string, value json.RawMessage) error {
	var text string
	if json.Unmarshal(value, &text) == nil {
		_, err := fmt.Fprintf(c.out, "%-30s %s\n", name, text)
		return err
	}
	if bytes.HasPrefix(value, []byte("{")) {
		var b bytes.Buffer
		if err := json.Indent(&b, value, "  ", "  "); err != nil {
			return err
		}
		_, err := fmt.Fprintf(c.out, "%s\n  %s\n", name, b.Bytes())
		return err
	}
	_, err := fmt.Fprintf(c.out, "%-30s %s\n", name, value)
	return err
}
