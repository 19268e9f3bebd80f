package directory_test

import (
	"context"
	"errors"
	"fmt"
	"maps"
	"os"
	"path/filepath"
	"runtime"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"testing/synctest"

	"stsgate/gateway/account"
	"stsgate/upstream/directory"
)

const (
	aliceID = "0f8fad5b-d9cb-469f-a165-70867728950e"
	bobID   = "7c9e6679-7425-40de-944b-e07fc1f90ae7"
)

// sample is a file with every key; its hashes cost next to nothing.
func sample() string {
	return strings.NewReplacer("ALICE", directory.CheapHash("correct horse"), "BOB", directory.CheapHash("battery staple"),
		"EMPTY", directory.CheapHash("")).Replace(`
users:
  - name: alice@contoso.example
    guid: "{0F8FAD5B-D9CB-469F-A165-70867728950E}"
    domain: CONTOSO
    groups: [staff, Payroll Readers]
    password: ALICE
    attributes: {mail: [alice@contoso.example], display_name: [Alice]}
  - name: bob@contoso.example
    guid: 7c9e6679-7425-40de-944b-e07fc1f90ae7
    sam: bobby
    domain: CONTOSO
    disabled: true
    password: BOB
  - name: alice@fabrikam.example
    guid: 6ba7b810-9dad-11d1-80b4-00c04fd430c8
    domain: FABRIKAM
  - name: Carol@contoso.example
    guid: 6ba7b811-9dad-11d1-80b4-00c04fd430c8
  - name: eve@contoso.example
    guid: 6ba7b812-9dad-11d1-80b4-00c04fd430c8
    password: EMPTY
`)
}

func open(t *testing.T, text string) (*directory.File, string) {
	t.Helper()
	path := filepath.Join(t.TempDir(), "users.yaml")
	write(t, path, text)
	f, err := directory.OpenFile(path)
	if err != nil {
		t.Fatal(err)
	}
	return f, path
}

func write(t *testing.T, path, text string) {
	t.Helper()
	if err := os.WriteFile(path, []byte(text), 0o600); err != nil {
		t.Fatal(err)
	}
}

func lookup(t *testing.T, f *directory.File, typed string) (account.Account, error) {
	t.Helper()
	name, err := account.ParseName(typed)
	if err != nil {
		t.Fatalf("ParseName(%q): %v", typed, err)
	}
	return f.Lookup(t.Context(), name)
}

func password(s string) account.Password { return account.NewPassword([]byte(s)) }

func TestLookup(t *testing.T) {
	f, _ := open(t, sample())
	for _, tt := range []struct{ name, typed, want string }{
		{"user principal name", "alice@contoso.example", "alice@contoso.example"},
		{"other case", "ALICE@Contoso.Example", "alice@contoso.example"},
		{"other domain", "alice@fabrikam.example", "alice@fabrikam.example"},
		{"file's own case is kept", "carol@contoso.example", "Carol@contoso.example"},
		{"down-level", `contoso\Alice`, "alice@contoso.example"},
		{"down-level by sam", `CONTOSO\bobby`, "bob@contoso.example"},
		{"down-level by the name's first part", `CONTOSO\bob`, ""},
		{"down-level of an account without domain", `CONTOSO\carol`, ""},
		{"bare", "BOBBY", "bob@contoso.example"},
		{"bare by default sam", "carol", "Carol@contoso.example"},
		{"bare name of two", "alice", ""},
		{"nobody", "mallory@contoso.example", ""},
		{"DNS domain as down-level", `contoso.example\alice`, ""},
	} {
		t.Run(tt.name, func(t *testing.T) {
			got, err := lookup(t, f, tt.typed)
			if tt.want == "" {
				if !errors.Is(err, account.ErrUnknown) {
					t.Errorf("got %v, %v, want ErrUnknown", got, err)
				}
				return
			}
			if err != nil || got.UPN != tt.want {
				t.Errorf("got %q, %v, want %q", got.UPN, err, tt.want)
			}
		})
	}
}

func TestAccount(t *testing.T) {
	f, _ := open(t, sample())
	got, err := lookup(t, f, "alice@contoso.example")
	if err != nil {
		t.Fatal(err)
	}
	want := account.Account{
		ID: aliceID, UPN: "alice@contoso.example", SAM: "alice", Domain: "CONTOSO",
		Groups:     []string{"staff", "Payroll Readers"},
		Attributes: map[string][]string{"mail": {"alice@contoso.example"}, "display_name": {"Alice"}},
	}
	if fmt.Sprint(got) != fmt.Sprint(want) {
		t.Errorf("got %+v, want %+v", got, want)
	}
	if bob, err := lookup(t, f, "bobby"); err != nil || !bob.Disabled {
		t.Errorf("got Disabled %v, %v, want true", bob.Disabled, err)
	}
}

// TestVerify also counts: whoever asks, and whatever for, costs one
// computation of the same cost (security.md, section 9: no user enumeration).
func TestNames(t *testing.T) {
	f, _ := open(t, sample())
	got, err := f.Names(t.Context(), []string{aliceID, bobID, "6ba7b899-9dad-11d1-80b4-00c04fd430c8"})
	if want := map[string]string{aliceID: "alice@contoso.example", bobID: "bob@contoso.example"}; err != nil || !maps.Equal(got, want) {
		t.Errorf("got %v, %v, want %v", got, err, want)
	}
}

func TestVerify(t *testing.T) {
	f, _ := open(t, sample())
	for _, tt := range []struct {
		name     string
		account  account.Account
		password account.Password
		want     error
	}{
		{"right password", account.Account{ID: aliceID}, password("correct horse"), nil},
		{"wrong password", account.Account{ID: aliceID}, password("wrong horse"), account.ErrDenied},
		{"another user's password", account.Account{ID: aliceID}, password("battery staple"), account.ErrDenied},
		{"empty password", account.Account{ID: aliceID}, password(""), account.ErrDenied},
		{"zero password", account.Account{ID: aliceID}, account.Password{}, account.ErrDenied},
		{"disabled, right password", account.Account{ID: bobID}, password("battery staple"), account.ErrDenied},
		{"disabled in the file, not in the argument", account.Account{ID: bobID, UPN: "bob@contoso.example"}, password("battery staple"), account.ErrDenied},
		{"account without password", account.Account{ID: "6ba7b811-9dad-11d1-80b4-00c04fd430c8"}, password(""), account.ErrDenied},
		{"empty password that is the account's", account.Account{ID: "6ba7b812-9dad-11d1-80b4-00c04fd430c8"}, password(""), account.ErrDenied},
		{"zero account", account.Account{}, password("correct horse"), account.ErrDenied},
		{"unknown ID", account.Account{ID: "00000000-0000-4000-8000-000000000000"}, password("correct horse"), account.ErrDenied},
		{"known name, no ID", account.Account{UPN: "alice@contoso.example"}, password("correct horse"), account.ErrDenied},
	} {
		t.Run(tt.name, func(t *testing.T) {
			var costs []string
			directory.OnDerive(f, func(parameters string) { costs = append(costs, parameters) })
			if err := f.Verify(t.Context(), tt.account, tt.password); !errors.Is(err, tt.want) {
				t.Errorf("got %v, want %v", err, tt.want)
			}
			if want := []string{"m=8,t=1,p=1"}; !slices.Equal(costs, want) {
				t.Errorf("got computations %v, want %v", costs, want)
			}
		})
	}
}

func TestVerifyUnknownCostsTheDefaultWithoutHashes(t *testing.T) {
	f, _ := open(t, "users:\n")
	var costs []string
	directory.OnDerive(f, func(parameters string) { costs = append(costs, parameters) })
	if err := f.Verify(t.Context(), account.Account{}, password("x")); !errors.Is(err, account.ErrDenied) {
		t.Errorf("got %v, want ErrDenied", err)
	}
	if want := []string{"m=19456,t=2,p=1"}; !slices.Equal(costs, want) {
		t.Errorf("got computations %v, want %v", costs, want)
	}
}

func TestVerifyBoundsConcurrency(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		f, _ := open(t, sample())
		limit := runtime.GOMAXPROCS(0)
		release := make(chan struct{})
		var running atomic.Int64
		directory.OnDerive(f, func(string) {
			running.Add(1)
			<-release
			running.Add(-1)
		})
		ctx, cancel := context.WithCancelCause(t.Context())
		var wg sync.WaitGroup
		var waited atomic.Int64
		cause := errors.New("client went away")
		for range limit + 3 {
			wg.Go(func() {
				if errors.Is(f.Verify(ctx, account.Account{ID: aliceID}, password("correct horse")), cause) {
					waited.Add(1)
				}
			})
		}
		synctest.Wait()
		if got := running.Load(); got != int64(limit) {
			t.Errorf("got %d computations at once, want %d", got, limit)
		}
		cancel(cause)
		synctest.Wait()
		close(release)
		wg.Wait()
		if got := waited.Load(); got != 3 {
			t.Errorf("got %d verifications ended by their context, want 3", got)
		}
		if err := f.Verify(t.Context(), account.Account{ID: aliceID}, password("correct horse")); err != nil {
			t.Errorf("after the crowd: got %v, want nil", err)
		}
	})
}

func TestPrepare(t *testing.T) {
	f, path := open(t, sample())
	write(t, path, "users:\n  - name: broken\n")
	if _, err := f.Prepare(); err == nil {
		t.Fatal("got no error for a broken file")
	}
	if _, err := lookup(t, f, "alice@contoso.example"); err != nil {
		t.Errorf("after a broken reload: got %v, want the old users", err)
	}
	write(t, path, "users:\n  - {name: dora@contoso.example, guid: "+bobID+"}\n")
	replace, err := f.Prepare()
	if err != nil {
		t.Fatal(err)
	}
	if _, err := lookup(t, f, "alice@contoso.example"); err != nil {
		t.Errorf("before the users are replaced: got %v, want the old users", err)
	}
	replace()
	if _, err := lookup(t, f, "alice@contoso.example"); !errors.Is(err, account.ErrUnknown) {
		t.Errorf("after a reload: got %v, want ErrUnknown", err)
	}
	if err := f.Verify(t.Context(), account.Account{ID: aliceID}, password("correct horse")); !errors.Is(err, account.ErrDenied) {
		t.Errorf("removed between look-up and verification: got %v, want ErrDenied", err)
	}
}

func TestOpenFileReportsAllMistakes(t *testing.T) {
	const secret = "Tr0ub4dor-and-3"
	for _, tt := range []struct {
		name, text string
		want       []string
	}{
		{"nothing", "", []string{"1:1: users is missing"}},
		{"comment only", "# users\n", []string{"1:1: users is missing"}},
		{"other root", "- a\n", []string{"1:1: want a mapping (key: value)", "1:1: users is missing"}},
		{"syntax", "users:\n  - name: a\n   guid: b\n", []string{"3:4: did not find expected '-' indicator"}},
		{"two documents", "users:\n---\nusers:\n", []string{"2:1: a second document is not read here"}},
		{"not UTF-8", "users:\n  - name: \"a\xff\"\n", []string{"1:1: invalid leading UTF-8 octet (value: 255)"}},
		{"unknown keys at once", "usrs:\nusers:\n  - name: a@b\n    guid: " + aliceID + "\n    mail: x\n    gruops: [a]\n", []string{
			`1:1: unknown key "usrs": the only one here is users`,
			`5:5: unknown key "mail": a user has name, guid, sam, domain, groups, password, disabled and attributes`,
			`6:5: unknown key "gruops": a user has name, guid, sam, domain, groups, password, disabled and attributes`,
		}},
		{"no documents but one marker", "---\n", []string{"2:1: want a mapping (key: value)", "2:1: users is missing"}},
		{"key twice", "users:\n  - name: a@b\n    guid: " + aliceID + "\n    name: c@d\n", []string{"4:5: name is given twice"}},
		{"missing keys", "users:\n  - sam: a\n", []string{"2:5: name is missing", "2:5: guid is missing"}},
		{"wrong types", "users:\n  - name: [a]\n    guid: 12\n    groups: staff\n    disabled: yes\n    attributes: [mail]\n    password: 1\n", []string{
			"2:11: want a text (quote numbers, true and false)",
			"3:11: want a text (quote numbers, true and false)",
			"4:13: want a list",
			"5:15: want true or false",
			"6:17: want a mapping (key: value)",
			"7:15: want a text in quotes",
		}},
		{"bad values", "users:\n  - name: alice\n    guid: x\n    sam: a@b\n    domain: A\\b\n    groups: [\"\", a, a]\n    attributes: {Mail: [a]}\n", []string{
			`2:11: "alice" is not a user principal name such as alice@contoso.example`,
			`3:11: "x" is not a GUID`,
			`4:10: "a@b" is not a bare name such as alice`,
			`5:13: "A\\b" is not a short domain name such as CONTOSO`,
			"6:14: text is empty or has control characters",
			`6:21: "a" is listed twice`,
			`7:18: attribute "Mail" is not of a-z, 0-9 and _`,
		}},
		{"a password where its hash belongs", "users:\n  - name: a@b\n    guid: " + aliceID + "\n    password: " + secret + "\n", []string{
			"4:15: not an argon2id hash: want $argon2id$v=19$m=...,t=...,p=...$salt$hash",
		}},
		{"anchor and alias", "users:\n  - &a {name: a@b, guid: " + aliceID + "}\n  - *a\n", []string{
			"2:5: anchors and aliases are not read here", "3:5: anchors and aliases are not read here",
		}},
		{"tag", "users:\n  - name: !!str a@b\n    guid: " + aliceID + "\n", []string{"2:11: want a text (quote numbers, true and false)"}},
		{"names and GUIDs shared", "users:\n  - {name: a@b, guid: " + aliceID + ", domain: C}\n  - {name: A@B, guid: " + strings.ToUpper(aliceID) + ", domain: c, sam: A}\n", []string{
			"3:12: A@B is taken by the user in line 2",
			"3:23: " + aliceID + " is taken by the user in line 2",
			"3:77: c\\a is taken by the user in line 2",
		}},
		{"name with two at signs", "users:\n  - {name: a@b@c, guid: " + aliceID + "}\n", []string{`2:5: sam is missing: "a@b" is not one`}},
	} {
		t.Run(tt.name, func(t *testing.T) {
			path := filepath.Join(t.TempDir(), "users.yaml")
			write(t, path, tt.text)
			_, err := directory.OpenFile(path)
			if err == nil {
				t.Fatal("got no error")
			}
			want := path + ":" + strings.Join(tt.want, "\n"+path+":")
			if err.Error() != want {
				t.Errorf("got\n%v\nwant\n%v", err, want)
			}
			if strings.Contains(err.Error(), secret) {
				t.Error("the error quotes what stands under password")
			}
		})
	}
}

func TestOpenFileRefusesWhatIsNoFile(t *testing.T) {
	dir := t.TempDir()
	big := filepath.Join(dir, "big.yaml")
	write(t, big, "users:\n#"+strings.Repeat("x", 16<<20))
	for _, path := range []string{dir, filepath.Join(dir, "absent.yaml"), big} {
		if _, err := directory.OpenFile(path); err == nil {
			t.Errorf("OpenFile(%s): got no error", path)
		}
	}
}
