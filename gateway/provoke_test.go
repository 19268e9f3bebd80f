package gateway_test

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"stsgate/gateway/account"
	"stsgate/gateway/guard"
	"stsgate/gateway/refusal"
	"stsgate/gateway/soap"
	"stsgate/gateway/wstrust"
	"stsgate/testdata"
)

// cause stands in what goes wrong inside. No client may read it.
const cause = "the cause that nobody outside may know"

// A provocation leads to a reason on the path that leads there in truth.
type provocation struct {
	reason refusal.Reason
	// arrange, which may be nil, makes what surrounds the gateway go wrong.
	arrange func(t *testing.T, g *gate)
	// query, rewrite and request, which may be nil, make the request go wrong:
	// its content, its bytes, its HTTP.
	query   func(q *wstrust.Query)
	rewrite func(message string) string
	request func(r *http.Request) *http.Request
	// unread tells that the message was not read, so that the answer cannot
	// say what it relates to.
	unread bool
}

func replace(from, to string) func(string) string {
	return func(message string) string {
		if !strings.Contains(message, from) {
			panic("the message holds no " + from)
		}
		return strings.Replace(message, from, to, 1)
	}
}

func farmFails(err error) func(*testing.T, *gate) {
	return func(_ *testing.T, g *gate) { g.farm.fails(err) }
}

func farmFault(name string) func(*testing.T, *gate) {
	return func(t *testing.T, g *gate) { g.farm.answers(testdata.Message(t, "fault/"+name+".xml")) }
}

// provocations has at least one for every reason that a request can lead to.
// What package edge refuses is in notLetIn, and a failing audit log is in
// order_test.go.
var provocations = []provocation{
	{reason: refusal.Internal, arrange: func(_ *testing.T, g *gate) {
		g.farm.forward = func(context.Context, *wstrust.Request, wstrust.Origin) (*wstrust.Answer, error) { panic(cause) }
	}},

	{reason: refusal.WrongMediaType, unread: true, request: func(r *http.Request) *http.Request {
		r.Header.Set("Content-Type", "text/plain")
		return r
	}},
	{reason: refusal.TooLarge, unread: true, rewrite: func(m string) string { return m + strings.Repeat(" ", maxBody) }},
	{reason: refusal.BodyUnread, unread: true, request: func(r *http.Request) *http.Request {
		r.Body = io.NopCloser(io.MultiReader(io.LimitReader(r.Body, 100), broken{}))
		return r
	}},
	{reason: refusal.ClientGone, request: func(r *http.Request) *http.Request {
		ctx, gone := context.WithCancel(r.Context())
		gone()
		return r.WithContext(ctx)
	}, arrange: func(_ *testing.T, g *gate) {
		g.farm.forward = func(ctx context.Context, _ *wstrust.Request, _ wstrust.Origin) (*wstrust.Answer, error) {
			return nil, fmt.Errorf("%s: %w", cause, ctx.Err())
		}
	}},

	{reason: refusal.Malformed, unread: true, rewrite: func(m string) string { return "<!DOCTYPE x>" + m }},
	{reason: refusal.Malformed, unread: true, rewrite: replace("<s:Body>", "<s:Body>"+cause)},
	{reason: refusal.WrongVersion, unread: true, query: func(q *wstrust.Query) { q.Version = wstrust.V2005 + wstrust.V13 - q.Version }},
	{reason: refusal.WrongVersion, unread: true, query: func(q *wstrust.Query) { q.SOAP = soap.V11 + soap.V12 - q.SOAP }},
	{reason: refusal.Unsupported, unread: true, rewrite: replace("/Issue</trust:RequestType>", "/Renew</trust:RequestType>")},
	{reason: refusal.Unsupported, query: func(q *wstrust.Query) { q.AppliesTo, q.TokenType = "urn:payroll", "urn:jwt" }},
	{reason: refusal.UnsupportedCredential, unread: true, rewrite: replace("#PasswordText", "#PasswordDigest")},
	{reason: refusal.SecondCredential, unread: true, rewrite: replace("</o:UsernameToken>", "</o:UsernameToken><o:BinarySecurityToken/>")},
	{reason: refusal.Expired, unread: true, query: func(q *wstrust.Query) { q.Now = q.Now.Add(-time.Hour) }},
	{reason: refusal.Misaddressed, query: func(q *wstrust.Query) { q.To = "https://other.example" + path13 }},

	{reason: refusal.UnknownApplication, query: func(q *wstrust.Query) { q.AppliesTo = "urn:other" }},
	{reason: refusal.Denied, query: func(q *wstrust.Query) { q.AppliesTo = "urn:closed" }},
	{reason: refusal.DeniedUser, query: func(q *wstrust.Query) { q.Username = mallory.UPN }},
	{reason: refusal.Conflict, query: func(q *wstrust.Query) { q.AppliesTo = "urn:split" }},
	{reason: refusal.ConflictUser, arrange: func(t *testing.T, g *gate) { g.live.Store(load(t, divided)) }},

	{reason: refusal.Banned, arrange: func(t *testing.T, g *gate) {
		if err := g.guard.BanUser(t.Context(), alice.ID, guard.Hold{By: "tests", Why: cause}); err != nil {
			t.Fatal(err)
		}
		synctest.Wait() // for the mirror
	}},
	{reason: refusal.Locked, arrange: func(t *testing.T, g *gate) {
		for i := range 6 {
			try, err := g.guard.Take(t.Context(), guard.Attempt{User: alice.ID, Password: account.NewPassword(fmt.Append(nil, i))})
			if err != nil {
				t.Fatal(err)
			}
			try.Settle(t.Context(), guard.Wrong)
		}
	}},
	{reason: refusal.StateDown, arrange: func(t *testing.T, g *gate) {
		g.state.down.Store(true)
		g.farm.answers(testdata.Message(t, "fault/adfs-id3242-13.xml"))
	}},
	{reason: refusal.UnknownUser, query: func(q *wstrust.Query) { q.Username = "nobody@contoso.example" }},
	{reason: refusal.UnknownUser, query: func(q *wstrust.Query) { q.Username = "alice " }},
	{reason: refusal.WrongPassword, arrange: farmFault("adfs-id3242-13")},
	{reason: refusal.WrongPassword, query: func(q *wstrust.Query) {
		q.AppliesTo, q.Password = "urn:payroll", account.NewPassword([]byte("wrong"))
	}},
	{reason: refusal.DirectoryDown, arrange: func(_ *testing.T, g *gate) { g.directory.fail(errors.New(cause)) }},
	{reason: refusal.DirectoryDown, query: func(q *wstrust.Query) { q.AppliesTo = "urn:payroll" }, arrange: func(_ *testing.T, g *gate) {
		g.sts.authenticate = func(context.Context, account.Name, account.Password) (account.Account, error) {
			return account.Account{}, errors.New(cause)
		}
	}},
	{reason: refusal.FarmDown, arrange: farmFails(fmt.Errorf("%s: %w", cause, wstrust.ErrDown))},
	{reason: refusal.FarmSlow, arrange: farmFails(fmt.Errorf("%s: %w", cause, wstrust.ErrSlow))},
	{reason: refusal.FarmDenied, arrange: farmFault("adfs-msis7068-13")},
	{reason: refusal.FarmUnknownApplication, arrange: farmFault("adfs-id3082-13")},
	{reason: refusal.FarmFailed, arrange: farmFault("adfs-msis3127-13")},
	{reason: refusal.FarmFailed, arrange: farmFault("wcf-destination-unreachable")},
	{reason: refusal.FarmFailed, arrange: farmFails(errors.New(cause))},

	{reason: refusal.AnswerUnreadable, arrange: func(_ *testing.T, g *gate) { g.farm.answers([]byte("<html>" + cause + "</html>")) }},
	{reason: refusal.AnswerUnreadable, arrange: func(_ *testing.T, g *gate) { g.farm.answers([]byte("<html>" + cause)) }},
	{reason: refusal.AnswerUntrusted, arrange: farmFails(fmt.Errorf("%w: %s", wstrust.ErrUntrusted, cause))},
	{reason: refusal.AnswerMismatch, arrange: func(_ *testing.T, g *gate) { g.farm.bends(alice.UPN, bob.UPN) }},
	{reason: refusal.SecondFactor, arrange: func(t *testing.T, g *gate) { g.live.Store(load(t, rules+secondFactor)) }},
	{reason: refusal.SecondFactor, query: func(q *wstrust.Query) { q.AppliesTo = "urn:payroll" },
		arrange: func(t *testing.T, g *gate) { g.live.Store(load(t, rules+secondFactor)) }},
	{reason: refusal.Throttled, arrange: func(t *testing.T, g *gate) {
		for range guard.Defaults().UserTries {
			try, err := g.guard.Take(t.Context(), guard.Attempt{User: alice.ID, Password: account.NewPassword([]byte("of an eager program"))})
			if err != nil {
				t.Fatal(err)
			}
			if err := try.Settle(t.Context(), guard.Unsettled); err != nil {
				t.Fatal(err)
			}
		}
	}},
	{reason: refusal.Replayed, rewrite: replace("</o:Username>", "</o:Username><o:Nonce>AAAA</o:Nonce>"), arrange: func(t *testing.T, g *gate) {
		if err := g.guard.Spend(t.Context(), alice.ID, "AAAA", ""); err != nil {
			t.Fatal(err)
		}
	}},
	{reason: refusal.RateLimited, arrange: func(t *testing.T, g *gate) {
		g.live.Store(load(t, rules+once))
		g.Passed("seldom", alice.ID)
	}},
	{reason: refusal.IssuerFailed, query: func(q *wstrust.Query) { q.AppliesTo = "urn:payroll" }, arrange: func(_ *testing.T, g *gate) {
		g.sts.issue = func(*wstrust.Grant) (*wstrust.Issued, error) { return nil, errors.New(cause) }
	}},
	{reason: refusal.IssuerFailed, query: func(q *wstrust.Query) { q.AppliesTo = "urn:badge" }},
}

// notLetIn are the reasons of package edge.
var notLetIn = []refusal.Reason{refusal.WrongHost, refusal.WrongPath, refusal.WrongMethod, refusal.Draining}

// broken is a connection that breaks.
type broken struct{}

func (broken) Read([]byte) (int, error) { return 0, errors.New(cause) }

// run provokes, from a client of one shape.
func (p *provocation) run(t *testing.T, s shape) (*gate, *recorder) {
	g := newGate(t, nil)
	if p.arrange != nil {
		p.arrange(t, g)
	}
	message := s.query(p.query)
	if p.rewrite != nil {
		message = []byte(p.rewrite(string(message)))
	}
	r := s.post(message)
	if p.request != nil {
		r = p.request(r)
	}
	w := &recorder{ResponseRecorder: httptest.NewRecorder()}
	g.serveTo(w, r)
	return g, w
}
