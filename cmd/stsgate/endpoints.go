package main

import (
	"slices"
	"strings"

	"stsgate/gateway"
	"stsgate/gateway/config"
	"stsgate/gateway/soap"
	"stsgate/gateway/wstrust"
)

// endpoints returns the published trust endpoints.
func endpoints(c *config.Config) []gateway.Endpoint {
	var all []gateway.Endpoint
	for _, e := range c.Endpoints {
		takes := wstrust.Takes{Refuses: refuses(e.Tolerate), Pass: passed(c.SOAP.Headers.Pass)}
		switch e.Kind {
		case config.UsernameMixed2005:
			all = append(all, gateway.Endpoint{Path: e.Path, Version: wstrust.V2005, Takes: takes})
		case config.UsernameMixed13:
			all = append(all, gateway.Endpoint{Path: e.Path, Version: wstrust.V13, Takes: takes})
		}
	}
	return all
}

// passed returns the names of header blocks, which are written {namespace}name.
func passed(headers []string) (all []soap.Name) {
	for _, h := range headers {
		space, local, _ := strings.Cut(strings.TrimPrefix(h, "{"), "}")
		all = append(all, soap.Name{Space: space, Local: local})
	}
	return all
}

// refuses returns the tolerances that a list leaves out; nil lists all.
func refuses(tolerate []config.Tolerance) (all []wstrust.Tolerance) {
	for _, t := range wstrust.Tolerances() {
		if tolerate != nil && !slices.Contains(tolerate, config.Tolerance(t.String())) {
			all = append(all, t)
		}
	}
	return all
}
