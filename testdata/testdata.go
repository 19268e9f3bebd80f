// Package testdata holds what several packages' tests share. Only tests
// import it.
//
// messages/ has WS-Trust messages, written here in the shapes that real
// clients and AD FS have:
//
//   - rst: one request of each client's shape, named after client and
//     WS-Trust version. Each is from alice (as alice@contoso.example,
//     CONTOSO\alice or alice), whose password begins with Str0ng&<, to the
//     usernamemixed endpoint of its version on sts.contoso.example, and is
//     fresh at 2026-03-02T08:00:30Z.
//   - rst-other: requests of other shapes, named after endpoint, type or what
//     is special in them: other credentials, other types, tokens in the request.
//     Signatures, certificates and tickets are made up.
//   - rstr: answers in AD FS's form. Their signatures are not real.
//   - fault: faults in the forms of AD FS and WCF, in two languages.
package testdata

import (
	"embed"
	"io/fs"
	"path"
	"testing"
)

// Messages holds the folders of messages/.
//
//go:embed messages
var Messages embed.FS

// Message returns one message, such as rst/msal-net-13.xml.
func Message(t testing.TB, name string) []byte {
	t.Helper()
	b, err := Messages.ReadFile(path.Join("messages", name))
	if err != nil {
		t.Fatal(err)
	}
	return b
}

// Names returns the names of all messages in a folder, such as rst, in the
// form that Message takes.
func Names(t testing.TB, folder string) []string {
	t.Helper()
	entries, err := fs.ReadDir(Messages, path.Join("messages", folder))
	if err != nil {
		t.Fatal(err)
	}
	names := make([]string, len(entries))
	for i, e := range entries {
		names[i] = path.Join(folder, e.Name())
	}
	return names
}
