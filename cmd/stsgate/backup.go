package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"strings"

	"filippo.io/age"

	"stsgate/gateway/admin"
)

type backupVerb struct {
	socketFlag
	To             []string `xor:"key" required:"" placeholder:"RECIPIENT" help:"An age recipient, age1..., who can decrypt it; may be repeated."`
	PassphraseFile string   `xor:"key" required:"" placeholder:"FILE|-" help:"Where the passphrase is read from that decrypts it, in place of --to: one line, - for standard input."`
	File           string   `arg:"" help:"The backup; one that is there is replaced when the new one is whole."`
}

// Help shows examples.
func (backupVerb) Help() string {
	return `Asks the running gateway on this machine for the enrolments of users, locks, bans, failures, marks of what
was used once, and certificates from ACME, and encrypts them as age does. Grants, approvals and sessions
are not in it. Secrets are in it as the store has them, sealed with the state key: whoever restores needs
that key too, and it must be kept elsewhere. Without it the users enrol anew, and no backup helps.

Every 5 minutes is not too often. Keep the identity of the recipient off this machine.

Examples:
  age-keygen -o backup.identity
  stsgate backup --to age1qyqszqgpqyqszqgpqyqszqgpqyqszqgpqyqszqgpqyqszqgpqyqs3290gq /var/backups/stsgate.age
  stsgate backup --passphrase-file passphrase.txt stsgate-2026-11-28.age`
}

// Run makes a backup.
func (v *backupVerb) Run(c *console) error {
	recipients, err := v.recipients(c)
	if err != nil {
		return usageError{err}
	}
	records, err := v.write(recipients)
	if err != nil {
		return err
	}
	_, err = fmt.Fprintf(c.out, "backed up %d records to %s\n", records, v.File)
	return err
}

func (v *backupVerb) recipients(c *console) ([]age.Recipient, error) {
	if v.PassphraseFile == "" {
		all, err := age.ParseRecipients(strings.NewReader(strings.Join(v.To, "\n")))
		if err != nil {
			return nil, errors.New("--to wants recipients of age, such as age1..., one each")
		}
		return all, nil
	}
	passphrase, err := readPassword(c, v.PassphraseFile)
	if err != nil {
		return nil, err
	}
	defer passphrase.Wipe()
	r, err := age.NewScryptRecipient(string(passphrase.Bytes()))
	return []age.Recipient{r}, err
}

// write writes the backup beside its name, and gives it that when it is whole.
func (v *backupVerb) write(recipients []age.Recipient) (records int, err error) {
	f, err := os.CreateTemp(filepath.Dir(v.File), filepath.Base(v.File)+".part-") // mode 0600
	if err != nil {
		return 0, err
	}
	defer func() {
		if err != nil {
			err = errors.Join(err, f.Close(), os.Remove(f.Name()))
		}
	}()
	w, err := age.Encrypt(f, recipients...)
	if err != nil {
		return 0, err
	}
	if records, err = (admin.Client{Socket: v.Socket}).Backup(context.Background(), w); err != nil {
		return 0, err
	}
	if err = w.Close(); err != nil {
		return 0, err
	}
	if err = f.Sync(); err != nil {
		return 0, err
	}
	if err = os.Rename(f.Name(), v.File); err != nil {
		return 0, err
	}
	return records, f.Close()
}

type restoreVerb struct {
	socketFlag
	Identity       string `xor:"key" required:"" placeholder:"FILE" help:"The file with the age identity of a recipient."`
	PassphraseFile string `xor:"key" required:"" placeholder:"FILE|-" help:"Where the passphrase is read from, in place of --identity: one line, - for standard input."`
	Replace        bool   `help:"Restore into a store that has enrolments or bans: the enrolments become those of the backup, all else that is there stays."`
	DryRun         bool   `help:"Decrypt, read and open every record in the gateway, and change nothing."`
	Reason         string `required:"" placeholder:"TEXT" help:"Why: it stands in the audit log."`
	JSON           bool   `name:"json" help:"Print what was done as JSON."`
	File           string `arg:"" help:"The backup."`
}

// Help shows examples.
func (restoreVerb) Help() string {
	return `Restores into the running gateway on this machine, whose store has neither enrolments nor bans, or with
--replace any. It needs the state key with which the backup was made: as the only line of state.key, or as
the second one below a new key.

Nothing that was used comes to life again, nor what may have been since the backup: the code that an app
shows now is spent, recovery codes are gone and have to be made anew, sessions, grants and approvals end.
Locks, bans and failures are taken in beside those that are there. What a backup cannot know is that
somebody removed an authenticator since: it is back, so read the audit log since the time of the backup
and reset those users.

Examples:
  stsgate restore --identity backup.identity --reason "disk lost" /var/backups/stsgate.age
  stsgate restore --identity backup.identity --dry-run --reason "monthly test" /var/backups/stsgate.age`
}

// Run restores a backup.
func (v *restoreVerb) Run(c *console) error {
	identities, err := v.identities(c)
	if err != nil {
		return usageError{err}
	}
	f, err := os.Open(v.File)
	if err != nil {
		return usageError{err}
	}
	defer f.Close()
	plain, err := age.Decrypt(f, identities...)
	if err != nil {
		return fmt.Errorf("%s: %w", v.File, err)
	}
	in := admin.Restore{Replace: v.Replace, Try: v.DryRun, Reason: v.Reason}
	out, err := admin.Client{Socket: v.Socket}.Restore(context.Background(), in, plain)
	if err != nil {
		return err
	}
	if v.JSON {
		return printJSON(c.out, out)
	}
	return v.tell(c.out, out)
}

func (v *restoreVerb) identities(c *console) ([]age.Identity, error) {
	if v.PassphraseFile == "" {
		f, err := os.Open(v.Identity)
		if err != nil {
			return nil, err
		}
		defer f.Close()
		all, err := age.ParseIdentities(f)
		if err != nil {
			return nil, fmt.Errorf("%s holds no age identity", v.Identity) // age quotes the line
		}
		return all, nil
	}
	passphrase, err := readPassword(c, v.PassphraseFile)
	if err != nil {
		return nil, err
	}
	defer passphrase.Wipe()
	i, err := age.NewScryptIdentity(string(passphrase.Bytes()))
	return []age.Identity{i}, err
}

func (v *restoreVerb) tell(w io.Writer, r *admin.Restored) error {
	if v.DryRun {
		_, err := fmt.Fprintf(w, "the backup of %s can be restored: every record opens, %d have expired; nothing was changed\n", moment(r.Time), r.Over)
		return err
	}
	_, err := fmt.Fprintf(w, `restored the backup of %s
authenticators of users: %d, and %d users that it does not have lost theirs
other records:           %d, %d were there already, %d have expired
ended:                   %d sessions, grants and approvals
Users make new recovery codes. Who removed an authenticator since the backup has it again: read the audit log.
`, moment(r.Time), r.Enrolments, r.Removed, r.Others, r.Kept, r.Over, r.Dropped)
	return err
}
