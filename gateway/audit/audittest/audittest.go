// Package audittest holds lines of an audit log against the kinds that there are.
package audittest

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"reflect"
	"slices"
	"testing"

	"stsgate/gateway/audit"
)

// Check tells what is wrong with a line: an event.action that no kind has, a
// field that its kind has not, one that is not there, one of another type
// (security.md, AUD-07).
func Check(line []byte) error {
	var fields map[string]json.RawMessage
	if err := json.Unmarshal(line, &fields); err != nil {
		return err
	}
	var action string
	if err := json.Unmarshal(fields["event.action"], &action); err != nil {
		return fmt.Errorf("event.action: %w", err)
	}
	kinds := audit.Kinds()
	i := slices.IndexFunc(kinds, func(k audit.Kind) bool { return slices.Contains(k.Actions, action) })
	if i < 0 {
		return fmt.Errorf("event.action %q is of no kind", action)
	}
	var wrong []error
	for _, f := range kinds[i].All() {
		value, there := fields[f.Name]
		delete(fields, f.Name)
		switch {
		case !there && f.Always:
			wrong = append(wrong, fmt.Errorf("no %s", f.Name))
		case there:
			if err := json.Unmarshal(value, reflect.New(f.Type).Interface()); err != nil {
				wrong = append(wrong, fmt.Errorf("%s: %w", f.Name, err))
			}
		}
	}
	for name := range fields {
		wrong = append(wrong, fmt.Errorf("%s is no field of %s", name, kinds[i].Name))
	}
	return errors.Join(wrong...)
}

// CheckLines checks each whole line of a log, and calls fail with what is wrong.
func CheckLines(log []byte, fail func(line []byte, err error)) {
	for line := range bytes.Lines(log) {
		if err := Check(line); err != nil && bytes.HasSuffix(line, []byte("\n")) {
			fail(line, err)
		}
	}
}

// Lines checks each line of a log in a test.
func Lines(t testing.TB, log []byte) {
	t.Helper()
	CheckLines(log, func(line []byte, err error) { t.Errorf("the audit line %s: %v", line, err) })
}
