package soap_test

import (
	"fmt"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"testing"

	"stsgate/gateway/soap"
	"stsgate/testdata"
	"stsgate/testdata/oracle"
)

// An oracleCase is a line of testdata/oracle.txt, which says what is in it.
type oracleCase struct {
	id, verdict, net string
	named            []string // rules
	why              string
}

// refusing is the rule that refuses the document, accepted for none.
func (c *oracleCase) refusing() string { return strings.TrimPrefix(c.verdict, "accepted") }

var oracleLine = regexp.MustCompile(`^([a-g]\d\d) (accepted|[A-Z]+-\d\d) +(alike|differ|refused) +(\S+) *(.*)$`)

func oracleCases(t *testing.T) map[string]*oracleCase {
	t.Helper()
	b, err := os.ReadFile("testdata/oracle.txt")
	if err != nil {
		t.Fatal(err)
	}
	all := make(map[string]*oracleCase)
	for line := range strings.Lines(string(b)) {
		if line[0] == '#' {
			continue
		}
		m := oracleLine.FindStringSubmatch(strings.TrimSuffix(line, "\n"))
		if m == nil {
			t.Fatalf("no case: %s", line)
		}
		c := &oracleCase{id: m[1], verdict: m[2], net: m[3], why: m[5]}
		if m[4] != "-" {
			c.named = strings.Split(m[4], ",")
		}
		all[c.id] = c
	}
	if len(all) != 161 {
		t.Errorf("the table has %d documents, want 161", len(all))
	}
	return all
}

// oracleDocuments calls yield for each document of the oracle with its case.
func oracleDocuments(t *testing.T, yield func(t *testing.T, c *oracleCase, src []byte)) {
	t.Helper()
	files, err := filepath.Glob(filepath.Join(testdata.Shared(t, "oracle", "cases"), "*.xml"))
	if err != nil || len(files) != 161 {
		t.Fatalf("got %d documents, %v, want 161", len(files), err)
	}
	cases := oracleCases(t)
	for _, file := range files {
		name := filepath.Base(file)
		t.Run(name, func(t *testing.T) {
			src, err := os.ReadFile(file)
			c := cases[name[:3]]
			if err != nil || c == nil {
				t.Fatalf("got case %v, %v", c, err)
			}
			yield(t, c, src)
		})
	}
}

// XML-30: of the oracle's documents exactly those are accepted that the rules
// allow, and what is accepted is what encoding/xml reads.
func TestOracleCases(t *testing.T) {
	oracleDocuments(t, func(t *testing.T, c *oracleCase, src []byte) {
		if got := ruleOf(t, string(src), soap.Request); got != c.refusing() {
			t.Errorf("got rule %q, want %s", got, c.verdict)
		}
		compareWithTwin(t, src, soap.Request)
	})
}

// The documents that a rule names are refused by it. Where the verdict is
// another, and for the documents that none names, the table says why.
func TestOracleCasesNamed(t *testing.T) {
	named := rulesNaming(t)
	for id, c := range oracleCases(t) {
		if !slices.Equal(named[id], c.named) {
			t.Errorf("%s: security.md names it under %q, the table under %q", id, named[id], c.named)
		}
		if !slices.Contains(c.named, c.verdict) && c.why == "" {
			t.Errorf("%s: %s, named under %q, and no word why", id, c.verdict, c.named)
		}
	}
}

// rulesNaming reads from security.md, section 2, which rules name a document
// in their tests: a09, a05-a08.
func rulesNaming(t *testing.T) map[string][]string {
	t.Helper()
	b, err := os.ReadFile(testdata.Shared(t, "security.md"))
	if err != nil {
		t.Fatal(err)
	}
	_, text, _ := strings.Cut(string(b), "\n## 2.")
	text, _, _ = strings.Cut(text, "\n## 3.")
	span := regexp.MustCompile(`\b([a-g])(\d\d)(?:[-\x{2013}][a-g]?(\d\d))?\b`)
	named := make(map[string][]string)
	for line := range strings.Lines(text) {
		start := strings.Index(line, "*Test:*")
		if start < 0 {
			start = strings.Index(line, "*Pass:*")
		}
		if !strings.HasPrefix(line, "**XML-") || start < 0 {
			continue
		}
		for _, m := range span.FindAllStringSubmatch(line[start:], -1) {
			first, _ := strconv.Atoi(m[2])
			last, err := strconv.Atoi(m[3])
			if err != nil {
				last = first
			}
			for n := first; n <= last; n++ {
				id := fmt.Sprintf("%s%02d", m[1], n)
				if rule := line[2:8]; !slices.Contains(named[id], rule) {
					named[id] = append(named[id], rule)
				}
			}
		}
	}
	return named
}

// What both readers of .NET read alike is accepted, and read as they do, unless
// a rule forbids it, of which the table says how. Nothing else is accepted.
func TestOracleCasesDotNET(t *testing.T) {
	judge := oracle.Start(t)
	oracleDocuments(t, func(t *testing.T, c *oracleCase, src []byte) {
		v, err := judge.Read(src)
		if err != nil {
			t.Fatal(err)
		}
		got := "differ"
		switch read := v.XML.Refused == "" && v.WCF.Refused == ""; {
		case read && slices.Equal(v.XML.Elements, v.WCF.Elements):
			got = "alike"
		case v.XML.Refused != "" && v.WCF.Refused != "":
			got = "refused"
		}
		if got != c.net {
			t.Errorf("the readers: got %s, want %s", got, c.net)
		}
		d, err := soap.Scan(src, soap.Request)
		switch {
		case err != nil && got == "alike" && c.why == "":
			t.Errorf("refused by %s, read alike by .NET, and no word why", c.verdict)
		case err == nil:
			for reader, diff := range map[string]string{"XmlReader": v.XML.Difference(d), "WCF": v.WCF.Difference(d)} {
				if diff != "" {
					t.Errorf("%s: %s", reader, diff)
				}
			}
		}
	})
}

// XML-17: what AD FS and its peers send is read under its profile. The files
// that are listed break a rule.
func TestRealMessages(t *testing.T) {
	refused := map[string]string{
		"rst/cxf.wstrustReqSTRC.xml":                   "XML-15", // licence before the root
		"rst/cxf.wstrustReqSTRCIn1.xml":                "XML-15",
		"rst/epd.Renew_request_raw.xml":                "XML-12", // edited by hand, not well-formed
		"rst/lightwave.BETLoginRequest.xml":            "XML-04", // CR CR LF
		"rst/lightwave.SAMLRequest.xml":                "XML-04",
		"fault/cxf.test-soap-12-fault-detail.xml":      "XML-15",
		"fault/cxf.test-soap-fault-detail.xml":         "XML-15",
		"fault/node-soap.soap-failure.xml":             "XML-15",
		"fault/savon.soap_fault_invalid_encoding.xml":  "XML-01",
		"mex/adal-node.syntax.notrelated.mex.xml":      "XML-14", // not well-formed on purpose
		"mex/adal-node.syntax.related.mex.xml":         "XML-12",
		"mex/cxf.wcf-sts.wsdl":                         "XML-15",
		"mex/metro-wsit.mex.xml":                       "XML-15",
		"mex/wso2.sts-service.wsdl":                    "XML-15",
		"fedmeta/go-vcloud-director.saml-test-idp.xml": "XML-13", // a prefix xml... of its own

		"wresult/fediz.RSTR.formatted.xml":            "XML-15", // a comment before the root
		"wresult/identitymodel.WaSignInValid.form":    "XML-15", // forms around an answer, not XML
		"wresult/identitymodel.WaSignInWithCRLF.form": "XML-15",
		"wresult/omniauth-wsfed.acs_example.xml":      "XML-02", // two byte order marks
		// Not well-formed, on purpose.
		"wresult/identitymodel.WresultWsTrust14UnusualSpacing.xml":                 "XML-12",
		"wresult/identitymodel.WresultWsTrust14WithoutNamespaceUnusualSpacing.xml": "XML-12",
		"wresult/passport-wsfed.inline-01.xml":                                     "XML-12",
	}
	messages := testdata.Shared(t, "messages")
	for pattern, profile := range map[string]soap.Profile{
		"rst/*": soap.Request, "rstr/*": soap.Answer, "wresult/*": soap.Answer, "fault/*": soap.Answer,
		"mex/*": soap.Metadata, "fedmeta/*": soap.Metadata, "minimal-mex.xml": soap.Metadata,
	} {
		files, err := filepath.Glob(filepath.Join(messages, pattern))
		if err != nil || len(files) == 0 {
			t.Fatalf("%s: got %d files, %v", pattern, len(files), err)
		}
		for _, file := range files {
			name := strings.TrimPrefix(filepath.ToSlash(strings.TrimPrefix(file, messages)), "/")
			t.Run(name, func(t *testing.T) {
				src, err := os.ReadFile(file)
				if err != nil {
					t.Fatal(err)
				}
				if got := ruleOf(t, string(src), profile); got != refused[name] {
					t.Errorf("got rule %q, want %q", got, refused[name])
				}
				compareWithTwin(t, src, profile)
			})
		}
	}
}
