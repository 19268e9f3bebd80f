package wstrust

import (
	"bytes"
	"strconv"

	"stsgate/gateway/soap"
)

// bits reads a KeySize, 0 where there is no key.
func (x *reader) bits(e *soap.Element) error {
	b, err := x.doc.AppendText(x.scratch[:0], e)
	if err != nil {
		return err
	}
	size, err := strconv.ParseUint(string(bytes.Trim(b, space)), 10, 16)
	if err != nil {
		return x.refuse(Malformed, "SOAP-10", e, "KeySize is not a number of bits")
	}
	x.keySize = int(size)
	return nil
}

// entropy reads the client's part of a key: one BinarySecret.
func (x *reader) entropy(e *soap.Element) error {
	if err := x.container(e, "SOAP-10"); err != nil {
		return err
	}
	found := false
	for c := range x.doc.Children(e) {
		if c.Name != (soap.Name{Space: e.Name.Space, Local: "BinarySecret"}) {
			return x.refuse(Malformed, "SOAP-10", c, "%s in Entropy", name(c))
		}
		found = true
		if err := x.leaf(c); err != nil {
			return err
		}
		if kind, ok := x.doc.Attr(c, soap.Name{Local: "Type"}); ok && kind != x.r.Version.Namespace()+"/Nonce" {
			x.decline(c, "BinarySecret in Entropy is not of the Type Nonce")
		}
	}
	if !found {
		return x.refuse(Malformed, "SOAP-10", e, "Entropy without BinarySecret")
	}
	return nil
}

// computedKey accepts the one algorithm that computes a key from two entropies.
func (x *reader) computedKey(e *soap.Element) error {
	algorithm, err := x.uri(e, "SOAP-10")
	if err == nil && algorithm != x.r.Version.Namespace()+"/CK/PSHA1" {
		x.decline(e, "ComputedKeyAlgorithm is not PSHA1")
	}
	return err
}

// renewing accepts the wish for a token that can be renewed in time (Allow),
// not for one that can be renewed after it has expired (OK).
func (x *reader) renewing(e *soap.Element) error {
	for attr, value := range x.doc.Attrs(e) {
		if attr.Space != "" || attr.Local != "Allow" && attr.Local != "OK" {
			continue
		}
		yes, ok := parseBoolean(value)
		if !ok {
			return x.refuse(Malformed, "SOAP-10", e, "%s of Renewing is not a boolean", attr.Local)
		}
		if yes && attr.Local == "OK" {
			x.decline(e, "Renewing with OK is not supported")
		}
	}
	return x.empty(e)
}

// boolean checks an element that says true or false.
func (x *reader) boolean(e *soap.Element) error {
	b, err := x.doc.AppendText(x.scratch[:0], e)
	if err != nil {
		return err
	}
	if _, ok := parseBoolean(string(bytes.Trim(b, space))); !ok {
		return x.refuse(Malformed, "SOAP-10", e, "%s is not a boolean", name(e))
	}
	return nil
}

// parseBoolean reads an xs:boolean.
func parseBoolean(s string) (yes, ok bool) {
	return s == "true" || s == "1", s == "true" || s == "1" || s == "false" || s == "0"
}

// wish checks an element that holds a URI of no interest.
func (x *reader) wish(e *soap.Element) error {
	b, err := x.doc.AppendText(x.scratch[:0], e)
	if err == nil && !absolute(bytes.Trim(b, space)) {
		err = x.refuse(Malformed, "SOAP-10", e, "%s is not an absolute URI", name(e))
	}
	return err
}

// empty checks an element that means something by being there.
func (x *reader) empty(e *soap.Element) error {
	b, err := x.doc.AppendText(x.scratch[:0], e)
	if err == nil && len(bytes.Trim(b, space)) > 0 {
		err = x.refuse(Malformed, "SOAP-10", e, "%s holds a text", name(e))
	}
	return err
}
