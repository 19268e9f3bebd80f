package audit_test

import (
	"encoding/json"
	"net/netip"
	"testing"
	"time"

	"stsgate/gateway/audit"
)

// decided is a record of a request that policy decided on.
func decided() *audit.Record {
	return &audit.Record{
		Time: time.Date(2026, 11, 22, 10, 0, 0, 0, time.UTC), Action: "issue-token", Outcome: "success", Reason: "ok", Duration: time.Millisecond,
		Transaction: "0123456789abcdef0123456789abcdef", Source: netip.MustParseAddr("10.0.0.1"), Client: netip.MustParseAddr("203.0.113.7"),
		UserAgent: "Microsoft Office/16.0", TLS: "1.3", Path: "/adfs/services/trust/13/usernamemixed", Status: 200,
		UserID: "12efcdab-5634-9078-abcd-ef1234567890", UserName: "alice@contoso.example", Application: "payroll", AppliesTo: "urn:payroll",
		Version: "1.3", SOAP: "1.2", Effect: "allow", SecondFactor: true, Requires: []string{"outside only with a second factor"}, Answer: "issue",
		Rule: "staff may use payroll", Revision: "0123456789abcdef",
		Facts: json.RawMessage(`{"user":{"name":"alice@contoso.example","guid":"12efcdab-5634-9078-abcd-ef1234567890","sam":"alice","domain":"CONTOSO","groups":["staff","payroll"]},` +
			`"client":{"address":"203.0.113.7","family":"adal","user_agent":"Microsoft Office/16.0"},"request":{"applies_to":"urn:payroll",` +
			`"endpoint":"/adfs/services/trust/13/usernamemixed","version":"1.3","type":"issue","credential":"password","token_type":"saml1.1","key_type":"bearer","soap":"1.2"},` +
			`"time":"2026-11-22T10:00:00Z","not_read":["client.country","client.asn","client.familiar","source.failed_users","source.failures"]}`),
	}
}

// BenchmarkAppend measures a record without a disk: with the facts, and
// without.
func BenchmarkAppend(b *testing.B) {
	l, err := audit.Open(audit.Config{File: "/dev/null"})
	if err != nil {
		b.Fatal(err)
	}
	defer l.Close()
	bare := decided()
	bare.Facts = nil
	for name, r := range map[string]*audit.Record{"facts": decided(), "bare": bare} {
		b.Run(name, func(b *testing.B) {
			for b.Loop() {
				if err := l.Append(r); err != nil {
					b.Fatal(err)
				}
			}
		})
	}
}

// BenchmarkReadDecision measures what a replay does to each line.
func BenchmarkReadDecision(b *testing.B) {
	line, err := json.Marshal(decided())
	if err != nil {
		b.Fatal(err)
	}
	b.SetBytes(int64(len(line)))
	for b.Loop() {
		if _, err := audit.ReadDecision(line); err != nil {
			b.Fatal(err)
		}
	}
}
