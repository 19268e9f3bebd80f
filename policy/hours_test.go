package policy_test

import (
	"strings"
	"testing"
	"time"

	"stsgate/policy"
)

// TestHours is the table of spans and instants: over midnight, and on the days
// on which clocks are changed.
func TestHours(t *testing.T) {
	const berlin = "zone: Europe/Berlin"
	tests := []struct{ span, in, out string }{
		{"from: '08:00', to: '18:00', " + berlin, "2026-12-01T07:00:00Z 2026-12-01T16:59:59Z", "2026-12-01T06:59:59Z 2026-12-01T17:00:00Z"},
		{"from: '08:00', to: '18:00', " + berlin, "2026-07-01T06:00:00Z 2026-07-01T15:59:59Z", "2026-07-01T05:59:59Z 2026-07-01T16:00:00Z"},
		{"days: [mon-fri], from: '00:00', to: '24:00', " + berlin, "2026-11-29T23:00:00Z 2026-12-04T22:59:59Z", "2026-11-29T22:59:59Z 2026-12-04T23:00:00Z"},
		{"days: [sat-sun], from: '00:00', to: '24:00', zone: UTC", "2026-11-28T00:00:00Z 2026-11-29T23:59:59Z", "2026-11-27T23:59:59Z 2026-11-30T00:00:00Z"},
		{"days: [fri-mon], from: '00:00', to: '24:00', zone: UTC", "2026-11-27T00:00:00Z 2026-11-30T23:59:59Z", "2026-11-26T23:59:59Z 2026-12-01T00:00:00Z"},
		// Over midnight: the days are those on which it begins.
		{"days: [fri], from: '22:00', to: '02:00', zone: UTC", "2026-11-27T22:00:00Z 2026-11-28T01:59:59Z", "2026-11-27T21:59:59Z 2026-11-28T02:00:00Z 2026-11-27T01:00:00Z 2026-11-28T22:00:00Z"},
		{"days: [sat], from: '22:00', to: '02:00', zone: UTC", "2026-11-28T23:00:00Z 2026-11-29T01:00:00Z", "2026-11-28T01:00:00Z 2026-11-29T23:00:00Z"},
		{"from: '00:01', to: '00:00', zone: UTC", "2026-11-27T00:01:00Z 2026-11-27T23:59:59Z", "2026-11-27T00:00:59Z 2026-11-27T00:00:00Z"},
		// Clocks go from 02:00 to 03:00: what lies between is no time at all.
		{"from: '02:00', to: '03:00', " + berlin, "2026-03-28T01:30:00Z 2026-03-30T00:30:00Z", "2026-03-29T00:59:59Z 2026-03-29T01:00:00Z 2026-03-29T00:30:00Z"},
		{"from: '01:00', to: '04:00', " + berlin, "2026-03-29T00:00:00Z 2026-03-29T01:59:59Z", "2026-03-28T23:59:59Z 2026-03-29T02:00:00Z"},
		// Clocks go from 03:00 to 02:00: the hour counts twice.
		{"from: '02:00', to: '03:00', " + berlin, "2026-10-25T00:00:00Z 2026-10-25T01:59:59Z", "2026-10-24T23:59:59Z 2026-10-25T02:00:00Z"},
		// A zone of half hours.
		{"from: '08:00', to: '09:00', zone: America/St_Johns", "2026-12-01T11:30:00Z 2026-12-01T12:29:59Z", "2026-12-01T11:29:59Z 2026-12-01T12:30:00Z"},
	}
	for _, tt := range tests {
		s := load(t, preamble+named("a", "{hours: [{"+tt.span+"}]}", "allow: {}"))
		for list, want := range map[string]policy.Effect{tt.in: policy.Allow, tt.out: policy.Deny} {
			for instant := range strings.FieldsSeq(list) {
				f := alice()
				var err error
				if f.Time, err = time.Parse(time.RFC3339, instant); err != nil {
					t.Fatal(err)
				}
				if got := s.Decide(&f).Effect; got != want {
					t.Errorf("%s at %s: got %s, want %s", tt.span, instant, got, want)
				}
			}
		}
	}
}
