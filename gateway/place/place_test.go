package place_test

import (
	"bytes"
	"errors"
	"io/fs"
	"maps"
	"net"
	"net/netip"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/maxmind/mmdbwriter"
	"github.com/maxmind/mmdbwriter/mmdbtype"

	"stsgate/gateway/place"
)

var built = time.Date(2026, 11, 24, 0, 0, 0, 0, time.UTC)

// records are those of a database, by their network.
type records map[string]mmdbtype.DataType

// database returns a database with these records.
func database(t testing.TB, o mmdbwriter.Options, all records) []byte {
	t.Helper()
	o.IncludeReservedNetworks, o.BuildEpoch = true, built.Unix()
	w, err := mmdbwriter.New(o)
	if err != nil {
		t.Fatal(err)
	}
	// The widest first: a later record replaces what it covers.
	for _, prefix := range slices.SortedFunc(maps.Keys(all), func(a, b string) int { return bits(a) - bits(b) }) {
		_, network, err := net.ParseCIDR(prefix)
		if err != nil {
			t.Fatal(err)
		}
		if err := w.Insert(network, all[prefix]); err != nil {
			t.Fatal(err)
		}
	}
	var b bytes.Buffer
	if _, err := w.WriteTo(&b); err != nil {
		t.Fatal(err)
	}
	return b.Bytes()
}

func bits(prefix string) int { return netip.MustParsePrefix(prefix).Bits() }

// in is a record of an address that is in one country and registered in
// another.
func in(code string) mmdbtype.Map {
	return mmdbtype.Map{
		"country":            mmdbtype.Map{"iso_code": mmdbtype.String(code), "names": mmdbtype.Map{"en": mmdbtype.String("Land " + code)}},
		"registered_country": mmdbtype.Map{"iso_code": mmdbtype.String("US")},
	}
}

func of(asn uint32) mmdbtype.Map {
	return mmdbtype.Map{"autonomous_system_number": mmdbtype.Uint32(asn), "autonomous_system_organization": mmdbtype.String("Contoso")}
}

func countries(t testing.TB) []byte {
	return database(t, mmdbwriter.Options{DatabaseType: "GeoLite2-Country"}, records{
		"203.0.113.0/24":     in("DE"),
		"203.0.113.128/25":   in("FR"),
		"2001:db8:10::/48":   in("DE"),
		"198.51.100.0/24":    mmdbtype.Map{"registered_country": mmdbtype.Map{"iso_code": mmdbtype.String("US")}},
		"198.51.100.128/25":  mmdbtype.Map{"country": mmdbtype.Map{"geoname_id": mmdbtype.Uint32(1)}},
		"2001:db8:20::/64":   in("SE"),
		"192.0.2.77/32":      in("NO"),
		"2001:db8:20::1/128": in("FI"),
	})
}

func systems(t testing.TB) []byte {
	return database(t, mmdbwriter.Options{DatabaseType: "GeoLite2-ASN"}, records{
		"203.0.113.0/24":   of(64500),
		"2001:db8:10::/48": of(4200000000),
		"198.51.100.0/24":  mmdbtype.Map{"autonomous_system_organization": mmdbtype.String("Fabrikam")},
	})
}

func write(t testing.TB, path string, content []byte) {
	t.Helper()
	if err := os.WriteFile(path, content, 0o600); err != nil {
		t.Fatal(err)
	}
}

// files writes both databases and returns where they are.
func files(t testing.TB) place.Config {
	t.Helper()
	dir := t.TempDir()
	c := place.Config{Country: filepath.Join(dir, "country.mmdb"), ASN: filepath.Join(dir, "asn.mmdb")}
	write(t, c.Country, countries(t))
	write(t, c.ASN, systems(t))
	return c
}

func open(t testing.TB, c place.Config) *place.DB {
	t.Helper()
	d, err := place.Open(c)
	if err != nil {
		t.Fatal(err)
	}
	return d
}

// An address that no record has, or whose record has no such value, is in no
// country and no system; where it is registered does not count.
func TestLookup(t *testing.T) {
	d := open(t, files(t))
	for _, tt := range []struct {
		addr, country string
		asn           uint32
	}{
		{"203.0.113.9", "DE", 64500},
		{"203.0.113.200", "FR", 64500},
		{"::ffff:203.0.113.9", "DE", 64500},
		{"2001:db8:10::1", "DE", 4200000000},
		{"2001:db8:10::1%eth0", "DE", 4200000000},
		{"2001:db8:20::1", "FI", 0},
		{"2001:db8:20::2", "SE", 0},
		{"192.0.2.77", "NO", 0},
		{"192.0.2.78", "", 0},
		{"198.51.100.1", "", 0},   // registered_country alone
		{"198.51.100.200", "", 0}, // a country without a code
		{"10.1.2.3", "", 0},
		{"127.0.0.1", "", 0},
		{"fd00::1", "", 0},
		{"::1", "", 0},
		{"0.0.0.0", "", 0},
		{"255.255.255.255", "", 0},
	} {
		a := netip.MustParseAddr(tt.addr)
		country, err := d.Country(a)
		if country != tt.country || err != nil {
			t.Errorf("%s: got country %q, %v, want %q", tt.addr, country, err, tt.country)
		}
		asn, err := d.ASN(a)
		if asn != tt.asn || err != nil {
			t.Errorf("%s: got system %d, %v, want %d", tt.addr, asn, err, tt.asn)
		}
	}
	want := map[string]time.Time{"country": built, "asn": built}
	if got := d.Built(); len(got) != 2 || !got["country"].Equal(built) || !got["asn"].Equal(built) {
		t.Errorf("built: got %v, want %v", got, want)
	}
}

// What cannot be known is an error, and not an empty answer.
func TestUnknown(t *testing.T) {
	v4, none := netip.MustParseAddr("203.0.113.9"), new(place.DB)
	if c, err := none.Country(v4); c != "" || !errors.Is(err, place.ErrNoDatabase) {
		t.Errorf("zero DB: got %q, %v, want ErrNoDatabase", c, err)
	}
	if got := none.Built(); len(got) != 0 {
		t.Errorf("zero DB: got %v built", got)
	}
	c := files(t)
	c.ASN = ""
	d := open(t, c)
	if n, err := d.ASN(v4); n != 0 || !errors.Is(err, place.ErrNoDatabase) {
		t.Errorf("no database of systems: got %d, %v, want ErrNoDatabase", n, err)
	}
	if code, err := d.Country(netip.Addr{}); code != "" || err == nil {
		t.Errorf("no address: got %q, %v, want an error", code, err)
	}

	write(t, c.Country, database(t, mmdbwriter.Options{DatabaseType: "GeoLite2-Country", IPVersion: 4}, records{"203.0.113.0/24": in("DE")}))
	d = open(t, c)
	for _, a := range []netip.Addr{v4, netip.AddrFrom16(v4.As16())} {
		if code, err := d.Country(a); code != "DE" || err != nil {
			t.Errorf("%s in a database of IPv4: got %q, %v, want DE", a, code, err)
		}
	}
	if code, err := d.Country(netip.MustParseAddr("2001:db8::1")); code != "" || err == nil {
		t.Errorf("IPv6 in a database of IPv4: got %q, %v, want an error", code, err)
	}
}

func TestOpenRefuses(t *testing.T) {
	country := mmdbwriter.Options{DatabaseType: "GeoLite2-Country"}
	for _, tt := range []struct {
		name         string
		country, asn []byte
		want         []string
	}{
		{"systems as countries", systems(t), nil, []string{`country.mmdb: the type of the database is "GeoLite2-ASN", want one with Country or City or Enterprise in its name`}},
		{"countries as systems", nil, countries(t), []string{`asn.mmdb: the type of the database is "GeoLite2-Country", want one with ASN or ISP in its name`}},
		{"both wrong", systems(t), countries(t), []string{"country.mmdb: the type", "asn.mmdb: the type"}},
		{"right type, other records", database(t, mmdbwriter.Options{DatabaseType: "ISP (compat=Enterprise)"}, records{"203.0.113.0/24": of(64500)}), nil,
			[]string{"country.mmdb: no record has country.iso_code"}},
		{"no records", database(t, country, nil), nil, []string{"country.mmdb: no record has country.iso_code"}},
		{"lower case", database(t, country, records{"203.0.113.0/24": in("DE"), "192.0.2.0/24": in("fr")}), nil,
			[]string{`country.mmdb: 192.0.2.0/24: country.iso_code: want two letters in upper case, got "fr"`}},
		{"no code", database(t, country, records{"203.0.113.0/24": in("DEU")}), nil, []string{`got "DEU"`}},
		{"code of another type", database(t, country, records{"203.0.113.0/24": mmdbtype.Map{"country": mmdbtype.Map{"iso_code": mmdbtype.Uint32(49)}}}), nil,
			[]string{"country.mmdb: 203.0.113.0/24: country.iso_code: "}},
		{"country of another type", database(t, country, records{"203.0.113.0/24": mmdbtype.Map{"country": mmdbtype.String("DE")}}), nil,
			[]string{"country.mmdb: 203.0.113.0/24: country.iso_code: "}},
		{"number too large", nil, database(t, mmdbwriter.Options{DatabaseType: "GeoLite2-ASN"},
			records{"203.0.113.0/24": mmdbtype.Map{"autonomous_system_number": mmdbtype.Uint64(1 << 32)}}), []string{"asn.mmdb: 203.0.113.0/24: autonomous_system_number: "}},
		{"version 3", bytes.Replace(countries(t), []byte("binary_format_major_version\xa1\x02"), []byte("binary_format_major_version\xa1\x03"), 1), nil,
			[]string{"country.mmdb: want version 2 of the format for IPv4 or IPv6, got version 3 for IPv6"}},
		{"IPv5", bytes.Replace(countries(t), []byte("ip_version\xa1\x06"), []byte("ip_version\xa1\x05"), 1), nil,
			[]string{"country.mmdb: want version 2 of the format for IPv4 or IPv6, got version 2 for IPv5"}},
		{"text", []byte("This is prose."), nil, []string{"country.mmdb: "}},
		{"empty", []byte{}, nil, []string{"country.mmdb: "}},
		{"first half", countries(t)[:len(countries(t))/2], nil, []string{"country.mmdb: "}},
		{"second half", countries(t)[len(countries(t))/2:], nil, []string{"country.mmdb: "}},
	} {
		t.Run(tt.name, func(t *testing.T) {
			var c place.Config
			if tt.country != nil {
				c.Country = filepath.Join(t.TempDir(), "country.mmdb")
				write(t, c.Country, tt.country)
			}
			if tt.asn != nil {
				c.ASN = filepath.Join(t.TempDir(), "asn.mmdb")
				write(t, c.ASN, tt.asn)
			}
			d, err := place.Open(c)
			if err == nil || d != nil {
				t.Fatalf("got %v and error %v, want none and an error", d, err)
			}
			for _, want := range tt.want {
				if !strings.Contains(err.Error(), want) {
					t.Errorf("got %v, want %s", err, want)
				}
			}
		})
	}
	if _, err := place.Open(place.Config{ASN: filepath.Join(t.TempDir(), "asn.mmdb")}); !errors.Is(err, fs.ErrNotExist) {
		t.Errorf("got %v, want that the file does not exist", err)
	}
	if _, err := place.Open(place.Config{ASN: t.TempDir()}); err == nil || !strings.Contains(err.Error(), "want a regular file of at most 512 MiB") {
		t.Errorf("got %v, want that a folder is no file", err)
	}
}

// TestBranches has a tree of 128 nodes of which each leads twice to the next.
func TestBranches(t *testing.T) {
	content := database(t, mmdbwriter.Options{DatabaseType: "GeoLite2-Country", RecordSize: 24, DisableIPv4Aliasing: true}, records{"2001:db8::/127": in("DE")})
	for node := range 126 {
		next := []byte{0, 0, byte(node + 1)}
		copy(content[6*node:], slices.Concat(next, next))
	}
	c := files(t)
	write(t, c.Country, content)
	if _, err := place.Open(c); err == nil || !strings.Contains(err.Error(), "the tree of the database is damaged") {
		t.Errorf("got %v, want that the tree is damaged", err)
	}
}

// POL-03: a reload takes all databases or none, and what a file becomes meanwhile
// changes nothing that was read from it.
func TestPrepare(t *testing.T) {
	c := files(t)
	d := open(t, c)
	a := netip.MustParseAddr("203.0.113.9")
	check := func(when, country string, asn uint32) {
		t.Helper()
		gotCountry, errCountry := d.Country(a)
		gotASN, errASN := d.ASN(a)
		if gotCountry != country || gotASN != asn || errCountry != nil || errASN != nil {
			t.Errorf("%s: got %q, %v, %d, %v, want %q, %d", when, gotCountry, errCountry, gotASN, errASN, country, asn)
		}
	}
	if err := os.Truncate(c.Country, 0); err != nil {
		t.Fatal(err)
	}
	check("the file is empty", "DE", 64500)

	write(t, c.ASN, database(t, mmdbwriter.Options{DatabaseType: "GeoIP2-ISP"}, records{"203.0.113.0/24": of(64501)}))
	if _, err := d.Prepare(); err == nil {
		t.Error("got no error of an empty file")
	}
	check("one of two is damaged", "DE", 64500)

	write(t, c.Country, database(t, mmdbwriter.Options{DatabaseType: "GeoIP2-City", RecordSize: 32}, records{"203.0.113.0/24": in("IT")}))
	replace, err := d.Prepare()
	if err != nil {
		t.Fatal(err)
	}
	check("prepared", "DE", 64500)
	replace()
	check("replaced", "IT", 64501)
}

// TestDamage flips bits all over a database. It is refused, or it answers for
// every address: no look-up finds damage.
func TestDamage(t *testing.T) {
	c := files(t)
	content := countries(t)
	refused := 0
	for i := 0; i < len(content); i += 5 {
		damaged := bytes.Clone(content)
		damaged[i] ^= 1 << (i % 8)
		if !answers(t, c, damaged) {
			refused++
		}
	}
	if refused < len(content)/50 {
		t.Errorf("got %d of %d refused, want one in ten at least", refused, len(content)/5)
	}
}

// answers reports whether the content is a database. One that is must answer.
func answers(t testing.TB, c place.Config, content []byte) bool {
	write(t, c.Country, content)
	d, err := place.Open(c)
	if err != nil {
		return false
	}
	for _, a := range []string{"203.0.113.9", "203.0.113.200", "192.0.2.77", "10.1.2.3", "255.255.255.255"} {
		if code, err := d.Country(netip.MustParseAddr(a)); err != nil || len(code) != 0 && len(code) != 2 {
			t.Errorf("%s: got %q, %v", a, code, err)
		}
	}
	return true
}

func FuzzOpen(f *testing.F) {
	f.Add(countries(f))
	f.Add(systems(f))
	f.Add(database(f, mmdbwriter.Options{DatabaseType: "GeoIP2-Country", IPVersion: 4, RecordSize: 32}, records{"203.0.113.0/24": in("DE")}))
	f.Add(database(f, mmdbwriter.Options{DatabaseType: "City", RecordSize: 24}, records{"203.0.113.0/24": in("DE")}))
	path := filepath.Join(f.TempDir(), "country.mmdb")
	f.Fuzz(func(t *testing.T, content []byte) {
		answers(t, place.Config{Country: path}, content)
	})
}

func TestLookupAllocates(t *testing.T) {
	d := open(t, files(t))
	a := netip.MustParseAddr("203.0.113.9")
	if n := testing.AllocsPerRun(100, func() { _, _ = d.Country(a); _, _ = d.ASN(a) }); n != 0 {
		t.Errorf("got %v allocations, want none", n)
	}
}

func BenchmarkCountry(b *testing.B) {
	d := open(b, files(b))
	for _, addr := range []string{"203.0.113.9", "10.1.2.3", "2001:db8:10::1"} {
		a := netip.MustParseAddr(addr)
		b.Run(addr, func(b *testing.B) {
			b.ReportAllocs()
			for b.Loop() {
				if _, err := d.Country(a); err != nil {
					b.Fatal(err)
				}
			}
		})
	}
}
