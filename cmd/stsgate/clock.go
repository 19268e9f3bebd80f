package main

import (
	"errors"
	"fmt"
	"log/slog"
	"time"

	"github.com/prometheus/client_golang/prometheus"

	"stsgate/gateway/clock"
)

// watchClock looks at the clock for the first time, and registers what is known
// of it.
func watchClock(c clock.Config, reg prometheus.Registerer, log *slog.Logger) (*clock.Watch, error) {
	c.Log = log
	w, err := clock.New(c)
	if err != nil {
		return nil, err
	}
	for _, g := range []struct {
		name, help string
		value      func(clock.State) float64
	}{
		{"stsgate_clock_offset_seconds", "By how much the machine's clock was stepped since the start; forward is positive. Above 30 nothing is issued, and no code of an app is taken.",
			func(s clock.State) float64 { return s.Offset.Seconds() }},
		{"stsgate_clock_steps", "How often the machine's clock was stepped by more than a second since the start.",
			func(s clock.State) float64 { return float64(s.Steps) }},
		{"stsgate_clock_synchronized", "Whether the kernel says that something keeps its clock right: 1 or 0.",
			func(s clock.State) float64 { return flag(s.Source == clock.Synchronized) }},
	} {
		if err := reg.Register(prometheus.NewGaugeFunc(prometheus.GaugeOpts{Name: g.name, Help: g.help}, func() float64 { return g.value(w.State()) })); err != nil {
			return nil, fmt.Errorf("register metrics: %w", err)
		}
	}
	return w, nil
}

// clockState is what each audit line says of the clock.
func (d *daemon) clockState() (string, time.Duration) {
	s := d.clock.State()
	return string(s.Source), s.Offset
}

// issuing reports why nothing may be issued now.
func (d *daemon) issuing() error {
	return errors.Join(d.clock.Ready(), d.signing())
}

// signing reports that the signing certificate has expired, or is not valid yet.
func (d *daemon) signing() error {
	c, now := d.parts.signingCert, time.Now()
	switch {
	case c == nil:
		return nil
	case now.After(c.NotAfter):
		return fmt.Errorf("the signing certificate expired at %s", c.NotAfter.UTC().Format(time.RFC3339))
	case now.Before(c.NotBefore):
		return fmt.Errorf("the signing certificate is valid from %s", c.NotBefore.UTC().Format(time.RFC3339))
	}
	return nil
}
