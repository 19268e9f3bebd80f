package audit

import "time"

// A gap is a time in which records could not be written.
type gap struct {
	since   time.Time
	refused int    // tries to write a record that failed
	cause   string // of the latest
}

// A resumed is the record that comes first when the log can be written again.
type resumed struct {
	// When it could be written again, UTC.
	Time string `json:"@timestamp"`
	// audit-resumed.
	Action string `json:"event.action"`
	// success.
	Outcome string `json:"event.outcome"`
	// gap.
	Reason string `json:"event.reason"`
	// When a record could not be written for the first time.
	Start string `json:"event.start"`
	// How many tries to write a record failed since. What they were records of was refused, so that no token is missing here.
	Count int `json:"labels.count"`
	// Why the last of them failed.
	Error string `json:"error.message"`
}

// actionResumed is the event.action of a resumed.
const actionResumed = "audit-resumed"

// appendGap adds the record that says for how long there was none.
func (c *chain) appendGap(dst []byte, now time.Time) []byte {
	dst = c.add(dst, ownLine(&resumed{
		Time: stamp(now), Action: actionResumed, Outcome: "success", Reason: "gap",
		Start: stamp(c.gap.since), Count: c.gap.refused, Error: clean(c.gap.cause),
	}))
	if c.since++; c.since == 1 {
		c.sealed = now
	}
	c.gap = nil
	return dst
}

// note counts a commit of so many records that failed.
func (l *Log) note(err error, records int, now time.Time) {
	g := gap{since: now}
	if l.chain.gap != nil {
		g = *l.chain.gap
	}
	g.refused, g.cause = g.refused+records, err.Error()
	l.chain.gap = &g
	l.failing.Store(&g)
}

// retry tries to write after writes failed, so that the log is known to work
// again before anybody sends requests.
func (l *Log) retry() {
	if l.chain.gap != nil {
		_ = l.commit(nil) // counted
	}
}

// Failing reports why the latest write failed, nil when it did not. It ends by
// itself within a second of the disk's working again.
func (l *Log) Failing() error {
	g := l.failing.Load()
	if g == nil {
		return nil
	}
	return failedSince{*g}
}

// A failedSince is the error of a gap.
type failedSince struct{ gap }

// Error implements error.
func (f failedSince) Error() string {
	return "since " + f.since.UTC().Format(time.RFC3339) + ": " + f.cause
}
