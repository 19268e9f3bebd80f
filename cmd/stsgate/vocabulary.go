package main

import (
	"os"
	"time"

	"stsgate/gateway/config"
	"stsgate/gateway/family"
	"stsgate/policy"
)

// loadPolicy reads the policy files with what only the configuration knows.
func loadPolicy(c *config.Config) (*policy.Set, error) {
	v := vocabulary(c)
	v.Dir = fromHere(c.Policy)
	return policy.Load(os.DirFS(c.Policy), v)
}

// vocabulary is what policy cannot know by itself.
func vocabulary(c *config.Config) policy.Vocabulary {
	return policy.Vocabulary{
		Endpoints: paths(c), Families: families(), Directory: c.Directory != nil,
		NoFarm: c.Upstream.ADFS == nil, NoIssuer: c.Upstream.Issuer == nil,
		Unavailable: untold(c), Now: time.Now(),
	}
}

// anything is the vocabulary of policy files without a configuration: the
// preset of endpoints, and everything that a rule may need.
func anything() policy.Vocabulary {
	return policy.Vocabulary{Endpoints: paths(config.Defaults()), Families: families(), Directory: true, Now: time.Now()}
}

// untold are the facts that nothing tells in this configuration.
func untold(c *config.Config) policy.FactSet {
	s := policy.FactSet(0)
	if c.Places.Country == "" {
		s = s.With(policy.ClientCountry)
	}
	if c.Places.ASN == "" {
		s = s.With(policy.ClientASN)
	}
	return s
}

// recorded are the facts that are looked up for the audit record, whether or
// not a rule asks for them.
func recorded(c *config.Config) policy.FactSet {
	if c.Audit.Facts != config.AllFacts {
		return 0
	}
	return policy.AllFacts &^ untold(c)
}

// paths are the published trust endpoints.
func paths(c *config.Config) []string {
	var all []string
	for _, e := range endpoints(c) {
		all = append(all, e.Path)
	}
	return all
}

// families are the names of clients' software.
func families() []string {
	var all []string
	for _, d := range family.Names() {
		if d.Name != family.Unknown {
			all = append(all, string(d.Name))
		}
	}
	return all
}
