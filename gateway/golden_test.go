package gateway_test

import (
	"os"
	"path/filepath"
	"strings"
	"testing"
)

// golden compares with a file in testdata, which UPDATE=1 rewrites.
func golden(t testing.TB, name, got string) {
	t.Helper()
	name = filepath.Join("testdata", name)
	if os.Getenv("UPDATE") == "1" {
		if err := os.WriteFile(name, []byte(got), 0o644); err != nil {
			t.Fatal(err)
		}
		return
	}
	b, err := os.ReadFile(name)
	if err != nil {
		t.Fatal(err)
	}
	want, have := strings.Split(string(b), "\n"), strings.Split(got, "\n")
	for i := range max(len(want), len(have)) {
		if i >= len(want) || i >= len(have) || want[i] != have[i] {
			t.Fatalf("%s differs from line %d on:\ngot  %q\nwant %q", name, i+1, have[min(i, len(have)-1)], want[min(i, len(want)-1)])
		}
	}
}
