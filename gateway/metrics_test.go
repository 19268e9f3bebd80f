package gateway_test

import (
	"fmt"
	"slices"
	"strings"
	"testing"

	"github.com/prometheus/client_golang/prometheus/testutil"

	"stsgate/gateway/wstrust"
)

// value sums a metric's samples that have these labels, given as name and
// value in turn.
func (g *gate) value(name string, labels ...string) (sum float64) {
	g.t.Helper()
	families, err := g.metrics.Gather()
	if err != nil {
		g.t.Fatal(err)
	}
	for _, f := range families {
		if f.GetName() != name {
			continue
		}
		for _, m := range f.Metric {
			found := 0
			for _, l := range m.Label {
				for i := 0; i < len(labels); i += 2 {
					if l.GetName() == labels[i] && l.GetValue() == labels[i+1] {
						found++
					}
				}
			}
			if 2*found == len(labels) {
				sum += m.GetCounter().GetValue() + m.GetGauge().GetValue() + float64(m.GetHistogram().GetSampleCount())
			}
		}
	}
	return sum
}

// A series that is renamed breaks dashboards and alerts: the golden file shows it.
func TestMetrics(t *testing.T) {
	atFresh(t, "", func(t *testing.T) {
		g := newGate(t, nil)
		g.ask(modern, nil)
		g.ask(modern, func(q *wstrust.Query) { q.AppliesTo = "urn:payroll" })
		g.ask(modern, func(q *wstrust.Query) { q.Username = carol.UPN })
		if problems, err := testutil.GatherAndLint(g.metrics); err != nil || len(problems) > 0 {
			t.Errorf("lint: %v %v", problems, err)
		}
		families, err := g.metrics.Gather()
		if err != nil {
			t.Fatal(err)
		}
		var b strings.Builder
		for _, f := range families {
			fmt.Fprintf(&b, "%s %s\n  %s\n", f.GetName(), strings.ToLower(f.GetType().String()), f.GetHelp())
			seen := map[string][]string{}
			for _, m := range f.Metric {
				for _, l := range m.Label {
					if !slices.Contains(seen[l.GetName()], l.GetValue()) {
						seen[l.GetName()] = append(seen[l.GetName()], l.GetValue())
					}
				}
			}
			for _, l := range f.Metric[0].Label {
				slices.Sort(seen[l.GetName()])
				fmt.Fprintf(&b, "  %s: %s\n", l.GetName(), strings.Join(seen[l.GetName()], " "))
			}
		}
		golden(t, "metrics.txt", b.String())
	})
}

// SOAP-17: each tolerance has its counter from the start, and nothing else has one.
func TestTolerancesFromTheFirstScrape(t *testing.T) {
	g := newGate(t, nil)
	families, err := g.metrics.Gather()
	if err != nil {
		t.Fatal(err)
	}
	var got []string
	for _, f := range families {
		if f.GetName() != "stsgate_tolerated_total" {
			continue
		}
		for _, m := range f.GetMetric() {
			if m.GetCounter().GetValue() == 0 {
				got = append(got, m.GetLabel()[0].GetValue())
			}
		}
	}
	var want []string
	for _, tolerance := range wstrust.Tolerances() {
		want = append(want, tolerance.String())
	}
	slices.Sort(got)
	slices.Sort(want)
	if !slices.Equal(got, want) {
		t.Errorf("got %q, want %q", got, want)
	}
}
