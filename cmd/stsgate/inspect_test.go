package main

import (
	"bytes"
	"encoding/json"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"stsgate/testdata"
)

// clockFlag is the time at which the project's own messages are fresh.
const clockFlag = "--at=2026-03-02T08:00:30Z"

// inspectFile runs the verb.
func inspectFile(in string, args ...string) (code int, out, errOut string) {
	var o, e bytes.Buffer
	code = run(append([]string{"stsgate", "inspect"}, args...), strings.NewReader(in), &o, &e)
	return code, o.String(), e.String()
}

// inspectJSON runs the verb on a file with that name and content, and returns
// what it printed as JSON.
func inspectJSON(t *testing.T, name, content string, flags ...string) (int, *report) {
	t.Helper()
	file := writeFile(t, name, content)
	code, out, errOut := inspectFile("", append(flags, "--json", file)...)
	var r report
	if err := json.Unmarshal([]byte(out), &r); err != nil || errOut != "" {
		t.Fatalf("got code %d, %q, %q: %v", code, out, errOut, err)
	}
	if want := map[string]int{accepted: 0, refused: 1}[r.Verdict]; code != want {
		t.Errorf("got code %d for %q", code, r.Verdict)
	}
	return code, &r
}

func writeFile(t testing.TB, name, content string) string {
	t.Helper()
	file := filepath.Join(t.TempDir(), name)
	if err := os.WriteFile(file, []byte(content), 0o600); err != nil {
		t.Fatal(err)
	}
	return file
}

// TestInspectMessages holds what is said of each of the project's messages, in
// both forms, to a file. UPDATE=1 writes the files, which are reviewed by hand:
// where a message is refused, the reason must be the true one.
func TestInspectMessages(t *testing.T) {
	root := testdata.Root(t)
	golden := filepath.Join(root, "cmd", "stsgate", "testdata", "inspect")
	t.Chdir(filepath.Join(root, "testdata", "messages"))
	wanted := map[string]bool{}
	for _, folder := range []string{"rst", "rst-other", "rstr", "fault"} {
		for _, name := range testdata.Names(t, folder) {
			t.Run(name, func(t *testing.T) {
				code, text, errOut := inspectFile("", clockFlag, name)
				codeJSON, asJSON, errJSON := inspectFile("", clockFlag, "--json", name)
				if code != codeJSON || errOut+errJSON != "" {
					t.Errorf("got codes %d and %d, %q, %q", code, codeJSON, errOut, errJSON)
				}
				got := fmt.Sprintf("exit %d\n%s%s", code, text, asJSON)
				file := filepath.Join(golden, filepath.FromSlash(strings.TrimSuffix(name, ".xml"))+".txt")
				wanted[file] = true
				if os.Getenv("UPDATE") == "1" {
					if err := os.MkdirAll(filepath.Dir(file), 0o755); err != nil {
						t.Fatal(err)
					}
					if err := os.WriteFile(file, []byte(got), 0o644); err != nil {
						t.Fatal(err)
					}
				}
				want, err := os.ReadFile(file)
				if err != nil {
					t.Fatal(err)
				}
				if got != string(want) {
					t.Errorf("got\n%s\nwant\n%s", got, want)
				}
			})
		}
	}
	files, err := filepath.Glob(filepath.Join(golden, "*", "*.txt"))
	if err != nil || len(files) != len(wanted) {
		t.Errorf("got %d files in %s for %d messages: %v", len(files), golden, len(wanted), err)
	}
}

// TestInspectShared compares what is said of each message of the shared corpus
// with a table: kind, verdict, rule, reason, version, request type and
// credential. What a message is was taken from it with another parser (expat);
// what XML it is not, or a path that is not published, was seen by hand.
func TestInspectShared(t *testing.T) {
	shared := testdata.Shared(t, "messages")
	table, err := os.ReadFile(filepath.Join("testdata", "inspect", "shared.txt"))
	if err != nil {
		t.Fatal(err)
	}
	want := map[string]string{}
	for row := range strings.Lines(string(table)) {
		if name, rest, ok := strings.Cut(strings.TrimSpace(row), " "); ok && name != "#" {
			want[name] = strings.Join(strings.Fields(rest), " ")
		}
	}
	dash := func(s string) string {
		if s == "" {
			return "-"
		}
		return s
	}
	read := 0
	for _, folder := range []string{"rst", "captured", "fault", "rstr", "attack"} {
		files, err := os.ReadDir(filepath.Join(shared, folder))
		if err != nil {
			t.Fatal(err)
		}
		for _, f := range files {
			read++
			name := folder + "/" + f.Name()
			_, out, _ := inspectFile("", "--json", filepath.Join(shared, name))
			var r report
			if err := json.Unmarshal([]byte(out), &r); err != nil {
				t.Errorf("%s: %v", name, err)
				continue
			}
			got := strings.Join([]string{r.Kind, r.Verdict, dash(r.Rule), dash(r.Reason), dash(r.Version), dash(r.RequestType), dash(r.Credential)}, " ")
			if got != want[name] {
				t.Errorf("%s: got %s, want %s", name, got, want[name])
			}
			if (r.Verdict == refused) != (r.Message != "" && r.Rule != "" && r.Line > 0 && r.Column > 0) {
				t.Errorf("%s: got %q at %d:%d by %q for %s", name, r.Message, r.Line, r.Column, r.Rule, r.Verdict)
			}
		}
	}
	if read != len(want) {
		t.Errorf("got %d files for %d rows", read, len(want))
	}
}

// Exit code 2: arguments that are no use, and files that cannot be opened.
func TestInspectUsage(t *testing.T) {
	message := writeFile(t, "m.xml", string(testdata.Message(t, "rst/msal-net-13.xml")))
	answer := writeFile(t, "a.xml", string(testdata.Message(t, "rstr/adfs-13-saml11.xml")))
	broken := writeFile(t, "b.xml", "<a")
	for _, c := range []struct {
		args []string
		says string
	}{
		{nil, `expected "<file>"`},
		{[]string{"nothing.xml"}, "open nothing.xml: no such file"},
		{[]string{t.TempDir()}, "is a directory"},
		{[]string{"--at", "tomorrow", message}, "--at"},
		{[]string{"--cert", "nothing.pem", answer}, "--cert: open nothing.pem"},
		{[]string{"--cert", message, answer}, "--cert: "},
		{[]string{"--request", "nothing.xml", answer}, "--request: open nothing.xml"},
		{[]string{"--request", broken, answer}, "--request: " + broken + " is no request that can be read: document is cut short"},
		{[]string{"--request", answer, answer}, answer + " is no request that can be read: its kind is rstr"},
		{[]string{"--request", "-", "-"}, "--request: standard input is the message"},
		{[]string{"--password", message}, "unknown flag --password"},
		{[]string{writeFile(t, "answer.http", "HTTP/1.1 200 OK\r\n\r\n<a/>")}, "an HTTP answer; give its body alone"},
	} {
		code, out, errOut := inspectFile("", c.args...)
		if code != 2 || out != "" || !strings.Contains(errOut, c.says) {
			t.Errorf("%q: got code %d, %q, %q, want 2, %q", c.args, code, out, errOut, c.says)
		}
	}
	if code, out, errOut := inspectFile("<a/>", "-"); code != 0 || errOut != "" || !strings.Contains(out, "its root is a") {
		t.Errorf("standard input: got code %d, %q, %q", code, out, errOut)
	}
}
