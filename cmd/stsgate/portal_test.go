package main

import (
	"fmt"
	"path/filepath"
	"testing"
	"time"

	"stsgate/gateway/audit"
	"stsgate/gateway/config"
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
	d := &daemon{c: &config.Config{Audit: config.Audit{File: file}}}
	all, err := d.signIns(t.Context(), user, 4)
	if err != nil || len(all) != 4 || all[0].Transaction != fmt.Sprintf("%031x0", 4) || all[3].Transaction != fmt.Sprintf("%031x0", 1) {
		t.Errorf("got %+v, %v", all, err)
	}
	for j, want := range []bool{true, false} {
		s, err := d.signIn(t.Context(), user, fmt.Sprintf("%031x%d", 2, j))
		if err != nil || (s != nil) != want {
			t.Errorf("the transaction of user %d: %+v, %v", j, s, err)
		}
	}
}
