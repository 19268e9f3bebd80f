package factor

import (
	"bytes"
	"crypto/hmac"
	"crypto/md5" // RADIUS knows nothing else; its secret is long and random
	"crypto/rand"
	"crypto/subtle"
	"encoding/binary"
	"errors"
	"fmt"
)

// A radiusCode says what a packet is (RFC 2865, section 3).
type radiusCode byte

const (
	accessRequest   radiusCode = 1
	accessAccept    radiusCode = 2
	accessReject    radiusCode = 3
	accessChallenge radiusCode = 11
)

// Attributes (RFC 2865, section 5; RFC 2869, section 5.14).
const (
	attrUserName             = 1
	attrUserPassword         = 2
	attrReplyMessage         = 18
	attrState                = 24
	attrCallingStationID     = 31
	attrNASIdentifier        = 32
	attrMessageAuthenticator = 80
)

const (
	radiusHeader   = 20
	radiusMost     = 4096 // bytes of a packet
	radiusValue    = 253  // bytes of an attribute's value
	radiusPassword = 128  // bytes
)

// What is wrong with an answer that is thrown away.
var (
	errMalformed = errors.New("not a packet for the request")
	errUnsigned  = errors.New("no Message-Authenticator")
	errForged    = errors.New("not of the shared secret")
)

// A radiusRequest is an Access-Request. It is sent again as it is.
type radiusRequest struct {
	bytes  []byte
	secret []byte
}

// attribute appends one.
func attribute(to []byte, typ byte, value []byte) []byte {
	return append(append(to, typ, byte(2+len(value))), value...)
}

// newRequest makes a request. The first attribute signs it (Blast-RADIUS,
// CVE-2024-3596): a forger who can choose what stands before a signature can
// move the rest.
func newRequest(secret []byte, name string, password []byte, others func([]byte) []byte) (*radiusRequest, error) {
	if len(name) == 0 || len(name) > radiusValue || len(password) == 0 || len(password) > radiusPassword {
		return nil, fmt.Errorf("a name of %d bytes and a code of %d", len(name), len(password))
	}
	b := make([]byte, radiusHeader, 256)
	b[0] = byte(accessRequest)
	rand.Read(b[1:2])
	rand.Read(b[4:radiusHeader])
	b = attribute(b, attrMessageAuthenticator, make([]byte, md5.Size))
	b = attribute(b, attrUserName, []byte(name))
	b = attribute(b, attrUserPassword, hide(secret, b[4:radiusHeader], password))
	b = others(b)
	if len(b) > radiusMost {
		return nil, fmt.Errorf("a request of %d bytes", len(b))
	}
	binary.BigEndian.PutUint16(b[2:], uint16(len(b)))
	copy(b[radiusHeader+2:], signature(secret, b))
	return &radiusRequest{b, secret}, nil
}

// hide is how a password travels (RFC 2865, section 5.2).
func hide(secret, authenticator, password []byte) []byte {
	out := make([]byte, (len(password)+md5.Size-1)/md5.Size*md5.Size)
	copy(out, password)
	before := authenticator
	for i := 0; i < len(out); i += md5.Size {
		pad := md5.Sum(append(append([]byte(nil), secret...), before...))
		subtle.XORBytes(out[i:], out[i:i+md5.Size], pad[:])
		before = out[i : i+md5.Size]
	}
	return out
}

func signature(secret, packet []byte) []byte {
	mac := hmac.New(md5.New, secret)
	mac.Write(packet)
	return mac.Sum(nil)
}

// A radiusAnswer is what an authentic answer says.
type radiusAnswer struct {
	code  radiusCode
	name  []byte // nil where the server names nobody
	state []byte
	text  []byte
}

// read reads an answer to the request, which must be signed twice: by its
// authenticator and by a Message-Authenticator.
func (r *radiusRequest) read(b []byte) (*radiusAnswer, error) {
	if len(b) < radiusHeader || len(b) > radiusMost || int(binary.BigEndian.Uint16(b[2:])) != len(b) || b[1] != r.bytes[1] {
		return nil, errMalformed
	}
	a := &radiusAnswer{code: radiusCode(b[0])}
	if a.code != accessAccept && a.code != accessReject && a.code != accessChallenge {
		return nil, errMalformed
	}
	signed, err := a.attributes(b)
	if err != nil {
		return nil, err
	}
	if signed == 0 {
		return nil, errUnsigned
	}
	return a, r.verify(b, signed)
}

// attributes reads what is needed, and returns where the Message-Authenticator
// is, 0 for nowhere.
func (a *radiusAnswer) attributes(b []byte) (signed int, err error) {
	for at := radiusHeader; at < len(b); at += int(b[at+1]) {
		if len(b)-at < 2 || b[at+1] < 2 || int(b[at+1]) > len(b)-at {
			return 0, errMalformed
		}
		value := b[at+2 : at+int(b[at+1])]
		switch b[at] {
		case attrMessageAuthenticator:
			if signed != 0 || len(value) != md5.Size {
				return 0, errMalformed
			}
			signed = at + 2
		case attrUserName:
			a.name = bytes.Clone(value)
		case attrState:
			if a.state != nil {
				return 0, errMalformed
			}
			a.state = bytes.Clone(value)
		case attrReplyMessage:
			a.text = append(a.text, value...)
		}
	}
	return signed, nil
}

// verify checks both signatures, which are over the request's authenticator
// (RFC 2865, section 3; RFC 2869, section 5.14).
func (r *radiusRequest) verify(b []byte, signed int) error {
	mine := bytes.Clone(b)
	copy(mine[4:radiusHeader], r.bytes[4:radiusHeader])
	h := md5.New()
	h.Write(mine)
	h.Write(r.secret)
	right := subtle.ConstantTimeCompare(h.Sum(nil), b[4:radiusHeader])
	clear(mine[signed : signed+md5.Size])
	right &= subtle.ConstantTimeCompare(signature(r.secret, mine), b[signed:signed+md5.Size])
	if right != 1 {
		return errForged
	}
	return nil
}
