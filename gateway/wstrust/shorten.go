package wstrust

import (
	"errors"
	"slices"
)

// Shorten reads a request again whose password ends after its first n bytes:
// what stood behind them was a code (security.md, MFA-24). The message is the
// received one without the bytes of that code, is scanned as if it had come so,
// and says nothing else than before. in is what r was read from; its Body and
// Memory are not used.
//
// A message with a signature is refused, since what was signed would differ.
// The caller wipes the new request when it is done with it.
func (r *Request) Shorten(in Inbound, n int) (*Request, error) {
	switch {
	case r.Signed || r.Credential != CredentialUsername || r.password == nil:
		return nil, errors.New("no plain password of a message without signature")
	case n <= 0 || n >= len(r.Password.Bytes()):
		return nil, errors.New("no part of the password")
	}
	from := r.doc.Offset(r.password, n)
	in.Body = slices.Concat(r.Body[:from], r.Body[r.password.ContentEnd:])
	in.Memory = new(Memory)
	short, err := ReadRequest(in)
	if err == nil && !short.says(r, n) {
		err = errors.New("the message without the code reads differently")
	}
	if err != nil {
		clear(in.Body)
		in.Memory.Wipe()
		return nil, err
	}
	return short, nil
}

// Wipe overwrites a request of Shorten's, with its Body, and all that was read
// for it.
func (r *Request) Wipe() {
	clear(r.Body)
	r.memory.Wipe()
}

// says tells that the request is old but for a password that is shorter.
func (r *Request) says(old *Request, n int) bool {
	return r.doc.Shortens(old.doc, old.password) && r.password != nil && r.password.Start == old.password.Start &&
		string(r.Password.Bytes()) == string(old.Password.Bytes()[:n]) && r.Username == old.Username
}
