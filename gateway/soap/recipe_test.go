package soap_test

import (
	"encoding/binary"
	"fmt"
	"math/rand/v2"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strings"
	"testing"

	"stsgate/gateway/soap"
	"stsgate/testdata"
)

// XML-30: of what the oracle's own program makes of its message, at least 9 in
// 100 are accepted, and the message itself; and whatever the prototype of the
// strict profile in that program accepts, but for namespaces with blanks in them
// (XML-13), which it lets pass.
func TestRecipe(t *testing.T) {
	const documents = 20_000
	source, dir := testdata.Shared(t, "oracle", "fz"), t.TempDir()
	program, seed := filepath.Join(dir, "fz"), fmt.Sprint(rand.Uint32())
	for _, args := range [][]string{
		{testdata.Program(t, "go"), "build", "-C", source, "-buildvcs=false", "-o", program, "."},
		{program, "gen", fmt.Sprint(documents), seed},
		{program, "run"},
	} {
		c := exec.Command(args[0], args[1:]...)
		c.Dir = dir
		if out, err := c.CombinedOutput(); err != nil {
			t.Fatalf("%q: %v: %s", args, err, out)
		}
	}
	read := func(name string) []byte {
		b, err := os.ReadFile(name)
		if err != nil {
			t.Fatal(err)
		}
		return b
	}
	message := regexp.MustCompile("(?s)const base=`(.*?)`").FindSubmatch(read(filepath.Join(source, "main.go")))
	if message == nil {
		t.Fatal("the program has no message")
	}
	if got := ruleOf(t, string(message[1]), soap.Request); got != accepted {
		t.Errorf("the message: got rule %q", got)
	}
	ours, theirs, n := 0, 0, 0
	verdicts := strings.Split(string(read(filepath.Join(dir, "go.txt"))), "\n")
	for all := read(filepath.Join(dir, "docs.bin")); len(all) > 0; n++ {
		size := binary.LittleEndian.Uint32(all)
		document := string(all[4 : 4+size])
		all = all[4+size:]
		got, prototype := ruleOf(t, document, soap.Request), strings.HasPrefix(verdicts[n], "ok\t")
		if got == accepted {
			ours++
		}
		if prototype {
			theirs++
		}
		if prototype && got != accepted && got != "XML-13" {
			t.Errorf("seed %s, document %d: accepted by the prototype, got rule %q: %q", seed, n, got, document)
		}
	}
	t.Logf("seed %s: of %d documents %d are accepted, by the prototype %d", seed, n, ours, theirs)
	if n != documents || theirs == 0 || ours*100 < n*9 {
		t.Errorf("of %d documents %d are accepted, by the prototype %d, want %d of which at least 9 in 100", n, ours, theirs, documents)
	}
}
