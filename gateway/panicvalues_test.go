package gateway_test

import (
	"encoding/json"
	"errors"
	"go/ast"
	"go/parser"
	"go/token"
	"io"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
)

// passedOn are the panics that hand on what another goroutine panicked with, to a
// caller that contains it.
var passedOn = map[string]bool{"stsgate/gateway/guard wrong": true}

// AUD-05: the runtime prints the value of a panic that nobody contains, as in a
// goroutine of the background, so nothing that ships panics with more than words
// that stand in its source, and nothing ends the program with a message of its own.
func TestPanicsHoldNoValue(t *testing.T) {
	out, err := exec.Command("go", "list", "-deps", "-json=ImportPath,Dir,GoFiles", "stsgate/cmd/stsgate").Output()
	if err != nil {
		t.Fatalf("go list: %v", err)
	}
	files := 0
	for d := json.NewDecoder(strings.NewReader(string(out))); ; {
		var p struct {
			ImportPath, Dir string
			GoFiles         []string
		}
		if err := d.Decode(&p); errors.Is(err, io.EOF) {
			break
		} else if err != nil {
			t.Fatal(err)
		}
		// The demo's farm is no gateway.
		if !strings.HasPrefix(p.ImportPath, "stsgate/") || strings.HasSuffix(p.ImportPath, "test") {
			continue
		}
		for _, name := range p.GoFiles {
			files++
			source, err := parser.ParseFile(token.NewFileSet(), filepath.Join(p.Dir, name), nil, 0)
			if err != nil {
				t.Fatal(err)
			}
			for _, function := range speaking(source) {
				if !passedOn[p.ImportPath+" "+function] {
					t.Errorf("%s: %s in %s panics with a value", p.ImportPath, function, name)
				}
			}
		}
	}
	if files < 200 {
		t.Errorf("%d files", files)
	}
}

// speaking are the functions of a file that panic with a value.
func speaking(source *ast.File) (all []string) {
	for _, d := range source.Decls {
		f, is := d.(*ast.FuncDecl)
		if !is {
			continue
		}
		ast.Inspect(f, func(n ast.Node) bool {
			if call, is := n.(*ast.CallExpr); is && speaks(call) {
				all = append(all, f.Name.Name)
			}
			return true
		})
	}
	return all
}

func speaks(call *ast.CallExpr) bool {
	switch f := call.Fun.(type) {
	case *ast.Ident:
		return f.Name == "panic" && !constant(call.Args[0])
	case *ast.SelectorExpr:
		from, is := f.X.(*ast.Ident)
		return is && from.Name == "log" && (strings.HasPrefix(f.Sel.Name, "Panic") || strings.HasPrefix(f.Sel.Name, "Fatal"))
	}
	return false
}

// constant tells of what has the same text always: a literal, or the error by which
// package net/http ends a connection.
func constant(x ast.Expr) bool {
	switch x := x.(type) {
	case *ast.BasicLit:
		return true
	case *ast.SelectorExpr:
		return x.Sel.Name == "ErrAbortHandler"
	}
	return false
}
