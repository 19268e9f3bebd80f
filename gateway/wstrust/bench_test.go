package wstrust_test

import (
	"bytes"
	"encoding/xml"
	"fmt"
	"io"
	"strconv"
	"testing"

	"github.com/beevik/etree"

	"stsgate/gateway/soap"
	"stsgate/gateway/wstrust"
	"stsgate/testdata"
)

// BenchmarkBeside reads a request of 1.7 KB: scanned alone, scanned and read
// with all that is refused by it, and as two libraries read the XML alone.
func BenchmarkBeside(b *testing.B) {
	body := testdata.Message(b, "rst/msal-net-13.xml")
	for _, reader := range []struct {
		name string
		read func() error
	}{
		{"soap.Scan", func() error {
			_, err := soap.Scan(body, soap.Request)
			return err
		}},
		{"wstrust.ReadRequest", func() error {
			_, err := wstrust.ReadRequest(wstrust.Inbound{Body: body, Now: clock, SOAP: soap.V12})
			return err
		}},
		{"encoding/xml Token", func() error {
			d := xml.NewDecoder(bytes.NewReader(body))
			for {
				if _, err := d.Token(); err == io.EOF {
					return nil
				} else if err != nil {
					return err
				}
			}
		}},
		{"etree", func() error { return etree.NewDocument().ReadFromBytes(body) }},
	} {
		b.Run(reader.name, func(b *testing.B) {
			b.ReportAllocs()
			b.SetBytes(int64(len(body)))
			for b.Loop() {
				if err := reader.read(); err != nil {
					b.Fatal(err)
				}
			}
		})
	}
}

// BenchmarkClaims reads answers with many distinct claims: the time for one
// must not grow with their number.
func BenchmarkClaims(b *testing.B) {
	for _, count := range []int{64, 512, 4096} {
		body := withClaims(testdata.Message(b, "rstr/adfs-13-saml11.xml"), count)
		b.Run(strconv.Itoa(count), func(b *testing.B) {
			for b.Loop() {
				if _, err := wstrust.ReadAnswer(body, wstrust.V13); err != nil {
					b.Fatal(err)
				}
			}
			b.ReportMetric(float64(b.Elapsed().Nanoseconds())/float64(b.N*count), "ns/claim")
		})
	}
}

// withClaims adds that many claims to the last statement of an answer.
func withClaims(body []byte, count int) []byte {
	var claims []byte
	for i := range count {
		claims = fmt.Appendf(claims, `<saml:Attribute AttributeName="%d" AttributeNamespace="urn:claim"><saml:AttributeValue>%[1]d</saml:AttributeValue></saml:Attribute>`, i)
	}
	const end = "</saml:AttributeStatement>"
	return bytes.Replace(body, []byte(end), append(claims, end...), 1)
}
