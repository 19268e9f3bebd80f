package main

import (
	"bufio"
	"bytes"
	"errors"
	"fmt"
	"io"
	"os"

	"stsgate/gateway/account"
	"stsgate/upstream/directory"
)

type userVerbs struct {
	Add userAdd `cmd:"" help:"Add a user with a hashed password."`
}

// Help shows examples.
func (userVerbs) Help() string {
	return "Example:\n  stsgate user add --file users.yaml --password-file - alice@contoso.example"
}

type userAdd struct {
	File         string   `required:"" placeholder:"FILE" help:"The users file; it is created if it does not exist."`
	PasswordFile string   `required:"" placeholder:"FILE|-" help:"Where the password is read from: one line, - for standard input."`
	Group        []string `placeholder:"GROUP" help:"A group of the user; may be repeated."`
	Domain       string   `placeholder:"DOMAIN" help:"The short domain name, for DOMAIN\\user."`
	GUID         string   `name:"guid" placeholder:"GUID" help:"The account's GUID; a random one if not given."`
	Name         string   `arg:"" help:"The user principal name, user@domain."`
}

// Help shows examples.
func (userAdd) Help() string {
	return `The password is stored as an argon2id hash. A running gateway sees the user after SIGHUP.

Examples:
  stsgate user add --file users.yaml --group staff --password-file - alice@contoso.example
  stsgate user add --file users.yaml --password-file bob.txt --domain CONTOSO bob@contoso.example`
}

// Run adds the user.
func (u *userAdd) Run(c *console) error {
	password, err := readPassword(c, u.PasswordFile)
	if err != nil {
		return err
	}
	defer password.Wipe()
	added := directory.User{Name: u.Name, GUID: u.GUID, Domain: u.Domain, Groups: u.Group}
	if err := directory.AddUser(u.File, added, password); err != nil {
		return err
	}
	_, err = fmt.Fprintf(c.out, "added %s to %s\n", u.Name, u.File)
	return err
}

// readPassword reads the first line of a file, or of standard input for "-".
func readPassword(c *console, file string) (account.Password, error) {
	in := c.in
	if file != "-" {
		f, err := os.Open(file)
		if err != nil {
			return account.Password{}, fmt.Errorf("read password: %w", err)
		}
		defer f.Close()
		in = f
	}
	line, err := bufio.NewReader(in).ReadBytes('\n')
	if err != nil && !errors.Is(err, io.EOF) {
		return account.Password{}, fmt.Errorf("read password: %w", err)
	}
	line = bytes.TrimSuffix(bytes.TrimSuffix(line, []byte("\n")), []byte("\r"))
	if len(line) == 0 {
		return account.Password{}, errors.New("read password: the first line is empty")
	}
	return account.NewPassword(line), nil
}
