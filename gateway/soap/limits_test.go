package soap_test

import (
	"fmt"
	"math"
	"math/rand/v2"
	"strings"
	"testing"
	"time"

	"stsgate/gateway/soap"
)

// padded returns prefix and suffix with as many x between as make n bytes.
func padded(prefix, suffix string, n int) string {
	return prefix + strings.Repeat("x", n-len(prefix)-len(suffix)) + suffix
}

func numbered(format string, n int) string {
	var b strings.Builder
	for i := range n {
		fmt.Fprintf(&b, format, i)
	}
	return b.String()
}

func nested(n int) string { return strings.Repeat("<e>", n) + strings.Repeat("</e>", n) }

// declared returns a document of nested elements with n declarations in scope
// of the innermost, all of one namespace.
func declared(n int) string {
	const perTag = 20
	var open, closing strings.Builder
	for i := 0; i < n; i += perTag {
		open.WriteString("<e" + numbered(" xmlns:p%d='urn:p'", min(perTag, n-i)) + ">")
		closing.WriteString("</e>")
	}
	return open.String() + closing.String()
}

func TestLimits(t *testing.T) {
	requests, answers := []soap.Profile{soap.Request}, []soap.Profile{soap.Answer, soap.Metadata}
	for _, c := range []struct {
		name     string
		profiles []soap.Profile
		limit    int
		document func(n int) string
	}{
		{"nested elements", requests, 31, nested},
		{"nested elements", answers, 64, nested},
		{"nested elements, the last one empty", requests, 31, func(n int) string {
			return strings.Repeat("<e>", n-1) + "<f/>" + strings.Repeat("</e>", n-1)
		}},
		{"elements", requests, 512, func(n int) string { return "<e>" + strings.Repeat("<f/>", n-1) + "</e>" }},
		{"elements", answers, 16384, func(n int) string { return "<e>" + strings.Repeat("<f></f>", n-1) + "</e>" }},
		{"attributes", requests, 32, func(n int) string { return "<e" + numbered(" a%d=''", n) + "/>" }},
		{"attributes", answers, 64, func(n int) string { return "<e" + numbered(" a%d=''", n) + "/>" }},
		{"attributes and declarations", requests, 32, func(n int) string {
			return "<e xmlns='urn:e' xmlns:p='urn:p'" + numbered(" a%d=''", n-2) + "/>"
		}},
		{"start tag", requests, 4000, func(n int) string { return padded("<e a='", "'>", n) + "</e>" }},
		{"start tag", answers, 16000, func(n int) string { return padded("<e a='", "'>", n) + "</e>" }},
		{"empty-element tag", requests, 4000, func(n int) string { return padded("<e", "/>", n) }},
		{"white space in a start tag", requests, 4000, func(n int) string {
			return "<e" + strings.Repeat(" ", n-4) + "/>"
		}},
		{"end tag", requests, 4000, func(n int) string { return "<e></e" + strings.Repeat("\n", n-4) + ">" }},
		{"text", requests, 16 << 10, func(n int) string { return "<e>" + padded("", "", n) + "</e>" }},
		{"text", answers, 256 << 10, func(n int) string { return "<e>" + padded("", "", n) + "</e>" }},
		{"white space", requests, 16 << 10, func(n int) string { return "<e>" + strings.Repeat("\n", n) + "</e>" }},
		{"text of references", requests, 16 << 10, func(n int) string {
			return "<e>" + strings.Repeat("&lt;", n/4) + strings.Repeat("x", n%4) + "</e>"
		}},
		{"comment", requests, 4000, func(n int) string { return "<e>" + padded("<!--", "-->", n) + "</e>" }},
		{"namespaces", requests, 32, func(n int) string { return "<e>" + numbered("<f xmlns='urn:%d'/>", n) + "</e>" }},
		{"namespaces", answers, 64, func(n int) string { return "<e>" + numbered("<f xmlns='urn:%d'/>", n) + "</e>" }},
		{"declarations in scope", requests, 64, declared},
		{"declarations in scope", answers, 128, declared},
		{"document", requests, 64 << 10, spread},
		{"document", answers, 1 << 20, spread},
	} {
		for _, p := range c.profiles {
			t.Run(fmt.Sprintf("DOS-03 %s, profile %d", c.name, p), func(t *testing.T) {
				for _, n := range []int{c.limit - 1, c.limit, c.limit + 1} {
					want := accepted
					if n > c.limit {
						want = "DOS-03"
					}
					if got := ruleOf(t, c.document(n), p); got != want {
						t.Errorf("%d: got rule %q, want %q", n, got, want)
					}
				}
			})
		}
	}
}

// spread returns a document of n bytes that stays within the other limits.
func spread(n int) string {
	const text = 8000
	var b strings.Builder
	b.WriteString("<e>")
	for n-b.Len() > text+7+4 {
		b.WriteString("<f>" + strings.Repeat("x", text) + "</f>")
	}
	b.WriteString(strings.Repeat(" ", n-b.Len()-4) + "</e>")
	return b.String()
}

// DOS-03, XML-06: an attack is refused by its rule, and within 5 ms.
func TestAttacksAreRefused(t *testing.T) {
	for _, c := range []struct{ name, src, rule string }{
		{"DOS-03 endless open tags", strings.Repeat("<a>", 20000), "DOS-03"},
		{"DOS-03 thousands of attributes", "<e" + numbered(" a%d=''", 6000) + "/>", "DOS-03"},
		{"DOS-03 100,000 attributes", "<e" + numbered(" a%d=''", 100_000) + "/>", "DOS-03"},
		{"DOS-03 thousands of declarations", "<e" + numbered(" xmlns:a%d='u'", 3000) + "/>", "DOS-03"},
		{"DOS-03 100,000 declarations", "<e" + numbered(" xmlns:a%d='u'", 100_000) + "/>", "DOS-03"},
		{"DOS-03 declarations in many tags", "<e>" + strings.Repeat("<f"+numbered(" xmlns:a%d='u'", 32)+"/>", 120) + "<g></e>", "XML-12"},
		{"DOS-03 name of 60 KiB", "<" + strings.Repeat("n", 60<<10) + "/>", "DOS-03"},
		{"DOS-03 value of 60 KiB", "<e a='" + strings.Repeat("n", 60<<10) + "'/>", "DOS-03"},
		{"XML-06 quadratic blow-up", "<!DOCTYPE e [<!ENTITY a '" + strings.Repeat("x", 50000) + "'>]><e>" +
			strings.Repeat("&a;", 1000) + "</e>", "XML-06"},
		{"XML-06 billion laughs", "<!DOCTYPE e [<!ENTITY a0 'ha'>" + numbered("<!ENTITY a%d '&a0;&a0;'>", 10) + "]><e>&a9;</e>", "XML-06"},
		{"XML-06 external entity", "<!DOCTYPE e [<!ENTITY a SYSTEM 'http://127.0.0.1:9/'>]><e>&a;</e>", "XML-06"},
	} {
		t.Run(c.name, func(t *testing.T) {
			if got := ruleOf(t, c.src, soap.Request); got != c.rule {
				t.Errorf("got rule %q, want %q", got, c.rule)
			}
			if took := fastest([]byte(c.src), soap.Request); took > slack*5*time.Millisecond {
				t.Errorf("refused after %v, want at most 5ms", took)
			}
		})
	}
}

// DOS-03: 64 KiB take at most 20 times as long as 4 KiB, of whatever they are
// made.
func TestTimeIsLinear(t *testing.T) {
	for _, s := range allocationShapes {
		t.Run(s.name, func(t *testing.T) {
			small, large := s.document(4<<10), s.document(64<<10)
			least := math.Inf(1)
			for range 5 { // a busy machine slows either down
				least = min(least, float64(fastest(large, s.profile))/float64(fastest(small, s.profile)))
				if least <= slack*20 {
					return
				}
			}
			t.Errorf("64 KiB take %.1f times as long as 4 KiB", least)
		})
	}
}

// DOS-04: names that share a place in a table of names cost no more than others,
// be it by Java's hash of strings or by what the vocabulary looks at.
func TestCollidingNames(t *testing.T) {
	random := rand.New(rand.NewPCG(1, 2))
	others := attributesNamed(func(int) string {
		b := make([]byte, 22)
		for i := range b {
			b[i] = byte('a' + random.IntN(26))
		}
		return string(b)
	})
	for by, name := range map[string]func(i int) string{
		"Java": func(i int) (s string) {
			for bit := range 11 {
				s += []string{"Aa", "BB"}[i>>bit&1]
			}
			return s
		},
		"the vocabulary": func(i int) string {
			b := []byte(strings.Repeat("e", 22))
			for bit, at := range []int{1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 12} { // where it does not look
				b[at] += byte(i >> bit & 1)
			}
			return string(b)
		},
	} {
		least, src := math.Inf(1), attributesNamed(name)
		for range 5 { // a busy machine slows either down
			least = min(least, float64(fastest(src, soap.Answer))/float64(fastest(others, soap.Answer)))
		}
		if least > slack*1.5 {
			t.Errorf("names that collide by %s take %.1f times as long as others", by, least)
		}
	}
}

// attributesNamed returns a document with 2,048 attributes.
func attributesNamed(name func(i int) string) []byte {
	const names, perTag = 2048, 32
	var b strings.Builder
	b.WriteString("<e>")
	for i := 0; i < names; i += perTag {
		b.WriteString("<f")
		for k := range perTag {
			b.WriteString(" " + name(i+k) + "=''")
		}
		b.WriteString("/>")
	}
	return []byte(b.String() + "</e>")
}

// fastest returns the least time that a scan takes, of some.
func fastest(src []byte, p soap.Profile) time.Duration {
	least := time.Duration(math.MaxInt64)
	d := new(soap.Document)
	for range 20 {
		start := time.Now()
		_ = d.Scan(src, p)
		least = min(least, time.Since(start))
		d.Wipe()
	}
	return least
}
