package guard

import "time"

const (
	// tighter is what SprayUsers is divided by during a surge.
	tighter = 4
	// unusual is how many times the usual number of failing users is a surge.
	unusual = 5
	// mostFailing bounds the failing users that are remembered, of all sources.
	mostFailing = 4096
	// usualOver is over how many days failing users are averaged.
	usualOver = 7 * 24 * time.Hour
)

// A surge is more users failing than usual, on one gateway, which is how a
// spray from many addresses shows. It only makes sources be blocked sooner: an
// office where most succeed is not blocked then, either.
type surge struct {
	failing users
	until   time.Time
	// usual is how many users fail within a window, on average.
	usual   float64
	windows int       // that usual is of
	next    time.Time // when this window ends
}

// note adds a failure, and tells whether a surge begins.
func (s *surge) note(one seen, l *Limits, now time.Time) bool {
	window := uint32(l.SprayWindow / time.Second)
	s.learn(one.at, window, l, now)
	s.failing.note(one, window, mostFailing)
	_, n := s.failing.count(one.at, window)
	if n < l.SurgeUsers || float64(n) <= unusual*s.usual {
		return false
	}
	begins := !now.Before(s.until)
	s.until = now.Add(l.Block)
	return begins
}

// learn takes the windows that ended into the average, but for those of a surge.
func (s *surge) learn(at, window uint32, l *Limits, now time.Time) {
	if s.next.IsZero() || now.Sub(s.next) > usualOver {
		s.next = now.Add(l.SprayWindow)
	}
	for ; !now.Before(s.next); s.next = s.next.Add(l.SprayWindow) {
		ago := uint32(now.Sub(s.next) / time.Second)
		if s.next.Before(s.until) || at <= ago {
			continue
		}
		_, n := s.failing.count(at-ago, window)
		s.windows = min(s.windows+1, int(usualOver/l.SprayWindow))
		s.usual += (float64(n) - s.usual) / float64(s.windows)
	}
}
