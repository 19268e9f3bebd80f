package policy

import (
	"cmp"
	"fmt"
	"slices"
	"strings"
)

// An Error is one mistake in the policy files.
type Error struct {
	// File is the file's name, below Vocabulary.Dir, or that directory itself.
	File string
	// Line and Column count from 1, columns in characters. Both are 0 when the
	// mistake is the whole file's.
	Line, Column int
	// Msg says what is wrong.
	Msg string
}

// Error returns "file:line:column: message".
func (e *Error) Error() string {
	if e.Line == 0 {
		return e.File + ": " + e.Msg
	}
	return fmt.Sprintf("%s:%d:%d: %s", e.File, e.Line, e.Column, e.Msg)
}

// Errors are all mistakes of a policy set, sorted by file, line and column.
type Errors []*Error

// Error returns one line per mistake.
func (e Errors) Error() string {
	lines := make([]string, len(e))
	for i := range e {
		lines[i] = e[i].Error()
	}
	return strings.Join(lines, "\n")
}

// Unwrap returns the mistakes one by one.
func (e Errors) Unwrap() []error {
	all := make([]error, len(e))
	for i := range e {
		all[i] = e[i]
	}
	return all
}

// sorted orders the mistakes and drops those that were found twice.
func (e Errors) sorted() Errors {
	slices.SortFunc(e, func(a, b *Error) int {
		return cmp.Or(
			strings.Compare(a.File, b.File),
			cmp.Compare(a.Line, b.Line),
			cmp.Compare(a.Column, b.Column),
			strings.Compare(a.Msg, b.Msg))
	})
	return slices.CompactFunc(e, func(a, b *Error) bool { return *a == *b })
}

// nearest returns the word that was probably meant by s, or "" when none is
// near: at most two edits away, and one in short words.
func nearest(s string, words []string) string {
	best, least := "", 1+min(2, len(s)/3)
	for _, w := range words {
		if long := max(len(s), len(w)) - min(len(s), len(w)); long >= least {
			continue
		}
		if d := distance(s, w); d < least {
			best, least = w, d
		}
	}
	return best
}

// distance is the number of edits between two words: letters changed, added,
// left out, or swapped with their neighbour (optimal string alignment).
func distance(a, b string) int {
	before, last, next := make([]int, len(b)+1), make([]int, len(b)+1), make([]int, len(b)+1)
	for j := range last {
		last[j] = j
	}
	for i := range len(a) {
		next[0] = i + 1
		for j := range len(b) {
			change := last[j]
			if a[i] != b[j] {
				change++
			}
			next[j+1] = min(change, last[j+1]+1, next[j]+1)
			if i > 0 && j > 0 && a[i] == b[j-1] && a[i-1] == b[j] {
				next[j+1] = min(next[j+1], before[j-1]+1)
			}
		}
		before, last, next = last, next, before
	}
	return last[len(b)]
}
