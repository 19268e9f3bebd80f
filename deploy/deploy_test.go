package deploy_test

import (
	"bytes"
	"fmt"
	"go/version"
	"os"
	"os/exec"
	"path/filepath"
	"reflect"
	"regexp"
	"slices"
	"strings"
	"testing"
	"testing/fstest"
	"time"

	"stsgate/deploy"
	"stsgate/gateway/config"
	"stsgate/policy"
	"stsgate/testdata"
)

func demoFiles(t *testing.T) map[string][]byte {
	t.Helper()
	files, err := deploy.Demo{Listen: "127.0.0.1:8443", Farm: "127.0.0.1:8444", Admin: "127.0.0.1:9090", URL: "https://localhost:8443"}.Files()
	if err != nil {
		t.Fatal(err)
	}
	return files
}

// lay writes files below a new folder, and empty ones beside them.
func lay(t *testing.T, files map[string][]byte, empty ...string) string {
	t.Helper()
	dir := t.TempDir()
	for _, name := range empty {
		files[name] = nil
	}
	for name, text := range files {
		path := filepath.Join(dir, name)
		if err := os.MkdirAll(filepath.Dir(path), 0o700); err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(path, text, 0o600); err != nil {
			t.Fatal(err)
		}
	}
	return dir
}

func TestDemoConfigurationLoads(t *testing.T) {
	dir := lay(t, demoFiles(t), "ca.pem", "tls.crt", "tls.key", "sign.crt", "sign.key", "users.yaml", "state.key", "farm/sign.crt", "farm/sign.key")
	for _, tt := range []struct {
		file, listen string
		nodes        []string
	}{
		{"stsgate.yaml", "127.0.0.1:8443", []string{"https://127.0.0.1:8444"}},
		{"farm/stsgate.yaml", "127.0.0.1:8444", nil},
	} {
		c, err := config.Load(filepath.Join(dir, tt.file))
		if err != nil {
			t.Fatal(err)
		}
		var nodes []string
		if c.Upstream.ADFS != nil {
			nodes = c.Upstream.ADFS.Nodes
		}
		if c.Listen[0].Address != tt.listen || c.URL != "https://localhost:8443" || !slices.Equal(nodes, tt.nodes) {
			t.Errorf("%s: got listen %s, url %s, nodes %v", tt.file, c.Listen[0].Address, c.URL, nodes)
		}
	}
}

func TestDemoPolicy(t *testing.T) {
	for folder, want := range map[string][]string{
		"policies/":      {"expenses issue", "forwarded forward", "microsoft-365 issue", "payroll issue", "vault issue"},
		"farm/policies/": {"forwarded issue", "microsoft-365 issue", "payroll issue"},
	} {
		t.Run(folder, func(t *testing.T) {
			fsys := fstest.MapFS{}
			for name, text := range demoFiles(t) {
				if rest, ok := strings.CutPrefix(name, folder); ok {
					fsys[rest] = &fstest.MapFile{Data: text}
				}
			}
			set, err := policy.Load(fsys, policy.Vocabulary{Directory: true})
			if err != nil {
				t.Fatal(err)
			}
			if w := set.Warnings(time.Now()); len(w) > 0 {
				t.Errorf("got warnings: %v", w)
			}
			var got []string
			for _, a := range set.Applications() {
				got = append(got, fmt.Sprint(a.Name, " ", a.Answer))
			}
			slices.Sort(got)
			if !slices.Equal(got, want) {
				t.Errorf("got applications %q, want %q", got, want)
			}
		})
	}
}

// example returns stsgate.example.yaml with the log folder replaced by one
// that exists.
func example(t *testing.T) []byte {
	t.Helper()
	return bytes.ReplaceAll(read(t, "stsgate.example.yaml"), []byte("/var/log/stsgate"), []byte(t.TempDir()))
}

func TestExampleLoads(t *testing.T) {
	commented := regexp.MustCompile(`(?m)^( *)#(\S|(?:  )+[-a-z])`) // a key, or what stands below one
	for name, text := range map[string][]byte{
		"as it is":            example(t),
		"with everything set": commented.ReplaceAll(example(t), []byte("$1$2")),
	} {
		t.Run(name, func(t *testing.T) {
			dir := lay(t, map[string][]byte{"stsgate.yaml": text},
				"tls.crt", "tls.key", "adfs-ca.pem", "adfs-signing.pem", "sign.crt", "sign.key", "exchange-online.txt",
				"GeoLite2-Country.mmdb", "GeoLite2-ASN.mmdb", "dc-ca.pem", "dc.password", "audit.key", "state.key", "siem-ca.pem", "approve.crt", "approve.key", "chat.secret", "pager.json.tmpl", "mail.password", "proof.password", "radius.secret", "syslog.crt", "syslog.key", "policies/x.yaml")
			if _, err := config.Load(filepath.Join(dir, "stsgate.yaml")); err != nil {
				t.Error(err)
			}
		})
	}
}

// TestExampleHasEveryKey fails when a key is added and the example is not told.
func TestExampleHasEveryKey(t *testing.T) {
	text := string(example(t))
	var walk func(reflect.Type)
	walk = func(typ reflect.Type) {
		for typ.Kind() == reflect.Pointer || typ.Kind() == reflect.Slice {
			typ = typ.Elem()
		}
		if typ.Kind() != reflect.Struct {
			return
		}
		for f := range typ.Fields() {
			key, _, _ := strings.Cut(f.Tag.Get("yaml"), ",")
			if key == "" {
				continue
			}
			if !regexp.MustCompile(`(?m)[\s#{-]` + key + `:`).MatchString(text) {
				t.Errorf("the example has no key %s", key)
			}
			walk(f.Type)
		}
	}
	walk(reflect.TypeFor[config.Config]())
}

// TestUnit holds what systemd says of the unit (security.md, DEP-01).
func TestUnit(t *testing.T) {
	testdata.Program(t, "systemd-analyze")
	out, err := exec.CommandContext(t.Context(), "systemd-analyze", "security", "--offline=true", "--no-pager", "--threshold=15", "./stsgate.service").CombinedOutput()
	if err != nil {
		t.Errorf("exposure above 1.5: %v\n%s", err, out)
	}
	unit := string(read(t, "stsgate.service"))
	drain := time.Duration(0)
	dir := lay(t, map[string][]byte{"stsgate.yaml": example(t)}, "tls.crt", "tls.key", "adfs-ca.pem", "policies/x.yaml")
	if c, err := config.Load(filepath.Join(dir, "stsgate.yaml")); err != nil {
		t.Error(err)
	} else {
		drain = c.Timeouts.Drain
	}
	stop := regexp.MustCompile(`(?m)^TimeoutStopSec=(\d+)$`).FindStringSubmatch(unit)
	if stop == nil {
		t.Fatal("the unit has no TimeoutStopSec in seconds")
	}
	if d, err := time.ParseDuration(stop[1] + "s"); err != nil || d <= drain {
		t.Errorf("got TimeoutStopSec %v, want above the drain of %v", d, drain)
	}
}

// TestContainerfile holds that the image has what it is built from, and no user 0 (DEP-02).
func TestContainerfile(t *testing.T) {
	text := string(read(t, "Containerfile"))
	for _, want := range []string{"FROM scratch", "CGO_ENABLED=0", "USER 65532:65532"} {
		if !strings.Contains(text, want) {
			t.Errorf("no %q", want)
		}
	}
	for _, m := range regexp.MustCompile(`(?m)^COPY ([a-z]+) `).FindAllStringSubmatch(text, -1) {
		if info, err := os.Stat(filepath.Join("..", m[1])); err != nil || !info.IsDir() {
			t.Errorf("COPY %s: %v", m[1], err)
		}
	}
	out, err := exec.CommandContext(t.Context(), "go", "list", "-deps", "-f", "{{if .Module}}{{if .Module.Main}}{{.ImportPath}}{{end}}{{end}}", "../cmd/stsgate").Output()
	if err != nil {
		t.Fatalf("list what the program is made of: %v", err)
	}
	for pkg := range strings.FieldsSeq(string(out)) {
		top, _, _ := strings.Cut(strings.TrimPrefix(pkg, "stsgate/"), "/")
		if !strings.Contains(text, "\nCOPY "+top+" "+top+"\n") {
			t.Errorf("%s is not copied", pkg)
		}
	}
}

// HTTP-14: no older Go builds the program: before 1.26.6 it has holes that a
// client can use (CVE-2026-56853, -56859, -56860, -56862).
func TestGoFloor(t *testing.T) {
	m := regexp.MustCompile(`(?m)^go (\S+)$`).FindStringSubmatch(string(read(t, "../go.mod")))
	if m == nil || version.Compare("go"+m[1], "go1.26.6") < 0 {
		t.Errorf("go.mod has %q, want go 1.26.6 or later", m)
	}
}

func read(t *testing.T, name string) []byte {
	t.Helper()
	b, err := os.ReadFile(name)
	if err != nil {
		t.Fatal(err)
	}
	return b
}
