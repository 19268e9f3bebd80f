package config

import "time"

// Oracle is what whoever does not know the password could learn from how long a
// failure takes: who has an account, who is locked, which factor was wrong.
type Oracle struct {
	// Slot is what such answers are kept back to whole ones of, since the receipt
	// of the request: a wrong password leaves after one, whoever found it out.
	// It must be longer than the farm and the directory take for a failure;
	// stsgate_slot_overruns_total counts what is not. Tokens are never kept back.
	// Default: 1s, from 10ms to 10s. Takes effect on restart.
	Slot time.Duration `yaml:"slot"`
}

func (d *decoder) checkOracle(o *Oracle) {
	if o.Slot < 10*time.Millisecond || o.Slot > 10*time.Second {
		d.checkf("oracle.slot", "want 10ms to 10s, got %v", o.Slot)
	}
}
