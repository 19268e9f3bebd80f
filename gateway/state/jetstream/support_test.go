package jetstream

import (
	"context"
	"fmt"
	"log/slog"
	"net"
	"net/url"
	"os"
	"path/filepath"
	"testing"
	"time"

	"github.com/nats-io/nats-server/v2/server"

	"stsgate/gateway/state"
)

func newKeys(t testing.TB) *state.Keys {
	t.Helper()
	return parse(t, state.NewKey())
}

func parse(t testing.TB, text []byte) *state.Keys {
	t.Helper()
	k, err := state.ParseKeys(text)
	if err != nil {
		t.Fatal(err)
	}
	return k
}

// open opens a store and closes it when the test ends.
func open(t testing.TB, c Config) *Store {
	t.Helper()
	ctx, cancel := context.WithTimeout(context.Background(), 30*time.Second)
	defer cancel()
	s, err := Open(ctx, c)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { s.Close() })
	return s
}

func inDir(t testing.TB) *Store {
	t.Helper()
	return open(t, Config{Dir: filepath.Join(t.TempDir(), "state"), Keys: newKeys(t), Log: testLog(t)})
}

type testWriter struct{ t testing.TB }

func (w testWriter) Write(b []byte) (int, error) { w.t.Logf("%s", b); return len(b), nil }

func testLog(t testing.TB) *slog.Logger { return slog.New(slog.NewTextHandler(testWriter{t}, nil)) }

// gateways are the accounts of deploy/nats/nats-server.conf, for clients without
// a key.
const gateways = `
accounts {
  STSGATE {
    jetstream: enabled
    users: [{user: gateway, password: none}]
    imports: [{service: {account: SYS, subject: "$SYS.REQ.SERVER.PING.JSZ"}}]
  }
  SYS {exports: [{service: "$SYS.REQ.SERVER.PING.JSZ", response: stream, accounts: [STSGATE]}]}
}
system_account: SYS
no_auth_user: gateway
`

// A cluster is three NATS servers in this process with routes on loopback.
type cluster struct {
	t       testing.TB
	options []*server.Options
	servers []*server.Server
	keys    *state.Keys
}

func newCluster(t testing.TB) *cluster {
	t.Helper()
	c := &cluster{t: t, keys: newKeys(t)}
	var routes []*url.URL
	var ports []int
	for range 3 {
		l, err := net.Listen("tcp", "127.0.0.1:0")
		if err != nil {
			t.Fatal(err)
		}
		defer l.Close()
		port := l.Addr().(*net.TCPAddr).Port
		ports = append(ports, port)
		routes = append(routes, &url.URL{Scheme: "nats", Host: fmt.Sprintf("127.0.0.1:%d", port)})
		l.Close()
	}
	for i := range 3 {
		c.options = append(c.options, options(t, i, ports[i], routes))
		c.servers = append(c.servers, nil)
		c.start(i)
	}
	t.Cleanup(func() {
		for i := range c.servers {
			c.stop(i)
		}
	})
	c.ready()
	return c
}

func options(t testing.TB, i, port int, routes []*url.URL) *server.Options {
	t.Helper()
	file := filepath.Join(t.TempDir(), "nats.conf")
	if err := os.WriteFile(file, []byte(gateways), 0o600); err != nil {
		t.Fatal(err)
	}
	o, err := server.ProcessConfigFile(file)
	if err != nil {
		t.Fatal(err)
	}
	o.ServerName, o.Host, o.Port, o.NoSigs, o.NoLog = fmt.Sprint("n", i), "127.0.0.1", -1, true, true
	o.JetStream, o.StoreDir, o.SyncAlways = true, t.TempDir(), true
	o.JetStreamMaxMemory, o.JetStreamMaxStore = 64<<20, 4<<30
	o.Cluster, o.Routes = server.ClusterOpts{Name: "C", Host: "127.0.0.1", Port: port}, routes
	return o
}

func (c *cluster) start(i int) {
	c.t.Helper()
	s, err := server.NewServer(c.options[i])
	if err != nil {
		c.t.Fatal(err)
	}
	s.Start()
	c.servers[i] = s
}

func (c *cluster) stop(i int) {
	c.servers[i].Shutdown()
	c.servers[i].WaitForShutdown()
}

// ready waits until the servers have a leader.
func (c *cluster) ready() {
	c.t.Helper()
	for start := time.Now(); ; <-time.After(20 * time.Millisecond) {
		for _, s := range c.servers {
			if s.JetStreamIsLeader() {
				return
			}
		}
		if time.Since(start) > 30*time.Second {
			c.t.Fatal("the cluster has no leader after 30 s")
		}
	}
}

// config is of a gateway that knows some of the servers.
func (c *cluster) config(servers ...int) Config {
	var urls []string
	for _, i := range servers {
		urls = append(urls, c.servers[i].ClientURL())
	}
	return Config{Keys: c.keys, Cluster: &Cluster{URLs: urls, Replicas: 3}}
}

// doors opens a store through each of the servers.
func (c *cluster) doors() []state.Store {
	var all []state.Store
	for i := range c.servers {
		all = append(all, open(c.t, c.config(i)))
	}
	return all
}
