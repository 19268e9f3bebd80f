package family_test

import (
	"slices"
	"strings"
	"testing"

	"stsgate/gateway/family"
	"stsgate/gateway/soap"
	"stsgate/testdata"
)

// Client families: each message of our own is named after the software whose
// shape it has, and there is one of each.
func TestOwnMessages(t *testing.T) {
	covered := make(map[family.Name]bool)
	fitted := make(map[int]bool)
	for _, m := range own(t) {
		d := m.scan(t)
		if got := family.Of(d, m.headers); got != m.family {
			t.Errorf("%s: got %s\n%+v", m.file, got, family.TraitsOf(d, m.headers))
		}
		covered[m.family] = true
		for _, i := range family.Fitting(d, m.headers) {
			fitted[i] = true
		}
	}
	for _, n := range family.Names() {
		if !covered[n.Name] {
			t.Errorf("no message of %s", n.Name)
		}
	}
	for i := 0; ; i++ {
		name, text, ok := family.Fingerprint(i)
		if !ok {
			break
		}
		if !fitted[i] {
			t.Errorf("no message for a fingerprint of %s: %s", name, text[0])
		}
	}
}

// The messages that all tests share have the shapes of their names too.
func TestSharedTestdata(t *testing.T) {
	for file, want := range map[string]family.Name{
		"rst/msal-net-13.xml":                     family.MSALNet,
		"rst/msal-net-2005.xml":                   family.MSALNet,
		"rst/msal-go-13.xml":                      family.MSALGo,
		"rst/go-vcd-13.xml":                       family.Unknown,
		"rst/govmomi-soap11-13.xml":               family.Unknown,
		"rst/office-2005.xml":                     family.Unknown,
		"rst-other/spnego-soap11-13.xml":          family.Unknown,
		"rst-other/issuedtokenmixed-2005.xml":     family.Unknown,
		"rst-other/rampart-2005.xml":              family.Unknown,
		"rst-other/windowstransport-empty-13.xml": family.Unknown,
	} {
		m := message{file: file, headers: withAction, body: testdata.Message(t, file)}
		if got := family.Of(m.scan(t), m.headers); got != want {
			t.Errorf("%s: got %s, want %s", file, got, want)
		}
	}
}

// Client families: each request of a real client is named after it, and those
// of all other software are unknown.
func TestCollectedMessages(t *testing.T) {
	counts := make(map[family.Name]int)
	for _, m := range collected(t) {
		d := m.scan(t)
		if got := family.Of(d, m.headers); got != m.family {
			t.Errorf("%s: got %s, want %s\n%+v", m.file, got, m.family, family.TraitsOf(d, m.headers))
		}
		counts[m.family]++
	}
	t.Log(counts)
}

// Client families: no request has the traits of two fingerprints.
func TestNoMessageFitsTwo(t *testing.T) {
	check := func(messages []message) {
		for _, m := range messages {
			want := 1
			if m.family == family.Unknown {
				want = 0
			}
			if got := family.Fitting(m.scan(t), m.headers); len(got) != want {
				t.Errorf("%s: got fingerprints %v, want %d", m.file, got, want)
			}
		}
	}
	check(own(t))
	t.Run("collected", func(t *testing.T) { check(collected(t)) })
}

// Client families: a request that fits two families is unknown, one that fits
// two fingerprints of one family is not.
func TestTwoFamilies(t *testing.T) {
	m := own(t)[0]
	for _, c := range []struct {
		fingerprints []family.Name
		want         family.Name
	}{
		{nil, family.Unknown},
		{[]family.Name{family.CXF}, family.CXF},
		{[]family.Name{family.CXF, family.CXF}, family.CXF},
		{[]family.Name{family.CXF, family.WSS4J}, family.Unknown},
		{[]family.Name{family.CXF, family.CXF, family.WSS4J}, family.Unknown},
		{[]family.Name{family.CXF, family.WSS4J, family.CXF}, family.Unknown},
	} {
		if got := family.Choose(c.fingerprints, m.scan(t), m.headers); got != c.want {
			t.Errorf("%v: got %s, want %s", c.fingerprints, got, c.want)
		}
	}
}

// The list is closed: a sentence for each name, no name twice, unknown last,
// and every fingerprint has one of the names, a source and a trait.
func TestNames(t *testing.T) {
	names := make([]family.Name, 0, len(family.Names()))
	for _, n := range family.Names() {
		names = append(names, n.Name)
		if n.Doc == "" || strings.Count(n.Doc, ".\n") > 0 || !strings.HasSuffix(n.Doc, ".") {
			t.Errorf("%s: got %q, want one sentence", n.Name, n.Doc)
		}
	}
	want := []family.Name{
		"msal-net", "msal-go", "msal-python", "msal-java", "adal", "wcf", "cxf", "wss4j",
		"gsoap", "zeep", "powershell", "attack-tool", "unknown",
	}
	if !slices.Equal(names, want) {
		t.Errorf("got %q, want %q", names, want)
	}
	bearing := make(map[family.Name]bool)
	for i := 0; ; i++ {
		name, text, ok := family.Fingerprint(i)
		if !ok {
			break
		}
		bearing[name] = true
		if slices.Contains(text[:], "") || !slices.Contains(names, name) {
			t.Errorf("%d: got %s, %q", i, name, text)
		}
	}
	if len(bearing) != len(want)-1 || bearing[family.Unknown] {
		t.Errorf("got fingerprints of %v", bearing)
	}
}

// What is no envelope, or too large for any client, is unknown.
func TestStrange(t *testing.T) {
	deep := strings.Repeat("<Security>", 12) + "x" + strings.Repeat("</Security>", 12)
	for _, body := range []string{
		"<a/>",
		"<Envelope xmlns='" + soap.NSSOAP12 + "'/>",
		deep,
		"<Header><MessageID>" + strings.Repeat("m", 500) + "</MessageID><Created>yesterday</Created><Created>2026-03-02T08:00:00.Z</Created></Header>",
		"<Header>" + strings.Repeat("<ReplyTo><Address/></ReplyTo>", 100) + "</Header>",
	} {
		m := message{file: body, headers: withAction, body: []byte(body)}
		if got := family.Of(m.scan(t), m.headers); got != family.Unknown {
			t.Errorf("%.40s: got %s", body, got)
		}
	}
}

// The budget is 1 us and no allocation.
func TestAllocations(t *testing.T) {
	for _, m := range own(t) {
		d := m.scan(t)
		if got := testing.AllocsPerRun(100, func() { family.Of(d, m.headers) }); got != 0 {
			t.Errorf("%s: got %v allocations", m.file, got)
		}
	}
}

func BenchmarkOf(b *testing.B) {
	for _, name := range []string{
		"msal-net/password-13", "adal/net-13", "wcf/password-13", "gsoap/soap12", "attack-tool/rst0-password", "unknown/node-sp-auth-13",
	} {
		m := readHTTP(b, "testdata/messages/"+name+".http")
		d := m.scan(b)
		b.Run(name, func(b *testing.B) {
			b.ReportAllocs()
			b.SetBytes(int64(len(m.body)))
			for b.Loop() {
				family.Of(d, m.headers)
			}
		})
	}
}
