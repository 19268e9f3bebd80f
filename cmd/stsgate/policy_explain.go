package main

import (
	"encoding/json"
	"fmt"
	"io"

	"stsgate/policy"
)

type policyExplain struct {
	policyDir
	Facts string `required:"" placeholder:"FILE" help:"The facts of one request; - for standard input."`
	JSON  bool   `name:"json" help:"Print JSON."`
}

// Help shows examples.
func (policyExplain) Help() string {
	return `Says what is decided on the facts of a file, whether the client hears of a refusal, and for each rule whether it matches or which of its
conditions does not hold, with the value of the fact. The file, in YAML or JSON, holds what stands under
facts in a test, or under labels.facts in an audit line. A fact that it leaves out is empty; one that
stands in its list unknown could not be read.

Examples:
  stsgate policy explain policies --facts facts.yaml
  grep TRANSACTION audit.jsonl | jq '."labels.facts"' | stsgate policy explain policies --facts -`
}

// Run explains.
func (v *policyExplain) Run(c *console) error {
	set, _, err := v.load()
	if err != nil {
		return err
	}
	content, err := readMessage(c, v.Facts)
	if err != nil {
		return usageError{fmt.Errorf("--facts: %w", err)}
	}
	file, err := policy.ReadFacts(fromHere(v.Facts), content)
	if err != nil {
		return mistakes{err}
	}
	x := set.Explain(&file.Facts)
	if !v.JSON {
		_, err = io.WriteString(c.out, x.String())
		return err
	}
	e := json.NewEncoder(c.out)
	e.SetIndent("", "  ")
	return e.Encode(explained(&x))
}

// The JSON of an explanation.
type (
	explanationJSON struct {
		Effect      string     `json:"effect"`
		Cause       string     `json:"cause"`
		Why         string     `json:"why"`
		Told        bool       `json:"told"` // that it is refused, to the client
		Application string     `json:"application,omitempty"`
		Answer      string     `json:"answer,omitempty"`
		MFA         string     `json:"mfa"`
		Rules       []ruleJSON `json:"rules"`
	}
	ruleJSON struct {
		Name       string          `json:"name"`
		File       string          `json:"file"`
		Line       int             `json:"line"`
		Effect     string          `json:"effect"`
		Mode       string          `json:"mode"`
		Result     string          `json:"result"`
		Applies    bool            `json:"applies"`
		Conditions []conditionJSON `json:"conditions"`
		Except     []exceptJSON    `json:"except,omitempty"`
	}
	conditionJSON struct {
		Key     string `json:"key"`
		Negated bool   `json:"negated,omitempty"`
		Want    string `json:"want"`
		Got     string `json:"got"`
		Result  string `json:"result"`
	}
	exceptJSON struct {
		Owner      string          `json:"owner"`
		Reason     string          `json:"reason"`
		Result     string          `json:"result"`
		Conditions []conditionJSON `json:"conditions"`
	}
)

func explained(x *policy.Explanation) explanationJSON {
	d := &x.Decision
	j := explanationJSON{Effect: d.Effect.String(), Cause: d.Cause.String(), Why: d.Why(), Told: d.Named, MFA: "none", Rules: []ruleJSON{}}
	if d.Obligations.SecondFactor {
		j.MFA = "required"
	}
	if d.Answer != policy.NoAnswer {
		j.Answer = d.Answer.String()
	}
	if d.Application != nil {
		j.Application = d.Application.Name
	}
	for i := range x.Rules {
		r := &x.Rules[i]
		rule := ruleJSON{
			Name: r.Rule.Name, File: r.Rule.File, Line: r.Rule.Line, Effect: r.Rule.Effect.String(), Mode: "enforce",
			Result: r.Result, Applies: x.Applies(r), Conditions: conditions(r.Conditions),
		}
		if r.Rule.ReportOnly {
			rule.Mode = "report-only"
		}
		for _, e := range r.Exceptions {
			rule.Except = append(rule.Except, exceptJSON{e.Exception.Owner, e.Exception.Reason, e.Result, conditions(e.Conditions)})
		}
		j.Rules = append(j.Rules, rule)
	}
	return j
}

func conditions(all []policy.ConditionResult) []conditionJSON {
	j := make([]conditionJSON, len(all))
	for i, c := range all {
		j[i] = conditionJSON(c)
	}
	return j
}
