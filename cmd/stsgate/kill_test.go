package main

import (
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"math/rand/v2"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"sync"
	"testing"
	"time"
)

const (
	// victimsOfARound are new in each round of kills.
	victimsOfARound = 3
	clientsOfARound = 8
)

// A killed is a gateway that is killed again and again, and what its clients
// were told.
type killed struct {
	*fleet
	round int

	mu      sync.Mutex
	told    map[string]upshot // by transaction or assertion
	untold  map[string]int    // requests without an answer, by user
	slowest time.Duration
}

// STATE-04, AUD-01, LOCK-06: a gateway that is killed at random instants while
// clients sign in and guess starts again every time, has a line in an unbroken
// audit log for every answer that it gave, and forgets no failure that it
// answered for. KILL_ROUNDS is how often.
func TestKilledGateway(t *testing.T) {
	if testing.Short() {
		t.Skip("starts the gateway again and again")
	}
	t.Parallel() // it waits more than it works
	rounds := 8
	if n, err := strconv.Atoi(os.Getenv("KILL_ROUNDS")); err == nil {
		rounds = n
	}
	k := &killed{told: map[string]upshot{}, untold: map[string]int{}}
	k.fleet = newFleet(t, 1, rounds*victimsOfARound, func(int) string { return "{dir: state, key: ../state.key}" })
	for k.round = range rounds {
		start := time.Now()
		k.start(0)
		k.slowest = max(k.slowest, time.Since(start))
		k.bother()
	}
	k.start(0)
	k.check(t)
	t.Logf("%d kills: %d answers, each with its line; slowest start %s", rounds, len(k.told), k.slowest.Round(time.Millisecond))
}

// bother has clients at work until the gateway is killed.
func (k *killed) bother() {
	ctx, stop := context.WithCancel(context.Background())
	var all sync.WaitGroup
	for i := range clientsOfARound {
		all.Go(func() {
			for n := 0; ctx.Err() == nil; n++ {
				user, password := "alice@contoso.example", alicePassword
				if i%2 == 1 {
					user, password = k.victim(), fmt.Sprint("guess ", k.round, i, n)
				}
				o, id := k.gateways[0].ask(user, password)
				k.note(user, o, id)
			}
		})
	}
	<-time.After(5*time.Millisecond + rand.N(250*time.Millisecond))
	k.gateways[0].kill()
	stop()
	all.Wait()
}

// victim is one of this round's, or of the one before.
func (k *killed) victim() string {
	n := k.round*victimsOfARound + rand.IntN(victimsOfARound)
	if k.round > 0 && rand.IntN(3) == 0 {
		n -= victimsOfARound
	}
	return victim(n)
}

func (k *killed) note(user string, o upshot, id string) {
	k.mu.Lock()
	defer k.mu.Unlock()
	if o == unanswered {
		k.untold[user]++
		return
	}
	k.told[id] = o
}

func (k *killed) check(t *testing.T) {
	file := filepath.Join(k.gateways[0].dir, "audit.jsonl")
	if out, err := exec.Command("stsgate", "audit", "verify", file).CombinedOutput(); err != nil {
		t.Errorf("stsgate audit verify: %v: %s", err, out)
	}
	lines, err := auditedAnswers(file)
	if err != nil {
		t.Fatal(err)
	}
	for id, o := range k.told {
		if !lines[id] {
			t.Errorf("%q was told that it is %v, and no line has it", id, o)
		}
	}
	total := 0
	for user, n := range k.guesses() {
		if user == "alice@contoso.example" {
			continue
		}
		total += n
		// One that was not answered may have reached the farm and not been counted.
		if n > 6+k.untold[user] {
			t.Errorf("%s: %d guesses reached the farm, of which %d were not answered; want 6 more at most", user, n, k.untold[user])
		}
	}
	if total < k.round || len(k.told) < 5*k.round {
		t.Errorf("%d guesses and %d answers prove nothing", total, len(k.told))
	}
	t.Logf("%d guesses of %d users reached the farm", total, (k.round+1)*victimsOfARound)
}

// auditedAnswers are the transactions and assertions that have a line.
func auditedAnswers(file string) (map[string]bool, error) {
	text, err := os.ReadFile(file)
	if err != nil {
		return nil, err
	}
	all := map[string]bool{}
	for line := range bytes.Lines(text) {
		var l struct {
			Transaction string `json:"transaction.id"`
			Assertion   string `json:"labels.assertion_id"`
		}
		if json.Unmarshal(line, &l) == nil { // one may be torn
			all[l.Transaction], all[l.Assertion] = true, true
		}
	}
	return all, nil
}
