package deploy_test

import (
	"fmt"
	"go/ast"
	"go/parser"
	"go/token"
	"os"
	"path/filepath"
	"reflect"
	"regexp"
	"strings"
	"testing"

	"go.yaml.in/yaml/v4"

	"stsgate/gateway/config"
)

// A configKey is one key of stsgate.yaml, as its comment describes it.
type configKey struct {
	path    string // such as listen[].tls.key
	group   bool   // has keys below it
	byDoc   string // what the comment says of the default: a value, or required
	effect  string // restart or SIGHUP
	meaning string
}

// configKeys returns all keys, in the order of the file.
func configKeys(t *testing.T) []configKey {
	t.Helper()
	fields := comments(t, "../gateway/config")
	var all []configKey
	var walk func(reflect.Type, string)
	walk = func(typ reflect.Type, prefix string) {
		for f := range typ.Fields() {
			key := f.Tag.Get("yaml")
			if key == "" {
				continue
			}
			k := configKey{path: prefix + key}
			k.describe(f.Name, fields[typ.Name()+"."+f.Name])
			below, path := f.Type, k.path
			for below.Kind() == reflect.Pointer || below.Kind() == reflect.Slice {
				if below.Kind() == reflect.Slice {
					path += "[]"
				}
				below = below.Elem()
			}
			at := len(all)
			all = append(all, k)
			if below.Kind() == reflect.Struct {
				walk(below, path+".")
			}
			all[at].group = len(all) > at+1
		}
	}
	walk(reflect.TypeFor[config.Config](), "")
	return all
}

// describe divides a field's comment into what the table's columns say. That
// it has the form is tested where it stands.
func (k *configKey) describe(field, comment string) {
	cut := func(pattern string) string {
		m := regexp.MustCompile(pattern).FindStringSubmatchIndex(comment)
		if m == nil {
			return ""
		}
		found := comment[m[2]:m[3]]
		comment = strings.TrimSpace(comment[:m[0]] + " " + comment[m[1]:])
		return found
	}
	switch cut(` (Reloaded on SIGHUP|Takes effect on restart)(?:, apart from the keys that say otherwise)?\.$`) {
	case "Reloaded on SIGHUP":
		k.effect = "SIGHUP"
	default:
		k.effect = "restart"
	}
	k.byDoc = strings.ToLower(cut(`(?: |^)(Required)\.(?: |$)`))
	if d := cut(` Default: (.+?)\.(?: |$)`); d != "" {
		k.byDoc = d
	}
	text := regexp.MustCompile(`^`+field+` (?:is |are )?`).ReplaceAllString(comment, "")
	k.meaning = strings.ToUpper(text[:1]) + text[1:]
}

func configurationSection(t *testing.T) string {
	header := []string{"Key", "Default", "Takes effect on", "Meaning"}
	var file [][]string
	var groups []string
	below := map[string][][]string{}
	for _, k := range configKeys(t) {
		row := []string{code(k.path), plain(k.byDoc), k.effect, plain(k.meaning)}
		group, _, nested := strings.Cut(strings.Replace(k.path, "[]", "", 1), ".")
		switch {
		case nested:
			below[group] = append(below[group], row)
			continue
		case k.group:
			groups = append(groups, group)
			row[0] = "[" + row[0] + "](#" + anchor(group) + ")"
		}
		file = append(file, row)
	}
	var b strings.Builder
	b.WriteString("The keys of `stsgate.yaml`. Paths of files are relative to that file. A duration is written as `500ms`, `10s` or `5m`, a size as `65536`,\n" +
		"`64KiB` or `1MiB`. A change takes effect on a restart, or already on SIGHUP. [stsgate.example.yaml](stsgate.example.yaml) shows them in place.\n\n")
	b.WriteString(table(header, file))
	for _, g := range groups {
		fmt.Fprintf(&b, "\n### `%s`\n\n%s", g, table(header, below[g]))
	}
	return b.String()
}

// The least that a configuration can say to forward, to issue, and to ask a
// domain controller.
const (
	forwarding = `
host: sts.contoso.example
listen: [{address: ":443", tls: {certificate: tls.crt, key: tls.key}}]
upstream: {adfs: {nodes: ["https://10.0.0.11"], ca: ca.pem}}
policy: policies
audit: {file: audit.jsonl}`
	issuing = `
host: sts.contoso.example
listen: [{address: ":443", tls: {certificate: tls.crt, key: tls.key}}]
upstream: {issuer: {entity: "http://sts.contoso.example/adfs/services/trust", signing: {certificate: tls.crt, key: tls.key}}}
directory: {file: users.yaml}
policy: policies
audit: {file: audit.jsonl}`
	asking = forwarding + `
directory: {ldap: {url: "ldaps://dc1.contoso.example", ca: ca.pem, user: svc@contoso.example, password: dc.password}}`
	approving = forwarding + `
portal: {host: approve.contoso.example}
directory: {file: users.yaml}`
	telling = approving + `
mfa:
  hold: {families: [{family: zeep}]}
  webhooks: [{name: chat, url: "https://chat.contoso.example/", template: tls.crt}]
  smtp: {address: "mail.contoso.example:587", from: stsgate@contoso.example}
  radius: {servers: ["mfa.contoso.example:1812"], secret: tls.key}`
	sealed = approving + `
mfa: {radius: {servers: ["mfa.contoso.example:2083"], tls: {ca: ca.pem}}}`
	formed = approving + `
mfa: {webhooks: [{name: chat, url: "https://chat.contoso.example/", form: slack}]}`
	clustered = forwarding + `
state: {nats: {urls: ["tls://nats1:4222"]}, key: tls.key}`
)

// TestDocumentedDefaults holds that to write a documented default into the
// file changes nothing.
func TestDocumentedDefaults(t *testing.T) {
	// Made of others when it is needed, or said in words.
	derived := map[string]bool{"url": true, "portal.url": true, "mfa.separator": true, "endpoints[].tolerate": true}
	dir := lay(t, map[string][]byte{}, "tls.crt", "tls.key", "ca.pem", "users.yaml", "dc.password", "policies/x.yaml")
	defaults := 0
	for _, k := range configKeys(t) {
		if !k.group && k.byDoc == "" {
			t.Errorf("%s: the comment says neither a default nor that it is required", k.path)
		}
		if k.byDoc == "" || k.byDoc == "required" || derived[k.path] {
			continue
		}
		defaults++
		base := forwarding
		if _, there := at(parse(t, base), k.path); there || k.path == "directory.ldap" {
			base = issuing
		} else if strings.HasPrefix(k.path, "directory.") {
			base = asking
		}
		if strings.HasPrefix(k.path, "portal.") {
			base = approving
		}
		if k.path == "mfa.webhooks[].template" {
			base = formed
		} else if k.path == "mfa.radius.secret" || strings.HasPrefix(k.path, "mfa.radius.tls.") {
			base = sealed
		} else if strings.HasPrefix(k.path, "mfa.") && strings.Count(k.path, ".") > 1 && k.path != "mfa.hold.families" {
			base = telling
		}
		if strings.HasPrefix(k.path, "state.nats.") {
			base = clustered
		}
		without := load(t, dir, parse(t, base))
		value, _, _ := strings.Cut(strings.ReplaceAll(k.byDoc, ";", ","), ",")
		got := field(reflect.ValueOf(without).Elem(), k.path)
		switch value {
		case "absent":
			if got.Kind() != reflect.Pointer && got.Kind() != reflect.String || !got.IsZero() {
				t.Errorf("%s: got %v, want it absent", k.path, got)
			}
		case "empty":
			if got.Kind() != reflect.Slice || got.Len() > 0 {
				t.Errorf("%s: got %v, want it empty", k.path, got)
			}
		default:
			tree := parse(t, base)
			set(tree, k.path, scalar(t, value))
			if with := load(t, dir, tree); !reflect.DeepEqual(with, without) {
				t.Errorf("%s: the comment says %s, got %v", k.path, value, got)
			}
		}
	}
	if defaults < 10 {
		t.Errorf("got %d defaults, want all of them", defaults)
	}
}

func parse(t *testing.T, text string) map[string]any {
	t.Helper()
	var tree map[string]any
	if err := yaml.Unmarshal([]byte(text), &tree); err != nil {
		t.Fatal(err)
	}
	return tree
}

// at returns what stands at a path such as limits.body.
func at(tree map[string]any, path string) (any, bool) {
	first, rest, more := strings.Cut(path, ".")
	value, there := tree[first]
	if below, ok := value.(map[string]any); ok && more {
		return at(below, rest)
	}
	return value, there && !more
}

// scalar returns a value as it is when written without quotes.
func scalar(t *testing.T, text string) any {
	return parse(t, "value: "+text)["value"]
}

// set puts a value at a path, in the first item of a list.
func set(tree map[string]any, path string, value any) {
	first, rest, more := strings.Cut(path, ".")
	if !more {
		tree[first] = value
		return
	}
	if list, ok := strings.CutSuffix(first, "[]"); ok {
		set(tree[list].([]any)[0].(map[string]any), rest, value)
		return
	}
	below, ok := tree[first].(map[string]any)
	if !ok {
		below = map[string]any{}
		tree[first] = below
	}
	set(below, rest, value)
}

func load(t *testing.T, dir string, tree map[string]any) *config.Config {
	t.Helper()
	text, err := yaml.Dump(tree)
	if err != nil {
		t.Fatal(err)
	}
	file := filepath.Join(dir, "stsgate.yaml")
	if err := os.WriteFile(file, text, 0o600); err != nil {
		t.Fatal(err)
	}
	c, err := config.Load(file)
	if err != nil {
		t.Fatalf("%v in\n%s", err, text)
	}
	return c
}

// field returns the value of the key at a path.
func field(v reflect.Value, path string) reflect.Value {
	first, rest, more := strings.Cut(path, ".")
	for v.Kind() == reflect.Pointer {
		if v.IsNil() { // what is not there has keys that are not there
			v = reflect.New(v.Type().Elem())
		}
		v = v.Elem()
	}
	if v.Kind() == reflect.Slice {
		v = v.Index(0)
	}
	first = strings.TrimSuffix(first, "[]")
	for f, value := range v.Fields() {
		if f.Tag.Get("yaml") == first && more {
			return field(value, rest)
		} else if f.Tag.Get("yaml") == first {
			return value
		}
	}
	return reflect.Value{}
}

// comments returns the comments of the fields of a package's structs as
// Type.Field, on one line each.
func comments(t *testing.T, dir string) map[string]string {
	t.Helper()
	all := map[string]string{}
	for name, file := range sources(t, dir) {
		if filepath.Dir(name) != filepath.Clean(dir) {
			continue
		}
		ast.Inspect(file, func(n ast.Node) bool {
			typ, ok := n.(*ast.TypeSpec)
			if !ok {
				return true
			}
			if s, ok := typ.Type.(*ast.StructType); ok {
				for _, f := range s.Fields.List {
					for _, name := range f.Names {
						all[typ.Name.Name+"."+name.Name] = strings.Join(strings.Fields(f.Doc.Text()), " ")
					}
				}
			}
			return false
		})
	}
	return all
}

// sources parses what is not a test in a folder and below.
func sources(t *testing.T, dir string) map[string]*ast.File {
	t.Helper()
	all := map[string]*ast.File{}
	err := filepath.WalkDir(dir, func(path string, d os.DirEntry, err error) error {
		if err != nil || d.IsDir() || filepath.Ext(path) != ".go" || strings.HasSuffix(path, "_test.go") {
			return err
		}
		file, err := parser.ParseFile(token.NewFileSet(), path, nil, parser.ParseComments|parser.SkipObjectResolution)
		all[filepath.Clean(path)] = file
		return err
	})
	if err != nil {
		t.Fatal(err)
	}
	return all
}
