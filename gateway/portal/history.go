package portal

import (
	"net/http"
	"time"
)

// mostShownSignIns is how many sign-ins the page has.
const mostShownSignIns = 50

// An entry is a sign-in as its page shows it.
type entry struct {
	Index                int
	Transaction          string
	Application, Address string
	Place, Why           string
	Time                 time.Time
	Released             bool
}

type explained struct {
	Title, Text string
	Details     []detail
}

// A detail has a time or another value.
type detail struct {
	Name, Value string
	Time        time.Time
}

type historyData struct {
	SignIns     []entry
	Transaction string
	Explained   *explained
}

func (v *visit) historyPage() error { return v.showHistory(historyData{}) }

func (v *visit) showHistory(d historyData) error {
	release, err := v.look()
	if err != nil {
		return err
	}
	all, err := v.p.c.History(v.ctx(), v.session.User.ID, mostShownSignIns)
	release()
	if err != nil {
		return err
	}
	for i := range all {
		d.SignIns = append(d.SignIns, showEntry(i, &all[i]))
	}
	return v.show(shown{status: http.StatusOK, name: "history", title: "History", data: d})
}

func showEntry(i int, s *SignIn) entry {
	e := entry{
		Index: i, Transaction: s.Transaction, Application: plain(s.Application), Place: plain(s.Place), Time: s.Time, Released: s.Released,
	}
	if e.Application == "" {
		e.Application = "an application that is not known here"
	}
	if s.Address.IsValid() {
		e.Address = s.Address.String()
	}
	if !s.Released {
		e.Why = whyText(s.Reason).short
	}
	return e
}

// look waits for its turn at the log, which a few may read at a time.
func (v *visit) look() (release func(), err error) {
	select {
	case v.p.looking <- struct{}{}:
		return func() { <-v.p.looking }, nil
	case <-v.ctx().Done():
		return nil, v.ctx().Err()
	}
}

// explain tells why a sign-in was refused. What is not there and what is
// another user's look alike (security.md, PORT-11).
func (v *visit) explain() error {
	id := string(cleanCode(v.form.Get("transaction")))
	release, err := v.look()
	if err != nil {
		return err
	}
	s, err := v.p.c.Explain(v.ctx(), v.session.User.ID, id)
	release()
	if err != nil {
		return err
	}
	d := historyData{Transaction: plain(id), Explained: &explained{
		Title: "Nothing is known under this number",
		Text: "At least not of a sign-in in your name. Check the number; if it is right, what was asked may have been refused " +
			"before anybody knew whose it is, or by another gateway. Your help desk can find out more with it.",
	}}
	if s != nil {
		d.Explained = explanation(s)
	}
	return v.showHistory(d)
}

func explanation(s *SignIn) *explained {
	if s.Released {
		return &explained{Title: "It was not refused", Text: "The program got what it asked for.", Details: details(s)}
	}
	w := whyText(s.Reason)
	return &explained{Title: w.short, Text: w.long, Details: details(s)}
}

func details(s *SignIn) []detail {
	all := []detail{{Name: "When", Time: s.Time.UTC()}}
	if s.Application != "" {
		all = append(all, detail{Name: "Application", Value: plain(s.Application)})
	}
	if s.Address.IsValid() {
		all = append(all, detail{Name: "From", Value: s.Address.String()})
	}
	switch s.Reason {
	case "denied", "denied-user", "conflict", "conflict-user":
		all = append(all, detail{Name: "Rule", Value: plain(s.Rule)})
	}
	return all
}

// notMe ends whatever could be used in the user's name, and closes the address
// of a sign-in that the user does not know.
func (v *visit) notMe() error {
	id := v.form.Get("id")
	release, err := v.look()
	if err != nil {
		return err
	}
	s, err := v.p.c.Explain(v.ctx(), v.session.User.ID, id)
	release()
	if err != nil {
		return err
	}
	if s == nil {
		return errNotFound
	}
	err = v.act("not-me", id, func() error {
		err := v.p.c.MFA.NotMe(v.ctx(), v.recipient(), v.session.User.ID, s.Address, s.Application, s.Place)
		if err == nil {
			err = v.endOthers()
		}
		return err
	})
	if err != nil {
		return err
	}
	return v.done("/history", "disowned")
}
