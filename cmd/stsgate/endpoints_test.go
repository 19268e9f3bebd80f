package main

import (
	"slices"
	"testing"

	"stsgate/gateway/config"
	"stsgate/gateway/soap"
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
		if got := endpoints(c)[i]; !slices.Equal(got.Takes.Refuses, want) {
			t.Errorf("%s refuses %v, want %v", got.Path, got.Takes.Refuses, want)
		}
	}
}

// SOAP-05: further header blocks are passed at every endpoint.
func TestPassedHeaders(t *testing.T) {
	c := &config.Config{
		Endpoints: config.Endpoints{{Path: "/2005", Kind: config.UsernameMixed2005}, {Path: "/13", Kind: config.UsernameMixed13}},
		SOAP:      config.SOAP{Headers: config.SOAPHeaders{Pass: []string{"{urn:x}Trace", "{http://proxy.example/}Id"}}},
	}
	want := []soap.Name{{Space: "urn:x", Local: "Trace"}, {Space: "http://proxy.example/", Local: "Id"}}
	for _, e := range endpoints(c) {
		if !slices.Equal(e.Takes.Pass, want) {
			t.Errorf("%s passes %v, want %v", e.Path, e.Takes.Pass, want)
		}
	}
}
