package gateway_test

import (
	"bytes"
	"context"
	"regexp"
	"strings"
	"sync"
	"testing"
	"time"

	"stsgate/gateway/account"
	"stsgate/gateway/soap"
	"stsgate/gateway/wstrust"
	"stsgate/testdata"
)

// A farm notes what it is handed, and answers as forward says: by default
// with a right answer.
type farm struct {
	t       testing.TB
	forward func(ctx context.Context, r *wstrust.Request, o wstrust.Origin) (*wstrust.Answer, error)

	mu    sync.Mutex
	asked []asked
}

// asked is one request that a farm was handed.
type asked struct {
	body     []byte
	password string
	origin   wstrust.Origin
}

func (f *farm) Forward(ctx context.Context, r *wstrust.Request, o wstrust.Origin) (*wstrust.Answer, error) {
	f.mu.Lock()
	f.asked = append(f.asked, asked{bytes.Clone(r.Body), string(r.Password.Bytes()), o})
	f.mu.Unlock()
	if f.forward != nil {
		return f.forward(ctx, r, o)
	}
	return readAnswer(answerTo(f.t, r), r)
}

// answers makes the farm answer with these bytes.
func (f *farm) answers(message []byte) {
	f.forward = func(_ context.Context, r *wstrust.Request, _ wstrust.Origin) (*wstrust.Answer, error) {
		return readAnswer(related(message, r), r)
	}
}

// bends makes the farm answer rightly but for one text.
func (f *farm) bends(from, to string) {
	f.forward = func(_ context.Context, r *wstrust.Request, _ wstrust.Origin) (*wstrust.Answer, error) {
		right := string(answerTo(f.t, r))
		if !strings.Contains(right, from) {
			f.t.Errorf("the answer holds no %q", from)
		}
		return readAnswer([]byte(strings.ReplaceAll(right, from, to)), r)
	}
}

// fails makes the farm fail.
func (f *farm) fails(err error) {
	f.forward = func(context.Context, *wstrust.Request, wstrust.Origin) (*wstrust.Answer, error) {
		return nil, &wstrust.NodeError{Node: node, Err: err}
	}
}

const (
	node     = "node1.contoso.example:443"
	farmName = "http://" + host + "/adfs/services/trust"
)

// readAnswer reads an answer as the farm's client does.
func readAnswer(message []byte, r *wstrust.Request) (*wstrust.Answer, error) {
	a, err := wstrust.ReadAnswer(message, r.Version)
	if err != nil {
		return nil, &wstrust.NodeError{Node: node, Err: err}
	}
	a.Node, a.Farm = node, farmName
	return a, nil
}

var relatesTo = regexp.MustCompile(`<a:RelatesTo>[^<]*</a:RelatesTo>`)

// related returns the message as an answer to r: one that has a message id.
func related(message []byte, r *wstrust.Request) []byte {
	const action = "</a:Action>"
	relation := ""
	if r.MessageID != "" {
		relation = "<a:RelatesTo>" + r.MessageID + "</a:RelatesTo>"
	}
	return bytes.Replace(relatesTo.ReplaceAll(message, nil), []byte(action), []byte(action+relation), 1)
}

// current moves the times of an answer of testdata from fresh to now.
func current(message []byte) []byte {
	for _, t := range []string{"2026-03-02T08:00:01.234Z", "2026-03-02T09:00:01.234Z"} {
		at, _ := time.Parse(time.RFC3339, t)
		moved := at.Add(time.Since(fresh)).UTC().Format("2006-01-02T15:04:05.000Z")
		message = bytes.ReplaceAll(message, []byte(t), []byte(moved))
	}
	return message
}

// answerTo is AD FS's answer to a request of alice's.
func answerTo(t testing.TB, r *wstrust.Request) []byte {
	name := "rstr/adfs-13-saml11.xml"
	if r.Version == wstrust.V2005 {
		name = "rstr/adfs-2005-saml11.xml"
	}
	s := string(related(current(testdata.Message(t, name)), r))
	return []byte(strings.NewReplacer(cloud, r.AppliesTo, soap.NSSOAP12, r.SOAP.Namespace()).Replace(s))
}

// assertion stands for what an issuer signs; its id is found by grep.
const assertionID = "_of-the-issued-assertion"

// An sts notes what it is handed. It proves passwords in its directory, and
// issues unless issue says otherwise.
type sts struct {
	directory    *directory
	authenticate func(ctx context.Context, name account.Name, p account.Password) (account.Account, error)
	issue        func(g *wstrust.Grant) (*wstrust.Issued, error)

	mu      sync.Mutex
	proved  []string // the passwords
	granted []*wstrust.Grant
}

// wrongPassword is what an issuer says to one.
var wrongPassword = &wstrust.Fault{
	Sender:  true,
	Subcode: soap.Name{Space: wstrust.NS13, Local: "FailedAuthentication"},
	Text:    "ID3242: The security token could not be authenticated or authorized.",
}

func (s *sts) Authenticate(ctx context.Context, name account.Name, p account.Password) (account.Account, error) {
	s.mu.Lock()
	s.proved = append(s.proved, string(p.Bytes()))
	s.mu.Unlock()
	if s.authenticate != nil {
		return s.authenticate(ctx, name, p)
	}
	a, err := s.directory.Lookup(ctx, name)
	if err == nil {
		err = s.directory.Verify(ctx, a, p)
	}
	if err != nil {
		return account.Account{}, wrongPassword
	}
	return a, nil
}

func (s *sts) Issue(ctx context.Context, _ *wstrust.Request, g *wstrust.Grant) (*wstrust.Issued, error) {
	if err := ctx.Err(); err != nil {
		return nil, err
	}
	s.mu.Lock()
	s.granted = append(s.granted, g)
	s.mu.Unlock()
	if s.issue != nil {
		return s.issue(g)
	}
	return &wstrust.Issued{
		Assertion: []byte(`<saml:Assertion xmlns:saml="` + g.Kind.URI() + `" AssertionID="` + assertionID + `"/>`),
		ID:        assertionID, Kind: g.Kind, Audience: g.Audience, Lifetime: g.Lifetime,
	}, nil
}

// quiet tells that no password has left the gateway and nothing was signed.
func (g *gate) quiet() bool {
	return len(g.farm.asked) == 0 && len(g.sts.proved) == 0 && len(g.sts.granted) == 0
}
