package xmlsig_test

import (
	"bytes"
	"crypto"
	"crypto/ecdsa"
	"crypto/elliptic"
	"regexp"
	"strings"
	"testing"

	"stsgate/gateway/soap"
	"stsgate/upstream/xmlsig"
)

// signedForm returns what the signature of the assertion in a document is
// over, and the ranges of the assertion and of the signature's KeyInfo.
func signedForm(t testing.TB, src string) (form []byte, assertion, keyInfo [2]int) {
	t.Helper()
	d := scan(t, src)
	elements := d.Elements()
	var token, signature *soap.Element
	for i := range elements {
		e := &elements[i]
		switch span := [2]int{int(e.Start), int(e.End)}; e.Name.Local {
		case "Assertion":
			token, assertion = e, span
		case "Signature":
			signature = e
		case "KeyInfo":
			keyInfo = span
		}
	}
	form, err := xmlsig.AppendCanonical(nil, d, token, signature)
	if err != nil {
		t.Fatal(err)
	}
	return form, assertion, keyInfo
}

// A mutant is an answer in which src[from:to] was replaced.
type mutant struct {
	from, to int
	text     string
}

func (m mutant) of(src string) string { return src[:m.from] + m.text + src[m.to:] }

var attributes = regexp.MustCompile(`\s[\w:.-]+="([^"]*)"`)

// mutants changes each element and each attribute, declarations included: left
// out, put twice, emptied, filled otherwise, named otherwise.
func mutants(d *soap.Document) (all []mutant) {
	elements := d.Elements()
	for i := range elements {
		e := &elements[i]
		start, end, content, contentEnd := int(e.Start), int(e.End), int(e.ContentStart), int(e.ContentEnd)
		raw := string(d.Raw(e))
		all = append(all,
			mutant{start, end, ""},
			mutant{start, end, raw + raw},
			mutant{content, contentEnd, ""},
			mutant{content, content, "x"},
			mutant{content, content, "<x/>"},
			mutant{start, end, strings.ReplaceAll(raw, e.Name.Local, "x"+e.Name.Local)},
			mutant{start, end, string(d.Source[content:contentEnd])})
		tag := string(d.Source[start:content])
		for _, at := range attributes.FindAllStringSubmatchIndex(tag, -1) {
			from, to := start+at[0], start+at[1]
			value := tag[at[2]:at[3]]
			all = append(all,
				mutant{from, to, ""},
				mutant{from, to, tag[at[0]:at[1]] + tag[at[0]:at[1]]},
				mutant{start + at[2], start + at[3], ""},
				mutant{start + at[2], start + at[3], value + "x"})
		}
	}
	return all
}

// SIG-08: whatever is left out or changed in what is signed, or in its
// signature, nothing is accepted; KeyInfo is neither.
func TestMutants(t *testing.T) {
	for _, name := range signedAnswers {
		t.Run(name, func(t *testing.T) {
			src := pinned().forge(t, message(t, name))
			form, assertion, keyInfo := signedForm(t, src)
			inside := 0
			for _, m := range mutants(scan(t, src)) {
				mutated := m.of(src)
				_, _, err := check(verifier(t, pinned().certificate), mutated)
				if m.from >= keyInfo[0] && m.to <= keyInfo[1] || m.from >= assertion[1] || m.to <= assertion[0] {
					if err == nil {
						sameForm(t, mutated, form)
					}
					continue
				}
				if inside++; mutated != src && err == nil {
					t.Errorf("accepted with %q for %q", m.text, src[m.from:m.to])
				}
			}
			if inside < 250 {
				t.Errorf("got %d mutants of what is signed, want more", inside)
			}
		})
	}
}

// sameForm checks that an answer that is accepted says what was signed.
func sameForm(t *testing.T, src string, forms ...[]byte) {
	t.Helper()
	got, _, _ := signedForm(t, src)
	for _, form := range forms {
		if bytes.Equal(got, form) {
			return
		}
	}
	t.Errorf("accepted what nobody signed: %s", got)
}

// SIG-08: each byte of an answer, changed in some ways.
func TestFlippedBytes(t *testing.T) {
	src := pinned().forge(t, message(t, answer20))
	form, assertion, _ := signedForm(t, src)
	v := verifier(t, pinned().certificate)
	accepted := 0
	for i := assertion[0] - 40; i < assertion[1]+40; i++ {
		for _, c := range []byte{src[i] ^ 1, src[i] ^ 0x20, ' ', '\n'} {
			mutated := mutant{i, i + 1, string(rune(c))}.of(src)
			if mutated == src {
				continue
			}
			if _, _, err := check(v, mutated); err == nil {
				accepted++
				sameForm(t, mutated, form)
			}
		}
	}
	if accepted == 0 { // such as in KeyInfo, or white space in a tag
		t.Error("nothing was accepted: the test sees nothing")
	}
}

// fuzzForger signs by a key that is the same in every run, as the fuzzer's
// workers need it.
func fuzzForger(t testing.TB) forger {
	t.Helper()
	key, err := ecdsa.ParseRawPrivateKey(elliptic.P256(), bytes.Repeat([]byte{7}, 32))
	if err != nil {
		t.Fatal(err)
	}
	return forger{crypto.SHA256, signRS(key, crypto.SHA256), certificate(t, key)}
}

// FuzzVerify checks that no assertion in any document is accepted that says
// something else than one of those that were signed.
func FuzzVerify(f *testing.F) {
	forger := fuzzForger(f)
	var forms [][]byte
	add := func(src string) {
		src = forger.forge(f, edit(f, src, rsaSHA256, more("ecdsa-sha256")))
		form, assertion, _ := signedForm(f, src)
		forms = append(forms, form)
		f.Add([]byte(src))
		f.Add([]byte(src[assertion[0]:assertion[1]]))
	}
	for _, name := range signedAnswers {
		add(message(f, name))
	}
	for _, shape := range shapes {
		src := edit(f, message(f, answer20), shape.edits...)
		if shape.want == "" {
			add(src)
		} else {
			f.Add([]byte(src))
		}
	}
	f.Add([]byte(forger.endorse(f, edit(f, endorsable, rsaSHA256, more("ecdsa-sha256")))))
	v := verifier(f, forger.certificate)
	f.Fuzz(func(t *testing.T, src []byte) {
		d, err := soap.Scan(src, soap.Answer)
		if err != nil {
			return
		}
		elements := d.Elements()
		for i := range elements {
			if _, err := v.VerifyMessage(d, &elements[i]); err != nil {
				ruleOf(t, err)
			}
			verified, err := v.Verify(d, &elements[i])
			if err != nil {
				ruleOf(t, err)
				continue
			}
			if verified.Element != &elements[i] {
				t.Error("another element was verified")
			}
			sameForm(t, string(src), forms...)
		}
	})
}
