package admin_test

import (
	"encoding/json"
	"fmt"
	"net/http/httptest"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"stsgate/gateway/admin"
	"stsgate/gateway/state"
)

// by has a user of the machine make a call, and returns the error.
func (o *office) by(uid int, name, target string) string {
	body, _ := json.Marshal(admin.Who{Target: target, Reason: "test"})
	r := httptest.NewRequest("POST", "/"+name, strings.NewReader(string(body)))
	w := httptest.NewRecorder()
	o.desk.ServeHTTP(w, r.WithContext(admin.CalledBy(r.Context(), uid, fmt.Sprint("operator", uid))))
	var answer struct{ Error string }
	_ = json.Unmarshal(w.Body.Bytes(), &answer)
	return answer.Error
}

// MFA-14: nobody alone resets a member of a protected group or makes a binding
// code for one, however the user is named; for everybody else one operator does.
func TestTwoOperators(t *testing.T) {
	const one, two = 1001, 1002
	for _, name := range []string{admin.MFABindingCode, admin.MFAReset} {
		for _, target := range []string{"chief@contoso.example", chief} {
			t.Run(name+" "+target, func(t *testing.T) {
				o := openOffice(t)
				for range 3 {
					if got := o.by(one, name, target); !strings.Contains(got, "it takes two operators, since the user is in the group domain admins") {
						t.Fatalf("one operator: %q", got)
					}
				}
				if got := o.by(two, name, chief); got != "" {
					t.Fatalf("a second one: %q", got)
				}
				if got := o.by(two, name, target); got == "" {
					t.Error("it was good twice")
				}
				if got := o.outcomes(); got != strings.Repeat(name+" failure, ", 3)+name+" unknown, "+name+" success, "+name+" failure" {
					t.Errorf("got records %s", got)
				}
				if r := o.records[4]; r.First != "operator1001" || r.UserName != "operator1002" {
					t.Errorf("recorded by %q, after %q", r.UserName, r.First)
				}
			})
		}
	}
	o := openOffice(t)
	for _, c := range []struct{ name, target, want string }{
		{admin.MFABindingCode, alice, ""}, {admin.MFAReset, "alice@contoso.example", ""}, {admin.MFARevoke, chief, ""}, // it gives nobody anything
		{admin.MFABindingCode, chief, "two operators"}, {admin.MFAReset, "chief@contoso.example", "two operators"}, // each for itself
		{admin.MFABindingCode, "7c9e6679-7425-40de-944b-e07fc1f90ae7", "two operators, since the directory does not say"},
	} {
		if got := o.by(one, c.name, c.target); !strings.Contains(got, c.want) || c.want == "" && got != "" {
			t.Errorf("%s %s: got %q, want %q", c.name, c.target, got, c.want)
		}
	}
	if got := o.by(two, admin.MFABindingCode, alice); got != "" {
		t.Errorf("alice: %q", got)
	}
	o.dark = true
	if got := o.by(one, admin.MFABindingCode, alice); !strings.Contains(got, "no answer in time") {
		t.Errorf("while the directory does not answer: %q", got)
	}
	o.refuse = len(o.records) + 1
	if got := o.by(two, admin.MFABindingCode, alice); !strings.Contains(got, "nothing was done, since the audit log") {
		t.Errorf("unrecorded: %q", got)
	}
	o.refuse = 0
	var b admin.BindingCode
	if err := o.asks(admin.MFABindingCode, "chief@contoso.example", &b); err != nil { // as the kernel says, after the first above
		t.Errorf("over the socket: %v", err)
	}
}

// What one operator asked for waits for 10 minutes.
func TestSecondOperatorIsLate(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		o := newOffice(t, state.NewKey())
		for _, c := range []struct {
			after time.Duration
			done  bool
		}{{10*time.Minute - time.Second, true}, {10 * time.Minute, false}} {
			if got := o.by(1001, admin.MFAReset, chief); got == "" {
				t.Fatal("one operator reset an administrator")
			}
			time.Sleep(c.after)
			if got := o.by(1002, admin.MFAReset, chief); (got == "") != c.done {
				t.Errorf("after %s: %q", c.after, got)
			}
			time.Sleep(time.Hour)
		}
	})
}
