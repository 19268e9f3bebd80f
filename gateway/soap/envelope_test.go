package soap_test

import (
	"errors"
	"testing"

	"stsgate/gateway/soap"
)

func TestOpen(t *testing.T) {
	const (
		open11 = `<s:Envelope xmlns:s="http://schemas.xmlsoap.org/soap/envelope/">`
		open12 = `<s:Envelope xmlns:s="http://www.w3.org/2003/05/soap-envelope">`
		end    = `</s:Envelope>`
	)
	for _, c := range []struct {
		name, src string
		version   soap.Version
		header    bool
	}{
		{"SOAP 1.2", open12 + "<s:Header/><s:Body><r/></s:Body>" + end, soap.V12, true},
		{"SOAP 1.1", open11 + "<s:Header/><s:Body><r/></s:Body>" + end, soap.V11, true},
		{"no Header", open12 + "<s:Body><r/></s:Body>" + end, soap.V12, false},
		{"default namespace", `<Envelope xmlns="http://schemas.xmlsoap.org/soap/envelope/"><Body><r xmlns=""/></Body></Envelope>`,
			soap.V11, false},
		{"white space and comments", open12 + "\n<!-- a --> <s:Header> </s:Header>\n<s:Body>\r\n<r/> </s:Body> " + end, soap.V12, true},
		{"Body with an Id", open12 + "<s:Body Id='b'><r/></s:Body>" + end, soap.V12, false},
	} {
		t.Run(c.name, func(t *testing.T) {
			d := mustScan(t, c.src)
			env, err := soap.Open(d)
			if err != nil {
				t.Fatal(err)
			}
			if env.Version != c.version || (env.Header != nil) != c.header {
				t.Errorf("got version %v, header %v, want %v, %v", env.Version, env.Header != nil, c.version, c.header)
			}
			if env.Doc != d || env.Body.Name.Local != "Body" || env.Content.Name.Local != "r" {
				t.Errorf("got body %v, content %v", env.Body.Name, env.Content.Name)
			}
		})
	}
	for _, c := range []struct {
		name, src string
		version   bool // told as VersionMismatch
	}{
		{"other root", "<e/>", true},
		{"Envelope without namespace", "<Envelope><Body><r/></Body></Envelope>", true},
		{"Envelope of another namespace", `<Envelope xmlns="http://www.w3.org/2001/12/soap-envelope"/>`, true},
		{"root in the SOAP namespace", `<Body xmlns="http://www.w3.org/2003/05/soap-envelope"/>`, true},
		{"empty Envelope", open12 + end, false},
		{"only Header", open12 + "<s:Header/>" + end, false},
		{"two Headers", open12 + "<s:Header/><s:Header/><s:Body><r/></s:Body>" + end, false},
		{"two Bodies", open12 + "<s:Body><r/></s:Body><s:Body><r/></s:Body>" + end, false},
		{"Header behind Body", open12 + "<s:Body><r/></s:Body><s:Header/>" + end, false},
		{"another element before Body", open12 + "<x/><s:Body><r/></s:Body>" + end, false},
		{"another element behind Body", open12 + "<s:Body><r/></s:Body><x/>" + end, false},
		{"Body of the other version", open12 + `<s:Body xmlns:s="http://schemas.xmlsoap.org/soap/envelope/"><r/></s:Body>` + end, false},
		{"Body without namespace", open12 + "<Body><r/></Body>" + end, false},
		{"empty Body", open12 + "<s:Body/>" + end, false},
		{"Body with text only", open12 + "<s:Body>x</s:Body>" + end, false},
		{"Body with two elements", open12 + "<s:Body><r/><r/></s:Body>" + end, false},
		{"text in Body", open12 + "<s:Body>x<r/></s:Body>" + end, false},
		{"text in Header", open12 + "<s:Header>x</s:Header><s:Body><r/></s:Body>" + end, false},
		{"text in Envelope", open12 + "x<s:Body><r/></s:Body>" + end, false},
		{"encodingStyle on Envelope", `<s:Envelope xmlns:s="http://schemas.xmlsoap.org/soap/envelope/" s:encodingStyle="x">` +
			"<s:Body><r/></s:Body>" + end, false},
		{"encodingStyle deep inside", open12 + "<s:Body><r><t s:encodingStyle='x'/></r></s:Body>" + end, false},
		{"encodingStyle without prefix", open12 + "<s:Body><r encodingStyle='x'/></s:Body>" + end, false},
	} {
		t.Run("SOAP-06 "+c.name, func(t *testing.T) {
			env, err := soap.Open(mustScan(t, c.src))
			var refused *soap.Error
			if env != nil || !errors.As(err, &refused) || refused.Rule != "SOAP-06" {
				t.Fatalf("got %v, %v, want an error by SOAP-06", env, err)
			}
			if got := errors.Is(err, soap.ErrVersion); got != c.version {
				t.Errorf("got ErrVersion %v, want %v", got, c.version)
			}
		})
	}
}

func TestScanErrorIsNotErrVersion(t *testing.T) {
	if _, err := soap.Scan([]byte("<e"), soap.Request); errors.Is(err, soap.ErrVersion) {
		t.Errorf("%v matches ErrVersion", err)
	}
}

func TestVersion(t *testing.T) {
	for _, c := range []struct {
		version                      soap.Version
		name, namespace, contentType string
	}{
		{soap.V11, "1.1", "http://schemas.xmlsoap.org/soap/envelope/", "text/xml; charset=utf-8"},
		{soap.V12, "1.2", "http://www.w3.org/2003/05/soap-envelope", "application/soap+xml; charset=utf-8"},
	} {
		got := [3]string{c.version.String(), c.version.Namespace(), c.version.ContentType()}
		if want := [3]string{c.name, c.namespace, c.contentType}; got != want {
			t.Errorf("got %q, want %q", got, want)
		}
	}
}
