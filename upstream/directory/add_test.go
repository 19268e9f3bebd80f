package directory_test

import (
	"fmt"
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"sync"
	"testing"

	"stsgate/gateway/account"
	"stsgate/upstream/directory"
)

func lookupB(b *testing.B, f *directory.File) account.Account {
	b.Helper()
	a, err := f.Lookup(b.Context(), account.Name{User: "a", Domain: "b.example", Form: account.UPN})
	if err != nil {
		b.Fatal(err)
	}
	return a
}

// TestAddUser also says what stays: each text must be the beginning of the
// file afterwards.
func TestAddUser(t *testing.T) {
	item := "- name: x@b.example\n"
	for _, tt := range []struct{ name, before, want string }{
		{"no file", "", "users:\n  " + item},
		{"no users yet", "# ours\nusers: # all of them\n", "# ours\nusers: # all of them\n  " + item},
		{"comments and blank lines stay", "# ours\n\nusers:\n  # the first\n  - name: a@b.example   # hers\n    guid: \"" + aliceID + "\"\n\n# last word\n",
			"# last word\n  " + item},
		{"other indentation", "users:\n- name: a@b.example\n  guid: " + aliceID + "\n", aliceID + "\n" + item},
		{"deep indentation", "users:\n      - name: a@b.example\n        guid: " + aliceID + "\n", aliceID + "\n      " + item},
		{"no line break at the end", "users:\n  - name: a@b.example\n    guid: " + aliceID, aliceID + "\n  " + item},
	} {
		t.Run(tt.name, func(t *testing.T) {
			path := filepath.Join(t.TempDir(), "users.yaml")
			if tt.before != "" {
				write(t, path, tt.before)
			}
			u := directory.User{Name: "x@b.example", Domain: "B", Groups: []string{"staff", "no", "a: b"},
				Attributes: map[string][]string{"display_name": {"X # \"Y\"", strings.Repeat("long ", 40) + "name"}}}
			if err := directory.AddUser(path, u, password("pass")); err != nil {
				t.Fatal(err)
			}
			got := read(t, path)
			if !strings.HasPrefix(got, tt.before) || !strings.Contains(got, tt.want) {
				t.Errorf("got\n%s", got)
			}
			f, err := directory.OpenFile(path)
			if err != nil {
				t.Fatal(err)
			}
			a, err := lookup(t, f, `b\X`)
			if err != nil {
				t.Fatal(err)
			}
			if !regexp.MustCompile(`^[0-9a-f]{8}-[0-9a-f]{4}-4[0-9a-f]{3}-[89ab][0-9a-f]{3}-[0-9a-f]{12}$`).MatchString(a.ID) {
				t.Errorf("got GUID %s, want a random one", a.ID)
			}
			if fmt.Sprint(a.Groups, a.Attributes) != fmt.Sprint(u.Groups, u.Attributes) {
				t.Errorf("got %v %v, want %v %v", a.Groups, a.Attributes, u.Groups, u.Attributes)
			}
			if err := f.Verify(t.Context(), a, password("pass")); err != nil {
				t.Errorf("verify: got %v, want nil", err)
			}
		})
	}
}

func TestAddUserRefuses(t *testing.T) {
	one := "users:\n  - name: a@b.example\n    guid: " + aliceID + "\n"
	for _, tt := range []struct {
		name, before string
		user         directory.User
		password     string
		want         string
	}{
		{"name taken", one, directory.User{Name: "A@B.example"}, "p", "users.yaml:4:11: A@B.example is taken by the user in line 2"},
		{"GUID taken", one, directory.User{Name: "c@b.example", GUID: aliceID}, "p", "users.yaml:5:11: " + aliceID + " is taken by the user in line 2"},
		{"no UPN", one, directory.User{Name: "c"}, "p", `users.yaml:4:11: "c" is not a user principal name`},
		{"bad group", one, directory.User{Name: "c@b.example", Groups: []string{"a\nb"}}, "p", "text is empty or has control characters"},
		{"empty password", one, directory.User{Name: "c@b.example"}, "", "password is empty"},
		{"mistake in the file", one + "    gruops: []\n", directory.User{Name: "c@b.example"}, "p", `users.yaml:4:5: unknown key "gruops"`},
		{"flow style", "users: [{name: a@b.example, guid: " + aliceID + "}]\n", directory.User{Name: "c@b.example"}, "p", "users.yaml:1:8: users must be a list"},
		{"empty flow list", "users: []\n", directory.User{Name: "c@b.example"}, "p", "users.yaml:1:8: users must be a list"},
		{"document end", one + "...\n", directory.User{Name: "c@b.example"}, "p", "users.yaml:5:"},
	} {
		t.Run(tt.name, func(t *testing.T) {
			path := filepath.Join(t.TempDir(), "users.yaml")
			write(t, path, tt.before)
			err := directory.AddUser(path, tt.user, password(tt.password))
			if err == nil || !strings.Contains(err.Error(), tt.want) {
				t.Errorf("got %v, want %s", err, tt.want)
			}
			if got := read(t, path); got != tt.before {
				t.Errorf("the file was changed: %s", got)
			}
			onlyFile(t, path)
		})
	}
}

func TestAddUserKeepsModeOwnerAndLink(t *testing.T) {
	dir := t.TempDir()
	path := filepath.Join(dir, "real", "users.yaml")
	link := filepath.Join(dir, "users.yaml")
	if err := os.Mkdir(filepath.Dir(path), 0o700); err != nil {
		t.Fatal(err)
	}
	add := func(path, name string) {
		t.Helper()
		if err := directory.AddUser(path, directory.User{Name: name}, password("p")); err != nil {
			t.Fatal(err)
		}
	}
	add(path, "a@b.example")
	mode(t, path, 0o600)
	if err := os.Chmod(path, 0o640); err != nil {
		t.Fatal(err)
	}
	if err := os.Symlink(path, link); err != nil {
		t.Fatal(err)
	}
	add(link, "c@b.example")
	mode(t, path, 0o640)
	if target, err := os.Readlink(link); err != nil || target != path {
		t.Errorf("got link to %q, %v, want %q", target, err, path)
	}
	onlyFile(t, path)
}

// TestAddUserTakesTurns loses a user when two calls read the same old file.
func TestAddUserTakesTurns(t *testing.T) {
	path := filepath.Join(t.TempDir(), "users.yaml")
	const n = 8
	var wg sync.WaitGroup
	for i := range n {
		wg.Go(func() {
			if err := directory.AddUser(path, directory.User{Name: fmt.Sprintf("u%d@b.example", i)}, password("p")); err != nil {
				t.Error(err)
			}
		})
	}
	wg.Wait()
	f, err := directory.OpenFile(path)
	if err != nil {
		t.Fatal(err)
	}
	for i := range n {
		if _, err := lookup(t, f, fmt.Sprintf("u%d@b.example", i)); err != nil {
			t.Errorf("u%d: %v", i, err)
		}
	}
	onlyFile(t, path)
}

func read(t *testing.T, path string) string {
	t.Helper()
	b, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	return string(b)
}

func mode(t *testing.T, path string, want os.FileMode) {
	t.Helper()
	info, err := os.Stat(path)
	if err != nil {
		t.Fatal(err)
	}
	if got := info.Mode().Perm(); got != want {
		t.Errorf("got mode %v, want %v", got, want)
	}
}

// onlyFile checks that nothing temporary was left beside the file.
func onlyFile(t *testing.T, path string) {
	t.Helper()
	entries, err := os.ReadDir(filepath.Dir(path))
	if err != nil || len(entries) != 1 {
		t.Errorf("got %v, %v, want the users file alone", entries, err)
	}
}
