package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"os"
	"os/signal"
	"runtime"
	"runtime/debug"
	"syscall"
	"time"

	"stsgate/gateway/config"
	"stsgate/policy"
)

type runVerb struct {
	Config string `short:"c" required:"" placeholder:"FILE" help:"The configuration, stsgate.yaml."`
}

// Help shows examples.
func (runVerb) Help() string {
	return `SIGHUP reloads policy, certificates, users and places, and opens the audit log again; what is
wrong is logged and the old stays in force. SIGTERM stops taking connections, answers what was begun,
and exits. The exit code is 78 where configuration, policy or what they name keep it from starting:
another try would end the same way.

Examples:
  stsgate run -c /etc/stsgate/stsgate.yaml
  kill -HUP $(pidof stsgate)`
}

// Run runs the gateway until SIGTERM or SIGINT.
func (v *runVerb) Run(c *console) error {
	s := catchSignals()
	defer s.release()
	cfg, err := config.Load(v.Config)
	if err != nil {
		return unstartable{mistakes{err}}
	}
	d, err := newDaemon(cfg, newLog(c.err, cfg))
	if m, ok := errors.AsType[mistakes](err); ok {
		return unstartable{m}
	}
	if err != nil {
		return err
	}
	return s.serve(d)
}

func newLog(w io.Writer, cfg *config.Config) *slog.Logger {
	return slog.New(slog.NewJSONHandler(w, &slog.HandlerOptions{Level: cfg.Log.Level.Slog()}))
}

const (
	// reserve is about how much is allocated between two collections, in bytes,
	// while the heap is the few megabytes that it mostly is: collecting at its
	// double would take a third of the CPU of a forwarded request.
	reserve = 24 << 20
	// percent, Go's GOGC, is how much of a greater heap is allocated on top of
	// that: thousands of slow connections are to keep little garbage.
	percent = 25
)

// collectRarely sets how often garbage is collected. The block that it returns
// counts as heap in use while it is kept, and is never touched, so that it takes
// no memory.
func collectRarely() []byte {
	debug.SetGCPercent(percent)
	return make([]byte, reserve*100/percent)
}

// signals are those that a daemon answers to.
type signals struct {
	stop context.Context // done at SIGTERM and SIGINT
	hup  chan os.Signal
	end  context.CancelFunc
}

// catchSignals comes before anything is loaded, which may take its time: a
// SIGHUP that nobody waits for would end the program.
func catchSignals() *signals {
	s := &signals{hup: make(chan os.Signal, 1)}
	s.stop, s.end = signal.NotifyContext(context.Background(), syscall.SIGTERM, os.Interrupt)
	signal.Notify(s.hup, syscall.SIGHUP)
	return s
}

func (s *signals) release() {
	signal.Stop(s.hup)
	s.end()
}

// serve runs a daemon until a signal ends it, and reloads on SIGHUP.
func (s *signals) serve(d *daemon) error {
	block := collectRarely()
	defer runtime.KeepAlive(block)
	go tendMemory(s.stop)
	go func() {
		for {
			select {
			case <-s.hup:
				d.reload()
			case <-s.stop.Done():
				return
			}
		}
	}()
	return d.run(s.stop)
}

type check struct {
	Config  string `short:"c" required:"" placeholder:"FILE" help:"The configuration, stsgate.yaml."`
	Against string `placeholder:"DIR" help:"The policy directory in force: list the edits that let more pass than it does, or let it pass with less."`
	Farm    bool   `help:"Prove now that AD FS takes the gateway for outside and answers nobody else, and try its other doors."`
}

// Help shows examples.
func (check) Help() string {
	return `Every mistake in every file is printed as file:line:column: message. The exit code is 1 when there
is one, 0 otherwise; warnings, and what is weaker than before, do not change it. Nothing is listened on
and nothing is written; a domain controller is asked, and it is a warning when it does not answer.

With --against each edit of the policy that lets more pass than that directory does is a line that begins
with "weaker:"; a rule that is gone has its place there. Whether somebody has to agree is for a merge to
say: a reload asks nobody, and has the same list in the log, in the audit log and, counted, in a metric.

With --farm the proofs are made that a running gateway makes every day, from upstream.adfs.proof and .outside.
Lines begin with "ok:", with "red:" for what is not proven, which makes the exit code 1, or with "warning:" for
an address of the public name that answers /adfs/ls, the password grant or another way in than this gateway.
The password of upstream.adfs.proof is sent to the farm once; no other goes anywhere.

Examples:
  stsgate check -c /etc/stsgate/stsgate.yaml
  git worktree add /tmp/in-force origin/main
  stsgate check -c stsgate.yaml --against /tmp/in-force/policies | tee check.txt
  if grep -q ^weaker: check.txt; then echo needs a second approval; fi
  stsgate check -c /etc/stsgate/stsgate.yaml --farm`
}

// Run checks what run would load.
func (v *check) Run(c *console) error {
	cfg, err := config.Load(v.Config)
	if err != nil {
		return mistakes{err}
	}
	p, err := loadParts(cfg, newLog(c.err, cfg))
	if err != nil {
		return err
	}
	for _, w := range writableByOthers(cfg.Policy) {
		fmt.Fprintln(c.out, "warning:", w)
	}
	for _, w := range p.policy.Warnings(time.Now()) {
		fmt.Fprintln(c.out, "warning:", w)
	}
	for _, w := range unmet(p.policy, cfg) {
		fmt.Fprintln(c.out, "warning:", w)
	}
	if w := foreignPort(cfg); w != "" {
		fmt.Fprintln(c.out, "warning:", w)
	}
	if wrong, _ := p.askDirectory(context.Background()); wrong != "" {
		fmt.Fprintln(c.out, "warning:", wrong)
	}
	if v.Against != "" {
		if err := v.compare(c, cfg, p.policy); err != nil {
			return err
		}
	}
	_, err = fmt.Fprintf(c.out, "%s: ok, policy revision %s: %d rules, %d applications\n",
		v.Config, p.policy.Revision(), len(p.policy.Rules()), len(p.policy.Applications()))
	if err == nil && v.Farm {
		err = v.proveFarm(context.Background(), c, cfg, p)
	}
	return err
}

// compare prints what is weaker than in the policy in force.
func (v *check) compare(c *console, cfg *config.Config, next *policy.Set) error {
	old, _, err := loadDir(v.Against, vocabulary(cfg))
	if err != nil {
		return err
	}
	edits := weaker(old, next)
	for _, e := range edits {
		fmt.Fprintln(c.out, "weaker:", e)
	}
	_, err = fmt.Fprintf(c.out, "%s: policy revision %s: edits that let more pass, or let it pass with less: %d\n", v.Against, old.Revision(), len(edits))
	return err
}

// mistakes are what is wrong with files, one a line as editors read them.
type mistakes struct{ error }
