package deploy_test

import (
	"bytes"
	"crypto/ed25519"
	"encoding/json"
	"net/netip"
	"os"
	"path/filepath"
	"reflect"
	"strings"
	"testing"
	"time"

	"stsgate/gateway/audit"
	"stsgate/gateway/audit/audittest"
)

// auditSchema is that of a line of the audit log.
func auditSchema(t *testing.T) schema {
	t.Helper()
	meanings := comments(t, "../gateway/audit")
	definitions, kinds := map[string]schema{}, []schema{}
	for _, k := range audit.Kinds() {
		properties, always := map[string]schema{}, []string{}
		for _, f := range k.All() {
			s := auditValue(t, f)
			s["description"] = meanings[f.Struct+"."+f.Go]
			properties[f.Name] = s
			if f.Always {
				always = append(always, f.Name)
			}
		}
		properties["event.action"]["enum"] = k.Actions
		definitions[k.Name] = schema{
			"type": "object", "description": k.Doc, "properties": properties, "required": always, "additionalProperties": false,
		}
		kinds = append(kinds, ref(k.Name))
	}
	return schema{
		"$schema": "http://json-schema.org/draft-07/schema#", "title": "A line of the audit log of stsgate.",
		"oneOf": kinds, "definitions": definitions,
	}
}

// auditValue is the schema of what a field holds.
func auditValue(t *testing.T, f audit.Field) schema {
	t.Helper()
	switch f.Type {
	case reflect.TypeFor[time.Time]():
		return schema{"type": "string", "format": "date-time"}
	case reflect.TypeFor[netip.Addr]():
		return schema{"type": "string"}
	case reflect.TypeFor[json.RawMessage]():
		return schema{"type": "object"}
	}
	switch f.Type.Kind() {
	case reflect.String:
		if f.Name == "event.outcome" {
			return schema{"type": "string", "enum": []string{"success", "failure", "unknown"}}
		}
		return schema{"type": "string"}
	case reflect.Bool:
		return schema{"type": "boolean"}
	case reflect.Int, reflect.Int64, reflect.Uint64:
		return schema{"type": "integer"}
	case reflect.Slice:
		return schema{"type": "array", "items": schema{"type": "string"}}
	default:
		t.Fatalf("%s: no schema for %v", f.Name, f.Type)
		return nil
	}
}

// everyKind writes a log that has a line of each kind but those that take a
// disk's failing.
func everyKind(t *testing.T) []byte {
	t.Helper()
	file := filepath.Join(t.TempDir(), "audit.jsonl")
	if err := os.WriteFile(file, []byte(`{"@timestamp":"torn`), 0o600); err != nil {
		t.Fatal(err)
	}
	l, err := audit.Open(audit.Config{File: file, Host: "gw1", Key: auditKey(t), Origin: "sts/gw1"})
	if err != nil {
		t.Fatal(err)
	}
	now, client := time.Now().UTC(), netip.MustParseAddr("192.0.2.1")
	for _, err := range []error{
		l.Append(&audit.Record{
			Time: now, Action: "issue-token", Outcome: "success", Reason: "ok", Transaction: "0123456789abcdef0123456789abcdef", Source: client, Client: client,
			Forwarded: []netip.Addr{client}, Path: "/x", Status: 200, Facts: []byte(`{"user":{"name":"alice"}}`), NotOnOrAfter: now, Requires: []string{"a"}, Encrypted: true,
		}),
		l.Append(&audit.Record{Time: now, Action: "request", Outcome: "failure", Reason: "wrong-path", Transaction: "x", Client: client, Path: "none", Status: 404, Count: 7, Start: now}),
		l.AppendReload(&audit.Reload{Time: now, Action: "reload", Outcome: "failure", Error: "policy.yaml:1:1: wrong", Edits: []string{"x"}}),
		l.AppendOperation(&audit.Operation{Time: now, Action: "lock-add", Outcome: "unknown", Call: "1", UserID: "0", PID: 1, Until: now}),
		l.AppendAct(&audit.Act{Time: now, Action: "portal-approve", Outcome: "unknown", UserID: "0", Client: client, Object: "1", Factor: "totp", Authenticator: "a"}),
		l.Close(),
	} {
		if err != nil {
			t.Fatal(err)
		}
	}
	b, err := os.ReadFile(file)
	if err != nil {
		t.Fatal(err)
	}
	_, b, _ = bytes.Cut(b, []byte("\n")) // what was torn
	return b
}

// AUD-07: the schema takes what is written and nothing else, and so does the
// check that all tests hold their lines against.
func TestAuditSchema(t *testing.T) {
	var documents []any
	var good []bool
	add := func(line string, right bool) {
		var d any
		if err := json.Unmarshal([]byte(line), &d); err != nil {
			t.Fatalf("%s: %v", line, err)
		}
		documents, good = append(documents, d), append(good, right)
		if err := audittest.Check([]byte(line)); (err == nil) != right {
			t.Errorf("%s: got %v, want right: %v", line, err, right)
		}
	}
	actions := map[string]bool{}
	for line := range strings.Lines(string(everyKind(t))) {
		add(line, true)
		for _, other := range []string{
			strings.Replace(line, `{"@timestamp"`, `{"labels.new":1,"@timestamp"`, 1),
			strings.Replace(line, `"host.name":"gw1",`, "", 1),
			strings.Replace(line, `"event.sequence":`, `"event.sequence":"x","labels.x":`, 1),
			strings.Replace(line, `"event.action":"`, `"event.action":"un`, 1),
		} {
			add(other, false)
		}
		action, _, _ := strings.Cut(strings.SplitAfterN(line, `"event.action":"`, 2)[1], `"`)
		actions[action] = true
	}
	if len(actions) != 7 {
		t.Errorf("lines of the actions %v, want 7", actions)
	}
	for i, mistake := range judge(t, "audit.schema.json", documents) {
		if (mistake == "") != good[i] {
			t.Errorf("%v: got %q, want right: %v", documents[i], mistake, good[i])
		}
	}
}

func auditKey(t *testing.T) ed25519.PrivateKey {
	t.Helper()
	_, key, err := ed25519.GenerateKey(nil)
	if err != nil {
		t.Fatal(err)
	}
	return key
}
