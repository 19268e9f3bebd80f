package deploy_test

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"go/ast"
	"io"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"sync"
	"testing"
	"time"
)

// A metric is one family as the program exposes it.
type metric struct {
	name, typ, help string
	labels          []string
}

// A page is what a verb says to --help.
type page struct{ verb, text string }

// An observation is what the program shows of itself.
type observation struct {
	metrics []metric
	pages   []page
}

// observe builds the program, asks it for help, and has it run its demo.
var observe = sync.OnceValues(func() (*observation, error) {
	ctx, cancel := context.WithTimeout(context.Background(), 5*time.Minute)
	defer cancel()
	dir, err := os.MkdirTemp("", "stsgate-")
	if err != nil {
		return nil, err
	}
	defer os.RemoveAll(dir)
	stsgate := filepath.Join(dir, "stsgate")
	if _, err := output(ctx, "go", "build", "-buildvcs=false", "-o", stsgate, "../cmd/stsgate"); err != nil {
		return nil, err
	}
	var s observation
	if s.pages, err = askHelp(ctx, stsgate); err != nil {
		return nil, err
	}
	text, err := scrapeDemo(ctx, stsgate, filepath.Join(dir, "demo"))
	s.metrics = readMetrics(text)
	return &s, err
})

func output(ctx context.Context, name string, args ...string) (string, error) {
	cmd := exec.CommandContext(ctx, name, args...)
	cmd.Env = append(os.Environ(), "COLUMNS=80") // help is wrapped at it
	out, err := cmd.CombinedOutput()
	if err != nil {
		return "", fmt.Errorf("%s %s: %w\n%s", filepath.Base(name), strings.Join(args, " "), err, out)
	}
	return string(out), nil
}

// askHelp returns the help of the program and of each verb that it lists.
func askHelp(ctx context.Context, stsgate string) ([]page, error) {
	top, err := output(ctx, stsgate, "--help")
	if err != nil {
		return nil, err
	}
	all := []page{{"", top}}
	_, list, _ := strings.Cut(top, "\nCommands:\n")
	for _, m := range regexp.MustCompile(`(?m)^  ([a-z-]+(?: [a-z-]+)*)  `).FindAllStringSubmatch(list, -1) {
		text, err := output(ctx, stsgate, append(strings.Fields(m[1]), "--help")...)
		if err != nil {
			return nil, err
		}
		all = append(all, page{m[1], text})
	}
	return all, nil
}

// scrapeDemo runs the demo, asks it for one token of each kind of answer, so
// that what is counted is there, and returns its metrics.
func scrapeDemo(ctx context.Context, stsgate, dir string) (text string, err error) {
	demo := exec.CommandContext(ctx, stsgate, "demo", "--listen", "127.0.0.1:0", "--dir", dir)
	var log bytes.Buffer
	demo.Stderr = &log
	out, err := demo.StdoutPipe()
	if err != nil {
		return "", err
	}
	if err := demo.Start(); err != nil {
		return "", err
	}
	defer func() {
		_ = demo.Process.Signal(os.Interrupt)
		if err = errors.Join(err, demo.Wait()); err != nil {
			err = fmt.Errorf("demo: %w\n%s", err, log.String())
		}
	}()
	// It says what to try once it listens.
	if _, err := out.Read(make([]byte, 1)); err != nil {
		return "", fmt.Errorf("read what to try: %w", err)
	}
	b, err := os.ReadFile(filepath.Join(dir, "demo.json"))
	if err != nil {
		return "", err
	}
	var index struct {
		URL, CA, Metrics, Application, Forwarded string
		Users                                    []struct{ Name string }
	}
	if err := json.Unmarshal(b, &index); err != nil {
		return "", err
	}
	for _, realm := range []string{index.Application, index.Forwarded} {
		user, _, _ := strings.Cut(index.Users[0].Name, "@")
		if _, err := output(ctx, stsgate, "request", "--url", index.URL, "--ca", index.CA, "--user", index.Users[0].Name,
			"--password-file", filepath.Join(dir, user+".password"), "--applies-to", realm); err != nil {
			return "", err
		}
	}
	return get(ctx, index.Metrics)
}

func get(ctx context.Context, url string) (string, error) {
	request, err := http.NewRequestWithContext(ctx, http.MethodGet, url, nil)
	if err != nil {
		return "", err
	}
	response, err := http.DefaultClient.Do(request)
	if err != nil {
		return "", err
	}
	defer response.Body.Close()
	b, err := io.ReadAll(response.Body)
	if err == nil && response.StatusCode != http.StatusOK {
		err = fmt.Errorf("%s: status %d", url, response.StatusCode)
	}
	return string(b), err
}

// readMetrics reads Prometheus's text format.
func readMetrics(text string) []metric {
	var all []metric
	label := regexp.MustCompile(`(\w+)="(?:[^"\\]|\\.)*"`)
	for line := range strings.Lines(text) {
		words := strings.SplitN(strings.TrimSuffix(line, "\n"), " ", 4)
		switch {
		case words[0] == "#" && words[1] == "HELP":
			all = append(all, metric{name: words[2], help: strings.NewReplacer(`\\`, `\`, `\n`, " ").Replace(words[3])})
		case words[0] == "#" && words[1] == "TYPE":
			all[len(all)-1].typ = words[3]
		default:
			m := &all[len(all)-1]
			for _, l := range label.FindAllStringSubmatch(line, -1) {
				if l[1] != "le" && !slices.Contains(m.labels, l[1]) {
					m.labels = append(m.labels, l[1])
				}
			}
		}
	}
	return all
}

// ours returns the program's own metrics.
func ours(t *testing.T) []metric {
	t.Helper()
	s, err := observe()
	if err != nil {
		t.Fatal(err)
	}
	return slices.DeleteFunc(slices.Clone(s.metrics), func(m metric) bool { return !strings.HasPrefix(m.name, "stsgate_") })
}

// metrics returns the names of the program's own metrics.
func metrics(t *testing.T) []string {
	t.Helper()
	var names []string
	for _, m := range ours(t) {
		names = append(names, m.name)
	}
	return names
}

// TestMetricsAreExposed holds that each metric that the code names is exposed,
// so that the reference and the list for alerts and dashboard have all.
func TestMetricsAreExposed(t *testing.T) {
	exposed := metrics(t)
	named := 0
	for _, dir := range []string{"../cmd", "../gateway", "../upstream", "../policy"} {
		for path, file := range sources(t, dir) {
			ast.Inspect(file, func(n ast.Node) bool {
				literal, ok := n.(*ast.BasicLit)
				if !ok {
					return true
				}
				name, err := strconv.Unquote(literal.Value)
				if err != nil || !regexp.MustCompile(`^stsgate_[a-z0-9_]+$`).MatchString(name) {
					return true
				}
				named++
				if !slices.Contains(exposed, name) {
					t.Errorf("%s: %s is not exposed by a demo that answered two requests", path, name)
				}
				return true
			})
		}
	}
	if named < len(exposed) {
		t.Errorf("got %d names in the code for %d metrics", named, len(exposed))
	}
}

func metricsSection(t *testing.T) string {
	var rows [][]string
	for _, m := range ours(t) {
		labels := slices.Clone(m.labels)
		for i := range labels {
			labels[i] = code(labels[i])
		}
		rows = append(rows, []string{code(m.name), m.typ, strings.Join(labels, ", "), plain(m.help)})
	}
	return "At `/metrics` of `admin.address`, beside those of Go (`go_...`) and of the operating system (`process_...`). Values of labels come from\n" +
		"closed sets or from configuration and policy, never from a client.\n\n" +
		table([]string{"Name", "Type", "Labels", "Meaning"}, rows)
}

func commandsSection(t *testing.T) string {
	s, err := observe()
	if err != nil {
		t.Fatal(err)
	}
	var b strings.Builder
	for i, p := range s.pages {
		if i > 0 {
			fmt.Fprintf(&b, "\n### stsgate %s\n\n", p.verb)
		}
		fmt.Fprintf(&b, "```text\n%s\n```\n", strings.TrimSpace(p.text))
	}
	return b.String()
}
