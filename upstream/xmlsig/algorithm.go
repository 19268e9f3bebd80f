package xmlsig

import (
	"crypto"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rsa"
	_ "crypto/sha512" // for crypto.SHA384 and crypto.SHA512
	"math/big"

	dsig "github.com/russellhaering/goxmldsig"
)

// A method is an accepted SignatureMethod.
type method struct {
	hash  crypto.Hash
	curve elliptic.Curve // nil for RSA
}

// signatureMethod returns the method with that URI (XML Signature 1.1, section
// 6.4; SIG-06). There is no way to a method that is not listed, such as one
// with SHA-1 or a shared key.
func signatureMethod(uri []byte) (method, bool) {
	switch string(uri) {
	case dsig.RSASHA256SignatureMethod:
		return method{hash: crypto.SHA256}, true
	case dsig.RSASHA384SignatureMethod:
		return method{hash: crypto.SHA384}, true
	case dsig.RSASHA512SignatureMethod:
		return method{hash: crypto.SHA512}, true
	case dsig.ECDSASHA256SignatureMethod:
		return method{hash: crypto.SHA256, curve: elliptic.P256()}, true
	case dsig.ECDSASHA384SignatureMethod:
		return method{hash: crypto.SHA384, curve: elliptic.P384()}, true
	default:
		return method{}, false
	}
}

// digestHash returns the hash of the DigestMethod with that URI, 0 for one
// that is not accepted.
func digestHash(uri []byte) crypto.Hash {
	switch string(uri) {
	case digestMethod:
		return crypto.SHA256
	case "http://www.w3.org/2001/04/xmldsig-more#sha384":
		return crypto.SHA384
	case "http://www.w3.org/2001/04/xmlenc#sha512":
		return crypto.SHA512
	default:
		return 0
	}
}

func sum(hash crypto.Hash, b []byte) []byte {
	h := hash.New()
	h.Write(b)
	return h.Sum(nil)
}

// verify reports whether key made the signature, and is of the method's kind.
func (m method) verify(key crypto.PublicKey, digest, signature []byte) bool {
	switch key := key.(type) {
	case *rsa.PublicKey:
		return m.curve == nil && rsa.VerifyPKCS1v15(key, m.hash, digest, signature) == nil
	case *ecdsa.PublicKey:
		if key.Curve != m.curve {
			return false
		}
		// r and s, as long as the curve's order each (XML Signature 1.1, section 6.4.3)
		size := (m.curve.Params().BitSize + 7) / 8
		if len(signature) != 2*size {
			return false
		}
		r, s := new(big.Int).SetBytes(signature[:size]), new(big.Int).SetBytes(signature[size:])
		return ecdsa.Verify(key, digest, r, s)
	default:
		return false
	}
}
