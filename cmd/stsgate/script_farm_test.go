package main

import (
	"bytes"
	"cmp"
	"encoding/pem"
	"errors"
	"fmt"
	"net/http"
	"os"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/rogpeppe/go-internal/testscript"

	"stsgate/upstream/adfs/adfstest"
)

// farm VERB ARG... drives the fake AD FS farm. It knows the cast, and the
// applications urn:payroll and urn:federation:MicrosoftOnline.
//
//	farm start N           N nodes; sets $NODES for the configuration and $NODE0 ..., and writes farm-ca.pem and farm-sign.crt
//	farm behave I NAME     how node I, or all, behaves from now on: regular, hang, stall ... (adfstest.Behaviour)
//	farm delay DURATION    how long every node takes for an answer
//	farm kill I            closes node I's port and resets its connections; the event killed
//	farm disconnect I      ends the connections of node I, or of all, as an idle timeout does
//	farm restart I         starts it again
//	farm next FILE         makes the next signing key, and writes its certificate, which is not used yet
//	farm sign              signs with the next key from now on
//	farm publish FILE      names the certificates of FILE in its metadata, or answers with FILE where it holds none
//	farm received I OP N   how many messages node I was handed; I may be all
//	farm delivered FILE OP N  how often the nodes were handed this very message
//	farm count I ENV       the same number as a variable
//	farm saw NAME VALUE    a header of the message that was posted last; Path and SNI are names too
//	farm saw-no NAME       a header that was not there
//	farm got FILE          a message that is the file, byte by byte
func (s *story) farmStep(ts *testscript.TestScript, args []string) error {
	verbs := map[string]struct {
		args int
		do   func(*testscript.TestScript, []string) error
	}{
		"start": {1, s.farmStart}, "behave": {2, s.farmBehave}, "delay": {1, s.farmDelay}, "kill": {1, s.farmKill},
		"restart": {1, s.farmRestart}, "disconnect": {1, s.farmDisconnect}, "received": {3, s.farmReceived}, "count": {2, s.farmCount}, "delivered": {3, s.farmDelivered},
		"next": {1, s.farmNext}, "sign": {0, s.farmSign}, "publish": {1, s.farmPublish},
		"saw": {2, s.farmSaw}, "saw-no": {1, s.farmSawNo}, "got": {1, s.farmGot},
	}
	if len(args) == 0 || len(args) != verbs[args[0]].args+1 {
		return misuse(fmt.Sprintf("farm has no %v with so many arguments", args))
	}
	if s.farm == nil && args[0] != "start" {
		return misuse("there is no farm")
	}
	return verbs[args[0]].do(ts, args[1:])
}

func (s *story) farmStart(ts *testscript.TestScript, args []string) error {
	n, err := strconv.Atoi(args[0])
	if err != nil {
		return misuse(err.Error())
	}
	s.farm, err = adfstest.Start(adfstest.Config{
		Host:         cmp.Or(ts.Getenv("FARM_HOST"), "localhost"),
		Nodes:        n,
		Users:        farmUsers(),
		Applications: []string{"urn:payroll", "urn:federation:MicrosoftOnline"},
	})
	if err != nil {
		return err
	}
	var quoted []string
	for i, node := range s.farm.Nodes {
		ts.Setenv("NODE"+strconv.Itoa(i), node.Addr)
		quoted = append(quoted, strconv.Quote("https://"+node.Addr))
	}
	ts.Setenv("NODES", strings.Join(quoted, ", "))
	return errors.Join(
		os.WriteFile(ts.MkAbs("farm-ca.pem"), s.farm.CAPEM(), 0o600),
		os.WriteFile(ts.MkAbs("farm-sign.crt"), s.farm.SignerPEM(), 0o600))
}

// node finds a node by its number.
func (s *story) node(i string) (*adfstest.Node, error) {
	n, err := strconv.Atoi(i)
	if err != nil || n < 0 || n >= len(s.farm.Nodes) {
		return nil, misuse("no node " + i)
	}
	return s.farm.Nodes[n], nil
}

// nodes finds one node by its number, or all.
func (s *story) nodes(i string) ([]*adfstest.Node, error) {
	if i == "all" {
		return s.farm.Nodes, nil
	}
	n, err := s.node(i)
	return []*adfstest.Node{n}, err
}

func (s *story) farmBehave(_ *testscript.TestScript, args []string) error {
	nodes, err := s.nodes(args[0])
	if err != nil {
		return err
	}
	b, err := adfstest.ParseBehaviour(args[1])
	if err != nil {
		return misuse(err.Error())
	}
	for _, n := range nodes {
		n.Set(b)
	}
	return nil
}

func (s *story) farmDelay(_ *testscript.TestScript, args []string) error {
	d, err := time.ParseDuration(args[0])
	if err != nil {
		return misuse(err.Error())
	}
	for _, n := range s.farm.Nodes {
		n.SetDelay(d)
	}
	return nil
}

func (s *story) farmKill(_ *testscript.TestScript, args []string) error {
	n, err := s.node(args[0])
	if err != nil {
		return err
	}
	n.Kill()
	s.events["killed"] = time.Now()
	return nil
}

func (s *story) farmRestart(_ *testscript.TestScript, args []string) error {
	n, err := s.node(args[0])
	if err != nil {
		return err
	}
	return n.Restart()
}

func (s *story) farmDisconnect(_ *testscript.TestScript, args []string) error {
	nodes, err := s.nodes(args[0])
	if err != nil {
		return err
	}
	for _, n := range nodes {
		n.Disconnect()
	}
	return nil
}

func (s *story) farmNext(ts *testscript.TestScript, args []string) (err error) {
	if s.next, err = s.farm.NewKey(); err != nil {
		return err
	}
	block := pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: s.next.Certificate.Raw})
	return os.WriteFile(ts.MkAbs(args[0]), block, 0o600)
}

func (s *story) farmSign(*testscript.TestScript, []string) error {
	if s.next == nil {
		return misuse("there is no next key")
	}
	s.farm.SignWith(s.next)
	return nil
}

func (s *story) farmPublish(ts *testscript.TestScript, args []string) error {
	document := []byte(ts.ReadFile(args[0]))
	if signers, err := readSigners(ts.MkAbs(args[0])); err == nil {
		document = s.farm.Metadata(signers...)
	}
	s.farm.Publish(document)
	return nil
}

// messages are the requests with a body that a node was handed; I may be all.
func (s *story) messages(i string) ([]adfstest.Request, error) {
	nodes, err := s.nodes(i)
	if err != nil {
		return nil, err
	}
	var all []adfstest.Request
	for _, n := range nodes {
		all = append(all, n.Seen()...)
	}
	return slices.DeleteFunc(all, func(r adfstest.Request) bool { return len(r.Body) == 0 }), nil
}

func (s *story) farmReceived(_ *testscript.TestScript, args []string) error {
	all, err := s.messages(args[0])
	if err != nil {
		return err
	}
	return compare(float64(len(all)), args[1], args[2])
}

func (s *story) farmDelivered(ts *testscript.TestScript, args []string) error {
	return compare(float64(s.farm.Deliveries([]byte(ts.ReadFile(args[0])))), args[1], args[2])
}

func (s *story) farmCount(ts *testscript.TestScript, args []string) error {
	all, err := s.messages(args[0])
	ts.Setenv(args[1], strconv.Itoa(len(all)))
	return err
}

// latest is what the farm saw of the message that was posted last.
func (s *story) latest() (adfstest.Request, error) {
	all, err := s.messages("all")
	if err != nil {
		return adfstest.Request{}, err
	}
	for _, r := range slices.Backward(all) {
		if bytes.Equal(r.Body, s.posted) {
			return r, nil
		}
	}
	return adfstest.Request{}, errors.New("no node received what was posted last")
}

// headers reads what the node saw, and adds the path and the TLS server name.
func headers(r adfstest.Request) http.Header {
	h := http.Header{"Sni": {r.ServerName}}
	for i, line := range strings.Split(r.Head, "\r\n") {
		if i == 0 {
			h["Path"] = []string{strings.Fields(line)[1]}
			continue
		}
		name, value, _ := strings.Cut(line, ": ")
		h.Add(name, value)
	}
	return h
}

func (s *story) farmSaw(_ *testscript.TestScript, args []string) error {
	r, err := s.latest()
	if err != nil {
		return err
	}
	if got := headers(r).Values(args[0]); len(got) != 1 || got[0] != args[1] {
		return fmt.Errorf("%s is %q in\n%s", args[0], got, r.Head)
	}
	return nil
}

func (s *story) farmSawNo(_ *testscript.TestScript, args []string) error {
	r, err := s.latest()
	if err != nil {
		return err
	}
	if got := headers(r).Values(args[0]); len(got) > 0 {
		return fmt.Errorf("%s is %q", args[0], got)
	}
	return nil
}

func (s *story) farmGot(ts *testscript.TestScript, args []string) error {
	all, err := s.messages("all")
	if err != nil {
		return err
	}
	want := ts.ReadFile(args[0])
	if !slices.ContainsFunc(all, func(r adfstest.Request) bool { return string(r.Body) == want }) {
		return fmt.Errorf("none of %d messages is the file", len(all))
	}
	return nil
}
