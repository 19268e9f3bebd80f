package policy

import (
	"cmp"
	"fmt"
	"regexp"
	"slices"
	"strings"

	"cel.dev/cel-go/cel"
	"cel.dev/cel-go/common"
	"cel.dev/cel-go/common/ast"
	"go.yaml.in/yaml/v4"
)

// A whenReader reads one expression.
type whenReader struct {
	*reader
	node     *yaml.Node
	content  []byte
	families []string
	places   []letter // of the expression's characters, once they are needed
	tree     *ast.AST
	e        *expression
	groups   string // the variable of a macro that stands for a group
	mistaken bool
}

// read compiles the expression, or returns nil.
func (w *whenReader) read() *expression {
	env, err := language()
	if err != nil {
		w.fail(w.node, "no expression can be read: %v", err)
		return nil
	}
	checked, issues := env.Compile(w.node.Value)
	for _, issue := range issues.Errors() {
		syntax, isSyntax := strings.CutPrefix(issue.Message, "Syntax error: ")
		if !isSyntax {
			w.mistakeAt(issue.Location, "%s", w.say(issue.Message))
			continue
		}
		msg := saySyntax(syntax)
		w.mistakeAt(issue.Location, "%s", cmp.Or(msg, "not valid CEL: "+expecting.ReplaceAllString(syntax, "")))
		if msg != "" {
			break // what follows is what the parser made of it
		}
	}
	if w.mistaken {
		return nil
	}
	w.tree = checked.NativeRep()
	w.e = &expression{source: w.node.Value}
	w.inspect(w.tree.Expr())
	w.whole(env, checked)
	if w.mistaken {
		return nil
	}
	options := []cel.ProgramOption{cel.EvalOptions(cel.OptOptimize), cel.CustomDecoratorV2(withZone)}
	w.e.program, err = env.Program(checked, options...)
	if err == nil {
		w.e.limited, err = env.Program(checked, append(options, cel.CostLimit(maxCost))...)
	}
	if err != nil {
		w.fail(w.node, "%v", err)
		return nil
	}
	return w.e
}

// whole checks the expression as a whole.
func (w *whenReader) whole(env *cel.Env, checked *cel.Ast) {
	root := w.tree.Expr()
	if t := checked.OutputType(); t != cel.BoolType {
		w.mistake(root, "the expression is of type %s: want a comparison, which is true or false", t)
	}
	if w.e.mentions == 0 {
		w.mistake(root, "the expression mentions no fact, so that it is the same for every request")
	}
	estimate, err := env.EstimateCost(checked, estimator{})
	switch {
	case err != nil:
		w.mistake(root, "%v", err)
	case estimate.Max > maxCost:
		w.mistake(root, "the expression may cost %d steps, for a user in %d groups and texts of %d bytes: the most is %d",
			estimate.Max, usualGroups, usualText, maxCost)
	}
}

func (w *whenReader) mistake(x ast.Expr, format string, args ...any) {
	w.mistakeAt(w.tree.SourceInfo().GetStartLocation(x.ID()), format, args...)
}

func (w *whenReader) mistakeAt(l common.Location, format string, args ...any) {
	w.mistaken = true
	p := w.place(l)
	msg := fmt.Sprintf(format, args...)
	if w.places == nil {
		msg = fmt.Sprintf("line %d, column %d of the expression: %s", max(1, l.Line()), max(0, l.Column())+1, msg)
	}
	w.failAt(p.line, p.column, "%s", msg)
}

// place returns where a location within the expression is in the file, or
// where the expression begins when that cannot be told.
func (w *whenReader) place(l common.Location) place {
	if w.places == nil && w.content != nil {
		w.places = placesIn(w.node, w.content)
	}
	if w.places == nil {
		return w.at(w.node)
	}
	i := 0
	if lines := strings.SplitAfter(w.node.Value, "\n"); l.Line() > 0 && l.Line() <= len(lines) {
		for _, line := range lines[:l.Line()-1] {
			i += len([]rune(line))
		}
	}
	i = min(i+max(0, l.Column()), len(w.places)-1)
	return place{w.file, w.places[i].line, w.places[i].column}
}

var (
	undeclared = regexp.MustCompile(`^undeclared reference to '([^']*)'(?: \(did you mean '([^']*)'\?\))?`)
	noOverload = regexp.MustCompile(`^found no matching overload for '([^']*)' applied to '(.*)'$`)
	expecting  = regexp.MustCompile(` expecting \{.*\}$`)
)

// say puts what the compiler says of names and types in the words of the other
// mistakes.
func (w *whenReader) say(msg string) string {
	if m := undeclared.FindStringSubmatch(msg); m != nil {
		return w.sayUnknown(m[1], m[2])
	}
	m := noOverload.FindStringSubmatch(msg)
	if m == nil {
		return msg
	}
	function, takes := strings.Trim(m[1], "_@"), m[2]
	if target, args, ok := strings.Cut(takes, ".("); ok { // of a method
		takes = target + " and " + strings.TrimSuffix(args, ")")
	}
	return fmt.Sprintf("%s does not take %s%s", function, takes, insteadOf(function, m[2]))
}

// sayUnknown tells of a name that is no fact and no function.
func (w *whenReader) sayUnknown(name, near string) string {
	source := strings.ReplaceAll(w.node.Value, " ", "")
	switch {
	case near != "":
		return fmt.Sprintf("unknown name %q: did you mean %q?", name, near)
	case name == "not":
		return saySyntax("'not'")
	case slices.Contains(factGroups(), name) && strings.Contains(source, "has("+name+"."):
		return `has is not for facts: one that is absent is "", 0 or []`
	}
	for _, f := range factInfos {
		if strings.HasPrefix(f.Name, name+".") {
			return fmt.Sprintf("unknown name %q: name a fact, such as %s", name, f.Name)
		}
	}
	return fmt.Sprintf("unknown name %q", name)
}

// insteadOf says what to write where an address is compared with something
// else.
func insteadOf(function, types string) string {
	switch {
	case !strings.Contains(types, "net.IP"):
		return ""
	case function == "in":
		return `: use cidr("10.0.0.0/8").containsIP(client.address)`
	case (function == "==" || function == "!=") && strings.Contains(types, "string"):
		return `: use ip("10.0.0.1")`
	default:
		return ""
	}
}

// saySyntax puts a syntax error in words, or returns "" for one that has none.
func saySyntax(msg string) string {
	switch msg = expecting.ReplaceAllString(msg, ""); {
	case strings.Contains(msg, "'<EOF>'") && !strings.Contains(msg, "expecting"):
		return "the expression ends too early"
	case strings.Contains(msg, "'= '"), strings.Contains(msg, "'=\"'"):
		return "= is no operator: use =="
	case strings.Contains(msg, "'and'"):
		return `"and" is no operator: use &&`
	case strings.Contains(msg, "'or'"):
		return `"or" is no operator: use ||`
	case strings.Contains(msg, "'not'"):
		return `"not" is no operator: use !`
	default:
		return ""
	}
}
