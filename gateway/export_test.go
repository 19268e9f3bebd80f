package gateway

import "time"

// Passed counts a request of a user under a rule, as if it had just passed.
func (g *Gateway) Passed(rule, user string) {
	g.rates.passed[rateKey{rule, user}] = []time.Time{time.Now()}
}
