package directory

import (
	"crypto/tls"
	"crypto/x509"
	"fmt"
	"io"
	"os"
	"strings"
)

// maxSecret is the longest password file that is read, in bytes.
const maxSecret = 1 << 10

// secrets are what connections are made with. They are never changed.
type secrets struct {
	password string
	tls      *tls.Config
}

func readSecrets(c *LDAPConfig, host string) (*secrets, error) {
	pem, err := os.ReadFile(c.CA)
	if err != nil {
		return nil, err
	}
	roots := x509.NewCertPool()
	if !roots.AppendCertsFromPEM(pem) {
		return nil, fmt.Errorf("%s: no PEM certificate", c.CA)
	}
	password, err := readPassword(c.Password)
	if err != nil {
		return nil, err
	}
	return &secrets{password, &tls.Config{
		ServerName:         host,
		RootCAs:            roots,
		MinVersion:         tls.VersionTLS12,
		ClientSessionCache: tls.NewLRUClientSessionCache(1),
	}}, nil
}

// readPassword reads the only line of a file that its owner and its group may
// read. The error never quotes it.
func readPassword(path string) (string, error) {
	f, err := os.Open(path)
	if err != nil {
		return "", err
	}
	defer f.Close()
	fi, err := f.Stat()
	if err != nil {
		return "", err
	}
	if mode := fi.Mode().Perm(); mode&0o007 != 0 {
		return "", fmt.Errorf("%s: everybody may use it, mode %04o: chmod o= it", path, mode)
	}
	b, err := io.ReadAll(io.LimitReader(f, maxSecret+1))
	if err != nil {
		return "", err
	}
	line := strings.TrimSuffix(strings.TrimSuffix(string(b), "\n"), "\r")
	if line == "" || len(b) > maxSecret || strings.ContainsAny(line, "\r\n\x00") {
		return "", fmt.Errorf("%s: want a password in one line", path)
	}
	return line, nil
}
