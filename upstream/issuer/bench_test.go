package issuer_test

import (
	"crypto"
	"crypto/rand"
	"testing"

	"stsgate/gateway/wstrust"
)

// The budget is on BenchmarkIssueRSA: at least 90 % of the rate of
// BenchmarkBareSignRSA, run beside it (design.md, section 10).
func BenchmarkIssueRSA(b *testing.B)      { benchmarkIssue(b, rsaPair(b)) }
func BenchmarkBareSignRSA(b *testing.B)   { benchmarkBareSign(b, rsaPair(b)) }
func BenchmarkIssueECDSA(b *testing.B)    { benchmarkIssue(b, ecdsaPair(b)) }
func BenchmarkBareSignECDSA(b *testing.B) { benchmarkBareSign(b, ecdsaPair(b)) }

func benchmarkIssue(b *testing.B, p pair) {
	i := newIssuer(b, p)
	for _, kind := range []wstrust.TokenKind{wstrust.SAML11, wstrust.SAML20} {
		g := grant(kind)
		b.Run(kind.String(), func(b *testing.B) {
			b.ReportAllocs()
			for b.Loop() {
				if _, err := i.Issue(b.Context(), request, g); err != nil {
					b.Fatal(err)
				}
			}
		})
	}
}

func benchmarkBareSign(b *testing.B, p pair) {
	digest := make([]byte, 32)
	b.ReportAllocs()
	for b.Loop() {
		if _, err := p.key.Sign(rand.Reader, digest, crypto.SHA256); err != nil {
			b.Fatal(err)
		}
	}
}
