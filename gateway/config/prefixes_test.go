package config_test

import (
	"errors"
	"fmt"
	"reflect"
	"strings"
	"testing"

	"stsgate/gateway/config"
)

func TestPrefixesInPlace(t *testing.T) {
	c, err := config.Load(place(t, "testdata/exchange-online.good.yaml"))
	if err != nil {
		t.Fatal(err)
	}
	got := c.Clients.ExchangeOnline
	if want := "[40.92.0.0/15 52.100.0.9/32 2a01:111:f400::/48]"; got.File != "" || fmt.Sprint(got.List) != want {
		t.Errorf("got %+v, want %s", got, want)
	}
}

// HDR-05, HDR-07: the file that says who is believed.
func TestParsePrefixes(t *testing.T) {
	for name, tt := range map[string]struct {
		content string
		want    string   // prefixes
		wrong   []string // or line:column: message
	}{
		"one":          {"40.92.0.0/15", "[40.92.0.0/15]", nil},
		"several":      {"# Exchange Online\n\n40.92.0.0/15\n  52.100.0.9 # one server\r\n2a01:111:f400::/48\n", "[40.92.0.0/15 52.100.0.9/32 2a01:111:f400::/48]", nil},
		"nothing":      {"", "", []string{"1:1: the file holds no prefix"}},
		"comments":     {"# none\n\n", "", []string{"1:1: the file holds no prefix"}},
		"host bits":    {"40.92.0.0/15\n40.92.0.1/15\n", "", []string{`2:1: "40.92.0.1/15" has host bits set; the prefix is 40.92.0.0/15`}},
		"everybody":    {"0.0.0.0/0\n\t::/0", "", []string{`1:1: "0.0.0.0/0" holds every address`, `2:2: "::/0" holds every address`}},
		"mapped":       {"::ffff:40.92.0.1\n::ffff:0:0/96", "", []string{`1:1: "::ffff:40.92.0.1": want a plain IPv4 or IPv6 address`, `2:1: "::ffff:0:0/96": write it as an IPv4 prefix`}},
		"zone":         {"fe80::1%eth0", "", []string{`1:1: "fe80::1%eth0": want a plain IPv4 or IPv6 address`}},
		"two a line":   {"1.1.1.1 2.2.2.2", "", []string{`1:1: want an address or a prefix such as 10.0.0.0/8, got "1.1.1.1 2.2.2.2"`}},
		"wide blanks":  {"\u3000name", "", []string{`1:2: want an address or a prefix such as 10.0.0.0/8, got "name"`}},
		"a wrong file": {strings.Repeat("x\n", 1000), "", append(mistakes(20), "21:1: too many mistakes: the rest of the file is not read")},
	} {
		t.Run(name, func(t *testing.T) {
			got, err := config.ParsePrefixes("list.txt", []byte(tt.content))
			if len(tt.wrong) == 0 {
				if err != nil || fmt.Sprint(got) != tt.want {
					t.Errorf("got %v and error %v, want %s", got, err, tt.want)
				}
				return
			}
			if _, ok := errors.AsType[*config.Error](err); !ok || got != nil {
				t.Fatalf("got %v and error %v, want none and a *config.Error", got, err)
			}
			if have, want := strings.Split(err.Error(), "\n"), prefixed("list.txt:", tt.wrong); !reflect.DeepEqual(have, want) {
				t.Errorf("got\n%s\nwant\n%s", strings.Join(have, "\n"), strings.Join(want, "\n"))
			}
		})
	}
}

func mistakes(n int) []string {
	var all []string
	for i := range n {
		all = append(all, fmt.Sprintf(`%d:1: want an address or a prefix such as 10.0.0.0/8, got "x"`, i+1))
	}
	return all
}

func prefixed(prefix string, all []string) []string {
	long := make([]string, len(all))
	for i, s := range all {
		long[i] = prefix + s
	}
	return long
}
