package config

import (
	"bytes"
	"cmp"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"reflect"
	"slices"
	"strings"
	"unicode"
	"unicode/utf8"

	"go.yaml.in/yaml/v4"
)

// Load reads the file and checks it. The error has every mistake that was
// found, one a line in the order of the file, each an *Error. A file that
// cannot be opened is reported as the operating system does.
func Load(path string) (*Config, error) {
	source, err := os.ReadFile(path)
	if err != nil {
		return nil, fmt.Errorf("read configuration: %w", err)
	}
	full, err := filepath.Abs(path)
	if err != nil {
		return nil, fmt.Errorf("read configuration: %w", err)
	}
	d := &decoder{file: path, folder: filepath.Dir(full), at: make(map[string]*yaml.Node)}
	c := Defaults()
	if root := d.document(source); root != nil {
		d.mapping(root, reflect.ValueOf(c).Elem(), "")
		d.check(c)
	}
	if len(d.errs) > 0 {
		return nil, joined(d.errs)
	}
	return c, nil
}

// joined makes one error of all, in the order of the file.
func joined(errs []*Error) error {
	slices.SortStableFunc(errs, func(a, b *Error) int {
		return cmp.Or(cmp.Compare(a.Line, b.Line), cmp.Compare(a.Column, b.Column))
	})
	all := make([]error, len(errs))
	for i, err := range errs {
		all[i] = err
	}
	return errors.Join(all...)
}

// document parses the one document of a file. It returns nil when there is
// none to decode; what is wrong is in d.errs.
func (d *decoder) document(source []byte) *yaml.Node {
	loader, err := yaml.NewLoader(bytes.NewReader(source))
	if err != nil {
		d.syntax(source, err)
		return nil
	}
	var doc yaml.Node
	if err := loader.Load(&doc); err != nil {
		d.syntax(source, err)
		return nil
	}
	root := doc.Content[0]
	d.at[""] = root
	var second yaml.Node
	switch err := loader.Load(&second); {
	case err == nil:
		d.errorf(&second, "a second document: the file holds one")
	case !errors.Is(err, io.EOF):
		d.syntax(source, err)
	}
	return root
}

// syntax reports what the YAML parser says.
func (d *decoder) syntax(source []byte, err error) {
	at := &yaml.Node{Line: 1, Column: 1}
	var bad *yaml.LoadError
	switch {
	case errors.Is(err, io.EOF):
		d.errorf(at, "the file is empty")
	case errors.As(err, &bad):
		if bad.Mark.Line > 0 {
			at.Line, at.Column = bad.Mark.Line, bad.Mark.Column
		} else if bad.Stage == yaml.ReaderStage {
			at.Line, at.Column = badByte(source)
		}
		d.errorf(at, "%s", bad.Message)
	default:
		d.errorf(at, "%v", err)
	}
}

// badByte finds the byte that the YAML reader does not take, which it names no
// place for: one that is not UTF-8, or a control character.
func badByte(source []byte) (line, column int) {
	line = 1
	for row := range bytes.Lines(source) {
		column = 1
		for len(row) > 0 {
			r, size := utf8.DecodeRune(row)
			if r == utf8.RuneError && size == 1 || unicode.IsControl(r) && !strings.ContainsRune("\t\r\n\u0085", r) {
				return line, column
			}
			row = row[size:]
			column++
		}
		line++
	}
	return 1, 1
}
