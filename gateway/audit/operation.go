package audit

import (
	"encoding/json"
	"fmt"
	"time"
)

// An Operation is what is written of a call of an operator. Who changes something
// has a record before, with the outcome unknown, and one after. The names of its
// fields are formed as those of a [Record].
type Operation struct {
	// When the call was made, UTC.
	Time time.Time `json:"@timestamp"`
	// The verb and its word, such as lock-add, ban-remove or backup.
	Action string `json:"event.action"`
	// unknown on the record before something is changed; then success when it was done, and failure when nothing was, or not all of it.
	Outcome string `json:"event.outcome"`
	// The operator's reason, in the operator's words.
	Reason string `json:"event.reason,omitempty"`
	// From the call to this record, in nanoseconds.
	Duration time.Duration `json:"event.duration"`
	// A random id, which the records of one call have in common.
	Call string `json:"labels.call"`
	// The operator's user id on this machine, as its kernel says.
	UserID string `json:"user.id"`
	// The name of that user, if there is one.
	UserName string `json:"user.name,omitempty"`
	// Who asked for the same before, where it takes two operators.
	First string `json:"labels.first_operator,omitempty"`
	// The operator's process.
	PID int `json:"process.pid"`
	// What the user that the call is about is kept under: the directory's GUID, or a keyed hash of a name that does not resolve.
	TargetID string `json:"user.target.id,omitempty"`
	// That user's name, as the operator wrote it.
	TargetName string `json:"user.target.name,omitempty"`
	// In its place, with audit.names hashed, a keyed hash of it.
	TargetHash string `json:"user.target.hash,omitempty"`
	// The prefix that the call is about.
	Source string `json:"labels.source,omitempty"`
	// When what was closed opens by itself.
	Until time.Time `json:"labels.until,omitzero"`
	// How many records were listed, backed up, or restored.
	Records int `json:"labels.records,omitempty"`
	// Why nothing was done, or not all of it.
	Error string `json:"error.message,omitempty"`
}

// AppendOperation writes o and returns when it is on the disk.
func (l *Log) AppendOperation(o *Operation) error {
	line, err := o.line(&l.names)
	if err != nil {
		return fmt.Errorf("encode audit record: %w", err)
	}
	return l.append(line)
}

// line encodes the record as one line of JSON.
func (o *Operation) line(n *names) ([]byte, error) {
	c := *o
	if n.hashed && c.TargetName != "" {
		c.TargetHash, c.TargetName = n.hash(c.TargetName), ""
	}
	texts := []*string{&c.Reason, &c.UserName, &c.TargetName, &c.First, &c.Error}
	for _, s := range texts {
		*s = clean(*s)
	}
	b, err := json.Marshal(&c)
	if err == nil && len(b) > maxLine { // texts that were chosen to grow when they are written
		for _, s := range texts {
			*s = cut(*s, maxText/4)
		}
		b, err = json.Marshal(&c)
	}
	return append(b, '\n'), err
}
