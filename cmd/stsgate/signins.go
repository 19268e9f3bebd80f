package main

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"log/slog"
	"net/netip"
	"slices"
	"strings"

	"stsgate/gateway/audit"
	"stsgate/gateway/portal"
	"stsgate/gateway/state/jetstream"
)

const (
	// looked is how much of the end of the audit log users are shown their own
	// records of, in bytes.
	looked = 256 << 20
	// mostSignIns is how many another gateway may ask for: they fit into its answer.
	mostSignIns = 100
	// issueToken is the action of a sign-in, as the audit log names it.
	issueToken = "issue-token"
)

// A pastLook is at the sign-ins of one user, as gateways ask each other for it.
type pastLook struct {
	User        string `json:"user"`
	Most        int    `json:"most"`
	Transaction string `json:"transaction,omitempty"` // empty for all
}

// pastSignIns are in the logs of all gateways that share a cluster, each of which
// reads its own.
type pastSignIns struct {
	file    string
	country func(netip.Addr) string
	log     *slog.Logger
	circle  *jetstream.Circle // nil for nobody to ask
	reading chan struct{}     // holds a token for who reads the log
}

// openSignIns has this gateway answer others, whether or not it has a portal.
func (d *daemon) openSignIns() {
	d.signIns = newPastSignIns(d.c.Audit.File, d.parts.country, d.log)
	if d.keeper.store == nil {
		return
	}
	// The log is this machine's file, whichever process writes to it.
	d.signIns.circle = d.keeper.store.Circle(hostname()+":"+d.c.Audit.File, "signins", d.signIns.answer)
	if d.signIns.circle != nil {
		d.keeper.follow(d.signIns.circle.Run)
	}
}

func newPastSignIns(file string, country func(netip.Addr) string, log *slog.Logger) *pastSignIns {
	return &pastSignIns{file: file, country: country, log: log, reading: make(chan struct{}, 1)}
}

// latest returns a user's own sign-ins, the latest first, and whether every
// gateway was asked.
func (p *pastSignIns) latest(ctx context.Context, user string, most int) ([]portal.SignIn, bool, error) {
	return p.everywhere(ctx, pastLook{User: user, Most: most})
}

// one returns one sign-in of a user, nil for none.
func (p *pastSignIns) one(ctx context.Context, user, transaction string) (*portal.SignIn, bool, error) {
	if !isTransaction(transaction) {
		return nil, true, nil
	}
	all, whole, err := p.everywhere(ctx, pastLook{User: user, Most: 1, Transaction: transaction})
	if err != nil || len(all) == 0 {
		return nil, whole, err
	}
	return &all[0], whole, nil
}

func isTransaction(s string) bool {
	return len(s) == 32 && strings.Trim(s, "0123456789abcdef") == ""
}

// everywhere looks into this gateway's log while the others look into theirs.
func (p *pastSignIns) everywhere(ctx context.Context, look pastLook) ([]portal.SignIn, bool, error) {
	var theirs []portal.SignIn
	whole, over := true, make(chan struct{})
	go func() {
		defer close(over)
		theirs, whole = p.ask(ctx, look)
	}()
	all, err := p.here(ctx, look)
	<-over
	if err != nil {
		return nil, false, err
	}
	all = append(all, theirs...)
	slices.SortStableFunc(all, func(a, b portal.SignIn) int { return b.Time.Compare(a.Time) })
	return all[:min(len(all), look.Most)], whole, nil
}

// ask asks the other gateways.
func (p *pastSignIns) ask(ctx context.Context, look pastLook) (all []portal.SignIn, whole bool) {
	if p.circle == nil {
		return nil, true
	}
	question, err := json.Marshal(look)
	if err != nil {
		return nil, false
	}
	answers, whole, err := p.circle.Ask(ctx, question)
	if err != nil {
		p.log.Warn("other gateways were not asked for a user's sign-ins", "err", err)
	}
	for _, text := range answers {
		var some []portal.SignIn
		if json.Unmarshal(text, &some) != nil {
			whole = false // a gateway of another version
		}
		all = append(all, some...)
	}
	return all, whole
}

// answer answers another gateway. Only what is the user's own is ever sent
// (security.md, PORT-11).
func (p *pastSignIns) answer(ctx context.Context, question []byte) ([]byte, error) {
	var look pastLook
	if err := json.Unmarshal(question, &look); err != nil {
		return nil, fmt.Errorf("a question that cannot be read: %w", err)
	}
	if look.Most < 1 || look.Most > mostSignIns || look.Transaction != "" && !isTransaction(look.Transaction) {
		return nil, errors.New("a question that nobody asks")
	}
	all, err := p.here(ctx, look)
	if err != nil {
		return nil, err
	}
	return json.Marshal(all)
}

// here reads this gateway's log, one reader after another. What the user did in
// the portal is among the lines, and is none of them.
func (p *pastSignIns) here(ctx context.Context, look pastLook) ([]portal.SignIn, error) {
	select {
	case p.reading <- struct{}{}:
		defer func() { <-p.reading }()
	case <-ctx.Done():
		return nil, ctx.Err()
	}
	texts := []string{`"user.id":"` + look.User + `"`, `"event.action":"` + issueToken + `"`}
	if look.Transaction != "" {
		texts = slices.Insert(texts, 0, `"transaction.id":"`+look.Transaction+`"`)
	}
	files, err := audit.Segments(p.file)
	if err != nil {
		return nil, fmt.Errorf("read the audit log: %w", err)
	}
	lines, err := audit.Latest(ctx, files, looked, look.Most, texts...)
	if err != nil {
		return nil, fmt.Errorf("read the audit log: %w", err)
	}
	var all []portal.SignIn
	for _, line := range lines {
		var l audit.Line
		if json.Unmarshal(line, &l) != nil || l.UserID == "" || l.UserID != look.User || l.Action != issueToken {
			continue
		}
		all = append(all, p.asSignIn(&l))
	}
	return all, nil
}

func (p *pastSignIns) asSignIn(l *audit.Line) portal.SignIn {
	s := portal.SignIn{
		Transaction: l.Transaction, Time: l.Time, Application: l.Application, Address: l.Client, Released: l.Outcome == "success",
		Reason: l.Reason, Rule: l.Rule,
	}
	if len(l.Forwarded) > 0 {
		s.Address = l.Forwarded[0]
	}
	if s.Address.IsValid() {
		s.Place = p.country(s.Address)
	}
	return s
}
