package audit_test

import (
	"bytes"
	"os"
	"strings"
	"testing"
	"time"

	"stsgate/gateway/audit"
)

// AUD-06: what a user did is one line of at most 8 KiB, whatever was sent.
func TestAct(t *testing.T) {
	for name, text := range map[string]string{
		"plain": "mailbox", "long": strings.Repeat("<", 10_000), "evil": "a\r\n\x1b[2J\u202e\"}",
	} {
		t.Run(name, func(t *testing.T) {
			l, file := open(t)
			for _, action := range audit.Acts() {
				a := audit.Act{Time: time.Now(), Action: action, Outcome: "unknown", UserID: "0f8fad5b-d9cb-469f-a165-70867728950e", UserName: text, Object: text}
				if err := l.AppendAct(&a); err != nil {
					t.Fatal(err)
				}
			}
			if err := l.Close(); err != nil {
				t.Fatal(err)
			}
			b, err := os.ReadFile(file)
			if err != nil {
				t.Fatal(err)
			}
			if n := len(audit.Acts()); len(b) > n*8<<10 || bytes.Count(b, []byte("\n")) != n || bytes.ContainsAny(b, "\r\x1b\u202e") {
				t.Errorf("got %d bytes: %.2000q", len(b), b)
			}
			if err := l.AppendAct(&audit.Act{}); err == nil {
				t.Error("after Close: got no error")
			}
		})
	}
}
