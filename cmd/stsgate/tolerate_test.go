package main

import (
	"slices"
	"testing"

	"stsgate/gateway/config"
	"stsgate/gateway/wstrust"
)

// SOAP-17: the configuration knows every tolerance, and an endpoint refuses what
// its list leaves out.
func TestTolerate(t *testing.T) {
	var names []string
	for _, tolerance := range wstrust.Tolerances() {
		names = append(names, tolerance.String())
	}
	if got := config.Tolerances(); !slices.Equal(got, names) {
		t.Errorf("the configuration knows %v, want %v", got, names)
	}
	c := &config.Config{Endpoints: config.Endpoints{
		{Path: "/all", Kind: config.UsernameMixed13},
		{Path: "/none", Kind: config.UsernameMixed2005, Tolerate: []config.Tolerance{}},
		{Path: "/some", Kind: config.UsernameMixed13, Tolerate: []config.Tolerance{"comment", "no-timestamp"}},
	}}
	some := slices.DeleteFunc(wstrust.Tolerances(), func(t wstrust.Tolerance) bool { return t == wstrust.Comment || t == wstrust.NoTimestamp })
	for i, want := range [][]wstrust.Tolerance{nil, wstrust.Tolerances(), some} {
		if got := endpoints(c)[i]; !slices.Equal(got.Refuses, want) {
			t.Errorf("%s refuses %v, want %v", got.Path, got.Refuses, want)
		}
	}
}
