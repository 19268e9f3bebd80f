package issuer

import (
	"crypto/sha256"
	"fmt"

	"github.com/beevik/etree"

	"stsgate/gateway/soap"
	"stsgate/upstream/xmlsig"
)

// reread reads a token as its receivers will and compares it with the tree
// that it was written from, element for element: what a value could smuggle
// in, or lose, shows here (security.md, TOK-01). It returns the digest that they
// compute. Errors never quote values.
func reread(token []byte, built *etree.Element) (digest [sha256.Size]byte, err error) {
	d, err := soap.Scan(token, soap.Answer)
	if err != nil {
		return digest, err
	}
	if err := compare(d, d.Root(), built); err != nil {
		return digest, err
	}
	return xmlsig.Digest(d, d.Root())
}

func compare(d *soap.Document, read *soap.Element, built *etree.Element) error {
	tag := built.FullTag()
	if read.Name != (soap.Name{Space: built.NamespaceURI(), Local: built.Tag}) {
		return fmt.Errorf("%s reads as %v", tag, read.Name)
	}
	attrs := 0
	for _, a := range built.Attr {
		if a.Space == "xmlns" || a.FullKey() == "xmlns" {
			continue
		}
		attrs++
		if v, ok := d.Attr(read, soap.Name{Local: a.FullKey()}); !ok || v != a.Value {
			return fmt.Errorf("attribute %s of %s reads differently", a.FullKey(), tag)
		}
	}
	for range d.Attrs(read) {
		attrs--
	}
	children := built.ChildElements()
	n := 0
	for child := range d.Children(read) {
		if n == len(children) {
			return fmt.Errorf("%s has more than its %d elements", tag, n)
		}
		if err := compare(d, child, children[n]); err != nil {
			return err
		}
		n++
	}
	if n < len(children) || attrs != 0 || n > 0 && d.HasText(read) {
		return fmt.Errorf("%s reads with other elements, attributes or texts", tag)
	}
	if n > 0 {
		return nil
	}
	if text, err := d.Text(read); err != nil || text != built.Text() {
		return fmt.Errorf("text of %s reads differently", tag)
	}
	return nil
}
