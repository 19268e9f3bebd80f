package adfs_test

import (
	"bytes"
	"context"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/rsa"
	"crypto/x509"
	"errors"
	"fmt"
	"log/slog"
	"math/big"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	"github.com/prometheus/client_golang/prometheus/testutil"

	"stsgate/upstream/adfs"
	"stsgate/upstream/adfs/adfstest"
)

// certificate makes one of a key of its own.
func certificate(t testing.TB) *x509.Certificate {
	t.Helper()
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	return selfSigned(t, key.Public(), key)
}

func selfSigned(t testing.TB, public, private any) *x509.Certificate {
	t.Helper()
	template := &x509.Certificate{SerialNumber: big.NewInt(time.Now().UnixNano()), KeyUsage: x509.KeyUsageDigitalSignature}
	der, err := x509.CreateCertificate(rand.Reader, template, template, public, private)
	if err != nil {
		t.Fatal(err)
	}
	c, err := x509.ParseCertificate(der)
	if err != nil {
		t.Fatal(err)
	}
	return c
}

// startFollowing starts a fake farm, and a Farm that takes the keys from its
// metadata.
func startFollowing(t testing.TB, change func(*adfstest.Farm, *adfs.Config)) (*adfstest.Farm, *adfs.Farm) {
	t.Helper()
	behind, err := adfstest.Start(adfstest.Config{Users: users})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(behind.Close)
	c := adfs.Config{Host: behind.Host, Nodes: behind.URLs(), CA: behind.CA, Name: "gateway1.contoso.example", CheckInterval: time.Hour}
	if change != nil {
		change(behind, &c)
	}
	farm, err := adfs.New(c)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(farm.Close)
	return behind, farm
}

func newKey(t testing.TB, behind *adfstest.Farm) *adfstest.Key {
	t.Helper()
	k, err := behind.NewKey()
	if err != nil {
		t.Fatal(err)
	}
	return k
}

// metadataReads counts how often the farm's metadata was asked for.
func metadataReads(behind *adfstest.Farm) (count int) {
	for _, n := range behind.Nodes {
		for _, r := range n.Seen() {
			if strings.HasPrefix(r.Head, "GET /FederationMetadata/") {
				count++
			}
		}
	}
	return count
}

// Given keys are the only ones that count (SIG-05): all of them, whatever the
// metadata says, which is not read.
func TestSignersGiven(t *testing.T) {
	for name, c := range map[string]struct {
		given func(behind *adfstest.Farm, next *adfstest.Key) []*x509.Certificate
		first func(error) bool
		next  func(error) bool
	}{
		"old": {func(b *adfstest.Farm, _ *adfstest.Key) []*x509.Certificate { return []*x509.Certificate{b.Signer} }, isNil, isUntrusted},
		"new": {func(_ *adfstest.Farm, k *adfstest.Key) []*x509.Certificate { return []*x509.Certificate{k.Certificate} }, isUntrusted, isNil},
		"both": {func(b *adfstest.Farm, k *adfstest.Key) []*x509.Certificate {
			return []*x509.Certificate{b.Signer, k.Certificate}
		}, isNil, isNil},
		"another": {func(*adfstest.Farm, *adfstest.Key) []*x509.Certificate { return []*x509.Certificate{certificate(t)} }, isUntrusted, isUntrusted},
	} {
		t.Run(name, func(t *testing.T) {
			var next *adfstest.Key
			behind, farm := startFollowing(t, func(b *adfstest.Farm, config *adfs.Config) {
				next = newKey(t, b)
				config.Signers, config.RenewPause = c.given(b, next), time.Nanosecond
			})
			if _, err := alice("first").forward(farm); !c.first(err) {
				t.Errorf("the old key: got %v", err)
			}
			behind.SignWith(next)
			if _, err := alice("next").forward(farm); !c.next(err) {
				t.Errorf("the new key: got %v", err)
			}
			if got := metadataReads(behind); got != 0 || farm.Signers() != nil {
				t.Errorf("got %d reads of the metadata, and %v", got, farm.Signers())
			}
		})
	}
}

func isNil(err error) bool { return err == nil }

// SIG-10: an answer carries the farm's own name: that of the metadata its keys
// were read from or, for given keys, the one that AD FS has by default.
func TestFarmName(t *testing.T) {
	const named = "urn:the-farm"
	for _, given := range []bool{false, true} {
		behind, farm := startFollowing(t, func(b *adfstest.Farm, c *adfs.Config) {
			b.Publish(bytes.Replace(b.Metadata(b.Signer), []byte("http://"+b.Host+"/adfs/services/trust"), []byte(named), 1))
			if given {
				c.Signers = []*x509.Certificate{b.Signer}
			}
		})
		want := named
		if given {
			want = "http://" + behind.Host + "/adfs/services/trust"
		}
		if got := mustAnswer(t, farm, alice("1")).Farm; got != want {
			t.Errorf("given keys %v: got the farm's name %q, want %q", given, got, want)
		}
	}
}

// Given keys are replaced at once and as a whole; what cannot be used leaves
// those that were.
func TestPrepareSigners(t *testing.T) {
	var next *adfstest.Key
	var log bytes.Buffer
	behind, farm := startFollowing(t, func(b *adfstest.Farm, c *adfs.Config) {
		next = newKey(t, b)
		c.Signers, c.Log = []*x509.Certificate{b.Signer}, slog.New(slog.NewJSONHandler(&log, nil))
	})
	mustAnswer(t, farm, alice("1"))
	if replace, err := farm.PrepareSigners(nil); err == nil || replace != nil {
		t.Errorf("no certificates: got %v", err)
	}
	replace, err := farm.PrepareSigners([]*x509.Certificate{next.Certificate})
	if err != nil {
		t.Fatal(err)
	}
	mustAnswer(t, farm, alice("prepared, not replaced"))
	replace()
	if _, err := alice("2").forward(farm); !isUntrusted(err) {
		t.Errorf("the old key: got %v, want ErrUntrusted", err)
	}
	behind.SignWith(next)
	mustAnswer(t, farm, alice("3"))
	farm.Close()
	if got := strings.Count(log.String(), "signing keys were replaced"); got != 1 {
		t.Errorf("got the log\n%s", log.String())
	}
}

// Without given keys those of the metadata count. A request that comes before
// they were read waits for them.
func TestSignersFromMetadata(t *testing.T) {
	var log bytes.Buffer
	behind, farm := startFollowing(t, func(_ *adfstest.Farm, c *adfs.Config) { c.Log = slog.New(slog.NewJSONHandler(&log, nil)) })
	mustAnswer(t, farm, alice("1"))
	behind.Nodes[0].Set(adfstest.WrongSigner)
	if _, err := alice("2").forward(farm); !isUntrusted(err) {
		t.Errorf("got %v, want ErrUntrusted", err)
	}
	if got := metadataReads(behind); got != 1 || farm.Signers() != nil {
		t.Errorf("got %d reads of the metadata, and %v", got, farm.Signers())
	}
	farm.Close()
	if got := strings.Count(log.String(), "signing keys were read from the farm's metadata"); got != 1 {
		t.Errorf("got the log\n%s", log.String())
	}
}

// A farm that announces its next key loses no request when it signs with it.
func TestRolloverAnnounced(t *testing.T) {
	var next *adfstest.Key
	behind, farm := startFollowing(t, func(b *adfstest.Farm, _ *adfs.Config) {
		next = newKey(t, b)
		b.Publish(b.Metadata(b.Signer, next.Certificate))
	})
	mustAnswer(t, farm, alice("before"))
	behind.SignWith(next)
	for i := range 10 {
		mustAnswer(t, farm, alice(fmt.Sprint("after ", i)))
	}
	if got := metadataReads(behind); got != 1 {
		t.Errorf("got %d reads of the metadata, want 1", got)
	}
}

// A farm that changes its key without a word loses what comes before its
// metadata was read again, which the first of these requests brings about.
func TestRolloverUnannounced(t *testing.T) {
	behind, farm := startFollowing(t, func(_ *adfstest.Farm, c *adfs.Config) { c.RenewPause = 10 * time.Millisecond })
	mustAnswer(t, farm, alice("before"))
	behind.SignWith(newKey(t, behind))
	if _, err := alice("first").forward(farm); !isUntrusted(err) {
		t.Errorf("got %v, want ErrUntrusted", err)
	}
	eventually(t, "an answer under the new key", func() bool {
		_, err := alice("next").forward(farm)
		return err == nil
	})
	if got := metadataReads(behind); got < 2 || got > 4 {
		t.Errorf("got %d reads of the metadata, want the first and one more", got)
	}
}

// A key that the metadata no longer names is no longer trusted.
func TestKeyRevoked(t *testing.T) {
	behind, farm := startFollowing(t, func(_ *adfstest.Farm, c *adfs.Config) {
		c.RenewPause, c.RenewInterval = time.Millisecond, 2*time.Millisecond
	})
	mustAnswer(t, farm, alice("before"))
	behind.Publish(behind.Metadata(newKey(t, behind).Certificate))
	eventually(t, "the old key is not trusted", func() bool {
		_, err := alice("after").forward(farm)
		return isUntrusted(err)
	})
}

// However many answers are signed by a foreign key, the metadata is read once
// in RenewPause at most.
func TestRenewIsBounded(t *testing.T) {
	const pause = 100 * time.Millisecond
	began := time.Now()
	behind, farm := startFollowing(t, func(_ *adfstest.Farm, c *adfs.Config) { c.RenewPause = pause })
	mustAnswer(t, farm, alice("before"))
	behind.Nodes[0].Set(adfstest.WrongSigner)
	var flood sync.WaitGroup
	for worker := range 4 {
		flood.Go(func() {
			for i := range 50 {
				if _, err := alice(fmt.Sprint(worker, " ", i)).forward(farm); !isUntrusted(err) {
					t.Errorf("got %v, want ErrUntrusted", err)
				}
			}
		})
	}
	flood.Wait()
	got, most := metadataReads(behind), 1+int(time.Since(began)/pause)
	if got > most {
		t.Errorf("got %d reads of the metadata, want %d at most", got, most)
	}
	eventually(t, "the metadata is read again", func() bool { return metadataReads(behind) >= 2 })
}

// unusable is metadata that names no keys to verify with, by the error that it
// leads to.
func unusable(t testing.TB, f *adfstest.Farm) map[string][]byte {
	t.Helper()
	good := string(f.Metadata(f.Signer))
	bend := func(from, to string) []byte {
		if !strings.Contains(good, from) {
			t.Fatalf("the metadata holds no %s", from)
		}
		return []byte(strings.ReplaceAll(good, from, to))
	}
	weak, err := rsa.GenerateKey(rand.Reader, 1024)
	if err != nil {
		t.Fatal(err)
	}
	key := good[strings.Index(good, "<X509Certificate>"):strings.Index(good, "</X509Data>")]
	return map[string][]byte{
		"XML-":                           bend("</EntityDescriptor>", ""), // cut short
		"DOCTYPE":                        append([]byte(`<!DOCTYPE x [<!ENTITY e SYSTEM "file:///etc/passwd">]>`), good...),
		"1048576":                        append([]byte(good), bytes.Repeat([]byte(" "), 1<<20)...),
		"the root is no":                 []byte("<html></html>"),
		"no security token service":      bend("fed:SecurityTokenServiceType", "fed:ApplicationServiceType"),
		"with a signing key":             bend(`use="signing"`, `use="encryption"`),
		"9 certificates, need 1 to 8":    f.Metadata(slices.Repeat([]*x509.Certificate{f.Signer}, 9)...),
		"RSA of 1024 bits":               f.Metadata(selfSigned(t, weak.Public(), weak)),
		"two X509Certificate":            bend(key, key+key),
		"no X509Certificate":             bend(key, ""),
		"certificate in a KeyDescriptor": bend(key, "<X509Certificate>AAAA</X509Certificate>"),
		"no entityID":                    bend(` entityID="http://`+f.Host+`/adfs/services/trust"`, ""),
		"illegal base64":                 bend(key, "<X509Certificate>!</X509Certificate>"),
	}
}

// Metadata that cannot be used is no metadata: without keys nothing is
// forwarded, and no password leaves. It is read again soon.
func TestMetadataUnusable(t *testing.T) {
	behind, _ := start(t, adfstest.Config{}, nil)
	for want, document := range unusable(t, behind) {
		t.Run(want, func(t *testing.T) {
			t.Parallel()
			registry := prometheus.NewRegistry()
			behind, farm := startFollowing(t, func(b *adfstest.Farm, c *adfs.Config) {
				b.Publish(document)
				c.Metrics, c.RenewPause = registry, 10*time.Millisecond
			})
			a := alice("early")
			if _, err := a.forward(farm); !isDown(err) || !strings.Contains(err.Error(), want) {
				t.Errorf("got %v, want ErrDown with %q", err, want)
			}
			if err := farm.Signers(); err == nil || !strings.Contains(err.Error(), want) {
				t.Errorf("got %v, want %q in it", err, want)
			}
			if got := behind.Requests(); got != 0 {
				t.Errorf("got %d passwords delivered, want none", got)
			}
			if got := failures(t, registry); got < 1 {
				t.Errorf("got %v failures counted", got)
			}
			behind.Publish(nil)
			eventually(t, "the keys are known", func() bool { return farm.Signers() == nil })
			mustAnswer(t, farm, alice("late"))

			behind.Publish(document)
			before := failures(t, registry)
			behind.Nodes[0].Set(adfstest.WrongSigner)
			eventually(t, "the metadata is read again", func() bool {
				_, err := alice("foreign").forward(farm)
				return isUntrusted(err) && failures(t, registry) > before
			})
			behind.Nodes[0].Set(adfstest.Regular)
			mustAnswer(t, farm, alice("last")) // by the keys that were known
		})
	}
}

func failures(t testing.TB, registry *prometheus.Registry) (count float64) {
	t.Helper()
	families, err := registry.Gather()
	if err != nil {
		t.Fatal(err)
	}
	for _, f := range families {
		if f.GetName() == "stsgate_farm_metadata_failures_total" {
			return f.GetMetric()[0].GetCounter().GetValue()
		}
	}
	t.Fatal("no stsgate_farm_metadata_failures_total")
	return 0
}

// Keys of other roles sign other things than tokens.
func TestOtherRoles(t *testing.T) {
	var other *adfstest.Key
	behind, farm := startFollowing(t, func(b *adfstest.Farm, c *adfs.Config) {
		other = newKey(t, b)
		role := strings.NewReplacer("<RoleDescriptor ", "<IDPSSODescriptor ", "</RoleDescriptor>", "</IDPSSODescriptor>").
			Replace(string(b.Metadata(other.Certificate)))
		role = role[strings.Index(role, "<IDPSSO"):strings.Index(role, "</EntityDescriptor>")]
		b.Publish([]byte(strings.Replace(string(b.Metadata(b.Signer)), "<RoleDescriptor ", role+"<RoleDescriptor ", 1)))
	})
	mustAnswer(t, farm, alice("1"))
	behind.SignWith(other)
	if _, err := alice("2").forward(farm); !isUntrusted(err) {
		t.Errorf("got %v, want ErrUntrusted", err)
	}
}

// A farm that is down when the gateway starts is used when it is up.
func TestMetadataOfALateFarm(t *testing.T) {
	behind, farm := startFollowing(t, func(b *adfstest.Farm, c *adfs.Config) {
		b.Nodes[0].Kill()
		c.CheckInterval, c.RenewPause = 10*time.Millisecond, 10*time.Millisecond
	})
	if _, err := alice("early").forward(farm); !isDown(err) {
		t.Errorf("got %v, want ErrDown", err)
	}
	if err := behind.Nodes[0].Restart(); err != nil {
		t.Fatal(err)
	}
	eventually(t, "the keys are known", func() bool { return farm.Signers() == nil })
	mustAnswer(t, farm, alice("late"))
}

// A client that goes away does not wait for keys.
func TestCanceledBeforeSigners(t *testing.T) {
	_, farm := startFollowing(t, func(b *adfstest.Farm, _ *adfs.Config) { b.Nodes[0].Set(adfstest.Stall) })
	ctx, cancel := context.WithCancel(context.Background())
	cancel()
	if _, err := farm.Forward(ctx, alice("1").request(), alice("1").origin()); !errors.Is(err, context.Canceled) {
		t.Errorf("got %v, want the context's error", err)
	}
	if err := farm.Signers(); err == nil {
		t.Error("the keys are known")
	}
}

// SIG-01, SIG-03, SIG-05: a token that is not the farm's is counted, costs the
// connection that brought it, and none of its bytes comes back.
func TestUntrusted(t *testing.T) {
	for _, b := range []adfstest.Behaviour{adfstest.WrongSigner, adfstest.Unsigned, adfstest.Wrapped} {
		for _, tokenType := range []string{"urn:oasis:names:tc:SAML:1.0:assertion", "urn:oasis:names:tc:SAML:2.0:assertion"} {
			t.Run(b.String()+" "+tokenType, func(t *testing.T) {
				registry := prometheus.NewRegistry()
				behind, farm := start(t, adfstest.Config{}, func(c *adfs.Config) { c.Metrics = registry })
				a := alice("1")
				a.tokenType = tokenType
				mustAnswer(t, farm, a)
				behind.Nodes[0].Set(b)
				answer, err := a.forward(farm)
				if answer != nil || !isUntrusted(err) || strings.Contains(err.Error(), "<") {
					t.Errorf("got %v, %v", answer, err)
				}
				if err := testutil.GatherAndCompare(registry, strings.NewReader(fmt.Sprintf(`
# HELP stsgate_farm_connections Connections to an AD FS node by state: idle, or busy with a request.
# TYPE stsgate_farm_connections gauge
stsgate_farm_connections{node="%s",state="busy"} 0
stsgate_farm_connections{node="%[1]s",state="idle"} 0
`, behind.Nodes[0].Addr)), "stsgate_farm_connections"); err != nil {
					t.Error(err)
				}
				if got := outcomes(t, registry)["untrusted"]; got != 1 {
					t.Errorf("got %v untrusted answers counted, want 1", got)
				}
			})
		}
	}
}

// HTTP-11: a connection that brought an answer which the gateway distrusts is not
// used again, and no other is lost.
func TestDistrust(t *testing.T) {
	behind, farm := start(t, adfstest.Config{}, nil)
	mustAnswer(t, farm, alice("1"))
	eventually(t, "the first check was made", func() bool { return behind.Nodes[0].Accepted() == 2 })
	before := behind.Nodes[0].Accepted()
	answer := mustAnswer(t, farm, alice("2"))
	if got := behind.Nodes[0].Accepted() - before; got != 0 {
		t.Fatalf("got %d new connections, want none", got)
	}
	answer.Distrust()
	mustAnswer(t, farm, alice("3"))
	mustAnswer(t, farm, alice("4"))
	if got := behind.Nodes[0].Accepted() - before; got != 1 {
		t.Errorf("got %d new connections, want 1", got)
	}
}

// outcomes are the requests to the farm's nodes by outcome.
func outcomes(t testing.TB, registry *prometheus.Registry) map[string]float64 {
	t.Helper()
	families, err := registry.Gather()
	if err != nil {
		t.Fatal(err)
	}
	all := map[string]float64{}
	for _, f := range families {
		if f.GetName() != "stsgate_farm_requests_total" {
			continue
		}
		for _, m := range f.GetMetric() {
			for _, l := range m.GetLabel() {
				if l.GetName() == "outcome" {
					all[l.GetValue()] += m.GetCounter().GetValue()
				}
			}
		}
	}
	return all
}
