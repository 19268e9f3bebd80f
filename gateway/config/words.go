package config

import (
	"errors"
	"net/netip"
	"reflect"
	"slices"
	"strconv"
	"strings"
	"time"

	"go.yaml.in/yaml/v4"
)

// parseSize reads a number of bytes with an optional unit.
func parseSize(s string) (Size, error) {
	shift := 0
	digits := s
	if d, ok := strings.CutSuffix(s, "KiB"); ok {
		digits, shift = d, 10
	} else if d, ok := strings.CutSuffix(s, "MiB"); ok {
		digits, shift = d, 20
	}
	n, err := strconv.ParseUint(strings.TrimSuffix(digits, " "), 10, 40)
	return Size(n << shift), err
}

// String writes the size with the largest unit that divides it.
func (s Size) String() string {
	switch {
	case s != 0 && s%(1<<20) == 0:
		return strconv.FormatInt(int64(s>>20), 10) + "MiB"
	case s != 0 && s%(1<<10) == 0:
		return strconv.FormatInt(int64(s>>10), 10) + "KiB"
	default:
		return strconv.FormatInt(int64(s), 10)
	}
}

// oneOf checks that a word is of a closed list.
func oneOf(word string, words []string) error {
	if slices.Contains(words, word) {
		return nil
	}
	return errors.New("want " + alternatives(words) + ", got " + strconv.Quote(word) + hint(word, words))
}

func alternatives(words []string) string {
	last := len(words) - 1
	return strings.Join(words[:last], ", ") + " or " + words[last]
}

// want says what a scalar's type takes.
func want(v reflect.Value) string {
	switch p := v.Interface().(type) {
	case time.Duration:
		return "a duration"
	case Size:
		return "a size"
	case int:
		return "a whole number"
	case netip.Prefix:
		return "an address or a prefix"
	case bool:
		return "true or false"
	case interface{ words() []string }:
		return alternatives(p.words())
	default:
		return "a text"
	}
}

// shown describes a node's value for a message.
func shown(n *yaml.Node) string {
	switch {
	case n.Kind == yaml.MappingNode:
		return "keys and values"
	case n.Kind == yaml.SequenceNode:
		return "a list"
	case n.Kind == yaml.AliasNode:
		return "an alias"
	case n.Style&yaml.TaggedStyle != 0:
		return "the tag " + n.Tag
	case n.ShortTag() == "!!null":
		return "nothing"
	default:
		return strconv.Quote(n.Value)
	}
}

// name names a path; that of the whole file is empty.
func name(path string) string {
	if path == "" {
		return "the file"
	}
	return path
}

func join(path, key string) string {
	if path == "" {
		return key
	}
	return path + "." + key
}

// hint names the nearest word, when one is near enough to be meant.
func hint(word string, words []string) string {
	best, least := "", min(max(2, len(word)/3)+1, len(word))
	for _, w := range words {
		if n := distance(word, w); n < least {
			best, least = w, n
		}
	}
	if best == "" {
		return ""
	}
	return ": did you mean " + strconv.Quote(best) + "?"
}

// distance is the number of letters to add, drop or change between two words.
func distance(a, b string) int {
	row := make([]int, len(b)+1)
	for j := range row {
		row[j] = j
	}
	for i := range len(a) {
		diagonal := row[0]
		row[0] = i + 1
		for j := range len(b) {
			change := diagonal
			if a[i] != b[j] {
				change++
			}
			diagonal = row[j+1]
			row[j+1] = min(change, row[j]+1, row[j+1]+1)
		}
	}
	return row[len(b)]
}
