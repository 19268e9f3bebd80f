package audit_test

import (
	"bytes"
	"os"
	"strings"
	"testing"
	"time"

	"stsgate/gateway/audit"
)

// AUD-11, AUD-06: what an operator did is one line of at most 8 KiB with who and
// why, whatever was typed.
func TestOperation(t *testing.T) {
	for name, text := range map[string]string{
		"plain": "phone lost", "long": strings.Repeat("<", 10_000), "evil": "a\r\n\x1b[2J\u202e\"}",
	} {
		t.Run(name, func(t *testing.T) {
			l, file := open(t)
			o := audit.Operation{
				Time: time.Now(), Action: "lock-add", Outcome: "unknown", Call: "0123456789abcdef",
				UserID: "1000", UserName: text, PID: 4711, TargetID: "0f8fad5b-d9cb-469f-a165-70867728950e", TargetName: text, Reason: text, Error: text,
			}
			if err := l.AppendOperation(&o); err != nil {
				t.Fatal(err)
			}
			if err := l.Close(); err != nil {
				t.Fatal(err)
			}
			b, err := os.ReadFile(file)
			if err != nil {
				t.Fatal(err)
			}
			if len(b) > 8<<10 || bytes.Count(b, []byte("\n")) != 1 || bytes.ContainsAny(b, "\r\x1b\u202e") {
				t.Errorf("got %d bytes: %q", len(b), b)
			}
			r := lines(t, file)[0]
			if r["user.id"] != "1000" || r["process.pid"] != 4711.0 || r["event.outcome"] != "unknown" || !strings.HasPrefix(r["event.reason"].(string), text[:1]) {
				t.Errorf("got %v", r)
			}
			if err := l.AppendOperation(&o); err == nil {
				t.Error("after Close: got no error")
			}
		})
	}
}
