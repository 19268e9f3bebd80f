package wstrust_test

import (
	"bytes"
	"encoding/xml"
	"io"
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
