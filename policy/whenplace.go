package policy

import (
	"bytes"
	"iter"
	"strconv"
	"strings"
	"unicode"
	"unicode/utf8"

	"go.yaml.in/yaml/v4"
)

// A letter is one character of a scalar, with where it stands in the file.
type letter struct {
	value        rune
	line, column int
}

// placesIn returns the characters of a scalar, and after them its end, with
// where they stand in the file. The result is nil when that cannot be told.
//
// YAML folds, strips and indents only white space, so that the other
// characters stand in the file in the same order.
func placesIn(n *yaml.Node, content []byte) []letter {
	value := []rune(n.Value)
	places := make([]letter, 0, len(value)+1)
	end := letter{0, n.Line, n.Column}
	space := func() {
		for len(places) < len(value) && unicode.IsSpace(value[len(places)]) {
			places = append(places, end)
		}
	}
	space()
	for l := range lettersOf(n, content) {
		if unicode.IsSpace(l.value) {
			continue
		}
		if len(places) == len(value) || l.value != value[len(places)] {
			break
		}
		places = append(places, l)
		end = letter{0, l.line, l.column + 1}
		space()
	}
	if len(places) < len(value) {
		return nil
	}
	return append(places, end)
}

// lettersOf reads the characters of the file from the scalar on, and at least
// to its end.
func lettersOf(n *yaml.Node, content []byte) iter.Seq[letter] {
	line, column := n.Line, n.Column
	if n.Style&(yaml.LiteralStyle|yaml.FoldedStyle) != 0 {
		line, column = line+1, 1
	}
	for range line - 1 {
		_, content, _ = bytes.Cut(content, []byte("\n"))
	}
	for range column - 1 {
		_, size := utf8.DecodeRune(content)
		content = content[size:]
	}
	switch source := asWritten(content, line, column); {
	case n.Style&yaml.SingleQuotedStyle != 0:
		return singleQuoted(source)
	case n.Style&yaml.DoubleQuotedStyle != 0:
		return doubleQuoted(source)
	default:
		return source
	}
}

// asWritten reads text that means itself.
func asWritten(source []byte, line, column int) iter.Seq[letter] {
	return func(yield func(letter) bool) {
		for len(source) > 0 {
			c, size := utf8.DecodeRune(source)
			source = source[size:]
			if !yield(letter{c, line, column}) {
				return
			}
			column++
			if c == '\n' {
				line, column = line+1, 1
			}
		}
	}
}

// singleQuoted reads what stands in single quotes, where two mean one.
func singleQuoted(source iter.Seq[letter]) iter.Seq[letter] {
	return func(yield func(letter) bool) {
		first, quote := true, false
		for l := range source {
			switch {
			case first:
				first = false
				continue
			case quote && l.value != '\'':
				return
			case !quote && l.value == '\'':
				quote = true
				continue
			}
			if quote {
				quote, l.column = false, l.column-1
			}
			if !yield(l) {
				return
			}
		}
	}
}

// doubleQuoted reads what stands in double quotes. Escapes that mean white
// space come out as spaces.
func doubleQuoted(source iter.Seq[letter]) iter.Seq[letter] {
	return func(yield func(letter) bool) {
		var escape []rune // what follows a backslash
		var start letter
		first, escaped := true, false
		for l := range source {
			switch {
			case first:
				first = false
				continue
			case !escaped && l.value == '"':
				return
			case !escaped && l.value == '\\':
				start, escaped, escape = l, true, escape[:0]
				continue
			case escaped:
				escape = append(escape, l.value)
				c, done := unescape(escape)
				if !done {
					continue
				}
				escaped, l = false, letter{c, start.line, start.column}
			}
			if !yield(l) {
				return
			}
		}
	}
}

// unescape returns the character that an escape means, and whether the escape
// is complete.
func unescape(escape []rune) (rune, bool) {
	digits := map[rune]int{'x': 2, 'u': 4, 'U': 8}[escape[0]]
	switch {
	case digits == 0 && strings.ContainsRune(`"\/`, escape[0]):
		return escape[0], true
	case digits == 0:
		return ' ', true
	case len(escape) <= digits:
		return 0, false
	}
	c, err := strconv.ParseUint(string(escape[1:]), 16, 31)
	if err != nil {
		return ' ', true
	}
	return rune(c), true
}
