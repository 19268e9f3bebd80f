// Package adfstest is a farm that answers like AD FS on loopback, with its
// own authority, users and signing key, and that misbehaves on request.
//
// It is for tests. It reads messages with encoding/xml and signs by hand, so
// that it shares no code with what it tests, and it must never be part of
// what ships.
package adfstest

import (
	"crypto/sha256"
	"crypto/tls"
	"crypto/x509"
	"encoding/pem"
	"errors"
	"fmt"
	"strings"
	"sync"
)

// microsoftOnline is the realm of Entra ID.
const microsoftOnline = "urn:federation:MicrosoftOnline"

// Config says what the farm knows. Zero values mean the defaults.
type Config struct {
	// Host is the federation service name; sts.contoso.example by default.
	Host string
	// Nodes is how many servers there are; 1 by default.
	Nodes int
	// Users can sign in.
	Users []User
	// Applications are the realms for which there are tokens; by default
	// urn:federation:MicrosoftOnline. That one alone has a rule that passes the
	// claim insidecorporatenetwork, as Entra Connect writes it.
	Applications []string
	// MaxTLS is the newest TLS version that is spoken, such as
	// tls.VersionTLS12; zero means the newest there is.
	MaxTLS uint16
}

// A User is one account.
type User struct {
	// UPN and SAM (CONTOSO\alice) are the names that can be typed.
	UPN, SAM string
	Password string
	// ImmutableID is the name identifier of the tokens.
	ImmutableID string
	// Denied tells that the farm's own rules refuse every token (MSIS7068).
	Denied bool
}

// A Farm is a running farm.
type Farm struct {
	// Host is the federation service name.
	Host string
	// Nodes are the servers.
	Nodes []*Node
	// Authority vouches for the nodes; CA holds it alone.
	Authority *x509.Certificate
	CA        *x509.CertPool
	// Signer is the certificate of the key that signs the tokens at first.
	Signer *x509.Certificate

	c     Config
	tls   *tls.Config
	swaps chan swap

	mu        sync.Mutex
	delivered map[[sha256.Size]byte]int
	key       *Key
	stray     *Key   // nil until a node needs it
	published []byte // as metadata, nil for what is true
}

// Start starts the farm's nodes on ports of 127.0.0.1.
func Start(c Config) (*Farm, error) {
	if c.Host == "" {
		c.Host = "sts.contoso.example"
	}
	if c.Nodes == 0 {
		c.Nodes = 1
	}
	if c.Applications == nil {
		c.Applications = []string{microsoftOnline}
	}
	f := &Farm{Host: c.Host, c: c, swaps: make(chan swap), delivered: map[[sha256.Size]byte]int{}}
	if err := f.certify(); err != nil {
		return nil, fmt.Errorf("make certificates: %w", err)
	}
	for range c.Nodes {
		n, err := startNode(f)
		if err != nil {
			f.Close()
			return nil, fmt.Errorf("start node: %w", err)
		}
		f.Nodes = append(f.Nodes, n)
	}
	return f, nil
}

// Close stops all nodes and waits for their connections to end.
func (f *Farm) Close() {
	for _, n := range f.Nodes {
		n.Kill()
	}
}

// URLs are the nodes' addresses, as a gateway is told them.
func (f *Farm) URLs() []string {
	urls := make([]string, len(f.Nodes))
	for i, n := range f.Nodes {
		urls[i] = "https://" + n.Addr
	}
	return urls
}

// TLS is how the nodes speak TLS, for a listener that stands in for one.
func (f *Farm) TLS() *tls.Config { return f.tls.Clone() }

// CAPEM is the authority as a PEM file has it.
func (f *Farm) CAPEM() []byte {
	return pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: f.Authority.Raw})
}

// SignerPEM is the signing certificate as a PEM file has it.
func (f *Farm) SignerPEM() []byte {
	return pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: f.Signer.Raw})
}

// Deliveries is how often the nodes together were handed this very message,
// and with it its password.
func (f *Farm) Deliveries(body []byte) int {
	f.mu.Lock()
	defer f.mu.Unlock()
	return f.delivered[sha256.Sum256(body)]
}

// Requests is how many messages with a password the nodes were handed.
func (f *Farm) Requests() int {
	f.mu.Lock()
	defer f.mu.Unlock()
	sum := 0
	for _, count := range f.delivered {
		sum += count
	}
	return sum
}

func (f *Farm) deliver(body []byte) {
	f.mu.Lock()
	defer f.mu.Unlock()
	f.delivered[sha256.Sum256(body)]++
}

var errDenied = errors.New("denied")

// authenticate finds the user by a name and a password.
func (f *Farm) authenticate(name, password string) (*User, error) {
	for i := range f.c.Users {
		u := &f.c.Users[i]
		if strings.EqualFold(name, u.UPN) || u.SAM != "" && strings.EqualFold(name, u.SAM) {
			if u.Password == password {
				return u, nil
			}
		}
	}
	return nil, errDenied
}
