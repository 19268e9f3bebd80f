package portal

import (
	"net/http"
	"slices"
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
	Partial     bool // a gateway did not answer
	Transaction string
	Explained   *explained
}

func (v *visit) historyPage() error {
	all, whole, err := v.history()
	if err != nil {
		return err
	}
	return v.showHistory(all, historyData{Partial: !whole})
}

func (v *visit) showHistory(all []SignIn, d historyData) error {
	for i := range all {
		d.SignIns = append(d.SignIns, showEntry(i, &all[i]))
	}
	return v.show(shown{status: http.StatusOK, name: "history", title: "History", data: d})
}

// history returns the user's sign-ins.
func (v *visit) history() ([]SignIn, bool, error) {
	release, err := v.look()
	if err != nil {
		return nil, false, err
	}
	defer release()
	return v.p.c.History(v.ctx(), v.session.User.ID, mostShownSignIns)
}

// find returns one sign-in of the user, nil for none.
func (v *visit) find(id string) (*SignIn, bool, error) {
	release, err := v.look()
	if err != nil {
		return nil, false, err
	}
	defer release()
	return v.p.c.Explain(v.ctx(), v.session.User.ID, id)
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

// explain tells why a sign-in was refused. What is not there and what is
// another user's look alike (security.md, PORT-11).
func (v *visit) explain() error {
	id := string(cleanCode(v.form.Get("transaction")))
	all, whole, err := v.history()
	if err != nil {
		return err
	}
	d := historyData{Transaction: plain(id), Partial: !whole}
	i := slices.IndexFunc(all, func(s SignIn) bool { return s.Transaction == id })
	if i >= 0 {
		d.Explained = explanation(&all[i])
		return v.showHistory(all, d)
	}
	s, whole, err := v.find(id)
	switch {
	case err != nil:
		return err
	case s != nil:
		d.Explained = explanation(s)
	default:
		d.Explained = unknown(whole)
	}
	return v.showHistory(all, d)
}

func unknown(whole bool) *explained {
	e := &explained{Title: "Nothing is known under this number"}
	e.Text = "At least not of a sign-in in your name. Check the number; if it is right, what was asked may have been refused " +
		"before anybody knew whose it is, or too long ago. Your help desk can find out more with it."
	if !whole {
		e.Text = "At least not for the moment: not everything could be looked through. Try again in a minute."
	}
	return e
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
	s, _, err := v.find(id)
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
