package main

import (
	"context"
	"log/slog"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"stsgate/gateway/admin"
	"stsgate/gateway/config"
	"stsgate/upstream/adfs/adfstest"
)

// HDR-06, HDR-08: proofs are made at start, daily, when a reload asks for them,
// and a minute after one that nobody answered.
func TestRepeat(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		ctx, stop := context.WithCancel(t.Context())
		defer stop()
		begin := time.Now()
		var at []time.Duration
		answers := []bool{false, false, true, true, true}
		asked := make(chan struct{}, 1)
		go repeat(ctx, asked, func() bool {
			at = append(at, time.Since(begin))
			return answers[len(at)-1]
		})
		time.Sleep(3 * time.Hour)
		asked <- struct{}{}
		time.Sleep(25 * time.Hour)
		stop()
		synctest.Wait()
		want := []time.Duration{0, time.Minute, 2 * time.Minute, 3 * time.Hour, 27 * time.Hour}
		if len(at) != len(want) {
			t.Fatalf("got proofs at %v, want %v", at, want)
		}
		for i := range want {
			if at[i] != want[i] {
				t.Errorf("got proofs at %v, want %v", at, want)
			}
		}
	})
}

// proven is a daemon's part that proves, in front of a fake farm.
func proven(t *testing.T, password string, change func(*config.ADFS)) (*adfstest.Farm, *daemon) {
	t.Helper()
	behind, err := adfstest.Start(adfstest.Config{Host: "localhost", Users: []adfstest.User{{UPN: "svc@contoso.example", Password: "battery", ImmutableID: "c3Zj"}}})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(behind.Close)
	file := filepath.Join(t.TempDir(), "password")
	if err := os.WriteFile(file, []byte(password+"\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	ca := filepath.Join(t.TempDir(), "ca.pem")
	if err := os.WriteFile(ca, behind.CAPEM(), 0o600); err != nil {
		t.Fatal(err)
	}
	c := config.Defaults()
	c.Host = behind.Host
	c.Upstream.ADFS = &config.ADFS{
		Nodes: behind.URLs(), CA: ca, Probe: config.ProbeTLS, Outside: "127.0.0.2",
		Proof: &config.ADFSProof{User: "svc@contoso.example", Password: file, Application: cloudRealm},
	}
	change(c.Upstream.ADFS)
	d := &daemon{c: c, log: slog.New(slog.DiscardHandler), parts: &parts{farmCA: behind.CA}, again: again{make(chan struct{}, 1), make(chan struct{}, 1)}}
	if d.farm, err = newFarm(c, d.parts, nil, d.log); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(d.farm.Close)
	return behind, d
}

// advised waits for a check to say what it is to say.
func advised(t *testing.T, d *daemon, name, want string) {
	t.Helper()
	var got admin.Check
	tick := time.NewTicker(10 * time.Millisecond)
	defer tick.Stop()
	for deadline := time.Now().Add(20 * time.Second); time.Now().Before(deadline); <-tick.C {
		for _, c := range farmChecks(d.c.Upstream.ADFS, d.farm) {
			if c.Name == name {
				got = c
			}
		}
		if got.OK == (want == "") && strings.Contains(got.Error, want) {
			if !got.Advice || got.Unready() {
				t.Errorf("%s ends readiness: %+v", name, got)
			}
			return
		}
	}
	t.Fatalf("got %+v, want %q", got, want)
}

// HDR-06, HDR-08: health is red until something proves that the farm takes the
// gateway for outside and that nobody else reaches its nodes, and where it is
// otherwise. The gateway stays in service.
func TestFarmProofs(t *testing.T) {
	same := func(*config.ADFS) {}
	t.Run("outside, and open to others", func(t *testing.T) {
		behind, d := proven(t, "battery", same)
		advised(t, d, "farm-extranet", "unproven: no token says")
		d.proveFarm(t.Context())
		advised(t, d, "farm-extranet", "")
		advised(t, d, "farm-direct", "violated: "+behind.Nodes[0].Addr+" answers 127.0.0.2")
		behind.Nodes[0].Set(adfstest.Intranet)
		d.again.ask()
		advised(t, d, "farm-extranet", "violated: the farm takes clients of this gateway for ones of the intranet")
	})
	t.Run("refused", func(t *testing.T) {
		behind, d := proven(t, "wrong", same)
		d.proveFarm(t.Context())
		advised(t, d, "farm-extranet", "unproven: the gateway's own sign-in failed")
		if n := behind.Requests(); n != 1 {
			t.Errorf("got %d requests with a wrong password, want one a day", n)
		}
	})
	t.Run("nothing is set", func(t *testing.T) {
		_, d := proven(t, "battery", func(a *config.ADFS) { a.Proof, a.Outside = nil, "" })
		d.proveFarm(t.Context())
		advised(t, d, "farm-extranet", "upstream.adfs.proof is absent")
		advised(t, d, "farm-direct", "upstream.adfs.outside is absent")
	})
}

// A password that others may read is a mistake, and so is an empty one.
func TestCheckProof(t *testing.T) {
	dir := t.TempDir()
	for name, c := range map[string]struct {
		text string
		mode os.FileMode
		want string
	}{
		"good":     {"battery\n", 0o600, ""},
		"readable": {"battery\n", 0o640, "mode 0640"},
		"empty":    {"\n", 0o600, "is empty"},
	} {
		file := filepath.Join(dir, name)
		if err := os.WriteFile(file, []byte(c.text), c.mode); err != nil {
			t.Fatal(err)
		}
		err := checkProof(&config.ADFSProof{Password: file})
		if (err == nil) != (c.want == "") || err != nil && !strings.Contains(err.Error(), c.want) {
			t.Errorf("%s: got %v, want %q", name, err, c.want)
		}
	}
}
