package main

import (
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/rsa"
	"crypto/x509"
	"errors"
	"fmt"
	"io/fs"
	"net"
	"os"
	"path/filepath"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/rogpeppe/go-internal/testscript"

	"stsgate/gateway/account"
	"stsgate/gateway/state"
	"stsgate/upstream/adfs/adfstest"
	"stsgate/upstream/directory"
)

// Passwords of the cast. They have what XML escapes.
const (
	alicePassword = `correct horse & battery <staple>`
	bobPassword   = `Tr0ub4dor&3 "and" more`
	wrongPassword = `hunter2 & <guesses>`
)

// castUsers are who can sign in, here and at the farm.
func castUsers() []directory.User {
	return []directory.User{
		{Name: "alice@contoso.example", GUID: "0f8fad5b-d9cb-469f-a165-70867728950e", Domain: "CONTOSO", Groups: []string{"staff"}},
		{Name: "bob@contoso.example", GUID: "7c9e6679-7425-40de-944b-e07fc1f90ae7", Domain: "CONTOSO", Groups: []string{"staff", "contractors"}},
	}
}

// farmUsers are the same users as the farm knows them.
func farmUsers() []adfstest.User {
	var all []adfstest.User
	for i, u := range castUsers() {
		a := account.Account{ID: u.GUID}
		all = append(all, adfstest.User{UPN: u.Name, Password: []string{alicePassword, bobPassword}[i], ImmutableID: a.ImmutableID()})
	}
	return all
}

// cast makes, once, what every script finds in its folder: hashing passwords
// and making RSA keys takes long.
var cast = sync.OnceValues(func() (map[string][]byte, error) {
	dir, err := os.MkdirTemp("", "stsgate-cast-")
	if err != nil {
		return nil, err
	}
	defer os.RemoveAll(dir)
	if err := writeServerCertificate(dir, time.Now().Add(time.Hour)); err != nil {
		return nil, err
	}
	key, err := rsa.GenerateKey(rand.Reader, 2048)
	if err != nil {
		return nil, err
	}
	sign := demoCertificate("token signing")
	if err := writeCertificate(dir, "sign", sign, sign, key, key); err != nil {
		return nil, err
	}
	passwords := map[string]string{"alice": alicePassword, "bob": bobPassword, "wrong": wrongPassword}
	for name, p := range passwords {
		if err := os.WriteFile(filepath.Join(dir, name+".password"), []byte(p+"\n"), 0o600); err != nil {
			return nil, err
		}
	}
	if err := os.WriteFile(filepath.Join(dir, "state.key"), state.NewKey(), 0o600); err != nil {
		return nil, err
	}
	for i, u := range castUsers() {
		password := account.NewPassword([]byte([]string{alicePassword, bobPassword}[i]))
		if err := directory.AddUser(filepath.Join(dir, "users.yaml"), u, password); err != nil {
			return nil, err
		}
	}
	all := map[string][]byte{}
	files := os.DirFS(dir)
	entries, err := fs.ReadDir(files, ".")
	for _, e := range entries {
		b, readErr := fs.ReadFile(files, e.Name())
		all[e.Name()], err = b, errors.Join(err, readErr)
	}
	return all, err
})

// writeCast writes what the script does not bring itself.
func writeCast(dir string) error {
	files, err := cast()
	if err != nil {
		return fmt.Errorf("make the cast: %w", err)
	}
	for name, b := range files {
		path := filepath.Join(dir, name)
		if _, err := os.Stat(path); err == nil {
			continue
		}
		if err := os.WriteFile(path, b, 0o600); err != nil {
			return err
		}
	}
	return nil
}

// writeServerCertificate writes ca.pem, tls.crt and tls.key.
func writeServerCertificate(dir string, until time.Time) error {
	caKey, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		return err
	}
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		return err
	}
	ca := demoCertificate("authority of the scripts")
	ca.IsCA, ca.BasicConstraintsValid, ca.KeyUsage = true, true, x509.KeyUsageCertSign
	leaf := demoCertificate("sts.contoso.example")
	leaf.NotBefore, leaf.NotAfter = until.Add(-24*time.Hour), until
	leaf.DNSNames, leaf.IPAddresses = []string{"sts.contoso.example", "localhost", demoPortal}, []net.IP{net.IPv4(127, 0, 0, 1)}
	leaf.ExtKeyUsage = []x509.ExtKeyUsage{x509.ExtKeyUsageServerAuth}
	return errors.Join(writeCertificate(dir, "ca", ca, ca, caKey, nil), writeCertificate(dir, "tls", leaf, ca, caKey, key))
}

// renew [expired] writes another tls.crt and tls.key, from another authority,
// which is added to those in ca.pem.
func (s *story) renew(_ *testscript.TestScript, args []string) error {
	until := time.Now().Add(time.Hour)
	if len(args) == 1 && args[0] == "expired" {
		until = time.Now().Add(-time.Hour)
	} else if len(args) != 0 {
		return misuse("usage: renew [expired]")
	}
	file := filepath.Join(s.dir, "ca.pem")
	before, err := os.ReadFile(file)
	if err != nil {
		return err
	}
	if err := writeServerCertificate(s.dir, until); err != nil {
		return err
	}
	added, err := os.ReadFile(file)
	if err != nil {
		return err
	}
	return os.WriteFile(file, append(before, added...), 0o600)
}

// nextPort counts through ports that the system does not give to others, so
// that what was free stays so until a gateway listens there.
var nextPort atomic.Int32

func freeAddress() string {
	const first, many = 20000, 10000
	for {
		port := first + (os.Getpid()*50+int(nextPort.Add(1)))%many
		l, err := net.Listen("tcp", fmt.Sprintf("127.0.0.1:%d", port))
		if err != nil {
			continue
		}
		defer l.Close()
		return l.Addr().String()
	}
}

// The leak search of a story finds what it is for.
func TestStoryFindsLeaks(t *testing.T) {
	for name, text := range map[string]string{
		"password": alicePassword, "escaped": "correct horse &amp; battery", "stack": "goroutine 7 [running]:", "race": "WARNING: DATA RACE", "token": "<ds:SignatureValue>",
	} {
		t.Run(name, func(t *testing.T) {
			dir := t.TempDir()
			for file, content := range map[string]string{"alice.password": alicePassword + "\n", "gateway.log": "before " + text + " after\n"} {
				if err := os.WriteFile(filepath.Join(dir, file), []byte(content), 0o600); err != nil {
					t.Fatal(err)
				}
			}
			if err := (&story{dir: dir}).leaks(); err == nil {
				t.Error("not found")
			}
		})
	}
}
