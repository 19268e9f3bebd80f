package audit_test

import (
	"fmt"
	"strings"
	"testing"
	"time"

	"stsgate/gateway/audit"
)

func TestLatest(t *testing.T) {
	l, file := open(t)
	for i := range 100 {
		r := audit.Record{Time: time.Now(), Action: "issue-token", Outcome: "success", Transaction: fmt.Sprintf("%032x", i), UserID: fmt.Sprint("user-", i%3)}
		if err := l.Append(&r); err != nil {
			t.Fatal(err)
		}
	}
	for range 10 { // lines with the one text and without the other
		if err := l.AppendAct(&audit.Act{Time: time.Now(), Action: "portal-deny", Outcome: "success", UserID: "user-1"}); err != nil {
			t.Fatal(err)
		}
	}
	if err := l.Close(); err != nil {
		t.Fatal(err)
	}
	for _, c := range []struct {
		within int64
		most   int
		text   string
		want   int
		first  int
	}{
		{1 << 20, 10, `"user.id":"user-1"`, 10, 97},
		{1 << 20, 1000, `"user.id":"user-0"`, 34, 99},
		{1 << 20, 10, `"user.id":"user-4"`, 0, 0},
		{6000, 1000, `"user.id":"`, -1, 99},
	} {
		got, err := audit.Latest([]string{file}, c.within, c.most, `"event.action":"issue-token"`, c.text)
		if err != nil {
			t.Fatal(err)
		}
		if len(got) != c.want && c.want >= 0 || c.want < 0 && (len(got) < 2 || len(got) > 20) {
			t.Errorf("%+v: %d lines", c, len(got))
		}
		if len(got) > 0 && !strings.Contains(string(got[0]), fmt.Sprintf("%032x", c.first)) {
			t.Errorf("%+v: the first is %s", c, got[0])
		}
	}
}
