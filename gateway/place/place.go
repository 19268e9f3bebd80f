// Package place tells where an address is: the country, and the autonomous
// system that announces it, from databases in the MaxMind DB format (GeoLite2,
// GeoIP2 and those of others in that format).
//
// What cannot be known is an error, and never an empty answer: empty says that
// the database was asked and has none, as for a private address.
//
// A database is in memory as a whole and every record of it is read before it
// is used. So a file may be overwritten in place at any time, a look-up meets
// no damage, and a database that was replaced is freed when nobody uses it any
// more. The package never fetches a database, and never guesses from another
// field of a record.
package place

import (
	"errors"
	"net/netip"
	"time"
)

// ErrNoDatabase says that there is no database for what was asked.
var ErrNoDatabase = errors.New("no database")

// Config names the databases, each optional: the zero Config has none.
type Config struct {
	// Country is a file whose records have country.iso_code, such as
	// GeoLite2-Country.mmdb.
	Country string
	// ASN is a file whose records have autonomous_system_number, such as
	// GeoLite2-ASN.mmdb.
	ASN string
}

// A DB tells where addresses are. The zero DB has no database. All methods may
// be called at the same time.
type DB struct {
	country file[string]
	asn     file[uint32]
}

// Open reads the databases. The error joins what is wrong with any of them:
// that a file cannot be read, is damaged, or is of another kind.
func Open(c Config) (*DB, error) {
	d := &DB{}
	d.country.path, d.asn.path = c.Country, c.ASN
	replace, err := d.Prepare()
	if err != nil {
		return nil, err
	}
	replace()
	return d, nil
}

// Prepare reads the files again and returns what replaces all databases at
// once. Until that is called, and after an error, which is as Open's, they
// stay as they are.
func (d *DB) Prepare() (replace func(), err error) {
	country, errCountry := d.country.load(countries())
	asn, errASN := d.asn.load(systems())
	if err := errors.Join(errCountry, errASN); err != nil {
		return nil, err
	}
	return func() {
		d.country.current.Store(country)
		d.asn.current.Store(asn)
	}, nil
}

// Country returns the two-letter code of ISO 3166-1, in upper case, of the
// country where the address is, which need not be the country that it is
// registered in; empty for an address in none. The error is ErrNoDatabase, or
// says that the address cannot be in this database: it is no address, or IPv6
// in a database of IPv4.
func (d *DB) Country(a netip.Addr) (string, error) { return d.country.lookup(a) }

// ASN returns the number of the autonomous system that announces the address,
// 0 for none. The error is as Country's.
func (d *DB) ASN(a netip.Addr) (uint32, error) { return d.asn.lookup(a) }

// Built tells when the databases were built, by their names, country and asn.
func (d *DB) Built() map[string]time.Time {
	built := map[string]time.Time{}
	if c := d.country.current.Load(); c != nil {
		built["country"] = c.built()
	}
	if a := d.asn.current.Load(); a != nil {
		built["asn"] = a.built()
	}
	return built
}
