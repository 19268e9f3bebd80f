package wstrust

import (
	"bytes"
	"errors"

	"stsgate/gateway/soap"
)

// Cut returns the request as it would be without tail, which is plain ASCII, at
// the end of its password: the received bytes without those, and nothing else
// changed, read anew (security.md, MFA-24). It is read from in's header lines into
// in's memory, and its body is new; the caller wipes it. A message that is
// signed, or that reads otherwise now in anything else, is refused.
func (r *Request) Cut(in Inbound, tail []byte) (*Request, error) {
	if r.Signed || r.Credential != CredentialUsername || r.password == nil {
		return nil, errors.New("only a plain password in a message without a signature can be cut")
	}
	from, to := int(r.password.ContentStart), int(r.password.ContentEnd)
	last := bytes.TrimSuffix(r.Body[from:to], soap.EscapeText(nil, string(tail)))
	if from+len(last) == to {
		return nil, errors.New("the end of the password is written with references where none is needed")
	}
	end := from + len(last)
	in.Body = append(append(make([]byte, 0, len(r.Body)), r.Body[:end]...), r.Body[to:]...)
	cut, err := ReadRequest(in)
	if err == nil && !r.sameBut(cut, end, to-end, tail) {
		err = errors.New("without the end of its password the message reads otherwise")
	}
	if err != nil {
		clear(in.Body)
		return nil, err
	}
	return cut, nil
}

// sameBut tells that cut has the elements of r, where n bytes are missing from at,
// and its password but for tail.
func (r *Request) sameBut(cut *Request, at, n int, tail []byte) bool {
	was, is := r.doc.Elements(), cut.doc.Elements()
	if len(was) != len(is) {
		return false
	}
	moved := func(p int32) int32 {
		if int(p) > at {
			return p - int32(n)
		}
		return p
	}
	for i := range was {
		a, b := &was[i], &is[i]
		if a.Name != b.Name || moved(a.Start) != b.Start || moved(a.End) != b.End ||
			moved(a.ContentStart) != b.ContentStart || moved(a.ContentEnd) != b.ContentEnd {
			return false
		}
	}
	before, ok := bytes.CutSuffix(r.Password.Bytes(), tail)
	return ok && bytes.Equal(before, cut.Password.Bytes()) && r.Username == cut.Username && r.AppliesTo == cut.AppliesTo &&
		r.MessageID == cut.MessageID && r.To == cut.To
}
