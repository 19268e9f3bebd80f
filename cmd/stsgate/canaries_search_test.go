package main

import (
	"bytes"
	"encoding/base64"
	"encoding/hex"
	"fmt"
	"slices"
	"strings"
	"testing"
)

// A secret is what nobody may write down.
type secret struct {
	what string
	text string
	also []string // how it is written where users read it
	// shownIn begins the names of the outputs that may show it, empty for none;
	// times is how often all of them together must, 0 for as often as they like.
	shownIn string
	times   int
}

// forms are the ways in which a secret could be written: in other outputs its
// bytes may begin within any group of base64's.
func (s *secret) forms() [][]byte {
	b := []byte(s.text)
	all := [][]byte{b, []byte(hex.EncodeToString(b))}
	for _, form := range s.also {
		all = append(all, []byte(form))
	}
	for before := range 3 {
		shifted := append(make([]byte, before), b...)
		for _, e := range []*base64.Encoding{base64.RawStdEncoding, base64.RawURLEncoding} {
			text := []byte(e.EncodeToString(shifted))
			whole := len(shifted) / 3 * 4 // the rest holds bits of what follows
			all = append(all, text[(before*8+5)/6:whole])
		}
	}
	return all
}

// An output is what a program wrote somewhere.
type output struct {
	name string
	text []byte
}

// pieceLength is how much of a secret is found, in bytes.
const pieceLength = 16

// pieces are those of all forms of secrets, in small letters, each with the
// number of its secret. Short forms are found as a whole.
type pieces struct {
	of      map[string]int32
	lengths []int
}

func piecesOf(all []secret) *pieces {
	p := &pieces{of: map[string]int32{}}
	for n := range all {
		for _, form := range all[n].forms() {
			text := string(small(form))
			length := min(len(text), pieceLength)
			if !slices.Contains(p.lengths, length) {
				p.lengths = append(p.lengths, length)
			}
			for i := range len(text) - length + 1 {
				if _, is := p.of[text[i:i+length]]; !is {
					p.of[text[i:i+length]] = int32(n)
				}
			}
		}
	}
	return p
}

// small makes letters of ASCII small and leaves all other bytes as they are.
func small(b []byte) []byte {
	b = bytes.Clone(b)
	for i, c := range b {
		if 'A' <= c && c <= 'Z' {
			b[i] += 'a' - 'A'
		}
	}
	return b
}

// find calls hit with each secret of which a piece stands in a text, and where
// the piece is: once for pieces that follow each other.
func (p *pieces) find(text []byte, hit func(n, at int)) {
	lower := small(text)
	last, lastAt := -1, -2
	for i := range lower {
		for _, length := range p.lengths {
			if i+length > len(lower) {
				continue
			}
			n, is := p.of[string(lower[i:i+length])]
			if !is {
				continue
			}
			if int(n) != last || i != lastAt+1 {
				hit(int(n), i)
			}
			last, lastAt = int(n), i
			break
		}
	}
}

// searchAll holds what was written to what may show there.
func searchAll(t *testing.T, all []secret, outputs []output) {
	t.Helper()
	for _, wrong := range leaks(all, outputs) {
		t.Error(wrong)
	}
}

func leaks(all []secret, outputs []output) (wrong []string) {
	p, shown := piecesOf(all), make([]int, len(all))
	for _, o := range outputs {
		hits := 0
		p.find(o.text, func(n, at int) {
			s := &all[n]
			if s.shownIn != "" && strings.HasPrefix(o.name, s.shownIn) {
				shown[n]++
				return
			}
			if hits++; hits <= 3 {
				wrong = append(wrong, fmt.Sprintf("%s: %s shows: %q", o.name, s.what, o.text[max(0, at-300):min(len(o.text), at+100)]))
			}
		})
	}
	for n, times := range shown {
		if s := &all[n]; s.times != 0 && times != s.times {
			wrong = append(wrong, fmt.Sprintf("%s shows %d times in %s, want %d", s.what, times, s.shownIn, s.times))
		}
	}
	return wrong
}

// The search finds what it is for.
func TestCanariesAreFound(t *testing.T) {
	const text = "QWERTZUIOPasdfghjklyxcvbnm012345"
	raw := string([]byte{0x00, 0xff, 0x80, 'A', 0xc3, 0x28, 7, 8, 9, 10, 11, 12, 0xe2, 0x28, 0xa1, 'Z', 17, 18, 19, 20})
	all := []secret{{what: "text", text: text}, {what: "bytes", text: raw}, {what: "short", text: "ABCDE12345", also: []string{"ABCDE-12345"}},
		{what: "page", text: "shown-once-and-nowhere-else", shownIn: "page 1", times: 1}}
	page := output{"page 1", []byte("<p>shown-once-and-nowhere-else</p>")}
	if got := leaks(all, []output{page, {"log", []byte("nothing: qwertzuiopasdfg")}}); got != nil {
		t.Errorf("found %q", got)
	}
	inBase64 := func(s string) string { return base64.StdEncoding.EncodeToString([]byte(s)) }
	for _, leak := range []string{
		text, "in small letters qwertzuiopasdfgh.", hex.EncodeToString([]byte(text)), inBase64(text), inBase64("x" + text + "y"), inBase64("xx" + text), inBase64("xxx" + text + "yy"),
		"before" + raw + "after", hex.EncodeToString([]byte(raw)), base64.URLEncoding.EncodeToString([]byte("x" + raw)), "abcde12345", "ABCDE-12345", "once-and-nowhere",
	} {
		if got := leaks(all, []output{page, {"log", []byte("before " + leak + " after")}}); len(got) != 1 {
			t.Errorf("%q: found %q", leak, got)
		}
	}
	for name, outputs := range map[string][]output{"never": nil, "twice": {page, page}, "twice in one": {{page.name, slices.Concat(page.text, page.text)}}} {
		if got := leaks(all, outputs); len(got) != 1 {
			t.Errorf("%s: found %q", name, got)
		}
	}
}
