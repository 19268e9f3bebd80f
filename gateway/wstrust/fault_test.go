package wstrust_test

import (
	"errors"
	"os"
	"path/filepath"
	"slices"
	"testing"

	"stsgate/gateway/soap"
	"stsgate/gateway/wstrust"
	"stsgate/testdata"
)

// fault reads body, which must be a fault.
func fault(t *testing.T, body []byte) *wstrust.Fault {
	t.Helper()
	_, err := wstrust.ReadAnswer(body, wstrust.V13)
	f, ok := errors.AsType[*wstrust.Fault](err)
	if !ok {
		t.Fatalf("got %v, want a fault", err)
	}
	return f
}

func TestFault(t *testing.T) { // LOCK-09
	tests := []struct {
		name   string
		sender bool
		code   soap.Name
		proof  wstrust.Proof
	}{
		{"adfs-id3082-13", true, soap.Name{Space: t13, Local: "InvalidScope"}, wstrust.ProvenRefused},
		{"adfs-id3242-13", true, soap.Name{Space: t13, Local: "FailedAuthentication"}, wstrust.NotProven},
		{"adfs-id3242-2005", true, soap.Name{Space: t2005, Local: "FailedAuthentication"}, wstrust.NotProven},
		{"adfs-id3242-german", true, soap.Name{Space: t13, Local: "FailedAuthentication"}, wstrust.NotProven},
		{"adfs-msis3127-13", true, soap.Name{Space: t13, Local: "RequestFailed"}, wstrust.ProvesNothing},
		{"adfs-msis7068-13", true, soap.Name{Space: t13, Local: "FailedAuthentication"}, wstrust.ProvenRefused},
		{"adfs-msis7068-german", true, soap.Name{Space: t2005, Local: "FailedAuthentication"}, wstrust.ProvenRefused},
		{"soap11-failed-authentication", true, soap.Name{Space: t13, Local: "FailedAuthentication"}, wstrust.NotProven},
		{"soap12-no-subcode", false, soap.Name{}, wstrust.ProvesNothing},
		{"wcf-destination-unreachable", true, soap.Name{Space: wsa, Local: "DestinationUnreachable"}, wstrust.ProvesNothing},
		{"wcf-failed-authentication", true, soap.Name{Space: soap.NSSecurity, Local: "FailedAuthentication"}, wstrust.NotProven},
		{"wcf-failed-authentication-german", true, soap.Name{Space: soap.NSSecurity, Local: "FailedAuthentication"}, wstrust.NotProven},
		{"wcf-invalid-security", true, soap.Name{Space: soap.NSSecurity, Local: "InvalidSecurity"}, wstrust.ProvesNothing},
	}
	names := testdata.Names(t, "fault")
	for _, tt := range tests {
		file := "fault/" + tt.name + ".xml"
		names = slices.DeleteFunc(names, func(n string) bool { return n == file })
		t.Run(tt.name, func(t *testing.T) {
			f := fault(t, testdata.Message(t, file))
			if f.Sender != tt.sender || f.Subcode != tt.code || f.Text == "" {
				t.Errorf("got sender %v, code %v, text %q, want %v, %v", f.Sender, f.Subcode, f.Text, tt.sender, tt.code)
			}
			if got := f.Proves(); got != tt.proof {
				t.Errorf("got proof %v, want %v", got, tt.proof)
			}
		})
	}
	if len(names) > 0 {
		t.Errorf("messages without a row: %v", names)
	}
}

func TestProves(t *testing.T) { // LOCK-09: only the leading code of a reason is read
	tests := []struct {
		space, code, text string
		want              wstrust.Proof
	}{
		{t13, "FailedAuthentication", "MSIS7068: Zugriff verweigert.", wstrust.ProvenRefused},
		{t13, "FailedAuthentication", "Access denied (MSIS7068: x).", wstrust.NotProven},
		{t13, "FailedAuthentication", "alice MSIS7068: x", wstrust.NotProven},
		{t13, "FailedAuthentication", "MSIS7068", wstrust.NotProven},
		{t13, "FailedAuthentication", "MSIS7068x: x", wstrust.NotProven},
		{t13, "FailedAuthentication", "MSIS70680: x", wstrust.NotProven},
		{t13, "FailedAuthentication", "MSIS3173: x", wstrust.NotProven},
		{t13, "FailedAuthentication", "", wstrust.NotProven},
		{soap.NSSecurity, "FailedAuthentication", "MSIS7068: x", wstrust.ProvenRefused},
		{t13, "failedauthentication", "ID3242: x", wstrust.ProvesNothing},
		{"urn:x", "FailedAuthentication", "ID3242: x", wstrust.ProvesNothing},
		{"urn:x", "InvalidScope", "ID3082: x", wstrust.ProvesNothing},
		{t2005, "InvalidScope", "", wstrust.ProvenRefused},
		{t2005, "InvalidRequest", "MSIS7068: x", wstrust.ProvesNothing},
		{"", "", "", wstrust.ProvesNothing},
	}
	for _, tt := range tests {
		f := &wstrust.Fault{Subcode: soap.Name{Space: tt.space, Local: tt.code}, Text: tt.text}
		if got := f.Proves(); got != tt.want {
			t.Errorf("{%s}%s %q: got %v, want %v", tt.space, tt.code, tt.text, got, tt.want)
		}
	}
}

func TestSharedFaults(t *testing.T) { // LOCK-09
	type row struct {
		code, text string
		sender     bool
		proof      wstrust.Proof
	}
	rows := map[string]row{
		"adal.MSIS3127.RequestFailed.xml":                {"RequestFailed", "MSIS3127: The specified request failed.", true, wstrust.ProvesNothing},
		"keystoneauth.ADFS_fault.xml":                    {"FailedAuthentication", "At least one security token in the message could not be validated.", true, wstrust.NotProven},
		"msal4j.token-error.xml":                         {"RequestFailed", "MSIS3127: The specified request failed.", true, wstrust.ProvesNothing},
		"passport-wsfed.soap-fault.xml":                  {"BadRequest", "User cancelled", true, wstrust.ProvesNothing},
		"rampart.soap11-security-fault.xml":              {"InvalidSecurity", "InvalidSecurity : error in processing the WS-Security security header", true, wstrust.ProvesNothing},
		"savon.soap_fault.xml":                           {"", "Fault occurred while processing.", false, wstrust.ProvesNothing},
		"rampart.soap11-invalid-fault.xml":               {"", "...", false, wstrust.ProvesNothing},
		"passport-wsfed.soap-fault-no-info.xml":          {"", "", false, wstrust.ProvesNothing},
		"../rstr/msal-dotnet.WsTrustResponseNoToken.xml": {"FailedAuthentication", "MSIS7068: Access denied.", true, wstrust.ProvenRefused},
	}
	dir := testdata.Shared(t, "messages/fault")
	for name, want := range rows {
		t.Run(name, func(t *testing.T) {
			body, err := os.ReadFile(filepath.Join(dir, name))
			if err != nil {
				t.Fatal(err)
			}
			f := fault(t, body)
			if f.Subcode.Local != want.code || f.Text != want.text || f.Sender != want.sender || f.Proves() != want.proof {
				t.Errorf("got %+v, proof %v, want %+v", f, f.Proves(), want)
			}
		})
	}
	files, err := filepath.Glob(filepath.Join(dir, "*.xml"))
	if err != nil {
		t.Fatal(err)
	}
	for _, file := range files {
		body, err := os.ReadFile(file)
		if err != nil {
			t.Fatal(err)
		}
		_, err = wstrust.ReadAnswer(body, 0)
		f, isFault := errors.AsType[*wstrust.Fault](err)
		_, unreadable := errors.AsType[*soap.Error](err)
		if !isFault && !unreadable {
			t.Errorf("%s: got %v, want a fault or an unreadable message", filepath.Base(file), err)
		}
		if isFault && f.Proves() == wstrust.ProvenRefused {
			t.Errorf("%s: got a proven password", filepath.Base(file))
		}
	}
}
