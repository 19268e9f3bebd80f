package main

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strconv"
	"strings"
	"syscall"
	"time"

	"github.com/rogpeppe/go-internal/testscript"
)

// A program runs beside the script. What it writes goes to NAME.out and
// NAME.log in the script's folder.
type program struct {
	name string
	cmd  *exec.Cmd
	log  string
	skip int64 // bytes of the log that an earlier program of the name wrote
	done chan struct{}
	err  error // of Wait, once done is closed
}

// start NAME PROGRAM ARG... starts a program that goes on to run, and sets $PID.
func (s *story) start(ts *testscript.TestScript, args []string) error {
	if len(args) < 2 {
		return misuse("usage: start NAME PROGRAM ARG...")
	}
	name := args[0]
	if p := s.programs[name]; p != nil && p.running() {
		return misuse(name + " runs already")
	}
	p := &program{name: name, cmd: exec.Command(args[1], args[2:]...), log: filepath.Join(s.dir, name+".log"), done: make(chan struct{})}
	out, err := os.OpenFile(filepath.Join(s.dir, name+".out"), os.O_CREATE|os.O_WRONLY|os.O_APPEND, 0o600)
	if err != nil {
		return err
	}
	defer out.Close()
	log, err := os.OpenFile(p.log, os.O_CREATE|os.O_WRONLY|os.O_APPEND, 0o600)
	if err != nil {
		return err
	}
	defer log.Close()
	fi, err := log.Stat()
	if err != nil {
		return err
	}
	p.skip = fi.Size()
	p.cmd.Dir, p.cmd.Env, p.cmd.Stdout, p.cmd.Stderr = ts.MkAbs("."), s.env, out, log
	if err := p.cmd.Start(); err != nil {
		return err
	}
	go func() {
		p.err = p.cmd.Wait()
		close(p.done)
	}()
	s.programs[name], s.last = p, p
	ts.Setenv("PID", strconv.Itoa(p.cmd.Process.Pid))
	return nil
}

func (p *program) running() bool {
	select {
	case <-p.done:
		return false
	default:
		return true
	}
}

// lines are what the program logged so far.
func (p *program) lines() ([]byte, error) {
	b, err := os.ReadFile(p.log)
	if err != nil {
		return nil, err
	}
	return b[p.skip:], nil
}

// stop ends the program if the script did not. A crash, and a race that its
// detector found, are in the exit code.
func (p *program) stop() error {
	_ = p.cmd.Process.Signal(syscall.SIGTERM)
	select {
	case <-p.done:
	case <-time.After(patience):
		_ = p.cmd.Process.Kill()
		<-p.done
	}
	if p.err != nil {
		b, _ := p.lines()
		return fmt.Errorf("%s ended with %w:\n%s", p.name, p.err, b)
	}
	return nil
}

// gateway FILE [up] starts stsgate run under the name gateway and waits until it
// is ready, or with up only until it answers the operator. Variables in the file are replaced, those with the nodes of a farm
// included.
func (s *story) gateway(ts *testscript.TestScript, args []string) error {
	wait := "ready"
	if len(args) == 2 && args[1] == "up" {
		wait = args[1]
	} else if len(args) != 1 {
		return misuse("usage: gateway FILE [up]")
	}
	if err := s.expand(ts, args[:1]); err != nil {
		return err
	}
	if err := s.start(ts, []string{"gateway", "stsgate", "run", "-c", args[0]}); err != nil {
		return err
	}
	return s.await(ts, []string{wait})
}

// expand FILE replaces variables in a file.
func (s *story) expand(ts *testscript.TestScript, args []string) error {
	if len(args) != 1 {
		return misuse("usage: expand FILE")
	}
	text := os.Expand(ts.ReadFile(args[0]), ts.Getenv)
	return os.WriteFile(ts.MkAbs(args[0]), []byte(text), 0o600)
}

// exits-with CODE PROGRAM ARG... runs a program to its end, which is no crash.
func (s *story) exitsWith(ts *testscript.TestScript, args []string) error {
	if len(args) < 2 {
		return misuse("usage: exits-with CODE PROGRAM ARG...")
	}
	got, err := 0, ts.Exec(args[1], args[2:]...)
	if exit, ok := errors.AsType[*exec.ExitError](err); ok {
		got = exit.ExitCode()
	} else if err != nil {
		return err
	}
	if strconv.Itoa(got) != args[0] {
		return fmt.Errorf("exit code %d, want %s", got, args[0])
	}
	if strings.Contains(ts.ReadFile("stdout")+ts.ReadFile("stderr"), "goroutine ") {
		return errors.New("printed a stack trace")
	}
	return nil
}

// signal SIGNAL NAME sends HUP or TERM to a program.
func (s *story) signal(_ *testscript.TestScript, args []string) error {
	signals := map[string]syscall.Signal{"HUP": syscall.SIGHUP, "TERM": syscall.SIGTERM}
	if len(args) != 2 || signals[args[0]] == 0 || s.programs[args[1]] == nil {
		return misuse("usage: signal HUP|TERM NAME")
	}
	return s.programs[args[1]].cmd.Process.Signal(signals[args[0]])
}

// exits CODE NAME waits until a program has ended with an exit code.
func (s *story) exits(_ *testscript.TestScript, args []string) error {
	if len(args) != 2 || s.programs[args[1]] == nil {
		return misuse("usage: exits CODE NAME")
	}
	p := s.programs[args[1]]
	select {
	case <-p.done:
	case <-time.After(patience):
		return fmt.Errorf("%s still runs after %v", p.name, patience)
	}
	if got := p.cmd.ProcessState.ExitCode(); strconv.Itoa(got) != args[0] {
		b, _ := p.lines()
		return fmt.Errorf("exit code %d, want %s:\n%s", got, args[0], b)
	}
	return nil
}

// log REGEXP [EVENT] looks for a line in the log of the program started last.
// With EVENT, the time of the first such line is kept under that name.
func (s *story) log(_ *testscript.TestScript, args []string) error {
	if len(args) < 1 || len(args) > 2 || s.last == nil {
		return misuse("usage: log REGEXP [EVENT]")
	}
	want, err := regexp.Compile(args[0])
	if err != nil {
		return misuse(err.Error())
	}
	b, err := s.last.lines()
	if err != nil {
		return err
	}
	for line := range bytes.Lines(b) {
		if !want.Match(line) {
			continue
		}
		if len(args) == 2 {
			var at struct{ Time time.Time }
			if err := json.Unmarshal(line, &at); err != nil || at.Time.IsZero() {
				return misuse(fmt.Sprintf("no time in the line %s", line))
			}
			s.events[args[1]] = at.Time
		}
		return nil
	}
	return fmt.Errorf("no line of the log matches %s:\n%s", want, b)
}

// prints REGEXP looks for a line in the output of the program started last.
func (s *story) prints(_ *testscript.TestScript, args []string) error {
	if len(args) != 1 || s.last == nil {
		return misuse("usage: prints REGEXP")
	}
	b, err := os.ReadFile(filepath.Join(s.dir, s.last.name+".out"))
	if err != nil {
		return err
	}
	if !regexp.MustCompile("(?m)" + args[0]).Match(b) {
		return fmt.Errorf("no line matches %s:\n%s", args[0], b)
	}
	return nil
}

// printed REGEXP runs a command that the program started last printed, word
// for word, in a shell. The expression matches one indented line, or has a
// group that matches the command within a line.
func (s *story) printed(ts *testscript.TestScript, args []string) error {
	if len(args) != 1 || s.last == nil {
		return misuse("usage: printed REGEXP")
	}
	b, err := os.ReadFile(filepath.Join(s.dir, s.last.name+".out"))
	if err != nil {
		return err
	}
	found := regexp.MustCompile("(?m)"+args[0]).FindAllStringSubmatch(string(b), -1)
	if len(found) != 1 {
		return misuse(fmt.Sprintf("%d commands match %s in\n%s", len(found), args[0], b))
	}
	return ts.Exec("sh", "-c", strings.TrimSpace(found[0][len(found[0])-1]))
}

// edit FILE OLD NEW replaces text that stands in a file exactly once.
func (s *story) edit(ts *testscript.TestScript, args []string) error {
	if len(args) != 3 {
		return misuse("usage: edit FILE OLD NEW")
	}
	path := ts.MkAbs(args[0])
	b, err := os.ReadFile(path)
	if err != nil {
		return misuse(err.Error())
	}
	if n := strings.Count(string(b), args[1]); n != 1 {
		return misuse(fmt.Sprintf("%q stands %d times in %s", args[1], n, args[0]))
	}
	return os.WriteFile(path, []byte(strings.Replace(string(b), args[1], args[2], 1)), 0o600)
}

// mode PERM FILE checks who may read a file.
func (s *story) mode(ts *testscript.TestScript, args []string) error {
	if len(args) != 2 {
		return misuse("usage: mode PERM FILE")
	}
	fi, err := os.Stat(ts.MkAbs(args[1]))
	if err != nil {
		return err
	}
	if got := fmt.Sprintf("%04o", fi.Mode().Perm()); got != args[0] {
		return fmt.Errorf("%s has mode %s", args[1], got)
	}
	return nil
}

// needs PROGRAM... skips the script where a Debian program is absent, and
// fails in CI, which installs it (make deps).
func (s *story) needs(_ *testscript.TestScript, args []string) error {
	for _, name := range args {
		switch _, err := exec.LookPath(name); {
		case err == nil:
		case os.Getenv("CI") == "true":
			return misuse(name + " is not installed: make deps")
		default:
			s.t.Skip("skipped: " + name + " is not installed: make deps")
		}
	}
	return nil
}

// signed FILE CERTIFICATE has xmlsec1 verify the signature of a token against
// a certificate, if it is installed.
func (s *story) signed(ts *testscript.TestScript, args []string) error {
	if len(args) != 2 {
		return misuse("usage: signed FILE CERTIFICATE")
	}
	if _, err := exec.LookPath("xmlsec1"); err != nil && os.Getenv("CI") != "true" {
		ts.Logf("not verified: xmlsec1 is not installed: make deps")
		return nil
	}
	out, err := exec.Command("xmlsec1", "--verify",
		"--id-attr:ID", "urn:oasis:names:tc:SAML:2.0:assertion:Assertion",
		"--id-attr:AssertionID", "urn:oasis:names:tc:SAML:1.0:assertion:Assertion",
		"--trusted-pem", ts.MkAbs(args[1]), ts.MkAbs(args[0])).CombinedOutput()
	if err != nil {
		return errors.Join(err, errors.New(string(out)))
	}
	return nil
}
