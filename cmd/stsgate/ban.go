package main

import (
	"time"

	"stsgate/gateway/admin"
)

type banVerbs struct {
	List   banList   `cmd:"" help:"List what is banned."`
	Add    banAdd    `cmd:"" help:"Ban a user, an address or a network."`
	Remove banRemove `cmd:"" help:"Remove a ban."`
}

// Help shows examples.
func (banVerbs) Help() string {
	return `Asks the running gateway on this machine. It holds on all gateways that share its state, within a second.

Examples:
  stsgate ban list
  stsgate ban add 203.0.113.0/24 --for 24h --reason "sprays since noon"
  stsgate ban remove 203.0.113.0/24 --reason "the provider acted"`
}

type banList struct {
	socketFlag
	JSON bool `name:"json" help:"Print the list as JSON."`
}

// Help shows examples.
func (banList) Help() string {
	return `Lists the users and sources that operators banned, with who did and why.

Examples:
  stsgate ban list
  stsgate ban list --json`
}

// Run lists the bans.
func (v *banList) Run(c *console) error {
	var l admin.List
	if err := v.call(admin.BanList, admin.Nothing{}, &l); err != nil {
		return err
	}
	return printList(c, &l, v.JSON, "nothing is banned")
}

type banAdd struct {
	aim
	For time.Duration `name:"for" placeholder:"TIME" help:"For how long, such as 24h; without it, until it is removed."`
}

// Help shows examples.
func (banAdd) Help() string {
	return `Refuses a user from everywhere, or everybody from an address or a network. To the client it looks like a
wrong password. Networks are of 16, 24 or 32 bits of IPv4, and 32, 48, 64 or 128 of IPv6. One that holds
addresses of clients.proxies or clients.exchange_online is an error, since behind those are many. What is
banned already gets the new end and reason.

Examples:
  stsgate ban add 203.0.113.9 --for 24h --reason "sprays since noon"
  stsgate ban add 2001:db8:1::/48 --reason "abuse@ does not answer"
  stsgate ban add mallory@contoso.example --reason "dismissed"`
}

// Run bans.
func (v *banAdd) Run(c *console) error { return v.ask(c, admin.BanAdd, v.For, "banned %s") }

type banRemove struct {
	aim
}

// Help shows examples.
func (banRemove) Help() string {
	return `Removes one ban, as the list names it.

Examples:
  stsgate ban remove 203.0.113.0/24 --reason "the provider acted"
  stsgate ban remove mallory@contoso.example --reason "was a mistake"`
}

// Run removes a ban.
func (v *banRemove) Run(c *console) error {
	return v.ask(c, admin.BanRemove, 0, "removed the ban of %s")
}
