package main

import (
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/tls"
	"crypto/x509"
	"encoding/json"
	"errors"
	goflag "flag"
	"fmt"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/nats-io/nats-server/v2/server"
	"github.com/nats-io/nats.go"
	"github.com/nats-io/nats.go/jetstream"
	"github.com/nats-io/nkeys"

	"stsgate/gateway/state"
	"stsgate/testdata"
)

// natsServer is nats-server -c FILE, with the library that go.mod names.
func natsServer() {
	o, err := server.ConfigureOptions(goflag.NewFlagSet("nats-server", goflag.ExitOnError), os.Args[1:], nil, nil, nil)
	if err != nil {
		server.PrintAndDie(err.Error())
	}
	s, err := server.NewServer(o)
	if err != nil {
		server.PrintAndDie(err.Error())
	}
	s.ConfigureLogger()
	s.Start()
	s.WaitForShutdown()
}

const natsNodes = 3

// A natsCluster is three NATS servers, each a process with the configuration in
// deploy/nats. Where root may make network namespaces each has one of its own
// and can be cut off; elsewhere they are on loopback.
type natsCluster struct {
	t      *testing.T
	dir    string
	nodes  [natsNodes]*natsNode
	bridge string // empty without namespaces
}

// A natsNode is one server.
type natsNode struct {
	name, ip      string
	client, route string // addresses
	space, link   string // its namespace, and the near end of its cable
	cmd           *exec.Cmd
}

func startNATS(t *testing.T) *natsCluster {
	t.Helper()
	c := &natsCluster{t: t, dir: t.TempDir()}
	for i := range c.nodes {
		c.nodes[i] = &natsNode{name: fmt.Sprint("nats", i+1), ip: "127.0.0.1"}
	}
	t.Cleanup(c.close)
	c.separate()
	for _, n := range c.nodes {
		n.client, n.route = n.ip+":4222", n.ip+":6222"
		if n.space == "" {
			n.client, n.route = freeAddress(), freeAddress()
		}
	}
	c.configure()
	for i := range c.nodes {
		c.start(i)
	}
	return c
}

// separate gives each node a namespace on a bridge of this machine.
func (c *natsCluster) separate() {
	id, err := c.addBridge()
	if err != nil {
		c.t.Logf("no server can be cut off: %v", err)
		return
	}
	bridge, network := c.bridge, fmt.Sprintf("10.213.%d.", id)
	steps := [][]string{{"addr", "add", network + "254/24", "dev", bridge}, {"link", "set", bridge, "up"}}
	for i, n := range c.nodes {
		n.space, n.link, n.ip = fmt.Sprintf("stsgate-%d-%d", id, i), fmt.Sprintf("sts%d-%d", id, i), network+fmt.Sprint(i+1)
		steps = append(steps, []string{"netns", "add", n.space},
			[]string{"link", "add", n.link, "type", "veth", "peer", "name", "eth0", "netns", n.space},
			[]string{"link", "set", n.link, "master", bridge}, []string{"link", "set", n.link, "up"},
			[]string{"-n", n.space, "addr", "add", n.ip + "/24", "dev", "eth0"},
			[]string{"-n", n.space, "link", "set", "eth0", "up"}, []string{"-n", n.space, "link", "set", "lo", "up"})
	}
	for _, s := range steps {
		if err := ip(s...); err != nil {
			c.t.Fatal(err)
		}
	}
}

// addBridge makes a bridge under a number that no other test uses.
func (c *natsCluster) addBridge() (id int, err error) {
	for i := range 10 {
		id = (os.Getpid() + i) % 200
		c.bridge = fmt.Sprint("stsbr", id)
		if err = ip("link", "add", c.bridge, "type", "bridge"); err == nil {
			return id, nil
		}
	}
	c.bridge = ""
	return 0, err
}

func ip(args ...string) error {
	if out, err := exec.Command("ip", args...).CombinedOutput(); err != nil {
		return fmt.Errorf("ip %s: %w: %s", strings.Join(args, " "), err, out)
	}
	return nil
}

// configure writes each server's configuration, certificate and key, and the
// credentials of the gateways.
func (c *natsCluster) configure() {
	c.t.Helper()
	seed, public := newNKey(c.t)
	c.write("nats.seed", seed)
	c.certify()
	example, err := os.ReadFile(filepath.Join(testdata.Root(c.t), "deploy", "nats", "nats-server.conf"))
	if err != nil {
		c.t.Fatal(err)
	}
	for _, n := range c.nodes {
		text := string(example)
		change := func(old, new string) {
			if !strings.Contains(text, old) {
				c.t.Fatalf("deploy/nats/nats-server.conf has no %s", old)
			}
			text = strings.ReplaceAll(text, old, new)
		}
		change("server_name: nats1", "server_name: "+n.name)
		change(`listen: "192.0.2.1:4222"`, fmt.Sprintf("listen: %q", n.client))
		change(`listen: "192.0.2.1:6222"`, fmt.Sprintf("listen: %q", n.route))
		for i, other := range c.nodes {
			change(fmt.Sprintf("nats://192.0.2.%d:6222", i+1), "nats://"+other.route)
		}
		change("/etc/nats/", c.dir+"/")
		change("/var/lib/nats", filepath.Join(c.dir, n.name))
		change("UDXU4RCSJNZOIQHZNWXHXORDPRTGNJAHAHFRGZNEEJCPQTT2M7NLCNF4", public)
		c.write(n.name+".conf", []byte(text))
	}
}

func (c *natsCluster) write(name string, text []byte) {
	c.t.Helper()
	if err := os.WriteFile(filepath.Join(c.dir, name), text, 0o600); err != nil {
		c.t.Fatal(err)
	}
}

func newNKey(t *testing.T) (seed []byte, public string) {
	t.Helper()
	pair, err := nkeys.CreateUser()
	if err != nil {
		t.Fatal(err)
	}
	seed, err = pair.Seed()
	public, publicErr := pair.PublicKey()
	if err := errors.Join(err, publicErr); err != nil {
		t.Fatal(err)
	}
	return seed, public
}

// certify writes ca.pem, and one certificate for all servers.
func (c *natsCluster) certify() {
	c.t.Helper()
	caKey, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	key, keyErr := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err := errors.Join(err, keyErr); err != nil {
		c.t.Fatal(err)
	}
	ca := demoCertificate("authority of the NATS servers")
	ca.IsCA, ca.BasicConstraintsValid, ca.KeyUsage = true, true, x509.KeyUsageCertSign
	leaf := demoCertificate("NATS servers")
	for _, n := range c.nodes {
		leaf.IPAddresses = append(leaf.IPAddresses, net.ParseIP(n.ip))
	}
	leaf.ExtKeyUsage = []x509.ExtKeyUsage{x509.ExtKeyUsageServerAuth, x509.ExtKeyUsageClientAuth}
	if err := errors.Join(writeCertificate(c.dir, "ca", ca, ca, caKey, nil), writeCertificate(c.dir, "nats", leaf, ca, caKey, key)); err != nil {
		c.t.Fatal(err)
	}
}

// urls are those of all servers, the i-th first.
func (c *natsCluster) urls(i int) []string {
	var all []string
	for j := range c.nodes {
		all = append(all, "tls://"+c.nodes[(i+j)%natsNodes].client)
	}
	return all
}

func (c *natsCluster) start(i int) {
	c.t.Helper()
	n := c.nodes[i]
	args := []string{"nats-server", "-c", filepath.Join(c.dir, n.name+".conf")}
	if n.space != "" {
		args = append([]string{"ip", "netns", "exec", n.space}, args...)
	}
	log, err := os.OpenFile(filepath.Join(c.dir, n.name+".log"), os.O_CREATE|os.O_WRONLY|os.O_APPEND, 0o600)
	if err != nil {
		c.t.Fatal(err)
	}
	defer log.Close()
	n.cmd = exec.Command(args[0], args[1:]...)
	n.cmd.Stdout, n.cmd.Stderr = log, log
	if err := n.cmd.Start(); err != nil {
		c.t.Fatal(err)
	}
}

// connect connects to a server as the gateways do.
func (c *natsCluster) connect(i int) *nats.Conn {
	c.t.Helper()
	roots, err := readPool(filepath.Join(c.dir, "ca.pem"))
	if err != nil {
		c.t.Fatal(err)
	}
	key, err := nats.NkeyOptionFromSeed(filepath.Join(c.dir, "nats.seed"))
	if err != nil {
		c.t.Fatal(err)
	}
	nc, err := nats.Connect(c.urls(i)[0], key, nats.Secure(&tls.Config{RootCAs: roots}))
	if err != nil {
		c.t.Fatal(err)
	}
	return nc
}

// leader is the server that leads the cluster, as one of them says.
func (c *natsCluster) leader() string {
	c.t.Helper()
	nc := c.connect(0)
	defer nc.Close()
	var about struct {
		Data struct {
			Meta struct {
				Leader string `json:"leader"`
			} `json:"meta_cluster"`
		} `json:"data"`
	}
	known := eventually(patience, func() bool { // not while one is chosen
		m, err := nc.Request("$SYS.REQ.SERVER.PING.JSZ", nil, time.Second)
		return err == nil && json.Unmarshal(m.Data, &about) == nil && about.Data.Meta.Leader != ""
	})
	if !known {
		c.t.Fatal("nobody leads the cluster")
	}
	return about.Data.Meta.Leader
}

// settle waits until every server has what was acknowledged: three stand the loss
// of one, not of another before that.
func (c *natsCluster) settle() {
	c.t.Helper()
	nc := c.connect(0)
	defer nc.Close()
	js, err := jetstream.New(nc)
	if err != nil {
		c.t.Fatal(err)
	}
	start := time.Now()
	var behind []string
	whole := eventually(time.Minute, func() bool {
		behind = nil
		buckets := 0
		for s := range js.ListStreams(c.t.Context()).Info() {
			buckets++
			for _, r := range s.Cluster.Replicas {
				if !r.Current || r.Offline || s.Cluster.Leader == "" {
					behind = append(behind, r.Name+" of "+s.Config.Name)
				}
			}
		}
		return buckets == len(state.Buckets()) && len(behind) == 0
	})
	if !whole {
		c.t.Errorf("%v are behind a minute after the repair", behind)
	}
	if took := time.Since(start); took > time.Second {
		c.t.Logf("the servers needed %s to have the same again", took.Round(time.Millisecond))
	}
}

// unburden has a server lead no bucket.
func (c *natsCluster) unburden(i int) {
	c.t.Helper()
	nc := c.connect((i + 1) % natsNodes)
	defer nc.Close()
	js, err := jetstream.New(nc)
	if err != nil {
		c.t.Fatal(err)
	}
	leads := func() (all []string) {
		for s := range js.ListStreams(c.t.Context()).Info() {
			if s.Cluster != nil && s.Cluster.Leader == c.nodes[i].name {
				all = append(all, s.Config.Name)
			}
		}
		return all
	}
	free := eventually(patience, func() bool {
		all := leads()
		for _, name := range all {
			_, _ = nc.Request("$JS.API.STREAM.LEADER.STEPDOWN."+name, nil, time.Second)
		}
		return len(all) == 0
	})
	if !free {
		c.t.Errorf("%s goes on to lead %v", c.nodes[i].name, leads())
	}
}

// A trouble is what can happen to a server, and how it is repaired.
type trouble struct {
	name          string
	harm, restore func(c *natsCluster, i int)
}

func troubles(c *natsCluster) []trouble {
	all := []trouble{
		{"killed", (*natsCluster).kill, (*natsCluster).start},
		{"stopped", (*natsCluster).stop, (*natsCluster).start},
		{"paused", func(c *natsCluster, i int) { c.signal(i, syscall.SIGSTOP) }, func(c *natsCluster, i int) { c.signal(i, syscall.SIGCONT) }},
	}
	if c.bridge != "" {
		all = append(all, trouble{"cut off", func(c *natsCluster, i int) { c.link(i, "down") }, func(c *natsCluster, i int) { c.link(i, "up") }})
	}
	return all
}

func (c *natsCluster) kill(i int) {
	_ = c.nodes[i].cmd.Process.Kill()
	_ = c.nodes[i].cmd.Wait()
}

// stop ends a server in order: it hands on what it leads.
func (c *natsCluster) stop(i int) {
	c.signal(i, syscall.SIGTERM)
	_ = c.nodes[i].cmd.Wait()
}

func (c *natsCluster) signal(i int, s os.Signal) {
	if err := c.nodes[i].cmd.Process.Signal(s); err != nil {
		c.t.Error(err)
	}
}

func (c *natsCluster) link(i int, state string) {
	if err := ip("link", "set", c.nodes[i].link, state); err != nil {
		c.t.Error(err)
	}
}

func (c *natsCluster) close() {
	for i, n := range c.nodes {
		if n.cmd != nil {
			c.kill(i)
		}
		if n.space != "" {
			_ = ip("netns", "del", n.space)
		}
	}
	if c.bridge != "" {
		_ = ip("link", "del", c.bridge)
	}
}
