package main

import (
	"bufio"
	"encoding/csv"
	"errors"
	"fmt"
	"os"
	"strings"
	"text/tabwriter"

	"stsgate/gateway/admin"
)

type mfaVerbs struct {
	List        mfaList        `cmd:"" help:"List the authenticators of a user, or of all."`
	BindingCode mfaBindingCode `cmd:"" help:"Make a code with which a user adds an authenticator."`
	Reset       mfaReset       `cmd:"" help:"Take away all that a user has."`
	Revoke      mfaRevoke      `cmd:"" help:"End what a user proved: grants, and sessions of the portal."`
}

// Help shows examples.
func (mfaVerbs) Help() string {
	return `For the help desk: asks the running gateway on this machine. Nobody is shown a secret, and nobody can
approve a request in the place of a user.

Examples:
  stsgate mfa list alice@contoso.example
  stsgate mfa binding-code alice@contoso.example --reason "new phone, came to the desk with her badge"
  stsgate mfa reset alice@contoso.example --reason "phone stolen"`
}

// A userAim is a user whom a verb changes, and why.
type userAim struct {
	socketFlag
	User   string `arg:"" help:"The user: a name, or the directory's GUID."`
	Reason string `required:"" placeholder:"TEXT" help:"Why: it stands in the audit log."`
	JSON   bool   `name:"json" help:"Print what was done as JSON."`
}

func (p *userAim) ask(c *console, name, sentence string) error {
	var done admin.Done
	if err := p.call(name, admin.Who{Target: p.User, Reason: p.Reason}, &done); err != nil {
		return err
	}
	if p.JSON {
		return printJSON(c.out, done)
	}
	_, err := fmt.Fprintf(c.out, sentence+"\n", named(done.Name, done.Target))
	return err
}

// named is a user's name with what he is kept under.
func named(name, id string) string {
	if name == "" {
		return shown(id)
	}
	return shown(name + " (" + id + ")")
}

type mfaList struct {
	socketFlag
	JSON bool   `name:"json" help:"Print the list as JSON."`
	User string `arg:"" optional:"" help:"The user; without one, all."`
}

// Help shows examples.
func (mfaList) Help() string {
	return `Lists authenticators: their kind, what the user calls them, when they were added and last used.

Examples:
  stsgate mfa list alice@contoso.example
  stsgate mfa list --json`
}

// Run lists authenticators.
func (v *mfaList) Run(c *console) error {
	var l admin.Authenticators
	if err := v.call(admin.MFAList, admin.Who{Target: v.User}, &l); err != nil {
		return err
	}
	if v.JSON {
		return printJSON(c.out, l)
	}
	if len(l.Rows) == 0 && l.Unread == "" {
		fmt.Fprintln(c.out, "no authenticator")
		return nil
	}
	w := tabwriter.NewWriter(c.out, 0, 0, 2, ' ', 0)
	fmt.Fprintln(w, "USER\tKIND\tLABEL\tADDED\tUSED\tSTATE")
	for _, r := range l.Rows {
		fmt.Fprintf(w, "%s\t%s\t%s\t%s\t%s\t%s\n", named(r.Name, r.User), r.Kind, dash(r.Label), moment(r.Bound), dash(moment(r.Used)), condition(&r))
	}
	if err := w.Flush(); err != nil {
		return err
	}
	return remainder(c, l.More, l.Unread)
}

func condition(a *admin.Authenticator) string {
	switch {
	case a.Disabled:
		return "disabled"
	case a.Kind == "recovery":
		return fmt.Sprintf("%d left", a.Left)
	}
	return "good"
}

type mfaBindingCode struct {
	socketFlag
	User   string `arg:"" optional:"" help:"The user; or --file."`
	File   string `placeholder:"FILE" help:"A file with one user a line, for codes of many."`
	Out    string `placeholder:"FILE" help:"Where the codes of --file are written, as CSV; the file must not be there, and only its owner can read it."`
	Reason string `required:"" placeholder:"TEXT" help:"Why: it stands in the audit log."`
	JSON   bool   `name:"json" help:"Print the code as JSON."`
}

// Help shows examples.
func (mfaBindingCode) Help() string {
	return `Makes a code with which a user adds an authenticator in the portal, once, within 10 minutes. It takes the
place of one that was made before. Hand it over in person or by phone to somebody whom you know to be the
user, and never by e-mail: whoever has the password and the code can add an authenticator. The user hears
that there was one. For members of admin.protected_groups, and to reset them, a second operator has to ask
for the same.

Examples:
  stsgate mfa binding-code alice@contoso.example --reason "new phone, came to the desk with her badge"
  stsgate mfa binding-code --file course.txt --out codes.csv --reason "introduction, room 3"`
}

// Run makes codes.
func (v *mfaBindingCode) Run(c *console) error {
	switch {
	case (v.User == "") == (v.File == ""):
		return usageError{errors.New("want a user, or --file")}
	case (v.File == "") != (v.Out == ""):
		return usageError{errors.New("--file and --out go together")}
	case v.File != "":
		return v.many(c)
	}
	b, err := v.one(v.User)
	if err != nil {
		return err
	}
	if v.JSON {
		return printJSON(c.out, b)
	}
	_, err = fmt.Fprintf(c.out, "%s\nfor %s until %s, once\n", b.Code, named(b.Name, b.User), moment(b.Until))
	return err
}

func (v *mfaBindingCode) one(user string) (*admin.BindingCode, error) {
	var b admin.BindingCode
	err := v.call(admin.MFABindingCode, admin.Who{Target: user, Reason: v.Reason}, &b)
	return &b, err
}

// many writes the codes of all who are in a file. Who has none is named.
func (v *mfaBindingCode) many(c *console) error {
	users, err := linesOf(v.File)
	if err != nil {
		return usageError{err}
	}
	out, err := os.OpenFile(v.Out, os.O_CREATE|os.O_EXCL|os.O_WRONLY, 0o600)
	if err != nil {
		return usageError{err}
	}
	w := csv.NewWriter(out)
	made := 0
	err = w.Write([]string{"user", "code", "until"})
	for _, user := range users {
		b, e := v.one(user)
		if e != nil {
			fmt.Fprintf(c.err, "stsgate: %s: %v\n", shown(user), e)
			continue
		}
		made++
		err = errors.Join(err, w.Write([]string{user, b.Code, moment(b.Until)}))
	}
	w.Flush()
	if err := errors.Join(err, w.Error(), out.Close()); err != nil {
		return err
	}
	fmt.Fprintf(c.out, "%d codes of %d users are in %s\n", made, len(users), v.Out)
	if made < len(users) {
		return errReported
	}
	return nil
}

// linesOf returns the lines of a file, without empty ones.
func linesOf(file string) ([]string, error) {
	f, err := os.Open(file)
	if err != nil {
		return nil, err
	}
	defer f.Close()
	var all []string
	s := bufio.NewScanner(f)
	for s.Scan() {
		if line := strings.TrimSpace(s.Text()); line != "" {
			all = append(all, line)
		}
	}
	return all, s.Err()
}

type mfaReset struct {
	userAim
}

// Help shows examples.
func (mfaReset) Help() string {
	return `Takes all authenticators and recovery codes away from a user, and ends grants and sessions. It gives
nobody anything: the user adds authenticators anew with a binding code. The user hears of it.

Examples:
  stsgate mfa reset alice@contoso.example --reason "phone stolen"
  stsgate mfa reset 0f8fad5b-d9cb-469f-a165-70867728950e --reason "restored from a backup, had removed it"`
}

// Run resets a user.
func (v *mfaReset) Run(c *console) error {
	return v.ask(c, admin.MFAReset, "%s has no authenticator any more; stsgate mfa binding-code lets one be added")
}

type mfaRevoke struct {
	userAim
}

// Help shows examples.
func (mfaRevoke) Help() string {
	return `Ends the grants of a user, and the sessions in the portal: the next request owes a second factor again.
Authenticators stay.

Examples:
  stsgate mfa revoke alice@contoso.example --reason "laptop stolen"`
}

// Run ends what a user proved.
func (v *mfaRevoke) Run(c *console) error {
	return v.ask(c, admin.MFARevoke, "ended the grants and sessions of %s")
}
