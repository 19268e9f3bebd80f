package gateway

import (
	"context"
	"errors"
	"strings"

	"stsgate/gateway/account"
	"stsgate/gateway/guard"
	"stsgate/gateway/refusal"
	"stsgate/gateway/soap"
	"stsgate/gateway/wstrust"
	"stsgate/policy"
)

// prove has the first factor proven: by the farm, whose answer is kept, or
// against the directory. The guard hears of it before and after.
func (x *exchange) prove(ctx context.Context) error {
	if err := x.take(ctx); err != nil {
		return err
	}
	defer x.try.Settle(ctx, guard.Unsettled) // unless it was settled
	switch {
	case x.decision.Answer != policy.Forward:
		return x.settle(ctx, x.proveByIssuer(ctx))
	case x.forwardsLate():
		return x.settle(ctx, x.proveByDirectory(ctx))
	}
	return x.settle(ctx, x.proveByFarm(ctx))
}

// forwardsLate tells that the farm is asked when the second factor is proven.
func (x *exchange) forwardsLate() bool {
	return x.g.c.ProveInDirectory && x.decision.Obligations.SecondFactor && x.decision.Answer == policy.Forward
}

func (x *exchange) proveByDirectory(ctx context.Context) error {
	if err := x.g.c.Directory.Verify(ctx, x.account, x.request.Password); err != nil {
		_, err = verified(ctx, err)
		return err
	}
	proven := x.account // which is looked up anew where policy changes
	x.proven = &proven
	return nil
}

func (x *exchange) proveByIssuer(ctx context.Context) error {
	proven, err := x.g.c.Issuer.Authenticate(ctx, x.name, x.request.Password)
	if _, ok := errors.AsType[*wstrust.Fault](err); ok {
		return &refusal.Refusal{Reason: refusal.WrongPassword, Err: err}
	}
	if err != nil {
		return failure(ctx, refusal.DirectoryDown, "authenticate: %w", err)
	}
	x.proven = &proven
	return nil
}

// proveByFarm asks the farm to the end, even for a client that goes away: it
// counts a wrong password then, and so must the guard.
func (x *exchange) proveByFarm(ctx context.Context) error {
	kept, err := x.g.c.Forwarder.Forward(context.WithoutCancel(ctx), x.request, x.origin())
	if err != nil {
		if e, ok := errors.AsType[*wstrust.NodeError](err); ok {
			x.node = e.Node
		}
		withhold(err, x.request.Password)
		return RefuseFarm(ctx, err)
	}
	x.kept, x.node = kept, kept.Node
	return nil
}

// origin is what the farm is told about where the request came from. What
// Exchange Online says of the software that it calls for is nobody else's to
// say (security.md, HDR-09).
func (x *exchange) origin() wstrust.Origin {
	o := wstrust.Origin{
		Path:      x.endpoint.Path,
		Client:    x.client.Addr,
		Forwarded: x.client.Forwarded,
	}
	if s := x.agent; printable(s) {
		o.UserAgent = s[:min(len(s), 256)]
	}
	if x.client.ExchangeOnline {
		o.ClientApplication = claim(x.in.Header["X-Ms-Client-Application"])
		o.ClientUserAgent = claim(x.in.Header["X-Ms-Client-User-Agent"])
	}
	return o
}

// claim reads a header of Exchange Online's: one line, short and printable, or
// nothing.
func claim(lines []string) string {
	if len(lines) != 1 || len(lines[0]) > 512 || !printable(lines[0]) {
		return ""
	}
	return lines[0]
}

// withhold drops the text of a fault that repeats the password: it would go
// into log and record (security.md, AUD-05).
func withhold(err error, p account.Password) {
	if f, ok := errors.AsType[*wstrust.Fault](err); ok && strings.Contains(f.Text, string(p.Bytes())) {
		f.Text = "text withheld, it repeats the password"
	}
}

// RefuseFarm finds the reason for what the farm answered, or did not.
func RefuseFarm(ctx context.Context, err error) *refusal.Refusal {
	reason := refusal.FarmFailed
	fault, isFault := errors.AsType[*wstrust.Fault](err)
	_, unread := errors.AsType[*wstrust.Error](err)
	_, unscanned := errors.AsType[*soap.Error](err)
	switch {
	case isFault && fault.Proves() == wstrust.NotProven:
		reason = refusal.WrongPassword
	case isFault && fault.Proves() == wstrust.ProvenRefused && fault.Subcode.Local == "InvalidScope":
		reason = refusal.FarmUnknownApplication
	case isFault && fault.Proves() == wstrust.ProvenRefused:
		reason = refusal.FarmDenied
	case isFault:
	case errors.Is(err, wstrust.ErrUntrusted):
		reason = refusal.AnswerUntrusted
	case unread || unscanned:
		reason = refusal.AnswerUnreadable
	case ctx.Err() != nil:
		reason = refusal.ClientGone
	case errors.Is(err, wstrust.ErrSlow):
		reason = refusal.FarmSlow
	case errors.Is(err, wstrust.ErrDown):
		reason = refusal.FarmDown
	}
	return &refusal.Refusal{Reason: reason, Err: err}
}

// failure refuses for what was asked and failed, or for the client that it was
// asked for and that has gone.
func failure(ctx context.Context, reason refusal.Reason, format string, err error) error {
	if ctx.Err() != nil {
		reason = refusal.ClientGone
	}
	return refusal.New(reason, format, err)
}

// printable tells that a client's own text may stand in a header.
func printable(s string) bool {
	for i := range len(s) {
		if s[i] < ' ' || s[i] > '~' {
			return false
		}
	}
	return true
}
