package gateway

import "stsgate/policy"

const placeFacts policy.FactSet = 1<<policy.ClientCountry | 1<<policy.ClientASN

// gatherPlaces asks where the client's addresses are, as far as a rule or the
// record asks. Where that is not known of one of them, it is not known of the client.
func (x *exchange) gatherPlaces() {
	x.read |= (x.set.Mentions() | x.g.c.Record) & placeFacts
	country, asn := x.read.Has(policy.ClientCountry), x.read.Has(policy.ClientASN)
	addresses := x.client.Addresses()
	if len(addresses) == 0 || !country && !asn {
		return
	}
	places := make([]policy.Place, len(addresses))
	for i, a := range addresses {
		var err error
		if country {
			places[i].Country, err = x.g.c.Places.Country(a)
			country = err == nil
		}
		if asn {
			places[i].ASN, err = x.g.c.Places.ASN(a)
			asn = err == nil
		}
	}
	x.facts.Client.Places = places
	if country {
		x.facts.Known = x.facts.Known.With(policy.ClientCountry)
	}
	if asn {
		x.facts.Known = x.facts.Known.With(policy.ClientASN)
	}
}
