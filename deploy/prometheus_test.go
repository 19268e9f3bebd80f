package deploy_test

import (
	"encoding/json"
	"os/exec"
	"regexp"
	"slices"
	"strings"
	"testing"

	"go.yaml.in/yaml/v4"

	"stsgate/testdata"
)

// unknown returns the metrics that an expression names and nobody exports.
func unknown(t *testing.T, expr string) []string {
	t.Helper()
	known := metrics(t)
	var all []string
	for _, name := range regexp.MustCompile(`\bstsgate_\w+`).FindAllString(expr, -1) {
		base := name
		for _, suffix := range []string{"_bucket", "_sum", "_count"} {
			base = strings.TrimSuffix(base, suffix)
		}
		if !slices.Contains(known, base) {
			all = append(all, name)
		}
	}
	return all
}

func TestPromtool(t *testing.T) {
	testdata.Program(t, "promtool")
	for _, args := range [][]string{{"check", "rules", "alerts.yaml"}, {"test", "rules", "alerts_test.yaml"}} {
		cmd := exec.CommandContext(t.Context(), "promtool", args...)
		cmd.Dir = "prometheus"
		if out, err := cmd.CombinedOutput(); err != nil {
			t.Errorf("promtool %s: %v\n%s", strings.Join(args, " "), err, out)
		}
	}
}

func TestAlerts(t *testing.T) {
	var rules struct {
		Groups []struct {
			Rules []struct {
				Alert, Expr         string
				Labels, Annotations map[string]string
			}
		}
	}
	if err := yaml.Unmarshal(read(t, "prometheus/alerts.yaml"), &rules); err != nil {
		t.Fatal(err)
	}
	tested, runbook := string(read(t, "prometheus/alerts_test.yaml")), strings.ToLower(string(read(t, "README.md")))
	n := 0
	for _, g := range rules.Groups {
		for _, r := range g.Rules {
			n++
			if names := unknown(t, r.Expr); len(names) > 0 {
				t.Errorf("%s: nobody exports %v", r.Alert, names)
			}
			if s := r.Labels["severity"]; s != "critical" && s != "warning" && s != "info" {
				t.Errorf("%s: got severity %q", r.Alert, s)
			}
			if r.Annotations["summary"] == "" || r.Annotations["description"] == "" {
				t.Errorf("%s: no summary or no description", r.Alert)
			}
			anchor, ok := strings.CutPrefix(r.Annotations["runbook"], "deploy/README.md#")
			if !ok || !strings.Contains(runbook, "\n### "+anchor+"\n\n1. ") {
				t.Errorf("%s: the runbook has no steps under %q", r.Alert, r.Annotations["runbook"])
			}
			if !regexp.MustCompile(`alertname: ` + r.Alert + `\n +exp_alerts:`).MatchString(tested) {
				t.Errorf("%s: no test has it fire", r.Alert)
			}
		}
	}
	if n == 0 {
		t.Error("got no alerts")
	}
}

// A panel of a dashboard, as far as it can be wrong.
type panel struct {
	ID         int
	Type       string
	Title      string
	Datasource *source
	GridPos    struct{ X, Y, W, H int }
	Targets    []struct {
		Datasource *source
		Expr       string
	}
}

type source struct{ Type, UID string }

func TestDashboard(t *testing.T) {
	var d struct {
		Templating struct {
			List []struct {
				Name, Type, Definition string
				Datasource             *source
			}
		}
		Panels []panel
	}
	if err := json.Unmarshal(read(t, "grafana/stsgate.json"), &d); err != nil {
		t.Fatal(err)
	}
	if len(d.Templating.List) == 0 || d.Templating.List[0].Type != "datasource" || d.Templating.List[0].Name != "datasource" {
		t.Error("the first variable is not the data source")
	}
	for _, v := range d.Templating.List[1:] {
		if names := unknown(t, v.Definition); len(names) > 0 {
			t.Errorf("variable %s: nobody exports %v", v.Name, names)
		}
	}
	ids := map[int]bool{}
	var shown strings.Builder
	for _, p := range d.Panels {
		if ids[p.ID] {
			t.Errorf("%s: the id %d is there twice", p.Title, p.ID)
		}
		ids[p.ID] = true
		if p.GridPos.X+p.GridPos.W > 24 {
			t.Errorf("%s: wider than the dashboard", p.Title)
		}
		if p.Type == "row" {
			continue
		}
		for _, target := range p.Targets {
			shown.WriteString(target.Expr)
			if names := unknown(t, target.Expr); len(names) > 0 {
				t.Errorf("%s: nobody exports %v", p.Title, names)
			}
			if target.Datasource == nil || target.Datasource.UID != "${datasource}" {
				t.Errorf("%s: the data source of a query is not the variable", p.Title)
			}
		}
		if len(p.Targets) == 0 || p.Datasource == nil || p.Datasource.UID != "${datasource}" {
			t.Errorf("%s: no queries, or the data source is not the variable", p.Title)
		}
	}
	for _, name := range metrics(t) {
		if !strings.Contains(shown.String(), name) {
			t.Errorf("%s is on no panel", name)
		}
	}
}

// TestDashboardQueries has promtool parse what Grafana would send.
func TestDashboardQueries(t *testing.T) {
	testdata.Program(t, "promtool")
	var d struct{ Panels []panel }
	if err := json.Unmarshal(read(t, "grafana/stsgate.json"), &d); err != nil {
		t.Fatal(err)
	}
	fill := strings.NewReplacer("$__rate_interval", "5m", "$job", "stsgate", "$instance", ".*")
	type rule struct {
		Record string `yaml:"record"`
		Expr   string `yaml:"expr"`
	}
	var all []rule
	for _, p := range d.Panels {
		for _, target := range p.Targets {
			all = append(all, rule{Record: "panel", Expr: fill.Replace(target.Expr)})
		}
	}
	rules, err := yaml.Dump(map[string]any{"groups": []map[string]any{{"name": "dashboard", "rules": all}}})
	if err != nil {
		t.Fatal(err)
	}
	dir := lay(t, map[string][]byte{"rules.yaml": rules})
	cmd := exec.CommandContext(t.Context(), "promtool", "check", "rules", "--lint=none", "rules.yaml")
	cmd.Dir = dir
	if out, err := cmd.CombinedOutput(); err != nil {
		t.Errorf("promtool: %v\n%s", err, out)
	}
}
