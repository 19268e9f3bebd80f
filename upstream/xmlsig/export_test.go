package xmlsig

import "stsgate/gateway/soap"

// IsVoid is what Verify refuses to digest.
var IsVoid = isVoid

// AppendCanonical appends what Verify digests.
func AppendCanonical(dst []byte, d *soap.Document, e, leaveOut *soap.Element) ([]byte, error) {
	form, err := new(canonicalizer).form(d, e, leaveOut)
	return append(dst, form...), err
}

// WipedForm returns the memory of a canonical form after Verify is done with it.
func WipedForm(d *soap.Document, e *soap.Element) ([]byte, error) {
	var c canonicalizer
	form, err := c.form(d, e, nil)
	c.wipe()
	return form, err
}
