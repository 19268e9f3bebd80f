package jetstream

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/nats-io/nats.go"
)

// oldest is the oldest version of a NATS server that is taken (STATE-02). Older
// ones leave writes unsynced although told not to, when they compact a block:
// their pull requests 8456, 8475 and 8629; before 2.12.6 they let accounts past
// each other's limits (CVE-2026-33222). It is also the version that was put to
// the test of kills and power cuts.
const oldest = "2.15.2"

const (
	askServers = "$SYS.REQ.SERVER.PING.JSZ"
	// serversLast bounds the question, serversQuiet the time between two answers.
	serversLast  = 2 * time.Second
	serversQuiet = 300 * time.Millisecond
)

// An about is what a server of the cluster says of itself.
type about struct {
	Server struct {
		Name    string `json:"name"`
		Version string `json:"ver"`
	} `json:"server"`
	Data struct {
		Config struct {
			SyncAlways bool `json:"sync_always"`
		} `json:"config"`
	} `json:"data"`
}

// checkServers refuses servers that are too old, or that do not sync every write
// (STATE-01). They are asked what only their system account tells; when that is
// not imported, nobody knows, which is said.
func (s *Store) checkServers(ctx context.Context) error {
	if err := recent("that was connected to", s.nc.ConnectedServerVersion()); err != nil {
		return err
	}
	all, err := s.servers(ctx)
	if err != nil {
		return err
	}
	if len(all) == 0 {
		logger{s.c.Log}.Warnf("whether the servers sync every write is not known: their account has no import of %s", askServers)
		return nil
	}
	for _, a := range all {
		if err := recent(a.Server.Name, a.Server.Version); err != nil {
			return err
		}
		if !a.Data.Config.SyncAlways {
			return fmt.Errorf("the server %s does not sync every write: its jetstream needs sync_interval: always", a.Server.Name)
		}
	}
	return nil
}

// servers asks all servers of the cluster, and returns those that answer before
// nobody does for a while.
func (s *Store) servers(ctx context.Context) ([]about, error) {
	ctx, cancel := context.WithTimeout(ctx, serversLast)
	defer cancel()
	inbox := s.nc.NewRespInbox()
	answers, err := s.nc.SubscribeSync(inbox)
	if err != nil {
		return nil, err
	}
	defer answers.Unsubscribe()
	if err := s.nc.PublishRequest(askServers, inbox, nil); err != nil {
		return nil, err
	}
	var all []about
	for {
		quiet, cancel := context.WithTimeout(ctx, serversQuiet)
		m, err := answers.NextMsgWithContext(quiet)
		cancel()
		if errors.Is(err, context.DeadlineExceeded) || errors.Is(err, nats.ErrNoResponders) {
			return all, nil
		}
		if err != nil {
			return nil, err
		}
		var a about
		if err := json.Unmarshal(m.Data, &a); err != nil {
			return nil, fmt.Errorf("answer to %s: %w", askServers, err)
		}
		all = append(all, a)
	}
}

func recent(name, version string) error {
	if slices.Compare(numbers(version), numbers(oldest)) < 0 {
		return fmt.Errorf("the server %s has version %q: at least %s is needed", name, version, oldest)
	}
	return nil
}

// numbers are those of a version, what follows a hyphen left out.
func numbers(version string) []int {
	version, _, _ = strings.Cut(version, "-")
	var all []int
	for part := range strings.SplitSeq(version, ".") {
		n, err := strconv.Atoi(part)
		if err != nil {
			return nil
		}
		all = append(all, n)
	}
	return all
}

// login is how the client proves who it is: by a user's JWT and seed, or by the
// seed of a key alone.
func login(file string) (nats.Option, error) {
	text, err := os.ReadFile(file)
	if err != nil {
		return nil, fmt.Errorf("credentials: %w", err)
	}
	defer clear(text)
	if bytes.Contains(text, []byte("NATS USER JWT")) {
		return nats.UserCredentials(file), nil
	}
	option, err := nats.NkeyOptionFromSeed(file)
	if err != nil {
		return nil, fmt.Errorf("credentials: %s: neither a user's JWT and seed nor the seed of a key", file)
	}
	return option, nil
}
