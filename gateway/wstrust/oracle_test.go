package wstrust_test

import (
	"maps"
	"math/rand/v2"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"testing"

	"stsgate/gateway/soap"
	"stsgate/gateway/wstrust"
	"stsgate/testdata"
	"stsgate/testdata/oracle"
)

// quotas are the exceptions by which WCF says that a value is too large for
// its defaults, which is no other way of reading it.
var quotas = []struct{ exception, reason string }{
	{"XML max string content length exceeded", "WCF takes values of 8,192 bytes by default, DOS-03 texts of 16 KiB: a server that is set to more is not cut off, one that is not refuses by itself"},
}

// A tally counts what became of the documents.
type tally struct {
	documents, scanned, requests, xml, wcf int
	split                                  int // both readers of .NET accept it and see different things
	stricter                               int // WCF reads it, Scan refuses it
	quota, failed                          int
}

// XML-30: whatever of random changes of messages is accepted here, both
// readers of .NET accept, and they see the same: every element, attribute and
// text, and above all the values that are decided on.
//
// ORACLE_DOCS is the number of changed messages (20,000 by default), and
// ORACLE_SEED repeats a run. A document that fails becomes a line of
// gateway/soap/testdata/cases/found.txt.
func TestOracle(t *testing.T) {
	documents := setting(t, "ORACLE_DOCS", 20_000)
	seed := setting(t, "ORACLE_SEED", rand.Uint64())
	if n := len(slices.Compact(slices.Sorted(slices.Values(tokens)))); n < 110 {
		t.Errorf("got %d different tokens, want at least 110", n)
	}
	messages := seeds(t)
	own := len(testdata.Names(t, "rst"))
	o := differential{T: t, judge: oracle.Start(t)}

	for _, in := range messages {
		o.compare(in)
	}
	if o.n.scanned != len(messages) || o.n.requests < own || o.n.failed > 0 {
		t.Fatalf("of %d unchanged messages: %+v, want all accepted, and the project's own %d read as requests", len(messages), o.n, own)
	}

	t.Logf("ORACLE_SEED=%d ORACLE_DOCS=%d, from %d messages", seed, documents, len(messages))
	o.n = tally{}
	m := mutator{}
	for _, in := range messages {
		m.seeds = append(m.seeds, in.Body)
	}
	for i := uint64(0); i < documents && o.n.failed < 5; i++ {
		m.Rand = rand.New(rand.NewPCG(seed, i))
		in := pick(&m, messages)
		in.Body = m.mutant(in.Body)
		o.compare(in)
	}
	n := o.n
	t.Logf("%d documents: %d accepted by Scan, %d by ReadRequest, %d by XmlReader, %d by WCF", n.documents, n.scanned, n.requests, n.xml, n.wcf)
	t.Logf("%d differences; beside them %d values beyond a quota of WCF, %d documents that WCF reads and Scan refuses, %d that .NET itself reads in two ways",
		n.failed, n.quota, n.stricter, n.split)
	if n.failed == 0 && n.scanned*100 < n.documents*9 {
		t.Errorf("Scan accepts %d of %d documents, want at least 9 in 100", n.scanned, n.documents)
	}
}

// setting returns a number from the environment.
func setting(t *testing.T, name string, otherwise uint64) uint64 {
	t.Helper()
	s := os.Getenv(name)
	if s == "" {
		return otherwise
	}
	n, err := strconv.ParseUint(s, 10, 64)
	if err != nil {
		t.Fatalf("%s: %v", name, err)
	}
	return n
}

// seeds returns the project's own requests, and those of the shared corpus
// that Scan accepts.
func seeds(t *testing.T) []wstrust.Inbound {
	var all []wstrust.Inbound
	for _, name := range slices.Concat(testdata.Names(t, "rst"), testdata.Names(t, "rst-other")) {
		all = append(all, wstrust.Inbound{Body: testdata.Message(t, name), Now: clock, Takes: everything})
	}
	t.Run("shared", func(t *testing.T) {
		shared := testdata.Shared(t, "messages")
		for _, name := range slices.Sorted(maps.Keys(captures)) {
			raw, err := os.ReadFile(filepath.Join(shared, name))
			if err != nil {
				t.Fatal(err)
			}
			in := inbound(t, name, raw, captures[name])
			in.Takes = everything
			if _, err := soap.Scan(in.Body, soap.Request); err == nil {
				all = append(all, in)
			}
		}
	})
	return all
}

// A differential compares readers on one document after the other.
type differential struct {
	*testing.T
	judge *oracle.Judge
	n     tally
}

func (o *differential) compare(in wstrust.Inbound) {
	v, err := o.judge.Read(in.Body)
	if err != nil {
		o.Fatalf("%v, at document %q", err, in.Body)
	}
	o.n.documents++
	if v.XML.Refused == "" {
		o.n.xml++
	}
	if v.WCF.Refused == "" {
		o.n.wcf++
		if v.XML.Refused == "" && !slices.Equal(v.XML.Elements, v.WCF.Elements) {
			o.n.split++
		}
	}
	d, err := soap.Scan(in.Body, soap.Request)
	if err != nil {
		if v.WCF.Refused == "" {
			o.n.stricter++
		}
		return
	}
	o.n.scanned++
	r, err := wstrust.ReadRequest(in)
	if err == nil {
		o.n.requests++
	}
	for name, reading := range map[string]oracle.Reading{"XmlReader": v.XML, "WCF": v.WCF} {
		diff := reading.Difference(d)
		if diff == "" && err == nil {
			diff = valueDifference(r, reading)
		}
		switch {
		case diff == "":
		case isQuota(diff):
			o.n.quota++
		default:
			o.n.failed++
			o.Errorf("document %d: %s: %s\n%q\n%x", o.n.documents-1, name, diff, in.Body, in.Body)
		}
	}
}

func isQuota(diff string) bool {
	for _, q := range quotas {
		if strings.HasPrefix(diff, unread) && strings.Contains(diff, q.exception) {
			return true
		}
	}
	return false
}

// unread begins a difference where .NET gives no value.
const unread = "unread: "

// valueDifference returns which value of an accepted request .NET sees
// otherwise.
func valueDifference(r *wstrust.Request, reading oracle.Reading) string {
	if reading.Unread != "" {
		return unread + reading.Unread
	}
	username, password := r.Username, string(r.Password.Bytes())
	if r.Credential != wstrust.CredentialUsername {
		username, password = "", "" // whoever it is, no UsernameToken says so
	}
	verb := r.Type.String()
	verb = r.Version.Namespace() + "/" + strings.ToUpper(verb[:1]) + verb[1:]
	for _, v := range []struct {
		name, here string
		uri        bool
	}{
		{"Username", username, false},
		{"Password", password, false},
		{"Action", r.Action, true},
		{"To", r.To, true},
		{"RequestType", verb, true},
		{"AppliesTo", r.AppliesTo, true},
	} {
		theirs := slices.Clone(reading.Values[v.name])
		for i, whole := range theirs {
			if v.uri {
				theirs[i] = trim(whole)
			}
			// WCF cuts white space at the ends of To as well. What else has some
			// is noted, and not forwarded.
			if theirs[i] != whole && v.name != "To" && !slices.Contains(r.Tolerated, wstrust.PaddedURI) {
				return v.name + " has white space at its ends, which is not noted"
			}
		}
		// An empty element is as good as none: MSAL Go sends an empty
		// UsernameToken where the connection proves who it is.
		here := oracle.Escape(v.here)
		if len(theirs) > 1 || strings.Join(theirs, "") != here {
			return v.name + ": " + strings.Join(theirs, " and ") + ", here " + here
		}
	}
	return ""
}

// escapedSpace is the white space of XML at an end of an escaped text.
var escapedSpace = regexp.MustCompile(`^(\\u0020|\\u0009|\\u000a|\\u000d)+|(\\u0020|\\u0009|\\u000a|\\u000d)+$`)

func trim(escaped string) string { return escapedSpace.ReplaceAllString(escaped, "") }
