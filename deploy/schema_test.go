package deploy_test

import (
	"bytes"
	"encoding/json"
	"os"
	"regexp"
	"slices"
	"strings"
	"testing"
	"testing/fstest"

	"stsgate/gateway/family"
	"stsgate/policy"
)

// A schema is a piece of JSON Schema, draft 7, which editors know.
type schema map[string]any

// TestSchemas holds the schemas for editors to the code. UPDATE=1 writes them.
func TestSchemas(t *testing.T) {
	for file, s := range schemas(t) {
		var b bytes.Buffer
		e := json.NewEncoder(&b)
		e.SetEscapeHTML(false)
		e.SetIndent("", "  ")
		if err := e.Encode(s); err != nil {
			t.Fatal(err)
		}
		if os.Getenv("UPDATE") == "1" {
			if err := os.WriteFile(file, b.Bytes(), 0o644); err != nil {
				t.Fatal(err)
			}
		} else if !bytes.Equal(read(t, file), b.Bytes()) {
			t.Errorf("%s does not say what the code says; make golden (or UPDATE=1 go test ./deploy) writes it anew", file)
		}
	}
}

func schemas(t *testing.T) map[string]schema {
	w := &schemaWriter{t: t, definitions: map[string]schema{}}
	w.places(policy.Keys())
	w.definitions["deny"] = schema{"type": "object", "maxProperties": 0}
	not := w.definitions["match"]["properties"].(map[string]schema)
	w.definitions["not"] = schema{"type": "object", "additionalProperties": false, "minProperties": 1, "properties": map[string]schema{}}
	for name, s := range not {
		if name != "not" {
			w.definitions["not"]["properties"].(map[string]schema)[name] = s
		}
	}
	w.shapes()
	policies := w.file("A policy file of stsgate.", "file")

	w = &schemaWriter{t: t, definitions: map[string]schema{}}
	w.places(policy.TestKeys())
	w.facts()
	return map[string]schema{"audit.schema.json": auditSchema(t), "policy.schema.json": policies, "policy-test.schema.json": w.file("Tests beside policy files of stsgate, *_test.yaml.", "tests file")}
}

// A schemaWriter has what mappings of each place are.
type schemaWriter struct {
	t           *testing.T
	definitions map[string]schema
}

func (w *schemaWriter) file(title, place string) schema {
	s := w.definitions[place]
	delete(w.definitions, place)
	s["$schema"], s["title"], s["definitions"] = "http://json-schema.org/draft-07/schema#", title, w.definitions
	return s
}

var required = regexp.MustCompile(`(^|\. )Required[.;]`)

// places defines the mapping of each place that keys stand in.
func (w *schemaWriter) places(keys []policy.Key) {
	for _, k := range keys {
		d := w.definitions[k.Place]
		if d == nil {
			d = schema{"type": "object", "additionalProperties": false, "properties": map[string]schema{}}
			w.definitions[k.Place] = d
		}
		value := w.value(k)
		value["description"] = k.Meaning
		d["properties"].(map[string]schema)[k.Name] = value
		if required.MatchString(k.Meaning) {
			names, _ := d["required"].([]string)
			d["required"] = append(names, k.Name)
		}
	}
}

// shapes adds what is so of a mapping as a whole.
func (w *schemaWriter) shapes() {
	oneOf := func(keys ...string) []schema {
		var all []schema
		for _, k := range keys {
			all = append(all, schema{"required": []string{k}})
		}
		return all
	}
	w.definitions["rule"]["oneOf"] = oneOf("allow", "deny", "require")
	w.definitions["rule"]["anyOf"] = oneOf("match", "when")
	w.definitions["except"]["anyOf"] = oneOf("match", "when")
	w.definitions["claim"]["oneOf"] = oneOf("from", "value")
	for _, place := range []string{"file", "match", "require", "limit", "network"} {
		w.definitions[place]["minProperties"] = 1
	}
}

func ref(name string) schema { // not alone, so that it may have a description
	return schema{"allOf": []schema{{"$ref": "#/definitions/" + name}}}
}

func list(of schema) schema {
	return schema{"type": "array", "minItems": 1, "uniqueItems": true, "items": of}
}

func text() schema { return schema{"type": "string", "minLength": 1} }

func anyOf(all ...schema) schema { return schema{"anyOf": all} }

func enum[T any](words ...T) schema { return schema{"enum": words} }

// byName is a mapping whose keys the author chooses.
func byName(of schema) schema {
	return schema{"type": "object", "propertyNames": schema{"pattern": "^[a-z0-9][a-z0-9._-]{0,63}$"}, "additionalProperties": of}
}

// value is what a key holds.
func (w *schemaWriter) value(k policy.Key) schema {
	switch k.Place + "." + k.Name {
	case "file.networks":
		return byName(anyOf(list(text()), ref("network")))
	case "file.applications":
		return byName(ref("application"))
	case "application.claims":
		return anyOf(list(ref("claim")), enum("microsoft-365"))
	case "match.families":
		return list(enum(familyNames()...))
	case "match.versions":
		return list(enum[any]("1.2", "1.3", 1.2, 1.3))
	case "match.asns":
		return list(schema{"type": []string{"integer", "string"}})
	case "match.hours":
		return list(ref("hours"))
	case "expect.cause":
		return enum(w.testWords("expect: {effect: deny, cause: zzz}")...)
	case "test.unknown":
		return list(enum(unknownNames()...))
	case "test.facts", "tests file.defaults":
		return ref("facts")
	}
	return w.typed(k)
}

// typed is what a key holds whose type says enough.
func (w *schemaWriter) typed(k policy.Key) schema {
	switch k.Type {
	case "mapping", "mapping, may be empty", "empty mapping":
		return ref(k.Name)
	case "mapping, or everyone":
		return anyOf(ref(k.Name), enum("everyone"))
	case "list of rules", "list of exceptions", "list of tests":
		return list(ref(strings.TrimSuffix(k.Name, "s")))
	case "list of words":
		return list(enum(w.words(k)...))
	case "true or false":
		return schema{"type": "boolean"}
	case "text", "name", "URI", "source", "expression", "file name", "time zone", "time of day", "duration", "number/duration", "date or time":
		return text()
	case "list of texts", "list of names", "list of codes", "list of paths", "list of kinds", "list of days", "list of rule names":
		return list(text())
	}
	words := strings.Split(k.Type, " or ")
	if len(words) != 2 || strings.Contains(k.Type, ",") {
		w.t.Fatalf("no schema for %s, %q of %s", k.Type, k.Name, k.Place)
	}
	return enum(words...)
}

// words asks the loader which words a list may hold.
func (w *schemaWriter) words(k policy.Key) []string {
	file := map[string]string{
		"application": "applications: {a: {realms: [a], answer: forward, " + k.Name + ": [zzz]}}",
		"match":       "rules: [{name: a, match: {" + k.Name + ": [zzz]}, deny: {}}]",
		"mfa":         "rules: [{name: a, match: everyone, require: {mfa: {" + k.Name + ": [zzz]}}}]",
	}[k.Place]
	_, err := policy.Load(fstest.MapFS{"a.yaml": {Data: []byte(file)}}, policy.Vocabulary{Directory: true})
	return w.wanted(err)
}

// testWords asks the same of files of tests.
func (w *schemaWriter) testWords(test string) []string {
	set, err := policy.Load(fstest.MapFS{"a.yaml": {Data: []byte("rules: [{name: a, match: everyone, deny: {}}]")}}, policy.Vocabulary{})
	if err != nil {
		w.t.Fatal(err)
	}
	_, err = set.ReadSuites(fstest.MapFS{"a_test.yaml": {Data: []byte("tests: [{name: a, facts: {}, " + test + "}]")}})
	return w.wanted(err)
}

func (w *schemaWriter) wanted(err error) []string {
	if err == nil {
		w.t.Fatal("zzz is a word")
	}
	m := regexp.MustCompile(`(?m)"?zzz"?: want ([A-Za-z0-9, -]+)$|want ([A-Za-z0-9 -]+), got "zzz"`).FindStringSubmatch(err.Error())
	if m == nil {
		w.t.Fatalf("no words in %q", err)
	}
	return regexp.MustCompile(` or |, `).Split(m[1]+m[2], -1)
}

func familyNames() []string {
	var all []string
	for _, f := range family.Names() {
		all = append(all, string(f.Name))
	}
	return all
}

// unknownNames are the facts that may be unknown, and their first parts.
func unknownNames() []string {
	var all []string
	for _, f := range policy.FactInfos() {
		group, _, _ := strings.Cut(f.Name, ".")
		if !slices.Contains(all, group) {
			all = append(all, group)
		}
		if f.Fact != policy.RequestApplication && f.Name != group {
			all = append(all, f.Name)
		}
	}
	return all
}

// facts defines a mapping of facts.
func (w *schemaWriter) facts() {
	facts := map[string]schema{"unknown": list(enum(unknownNames()...)), "not_read": list(enum(unknownNames()...))}
	for _, f := range policy.FactInfos() {
		group, key, inGroup := strings.Cut(f.Name, ".")
		value := w.fact(f)
		value["description"] = f.Meaning
		switch {
		case f.Fact == policy.RequestApplication: // follows from applies_to
		case !inGroup:
			facts[group] = value
		default:
			if facts[group] == nil {
				facts[group] = schema{"type": "object", "additionalProperties": false, "properties": map[string]schema{}}
			}
			facts[group]["properties"].(map[string]schema)[key] = value
		}
	}
	facts["user"]["properties"].(map[string]schema)["sam"] = schema{"type": "string", "description": `The name in DOMAIN\user.`}
	w.definitions["facts"] = schema{"type": "object", "additionalProperties": false, "properties": facts}
}

func (w *schemaWriter) fact(f policy.FactInfo) schema {
	text := schema{"type": "string"}
	number := schema{"type": "integer", "minimum": 0}
	switch {
	case f.Fact == policy.ClientFamily:
		return enum(familyNames()...)
	case f.Fact == policy.ClientCountry:
		return anyOf(text, schema{"type": "array", "items": text})
	case f.Fact == policy.ClientASN:
		return anyOf(number, schema{"type": "array", "items": number})
	case f.Fact == policy.RequestVersion || f.Fact == policy.RequestSOAP:
		return schema{"type": []string{"string", "number"}} // 1.2 is one in YAML
	}
	switch f.Type {
	case "text", "address", "time":
		return text
	case "texts", "addresses":
		return schema{"type": "array", "items": text}
	case "number":
		return number
	case "truth":
		return schema{"type": "boolean"}
	}
	w.t.Fatalf("no schema for %s of %s", f.Type, f.Name)
	return nil
}
