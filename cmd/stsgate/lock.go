package main

import (
	"time"

	"stsgate/gateway/admin"
)

type lockVerbs struct {
	List  lockList  `cmd:"" help:"List who is locked, and which sources are blocked."`
	Add   lockAdd   `cmd:"" help:"Lock a user for a while."`
	Clear lockClear `cmd:"" help:"Clear the locks of one user, or the block of one source."`
}

// Help shows examples.
func (lockVerbs) Help() string {
	return `Asks the running gateway on this machine. It holds on all gateways that share its state, within a second.

Examples:
  stsgate lock list
  stsgate lock add alice@contoso.example --for 1h --reason "phished, see ticket 4711"
  stsgate lock clear alice@contoso.example --reason "new password"`
}

type lockList struct {
	socketFlag
	JSON bool `name:"json" help:"Print the list as JSON."`
}

// Help shows examples.
func (lockList) Help() string {
	return `Lists the users who are locked after failures, from addresses that are familiar to them or from others,
those whom an operator locked, addresses that a user said in the portal were somebody else's and that are
closed to the user for an hour, and the sources that are blocked since most users from there fail. A user is
listed as he is kept: by the directory's GUID or, for a name that it does not know, by a hash of that.
The other verbs take both in the place of a name.

Examples:
  stsgate lock list
  stsgate lock list --json`
}

// Run lists the locks.
func (v *lockList) Run(c *console) error {
	var l admin.List
	if err := v.call(admin.LockList, admin.Nothing{}, &l); err != nil {
		return err
	}
	return printList(c, &l, v.JSON, "nobody is locked, and no source is blocked")
}

type lockAdd struct {
	aim
	For time.Duration `name:"for" required:"" placeholder:"TIME" help:"For how long, such as 30m or 8h; at most 168h."`
}

// Help shows examples.
func (lockAdd) Help() string {
	return `Refuses a user from all addresses, whatever the password, until the time is over or the lock is
cleared. To the client it looks like a wrong password. A name that the directory does not know is an
error. What is to last longer, or is an address, is for stsgate ban.

Examples:
  stsgate lock add alice@contoso.example --for 1h --reason "phished, see ticket 4711"
  stsgate lock add 'CONTOSO\alice' --for 8h --reason "left her badge"`
}

// Run locks a user.
func (v *lockAdd) Run(c *console) error { return v.ask(c, admin.LockAdd, v.For, "locked %s") }

type lockClear struct {
	aim
}

// Help shows examples.
func (lockClear) Help() string {
	return `Clears all locks of one user and forgets the failures, and opens what the user closed by "this was not
me"; or clears the block of one source. There is no way to clear all. Whoever guesses has as many guesses again, and the directory's own count stays as it is: look
first where the failures come from. A source that is blocked again at once has new failures.

Examples:
  stsgate lock clear alice@contoso.example --reason "new password, was her old phone"
  stsgate lock clear 198.51.100.7 --reason "office of Berne, a script had an old password"
  stsgate lock clear 198.51.100.0/24 --reason "office of Berne"`
}

// Run clears locks.
func (v *lockClear) Run(c *console) error { return v.ask(c, admin.LockClear, 0, "cleared %s") }
