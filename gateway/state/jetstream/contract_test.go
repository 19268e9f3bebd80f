package jetstream

import (
	"flag"
	"testing"

	"stsgate/gateway/state"
	"stsgate/gateway/state/statetest"
)

var long = flag.Bool("long", false, "race for 10,000 keys in the cluster, flip 200 bits")

func TestContract(t *testing.T) {
	s := inDir(t)
	statetest.Run(t, func(*testing.T) []state.Store { return []state.Store{s} })
}

func TestContractSealedAndEncrypted(t *testing.T) {
	keys := newKeys(t)
	s := state.Seal(open(t, Config{Dir: t.TempDir(), Keys: keys, Encrypt: true, Log: testLog(t)}), keys)
	statetest.Run(t, func(*testing.T) []state.Store { return []state.Store{s, s} })
}

func TestContractInACluster(t *testing.T) {
	if testing.Short() {
		t.Skip("starts three servers")
	}
	doors := newCluster(t).doors()
	statetest.Run(t, func(*testing.T) []state.Store { return doors })

	// STATE-05: 16 racers through three nodes.
	t.Run("races", func(t *testing.T) {
		n := 250
		if *long {
			n = 10_000
		}
		statetest.CreateOnce(t, doors, n)
	})
}

// STATE-05, on one node.
func TestCreateOnce(t *testing.T) {
	s := inDir(t)
	statetest.CreateOnce(t, []state.Store{s, s}, 200)
}
