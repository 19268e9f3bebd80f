package mfa_test

import (
	"fmt"
	"net"
	"net/url"
	"testing"
	"time"

	"github.com/nats-io/nats-server/v2/server"

	"stsgate/gateway/mfa"
	"stsgate/gateway/state"
	"stsgate/gateway/state/jetstream"
)

// Three gateways on three NATS servers: what waits on one is approved on
// another and heard of within a second, and what is used once is used once.
func TestCluster(t *testing.T) {
	if testing.Short() {
		t.Skip("starts three servers")
	}
	urls := serveNATS(t)
	keys, err := state.ParseKeys(state.NewKey())
	if err != nil {
		t.Fatal(err)
	}
	s := &site{t: t}
	for _, u := range urls {
		store, err := jetstream.Open(t.Context(), jetstream.Config{Keys: keys, Cluster: &jetstream.Cluster{URLs: []string{u}, Replicas: 3}})
		if err != nil {
			t.Fatal(err)
		}
		t.Cleanup(func() { store.Close() })
		s.store = state.Seal(store, keys)
		s.add(s.store, nil)
	}
	var longest time.Duration
	for i := range 10 {
		waits := start(s.nodes[i%3], s.as(fmt.Sprint("user-", i), s.request(hold)))
		for len(s.waiting(s.nodes[(i+1)%3], fmt.Sprint("user-", i))) == 0 {
			<-time.After(10 * time.Millisecond)
		}
		answered := time.Now()
		s.answer(s.nodes[(i+1)%3], fmt.Sprint("user-", i), approve(fmt.Sprint("user-", i)))
		want(t, "approved elsewhere", <-waits, passed)
		longest = max(longest, time.Since(answered))
	}
	if longest > 2*time.Second {
		t.Errorf("heard of an approval after %s", longest)
	}
	s.usedOnce(t, 3)
}

func (s *site) as(user string, r *mfa.Request) *mfa.Request {
	r.User.ID = user
	return r
}

func (s *site) waiting(node *mfa.Service, user string) []mfa.Pending {
	s.t.Helper()
	all, err := node.Pending(s.t.Context(), user)
	if err != nil {
		s.t.Fatal(err)
	}
	return all
}

// serveNATS starts a cluster of three servers in this process, and returns
// where gateways reach them.
func serveNATS(t *testing.T) (urls []string) {
	t.Helper()
	var routes []*url.URL
	var ports []int
	for range 3 {
		l, err := net.Listen("tcp", "127.0.0.1:0")
		if err != nil {
			t.Fatal(err)
		}
		port := l.Addr().(*net.TCPAddr).Port
		ports = append(ports, port)
		routes = append(routes, &url.URL{Scheme: "nats", Host: fmt.Sprint("127.0.0.1:", port)})
		l.Close()
	}
	var servers []*server.Server
	for i, port := range ports {
		o := &server.Options{
			ServerName: fmt.Sprint("n", i), Host: "127.0.0.1", Port: -1, NoSigs: true, NoLog: true,
			JetStream: true, StoreDir: t.TempDir(), SyncAlways: true, JetStreamMaxMemory: 64 << 20, JetStreamMaxStore: 4 << 30,
			Cluster: server.ClusterOpts{Name: "C", Host: "127.0.0.1", Port: port}, Routes: routes,
		}
		s, err := server.NewServer(o)
		if err != nil {
			t.Fatal(err)
		}
		s.Start()
		t.Cleanup(func() { s.Shutdown(); s.WaitForShutdown() })
		servers = append(servers, s)
	}
	for begin := time.Now(); !leads(servers); <-time.After(20 * time.Millisecond) {
		if time.Since(begin) > 30*time.Second {
			t.Fatal("the cluster has no leader after 30 s")
		}
	}
	for _, s := range servers {
		urls = append(urls, s.ClientURL())
	}
	return urls
}

func leads(servers []*server.Server) bool {
	for _, s := range servers {
		if s.JetStreamIsLeader() {
			return true
		}
	}
	return false
}
