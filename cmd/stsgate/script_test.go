package main

import (
	"bytes"
	"cmp"
	"errors"
	"fmt"
	"io/fs"
	"net"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/rogpeppe/go-internal/testscript"

	"stsgate/gateway/audit/audittest"
	"stsgate/testdata"
	"stsgate/upstream/adfs/adfstest"
	"stsgate/upstream/directory/directorytest"
)

// TestMain lets tests run this binary as stsgate, and as a NATS server.
func TestMain(m *testing.M) {
	testscript.Main(here{m}, map[string]func(){"stsgate": main, "nats-server": natsServer})
}

// Tests that run here have every name be this machine.
type here struct{ *testing.M }

// Run implements testscript.TestingM.
func (h here) Run() int {
	net.DefaultResolver = adfstest.Resolver()
	return h.M.Run()
}

// TestScripts runs the stories in testdata/scripts against the real program.
//
// Each has the same cast in its folder: ca.pem, tls.crt and tls.key for
// sts.contoso.example and localhost, sign.crt and sign.key for tokens,
// users.yaml with alice (staff) and bob (staff, contractors), the files
// alice.password and bob.password, and wrong.password with one that is
// nobody's. A file of that name in the script stands instead. The variables
// $LISTEN and $ADMIN are addresses that are free, $BASE is https://localhost
// with the port of $LISTEN, $METRICS and $AUDIT are where metric and audit
// look, $MACHINE is the name of this machine.
//
// Beside the commands of testscript there are those of [scriptSteps]. Whatever a
// program of a story wrote is searched at its end for stack traces, passwords
// and tokens.
func TestScripts(t *testing.T) {
	testscript.Run(t, testscript.Params{
		Dir:                filepath.Join(testdata.Root(t), "testdata", "scripts"),
		Setup:              newStory,
		Cmds:               commands(),
		RequireUniqueNames: true,
	})
}

// A story is what a running script has beside its files.
type story struct {
	t          testscript.T
	env        []string
	dir        string
	programs   map[string]*program
	last       *program // the one started last
	farm       *adfstest.Farm
	controller *directorytest.Controller
	next       *adfstest.Key // of the farm, which may not use it yet
	load       *load
	posted     []byte       // the message
	exchange   wireExchange // what came back
	half       *halfRequest
	events     map[string]time.Time
}

type storyKey struct{}

// newStory prepares a script's folder and variables.
func newStory(env *testscript.Env) error {
	s := &story{t: env.T(), dir: env.WorkDir, programs: map[string]*program{}, events: map[string]time.Time{}}
	env.Values[storyKey{}] = s
	if err := writeCast(env.WorkDir); err != nil {
		return err
	}
	listen, admin := freeAddress(), freeAddress()
	_, port, _ := strings.Cut(listen, ":")
	env.Setenv("LISTEN", listen)
	env.Setenv("ADMIN", admin)
	env.Setenv("BASE", "https://localhost:"+port)
	env.Setenv("METRICS", "http://"+admin+"/metrics")
	env.Setenv("AUDIT", "audit.jsonl")
	env.Setenv("MACHINE", hostname())
	s.env = env.Vars
	env.Defer(s.end)
	return nil
}

// end stops what runs, and searches what the programs wrote for what must
// never be there (security.md, AUD-05, FAIL-05).
func (s *story) end() {
	var wrong []error
	for _, p := range s.programs {
		wrong = append(wrong, p.stop())
	}
	if s.load != nil {
		s.load.halt()
	}
	if s.half != nil {
		s.half.conn.Close()
	}
	if s.farm != nil {
		s.farm.Close()
	}
	if s.controller != nil {
		wrong = append(wrong, s.controller.Kill())
	}
	wrong = append(wrong, s.leaks())
	if err := errors.Join(wrong...); err != nil {
		s.t.Fatal(err)
	}
}

func (s *story) leaks() error {
	banned := []string{"goroutine ", "runtime error", "DATA RACE", "SignatureValue"}
	var written []string
	err := filepath.WalkDir(s.dir, func(path string, d fs.DirEntry, err error) error {
		switch {
		case err != nil || d.IsDir():
			return err
		case strings.HasSuffix(path, ".password"):
			b, err := os.ReadFile(path)
			banned = append(banned, plainest(string(b)))
			return err
		case slices.Contains([]string{".log", ".out", ".jsonl"}, filepath.Ext(path)):
			written = append(written, path)
		}
		return nil
	})
	if err != nil {
		return err
	}
	for _, path := range written {
		b, err := os.ReadFile(path)
		if err != nil {
			return err
		}
		if filepath.Ext(path) == ".jsonl" && filepath.Base(path) == "audit.jsonl" {
			var wrong error
			audittest.CheckLines(b, func(line []byte, err error) { wrong = fmt.Errorf("the audit line %s: %w", line, err) })
			if wrong != nil {
				return wrong
			}
		}
		for _, what := range banned {
			if what != "" && bytes.Contains(b, []byte(what)) {
				return fmt.Errorf("%s holds %q:\n%s", filepath.Base(path), what, b)
			}
		}
	}
	return nil
}

// plainest returns the longest part of a password that reads the same however
// it is escaped.
func plainest(password string) string {
	parts := strings.FieldsFunc(password, func(r rune) bool { return strings.ContainsRune("&<>\"\n", r) })
	longest := ""
	for _, p := range parts {
		if p = strings.TrimSpace(p); len(p) > len(longest) {
			longest = p
		}
	}
	return longest
}

// A step is one command of the scripts. With ! in front it must fail, but not
// with misuse.
type step func(s *story, ts *testscript.TestScript, args []string) error

// scriptSteps are the commands beside those of testscript. Each says of itself what
// it does.
func scriptSteps() map[string]step {
	return map[string]step{
		"start": (*story).start, "gateway": (*story).gateway, "signal": (*story).signal, "exits": (*story).exits, "exits-with": (*story).exitsWith, "expand": (*story).expand, "log": (*story).log,
		"ready": (*story).ready, "up": (*story).up, "metric": (*story).metric, "audit": (*story).audit, "extract": (*story).extract, "audits": (*story).audits, "json": (*story).json,
		"farm": (*story).farmStep, "controller": (*story).controllerStep, "load": (*story).loadStep,
		"message": (*story).message, "post": (*story).post, "gets": (*story).gets, "answers": (*story).answers, "fault": (*story).fault, "header": (*story).header, "alike": (*story).alike,
		"begin": (*story).begin, "finish": (*story).finish, "serves": (*story).serves, "renew": (*story).renew, "places": (*story).places,
		"signed": (*story).signed, "needs": (*story).needs, "prints": (*story).prints, "printed": (*story).printed, "edit": (*story).edit, "mode": (*story).mode,
		"await": (*story).await,
	}
}

func commands() map[string]func(*testscript.TestScript, bool, []string) {
	all := map[string]func(*testscript.TestScript, bool, []string){}
	for name, f := range scriptSteps() {
		all[name] = func(ts *testscript.TestScript, neg bool, args []string) {
			err := f(ts.Value(storyKey{}).(*story), ts, args)
			_, misused := errors.AsType[misuse](err)
			switch {
			case misused || err != nil && !neg:
				ts.Fatalf("%s: %v", name, err)
			case err != nil:
				ts.Logf("%v", err)
			case neg:
				ts.Fatalf("%s: unexpected success", name)
			}
		}
	}
	return all
}

// A misuse is an error that neither waiting nor negation can turn into what
// was meant.
type misuse string

// Error implements error.
func (m misuse) Error() string { return string(m) }

// patience is how long a condition may take to come true on a busy machine.
const patience = 20 * time.Second

// await [!] STEP ARG... repeats a step until it succeeds (with !, fails).
func (s *story) await(ts *testscript.TestScript, args []string) error {
	neg := len(args) > 0 && args[0] == "!"
	if neg {
		args = args[1:]
	}
	if len(args) == 0 || scriptSteps()[args[0]] == nil {
		return misuse("usage: await [!] STEP ARG...")
	}
	tick := time.NewTicker(10 * time.Millisecond)
	defer tick.Stop()
	for deadline := time.Now().Add(patience); ; <-tick.C {
		err := scriptSteps()[args[0]](s, ts, args[1:])
		_, misused := errors.AsType[misuse](err)
		switch {
		case misused:
			return err
		case (err == nil) != neg:
			return nil
		case time.Now().After(deadline):
			return fmt.Errorf("for %v %v: %w", patience, args, cmp.Or(err, errSuccess))
		}
	}
}

// errSuccess is what await ! says of a step that went on to succeed.
var errSuccess = errors.New("succeeds")
