package gateway

import "time"

// Passed counts a request of a user under a rule, as if it had just passed.
func (g *Gateway) Passed(rule, user string) {
	g.rates.passed[rateKey{rule, user}] = []time.Time{time.Now()}
}

// MostFaults is how many faults are kept to be repeated.
const MostFaults = mostFaults

// Faults returns how many are.
func (g *Gateway) Faults() int {
	g.repeats.mu.Lock()
	defer g.repeats.mu.Unlock()
	return len(g.repeats.faults)
}

// MostInSlots is how many failures wait for the end of their slot.
const MostInSlots = mostInSlots

// Kept returns the farm's answers of the exchanges that wait, in their own bytes.
func (g *Gateway) Kept() (all [][]byte) {
	g.repeats.mu.Lock()
	defer g.repeats.mu.Unlock()
	for _, x := range g.repeats.open {
		if x.kept != nil {
			all = append(all, x.kept.Body)
		}
	}
	return all
}
