//go:build linux

package main

import (
	"encoding/json"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"stsgate/testdata"
)

// A double is a change of one source file for one build: each old text, which
// must stand there once, and what stands there instead.
type double struct {
	file    string
	replace []string // old, new, old, new
	add     string   // at the end
}

// without are builds of the gateway that BenchmarkBesideNginx compares with the
// one that is shipped. They exist in its folder only: no setting of the gateway
// leaves a step out.
var without = map[string][]double{
	// The answer is read and verified once. Every other answer has the same
	// bytes, and gets what is known of the first.
	"answer": {
		{
			file: "gateway/wstrust/memory.go",
			replace: []string{
				"package wstrust\n", "package wstrust\n\nimport (\n\t\"bytes\"\n\t\"sync/atomic\"\n)\n",
				"	if err := x.read(r.Version); err != nil {", "	if k := known.Load(); k != nil {\n\t\ta := *k\n\t\ta.Body = body\n\t\treturn &a, nil\n\t}\n\tif err := x.read(r.Version); err != nil {",
			},
			add: `
var known atomic.Pointer[Answer]

func Know(a *Answer) {
	k, err := ReadAnswer(bytes.Clone(a.Body), a.Version)
	if err != nil {
		panic(err)
	}
	k.Digest = a.Digest
	known.Store(k)
}
`,
		},
		{
			file: "upstream/adfs/signers.go",
			replace: []string{
				"	verified, err := now.verifier.Verify(a.Signed())", "	if a.Digest != [32]byte{} {\n\t\treturn nil\n\t}\n\tverified, err := now.verifier.Verify(a.Signed())",
				"	a.Digest = verified.Digest", "	a.Digest = verified.Digest\n\twstrust.Know(a)",
			},
		},
	},
	// The record is neither made nor written.
	"audit": {{
		file:    "gateway/record.go",
		replace: []string{"failed := write(x.auditRecord(err))", "failed := func(func(*audit.Record) error) error { return nil }(write)"},
	}},
}

// buildWithout compiles the gateway without some of its steps.
func buildWithout(b testing.TB, dir string, steps ...string) string {
	b.Helper()
	name, overlay := "stsgate", struct{ Replace map[string]string }{map[string]string{}}
	for _, step := range steps {
		name += "-without-" + step
		for _, d := range without[step] {
			overlay.Replace[filepath.Join(testdata.Root(b), d.file)] = d.write(b, dir)
		}
	}
	text, err := json.Marshal(overlay)
	if err != nil {
		b.Fatal(err)
	}
	write(b, dir, name+".json", string(text))
	return build(b, dir, name, filepath.Join(testdata.Root(b), "cmd", "stsgate"), "-overlay", filepath.Join(dir, name+".json"))
}

// write writes the changed file to dir, and returns its path.
func (d double) write(b testing.TB, dir string) string {
	b.Helper()
	text, err := os.ReadFile(filepath.Join(testdata.Root(b), d.file))
	if err != nil {
		b.Fatal(err)
	}
	changed := string(text)
	for i := 0; i < len(d.replace); i += 2 {
		if strings.Count(changed, d.replace[i]) != 1 {
			b.Fatalf("%s does not have %q once", d.file, d.replace[i])
		}
		changed = strings.Replace(changed, d.replace[i], d.replace[i+1], 1)
	}
	name := strings.ReplaceAll(d.file, "/", "-")
	write(b, dir, name, changed+d.add)
	return filepath.Join(dir, name)
}
