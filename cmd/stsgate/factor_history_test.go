package main

import (
	"strings"
	"testing"
)

// PORT-11: what was refused at any gateway is in the history that another one
// shows and is explained there, to the user whose it was and to nobody else. The
// page says when a gateway is missing.
func (f *factorFleet) historyElsewhere(t *testing.T) {
	m, other := f.members["rita"], f.members["zeep-types"] // both at the second gateway
	m.t, other.t = t, t
	var ids []string
	for gateway := range fleetSize {
		got := f.post(t, gateway, f.message(m, coded, m.password+","+m.at(t, m.last+2000+int64(gateway))))
		id := transactionID.FindStringSubmatch(got)
		if id == nil {
			t.Fatalf("gateway %d: %s", gateway, got)
		}
		ids = append(ids, id[1])
	}
	// On a busy machine one may be late, and is asked again when it is heard of.
	if !eventually(2*patience, func() bool { m.visit("/history"); return !strings.Contains(m.page, "Some may be missing") }) {
		t.Error("a gateway does not answer")
	}
	at := -1
	for gateway := fleetSize - 1; gateway >= 0; gateway-- { // the latest first
		next := strings.Index(m.page, `value="`+ids[gateway]+`"`)
		if next < 0 || next < at {
			t.Errorf("what gateway %d refused is at %d, after %d:\n%s", gateway, next, at, m.main())
		}
		at = next
	}
	for _, id := range ids {
		m.press("Explain", "transaction", id)
		m.says("The code was not accepted")
		other.visit("/history")
		if strings.Contains(other.page, id) || !strings.Contains(other.page, "Sign-ins in your name") {
			t.Errorf("the history of another has %s:\n%s", id, other.main())
		}
		other.press("Explain", "transaction", id)
		other.says("Nothing is known under this number")
	}

	f.gateways[2].kill()
	m.visit("/history")
	m.says("Some may be missing")
	m.says(`value="` + ids[0] + `"`)
	if strings.Contains(m.page, ids[2]) {
		t.Error("who told that?")
	}
	other.press("Explain", "transaction", ids[2])
	other.says("not everything could be looked through")
}
