package wstrust_test

import (
	"strings"
	"testing"

	"stsgate/gateway/wstrust"
	"stsgate/testdata"
)

func TestCheckAddress(t *testing.T) { // SOAP-04, SOAP-06, SOAP-17
	const host, port, path = "sts.contoso.example", "8443", "/adfs/services/trust/13/usernamemixed"
	const own = "https://sts.contoso.example/adfs/services/trust/13/usernamemixed"
	body := string(testdata.Message(t, "rst/msal-net-13.xml"))
	for _, tt := range []struct{ to, want string }{
		{own, "accepted"},
		{own + "/", "accepted"},
		{"\n  " + own + " ", "accepted"},
		{"HTTPS://STS.contoso.example/ADFS/services/trust/13/UserNameMixed", "accepted"},
		{"https://sts.contoso.example:443" + path, "accepted"},
		{"https://sts.contoso.example:8443" + path, "accepted"},
		{"https://sts.contoso.example:9443" + path, "misaddressed"},
		{"https://sts.contoso.example:" + path, "misaddressed"},
		{"https://sts.contoso.example:443:443" + path, "misaddressed"},
		{"http://sts.contoso.example" + path, "misaddressed"},
		{"https:/" + path, "misaddressed"},
		{"https://" + path, "misaddressed"},
		{"https://evil.example" + path, "misaddressed"},
		{"https://sts.contoso.example.evil.example" + path, "misaddressed"},
		{"https://sts.contoso.example." + path, "misaddressed"},
		{"https://sts.contoso.example@evil.example" + path, "misaddressed"},
		{"https://alice@sts.contoso.example" + path, "misaddressed"},
		{own + "?x=1", "misaddressed"},
		{own + "?", "misaddressed"},
		{own + "#x", "misaddressed"},
		{own + "//", "misaddressed"},
		{strings.Replace(own, "adfs", "%61dfs", 1), "misaddressed"},
		{strings.Replace(own, "/adfs", `\adfs`, 1), "misaddressed"},
		{strings.Replace(own, "sts.", "\u017fts.", 1), "misaddressed"}, // folds to s
		{strings.Replace(own, "/13/", "/2005/", 1), "misaddressed"},
		{"https://sts.contoso.example", "misaddressed"},
		{"urn:x", "misaddressed"},
	} {
		t.Run(tt.to, func(t *testing.T) {
			r, err := read(edit(t, body, own, tt.to))
			if err != nil {
				t.Fatal(err)
			}
			for _, needed := range []bool{false, true} {
				if err := r.CheckAddress(host, port, path, needed); verdict(err) != tt.want {
					t.Errorf("needed %v: got %v, want %s", needed, err, tt.want)
				}
			}
		})
	}

	for _, tt := range []struct {
		name   string
		edits  []string
		issue  string
		needed string
	}{
		{"no To", cut(t, "rst/msal-net-13.xml", "<wsa:To ", "</wsa:To>"), "accepted", "misaddressed"},
		{"no Action", cut(t, "rst/msal-net-13.xml", "<wsa:Action ", "</wsa:Action>"), "accepted", "misaddressed"},
		{"slash", []string{`xmlns:wst="` + t13, `xmlns:wst="` + t13 + "/"}, "accepted", "unsupported"},
		{"padded KeyType", []string{"/Bearer<", "/Bearer <"}, "accepted", "unsupported"},
		{"policy 1.5", []string{wstrust.NSPolicy, "http://www.w3.org/ns/ws-policy"}, "accepted", "unsupported"},
		{"messageID", []string{"<wsa:MessageID>", "<wsa:messageID>", "</wsa:MessageID>", "</wsa:messageID>"}, "accepted", "accepted"},
	} {
		t.Run(tt.name, func(t *testing.T) {
			r, err := read(edit(t, body, tt.edits...))
			if err != nil {
				t.Fatal(err)
			}
			if err := r.CheckAddress(host, port, path, false); verdict(err) != tt.issue {
				t.Errorf("issue: got %v, want %s", err, tt.issue)
			}
			if err := r.CheckAddress(host, port, path, true); verdict(err) != tt.needed {
				t.Errorf("forward: got %v, want %s", err, tt.needed)
			}
		})
	}
}

func TestTolerances(t *testing.T) { // SOAP-17
	seen := make(map[string]bool)
	for _, tolerance := range wstrust.Tolerances() {
		if tolerance.String() == "" || tolerance.Meaning() == "" || tolerance.Needs() == "" || seen[tolerance.String()] {
			t.Errorf("tolerance %d: got %q, %q, %q, want three texts and a name of its own", tolerance, tolerance, tolerance.Meaning(), tolerance.Needs())
		}
		seen[tolerance.String()] = true
	}
}
