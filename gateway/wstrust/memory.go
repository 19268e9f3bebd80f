package wstrust

import "stsgate/gateway/account"

// A Memory is what a request and its answer are read into, so that reading them
// allocates little. It serves one exchange after the other, and never two at a
// time: when it is wiped nobody may use the Request and the Answer that lie in
// it any more. The zero Memory is ready for use.
type Memory struct {
	request reader
	answer  answerReader
	body    []byte // of the answer
}

// What is larger Wipe does not keep.
const (
	maxKept   = 64 << 10 // bytes of a buffer
	maxClaims = 64
)

// Wipe overwrites what the request and the answer left behind, the password and
// the answer's body included. Their bytes themselves are the caller's.
func (m *Memory) Wipe() {
	m.request.wipe()
	m.answer.wipe()
	m.body = wiped(m.body)
}

func (x *reader) wipe() {
	x.r.Password.Wipe()
	x.doc.Wipe()
	*x = reader{message: message{doc: x.doc}, fresh: wiped(x.fresh)}
}

func (x *answerReader) wipe() {
	x.doc.Wipe()
	if len(x.claims) > maxClaims {
		x.claims = nil
	}
	clear(x.claims)
	*x = answerReader{message: message{doc: x.doc}, claims: x.claims}
}

// wiped returns an overwritten buffer, or none where it is large.
func wiped(b []byte) []byte {
	clear(b[:cap(b)])
	if cap(b) > maxKept {
		return nil
	}
	return b[:0]
}

// Outline returns what the request says, in no Memory: neither its bytes nor its
// password, nor the scanned message.
func (r *Request) Outline() *Request {
	o := *r
	o.Tolerated = o.tolerances[:copy(o.tolerances[:], r.Tolerated)]
	o.Body, o.Password, o.doc, o.password, o.memory = nil, account.Password{}, nil, nil, nil
	return &o
}

// Outline returns what the answer says, in no Memory: with bytes of its own, but
// neither the token's place in them nor the scanned message. The bytes of a are
// overwritten.
func (a *Answer) Outline() *Answer {
	o := *a
	o.Body = append(make([]byte, 0, len(a.Body)), a.Body...)
	clear(a.Body)
	o.Token, o.doc, o.token = nil, nil, nil
	return &o
}

// Room returns an empty buffer for the body of the answer to r. It may grow, or
// not be used at all.
func (r *Request) Room() []byte {
	if r.memory == nil {
		return nil
	}
	return r.memory.body[:0]
}

// ReadAnswer is the function ReadAnswer for the answer to r. The Answer lies in
// the memory that r lies in, which keeps body, in the place of an earlier one.
func (r *Request) ReadAnswer(body []byte) (*Answer, error) {
	if r.memory == nil {
		return ReadAnswer(body, r.Version)
	}
	r.memory.body = body
	x := &r.memory.answer
	if x.a.Body != nil {
		x.wipe()
	}
	x.a.Body = body
	if err := x.read(r.Version); err != nil {
		return nil, err
	}
	return &x.a, nil
}
