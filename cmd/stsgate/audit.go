package main

import (
	"context"
	"crypto/ed25519"
	"crypto/x509"
	"encoding/pem"
	"errors"
	"fmt"
	"os"
	"time"

	"github.com/prometheus/client_golang/prometheus"

	"stsgate/gateway/audit"
	"stsgate/gateway/config"
)

type auditVerbs struct {
	Show   auditShow   `cmd:"" help:"Print what is recorded of one transaction."`
	Verify auditVerify `cmd:"" help:"Tell whether audit logs are as they were written."`
}

// Help shows examples.
func (auditVerbs) Help() string {
	return "Examples:\n  stsgate audit show -c stsgate.yaml 5f0c3d...\n  stsgate audit verify --key audit.pub /var/log/stsgate/audit.jsonl*"
}

// openAudit opens the log and registers what is known of it.
func (d *daemon) openAudit(registry *prometheus.Registry) (err error) {
	c := audit.Config{
		File: d.c.Audit.File, Host: hostname(), Clock: d.clockState, HashNames: d.c.Audit.Names == config.HashedNames, Reserve: int64(d.c.Audit.Reserve), Wrote: d.metrics.auditWrote,
		Key: d.parts.auditKey, Origin: d.c.Host + "/" + hostname(),
	}
	if k := d.c.Audit.Checkpoints; k != nil {
		c.Checkpoints = k.File
	}
	if d.parts.stateKeys != nil {
		if c.NameKey, err = d.parts.stateKeys.Derive("audit: names"); err != nil {
			return err
		}
	}
	if d.audit, err = audit.Open(c); err != nil {
		return err
	}
	if c := d.c.Audit.Syslog; c != nil {
		d.syslog, err = audit.NewSyslog(audit.SyslogConfig{
			Log: d.audit, File: d.c.Audit.File, Address: c.Address, TLS: d.parts.syslog, Host: hostname(), Logger: d.log,
		})
		if err != nil {
			return err
		}
	}
	return d.registerAudit(registry)
}

// auditing reports why records cannot be written.
func (d *daemon) auditing() error {
	if err := d.audit.Failing(); err != nil {
		return err
	}
	if d.audit.Full() {
		return errors.New("the disk is full")
	}
	return nil
}

// purge removes old files of the audit log, now and every hour.
func (d *daemon) purge(ctx context.Context) {
	c := audit.PurgeConfig{Keep: d.c.Audit.Retention, Hold: d.c.Audit.File + ".hold"}
	if c.Keep == 0 {
		return
	}
	if d.syslog != nil {
		c.Sent = d.syslog.Sent
	}
	tick := time.NewTicker(time.Hour)
	defer tick.Stop()
	for {
		n, err := d.audit.Purge(c, time.Now())
		if err != nil {
			d.log.Error("old files of the audit log were not removed", "err", err)
		}
		if n > 0 {
			d.log.Info("old files of the audit log were removed", "files", n)
			continue // there may be more
		}
		select {
		case <-tick.C:
		case <-ctx.Done():
			return
		}
	}
}

// syslogWaiting is how many lines the receiver did not get yet.
func (d *daemon) syslogWaiting() float64 {
	if d.syslog == nil {
		return 0
	}
	return float64(d.syslog.Waiting())
}

// registerAudit registers what the log tells of itself when it is asked.
func (d *daemon) registerAudit(reg prometheus.Registerer) error {
	l, file := d.audit, d.c.Audit.File
	room := func(part func(free, size uint64) float64) func() float64 {
		return func() float64 { return part(audit.Disk(file)) }
	}
	for _, g := range []struct {
		name, help string
		value      func() float64
	}{
		{"stsgate_audit_full", "Whether the disk of the audit log has no room but the reserve, so that no exchange is begun: 1 or 0.",
			func() float64 { return flag(l.Full()) }},
		{"stsgate_audit_disk_free_bytes", "Room on the disk of the audit log, without what is kept for root.",
			room(func(free, _ uint64) float64 { return float64(free) })},
		{"stsgate_audit_disk_size_bytes", "Size of the disk of the audit log, 0 where it is not known.",
			room(func(_, size uint64) float64 { return float64(size) })},
		{"stsgate_audit_checkpoint_withheld", "Whether the second place did not take the latest checkpoint: 1 or 0.",
			func() float64 { return flag(l.Withheld()) }},
		{"stsgate_audit_syslog_waiting_lines", "Audit lines that the receiver of syslog did not get yet, as far as is known; 0 without one.", d.syslogWaiting},
	} {
		if err := reg.Register(prometheus.NewGaugeFunc(prometheus.GaugeOpts{Name: g.name, Help: g.help}, g.value)); err != nil {
			return fmt.Errorf("register metrics: %w", err)
		}
	}
	return nil
}

func flag(b bool) float64 {
	if b {
		return 1
	}
	return 0
}

// readAuditKey reads the private key that signs checkpoints.
func readAuditKey(file string) (ed25519.PrivateKey, error) {
	signer, err := readKey(file)
	if err != nil {
		return nil, err
	}
	key, ok := signer.(ed25519.PrivateKey)
	if !ok {
		return nil, fmt.Errorf("%s: %T, need an Ed25519 key", file, signer)
	}
	return key, nil
}

// readAuditPublicKey reads the public key of checkpoints.
func readAuditPublicKey(file string) (ed25519.PublicKey, error) {
	b, err := os.ReadFile(file)
	if err != nil {
		return nil, err
	}
	block, _ := pem.Decode(b)
	if block == nil {
		return nil, fmt.Errorf("%s: no PEM key", file)
	}
	public, err := x509.ParsePKIXPublicKey(block.Bytes)
	key, ok := public.(ed25519.PublicKey)
	if err != nil || !ok {
		return nil, fmt.Errorf("%s: not an Ed25519 public key; openssl pkey -pubout makes one of the private key", file)
	}
	return key, nil
}

type auditVerify struct {
	Key         string   `placeholder:"FILE" help:"The public key of the checkpoints, PEM. Without it only the chain is looked at, and who can write the files can write a chain."`
	Checkpoints []string `placeholder:"FILE" help:"Checkpoints from the second place, or an export of the log from there; may be repeated."`
	Files       []string `arg:"" name:"file" help:"The audit log and what was rotated away, in any order."`
}

// Help shows examples.
func (auditVerify) Help() string {
	return `Follows the chain from the first line to the last: each line has its number, the hash of the one
before, and its own. What was changed, taken out, put in or moved is named by file and line, the first
such place; where the log was written anew from a line on, that is the first checkpoint behind it.
What was cut off at the end is found by --checkpoints alone, and until the next checkpoint nothing
vouches for the last lines: they are counted as unsealed.

The exit code is 0 for a log that is as it was written, 1 for one that is not or cannot be read, 2 for
arguments that are no use.

Examples:
  stsgate audit verify /var/log/stsgate/audit.jsonl
  stsgate audit verify --key audit.pub --checkpoints /mnt/elsewhere/gw1.jsonl /var/log/stsgate/audit.jsonl*`
}

// Run verifies the files and prints what was found.
func (v *auditVerify) Run(c *console) error {
	config := audit.VerifyConfig{Files: v.Files, Checkpoints: v.Checkpoints}
	if v.Key != "" {
		key, err := readAuditPublicKey(v.Key)
		if err != nil {
			return usageError{err}
		}
		config.Key = key
	}
	r, err := audit.Verify(config)
	if err != nil {
		return err
	}
	if r.Bad != nil {
		fmt.Fprintln(c.out, r.Bad)
		fmt.Fprintf(c.out, "%d lines before it are as they were written\n", r.Lines)
		return errReported
	}
	if r.Lines == 0 {
		fmt.Fprintln(c.out, "no line")
		return nil
	}
	fmt.Fprintf(c.out, "ok: %d lines, %d to %d\n", r.Lines, r.First, r.Last)
	v.remarks(c, r)
	return nil
}

// remarks prints what a reader should know of a log that is good.
func (v *auditVerify) remarks(c *console, r *audit.Report) {
	switch {
	case r.First <= 1:
	case r.Lawful():
		fmt.Fprintf(c.out, "what precedes line %d was removed on purpose at %s, as line %d says\n", r.First, r.Purged.Time.UTC().Format(time.RFC3339), r.Purged.By)
	default:
		fmt.Fprintf(c.out, "what precedes line %d is not in these files, and no line says that it was removed on purpose\n", r.First)
	}
	if r.Recovered > 0 {
		fmt.Fprintf(c.out, "%d times a crash left a torn line, which was sealed\n", r.Recovered)
	}
	if r.Unended {
		fmt.Fprintln(c.out, "the last line has no end: it is being written, or the gateway was stopped there and did not start again")
	}
	switch {
	case v.Key == "":
		fmt.Fprintf(c.out, "unsigned: %d checkpoints were not verified, for want of --key\n", r.Checkpoints)
	case r.Sealed == 0:
		fmt.Fprintf(c.out, "the tail is unsealed: all %d lines, there is no checkpoint\n", r.Unsealed)
	default:
		fmt.Fprintf(c.out, "sealed up to line %d at %s, by %d checkpoints here and %d in the other place\n",
			r.Sealed, r.SealedAt.UTC().Format(time.RFC3339), r.Checkpoints, r.Elsewhere)
		if r.Unsealed > 0 {
			fmt.Fprintf(c.out, "the tail is unsealed: %d lines\n", r.Unsealed)
		}
	}
	if len(v.Checkpoints) == 0 {
		fmt.Fprintln(c.out, "whether lines were cut off at the end cannot be told without --checkpoints")
	}
}
