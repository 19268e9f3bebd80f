// Package oracle asks .NET how it reads a document. AD FS reads messages with
// WCF's XmlDictionaryReader, and with XmlReader what is inside; Mono's build
// of both, as Debian ships it, stands in for them.
//
// Only tests import it.
package oracle

import (
	"bufio"
	"bytes"
	_ "embed"
	"encoding/binary"
	"fmt"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
	"unicode/utf16"

	"stsgate/testdata"
)

//go:embed Judge.cs
var source []byte

// A Judge is a running Judge.cs.
type Judge struct {
	in  io.WriteCloser
	out *bufio.Reader
}

// A Verdict is how the two readers of .NET read one document.
type Verdict struct{ XML, WCF Reading }

// A Reading is a document as one reader sees it. Names, values and texts are
// in the spelling of Escape.
type Reading struct {
	// Refused is the exception, empty when the document was read.
	Refused string
	// Elements has a line for each element in document order:
	// DEPTH{NAMESPACE}NAME, then {NAMESPACE}NAME=VALUE for each attribute,
	// sorted, then =TEXT where the element holds nothing else, or + where it
	// holds text beside elements or comments.
	Elements []string
	// Values are the texts that AD FS decides on, as often as they are there:
	// Username, Password, Action, To, RequestType and AppliesTo (its Address).
	Values map[string][]string
	// Unread names the first of these that is not text only, and the
	// exception. Values ends before it.
	Unread string
}

// Start compiles and starts a Judge, which ends with the test. Where Mono is
// absent it is as with testdata.Program.
func Start(t testing.TB) *Judge {
	t.Helper()
	mcs, mono := testdata.Program(t, "mcs"), testdata.Program(t, "mono")
	dir := t.TempDir()
	exe := filepath.Join(dir, "Judge.exe")
	if err := os.WriteFile(filepath.Join(dir, "Judge.cs"), source, 0o600); err != nil {
		t.Fatal(err)
	}
	compile := exec.Command(mcs, "-r:System.Runtime.Serialization.dll", "-out:"+exe, filepath.Join(dir, "Judge.cs"))
	if out, err := compile.CombinedOutput(); err != nil {
		if bytes.Contains(out, []byte("CS0006")) && os.Getenv("CI") != "true" {
			t.Skip("skipped: System.Runtime.Serialization.dll is not installed: make deps")
		}
		t.Fatalf("mcs: %v\n%s", err, out)
	}
	run := exec.Command(mono, exe)
	run.Stderr = os.Stderr
	in, err := run.StdinPipe()
	if err != nil {
		t.Fatal(err)
	}
	out, err := run.StdoutPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := run.Start(); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		in.Close()
		if err := run.Wait(); err != nil {
			t.Errorf("Judge: %v", err)
		}
	})
	return &Judge{in: in, out: bufio.NewReaderSize(out, 1<<16)}
}

// Read returns how .NET reads a document.
func (j *Judge) Read(document []byte) (Verdict, error) {
	head := binary.LittleEndian.AppendUint32(make([]byte, 0, 4+len(document)), uint32(len(document)))
	if _, err := j.in.Write(append(head, document...)); err != nil {
		return Verdict{}, fmt.Errorf("write to Judge: %w", err)
	}
	xml, err := j.reading()
	if err != nil {
		return Verdict{}, err
	}
	wcf, err := j.reading()
	return Verdict{XML: xml, WCF: wcf}, err
}

func (j *Judge) reading() (Reading, error) {
	line, err := j.out.ReadString('\n')
	if err != nil {
		return Reading{}, fmt.Errorf("read from Judge: %w", err)
	}
	fields := strings.Split(strings.TrimSuffix(line, "\n"), "\t")
	if fields[0] == "refused" && len(fields) == 2 {
		return Reading{Refused: fields[1]}, nil
	}
	r := Reading{Values: make(map[string][]string)}
	for _, field := range fields[1:] {
		kind, rest, _ := strings.Cut(field, " ")
		switch kind {
		case "E":
			r.Elements = append(r.Elements, rest)
		case "V":
			name, value, _ := strings.Cut(rest, "=")
			r.Values[name] = append(r.Values[name], value)
		case "U":
			r.Unread = rest
		}
	}
	switch {
	case fields[0] != "read":
		return Reading{}, fmt.Errorf("Judge says %q", line)
	case len(r.Elements) == 0: // in a document that is one comment WCF misses none
		return Reading{Refused: "there is no element"}, nil
	}
	return r, nil
}

// Escape spells a text as Judge does: whatever is not printable ASCII, and
// what has a meaning in the lines, as \uXXXX for each UTF-16 unit.
func Escape(s string) string {
	var b strings.Builder
	for _, c := range utf16.Encode([]rune(s)) {
		if c > ' ' && c <= '~' && !strings.ContainsRune(`\{}=`, rune(c)) {
			b.WriteByte(byte(c))
		} else {
			fmt.Fprintf(&b, `\u%04x`, c)
		}
	}
	return b.String()
}
