package policy

import (
	"regexp/syntax"
	"slices"
	"strings"

	"cel.dev/cel-go/common/ast"
	"cel.dev/cel-go/common/operators"
	celtypes "cel.dev/cel-go/common/types"
)

// inspect checks a part of the expression that the compiler has passed, and
// notes the facts that it mentions.
func (w *whenReader) inspect(root ast.Expr) {
	ast.PreOrderVisit(root, ast.NewExprVisitor(func(x ast.Expr) {
		switch x.Kind() {
		case ast.IdentKind:
			w.mention(x)
		case ast.CallKind:
			w.call(x)
		case ast.ComprehensionKind:
			w.variable(x)
		}
	}))
}

// factOf returns the fact that a part of the expression is.
func factOf(x ast.Expr) (Fact, bool) {
	if x.Kind() != ast.IdentKind {
		return 0, false
	}
	i := slices.IndexFunc(factInfos[:], func(f FactInfo) bool { return f.Name == x.AsIdent() })
	return Fact(max(i, 0)), i >= 0
}

func (w *whenReader) mention(x ast.Expr) {
	f, ok := factOf(x)
	if !ok {
		return
	}
	w.e.mentions = w.e.mentions.With(f)
	switch {
	case UserFacts.Has(f) && !w.vocabulary.Directory:
		w.mistake(x, "%s needs a directory, and none is configured", f)
	case w.vocabulary.Unavailable.Has(f):
		w.mistake(x, "%s is not available here", f)
	}
}

// variable refuses a variable of a macro that hides facts.
func (w *whenReader) variable(x ast.Expr) {
	if f, ok := factOf(x.AsComprehension().IterRange()); ok && f == UserGroups {
		w.groups = x.AsComprehension().IterVar()
	} else if w.groups == x.AsComprehension().IterVar() {
		w.groups = ""
	}
	for _, name := range []string{x.AsComprehension().IterVar(), x.AsComprehension().IterVar2()} {
		hides := func(f FactInfo) bool { return f.Name == name || strings.HasPrefix(f.Name, name+".") }
		if name != "" && slices.ContainsFunc(factInfos[:], hides) {
			w.mistake(x, "a variable %q hides facts: choose another name", name)
		}
	}
}

func (w *whenReader) call(x ast.Expr) {
	call := x.AsCall()
	args := call.Args()
	switch call.FunctionName() {
	case operators.Equals, operators.NotEquals:
		w.compare(args[0], args[1])
		w.compare(args[1], args[0])
	case operators.In:
		if args[1].Kind() != ast.ListKind {
			w.compare(args[1], args[0])
			return
		}
		for _, element := range args[1].AsList().Elements() {
			w.compare(args[0], element)
		}
	case "startsWith", "endsWith", "contains":
		w.lower(call.Target(), args[0])
	case "matches":
		w.pattern(slices.Concat([]ast.Expr{call.Target()}, args))
	default:
		if slices.Contains(zonedFunctions(), call.FunctionName()) && len(args) == 1 {
			w.zone(args[0])
		}
	}
}

// folded tells that a part of the expression is a name of the directory, or a
// list of them.
func (w *whenReader) folded(x ast.Expr) bool {
	f, isFact := factOf(x)
	return isFact && (f == UserName || f == UserDomain || f == UserGroups) ||
		x.Kind() == ast.IdentKind && w.groups != "" && x.AsIdent() == w.groups
}

// lower refuses a text that no name of the directory can have in it.
func (w *whenReader) lower(x, with ast.Expr) {
	if s, ok := literal(with); ok && w.folded(x) && fold(s) != s {
		w.mistake(with, "the directory's names are in lower case here: write %q", fold(s))
	}
}

// pattern checks the regular expression of a call of matches. The compiler
// has parsed it if it is written out.
func (w *whenReader) pattern(args []ast.Expr) {
	text, with := args[len(args)-2], args[len(args)-1]
	s, ok := literal(with)
	if !ok {
		w.mistake(with, "the pattern of matches must be written out")
		return
	}
	if parsed, err := syntax.Parse(s, syntax.Perl); err == nil && w.folded(text) && needsUpper(parsed) {
		w.mistake(with, "the directory's names are in lower case here: write the pattern so, or begin it with (?i)")
	}
}

// needsUpper tells that a part of a pattern matches upper-case text only.
func needsUpper(p *syntax.Regexp) bool {
	if p.Op == syntax.OpLiteral && p.Flags&syntax.FoldCase == 0 && fold(string(p.Rune)) != string(p.Rune) {
		return true
	}
	return slices.ContainsFunc(p.Sub, needsUpper)
}

// zone checks the time zone in a call such as time.getHours("Europe/Berlin").
func (w *whenReader) zone(x ast.Expr) {
	name, ok := literal(x)
	if !ok {
		w.mistake(x, "the time zone must be written out")
	} else if _, err := loadZone(name); err != nil {
		w.mistake(x, "unknown time zone %q", name)
	}
}

// literal returns a text that is written out.
func literal(x ast.Expr) (string, bool) {
	if x.Kind() != ast.LiteralKind {
		return "", false
	}
	s, ok := x.AsLiteral().(celtypes.String)
	return string(s), ok
}

// compare checks a text that a fact is compared with: whether the fact can
// ever have it.
func (w *whenReader) compare(fact, with ast.Expr) {
	f, isFact := factOf(fact)
	s, isText := literal(with)
	w.lower(fact, with)
	if !isFact || !isText {
		return
	}
	words := w.closedWords(f)
	if f == ClientFamily {
		words = w.families
	}
	switch {
	case f == RequestApplication:
		w.e.applications = append(w.e.applications, named{s, w.place(w.tree.SourceInfo().GetStartLocation(with.ID()))})
	case f == ClientCountry && s != "" && !isCountry(s):
		w.mistake(with, "%q is not a two-letter code of ISO 3166-1, such as DE", s)
	case words != nil && spelled[s] != "":
		w.mistake(with, "%q is compared by its word: write %q", s, spelled[s])
	case words != nil && !mayBe(f, words, s):
		w.mistake(with, "%s is never %q%s", f, s, oneOf(s, words))
	}
}

// closedWords returns the texts that a fact can be, or nil when they are open.
// A type of token or key can also be the URI of another. Without a vocabulary,
// endpoints and families are open.
func (r *reader) closedWords(f Fact) []string {
	switch f {
	case ClientFamily:
		if r.vocabulary == nil {
			return nil
		}
		return append(slices.Clone(r.vocabulary.Families), UnknownFamily)
	case RequestEndpoint:
		if r.vocabulary == nil {
			return nil
		}
		return r.vocabulary.Endpoints
	case RequestVersion:
		return []string{"1.2", "1.3"}
	case RequestType:
		return []string{"issue", "renew", "validate", "cancel"}
	case RequestCredential:
		return []string{"password", "digest", "x509", "kerberos", "saml", ""}
	case RequestTokenType:
		return []string{"saml1.1", "saml2.0", ""}
	case RequestKeyType:
		return []string{"bearer", "symmetric", "public", ""}
	case RequestSOAP:
		return []string{"1.1", "1.2"}
	default:
		return nil
	}
}

// mayBe tells that a fact of these words can be s.
func mayBe(f Fact, words []string, s string) bool {
	return slices.Contains(words, s) || (f == RequestTokenType || f == RequestKeyType) && strings.Contains(s, ":")
}
