package gateway

import (
	"context"
	"encoding/hex"
	"errors"
	"log/slog"
	"net/http"
	"net/netip"
	"time"

	"stsgate/gateway/audit"
	"stsgate/gateway/refusal"
	"stsgate/gateway/soap"
	"stsgate/gateway/wstrust"
	"stsgate/policy"
)

// record writes the one audit record, counts, and logs a refusal. The record
// is on the disk before the client hears anything; when it cannot be written
// there is no token (security.md, AUD-01).
func (x *exchange) record(err error) error {
	write := x.g.c.Audit.Append
	if x.request == nil && err != nil {
		write = x.g.c.Audit.AppendRefused // strangers do not fill the disk
	}
	if failed := write(x.auditRecord(err)); failed != nil {
		x.g.metrics.auditFailures.Inc()
		err = &refusal.Refusal{Reason: refusal.AuditFailed, Err: failed}
		x.disown()
	}
	version, application := "none", "none"
	if x.request != nil {
		version = x.request.Version.String()
		for _, t := range x.request.Tolerated {
			x.g.metrics.tolerated[t].Inc()
		}
	}
	if x.decision.Application != nil {
		application = x.decision.Application.Name
	}
	x.g.metrics.reportOnly.add(x.decision.Reported, x.decision.Application)
	x.g.metrics.excepted.add(x.decision.Excepted, x.decision.Application)
	if x.degraded != "" {
		x.g.metrics.degraded.WithLabelValues(application, x.degraded).Inc()
	}
	x.g.metrics.count(x.endpoint.Path, version, application, x.decision.Answer.String(), reasonLabel(err), time.Since(x.start))
	x.g.logRefusal(x.id, x.client.Addr, err)
	return err
}

func reasonLabel(err error) string {
	if err == nil {
		return "ok"
	}
	return refusal.Of(err).String()
}

// logRefusal writes the one log line of an exchange that got no token. One
// that got a token is in the audit log.
func (g *Gateway) logRefusal(id string, client netip.Addr, err error) {
	if err == nil {
		return
	}
	row := refusal.Of(err).Row()
	g.c.Log.LogAttrs(context.Background(), row.Level, "refused",
		slog.String("transaction", id), slog.String("client", client.String()), slog.Any("err", err))
}

func (x *exchange) auditRecord(err error) *audit.Record {
	r := &audit.Record{
		Time:        x.start.UTC(),
		Action:      "issue-token",
		Outcome:     "success",
		Reason:      reasonLabel(err),
		Duration:    time.Since(x.start),
		Transaction: x.id,
		Source:      peer(x.in).Addr().Unmap(),
		Client:      x.client.Addr,
		Forwarded:   x.client.Forwarded,
		Doubtful:    x.client.Doubtful,
		UserAgent:   x.agent,
		TLS:         tlsVersion(x.in),
		Path:        x.endpoint.Path,
		Status:      http.StatusOK,
		Node:        x.node,
		Revision:    x.set.Revision(),
	}
	if err != nil {
		r.Outcome, r.Status, r.Error = "failure", refusal.Of(err).Row().Status, err.Error()
		r.Requirement = requirement(err)
	}
	if x.try != nil && x.try.Reported != nil {
		r.GuardReported = x.try.Reported.Reason.String()
	}
	if x.repeated != nil {
		r.RepeatOf = x.repeated.transaction
	}
	r.Degraded = x.degraded
	x.auditDecision(r)
	x.auditRequest(r, err)
	x.auditToken(r, err)
	return r
}

// usualFacts is the size in bytes that most recorded facts do not exceed.
const usualFacts = 1 << 10

// auditDecision adds what policy decided, and on which facts.
func (x *exchange) auditDecision(r *audit.Record) {
	if !x.decided {
		return
	}
	x.gatherFamily()
	d := &x.decision
	r.Effect, r.SecondFactor = d.Effect.String(), d.Obligations.SecondFactor
	r.Facts = x.recordedFacts().AppendJSON(make([]byte, 0, usualFacts), x.recorded())
	r.Rule, r.Reported, r.Excepted = d.Rule, ruleNames(d.Reported), ruleNames(d.Excepted)
	for rule := range d.Obligations.Rules() {
		r.Requires = append(r.Requires, rule.Name)
	}
	for _, p := range x.proofs {
		r.Shapes = append(r.Shapes, p.Shape.String())
		r.Factors = append(r.Factors, p.Method())
		r.Assurance = append(r.Assurance, p.Assurance())
		r.Remembered = r.Remembered || p.Remembered
	}
	if d.Answer != policy.NoAnswer {
		r.Answer = d.Answer.String()
	}
	if d.Application != nil {
		r.Application = d.Application.Name
	}
}

// recordedFacts are the facts without whatever names a user, where names are
// hashed. What a rule needs of them is then not read for a replay.
func (x *exchange) recordedFacts() *policy.Facts {
	if !x.g.c.Audit.HashesNames() {
		return &x.facts
	}
	f := x.facts
	f.User.SAM = ""
	return &f
}

// recorded are the facts that stand in the record.
func (x *exchange) recorded() policy.FactSet {
	if !x.g.c.Audit.HashesNames() {
		return x.read
	}
	return x.read.Without(policy.UserName, policy.DelegationOnBehalfOf, policy.DelegationActAs)
}

func ruleNames(rules []*policy.Rule) []string {
	var all []string
	for _, r := range rules {
		all = append(all, r.Name)
	}
	return all
}

// auditRequest adds what the message asked for. A name is written as it was
// typed only when it is known to be one: resolved, or proven by its password.
// Anything else may be a password in the wrong box (security.md, AUD-08).
func (x *exchange) auditRequest(r *audit.Record, err error) {
	if x.request == nil {
		return
	}
	r.AppliesTo, r.TokenType = x.request.AppliesTo, x.request.TokenType
	r.Version, r.SOAP = x.request.Version.String(), x.request.SOAP.String()
	for _, t := range x.request.Tolerated {
		r.Tolerated = append(r.Tolerated, t.String())
	}
	switch {
	case x.account.ID != "":
		r.UserID, r.UserName = x.account.ID, x.account.UPN
	case x.g.c.Directory == nil && (err == nil || refusal.Of(err) == refusal.FarmDenied || refusal.Of(err) == refusal.FarmUnknownApplication):
		r.UserName = x.request.Username
	default:
		r.UserHash, r.UserLength = x.g.c.Audit.HashName(x.request.Username)
	}
}

// auditToken enters the token that goes out into the ledger (security.md, TOK-06).
func (x *exchange) auditToken(r *audit.Record, err error) {
	switch {
	case err != nil:
	case x.repeated != nil:
		t := &x.repeated.token
		r.AssertionID, r.NotOnOrAfter, r.AssertionHash, r.Encrypted = t.AssertionID, t.NotOnOrAfter, t.AssertionHash, t.Encrypted
	case x.issued != nil:
		r.AssertionID, r.NotOnOrAfter = x.issued.ID, x.issued.Lifetime.Expires.UTC()
		r.AssertionHash = hex.EncodeToString(x.issued.Digest[:])
	case x.kept != nil:
		r.AssertionID, r.NotOnOrAfter = x.kept.Assertion.ID, x.kept.Assertion.NotOnOrAfter
		r.AssertionHash, r.Encrypted = hex.EncodeToString(x.kept.Digest[:]), x.kept.Encrypted
	}
}

// requirement is what a message that could not be read does not meet.
func requirement(err error) string {
	if e, ok := errors.AsType[*wstrust.Error](err); ok {
		return e.Rule
	}
	if e, ok := errors.AsType[*soap.Error](err); ok {
		return e.Rule
	}
	return ""
}

// Refuse answers a request that package edge did not let in, and records it.
func (g *Gateway) Refuse(w http.ResponseWriter, r *http.Request, why *refusal.Refusal) {
	start, id := time.Now(), newTransaction()
	client := g.c.Clients.Locate(peer(r), r.Header)
	row := why.Reason.Row()
	var err error = why
	failed := g.c.Audit.AppendRefused(&audit.Record{
		Time: start.UTC(), Action: "request", Outcome: "failure", Reason: row.Label, Transaction: id,
		Source: peer(r).Addr().Unmap(), Client: client.Addr, Forwarded: client.Forwarded, Doubtful: client.Doubtful, UserAgent: r.UserAgent(), TLS: tlsVersion(r),
		Path: "none", Status: row.Status, Error: why.Error(), Revision: g.c.Policy.Load().Revision(),
	})
	if failed != nil { // nothing is given away by a refusal, so it stands
		g.metrics.auditFailures.Inc()
		err = failed
	}
	g.metrics.count("none", "none", "none", policy.NoAnswer.String(), row.Label, time.Since(start))
	g.logRefusal(id, client.Addr, err)
	plainReply(row, id).write(w)
}

// RefuseFraming records a request that package edge refused before it had a path.
func (g *Gateway) RefuseFraming(from string, status int, why error) {
	var peer netip.Addr // not valid only where the listener has no addresses
	if ap, err := netip.ParseAddrPort(from); err == nil {
		peer = ap.Addr().Unmap().WithZone("")
	}
	failed := g.c.Audit.AppendRefused(&audit.Record{
		Time: time.Now().UTC(), Action: "request", Outcome: "failure", Reason: "framing", Transaction: newTransaction(),
		Source: peer, Client: peer, Path: "none", Status: status, Error: why.Error(), Revision: g.c.Policy.Load().Revision(),
	})
	if failed != nil {
		g.metrics.auditFailures.Inc()
	}
}
