package main

import (
	"errors"
	"time"

	"stsgate/gateway/audit"
	"stsgate/policy"
)

// reload loads again what may change while the gateway runs. Everything that can
// fail comes before anything is replaced, so that a bad file leaves all as it
// was, and so does a record that cannot be written: from the record on, every
// decision rests on what it says.
func (d *daemon) reload() {
	start := time.Now()
	if err := d.audit.Reopen(); err != nil {
		d.log.Error("audit log was not opened again, the old file stays", "err", err)
	}
	was := d.live.Load()
	next, err := d.prepareReload()
	var edits policy.Errors
	if err == nil {
		edits = weaker(was, next.policy)
	}
	err = errors.Join(err, d.audit.AppendReload(reloadRecord(start, was, next.policy, edits, err)))
	if err != nil {
		d.metrics.reloaded(0, err)
		d.log.Error("reload refused, everything stays as it was", "err", err)
		return
	}
	// From here on nothing fails.
	d.live.Store(next.policy)
	for _, replace := range next.replace {
		replace()
	}
	d.metrics.reloaded(len(edits), nil)
	d.metrics.loaded(d.parts, next.policy, time.Now())
	d.log.Info("reloaded", "revision", next.policy.Revision())
	if len(edits) > 0 {
		d.log.Warn("the policy lets more pass, or lets it pass with less", "was", was.Revision(), "revision", next.policy.Revision(), "edits", texts(edits))
	}
	warnOfWriters(d.c.Policy, d.log)
	d.again.ask()
}

// reloadRecord is the record of a reload that puts next in force, or of one
// that leaves the set that was. Who asked for it cannot be known: a signal has
// no name.
func reloadRecord(start time.Time, was, next *policy.Set, edits policy.Errors, err error) *audit.Reload {
	r := &audit.Reload{Time: start.UTC(), Action: "reload", Outcome: "success", Duration: time.Since(start), Was: was.Revision()}
	if err != nil {
		r.Outcome, r.Revision, r.Error = "failure", was.Revision(), err.Error()
		return r
	}
	r.Revision, r.Weakened, r.Edits = next.Revision(), len(edits), texts(edits)
	return r
}

func texts(errs policy.Errors) []string {
	var all []string
	for _, e := range errs {
		all = append(all, e.Error())
	}
	return all
}

// A reloaded is what a reload puts in force.
type reloaded struct {
	policy  *policy.Set
	replace []func()
}

func (d *daemon) prepareReload() (*reloaded, error) {
	var r reloaded
	var errs []error
	var err error
	r.policy, err = loadPolicy(d.c)
	errs = append(errs, err)
	for _, c := range d.parts.allCertificates() {
		replace, err := c.Prepare()
		errs, r.replace = append(errs, err), append(r.replace, replace)
	}
	if a := d.c.Upstream.ADFS; a != nil && a.Signing != "" {
		replace, err := prepareSigners(d.farm, a.Signing)
		errs, r.replace = append(errs, err), append(r.replace, replace)
	}
	if d.parts.directory != nil {
		replace, err := d.parts.directory.Prepare()
		errs, r.replace = append(errs, err), append(r.replace, replace)
	}
	replace, err := d.parts.places.Prepare()
	errs, r.replace = append(errs, err), append(r.replace, replace)
	return &r, errors.Join(errs...)
}
