package main

import (
	"bufio"
	"encoding/json"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strconv"
	"strings"
	"syscall"
	"testing"
	"testing/fstest"
	"time"

	"stsgate/gateway/config"
	"stsgate/policy"
	"stsgate/testdata"
)

// README.md shows what a user sees: its commands are run in order against a
// demo, and print what stands below them, where … is anything.
func TestReadmeCommands(t *testing.T) {
	readme := readReadme(t)
	dir := t.TempDir()
	start := exec.Command("make", "-s", "-n", "-C", testdata.Root(t), "run")
	lines, err := start.Output()
	if err != nil {
		t.Fatalf("make -n run: %v", err)
	}
	demo := lastLine(string(lines))
	if demo != "bin/stsgate demo --dir .cache/demo" {
		t.Fatalf("make run runs %q, and README.md speaks of .cache/demo", demo)
	}
	buildInto(t, filepath.Join(dir, "bin", "stsgate"))
	url := startReadmeDemo(t, dir, demo)
	for _, block := range fenced(readme, "console") {
		for _, shown := range readmeSteps(block) {
			command := strings.NewReplacer("localhost:8443", url, "pkill -HUP -f 'stsgate demo'", "kill -HUP $(cat pid)").Replace(shown.command)
			sh := exec.Command("sh", "-c", command)
			sh.Dir = dir
			out, _ := sh.CombinedOutput()
			if !pattern(shown.output).MatchString(string(out)) {
				t.Errorf("$ %s\nprinted\n%s\nand README.md says\n%s", shown.command, out, shown.output)
			}
			if strings.Contains(command, "kill -HUP") {
				awaitReload(t, dir)
			}
		}
	}
}

// The files that README.md shows are ones that load.
func TestReadmeFiles(t *testing.T) {
	blocks := fenced(readReadme(t), "yaml")
	if len(blocks) != 2 {
		t.Fatalf("%d YAML files in README.md, want a configuration and a policy", len(blocks))
	}
	dir := t.TempDir()
	for _, name := range []string{"tls.crt", "tls.key", "adfs-ca.pem", "policies/policy.yaml"} {
		path := filepath.Join(dir, name)
		if err := os.MkdirAll(filepath.Dir(path), 0o700); err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(path, nil, 0o600); err != nil {
			t.Fatal(err)
		}
	}
	file := filepath.Join(dir, "stsgate.yaml")
	if err := os.WriteFile(file, []byte(blocks[0]), 0o600); err != nil {
		t.Fatal(err)
	}
	if _, err := config.Load(file); err != nil {
		t.Errorf("the configuration: %v", err)
	}
	files := fstest.MapFS{"policy.yaml": {Data: []byte(blocks[1])}}
	if _, err := policy.Load(files, policy.Vocabulary{NoIssuer: true}); err != nil {
		t.Errorf("the policy: %v", err)
	}
}

func readReadme(t *testing.T) string {
	t.Helper()
	b, err := os.ReadFile(filepath.Join(testdata.Root(t), "README.md"))
	if err != nil {
		t.Fatal(err)
	}
	return string(b)
}

func lastLine(s string) string {
	lines := strings.Split(strings.TrimSpace(s), "\n")
	return lines[len(lines)-1]
}

// fenced returns the blocks of a language.
func fenced(text, language string) []string {
	var blocks []string
	for _, part := range strings.Split(text, "```"+language+"\n")[1:] {
		block, _, _ := strings.Cut(part, "```")
		blocks = append(blocks, block)
	}
	return blocks
}

type readmeStep struct{ command, output string }

// readmeSteps splits a console block into commands, with their here-documents, and
// what they print.
func readmeSteps(block string) []readmeStep {
	var all []readmeStep
	ends := ""
	for line := range strings.Lines(block) {
		switch {
		case ends != "":
			all[len(all)-1].command += line
			if strings.TrimSpace(line) == ends {
				ends = ""
			}
		case strings.HasPrefix(line, "$ "):
			all = append(all, readmeStep{command: line[2:]})
			if _, word, here := strings.Cut(line, "<<'"); here {
				ends, _, _ = strings.Cut(word, "'")
			}
		default:
			all[len(all)-1].output += line
		}
	}
	return all
}

// pattern matches an output in which … is any text of one line.
func pattern(output string) *regexp.Regexp {
	return regexp.MustCompile("^" + strings.ReplaceAll(regexp.QuoteMeta(output), "…", ".*") + "$")
}

func buildInto(t *testing.T, path string) {
	t.Helper()
	c := exec.Command("go", "build", "-o", path, ".")
	if out, err := c.CombinedOutput(); err != nil {
		t.Fatalf("build: %v: %s", err, out)
	}
}

// startReadmeDemo starts the demo on a free port and returns its host and port.
func startReadmeDemo(t *testing.T, dir, command string) string {
	t.Helper()
	words := append(strings.Fields(command), "--listen", "127.0.0.1:0")
	c := exec.Command(filepath.Join(dir, words[0]), words[1:]...)
	c.Dir = dir
	out, err := c.StdoutPipe()
	if err != nil {
		t.Fatal(err)
	}
	log, err := os.Create(filepath.Join(dir, "log"))
	if err != nil {
		t.Fatal(err)
	}
	c.Stderr = log
	if err := c.Start(); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		_ = c.Process.Signal(syscall.SIGTERM)
		_ = c.Wait()
		log.Close()
	})
	if _, err := bufio.NewReader(out).ReadString('\n'); err != nil {
		t.Fatalf("the demo says nothing: %v", err)
	}
	if err := os.WriteFile(filepath.Join(dir, "pid"), []byte(strconv.Itoa(c.Process.Pid)), 0o600); err != nil {
		t.Fatal(err)
	}
	var index demoIndex
	b, err := os.ReadFile(filepath.Join(dir, ".cache/demo/demo.json"))
	if err == nil {
		err = json.Unmarshal(b, &index)
	}
	if err != nil {
		t.Fatal(err)
	}
	return strings.TrimSuffix(strings.TrimPrefix(index.URL, "https://"), "/adfs/services/trust/13/usernamemixed")
}

// awaitReload waits until the demo's log says that it has reloaded.
func awaitReload(t *testing.T, dir string) {
	t.Helper()
	for deadline := time.Now().Add(10 * time.Second); time.Now().Before(deadline); time.Sleep(5 * time.Millisecond) {
		if b, err := os.ReadFile(filepath.Join(dir, "log")); err == nil && strings.Contains(string(b), `"reloaded"`) {
			return
		}
	}
	t.Fatal("the demo did not reload")
}
