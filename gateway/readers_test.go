package gateway_test

import (
	"go/ast"
	"go/parser"
	"go/token"
	"io/fs"
	"path/filepath"
	"slices"
	"strings"
	"testing"
)

// writers are the packages that may use a library which also reads XML, and
// that only write with it.
var writers = map[string][]string{
	"encoding/xml":                                   {"policy/policytest"},
	"github.com/beevik/etree":                        {"upstream/xmlsig", "upstream/saml", "upstream/issuer"},
	"github.com/russellhaering/goxmldsig":            {"upstream/xmlsig"},
	"github.com/russellhaering/goxmldsig/etreeutils": {"upstream/xmlsig"},
}

// readers are the names by which those libraries read.
var readers = []string{
	"xml.Unmarshal", "NewDecoder", "NewTokenDecoder", // encoding/xml
	"ReadFrom", "ReadFromBytes", "ReadFromFile", "ReadFromString", // etree
	"Validate", "NewDefaultValidationContext", "NSUnmarshalElement", // goxmldsig
}

// XML-16, XML-17, HDR-02: what ships reads XML with the scanner alone, and builds
// its requests to the farm, without Go's reverse proxy. The fake farm reads as a
// farm would.
func TestOneReader(t *testing.T) {
	files := 0
	err := filepath.WalkDir("..", func(path string, d fs.DirEntry, err error) error {
		if err == nil && d.IsDir() && d.Name()[0] == '.' && path != ".." {
			return filepath.SkipDir
		}
		folder := filepath.ToSlash(strings.TrimPrefix(filepath.Dir(path), "../"))
		if err != nil || filepath.Ext(path) != ".go" || strings.HasSuffix(path, "_test.go") || folder == "upstream/adfs/adfstest" {
			return err
		}
		files++
		for _, why := range foreignReads(t, path, nil, folder) {
			t.Errorf("%s: %s", path, why)
		}
		return nil
	})
	if err != nil || files < 200 {
		t.Errorf("saw %d files, %v", files, err)
	}
}

// foreignReads returns what in a source file, of which src may be the text,
// could read XML otherwise than the scanner does.
func foreignReads(t *testing.T, path string, src any, folder string) (all []string) {
	t.Helper()
	f, err := parser.ParseFile(token.NewFileSet(), path, src, parser.SkipObjectResolution)
	if err != nil {
		t.Fatal(err)
	}
	known := false
	for _, i := range f.Imports {
		switch name := strings.Trim(i.Path.Value, `"`); {
		case name == "net/http/httputil":
			all = append(all, "imports "+name)
		case writers[name] == nil && !strings.Contains(name, "xml") || name == "stsgate/upstream/xmlsig":
		case !slices.Contains(writers[name], folder):
			all = append(all, "imports "+name)
		default:
			known = true
		}
	}
	if !known {
		return all
	}
	ast.Inspect(f, func(n ast.Node) bool {
		s, ok := n.(*ast.SelectorExpr)
		if !ok {
			return true
		}
		of, _ := s.X.(*ast.Ident)
		if slices.Contains(readers, s.Sel.Name) || of != nil && slices.Contains(readers, of.Name+"."+s.Sel.Name) {
			all = append(all, "reads with "+s.Sel.Name)
		}
		return true
	})
	return all
}

func TestOneReaderIsHeld(t *testing.T) {
	const tree = "package p\nimport \"github.com/beevik/etree\"\n"
	for _, c := range []struct {
		folder, src string
		want        int
	}{
		{"gateway", "package p", 0},
		{"gateway", "package p\nimport _ \"encoding/xml\"", 1},
		{"gateway", "package p\nimport _ \"net/http/httputil\"", 1},
		{"gateway", "package p\nimport _ \"example.com/libxml2\"", 1},
		{"upstream/saml", tree + "var d = etree.NewElement(\"e\")", 0},
		{"upstream/saml", tree + "func f(b []byte) { _ = etree.NewDocument().ReadFromBytes(b) }", 1},
		{"policy/policytest", "package p\nimport \"encoding/xml\"\nvar _ = xml.Unmarshal", 1},
	} {
		if got := foreignReads(t, "x.go", c.src, c.folder); len(got) != c.want {
			t.Errorf("%s in %s: got %v, want %d", c.src, c.folder, got, c.want)
		}
	}
}
