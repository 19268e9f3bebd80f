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

// FuzzSuite checks that no file of tests makes reading or deciding panic, that
// every mistake has a place, and that what is given is known or said to be
// unknown.
func FuzzSuite(f *testing.F) {
	names, err := filepath.Glob("testdata/suites/*.yaml")
	if err != nil {
		f.Fatal(err)
	}
	for _, name := range names {
		f.Add(read(f, name))
	}
	f.Add([]byte("defaults: {user: {}, time: 2027-01-31}\ntests: [{name: a, facts: {user: {name: x}}, unknown: [client], expect: {effect: deny, cause: no-allow}}]"))
	s := load(f, suiteRules)
	f.Fuzz(func(t *testing.T, content []byte) {
		all, err := s.ReadSuites(fstest.MapFS{"f_test.yaml": {Data: content}})
		if err != nil {
			for _, e := range err.(policy.Errors) {
				if e.Line < 1 || e.Column < 1 || e.Msg == "" {
					t.Errorf("mistake %+v", e)
				}
			}
			return
		}
		for _, test := range all[0].Tests {
			if left := policy.AllFacts &^ test.Facts.Known &^ test.Given; left.Without(policy.Time, policy.RequestApplication) != 0 {
				t.Errorf("%s: neither given nor empty: %b", test.Name, left)
			}
			d, applying := s.Applying(&test.Facts)
			test.Expect.Differences(&d, applying)
		}
	})
}
