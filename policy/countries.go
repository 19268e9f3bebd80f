package policy

import (
	"strings"

	"go.yaml.in/yaml/v4"
)

// countryCodes are the two-letter codes of ISO 3166-1, and XK, which
// databases of addresses use for Kosovo.
const countryCodes = " AD AE AF AG AI AL AM AO AQ AR AS AT AU AW AX AZ BA BB BD BE BF BG BH BI BJ BL BM BN BO BQ BR BS BT BV BW BY BZ" +
	" CA CC CD CF CG CH CI CK CL CM CN CO CR CU CV CW CX CY CZ DE DJ DK DM DO DZ EC EE EG EH ER ES ET FI FJ FK FM FO FR" +
	" GA GB GD GE GF GG GH GI GL GM GN GP GQ GR GS GT GU GW GY HK HM HN HR HT HU ID IE IL IM IN IO IQ IR IS IT JE JM JO JP" +
	" KE KG KH KI KM KN KP KR KW KY KZ LA LB LC LI LK LR LS LT LU LV LY MA MC MD ME MF MG MH MK ML MM MN MO MP MQ MR MS MT MU MV MW MX MY MZ" +
	" NA NC NE NF NG NI NL NO NP NR NU NZ OM PA PE PF PG PH PK PL PM PN PR PS PT PW PY QA RE RO RS RU RW" +
	" SA SB SC SD SE SG SH SI SJ SK SL SM SN SO SR SS ST SV SX SY SZ TC TD TF TG TH TJ TK TL TM TN TO TR TT TV TW TZ" +
	" UA UG UM US UY UZ VA VC VE VG VI VN VU WF WS XK YE YT ZA ZM ZW "

// meantCountries are codes that people write, and what ISO 3166-1 has for them.
var meantCountries = map[string]string{"UK": "GB", "EL": "GR", "SU": "RU", "YU": "RS", "AN": "CW", "TP": "TL", "ZR": "CD"}

// country reads a country code.
func (r *reader) country(n *yaml.Node) (string, bool) {
	s, ok := r.text(n, "a country code such as DE")
	if !ok {
		return "", false
	}
	upper := strings.ToUpper(s)
	switch {
	case isCountry(s):
		return s, true
	case isCountry(upper):
		r.fail(n, "country %q: write %s", s, upper)
	case meantCountries[upper] != "":
		r.fail(n, "country %q is not in ISO 3166-1: did you mean %q?", s, meantCountries[upper])
	default:
		r.fail(n, "country %q is not a two-letter code of ISO 3166-1", s)
	}
	return "", false
}

func isCountry(s string) bool {
	return len(s) == 2 && strings.Contains(countryCodes, " "+s+" ")
}
