package main

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"os"
	"regexp"
	"strconv"
	"strings"
	"time"

	"github.com/rogpeppe/go-internal/testscript"
)

// operator asks the admin listener.
var operator = &http.Client{Timeout: 5 * time.Second, Transport: &http.Transport{DisableKeepAlives: true}}

// ready asks whether the gateway is ready.
func (s *story) ready(ts *testscript.TestScript, _ []string) error { return s.health(ts, "/readyz") }

// up asks whether the gateway runs, whatever it depends on.
func (s *story) up(ts *testscript.TestScript, _ []string) error { return s.health(ts, "/healthz") }

func (s *story) health(ts *testscript.TestScript, page string) error {
	if s.last != nil && !s.last.running() {
		b, _ := s.last.lines()
		return misuse(fmt.Sprintf("%s has ended:\n%s", s.last.name, b))
	}
	r, err := operator.Get(strings.TrimSuffix(ts.Getenv("METRICS"), "/metrics") + page)
	if err != nil {
		return err
	}
	defer r.Body.Close()
	if b, err := io.ReadAll(r.Body); err != nil || r.StatusCode != http.StatusOK {
		return errors.Join(err, fmt.Errorf("status %d: %s", r.StatusCode, b))
	}
	return nil
}

// metric NAME OP VALUE and metric NAME{LABEL="VALUE",...} OP VALUE compare the
// sum of the series that have these labels.
func (s *story) metric(ts *testscript.TestScript, args []string) error {
	if len(args) != 3 {
		return misuse(`usage: metric NAME{LABEL="VALUE",...} OP VALUE`)
	}
	name, labels, _ := strings.Cut(strings.TrimSuffix(args[0], "}"), "{")
	want := strings.FieldsFunc(labels, func(r rune) bool { return r == ',' })
	r, err := operator.Get(ts.Getenv("METRICS"))
	if err != nil {
		return err
	}
	defer r.Body.Close()
	b, err := io.ReadAll(r.Body)
	if err != nil {
		return err
	}
	sum, found := 0.0, []string{}
	series := regexp.MustCompile(`(?m)^` + name + `(?:\{(.*)\})? (\S+)$`)
	for _, m := range series.FindAllStringSubmatch(string(b), -1) {
		found = append(found, m[0])
		v, err := strconv.ParseFloat(m[2], 64)
		if err != nil {
			return misuse(err.Error())
		}
		if hasAll(","+m[1]+",", want) {
			sum += v
		}
	}
	if len(found) == 0 {
		return fmt.Errorf("no metric %s", name)
	}
	if err := compare(sum, args[1], args[2]); err != nil {
		return fmt.Errorf("%w among\n%s", err, strings.Join(found, "\n"))
	}
	return nil
}

// hasAll tells whether a list of labels, with commas around, has all of want.
func hasAll(labels string, want []string) bool {
	for _, w := range want {
		if !strings.Contains(labels, ","+w+",") {
			return false
		}
	}
	return true
}

// compare holds a number against OP VALUE.
func compare(got float64, op, value string) error {
	want, err := strconv.ParseFloat(value, 64)
	if err != nil {
		return misuse(err.Error())
	}
	holds, known := map[string]bool{
		"==": got == want, "!=": got != want, "<": got < want, "<=": got <= want, ">": got > want, ">=": got >= want,
	}[op]
	switch {
	case !known:
		return misuse("unknown operator " + op)
	case !holds:
		return fmt.Errorf("%v, want %s %s", got, op, value)
	}
	return nil
}

// records reads $AUDIT.
func records(ts *testscript.TestScript) ([]map[string]any, error) {
	b, err := os.ReadFile(ts.MkAbs(ts.Getenv("AUDIT")))
	if err != nil {
		return nil, err
	}
	var all []map[string]any
	for line := range bytes.Lines(b) {
		var r map[string]any
		if err := json.Unmarshal(line, &r); err != nil {
			return nil, misuse(fmt.Sprintf("the audit line %q: %v", line, err))
		}
		all = append(all, r)
	}
	return all, nil
}

// matches holds a record against KEY=VALUE, KEY~REGEXP and KEY= for a key that
// is not there.
func matches(record map[string]any, conditions []string) error {
	for _, c := range conditions {
		i := strings.IndexAny(c, "=~")
		if i < 0 {
			return misuse("not KEY=VALUE or KEY~REGEXP: " + c)
		}
		key, want := c[:i], c[i+1:]
		got := ""
		if v, ok := record[key]; ok {
			got = fmt.Sprint(v)
		}
		ok := got == want
		if c[i] == '~' {
			pattern, err := regexp.Compile(want)
			if err != nil {
				return misuse(err.Error())
			}
			ok = pattern.MatchString(got)
		}
		if !ok {
			return fmt.Errorf("%s is %q, want %s", key, got, c)
		}
	}
	return nil
}

// audit KEY=VALUE|KEY~REGEXP|ENV:=KEY... looks at the last record. With :=
// what it holds becomes a variable.
func (s *story) audit(ts *testscript.TestScript, args []string) error {
	all, err := records(ts)
	if err != nil {
		return err
	}
	if len(all) == 0 {
		return errors.New("no record")
	}
	return look(ts, all[len(all)-1], args)
}

// extract KEY FILE writes what a key of the last record holds, as JSON.
func (s *story) extract(ts *testscript.TestScript, args []string) error {
	if len(args) != 2 {
		return misuse("usage: extract KEY FILE")
	}
	all, err := records(ts)
	if err != nil {
		return err
	}
	if len(all) == 0 || all[len(all)-1][args[0]] == nil {
		return misuse("no record, or one without " + args[0])
	}
	b, err := json.Marshal(all[len(all)-1][args[0]])
	if err != nil {
		return err
	}
	return os.WriteFile(ts.MkAbs(args[1]), b, 0o600)
}

// look holds an object against conditions as matches does, and makes a
// variable of each ENV:=KEY.
func look(ts *testscript.TestScript, object map[string]any, conditions []string) error {
	for _, c := range conditions {
		if env, key, ok := strings.Cut(c, ":="); ok {
			ts.Setenv(env, fmt.Sprint(object[key]))
			continue
		}
		if err := matches(object, []string{c}); err != nil {
			return fmt.Errorf("%w in %v", err, object)
		}
	}
	return nil
}

// audits OP N KEY=VALUE... counts the records that match.
func (s *story) audits(ts *testscript.TestScript, args []string) error {
	if len(args) < 2 {
		return misuse("usage: audits OP N KEY=VALUE...")
	}
	all, err := records(ts)
	if err != nil {
		return err
	}
	n := 0
	for _, r := range all {
		err := matches(r, args[2:])
		if _, misused := errors.AsType[misuse](err); misused {
			return err
		}
		if err == nil {
			n++
		}
	}
	return compare(float64(n), args[0], args[1])
}

// json FILE KEY=VALUE|KEY~REGEXP|ENV:=KEY... looks at an object; FILE may be
// stdout, keys go into depth by dots.
func (s *story) json(ts *testscript.TestScript, args []string) error {
	if len(args) < 2 {
		return misuse("usage: json FILE KEY=VALUE|KEY~REGEXP|ENV:=KEY...")
	}
	var document any
	if err := json.Unmarshal([]byte(ts.ReadFile(args[0])), &document); err != nil {
		return err
	}
	flat := map[string]any{}
	flatten(flat, "", document)
	return look(ts, flat, args[1:])
}

// flatten writes the leaves of a JSON document under dotted keys, and the
// number of what an array or object holds under length.
func flatten(to map[string]any, key string, v any) {
	under := func(name string) string { return strings.TrimPrefix(key+"."+name, ".") }
	switch v := v.(type) {
	case map[string]any:
		to[under("length")] = len(v)
		for name, member := range v {
			flatten(to, under(name), member)
		}
	case []any:
		to[under("length")] = len(v)
		for i, element := range v {
			flatten(to, under(strconv.Itoa(i)), element)
		}
	default:
		to[key] = v
	}
}
