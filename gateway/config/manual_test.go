package config_test

import (
	"go/ast"
	"go/parser"
	"go/token"
	"regexp"
	"strings"
	"testing"
)

// The manual is made of these comments: each key says its default or that it
// is required, and when a change takes effect.
func TestEveryKeyIsDocumented(t *testing.T) {
	file, err := parser.ParseFile(token.NewFileSet(), "config.go", nil, parser.ParseComments)
	if err != nil {
		t.Fatal(err)
	}
	effect := regexp.MustCompile(`(Reloaded on SIGHUP|Takes effect on restart(, apart from the keys that say otherwise)?)\.$`)
	keys := 0
	ast.Inspect(file, func(n ast.Node) bool {
		f, ok := n.(*ast.Field)
		if !ok || f.Tag == nil {
			return true
		}
		keys++
		name := f.Names[0].Name
		text := strings.Join(strings.Fields(f.Doc.Text()), " ")
		if !strings.HasPrefix(text, name+" ") || !effect.MatchString(text) {
			t.Errorf("%s: got comment %q, want it to begin with the name and to end with when it takes effect", name, text)
		}
		if _, leaf := f.Type.(*ast.Ident); leaf && strings.Contains(f.Tag.Value, "required") != strings.Contains(text, "Required.") && !strings.Contains(text, "Default: ") {
			t.Errorf("%s: tag %s and comment %q differ on whether it is required", name, f.Tag.Value, text)
		}
		return true
	})
	if keys < 30 {
		t.Errorf("got %d keys, want all of them", keys)
	}
}
