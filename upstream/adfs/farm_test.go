package adfs_test

import (
	"context"
	"crypto/x509"
	"encoding/xml"
	"fmt"
	"net/netip"
	"os"
	"runtime"
	"runtime/debug"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/prometheus/client_golang/prometheus"

	"stsgate/gateway/soap"
	"stsgate/gateway/wstrust"
	"stsgate/upstream/adfs"
	"stsgate/upstream/adfs/adfstest"
)

const (
	realm    = "urn:federation:MicrosoftOnline"
	path13   = "/adfs/services/trust/13/usernamemixed"
	path2005 = "/adfs/services/trust/2005/usernamemixed"
)

var users = []adfstest.User{
	{UPN: "alice@contoso.example", Password: "correct horse", ImmutableID: "YWxpY2U="},
	{UPN: "bob@contoso.example", Password: "battery", ImmutableID: "Ym9i", Denied: true},
}

// start starts a fake farm and a Farm in front of it.
func start(t testing.TB, fake adfstest.Config, change func(*adfs.Config)) (*adfstest.Farm, *adfs.Farm) {
	t.Helper()
	fake.Users = users
	behind, err := adfstest.Start(fake)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(behind.Close)
	c := adfs.Config{
		Host: behind.Host, Nodes: behind.URLs(), CA: behind.CA, Name: "gateway1.contoso.example",
		// The checks stand still, and the metadata is not read, unless a test is
		// about them.
		CheckInterval: time.Hour, Signers: []*x509.Certificate{behind.Signer},
	}
	if change != nil {
		change(&c)
	}
	farm, err := adfs.New(c)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(farm.Close)
	return behind, farm
}

// An ask is one request; id makes its bytes its own.
type ask struct {
	id, user, password, realm, tokenType string
	soap                                 soap.Version
	trust                                wstrust.Version
}

func alice(id string) ask {
	return ask{id: id, user: "alice@contoso.example", password: "correct horse", realm: realm, soap: soap.V12, trust: wstrust.V13}
}

func (a ask) request() *wstrust.Request {
	text := func(s string) string {
		var b strings.Builder
		_ = xml.EscapeText(&b, []byte(s))
		return b.String()
	}
	tokenType := ""
	if a.tokenType != "" {
		tokenType = "<t:TokenType>" + a.tokenType + "</t:TokenType>"
	}
	body := `<s:Envelope xmlns:s="` + a.soap.Namespace() + `" xmlns:a="http://www.w3.org/2005/08/addressing"><s:Header>` +
		`<a:Action s:mustUnderstand="1">` + a.trust.Namespace() + `/RST/Issue</a:Action><a:MessageID>urn:uuid:` + a.id + `</a:MessageID>` +
		`<o:Security s:mustUnderstand="1" xmlns:o="` + soap.NSSecurity + `"><o:UsernameToken><o:Username>` + text(a.user) +
		`</o:Username><o:Password>` + text(a.password) + `</o:Password></o:UsernameToken></o:Security></s:Header><s:Body>` +
		`<t:RequestSecurityToken xmlns:t="` + a.trust.Namespace() + `"><p:AppliesTo xmlns:p="` + wstrust.NSPolicy + `"><a:EndpointReference>` +
		`<a:Address>` + text(a.realm) + `</a:Address></a:EndpointReference></p:AppliesTo>` + tokenType + `<t:RequestType>` + a.trust.Namespace() +
		`/Issue</t:RequestType></t:RequestSecurityToken></s:Body></s:Envelope>`
	return &wstrust.Request{
		Body: []byte(body), SOAP: a.soap, Version: a.trust, MessageID: "urn:uuid:" + a.id, AppliesTo: a.realm, TokenType: a.tokenType,
		Username: a.user,
	}
}

func (a ask) origin() wstrust.Origin {
	o := wstrust.Origin{Path: path13, Client: netip.MustParseAddr("203.0.113.9")}
	if a.trust == wstrust.V2005 {
		o.Path = path2005
	}
	return o
}

func (a ask) forward(f *adfs.Farm) (*wstrust.Answer, error) {
	return f.Forward(context.Background(), a.request(), a.origin())
}

// mustAnswer forwards a request that has to be answered for its user.
func mustAnswer(t *testing.T, f *adfs.Farm, a ask) *wstrust.Answer {
	t.Helper()
	answer, err := a.forward(f)
	if err != nil {
		t.Fatalf("%s: %v", a.id, err)
	}
	if answer.RelatesTo != "urn:uuid:"+a.id || !strings.Contains(string(answer.Token), a.user) {
		t.Fatalf("%s: got the answer to %s: %s", a.id, answer.RelatesTo, answer.Token)
	}
	return answer
}

// eventually waits for something that other goroutines or the kernel bring
// about and that has no signal of its own.
func eventually(t *testing.T, what string, ok func() bool) {
	t.Helper()
	tick := time.NewTicker(time.Millisecond)
	defer tick.Stop()
	for late := time.After(20 * time.Second); !ok(); {
		select {
		case <-tick.C:
		case <-late:
			t.Fatalf("not within 20 s: %s", what)
		}
	}
}

func TestConfig(t *testing.T) {
	good := func() adfs.Config {
		return adfs.Config{Host: "sts.contoso.example", Name: "gateway1", Nodes: []string{"https://127.0.0.1:1"}}
	}
	for name, c := range map[string]struct {
		change func(*adfs.Config)
		want   string
	}{
		"no host":            {func(c *adfs.Config) { c.Host = "" }, `host "" is not a host name`},
		"host with a port":   {func(c *adfs.Config) { c.Host = "sts.contoso.example:443" }, "is not a host name"},
		"header in the name": {func(c *adfs.Config) { c.Name = "a\r\nX-Evil: 1" }, "is not a host name"},
		"no nodes":           {func(c *adfs.Config) { c.Nodes = nil }, "no nodes"},
		"plain HTTP":         {func(c *adfs.Config) { c.Nodes = []string{"http://10.0.0.11"} }, "is not https://ADDRESS"},
		"path":               {func(c *adfs.Config) { c.Nodes = []string{"https://10.0.0.11/"} }, "is not https://ADDRESS"},
		"user":               {func(c *adfs.Config) { c.Nodes = []string{"https://u:p@10.0.0.11"} }, "is not https://ADDRESS"},
		"no port after :":    {func(c *adfs.Config) { c.Nodes = []string{"https://10.0.0.11:"} }, "is not https://ADDRESS"},
		"port 0":             {func(c *adfs.Config) { c.Nodes = []string{"https://10.0.0.11:0"} }, "no valid port"},
		"port 65536":         {func(c *adfs.Config) { c.Nodes = []string{"https://10.0.0.11:65536"} }, "no valid port"},
		"twice":              {func(c *adfs.Config) { c.Nodes = []string{"https://10.0.0.11", "https://10.0.0.11:443"} }, "named twice"},
		"too many":           {func(c *adfs.Config) { c.Nodes = make([]string, 65) }, "more than 64"},
		"negative time":      {func(c *adfs.Config) { c.DialTimeout = -1 }, "negative time"},
		"negative limit":     {func(c *adfs.Config) { c.MaxIdle = -1 }, "negative limit"},
		"unknown probe":      {func(c *adfs.Config) { c.Probe = 9 }, "probe 9 is unknown"},
		"too many signers":   {func(c *adfs.Config) { c.Signers = slices.Repeat([]*x509.Certificate{certificate(t)}, 9) }, "9 certificates, need 1 to 8"},
	} {
		t.Run(name, func(t *testing.T) {
			config := good()
			c.change(&config)
			f, err := adfs.New(config)
			if err == nil {
				f.Close()
			}
			if err == nil || !strings.Contains(err.Error(), c.want) {
				t.Errorf("got %v, want %q in it", err, c.want)
			}
		})
	}
	config := good()
	config.Nodes = []string{"https://[::1]:8443", "https://adfs2.contoso.example"}
	f, err := adfs.New(config)
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	if got := f.Nodes(); got[0].Node != "[::1]:8443" || got[1].Node != "adfs2.contoso.example:443" {
		t.Errorf("got %v", got)
	}
}

// TestLeaks: after Close nothing is left of a farm that had every kind of
// trouble.
func TestLeaks(t *testing.T) {
	defer debug.SetGCPercent(debug.SetGCPercent(-1)) // which would close what was forgotten
	goroutines, files := runtime.NumGoroutine(), openFiles(t)
	func() {
		behind, err := adfstest.Start(adfstest.Config{Nodes: 2, Users: users})
		if err != nil {
			t.Fatal(err)
		}
		defer behind.Close()
		farm, err := adfs.New(adfs.Config{
			Host: behind.Host, Nodes: behind.URLs(), CA: behind.CA, Name: "gateway1", CheckInterval: time.Millisecond,
			DialTimeout: 50 * time.Millisecond, AnswerTimeout: 50 * time.Millisecond, Metrics: prometheus.NewRegistry(),
		})
		if err != nil {
			t.Fatal(err)
		}
		defer farm.Close()
		for _, b := range adfstest.Behaviours() {
			for _, n := range behind.Nodes {
				n.Set(b)
			}
			_, _ = alice(b.String()).forward(farm)
		}
		for _, n := range behind.Nodes {
			n.Set(adfstest.Regular)
		}
		eventually(t, "an answer", func() bool {
			_, err := alice("last").forward(farm)
			return err == nil
		})
	}()
	eventually(t, "goroutines and files are as before", func() bool {
		return runtime.NumGoroutine() <= goroutines && openFiles(t) <= files
	})
}

func openFiles(t *testing.T) int {
	t.Helper()
	files, err := os.ReadDir("/proc/self/fd")
	if err != nil {
		return 0 // not Linux
	}
	return len(files)
}

// TestClose: a closed farm takes nothing new, ends what is under way in good
// order, and leaves no connection open.
func TestClose(t *testing.T) {
	defer debug.SetGCPercent(debug.SetGCPercent(-1)) // which would close what was forgotten
	behind, farm := start(t, adfstest.Config{}, nil)
	node := behind.Nodes[0]
	for i := range 2 {
		mustAnswer(t, farm, alice(fmt.Sprint(i)))
	}
	done := make(chan error)
	node.SetDelay(50 * time.Millisecond)
	go func() {
		_, err := alice("under way").forward(farm)
		done <- err
	}()
	eventually(t, "the node has the request", func() bool { return len(node.Seen()) == 3 })
	farm.Close()
	if err := <-done; err != nil {
		t.Errorf("got %v for what was under way, want an answer", err)
	}
	eventually(t, "no connection is open", func() bool { return node.Open() == 0 })
	if _, err := alice("late").forward(farm); !isDown(err) {
		t.Errorf("got %v, want ErrDown", err)
	}
	if got := behind.Requests(); got != 3 {
		t.Errorf("got %d messages delivered, want 3", got)
	}
}
