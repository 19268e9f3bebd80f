package directory_test

import (
	"strings"
	"testing"

	"stsgate/upstream/directory"
)

const (
	salt = "c2FsdHNhbHRzYWx0c2FsdA"
	key  = "AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA"
)

func TestParseHash(t *testing.T) {
	for _, tt := range []struct {
		name, phc string
		ok        bool
	}{
		{"the default", "$argon2id$v=19$m=19456,t=2,p=1$" + salt + "$" + key, true},
		{"lowest", "$argon2id$v=19$m=8,t=1,p=1$" + salt + "$" + key, true},
		{"highest", "$argon2id$v=19$m=1048576,t=16,p=16$" + salt + "$" + key, true},
		{"more memory", "$argon2id$v=19$m=1048577,t=2,p=1$" + salt + "$" + key, false},
		{"more memory than 32 bits", "$argon2id$v=19$m=4294967304,t=2,p=1$" + salt + "$" + key, false},
		{"more passes", "$argon2id$v=19$m=19456,t=17,p=1$" + salt + "$" + key, false},
		{"no pass", "$argon2id$v=19$m=19456,t=0,p=1$" + salt + "$" + key, false},
		{"more threads", "$argon2id$v=19$m=19456,t=2,p=17$" + salt + "$" + key, false},
		{"threads beyond 8 bits", "$argon2id$v=19$m=19456,t=2,p=257$" + salt + "$" + key, false},
		{"no thread", "$argon2id$v=19$m=19456,t=2,p=0$" + salt + "$" + key, false},
		{"less memory than threads need", "$argon2id$v=19$m=127,t=2,p=16$" + salt + "$" + key, false},
		{"argon2i", "$argon2i$v=19$m=19456,t=2,p=1$" + salt + "$" + key, false},
		{"argon2 version 16", "$argon2id$v=16$m=19456,t=2,p=1$" + salt + "$" + key, false},
		{"no version", "$argon2id$m=19456,t=2,p=1$" + salt + "$" + key, false},
		{"other order", "$argon2id$v=19$t=2,m=19456,p=1$" + salt + "$" + key, false},
		{"further parameter", "$argon2id$v=19$m=19456,t=2,p=1,data=AA$" + salt + "$" + key, false},
		{"leading zero", "$argon2id$v=19$m=019456,t=2,p=1$" + salt + "$" + key, false},
		{"sign", "$argon2id$v=19$m=+19456,t=2,p=1$" + salt + "$" + key, false},
		{"white space", "$argon2id$v=19$m=19456,t=2,p=1 $" + salt + "$" + key, false},
		{"padding", "$argon2id$v=19$m=19456,t=2,p=1$" + salt + "==$" + key + "=", false},
		{"stray bits", "$argon2id$v=19$m=19456,t=2,p=1$" + salt + "$" + strings.TrimSuffix(key, "A") + "B", false},
		{"line break in base64", "$argon2id$v=19$m=19456,t=2,p=1$" + salt + "$" + key + "\n", false},
		{"short salt", "$argon2id$v=19$m=19456,t=2,p=1$c2FsdA$" + key, false},
		{"short hash", "$argon2id$v=19$m=19456,t=2,p=1$" + salt + "$AAAA", false},
		{"no hash", "$argon2id$v=19$m=19456,t=2,p=1$" + salt, false},
		{"long hash", "$argon2id$v=19$m=19456,t=2,p=1$" + salt + "$" + strings.Repeat("A", 88), false},
		{"bcrypt", "$2b$12$abcdefghijklmnopqrstuvwxyz", false},
		{"empty", "", false},
	} {
		t.Run(tt.name, func(t *testing.T) {
			got, err := directory.ParseHash(tt.phc)
			if ok := err == nil; ok != tt.ok {
				t.Fatalf("got %v, want accepted %v", err, tt.ok)
			}
			if tt.ok && got != tt.phc {
				t.Errorf("got %s, want %s", got, tt.phc)
			}
			if err != nil && tt.phc != "" && strings.Contains(err.Error(), tt.phc) {
				t.Error("the error quotes the hash")
			}
		})
	}
}

// FuzzParseHash looks for a hash with two spellings: what is accepted is
// written as it was read.
func FuzzParseHash(f *testing.F) {
	f.Add("$argon2id$v=19$m=19456,t=2,p=1$" + salt + "$" + key)
	f.Add("$argon2id$v=19$m=8,t=1,p=1$" + salt + "$" + key)
	f.Add("$argon2id$v=19$m=0x10,t=1,p=1$" + salt + "$" + key)
	f.Fuzz(func(t *testing.T, s string) {
		if got, err := directory.ParseHash(s); err == nil && got != s {
			t.Errorf("got %q, want %q", got, s)
		}
	})
}

func BenchmarkDefaultCost(b *testing.B) {
	path := b.TempDir() + "/users.yaml"
	if err := directory.AddUser(path, directory.User{Name: "a@b.example"}, password("x")); err != nil {
		b.Fatal(err)
	}
	f, err := directory.OpenFile(path)
	if err != nil {
		b.Fatal(err)
	}
	a, p := lookupB(b, f), password("x")
	for b.Loop() {
		if err := f.Verify(b.Context(), a, p); err != nil {
			b.Fatal(err)
		}
	}
}
