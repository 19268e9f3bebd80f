package audit

import (
	"net/netip"
	"sync"
	"time"
)

// Requests that are refused before there is a message cost a stranger nothing.
// Of one source, reason and requirement they are one line in earlyTime; sources beyond
// earlySources are counted together, so that a line per reason is all that more
// of them make.
const (
	earlyTime    = 10 * time.Second
	earlySources = 100
)

// An early counts what is refused early.
type early struct {
	log *Log

	mu      sync.Mutex
	waiting map[earlyKey]*Record // nil: one was written, and none came since
	stop    chan struct{}
	done    chan struct{}
}

type earlyKey struct {
	source netip.Addr // an IPv6 network of 64 bits; zero for all beyond the limit
	reason string
	// requirement is empty for all beyond the limit.
	requirement string
}

func newEarly(l *Log) *early {
	e := &early{log: l, waiting: make(map[earlyKey]*Record), stop: make(chan struct{}), done: make(chan struct{})}
	go e.run()
	return e
}

// AppendRefused is Append for a request that was refused before there was a
// message to read. The first of a source, reason and requirement is written at once, those
// of the next 10 seconds together as one; for them nil is returned. While the
// disk is full all are counted, and written when there is room.
func (l *Log) AppendRefused(r *Record) error {
	if !l.early.first(r) {
		return nil
	}
	return l.Append(r)
}

// first counts a record, or tells that it is to be written now.
func (e *early) first(r *Record) bool {
	key := earlyKey{network(r.Client), r.Reason, r.Requirement}
	e.mu.Lock()
	defer e.mu.Unlock()
	known, seen := e.waiting[key]
	if !seen && len(e.waiting) >= earlySources {
		key.source, key.requirement = netip.Addr{}, ""
		known, seen = e.waiting[key]
	}
	if !seen && !e.log.Full() {
		e.waiting[key] = nil
		r.Others = !key.source.IsValid()
		return true
	}
	latest := *r
	latest.Count, latest.Start, latest.Others = 1, r.Time, !key.source.IsValid()
	if known != nil {
		latest.Count, latest.Start = known.Count+1, known.Start
	}
	e.waiting[key] = &latest
	return false
}

// network is what counts as one source.
func network(a netip.Addr) netip.Addr {
	if a = a.Unmap().WithZone(""); a.Is6() {
		p, _ := a.Prefix(64)
		return p.Addr()
	}
	return a
}

func (e *early) run() {
	defer close(e.done)
	tick := time.NewTicker(earlyTime)
	defer tick.Stop()
	for {
		select {
		case <-tick.C:
			e.flush()
		case <-e.stop:
			e.flush()
			return
		}
	}
}

// flush writes what was counted. What cannot be written is counted on.
func (e *early) flush() {
	if e.log.Full() {
		return
	}
	e.mu.Lock()
	var all []*Record
	for key, r := range e.waiting {
		if r == nil {
			delete(e.waiting, key)
			continue
		}
		all = append(all, r)
		e.waiting[key] = nil
	}
	e.mu.Unlock()
	for _, r := range all {
		if e.log.Append(r) != nil {
			e.restore(r)
		}
	}
}

// restore counts what was not written to what came since.
func (e *early) restore(r *Record) {
	key := earlyKey{network(r.Client), r.Reason, r.Requirement}
	if r.Others {
		key.source, key.requirement = netip.Addr{}, ""
	}
	e.mu.Lock()
	defer e.mu.Unlock()
	if since := e.waiting[key]; since != nil {
		since.Count, since.Start = since.Count+r.Count, r.Start
		return
	}
	e.waiting[key] = r
}

func (e *early) close() {
	e.mu.Lock()
	select {
	case <-e.stop:
	default:
		close(e.stop)
	}
	e.mu.Unlock()
	<-e.done
}
