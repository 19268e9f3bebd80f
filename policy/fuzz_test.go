package policy_test

import (
	"path/filepath"
	"testing"
	"testing/fstest"

	"stsgate/policy"
)

// FuzzLoad checks that no file and no list of prefixes makes loading or
// deciding panic, that every mistake has a place, and that what loads once
// loads again to the same revision.
func FuzzLoad(f *testing.F) {
	names, err := filepath.Glob("testdata/policies/*.yaml")
	if err != nil {
		f.Fatal(err)
	}
	list := read(f, "testdata/policies/networks/good.txt")
	for _, name := range names {
		f.Add(read(f, name), list)
	}
	f.Fuzz(func(t *testing.T, content, list []byte) {
		files := fstest.MapFS{"policy.yaml": {Data: content}, "networks/good.txt": {Data: list}}
		for _, m := range mistakes(t, files, vocabulary) {
			if m == "" {
				t.Error("a mistake without a text")
			}
		}
		s, err := policy.Load(files, vocabulary)
		if err != nil {
			return
		}
		for _, a := range s.Applications() {
			facts := alice()
			facts.Request.AppliesTo = a.Realms[0]
			d := s.Decide(&facts)
			if d.Effect == policy.Allow && (d.Answer == policy.NoAnswer || d.Application != a) {
				t.Errorf("%+v", d)
			}
			u := bob()
			if _, claims, err := a.Evaluate(&u, a.Token); err == nil {
				for _, c := range claims {
					if c.Type == "" || len(c.Values) == 0 {
						t.Errorf("claim %+v", c)
					}
				}
			}
		}
		s.Warnings(noon)
		again, err := policy.Load(files, vocabulary)
		if err != nil || again.Revision() != s.Revision() {
			t.Errorf("again: %v", err)
		}
	})
}
