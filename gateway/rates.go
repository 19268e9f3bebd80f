package gateway

import (
	"cmp"
	"strings"
	"sync"
	"time"

	"stsgate/gateway/refusal"
	"stsgate/policy"
)

// rates count what has passed under the rules that limit a rate. Only a user
// whose password was proven is counted, so that no stranger makes it grow or
// spends another's share. Each gateway counts for itself.
type rates struct {
	mu     sync.Mutex
	passed map[rateKey][]time.Time // in order, the oldest first
	swept  time.Time
}

type rateKey struct{ rule, user string }

// take counts one more request if each rate has room for it. Otherwise it
// counts nothing, and returns a rule that has none.
func (r *rates) take(o *policy.Obligations, user string, now time.Time) (full *policy.Rule) {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.sweep(now)
	for rule := range o.Rules() {
		if rate := rule.Limit.Rate; rate.Count > 0 && r.within(rateKey{rule.Name, user}, now.Add(-rate.Per)) >= rate.Count {
			return rule
		}
	}
	for rule := range o.Rules() {
		if rule.Limit.Rate.Count > 0 {
			key := rateKey{rule.Name, user}
			r.passed[key] = append(r.passed[key], now)
		}
	}
	return nil
}

// within forgets what passed up to then, and counts what did since.
func (r *rates) within(key rateKey, then time.Time) int {
	all := r.passed[key]
	for len(all) > 0 && !all[0].After(then) {
		all = all[1:]
	}
	if len(all) == 0 {
		delete(r.passed, key)
		return 0
	}
	r.passed[key] = all
	return len(all)
}

// sweep forgets, once an hour, whoever did not pass for longer than any rate
// counts.
func (r *rates) sweep(now time.Time) {
	if now.Sub(r.swept) < time.Hour {
		return
	}
	r.swept = now
	for key, all := range r.passed {
		if now.Sub(all[len(all)-1]) > policy.MaxRatePer {
			delete(r.passed, key)
		}
	}
}

// limit holds the user to the rates that rules require.
func (x *exchange) limit() error {
	if !x.decision.Obligations.Rated {
		return nil
	}
	if rule := x.g.rates.take(&x.decision.Obligations, x.holder(), x.start); rule != nil {
		return refusal.New(refusal.RateLimited, "rule %q lets %d requests of one user pass in %s", rule.Name, rule.Limit.Rate.Count, rule.Limit.Rate.Per)
	}
	return nil
}

// holder identifies whose password was proven: by the account or, without a
// directory, by the name in the token and, where that cannot be read, by the
// name typed.
func (x *exchange) holder() string {
	subject := ""
	if x.kept != nil {
		subject = x.kept.Assertion.Subject
	}
	return cmp.Or(x.account.ID, strings.ToLower(subject), strings.ToLower(x.request.Username))
}
