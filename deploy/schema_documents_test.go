package deploy_test

import (
	"bytes"
	"encoding/json"
	"os/exec"
	"path/filepath"
	"regexp"
	"testing"

	"github.com/rogpeppe/go-internal/txtar"
	"go.yaml.in/yaml/v4"

	"stsgate/testdata"
)

// judge is what an independent validator makes of documents: the first mistake
// of each, empty for none.
func judge(t *testing.T, schemaFile string, documents []any) []string {
	t.Helper()
	const script = `
import json, sys
from jsonschema import Draft7Validator
job = json.load(sys.stdin)
Draft7Validator.check_schema(job["schema"])
v = Draft7Validator(job["schema"])
json.dump([next((e.message for e in v.iter_errors(d)), "") for d in job["documents"]], sys.stdout)
`
	job, err := json.Marshal(map[string]any{"schema": json.RawMessage(read(t, schemaFile)), "documents": documents})
	if err != nil {
		t.Fatal(err)
	}
	cmd := exec.CommandContext(t.Context(), testdata.Python(t, "jsonschema"), "-c", script)
	cmd.Stdin = bytes.NewReader(job)
	var stderr bytes.Buffer
	cmd.Stderr = &stderr
	out, err := cmd.Output()
	if err != nil {
		t.Fatalf("%v\n%s", err, stderr.String())
	}
	var mistakes []string
	if err := json.Unmarshal(out, &mistakes); err != nil || len(mistakes) != len(documents) {
		t.Fatalf("got %d answers for %d documents: %v", len(mistakes), len(documents), err)
	}
	return mistakes
}

// document reads YAML as an editor does: dates are text, and a key that stands
// twice is somebody else's to find.
func document(content []byte) (any, bool) {
	var n yaml.Node
	if err := yaml.Unmarshal(content, &n); err != nil || len(n.Content) != 1 {
		return nil, false
	}
	return plainValue(n.Content[0])
}

func plainValue(n *yaml.Node) (any, bool) {
	switch n.Kind {
	case yaml.MappingNode:
		all := map[string]any{}
		for i := 0; i+1 < len(n.Content); i += 2 {
			key := n.Content[i].Value
			v, ok := plainValue(n.Content[i+1])
			if _, twice := all[key]; twice || !ok || n.Content[i].Kind != yaml.ScalarNode {
				return nil, false
			}
			all[key] = v
		}
		return all, true
	case yaml.SequenceNode:
		all := []any{}
		for _, c := range n.Content {
			v, ok := plainValue(c)
			if !ok {
				return nil, false
			}
			all = append(all, v)
		}
		return all, true
	case yaml.ScalarNode:
		if tag := n.ShortTag(); tag == "!!str" || tag == "!!timestamp" {
			return n.Value, true
		}
		var v any
		return v, n.Load(&v) == nil
	default:
		return nil, false
	}
}

// filesOf returns all files of some patterns.
func filesOf(t *testing.T, patterns ...string) []string {
	t.Helper()
	var all []string
	for _, p := range patterns {
		names, err := filepath.Glob(p)
		if err != nil || len(names) == 0 {
			t.Fatalf("%s: no files, %v", p, err)
		}
		all = append(all, names...)
	}
	return all
}

// An editor finds nothing wrong with a file that is right.
func TestSchemasTakeWhatIsRight(t *testing.T) {
	for file, names := range map[string][]string{
		"policy.schema.json":      filesOf(t, "policies/*/policy.yaml", "demo/policies/*.yaml", "demo/farm/policies/*.yaml", "../policy/testdata/policies/*.good.yaml"),
		"policy-test.schema.json": filesOf(t, "policies/*/*_test.yaml", "../policy/testdata/suites/*.yaml"),
	} {
		var documents []any
		for _, name := range names {
			d, ok := document(read(t, name))
			if !ok {
				t.Errorf("%s: cannot be read", name)
			}
			documents = append(documents, d)
		}
		for i, mistake := range judge(t, file, documents) {
			if mistake != "" {
				t.Errorf("%s: %s", names[i], mistake)
			}
		}
	}
}

// found are the mistakes that a schema finds, by what the loader says of them.
var found = regexp.MustCompile(`: unknown key | needs (a name|realms|an answer|match or when|allow, deny or require|an? \w+)$|want [^,]*, got (nothing|text|a list|a mapping)$|an empty (list|match|not)|put it in quotes$|want (forward or issue|enforce or report-only|hide or show|true or false), got `)

// firstMistake is how a bad file announces it.
var firstMistake = regexp.MustCompile(`(?m)^#! .*$`)

// An editor finds what is wrong with the form of a file: a key that is none,
// one that is missing, a value of another kind.
func TestSchemasRefuseWhatIsWrong(t *testing.T) {
	wrong := map[string][]byte{}
	for _, name := range filesOf(t, "../policy/testdata/policies/*.bad.yaml") {
		wrong[filepath.Base(name)] = read(t, name)
	}
	for _, f := range txtar.Parse(read(t, "../policy/testdata/bad.txtar")).Files {
		wrong[f.Name] = f.Data
	}
	var names []string
	var documents []any
	for name, content := range wrong {
		if d, ok := document(content); ok && found.MatchString(firstMistake.FindString(string(content))) {
			names, documents = append(names, name), append(documents, d)
		}
	}
	if len(names) < 40 {
		t.Errorf("got %d files, want more", len(names))
	}
	for i, mistake := range judge(t, "policy.schema.json", documents) {
		if mistake == "" {
			t.Errorf("%s: nothing is found in\n%s", names[i], wrong[names[i]])
		}
	}
	tests := map[string]string{
		"no tests":        "defaults: {}",
		"a key":           "tests: [{name: a, facts: {}, expects: {effect: deny}}]",
		"no name":         "tests: [{facts: {}, expect: {effect: deny}}]",
		"no effect":       "tests: [{name: a, facts: {}, expect: {}}]",
		"an effect":       "tests: [{name: a, facts: {}, expect: {effect: require}}]",
		"a cause":         "tests: [{name: a, facts: {}, expect: {effect: deny, cause: denied}}]",
		"a fact":          "tests: [{name: a, facts: {user: {nam: x}}, expect: {effect: deny}}]",
		"a derived fact":  "tests: [{name: a, facts: {request: {application: x}}, expect: {effect: deny}}]",
		"a family":        "tests: [{name: a, facts: {client: {family: netscape}}, expect: {effect: deny}}]",
		"a kind":          "tests: [{name: a, facts: {source: {failures: many}}, expect: {effect: deny}}]",
		"an unknown fact": "tests: [{name: a, facts: {}, unknown: [users], expect: {effect: deny}}]",
	}
	names, documents = nil, nil
	for name, content := range tests {
		d, ok := document([]byte(content))
		if !ok {
			t.Errorf("%s: cannot be read", name)
		}
		names, documents = append(names, name), append(documents, d)
	}
	for i, mistake := range judge(t, "policy-test.schema.json", documents) {
		if mistake == "" {
			t.Errorf("%s: nothing is found in %s", names[i], tests[names[i]])
		}
	}
}
