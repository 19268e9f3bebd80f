// Package deploy holds what the program writes out for its users to start
// from; what operators install lies beside it. It must never hold a key, a
// password or an address of a real place.
package deploy

import (
	"bytes"
	"embed"
	"fmt"
	"io/fs"
	"strings"
	"text/template"
)

//go:embed demo
var files embed.FS

// A Demo says where the parts of a demo listen.
type Demo struct {
	// Listen and Farm are the addresses of the gateway and of the stand-in for
	// AD FS, Admin is that of the gateway's metrics: host:port.
	Listen, Farm, Admin string
	// Socket is that of the operators' verbs; empty for none.
	Socket string
	// URL is what clients know the gateway by: https://localhost:port. Portal is
	// where users reach the portal: https://approve.localhost:port.
	URL, Portal string
}

// Files returns the text of the demo's files by their path: for the gateway
// stsgate.yaml and policies/*.yaml, and the same below farm for the stand-in.
// They expect ca.pem, tls.crt, tls.key, sign.crt, sign.key and users.yaml
// beside them, and in farm sign.crt and sign.key.
func (d Demo) Files() (map[string][]byte, error) {
	all := make(map[string][]byte)
	err := fs.WalkDir(files, "demo", func(path string, entry fs.DirEntry, err error) error {
		if err != nil || entry.IsDir() {
			return err
		}
		text, err := files.ReadFile(path)
		if err != nil {
			return err
		}
		name, isTemplate := strings.CutSuffix(strings.TrimPrefix(path, "demo/"), ".tmpl")
		if isTemplate {
			if text, err = d.fill(path, text); err != nil {
				return err
			}
		}
		all[name] = text
		return nil
	})
	if err != nil {
		return nil, fmt.Errorf("demo files: %w", err)
	}
	return all, nil
}

// fill executes a template of a configuration.
func (d Demo) fill(path string, text []byte) ([]byte, error) {
	t, err := template.New(path).Parse(string(text))
	if err != nil {
		return nil, err
	}
	var b bytes.Buffer
	err = t.Execute(&b, d)
	return b.Bytes(), err
}
