package policy

import (
	"strings"

	"cel.dev/cel-go/cel"
	celtypes "cel.dev/cel-go/common/types"
	"go.yaml.in/yaml/v4"
)

// An expression is the condition of a when, in CEL over the facts, compiled.
// Several goroutines may use it.
type expression struct {
	source string
	// program has no limit at run time: no facts of usual size make it cost
	// more than maxCost. limited is for those that are larger.
	program, limited cel.Program
	mentions         FactSet
	applications     []named // those that request.application is compared with
}

// when reads an expression, or returns nil for one that is wrong.
func (r *reader) when(n *yaml.Node) *expression {
	return r.whenIn(n, r.content, r.closedWords(ClientFamily))
}

// whenIn reads an expression of a file with this content, which tells where
// the mistakes in it stand: without it, all stand where the expression begins.
// Families are what client.family can be.
func (r *reader) whenIn(n *yaml.Node, content []byte, families []string) *expression {
	if !r.is(n, yaml.ScalarNode, "an expression") || n.Style&yaml.TaggedStyle != 0 {
		return nil
	}
	switch {
	case n.ShortTag() != "!!str":
		r.fail(n, "want an expression about facts, got %s", kind(n))
		return nil
	case strings.TrimSpace(n.Value) == "":
		r.fail(n, "want an expression, got nothing")
		return nil
	}
	for _, c := range n.Value {
		if !visible(c) && c != '\n' {
			r.fail(n, "want an expression; character %U is not allowed", c)
			return nil
		}
	}
	w := &whenReader{reader: r, node: n, content: content, families: families}
	return w.read()
}

// facts returns the facts that the expression mentions.
func (e *expression) facts() FactSet { return e.mentions }

// String returns the expression as written.
func (e *expression) String() string { return strings.TrimSpace(e.source) }

// eval decides the expression for a request for an application. A mistake at
// run time, such as a division by zero, leaves it unknown. Where the client
// may be at several addresses it must come out the same for all.
func (e *expression) eval(f *Facts, application string) ternary {
	program := e.program
	if !usual(f, e.mentions) {
		program = e.limited
	}
	a := activation{facts: f, application: application}
	if e.mentions&placeFacts == 0 {
		return a.eval(program)
	}
	clients, known := f.clients()
	if !known {
		return a.eval(program)
	}
	result := yes
	for i, client := range clients {
		a.client, a.place = client, Place{}
		if i < len(f.Client.Places) {
			a.place = f.Client.Places[i]
		}
		switch one := a.eval(program); {
		case i == 0:
			result = one
		case one != result:
			return unknown
		}
	}
	return result
}

// eval runs a program over the facts.
func (a *activation) eval(p cel.Program) ternary {
	result, _, err := p.Eval(a)
	switch {
	case err != nil:
		return unknown
	case result == celtypes.True:
		return yes
	case result == celtypes.False:
		return no
	default:
		return unknown
	}
}
