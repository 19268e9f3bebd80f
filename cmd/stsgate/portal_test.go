package main

import (
	"encoding/json"
	"fmt"
	"path/filepath"
	"slices"
	"testing"
	"time"

	"stsgate/gateway/audit"
	"stsgate/gateway/portal"
)

// What a user does in the portal is no sign-in, and takes the place of none.
func TestSignInsAmongActs(t *testing.T) {
	const user, another = "0f8fad5b-d9cb-469f-a165-70867728950e", "7c9e6679-7425-40de-944b-e07fc1f90ae7"
	file := filepath.Join(t.TempDir(), "audit.jsonl")
	log, err := audit.Open(audit.Config{File: file})
	if err != nil {
		t.Fatal(err)
	}
	defer log.Close()
	for i := range 5 {
		for j, who := range []string{user, another} {
			r := audit.Record{Time: time.Now(), Action: "issue-token", Outcome: "success", Transaction: fmt.Sprintf("%031x%d", i, j), UserID: who}
			if err := log.Append(&r); err != nil {
				t.Fatal(err)
			}
		}
		for range 4 {
			if err := log.AppendAct(&audit.Act{Time: time.Now(), Action: "portal-approve", Outcome: "success", UserID: user, Object: "id"}); err != nil {
				t.Fatal(err)
			}
		}
	}
	p := newPastSignIns(file, nil, nil)
	all, whole, err := p.latest(t.Context(), user, 4)
	if err != nil || !whole || len(all) != 4 || all[0].Transaction != fmt.Sprintf("%031x0", 4) || all[3].Transaction != fmt.Sprintf("%031x0", 1) {
		t.Errorf("got %+v, %v", all, err)
	}
	for j, want := range []bool{true, false} {
		s, _, err := p.one(t.Context(), user, fmt.Sprintf("%031x%d", 2, j))
		if err != nil || (s != nil) != want {
			t.Errorf("the transaction of user %d: %+v, %v", j, s, err)
		}
	}
}

// PORT-11: another gateway is told what is the user's own, whatever it asks for.
func TestSignInsForOthers(t *testing.T) {
	const user, another = "0f8fad5b-d9cb-469f-a165-70867728950e", "7c9e6679-7425-40de-944b-e07fc1f90ae7"
	file := filepath.Join(t.TempDir(), "audit.jsonl")
	log, err := audit.Open(audit.Config{File: file})
	if err != nil {
		t.Fatal(err)
	}
	defer log.Close()
	for i, r := range []audit.Record{
		{UserID: user}, {UserID: another, UserName: "x"}, {}, // nobody's
		// Whoever asks chooses these.
		{UserID: another, UserAgent: `"user.id":"` + user + `"`}, {UserID: another, AppliesTo: user}, {UserID: another, Rule: `x","user.id":"` + user},
	} {
		r.Time, r.Action, r.Outcome, r.Transaction = time.Now(), "issue-token", "failure", fmt.Sprintf("%032x", i)
		if err := log.Append(&r); err != nil {
			t.Fatal(err)
		}
	}
	p := newPastSignIns(file, nil, nil)
	for _, c := range []struct {
		question string
		want     []string // transactions; nil for no answer
	}{
		{`{"user":"` + user + `","most":100}`, []string{fmt.Sprintf("%032x", 0)}},
		{`{"user":"` + user + `","most":1,"transaction":"` + fmt.Sprintf("%032x", 0) + `"}`, []string{fmt.Sprintf("%032x", 0)}},
		{`{"user":"` + user + `","most":1,"transaction":"` + fmt.Sprintf("%032x", 1) + `"}`, []string{}},
		{`{"user":"` + user + `","most":1,"transaction":"` + fmt.Sprintf("%032x", 3) + `"}`, []string{}},
		{`{"user":"","most":100}`, []string{}},
		{`{"user":"0f8fad5b","most":100}`, []string{}},
		{`{"user":"` + another + `\",\"user.name\":\"x","most":100}`, []string{}}, // as it stands in that line
		{`{"user":"` + user + `","most":101}`, nil},
		{`{"user":"` + user + `","most":0}`, nil},
		{`{"user":"` + user + `","most":1,"transaction":"\""}`, nil},
		{`x`, nil},
	} {
		text, err := p.answer(t.Context(), []byte(c.question))
		if (err != nil) != (c.want == nil) {
			t.Errorf("%s: %v", c.question, err)
			continue
		}
		var all []portal.SignIn
		if err == nil {
			err = json.Unmarshal(text, &all)
		}
		got := []string{}
		for _, s := range all {
			got = append(got, s.Transaction)
		}
		if c.want != nil && (err != nil || !slices.Equal(got, c.want)) {
			t.Errorf("%s: got %s, %v", c.question, text, err)
		}
	}
}
