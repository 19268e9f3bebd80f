package soap_test

import (
	"os"
	"path/filepath"
	"strings"
	"testing"

	"stsgate/gateway/soap"
)

// shared returns the path of a file of the shared reference material, and
// skips the test where there is none.
func shared(t *testing.T, path string) string {
	t.Helper()
	dir := os.Getenv("STSGATE_SHARED")
	if dir == "" {
		dir = filepath.Join(moduleRoot(t), "..", "shared")
	}
	full := filepath.Join(dir, filepath.FromSlash(path))
	if _, err := os.Stat(full); err != nil {
		t.Skipf("no shared reference material: %v", err)
	}
	return full
}

func moduleRoot(t *testing.T) string {
	t.Helper()
	dir, err := os.Getwd()
	if err != nil {
		t.Fatal(err)
	}
	for {
		if _, err := os.Stat(filepath.Join(dir, "go.mod")); err == nil {
			return dir
		}
		if dir == filepath.Dir(dir) {
			t.Fatal("no go.mod above the test")
		}
		dir = filepath.Dir(dir)
	}
}

// oracleCases is what the rules say about each document of the oracle: its
// name up to the first underscore, and the rule that refuses it.
const oracleCases = `
a01 accepted  a02 accepted  a03 accepted  a04 XML-02    a05 XML-01    a06 XML-01    a07 XML-01
a08 XML-01    a09 XML-03    a10 XML-03    a11 XML-03    a12 XML-03    a13 XML-03    a14 XML-03
a15 XML-01    a16 XML-03    a17 XML-03    a18 XML-03    a19 XML-03    a20 XML-03    a21 XML-03
a22 XML-03    a23 XML-03    a24 accepted  a25 XML-03    a26 XML-15
b01 XML-01    b02 XML-01    b03 XML-01    b04 XML-01    b05 XML-04    b06 XML-04    b07 XML-05
b08 XML-05    b09 XML-05    b10 XML-05    b11 XML-05    b12 XML-05    b13 XML-05    b14 XML-04
b15 accepted  b16 XML-05    b17 XML-05    b18 XML-05    b19 XML-04    b20 XML-04    b21 XML-04
b22 XML-04    b23 XML-14    b24 XML-14    b25 XML-02    b26 accepted
c01 XML-11    c02 XML-11    c03 XML-11    c04 XML-11    c05 XML-10    c06 XML-10    c07 XML-10
c08 accepted  c09 XML-12    c10 XML-10    c11 accepted  c12 accepted  c13 accepted  c14 XML-05
c15 accepted  c16 accepted  c17 XML-13    c18 accepted
d01 XML-13    d02 XML-13    d03 XML-13    d04 XML-13    d05 XML-13    d06 XML-13    d07 XML-13
d08 XML-14    d09 XML-14    d10 XML-14    d11 XML-14    d12 XML-14    d13 XML-13    d14 XML-13
d15 accepted  d16 accepted  d17 XML-13    d18 accepted  d19 XML-12    d20 XML-12    d21 accepted
d22 XML-12    d23 XML-12    d24 XML-12    d25 XML-12    d26 XML-14    d27 XML-14    d28 XML-14
d29 XML-14    d30 XML-14    d31 accepted  d32 XML-14    d33 XML-13    d34 accepted  d35 XML-14
f01 XML-06    f02 XML-06    f03 XML-06    f04 XML-06    f05 XML-06    f06 XML-07    f07 XML-07
f08 XML-07    f09 XML-07    f10 XML-07    f11 XML-09    f12 XML-09    f13 XML-15    f14 XML-15
f15 XML-15    f16 XML-08    f17 XML-08    f18 XML-08    f19 XML-08    f20 XML-08    f21 XML-08
f22 XML-05    f23 XML-05    f24 XML-05    f25 accepted  f26 XML-05    f27 XML-06    f28 XML-06
f29 XML-08    f30 XML-06
g01 XML-04    g02 accepted  g03 XML-15    g04 XML-15    g05 XML-15    g06 XML-15    g07 XML-15
g08 XML-15    g09 XML-12    g10 XML-12    g11 accepted  g12 DOS-03    g13 DOS-03    g14 accepted
g15 DOS-03    g16 DOS-03    g17 DOS-03    g18 accepted  g19 accepted  g20 XML-15    g21 accepted
g22 XML-15    g23 XML-15    g24 XML-04    g25 accepted  g26 DOS-03`

// XML-30: of the oracle's documents exactly those are accepted that the rules
// allow, and what is accepted is what encoding/xml reads.
func TestOracleCases(t *testing.T) {
	files, err := filepath.Glob(filepath.Join(shared(t, "oracle/cases"), "*.xml"))
	if err != nil {
		t.Fatal(err)
	}
	words := strings.Fields(oracleCases)
	want := make(map[string]string)
	for i := 0; i < len(words); i += 2 {
		want[words[i]] = strings.TrimPrefix(words[i+1], "accepted")
	}
	if len(files) != len(want) || len(files) != 161 {
		t.Errorf("got %d documents and %d expectations, want 161", len(files), len(want))
	}
	for _, file := range files {
		name, _, _ := strings.Cut(filepath.Base(file), "_")
		t.Run(filepath.Base(file), func(t *testing.T) {
			src, err := os.ReadFile(file)
			if err != nil {
				t.Fatal(err)
			}
			rule, ok := want[name]
			if got := ruleOf(t, string(src), soap.Request); !ok || got != rule {
				t.Errorf("got rule %q, want %q", got, rule)
			}
			compareWithTwin(t, src, soap.Request)
		})
	}
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
	}
	for dir, profile := range map[string]soap.Profile{
		"rst": soap.Request, "rstr": soap.Answer, "fault": soap.Answer, "mex": soap.Metadata, "fedmeta": soap.Metadata,
	} {
		files, err := filepath.Glob(filepath.Join(shared(t, "messages/"+dir), "*"))
		if err != nil || len(files) == 0 {
			t.Fatalf("got %d files, %v", len(files), err)
		}
		for _, file := range files {
			name := dir + "/" + filepath.Base(file)
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
