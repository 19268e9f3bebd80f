package audit

import (
	"reflect"
	"slices"
	"strings"
)

// A Kind is one of the kinds of lines that there are.
type Kind struct {
	// Name says of what it is the record, and Doc when there is one.
	Name, Doc string
	// Actions are the values of its event.action.
	Actions []string
	// Fields is the struct whose fields, with those of a [Stamp], are the line's.
	Fields reflect.Type
}

// Kinds returns all of them. A line with another event.action is none of the
// log's.
func Kinds() []Kind {
	return []Kind{
		{"an exchange", "One line for every exchange, on the disk before the client is answered.",
			[]string{"issue-token", "request"}, reflect.TypeFor[Record]()},
		{"a reload", "One line for every reload, on the disk before anything of it is in force. Who asked for it cannot be known: a signal has no name.",
			[]string{"reload"}, reflect.TypeFor[Reload]()},
		{"an operation", "One line for every call on admin.socket that shows something, on the disk before the answer; two for one that changes something, one before anything is changed and one before the answer. Without them nothing is shown or done.",
			operations(), reflect.TypeFor[Operation]()},
		{"an act", "One line for what a user does in the portal; two for what changes something, one before anything is changed and one after. Without the first nothing is.",
			Acts(), reflect.TypeFor[Act]()},
		{"a checkpoint", "Every 1,000 lines and every minute with any, where audit.checkpoints is set.",
			[]string{actionCheckpoint}, reflect.TypeFor[checkpointRecord]()},
		{"a recovery", "The first line after a crash that left part of a line.",
			[]string{actionRecovered}, reflect.TypeFor[recovered]()},
		{"a gap", "The first line after a time in which none could be written.",
			[]string{actionResumed}, reflect.TypeFor[resumed]()},
		{"a purge", "One line for up to 16 files that are removed since audit.retention has passed, on the disk before they are.",
			[]string{actionPurged}, reflect.TypeFor[purged]()},
	}
}

// operations are the verbs of operators, with their words.
func operations() []string {
	return []string{
		"lock-list", "lock-add", "lock-clear", "ban-list", "ban-add", "ban-remove",
		"mfa-list", "mfa-reset", "mfa-revoke", "mfa-binding-code", "backup", "restore",
	}
}

// A Field is a field of a kind of line.
type Field struct {
	// Name is that in the line, such as event.action; Struct and Go name it in the
	// code.
	Name, Struct, Go string
	Type             reflect.Type
	// Always tells that every line of the kind has it.
	Always bool
}

// All are the fields of the kind, and then those of every line.
func (k Kind) All() []Field {
	return slices.Concat(k.Own(), fieldsOf(reflect.TypeFor[Stamp]()))
}

// Own are the fields of the kind.
func (k Kind) Own() []Field { return fieldsOf(k.Fields) }

func fieldsOf(of reflect.Type) []Field {
	var all []Field
	for f := range of.Fields() {
		name, options, _ := strings.Cut(f.Tag.Get("json"), ",")
		all = append(all, Field{Name: name, Struct: of.Name(), Go: f.Name, Type: f.Type, Always: options == ""})
	}
	return all
}
