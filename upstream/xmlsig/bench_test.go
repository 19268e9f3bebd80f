package xmlsig_test

import (
	"crypto"
	"crypto/rsa"
	"testing"

	"stsgate/gateway/soap"
	"stsgate/gateway/wstrust"
	"stsgate/upstream/xmlsig"
)

// What checking an answer costs beside its bare RSA-2048 verification: at most
// 60 us more (design.md, section 10).
func BenchmarkVerify(b *testing.B) {
	src := []byte(pinned().forge(b, message(b, answer11)))
	v := verifier(b, pinned().certificate)
	b.Run("answer", func(b *testing.B) {
		b.ReportAllocs()
		b.SetBytes(int64(len(src)))
		for b.Loop() {
			a, err := wstrust.ReadAnswer(src, 0)
			if err != nil {
				b.Fatal(err)
			}
			if _, err := v.Verify(a.Signed()); err != nil {
				b.Fatal(err)
			}
		}
	})
	a, err := wstrust.ReadAnswer(src, 0)
	if err != nil {
		b.Fatal(err)
	}
	d, token := a.Signed()
	b.Run("signature", func(b *testing.B) {
		b.ReportAllocs()
		for b.Loop() {
			if _, err := v.Verify(d, token); err != nil {
				b.Fatal(err)
			}
		}
	})
	b.Run("canonical form", func(b *testing.B) {
		b.ReportAllocs()
		for b.Loop() {
			if _, err := xmlsig.AppendCanonical(nil, d, token, nil); err != nil {
				b.Fatal(err)
			}
		}
	})
	b.Run("bare RSA", func(b *testing.B) {
		key := pinned().certificate.PublicKey.(*rsa.PublicKey)
		value, err := pinned().sign(src)
		if err != nil {
			b.Fatal(err)
		}
		digest := hashed(crypto.SHA256, src)
		b.ReportAllocs()
		for b.Loop() {
			if err := rsa.VerifyPKCS1v15(key, crypto.SHA256, digest, value); err != nil {
				b.Fatal(err)
			}
		}
	})
}

// SIG-09: at most 20 ms and 8 MiB for 64 KiB of declarations, scan included.
func BenchmarkCanonicalOfManyNamespaces(b *testing.B) {
	src := []byte(manyNamespaces())
	b.ReportAllocs()
	b.SetBytes(int64(len(src)))
	for b.Loop() {
		d, err := soap.Scan(src, soap.Answer)
		if err != nil {
			b.Fatal(err)
		}
		if _, err := xmlsig.AppendCanonical(nil, d, d.Root(), nil); err != nil {
			b.Fatal(err)
		}
	}
}
