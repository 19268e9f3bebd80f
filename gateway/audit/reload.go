package audit

import (
	"encoding/json"
	"fmt"
	"strings"
	"time"
)

// A Reload is what is written of a reload, before what it loaded is in force.
// The names of its fields are formed as those of a [Record].
type Reload struct {
	// When the reload began, UTC.
	Time time.Time `json:"@timestamp"`
	// reload.
	Action string `json:"event.action"`
	// success when policy, certificates, users and places were all loaded, and failure when all stay as they were.
	Outcome string `json:"event.outcome"`
	// From the beginning to this record, in nanoseconds.
	Duration time.Duration `json:"event.duration"`
	// The revision of the policy set in force from here on.
	Revision string `json:"rule.ruleset"`
	// The revision of the policy set in force before.
	Was string `json:"labels.ruleset_before"`
	// How many edits of the policy let more pass than before, or let it pass with less.
	Weakened int `json:"labels.weakened"`
	// Those edits, each as file:line:column: message, as many as fit; of a rule that is gone it is the place where it stood.
	Edits []string `json:"labels.weakening_edits,omitempty"`
	// Why everything stays as it was: the mistakes in the files, as many as fit.
	Error string `json:"error.message,omitempty"`
}

// AppendReload writes r and returns when it is on the disk.
func (l *Log) AppendReload(r *Reload) error {
	line, err := r.line()
	if err != nil {
		return fmt.Errorf("encode audit record: %w", err)
	}
	return l.append(line)
}

// line encodes the record as one line of JSON. Its texts stand in files, which
// others than the operator may have written.
func (r *Reload) line() ([]byte, error) {
	c := *r
	c.Error, c.Edits = clean(strings.ReplaceAll(c.Error, "\n", "; ")), nil
	b, err := json.Marshal(&c)
	if err != nil {
		return nil, err
	}
	const key = `,"labels.weakening_edits":[]`
	room := maxLine - len(b) - len(key)
	for _, e := range r.Edits {
		e = clean(e)
		text, err := json.Marshal(e)
		if err != nil {
			return nil, err
		}
		if room -= len(text) + len(","); room < 0 {
			break
		}
		c.Edits = append(c.Edits, e)
	}
	b, err = json.Marshal(&c)
	return append(b, '\n'), err
}
