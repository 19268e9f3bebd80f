package testdata

import (
	"os"
	"os/exec"
	"path/filepath"
	"testing"
)

// Root returns the project's root: the nearest folder above that has a go.mod.
func Root(t testing.TB) string {
	t.Helper()
	dir, err := os.Getwd()
	if err != nil {
		t.Fatal(err)
	}
	for {
		if _, err := os.Stat(filepath.Join(dir, "go.mod")); err == nil {
			return dir
		}
		if parent := filepath.Dir(dir); parent != dir {
			dir = parent
			continue
		}
		t.Fatal("no go.mod above the working directory")
	}
}

// Shared returns a path below the folder of third-party material, which lies
// beside the project and is no part of it: STSGATE_SHARED, by default
// ../shared from the root. The test is skipped where it is absent.
func Shared(t testing.TB, elem ...string) string {
	t.Helper()
	dir := os.Getenv("STSGATE_SHARED")
	if dir == "" {
		dir = "../shared"
	}
	if !filepath.IsAbs(dir) {
		dir = filepath.Join(Root(t), dir)
	}
	path := filepath.Join(append([]string{dir}, elem...)...)
	if _, err := os.Stat(path); err != nil {
		t.Skip("skipped: no shared folder with", filepath.Join(elem...))
	}
	return path
}

// Program returns the path of a program that the test drives. Where it is
// absent the test fails in CI, which installs it (make deps), and is skipped
// with that reason elsewhere.
func Program(t testing.TB, name string) string {
	t.Helper()
	path, err := exec.LookPath(name)
	if err != nil {
		absent(t, name)
	}
	return path
}

// Python returns the path of Debian's interpreter, which sees Debian's modules
// as no other does. Where the module is absent it is as with Program.
func Python(t testing.TB, module string) string {
	t.Helper()
	const interpreter = "/usr/bin/python3"
	find := exec.Command(interpreter, "-c", "import importlib.util, sys; sys.exit(importlib.util.find_spec(sys.argv[1]) is None)", module)
	if err := find.Run(); err != nil {
		absent(t, "python3-"+module)
	}
	return interpreter
}

func absent(t testing.TB, name string) {
	t.Helper()
	if os.Getenv("CI") == "true" {
		t.Fatalf("%s is not installed: make deps", name)
	}
	t.Skipf("skipped: %s is not installed: make deps", name)
}
