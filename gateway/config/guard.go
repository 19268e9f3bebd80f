package config

import "time"

// State is what gateways of one service remember together: failures, locks and
// bans; in files of this gateway, or in a NATS cluster that several share.
type State struct {
	// Dir is the folder of the built-in store, created when absent; its parent
	// is not. One process at a time may use it. Default: absent; either dir or
	// nats is required. Takes effect on restart.
	Dir string `yaml:"dir" check:"path"`
	// NATS is a cluster with JetStream. Default: absent. Takes effect on restart.
	NATS *NATS `yaml:"nats"`
	// Key is a file with 32 random bytes in base64, such as "openssl rand -base64
	// 32" writes, that only its owner may read: what is stored is sealed with it.
	// It is the same on all gateways. While it is replaced the new and the old
	// one stand on two lines. Required. Takes effect on restart.
	Key string `yaml:"key" check:"required,file"`
}

// NATS is a cluster with JetStream, whose servers run with sync_interval: always.
type NATS struct {
	// URLs are of some of its servers, as nats://host:4222 or tls://host:4222.
	// Required. Takes effect on restart.
	URLs []string `yaml:"urls" check:"required"`
	// Credentials is a file with a user's JWT and seed, or with the seed of an nkey.
	// Default: absent. Takes effect on restart.
	Credentials string `yaml:"credentials" check:"file"`
	// CA is a PEM file of the authorities that may have signed the servers'
	// certificates. Default: absent, those that the system trusts. Takes effect
	// on restart.
	CA string `yaml:"ca" check:"file"`
	// Replicas is how many servers have each record: 3 or 5. Default: 3. Takes
	// effect on restart.
	Replicas int `yaml:"replicas"`
}

// Guard has the thresholds of the defence of passwords. They are the same on all
// gateways of a service. A source is an IPv4 address or an IPv6 network of 64
// bits, and beside it the network of 24 or 48 bits that it is in; the addresses
// in clients are none.
type Guard struct {
	// Mode is enforce, or report-only: then nothing is refused for what is below,
	// and records and metrics tell what would be. Default: enforce. Takes effect
	// on restart.
	Mode GuardMode `yaml:"mode"`
	// Failures is how many wrong passwords lock a user for addresses that are
	// not familiar, and as many for those that are. Keep it below the threshold
	// of AD FS's extranet lockout, and twice of it below Active Directory's.
	// Default: 6, from 2 to 100. Takes effect on restart.
	Failures int `yaml:"failures"`
	// Window is for how long after the last one failures are remembered, and a
	// wrong password is known to be one; a minute longer is the first lock. Not
	// shorter than Active Directory's own. Default: 30m, from 1m to 24h. Takes
	// effect on restart.
	Window time.Duration `yaml:"window"`
	// LongestLock bounds locks: each that follows another within a day is twice
	// as long. Default: 4h, above window, at most 168h. Takes effect on restart.
	LongestLock time.Duration `yaml:"longest_lock"`
	// Probe is how often a password that is known to be wrong is tried all the
	// same, while the user has less than half of failures. Default: 5m, from 1m
	// to 24h. Takes effect on restart.
	Probe time.Duration `yaml:"probe"`
	// UserTries is how many passwords of one user may leave each gateway in a
	// minute, right ones included; after a pause that many at once. A program that
	// signs in for every call needs many. Default: 6000, from 1 to 10000000.
	// Takes effect on restart.
	UserTries int `yaml:"user_tries"`
	// SourceTries is the same for one source, behind which may be an office.
	// Default: 60000, from 1 to 10000000. Takes effect on restart.
	SourceTries int `yaml:"source_tries"`
	// SprayUsers is how many users must fail from a source within spray_window,
	// and be at least half of those seen from there, for it to be blocked.
	// Default: 10, from 2 to 10000. Takes effect on restart.
	SprayUsers int `yaml:"spray_users"`
	// SprayWindow is that time, and the window of the facts about sources.
	// Default: 10m, from 1m to 24h. Takes effect on restart.
	SprayWindow time.Duration `yaml:"spray_window"`
	// Block is how long a source is blocked first. Default: 1h, from 1m to 168h.
	// Takes effect on restart.
	Block time.Duration `yaml:"block"`
	// LongestBlock bounds blocks: each that follows another within a day is
	// twice as long. Default: 24h, at least block, at most 168h. Takes effect on
	// restart.
	LongestBlock time.Duration `yaml:"longest_block"`
	// SurgeUsers is how many users must fail anywhere within spray_window, and be
	// more than five times as many as usual, for a quarter of spray_users to be
	// enough where nearly all fail. Default: 50, from 2 to 10000. Takes effect on
	// restart.
	SurgeUsers int `yaml:"surge_users"`
}

// defaultGuard has the numbers of security.md, section 9.
func defaultGuard() Guard {
	return Guard{
		Mode: Enforce, Failures: 6, Window: 30 * time.Minute, LongestLock: 4 * time.Hour, Probe: 5 * time.Minute, UserTries: 6000, SourceTries: 60_000,
		SprayUsers: 10, SprayWindow: 10 * time.Minute, Block: time.Hour, LongestBlock: 24 * time.Hour, SurgeUsers: 50,
	}
}

// A GuardMode says whether the guard refuses.
type GuardMode string

// The modes.
const (
	Enforce    GuardMode = "enforce"
	ReportOnly GuardMode = "report-only"
)

func (GuardMode) words() []string { return []string{string(Enforce), string(ReportOnly)} }

// checkState holds what a place to remember needs.
func (d *decoder) checkState(s *State) {
	if s == nil {
		return
	}
	if (s.Dir == "") == (s.NATS == nil) {
		d.checkf("state", "want either dir or nats")
	}
	if s.NATS != nil && s.NATS.Replicas != 3 && s.NATS.Replicas != 5 {
		d.checkf("state.nats.replicas", "want 3 or 5, got %d", s.NATS.Replicas)
	}
}

// checkGuard holds the guard's numbers to their bounds.
func (d *decoder) checkGuard(g *Guard) {
	for _, n := range []struct {
		path               string
		value, least, most int
	}{
		{"failures", g.Failures, 2, 100}, {"user_tries", g.UserTries, 1, 10_000_000}, {"source_tries", g.SourceTries, 1, 10_000_000},
		{"spray_users", g.SprayUsers, 2, 10_000}, {"surge_users", g.SurgeUsers, 2, 10_000},
	} {
		if n.value < n.least || n.value > n.most {
			d.checkf("guard."+n.path, "want %d to %d, got %d", n.least, n.most, n.value)
		}
	}
	const day, week = 24 * time.Hour, 7 * 24 * time.Hour
	for _, t := range []struct {
		path               string
		value, least, most time.Duration
	}{
		{"window", g.Window, time.Minute, day}, {"longest_lock", g.LongestLock, g.Window + time.Minute, week},
		{"probe", g.Probe, time.Minute, day}, {"spray_window", g.SprayWindow, time.Minute, day},
		{"block", g.Block, time.Minute, week}, {"longest_block", g.LongestBlock, g.Block, week},
	} {
		if t.value < t.least || t.value > t.most {
			d.checkf("guard."+t.path, "want %v to %v, got %v", t.least, t.most, t.value)
		}
	}
}
