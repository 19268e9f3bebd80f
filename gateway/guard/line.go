package guard

// A line orders the tries of one user from one class of addresses: one password
// at a time is asked about, and not more than there are failures left. Guesses
// that arrive all at once are then as few as those that come one after another,
// and several gateways are over the limit by at most one each. A password that
// was right last does not wait.
type line struct {
	// passwords are the tries that are out or wait, by the hash of the password:
	// those of one password share its fate.
	passwords map[string]int
	busy      bool
	changed   chan struct{} // closed when a try is settled
}

type lineKey struct {
	user  string
	class class
}

// line returns the line, which join or leave must follow. g.mu is held.
func (g *Guard) line(k lineKey) *line {
	l := g.lines[k]
	if l == nil {
		l = &line{passwords: map[string]int{}, changed: make(chan struct{})}
		g.lines[k] = l
	}
	return l
}

func (l *line) join(password string) { l.passwords[password]++ }

// leave ends a try's stay, and tells the others. g.mu is held.
func (g *Guard) leave(k lineKey, password string, wasOut bool) {
	l := g.lines[k]
	if l.passwords[password]--; l.passwords[password] == 0 {
		delete(l.passwords, password)
	}
	if wasOut {
		l.busy = false
	}
	close(l.changed)
	l.changed = make(chan struct{})
	if len(l.passwords) == 0 {
		delete(g.lines, k)
	}
}
