package audit

import (
	"bytes"
	"encoding/hex"
	"encoding/json"
	"fmt"
	"slices"
	"strings"
	"time"
)

// A Token is one whose entry in the ledger is looked for.
type Token struct {
	// ID is the assertion's id, and Hash its digest as in hash.sha256.
	ID   string
	Hash [32]byte
	// Issued is when it says that it was issued; the zero time if it does not, and
	// then all lines are looked at.
	Issued time.Time
	// Audiences are whom it is for.
	Audiences []string
}

// A Verdict says what the ledger knows of a token.
type Verdict uint8

// The verdicts.
const (
	// CannotTell: the lines that would tell are not there, or are about tokens that
	// were encrypted.
	CannotTell Verdict = iota
	// Unknown: the gateway did not release it.
	Unknown
	// Released: it did.
	Released
)

// String returns the verdict as it is printed.
func (v Verdict) String() string {
	return [...]string{"cannot tell", "unknown", "released"}[v]
}

// An Entry is what the ledger says of a token.
type Entry struct {
	Verdict Verdict
	// Line is that of the release.
	Line Line
	// Why says more of a token that was not found.
	Why string
}

// around is how far from the time in a token its line can be: the request came
// before, by up to the longest hold and the farm's time, and its issuer's clock
// may differ by 5 minutes.
const around = 15 * time.Minute

// FindToken looks a token up in the files of one log.
func FindToken(files []string, t Token) (Entry, error) {
	all, err := openSegments(files)
	if err != nil {
		return Entry{}, err
	}
	defer closeSegments(all)
	s := tokenSearch{
		token: t,
		hash:  []byte(`"hash.sha256":"` + hex.EncodeToString(t.Hash[:]) + `"`),
		id:    []byte(`"labels.assertion_id":"` + t.ID + `"`),
		from:  t.Issued.Add(-around), until: t.Issued.Add(around),
		named: make(map[string]bool),
	}
	for _, a := range t.Audiences {
		name, _ := json.Marshal(clean(a)) // a text is always encoded
		s.names = append(s.names, bytes.TrimSuffix(name, []byte(`"`)))
	}
	if t.Issued.IsZero() {
		s.from, s.until = time.Time{}, time.Unix(1<<40, 0)
	}
	for _, segment := range all {
		if err := s.search(segment); err != nil {
			return Entry{}, err
		}
		if s.found.Verdict == Released {
			return s.found, nil
		}
	}
	s.live = live(files)
	return s.missing(all), nil
}

// A tokenSearch goes through lines.
type tokenSearch struct {
	token       Token
	hash, id    []byte
	names       [][]byte // the audiences as they begin in a line
	from, until time.Time
	later       int // lines in a row that are behind the time

	live      bool // a gateway writes the log
	found     Entry
	other     string          // a transaction that released another token of the id
	named     map[string]bool // the applications of the audiences
	encrypted []Line          // releases of encrypted tokens
	err       error
}

// enoughLater is how many lines in a row end a search, so that a clock that was
// set does not.
const enoughLater = 1000

// search looks at the lines of a segment that are of the time.
func (s *tokenSearch) search(g *segment) error {
	if g.until.Add(around).Before(s.from) || g.from.Add(-around).After(s.until) {
		return nil
	}
	at, err := g.find(s.from)
	if err != nil {
		return fmt.Errorf("%s: %w", g.Name(), err)
	}
	if err := g.lines(at, func(line []byte) bool {
		if s.later++; !timeOf(line).After(s.until) {
			s.later = 0
		}
		return s.later < enoughLater && s.line(line)
	}); err != nil {
		return fmt.Errorf("%s: %w", g.Name(), err)
	}
	return s.err
}

// line looks at one line and tells whether to go on.
func (s *tokenSearch) line(line []byte) bool {
	hit := bytes.Contains(line, s.hash)
	switch {
	case !bytes.Contains(line, []byte(`"event.outcome":"success"`)):
		return true
	case hit, s.token.ID != "" && bytes.Contains(line, s.id), bytes.Contains(line, []byte(`"labels.token_encrypted":true`)), s.isNamed(line):
	default:
		return true
	}
	var l Line
	if err := json.Unmarshal(line, &l); err != nil {
		return true // torn
	}
	if hit {
		if _, ok := readLink(line); !ok {
			s.err = fmt.Errorf("line %d of the log is not what was written; see audit verify", l.Sequence)
			return false
		}
		s.found = Entry{Verdict: Released, Line: l}
		return false
	}
	if l.AssertionID == s.token.ID && s.token.ID != "" {
		s.other = l.Transaction
	}
	if s.audience(l.AppliesTo) {
		s.named[l.Application] = true
	}
	if l.Encrypted {
		s.encrypted = append(s.encrypted, Line{Record: Record{AppliesTo: l.AppliesTo, Application: l.Application, Transaction: l.Transaction}})
	}
	return true
}

// isNamed tells that a line may be of an application whose name is not known yet.
func (s *tokenSearch) isNamed(line []byte) bool {
	return len(s.named) == 0 && slices.ContainsFunc(s.names, func(a []byte) bool { return bytes.Contains(line, a) })
}

// audience tells that a recorded address, which may be cut, is one of the token's.
func (s *tokenSearch) audience(recorded string) bool {
	return slices.ContainsFunc(s.token.Audiences, func(a string) bool {
		a = clean(a)
		return a == recorded || len(recorded) > 100 && strings.HasPrefix(a, recorded)
	})
}

// missing says what it means that a token was not found.
func (s *tokenSearch) missing(all []*segment) Entry {
	if why := s.uncovered(all); why != "" {
		return Entry{Why: why}
	}
	for _, e := range s.encrypted {
		if len(s.token.Audiences) == 0 || s.audience(e.AppliesTo) || s.named[e.Application] {
			return Entry{Why: fmt.Sprintf("the application %s got encrypted tokens at the time, such as in transaction %s: what they say is not known", e.Application, e.Transaction)}
		}
	}
	e := Entry{Verdict: Unknown}
	if s.other != "" {
		e.Why = fmt.Sprintf("transaction %s released a token with its id, and this is another", s.other)
	}
	return e
}

// uncovered says which lines of the time are not there, or nothing.
func (s *tokenSearch) uncovered(all []*segment) string {
	if len(all) == 0 {
		return "the log is empty"
	}
	first, last := all[0], all[len(all)-1]
	if from := first.from; first.first.sequence > 1 && from.After(s.from) || from.Add(-around).After(s.token.Issued) && !s.token.Issued.IsZero() {
		return fmt.Sprintf("the log begins at %s, and what was before it is not here", stamp(first.from))
	}
	if last.until.Before(s.until) && !s.live {
		return fmt.Sprintf("the log ends at %s, and no gateway is writing it", stamp(last.until))
	}
	for i, g := range all[1:] {
		if before := all[i]; g.first.sequence != before.last.sequence+1 && !before.until.After(s.until) && !g.from.Before(s.from) {
			return fmt.Sprintf("lines %d to %d of the log are not here", before.last.sequence+1, g.first.sequence-1)
		}
	}
	return ""
}

// Find returns the line of a transaction in the files of one log, the latest
// first, and nil when there is none.
func Find(files []string, transaction string) ([]byte, error) {
	all, err := openSegments(files)
	if err != nil {
		return nil, err
	}
	defer closeSegments(all)
	want := []byte(`"transaction.id":"` + transaction + `"`)
	var found []byte
	for _, g := range slices.Backward(all) {
		if err := g.lines(0, func(line []byte) bool {
			if bytes.Contains(line, want) {
				found = bytes.Clone(line)
			}
			return found == nil
		}); err != nil || found != nil {
			return found, err
		}
	}
	return nil, nil
}
