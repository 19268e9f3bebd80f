package state_test

import (
	"testing"
	"testing/synctest"
	"time"

	"stsgate/gateway/state"
	"stsgate/gateway/state/statetest"
)

// contract runs every case in a bubble, where an hour passes in no time.
func contract(t *testing.T, open func() []state.Store) {
	for _, c := range statetest.Cases() {
		t.Run(c.Name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) { c.Run(t, open()) })
		})
	}
}

func TestMemoryContract(t *testing.T) {
	contract(t, func() []state.Store { return []state.Store{state.NewMemory(nil)} })
}

func TestMemoryContractThroughTwoDoors(t *testing.T) {
	contract(t, func() []state.Store {
		m := state.NewMemory(nil)
		return []state.Store{m, m}
	})
}

func TestSealedContract(t *testing.T) {
	keys := newKeys(t)
	contract(t, func() []state.Store {
		m := state.NewMemory(nil)
		return []state.Store{state.Seal(m, keys), state.Seal(m, keys)}
	})
}

func TestFaultyContract(t *testing.T) {
	contract(t, func() []state.Store { return []state.Store{&statetest.Faulty{Store: state.NewMemory(nil)}} })
}

// STATE-05: as many keys as the requirement names.
func TestMemoryCreateOnce(t *testing.T) {
	m := state.NewMemory(nil)
	statetest.CreateOnce(t, []state.Store{m, m, m}, 10_000)
}

// Records expire by the clock that the store was given.
func TestMemoryClock(t *testing.T) {
	now := time.Date(2026, 5, 1, 12, 0, 0, 0, time.UTC)
	m := state.NewMemory(func() time.Time { return now })
	k := state.Marks.Key("a")
	if _, err := m.Create(t.Context(), k, nil, time.Minute); err != nil {
		t.Fatal(err)
	}
	now = now.Add(time.Minute - 1)
	if _, err := m.Get(t.Context(), k); err != nil {
		t.Errorf("a moment too early: %v", err)
	}
	now = now.Add(1)
	if _, err := m.Get(t.Context(), k); err == nil {
		t.Error("still there after a minute")
	}
}
