package gateway_test

import (
	"encoding/json"
	"encoding/xml"
	"fmt"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"slices"
	"strings"
	"testing"

	"stsgate/gateway/refusal"
	"stsgate/gateway/soap"
	"stsgate/gateway/wstrust"
)

// ofMFA are the reasons that package mfa refuses for; its own tests provoke them.
var ofMFA = []refusal.Reason{
	refusal.SecondFactorApprove, refusal.SecondFactorNumber, refusal.SecondFactorDenied, refusal.SecondFactorStopped, refusal.SecondFactorDown,
	refusal.WrongCode, refusal.AddressBlocked,
}

// Every reason is one that something leads to.
func TestEveryReasonIsProvoked(t *testing.T) {
	provoked := append([]refusal.Reason{refusal.AuditFailed}, notLetIn...)
	provoked = append(provoked, ofMFA...)
	for _, p := range provocations {
		provoked = append(provoked, p.reason)
	}
	for _, r := range refusal.Reasons() {
		if !slices.Contains(provoked, r) {
			t.Errorf("nothing here leads to %v", r)
		}
	}
}

// What a client gets for each reason is what the table says, in its own
// versions, and never the cause (SOAP-16, HTTP-15, AUD-05).
func TestRefusals(t *testing.T) {
	for _, s := range shapes {
		for i, p := range provocations {
			atFresh(t, fmt.Sprintf("%v/%d %v", s, i, p.reason), func(t *testing.T) {
				g, w := p.run(t, s)
				g.checkOutside(w, s, &p)
				g.checkInside(p.reason)
			})
		}
	}
}

// checkOutside looks at what the client got.
func (g *gate) checkOutside(w *recorder, s shape, p *provocation) {
	g.t.Helper()
	row := p.reason.Row()
	if got := w.Header().Get("Connection") == "close"; w.Code != row.Status || got != row.Close {
		g.t.Errorf("got status %d with close %v, want %d and %v", w.Code, got, row.Status, row.Close)
	}
	if got := w.Header().Get("Cache-Control"); got != "no-store" {
		g.t.Errorf("got Cache-Control %q", got)
	}
	if strings.Contains(w.Body.String(), cause) || strings.Contains(w.Body.String(), p.reason.String()+":") {
		g.t.Errorf("the client is told the cause: %s", w.Body)
	}
	text := row.Text + " (transaction " + fmt.Sprint(g.record()["transaction.id"]) + ")"
	if !row.Fault() {
		if got := w.Header().Get("Content-Type"); got != "text/plain; charset=utf-8" || w.Body.String() != text+"\n" {
			g.t.Errorf("got %s %q, want text/plain %q", got, w.Body, text)
		}
		return
	}
	if got := w.Header().Get("Retry-After"); got != "1" {
		g.t.Errorf("got Retry-After %q, want 1", got)
	}
	if got := w.Header().Get("Content-Type"); got != s.soap.ContentType() {
		g.t.Errorf("got Content-Type %q, want %q", got, s.soap.ContentType())
	}
	want := said{Sender: row.Sender, Space: s.trust.Namespace(), Code: row.Code, Text: text, RelatesTo: "urn:uuid:of-the-request"}
	if row.Security {
		want.Space = soap.NSSecurity
	}
	if p.unread {
		want.RelatesTo = ""
	}
	if s.soap == soap.V11 {
		want.Sender = false // the subcode has the place of Client and Server
	}
	if got := hear(g.t, s.soap, w.Body.Bytes()); got != want {
		g.t.Errorf("got  %+v\nwant %+v", got, want)
	}
}

// said is what a fault says, read by another parser than the gateway's.
type said struct {
	Sender                       bool
	Space, Code, Text, RelatesTo string
}

// A coded is the value of a code. Its prefix is declared on itself.
type coded struct {
	Attrs []xml.Attr `xml:",any,attr"`
	Value string     `xml:",chardata"`
}

func hear(t testing.TB, v soap.Version, message []byte) said {
	t.Helper()
	var envelope struct {
		XMLName   xml.Name
		RelatesTo string `xml:"Header>RelatesTo"`
		Fault     struct {
			Class  string `xml:"Code>Value"`
			Code12 coded  `xml:"Code>Subcode>Value"`
			Text12 string `xml:"Reason>Text"`
			Code11 coded  `xml:"faultcode"`
			Text11 string `xml:"faultstring"`
		} `xml:"Body>Fault"`
	}
	if err := xml.Unmarshal(message, &envelope); err != nil {
		t.Fatalf("%v: %s", err, message)
	}
	if envelope.XMLName.Space != v.Namespace() {
		t.Errorf("the envelope is of %s, want SOAP %v", envelope.XMLName.Space, v)
	}
	f := envelope.Fault
	code, text := f.Code12, f.Text12
	if v == soap.V11 {
		code, text = f.Code11, f.Text11
	}
	s := said{Sender: f.Class == "s:Sender", Text: text, RelatesTo: envelope.RelatesTo}
	prefix, local, _ := strings.Cut(code.Value, ":")
	s.Code = local
	for _, a := range code.Attrs {
		if a.Name == (xml.Name{Space: "xmlns", Local: prefix}) {
			s.Space = a.Value
		}
	}
	return s
}

// checkInside looks at what the operator got: one record, one count, and one
// line at the row's level, all under the same label.
func (g *gate) checkInside(reason refusal.Reason) {
	g.t.Helper()
	row, record := reason.Row(), g.record()
	if record["event.reason"] != row.Label || record["event.outcome"] != "failure" || record["http.response.status_code"] != float64(row.Status) {
		g.t.Errorf("the record says %v %v %v, want %v failure %d", record["event.reason"], record["event.outcome"], record["http.response.status_code"], row.Label, row.Status)
	}
	if got := g.value("stsgate_exchanges_total", "reason", row.Label); got != 1 {
		g.t.Errorf("got %v exchanges counted as %s, want 1", got, row.Label)
	}
	if all := g.value("stsgate_exchanges_total"); all != 1 || g.value("stsgate_exchange_duration_seconds") != 1 || g.value("stsgate_exchanges_in_flight") != 0 {
		g.t.Errorf("got %v exchanges counted, want 1 with its duration and none in flight", all)
	}
	refused := 0
	for line := range strings.Lines(g.log.String()) {
		var l struct {
			Level            slog.Level
			Msg, Transaction string
			Err              string
		}
		if err := json.Unmarshal([]byte(line), &l); err != nil {
			g.t.Fatal(err)
		}
		if l.Msg != "refused" {
			continue
		}
		refused++
		if l.Level != row.Level || l.Transaction != record["transaction.id"] || l.Err != record["error.message"] || !strings.HasPrefix(l.Err, row.Label+": ") {
			g.t.Errorf("the log says %s, want level %v and the record's transaction and cause", line, row.Level)
		}
	}
	if refused != 1 {
		g.t.Errorf("got %d log lines, want 1", refused)
	}
}

// What package edge does not let in is recorded the same way.
func TestNotLetIn(t *testing.T) {
	for _, reason := range notLetIn {
		atFresh(t, reason.String(), func(t *testing.T) {
			g := newGate(t, nil)
			w := &recorder{ResponseRecorder: httptest.NewRecorder()}
			g.Refuse(w, modern.post(nil), refusal.New(reason, "%s", cause))
			g.checkOutside(w, modern, &provocation{reason: reason})
			g.checkInside(reason)
			if got := w.Header().Get("Retry-After"); (got == "1") != (w.Code == http.StatusServiceUnavailable) {
				t.Errorf("got Retry-After %q with status %d", got, w.Code)
			}
			if r := g.record(); r["url.path"] != "none" || r["event.action"] != "request" || r["client.ip"] != "192.0.2.1" {
				t.Errorf("got the record %v", r)
			}
		})
	}
}

// The bytes of each answer, where a change of one may break a client.
func TestGoldenFaults(t *testing.T) {
	for name, s := range map[string]shape{"faults-soap1.1-wstrust1.2.txt": shapes[0], "faults-soap1.2-wstrust1.3.txt": modern} {
		t.Run(name, func(t *testing.T) {
			var b strings.Builder
			seen := map[refusal.Reason]bool{}
			for _, p := range provocations {
				if seen[p.reason] {
					continue
				}
				seen[p.reason] = true
				atFresh(t, p.reason.String(), func(t *testing.T) {
					g, w := p.run(t, s)
					fmt.Fprintf(&b, "== %v: %d\n", p.reason, w.Code)
					_ = w.Header().Write(&b)
					id := fmt.Sprint(g.record()["transaction.id"])
					fmt.Fprintf(&b, "\n%s\n\n", strings.ReplaceAll(strings.TrimSpace(w.Body.String()), id, "TRANSACTION"))
				})
			}
			golden(t, name, strings.ReplaceAll(b.String(), "\r\n", "\n"))
		})
	}
}

// A SOAP 1.1 client without addressing headers gets none, and one with a
// message id finds it in answer and fault alike.
func TestAddressingOfSOAP11(t *testing.T) {
	s := shape{soap.V11, wstrust.V13}
	for _, c := range []struct {
		name, headers, want string
	}{
		{"none", "", ""},
		{"message id", `<a:MessageID>urn:uuid:of-the-request</a:MessageID>`, "urn:uuid:of-the-request"},
	} {
		for _, realm := range []string{"urn:payroll", "urn:closed"} {
			atFresh(t, c.name+" "+realm, func(t *testing.T) {
				g := newGate(t, nil)
				message := string(s.query(func(q *wstrust.Query) { q.To, q.AppliesTo = "", realm }))
				w := g.serve(s.post([]byte(replace("<s:Header>", "<s:Header>"+c.headers)(message))))
				if got := hear(t, s.soap, w.Body.Bytes()).RelatesTo; got != c.want || strings.Contains(w.Body.String(), "<a:Action") != (c.want != "") {
					t.Errorf("got RelatesTo %q in %s, want %q", got, w.Body, c.want)
				}
			})
		}
	}
}
