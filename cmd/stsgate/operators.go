package main

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"strings"
	"text/tabwriter"
	"time"
	"unicode"

	"stsgate/gateway/admin"
)

// listenOperators makes the socket of those who run the gateway, if there is to
// be one.
func (d *daemon) listenOperators() error {
	if d.c.Admin.Socket == "" {
		return nil
	}
	c := admin.DeskConfig{
		Guard: d.keeper.guard, Factors: d.keeper.factors, Store: d.keeper.sealed, Record: d.audit.AppendOperation, Log: d.log,
		Know: d.keeper.know, Protected: d.c.Admin.ProtectedGroups,
		Ends: []func(context.Context, string) error{d.keeper.mfa.RevokeAll}, Disowned: d.keeper.disowned, Reopen: d.keeper.reopen,
	}
	if d.portal != nil {
		c.Ends = append(c.Ends, d.portal.EndSessions)
	}
	if d.parts.directory != nil {
		c.Lookup, c.Names = d.parts.directory.Lookup, d.parts.directory.Names
	}
	desk, err := admin.NewDesk(c)
	if err != nil {
		return err
	}
	l, err := admin.Listen(d.c.Admin.Socket, d.c.Admin.SocketGroup)
	if err != nil {
		return err
	}
	d.plain = append(d.plain, &plainServer{l, desk.Server()})
	return nil
}

// A socketFlag says where the running gateway is asked.
type socketFlag struct {
	Socket string `default:"/run/stsgate/admin.sock" env:"STSGATE_SOCKET" placeholder:"FILE" help:"The socket of the running gateway, admin.socket in its configuration. Default: ${default}."`
}

func (f *socketFlag) call(name string, in, out any) error {
	return admin.Client{Socket: f.Socket}.Call(context.Background(), name, in, out)
}

// An aim is whom or what a verb changes, and why.
type aim struct {
	socketFlag
	Target string `arg:"" help:"The user, or the address or prefix."`
	Reason string `required:"" placeholder:"TEXT" help:"Why: it stands in the audit log and in lists."`
	JSON   bool   `name:"json" help:"Print what was done as JSON."`
}

// ask makes a call that changes something, and prints a sentence, or JSON.
func (a *aim) ask(c *console, name string, d time.Duration, sentence string) error {
	if d < 0 || d != 0 && d < time.Second {
		return usageError{errors.New("--for wants a second or more")}
	}
	var done admin.Done
	if err := a.call(name, admin.Close{Target: a.Target, Seconds: int64(d / time.Second), Reason: a.Reason}, &done); err != nil {
		return err
	}
	if a.JSON {
		return printJSON(c.out, done)
	}
	fmt.Fprintf(c.out, sentence, named(done.Name, done.Target))
	if !done.Until.IsZero() {
		fmt.Fprintf(c.out, " until %s", moment(done.Until))
	}
	_, err := fmt.Fprintln(c.out)
	return err
}

// printList prints rows as a table, or all as JSON.
func printList(c *console, l *admin.List, asJSON bool, nothing string) error {
	if asJSON {
		return printJSON(c.out, l)
	}
	if len(l.Rows) == 0 && l.Unread == "" {
		fmt.Fprintln(c.out, nothing)
		return nil
	}
	w := tabwriter.NewWriter(c.out, 0, 0, 2, ' ', 0)
	fmt.Fprintln(w, "TARGET\tNAME\tADDRESSES\tUNTIL\tBY\tREASON")
	for _, r := range l.Rows {
		by := r.By
		if by == "" {
			by = "failures"
		}
		fmt.Fprintf(w, "%s\t%s\t%s\t%s\t%s\t%s\n", dash(r.Target), dash(r.Name), dash(r.Addresses), dash(moment(r.Until)), dash(by), dash(r.Reason))
	}
	if err := w.Flush(); err != nil {
		return err
	}
	return remainder(c, l.More, l.Unread)
}

// remainder says what a list does not have.
func remainder(c *console, more int, unread string) error {
	if more > 0 {
		fmt.Fprintf(c.out, "and %d more\n", more)
	}
	if unread != "" {
		fmt.Fprintln(c.err, "stsgate: not all could be read:", shown(unread))
		return errReported
	}
	return nil
}

func printJSON(w io.Writer, v any) error {
	e := json.NewEncoder(w)
	e.SetIndent("", "  ")
	return e.Encode(v)
}

func moment(t time.Time) string {
	if t.IsZero() {
		return ""
	}
	return t.UTC().Format(time.RFC3339)
}

func dash(s string) string {
	if s == "" {
		return "-"
	}
	return shown(s)
}

// shown leaves nothing in a text that a terminal would take for more than text.
func shown(s string) string {
	return strings.Map(func(r rune) rune {
		if unicode.IsControl(r) || unicode.Is(unicode.Cf, r) {
			return unicode.ReplacementChar
		}
		return r
	}, s)
}
