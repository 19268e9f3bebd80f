package main

import (
	"fmt"
	"strings"
	"time"

	"stsgate/gateway/admin"
)

// relaxedCheck lists the applications that may go on while the store is down. It
// is well either way (security.md, FAIL-03).
func (d *daemon) relaxedCheck() admin.Check {
	c := admin.NewCheck("relaxed", nil)
	var all []string
	for _, a := range d.live.Load().Applications() {
		if r := a.Relaxed(time.Now()); r != nil {
			all = append(all, fmt.Sprintf("%s goes on while the store is down until %s (%s, for %s)", a.Name, r.Until.UTC().Format(time.RFC3339), r.Reason, r.Owner))
		}
	}
	c.Error = strings.Join(all, "; ")
	return c
}
