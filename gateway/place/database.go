package place

import (
	"errors"
	"fmt"
	"io"
	"net/netip"
	"os"
	"runtime"
	"slices"
	"strings"
	"sync/atomic"
	"syscall"
	"time"

	"github.com/oschwald/maxminddb-golang/v2"
)

// maxFile bounds a database, in bytes: offsets in it fit into 32 bits.
const maxFile = 512 << 20

// A kind of database is known by a word in the type that it says it has, and
// by the one value of its records that is of use.
type kind[T comparable] struct {
	words []string
	value string        // its path in a record
	check func(T) error // nil where every value of its type is right
}

func countries() kind[string] {
	return kind[string]{[]string{"Country", "City", "Enterprise"}, "country.iso_code", checkCountry}
}

func systems() kind[uint32] {
	return kind[uint32]{[]string{"ASN", "ISP"}, "autonomous_system_number", nil}
}

// checkCountry holds codes to the spelling that policy compares with: one in
// another would be no country of any rule.
func checkCountry(code string) error {
	if len(code) != 2 || strings.Trim(code, "ABCDEFGHIJKLMNOPQRSTUVWXYZ") != "" {
		return fmt.Errorf("want two letters in upper case, got %q", code)
	}
	return nil
}

// A file is where a database comes from, with the one in force; a nil one
// where none is configured.
type file[T comparable] struct {
	path    string
	current atomic.Pointer[database[T]]
}

// A database is one reading of a file, never changed once built.
type database[T comparable] struct {
	tree   *maxminddb.Reader
	values []T               // each value once, the first of them none
	at     map[uint32]uint32 // where in values that of a record is, by the record's offset
}

func (f *file[T]) lookup(a netip.Addr) (T, error) {
	var none T
	d := f.current.Load()
	if d == nil {
		return none, ErrNoDatabase
	}
	r := d.tree.Lookup(a.Unmap())
	runtime.KeepAlive(d)
	switch {
	case r.Err() != nil:
		return none, r.Err()
	case !r.Found():
		return none, nil
	}
	return d.values[d.at[uint32(r.Offset())]], nil
}

func (d *database[T]) built() time.Time { return d.tree.Metadata.BuildTime() }

// load reads the file. It returns nil where none is configured.
func (f *file[T]) load(k kind[T]) (*database[T], error) {
	if f.path == "" {
		return nil, nil
	}
	content, err := readFile(f.path)
	if err != nil {
		return nil, err
	}
	var none T
	d := &database[T]{values: []T{none}, at: make(map[uint32]uint32)}
	runtime.AddCleanup(d, func(b []byte) { _ = syscall.Munmap(b) }, content)
	if d.tree, err = maxminddb.OpenBytes(content); err == nil {
		err = d.fill(k)
	}
	runtime.KeepAlive(d)
	if err != nil {
		return nil, fmt.Errorf("%s: %w", f.path, err)
	}
	return d, nil
}

// readFile returns the content of a file of at most maxFile bytes, in memory
// that the caller unmaps. It is no memory of the garbage collector's, which
// waits for several times what is in use; and it does not map the file, which
// would end the program when somebody cuts the file short.
func readFile(path string) ([]byte, error) {
	f, err := os.Open(path)
	if err != nil {
		return nil, err
	}
	defer f.Close()
	info, err := f.Stat()
	if err != nil {
		return nil, err
	}
	if !info.Mode().IsRegular() || info.Size() == 0 || info.Size() > maxFile {
		return nil, fmt.Errorf("%s: want a regular file of at most %d MiB that is not empty", path, maxFile>>20)
	}
	content, err := syscall.Mmap(-1, 0, int(info.Size()), syscall.PROT_READ|syscall.PROT_WRITE, syscall.MAP_ANON|syscall.MAP_PRIVATE)
	if err != nil {
		return nil, fmt.Errorf("%s: map memory: %w", path, err)
	}
	if _, err := io.ReadFull(f, content); err != nil {
		_ = syscall.Munmap(content)
		return nil, fmt.Errorf("%s: %w", path, err)
	}
	return content, nil
}

// accepts refuses databases of other kinds, and formats that are not known.
func (k kind[T]) accepts(m maxminddb.Metadata) error {
	if !slices.ContainsFunc(k.words, func(w string) bool { return strings.Contains(m.DatabaseType, w) }) {
		return fmt.Errorf("the type of the database is %q, want one with %s in its name", m.DatabaseType, strings.Join(k.words, " or "))
	}
	if m.BinaryFormatMajorVersion != 2 || m.IPVersion != 4 && m.IPVersion != 6 {
		return fmt.Errorf("want version 2 of the format for IPv4 or IPv6, got version %d for IPv%d", m.BinaryFormatMajorVersion, m.IPVersion)
	}
	return nil
}

// fill reads the value of every record. A damaged tree may have more branches
// than can be walked, a whole one has one end more than nodes.
func (d *database[T]) fill(k kind[T]) error {
	if err := k.accepts(d.tree.Metadata); err != nil {
		return err
	}
	left := d.tree.Metadata.NodeCount + 1
	seen := map[T]uint32{d.values[0]: 0}
	for r := range d.tree.Networks(maxminddb.IncludeNetworksWithoutData()) {
		if err := r.Err(); err != nil {
			return err
		}
		if left == 0 {
			return errors.New("the tree of the database is damaged")
		}
		left--
		if _, known := d.at[uint32(r.Offset())]; known || !r.Found() {
			continue
		}
		v, err := k.read(r)
		if err != nil {
			return fmt.Errorf("%s: %s: %w", r.Prefix(), k.value, err)
		}
		i, known := seen[v]
		if !known {
			i = uint32(len(d.values))
			seen[v], d.values = i, append(d.values, v)
		}
		d.at[uint32(r.Offset())] = i
	}
	if len(d.values) == 1 {
		return fmt.Errorf("no record has %s", k.value)
	}
	return nil
}

// read returns the value of one record, the zero value where it has none.
func (k kind[T]) read(r maxminddb.Result) (v T, err error) {
	var found *T
	if err := r.DecodePath(&found, k.steps()...); err != nil || found == nil {
		return v, err
	}
	if k.check != nil {
		err = k.check(*found)
	}
	return *found, err
}

// steps is the path of the value as the library takes it.
func (k kind[T]) steps() []any {
	var steps []any
	for s := range strings.SplitSeq(k.value, ".") {
		steps = append(steps, s)
	}
	return steps
}
