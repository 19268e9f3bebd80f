package gateway_test

import (
	"bytes"
	"context"
	"net/http"
	"testing"
	"time"

	"stsgate/gateway"
	"stsgate/gateway/wstrust"
	"stsgate/testdata"
)

// A sink is a client that costs nothing.
type sink struct {
	h      http.Header
	status int
}

func (s *sink) Header() http.Header           { return s.h }
func (s *sink) WriteHeader(status int)        { s.status = status }
func (s *sink) Write(b []byte) (int, error)   { return len(b), nil }
func (*sink) SetReadDeadline(time.Time) error { return nil }

// A rewound is a body that is read again and again.
type rewound struct{ *bytes.Reader }

func (rewound) Close() error { return nil }

// benchmarkExchange measures one exchange without HTTP, TLS, farm and disk:
// what the gateway itself costs (design.md, section 10).
func benchmarkExchange(b *testing.B, g *gate, message []byte) {
	r := modern.post(message)
	body := rewound{bytes.NewReader(message)}
	r.Body = body
	e := g.Endpoint(endpoints[1])
	b.ReportAllocs()
	for b.Loop() {
		body.Reset(message)
		w := &sink{h: http.Header{}}
		if e.ServeHTTP(w, r); w.status != http.StatusOK {
			b.Fatalf("got status %d: %s", w.status, g.log)
		}
	}
}

func BenchmarkExchangeForward(b *testing.B) {
	answer := relatesTo.ReplaceAll(current(testdata.Message(b, "rstr/adfs-13-saml11.xml")), []byte("<a:RelatesTo>urn:uuid:of-the-request</a:RelatesTo>"))
	g := newGate(b, func(c *gateway.Config) {
		c.Audit, c.Forwarder, c.Guard = openAudit(b, "/dev/null"), replay(answer), newLooseGuard(b)
	})
	benchmarkExchange(b, g, modern.query(nil))
}

// replay is a farm that answers always the same, read anew each time in the
// memory of the exchange.
type replay []byte

func (f replay) Forward(_ context.Context, r *wstrust.Request, _ wstrust.Origin) (*wstrust.Answer, error) {
	a, err := r.ReadAnswer(append(r.Room(), f...))
	if err == nil {
		a.Node, a.Farm = node, farmName
	}
	return a, err
}

func BenchmarkExchangeIssueECDSA(b *testing.B) {
	d := newDirectory(alice)
	g := newGate(b, func(c *gateway.Config) {
		c.Audit, c.Issuer, c.Directory, c.Guard = openAudit(b, "/dev/null"), newIssuer(b, d), d, newLooseGuard(b)
	})
	benchmarkExchange(b, g, modern.query(issued))
}
