package policy_test

import "testing"

// TestTakesIssuer: SIG-10, the issuer in the application's list, with a
// pattern per UPN suffix.
func TestTakesIssuer(t *testing.T) {
	const (
		farm   = "http://sts.contoso.example/adfs/services/trust"
		suffix = `["http://{domain}/adfs/services/trust/"]`
	)
	upns := []string{"bob@emea.contoso.example"}
	tests := []struct {
		name, issuers, issuer string
		upns                  []string
		want                  bool
	}{
		{"no list: the farm's name", "", farm, upns, true},
		{"no list: another", "", farm + "/", upns, false},
		{"no list: without case", "", "http://STS.contoso.example/adfs/services/trust", upns, false},
		{"exact", `["urn:a", "urn:b"]`, "urn:b", nil, true},
		{"exact: the farm's name is not in the list", `["urn:a"]`, farm, upns, false},
		{"exact: longer", `["urn:a"]`, "urn:ab", nil, false},
		{"start", `["urn:a:*"]`, "urn:a:b", nil, true},
		{"start: other", `["urn:a:*"]`, "urn:b:a:", nil, false},
		{"end", `["*:a"]`, "urn:a", nil, true},
		{"end: other", `["*:a"]`, "urn:a:", nil, false},
		{"suffix", suffix, "http://emea.contoso.example/adfs/services/trust/", upns, true},
		{"suffix: without case", suffix, "http://EMEA.Contoso.example/adfs/services/trust/", upns, true},
		{"suffix: the domain above", suffix, "http://contoso.example/adfs/services/trust/", upns, true},
		{"suffix: a top-level domain", suffix, "http://example/adfs/services/trust/", upns, false},
		{"suffix: below", suffix, "http://x.emea.contoso.example/adfs/services/trust/", upns, false},
		{"suffix: part of a label", suffix, "http://ontoso.example/adfs/services/trust/", upns, false},
		{"suffix: starts with a dot", suffix, "http://.contoso.example/adfs/services/trust/", upns, false},
		{"suffix: nothing", suffix, "http:///adfs/services/trust/", []string{"bob@"}, false},
		{"suffix: another domain", suffix, "http://fabrikam.example/adfs/services/trust/", upns, false},
		{"suffix: one of two", suffix, "http://fabrikam.example/adfs/services/trust/", []string{upns[0], "bob@fabrikam.example"}, true},
		{"suffix: the last @", suffix, "http://fabrikam.example/adfs/services/trust/", []string{"bob@fabrikam.example@contoso.example"}, false},
		{"suffix: no UPN", suffix, "http://contoso.example/adfs/services/trust/", nil, false},
		{"suffix: no @", suffix, "http://bob/adfs/services/trust/", []string{"bob"}, false},
		{"suffix: one label", suffix, "http://corp/adfs/services/trust/", []string{"bob@corp"}, true},
		{"suffix: shorter than the pattern", `["a{domain}a"]`, "a", []string{"bob@a"}, false},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			list := ""
			if tt.issuers != "" {
				list = ", issuers: " + tt.issuers
			}
			a := load(t, "applications:\n  p: {realms: [urn:p], answer: forward"+list+"}\n").Application("urn:p")
			if got := a.TakesIssuer(tt.issuer, farm, tt.upns); got != tt.want {
				t.Errorf("got %v for %s", got, tt.issuer)
			}
		})
	}
}
