package config

import (
	"errors"
	"fmt"
	"net/netip"
	"os"
	"path/filepath"
	"reflect"
	"strconv"
	"strings"
	"time"

	"go.yaml.in/yaml/v4"
)

// An Error is one mistake in the file. Line and Column count from 1.
type Error struct {
	File         string
	Line, Column int
	Msg          string
}

// Error returns file:line:column: message.
func (e *Error) Error() string {
	return fmt.Sprintf("%s:%d:%d: %s", e.File, e.Line, e.Column, e.Msg)
}

// A decoder fills Go values from YAML nodes and collects what is wrong.
type decoder struct {
	file   string
	folder string // that relative paths start from
	errs   []*Error
	at     map[string]*yaml.Node // by path, such as listen[0].tls.key: where it is written
}

func (d *decoder) errorf(n *yaml.Node, format string, args ...any) {
	d.errs = append(d.errs, &Error{d.file, n.Line, n.Column, fmt.Sprintf(format, args...)})
}

// checkf reports a mistake in the value at path, which is written in the file
// or has a default; then the nearest group that is written stands for it.
func (d *decoder) checkf(path, format string, args ...any) {
	for at := path; ; at = parent(at) {
		if n := d.at[at]; n != nil {
			d.errorf(n, "%s: %s", path, fmt.Sprintf(format, args...))
			return
		}
	}
}

// parent cuts the last step off a path: listen[0].tls, listen[0], listen, "".
func parent(path string) string {
	return path[:max(0, strings.LastIndexAny(path, ".["))]
}

// value decodes n into v; opts is what the field's tag says.
func (d *decoder) value(n *yaml.Node, v reflect.Value, path string, opts options) {
	d.at[path] = n
	if n.Anchor != "" || n.Kind == yaml.AliasNode {
		d.errorf(n, "%s: anchors and aliases are not read", path)
		return
	}
	if d.shorthand(n, v, path) {
		return
	}
	switch v.Kind() {
	case reflect.Pointer:
		d.value(n, v.Elem(), path, opts) // defaults has made it
	case reflect.Slice:
		d.sequence(n, v, path, opts)
	case reflect.Struct:
		if v.Type() == reflect.TypeFor[netip.Prefix]() {
			d.scalar(n, v, path, opts)
			return
		}
		d.mapping(n, v, path)
	default:
		d.scalar(n, v, path, opts)
	}
}

// shorthand decodes what may be written in another way than by its keys or
// items, where it is.
func (d *decoder) shorthand(n *yaml.Node, v reflect.Value, path string) bool {
	switch p := v.Addr().Interface().(type) {
	case *Endpoints:
		switch {
		case n.Kind != yaml.ScalarNode:
			return false
		case n.Value == "adfs":
			*p = presetADFS()
		default:
			d.errorf(n, "%s: want adfs or a list of {path, kind}, got %s", path, shown(n))
		}
	case *Prefixes:
		switch n.Kind {
		case yaml.SequenceNode:
			d.sequence(n, reflect.ValueOf(&p.List).Elem(), path, options{required: true})
		case yaml.ScalarNode:
			d.errorf(n, "%s: want a list of addresses and prefixes, or {file: NAME}, got %s", path, shown(n))
		default:
			return false
		}
	default:
		return false
	}
	return true
}

func (d *decoder) sequence(n *yaml.Node, v reflect.Value, path string, opts options) {
	if n.Kind != yaml.SequenceNode {
		d.errorf(n, "%s: want a list, got %s", path, shown(n))
		return
	}
	if len(n.Content) == 0 && opts.required {
		d.errorf(n, "%s: the list is empty", path)
	}
	v.Set(reflect.MakeSlice(v.Type(), len(n.Content), len(n.Content)))
	for i, item := range n.Content {
		d.value(item, v.Index(i), path+"["+strconv.Itoa(i)+"]", options{})
	}
}

// options is what a field's tag check says.
type options struct{ required, file, folder, path bool }

// fields returns the fields of a struct by their key, and the keys in order.
func fields(t reflect.Type) (map[string]reflect.StructField, []string) {
	byKey, keys := make(map[string]reflect.StructField, t.NumField()), []string(nil)
	for f := range t.Fields() {
		if key := f.Tag.Get("yaml"); key != "" {
			byKey[key] = f
			keys = append(keys, key)
		}
	}
	return byKey, keys
}

func optionsOf(f reflect.StructField) (o options) {
	for word := range strings.SplitSeq(f.Tag.Get("check"), ",") {
		switch word {
		case "required":
			o.required = true
		case "file":
			o.file = true
		case "folder":
			o.folder = true
		case "path":
			o.path = true
		}
	}
	return o
}

func (d *decoder) mapping(n *yaml.Node, v reflect.Value, path string) {
	if n.Kind != yaml.MappingNode {
		d.errorf(n, "%s: want keys and values, got %s", name(path), shown(n))
		return
	}
	byKey, keys := fields(v.Type())
	seen := make(map[string]*yaml.Node)
	for i := 0; i < len(n.Content); i += 2 {
		key, value := n.Content[i], n.Content[i+1]
		f, known := byKey[key.Value]
		first := seen[key.Value]
		switch {
		case key.Kind != yaml.ScalarNode || key.Anchor != "":
			d.errorf(key, "%s: a key must be a plain word", name(path))
		case !known:
			d.errorf(key, "unknown key %q%s", join(path, key.Value), hint(key.Value, keys))
		case first != nil:
			d.errorf(key, "duplicate key %q, first in line %d", join(path, key.Value), first.Line)
		default:
			seen[key.Value] = key
			d.value(value, v.FieldByIndex(f.Index), join(path, key.Value), optionsOf(f))
		}
	}
	for _, key := range keys {
		if seen[key] == nil {
			d.absent(n, v, byKey[key], join(path, key))
		}
	}
}

// absent deals with a key that the file does not have.
func (d *decoder) absent(n *yaml.Node, v reflect.Value, f reflect.StructField, path string) {
	field := v.FieldByIndex(f.Index)
	dropOptional(field)
	if optionsOf(f).required && field.IsZero() {
		d.errorf(n, "%s is required", path)
	}
}

// dropOptional takes away what defaults made for groups that are not named.
func dropOptional(v reflect.Value) {
	switch {
	case v.Kind() == reflect.Pointer:
		v.SetZero()
	case v.Kind() == reflect.Struct && v.NumField() > 0 && v.CanSet():
		for _, field := range v.Fields() {
			if field.CanSet() {
				dropOptional(field)
			}
		}
	}
}

func (d *decoder) scalar(n *yaml.Node, v reflect.Value, path string, opts options) {
	if n.Kind != yaml.ScalarNode || n.Style&yaml.TaggedStyle != 0 || n.ShortTag() == "!!null" {
		d.errorf(n, "%s: want %s, got %s", path, want(v), shown(n))
		return
	}
	if err := d.set(n, v, opts); err != nil {
		d.errorf(n, "%s: %v", path, err)
	}
}

func (d *decoder) set(n *yaml.Node, v reflect.Value, opts options) error {
	switch p := v.Addr().Interface().(type) {
	case *time.Duration:
		t, err := time.ParseDuration(n.Value)
		if err != nil {
			return fmt.Errorf("want a duration such as 500ms, 10s or 5m, got %s", shown(n))
		}
		*p = t
	case *Size:
		s, err := parseSize(n.Value)
		if err != nil {
			return fmt.Errorf("want a size such as 65536, 64KiB or 1MiB, got %s", shown(n))
		}
		*p = s
	case *int:
		i, err := strconv.Atoi(n.Value)
		if err != nil {
			return fmt.Errorf("want a whole number such as 1000, got %s", shown(n))
		}
		*p = i
	case *netip.Prefix:
		prefix, err := parsePrefix(n.Value)
		if err != nil {
			return err
		}
		*p = prefix
	case *bool:
		if n.ShortTag() != "!!bool" || n.Value != "true" && n.Value != "false" {
			return fmt.Errorf("want true or false without quotes, got %s", shown(n))
		}
		*p = n.Value == "true"
	default:
		return d.text(n, v, opts)
	}
	return nil
}

// text sets a string, a word of a closed list, or a path.
func (d *decoder) text(n *yaml.Node, v reflect.Value, opts options) error {
	if n.ShortTag() != "!!str" {
		return fmt.Errorf("want a text, got %s: put it in quotes", shown(n))
	}
	if opts.required && n.Value == "" {
		return fmt.Errorf("is empty")
	}
	if closed, ok := v.Interface().(interface{ words() []string }); ok {
		if err := oneOf(n.Value, closed.words()); err != nil {
			return err
		}
	}
	s := n.Value
	if opts.file || opts.folder || opts.path {
		if !filepath.IsAbs(s) {
			s = filepath.Join(d.folder, s)
		}
		if err := exists(s, opts); err != nil {
			return err
		}
	}
	v.SetString(s)
	return nil
}

// exists checks that a path names what it should.
func exists(path string, opts options) error {
	if opts.path {
		return nil
	}
	st, err := os.Stat(path)
	switch {
	case err != nil:
		return fmt.Errorf("%s: %w", path, errors.Unwrap(err))
	case opts.folder && !st.IsDir():
		return fmt.Errorf("%s is not a folder", path)
	case opts.file && !st.Mode().IsRegular():
		return fmt.Errorf("%s is not a file", path)
	}
	return nil
}
