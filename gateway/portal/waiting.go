package portal

import (
	"encoding/hex"
	"errors"
	"net/http"
	"net/netip"
	"strconv"
	"strings"
	"time"

	"stsgate/gateway/mfa"
	"stsgate/gateway/mfa/knock"
)

// An asked is what waits, as its page shows it. The number that may have to be
// typed is not in it (security.md, MFA-08).
type asked struct {
	Index                        int
	ID                           string
	Application, Family, Address string
	Place                        string
	New                          bool // and not where this page is looked at from
	Number                       bool
	Requests                     int
	Since                        time.Time
	Ago, Left                    string
	Factor                       *need // nil where the session's is good for it
	None                         bool  // the user has no authenticator that may approve
}

type waitingData struct {
	Waiting []asked
	Allows  bool // some applications take a grant
}

func (v *visit) waitingPage() error { return v.showWaiting("") }

func (v *visit) showWaiting(wrong string) error {
	all, err := v.p.c.MFA.Pending(v.ctx(), v.session.User.ID)
	if err != nil {
		return err
	}
	d := waitingData{Allows: len(v.p.c.Applications()) > 0}
	for i := range all {
		a, err := v.asked(i, &all[i])
		if err != nil {
			return err
		}
		d.Waiting = append(d.Waiting, a)
	}
	title := "Nothing waits for you"
	switch len(all) {
	case 0:
	case 1:
		title = "A sign-in waits for you"
	default:
		title = "Sign-ins wait for you"
	}
	s := shown{status: http.StatusOK, name: "waiting", title: title, wrong: wrong, seen: v.p.seen(all), data: d}
	if wrong != "" {
		s.status = http.StatusForbidden
	}
	return v.show(s)
}

func (v *visit) asked(i int, o *mfa.Pending) (asked, error) {
	a := asked{
		Index: i, ID: o.ID, Application: plain(o.Application), Family: program(o.Family), Address: where(o.Address), Place: plain(o.Place),
		New: o.New && !o.Address.Contains(v.address()), Number: o.Number, Requests: o.Waiting, Since: o.Opened, Ago: span(v.now.Sub(o.Opened)), Left: span(max(o.Until.Sub(v.now).Round(time.Minute), min(o.Until.Sub(v.now), time.Minute))),
	}
	if v.session.fresh(v.now) && o.Factors.Has(v.session.Proof.Kind.Factors()) {
		return a, nil
	}
	n, err := v.need("Approve with a passkey", o.Factors)
	if err != nil {
		return a, err
	}
	n.ID += strconv.Itoa(i)
	a.Factor = n
	a.None = !n.HasCode && !n.HasPasskey
	return a, nil
}

// program names the software that asks.
func program(family string) string {
	if family == "unknown" {
		return "not recognised"
	}
	return plain(family)
}

// where names an address, or the network of an IPv6 address.
func where(p netip.Prefix) string {
	switch {
	case !p.IsValid():
		return "an address that is not known"
	case p.IsSingleIP():
		return p.Addr().String()
	}
	return p.String()
}

// seen names what waits, so that an open page can tell when it changes.
func (p *Portal) seen(all []mfa.Pending) string {
	var ids strings.Builder
	for _, o := range all {
		ids.WriteString(o.ID)
	}
	return hex.EncodeToString(p.keyed("seen", ids.String())[:8])
}

func (v *visit) approve() error {
	id := v.form.Get("id")
	number := string(cleanCode(v.form.Get("number")))
	waited := v.waited(id)
	err := v.act("approve", id, func() error {
		return v.p.c.MFA.Decide(v.ctx(), v.session.User.ID, id, mfa.Decision{Verdict: mfa.Approve, Number: number, Factor: v.session.Proof})
	})
	switch {
	case errors.Is(err, mfa.ErrNumber):
		return v.showWaiting("That is not the number that your program shows. One more wrong number denies the sign-in.")
	case errors.Is(err, mfa.ErrNumbers):
		return v.showWaiting("The number was wrong twice, so the sign-in was denied. Start it again in your program.")
	case errors.Is(err, mfa.ErrFactor):
		return v.showWaiting("For this sign-in another device is asked for.")
	case err != nil:
		return v.over(err, id)
	case waited:
		return v.done("/", "approved")
	}
	return v.done("/", "approved-retry")
}

// waited tells that a program waits for the answer now.
func (v *visit) waited(id string) bool {
	all, err := v.p.c.MFA.Pending(v.ctx(), v.session.User.ID)
	for _, o := range all {
		if o.ID == id {
			return err == nil && o.Waiting > 0
		}
	}
	return false
}

func (v *visit) deny() error {
	id := v.form.Get("id")
	d, name, word := mfa.Decision{Verdict: mfa.Deny}, "deny", "denied"
	if v.form.Get("me") == "no" {
		d.Verdict, d.To = mfa.NotMe, v.recipient()
		name, word = "not-me", "not-me"
	}
	err := v.act(name, id, func() error {
		err := v.p.c.MFA.Decide(v.ctx(), v.session.User.ID, id, d)
		if err == nil && d.Verdict == mfa.NotMe {
			err = v.endOthers()
		}
		return err
	})
	if err != nil {
		return v.over(err, id)
	}
	return v.done("/", word)
}

// over tells of an answer that came too late, or for what is not the user's: which
// of them is written down (MFA-01), and not said (PORT-06).
func (v *visit) over(err error, id string) error {
	if errors.Is(err, mfa.ErrMismatch) {
		if err := v.record(Mismatch, id, "failure"); err != nil {
			return err
		}
	}
	switch {
	case errors.Is(err, mfa.ErrOver), errors.Is(err, mfa.ErrMismatch):
		return problem{http.StatusNotFound, "It does not wait any more", "It was answered, or its time is over. If your program still asks, start again there."}
	case errors.Is(err, mfa.ErrOldFactor):
		return problem{http.StatusForbidden, "Not yet", "For this you must have shown within the last five minutes that it is you. Go back to the start and try again."}
	}
	return err
}

// endOthers ends all sessions of the user but this one, which gets a new id.
func (v *visit) endOthers() error {
	s := *v.session
	if err := v.p.endAll(v.ctx(), s.User.ID); err != nil {
		return err
	}
	return v.begin(s)
}

// recipient is who is told of what happened.
func (v *visit) recipient() knock.Recipient {
	return knock.Recipient{ID: v.session.User.ID, Name: v.session.User.UPN, Mail: v.session.Mail}
}
