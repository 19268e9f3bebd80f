package main

import (
	"context"
	"crypto/rand"
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"net"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"time"

	"github.com/pquerna/otp/totp"

	"stsgate/deploy"
	"stsgate/gateway/account"
	"stsgate/gateway/config"
	"stsgate/gateway/mfa/factor"
	"stsgate/gateway/soap"
	"stsgate/gateway/wstrust"
	"stsgate/upstream/directory"
)

type demo struct {
	Listen string `default:"127.0.0.1:8443" placeholder:"ADDRESS" help:"Where the gateway listens; port 0 takes a free one."`
	Dir    string `placeholder:"DIR" help:"Where keys, users, policies and logs are kept; a temporary folder if not given."`
}

// Help shows examples.
func (demo) Help() string {
	return `Everything runs in this program, on loopback: the gateway with its built-in issuer, and a second
issuer on another port that stands in for AD FS. What is in DIR already is kept, so that policies
can be changed and tried again; demo.json there says what listens where.

Examples:
  stsgate demo
  stsgate demo --dir demo --listen 127.0.0.1:9443`
}

// Realms of the demo's policy that demo.json names.
const (
	demoApplication = "urn:stsgate:demo:payroll"
	demoForwarded   = "urn:stsgate:demo:forwarded"
	demoExpenses    = "urn:stsgate:demo:expenses"
	demoVault       = "urn:stsgate:demo:vault"
)

// demoPortal is the host of the demo's portal.
const demoPortal = "approve.localhost"

// A demoIndex is demo.json: where everything is.
type demoIndex struct {
	URL         string     `json:"url"`
	URL2005     string     `json:"url2005"`
	CA          string     `json:"ca"`
	Metrics     string     `json:"metrics"`
	Audit       string     `json:"audit"`
	Users       []demoUser `json:"users"`
	Application string     `json:"application"`
	Forwarded   string     `json:"forwarded"`
	Portal      string     `json:"portal"`
	TOTP        *demoTOTP  `json:"totp,omitempty"`
}

// A demoTOTP is a user with an authenticator app, and an application that asks
// for a code of it.
type demoTOTP struct {
	demoUser
	Secret      string `json:"secret"` // in base32
	Application string `json:"application"`
}

type demoUser struct {
	Name     string `json:"name"`
	Password string `json:"password"`
}

// Run writes what the demo needs, starts it, and serves until interrupted.
func (v *demo) Run(c *console) error {
	s := catchSignals()
	defer s.release()
	dir, err := v.folder()
	if err != nil {
		return err
	}
	index, err := v.prepare(dir)
	if err != nil {
		return fmt.Errorf("prepare demo in %s: %w", dir, err)
	}
	// The stand-in for AD FS comes first: the gateway looks for it at once.
	daemons := make([]*daemon, 0, 2)
	for _, file := range []string{"farm/stsgate.yaml", "stsgate.yaml"} {
		cfg, err := config.Load(filepath.Join(dir, file))
		if err != nil {
			return err
		}
		d, err := newDaemon(cfg, newLog(c.err, cfg).With("config", file))
		if err != nil {
			return err
		}
		daemons = append(daemons, d)
	}
	if err := index.finish(dir, daemons[1]); err != nil {
		return errors.Join(err, daemons[0].close(), daemons[1].close())
	}
	fmt.Fprint(c.out, index.introduction(c.program, dir))
	return serveDemo(s, daemons[0], daemons[1])
}

func (v *demo) folder() (string, error) {
	if v.Dir == "" {
		return os.MkdirTemp("", "stsgate-demo-")
	}
	dir, err := filepath.Abs(v.Dir)
	if err != nil {
		return "", err
	}
	return dir, os.MkdirAll(dir, 0o700)
}

// serveDemo runs the gateway, and the farm for as long as the gateway runs.
func serveDemo(s *signals, farm, gateway *daemon) error {
	ctx, stop := context.WithCancel(context.Background())
	stopped := make(chan error, 1)
	go func() { stopped <- farm.run(ctx) }()
	err := s.serve(gateway)
	stop()
	return errors.Join(err, <-stopped)
}

// prepare writes into dir what is not there yet. Only configuration and
// demo.json are written anew, since ports change.
func (v *demo) prepare(dir string) (*demoIndex, error) {
	for _, sub := range []string{"policies", "farm/policies", demoRun} {
		if err := os.MkdirAll(filepath.Join(dir, sub), 0o700); err != nil {
			return nil, err
		}
	}
	if err := errors.Join(writeDemoKeys(dir), writeStateKey(dir)); err != nil {
		return nil, err
	}
	earlier := earlierDemo(dir)
	users, err := writeDemoUsers(dir, earlier.Users)
	if err != nil {
		return nil, err
	}
	ports, err := freePorts(v.Listen, "127.0.0.1:0", "127.0.0.1:0")
	if err != nil {
		return nil, err
	}
	_, port, err := net.SplitHostPort(ports[0])
	if err != nil {
		return nil, err
	}
	base := "https://localhost:" + port
	err = writeDemoFiles(dir, deploy.Demo{
		Listen: ports[0], Admin: ports[1], Farm: ports[2], Socket: demoSocket(dir), URL: base, Portal: "https://" + net.JoinHostPort(demoPortal, port),
	})
	if err != nil {
		return nil, err
	}
	index := &demoIndex{
		URL:         base + "/adfs/services/trust/13/usernamemixed",
		URL2005:     base + "/adfs/services/trust/2005/usernamemixed",
		CA:          filepath.Join(dir, "ca.pem"),
		Metrics:     "http://" + ports[1] + "/metrics",
		Audit:       filepath.Join(dir, "audit.jsonl"),
		Users:       users,
		Application: demoApplication,
		Forwarded:   demoForwarded,
		Portal:      "https://" + net.JoinHostPort(demoPortal, port),
		TOTP:        earlier.TOTP,
	}
	return index, index.writeMessage(dir)
}

// demoRun is the folder of the operators' socket, which nobody else may write to.
const demoRun = "run"

// demoSocket is where the gateway's operators ask it: nowhere when the path is
// longer than Unix takes for a socket.
func demoSocket(dir string) string {
	const longest = 100
	if path := filepath.Join(dir, demoRun, "admin.sock"); len(path) <= longest {
		return path
	}
	return ""
}

// earlierDemo reads the demo.json of an earlier run.
func earlierDemo(dir string) (old demoIndex) {
	b, err := os.ReadFile(filepath.Join(dir, "demo.json"))
	if err != nil || json.Unmarshal(b, &old) != nil {
		return demoIndex{}
	}
	return old
}

// finish enrols the first user's app, unless an earlier run has, and writes
// demo.json.
func (x *demoIndex) finish(dir string, d *daemon) error {
	if err := x.enrol(context.Background(), d); err != nil {
		return fmt.Errorf("enrol an app: %w", err)
	}
	b, err := json.MarshalIndent(x, "", "  ")
	if err != nil {
		return err
	}
	return os.WriteFile(filepath.Join(dir, "demo.json"), append(b, '\n'), 0o600)
}

// enrol gives the first user an app whose secret demo.json tells.
func (x *demoIndex) enrol(ctx context.Context, d *daemon) error {
	a, err := d.account(ctx, x.Users[0].Name)
	if err != nil {
		return err
	}
	factors := d.keeper.factors
	has, err := factors.List(ctx, a.ID)
	if err != nil {
		return err
	}
	app := slices.ContainsFunc(has, func(o factor.Authenticator) bool { return o.Kind == factor.TOTP })
	if app && x.TOTP != nil && x.TOTP.demoUser == x.Users[0] {
		return nil
	}
	proof := factor.Proof{User: a.ID, Kind: factor.Binding, At: time.Now()}
	half, err := factors.BeginTOTP(ctx, factor.User{ID: a.ID, UPN: a.UPN, SAM: a.SAM}, proof)
	if err != nil {
		return err
	}
	x.TOTP = &demoTOTP{x.Users[0], strings.ReplaceAll(half.Secret(), " ", ""), demoExpenses}
	// The code of the step before, so that the present one can be used.
	code, err := totp.GenerateCode(x.TOTP.Secret, time.Now().Add(-30*time.Second))
	if err != nil {
		return err
	}
	_, err = factors.ConfirmTOTP(ctx, a.ID, half.ID, account.NewPassword([]byte(code)), "Demo", factor.Source{By: "demo"})
	return err
}

// writeDemoFiles writes configuration, which follows the ports, and those
// policies that are not there yet.
func writeDemoFiles(dir string, d deploy.Demo) error {
	files, err := d.Files()
	if err != nil {
		return err
	}
	for name, text := range files {
		path := filepath.Join(dir, name)
		if _, err := os.Stat(path); err == nil && filepath.Base(name) != "stsgate.yaml" {
			continue
		} else if err != nil && !errors.Is(err, fs.ErrNotExist) {
			return err
		}
		if err := os.WriteFile(path, text, 0o600); err != nil {
			return err
		}
	}
	return nil
}

// writeDemoUsers makes the demo's users, or returns those of an earlier run.
func writeDemoUsers(dir string, old []demoUser) ([]demoUser, error) {
	if _, err := os.Stat(filepath.Join(dir, "users.yaml")); err == nil && len(old) > 0 {
		return old, nil
	}
	users := []demoUser{{Name: "alice@contoso.example"}, {Name: "bob@contoso.example"}}
	groups := [][]string{{"staff"}, {"staff", "contractors"}}
	for i := range users {
		users[i].Password = rand.Text()
		added := directory.User{Name: users[i].Name, Domain: "CONTOSO", Groups: groups[i]}
		if err := directory.AddUser(filepath.Join(dir, "users.yaml"), added, account.NewPassword([]byte(users[i].Password))); err != nil {
			return nil, err
		}
		short, _, _ := strings.Cut(users[i].Name, "@")
		if err := os.WriteFile(filepath.Join(dir, short+".password"), []byte(users[i].Password+"\n"), 0o600); err != nil {
			return nil, err
		}
	}
	return users, nil
}

// freePorts replaces port 0 by one that is free now.
func freePorts(addresses ...string) ([]string, error) {
	var found []string
	for _, a := range addresses {
		l, err := net.Listen("tcp", a)
		if err != nil {
			return nil, err
		}
		defer l.Close() // not before all are found, so that they differ
		found = append(found, l.Addr().String())
	}
	return found, nil
}

// writeMessage writes a request for curl. It has no Timestamp, so that it does
// not age.
func (x *demoIndex) writeMessage(dir string) error {
	return os.WriteFile(filepath.Join(dir, "request.xml"), wstrust.AppendRequest(nil, wstrust.Query{
		SOAP:      soap.V12,
		Version:   wstrust.V13,
		To:        x.URL,
		Username:  x.Users[0].Name,
		Password:  account.NewPassword([]byte(x.Users[0].Password)),
		AppliesTo: x.Application,
	}), 0o600)
}

// introduction says what runs and what to try.
func (x *demoIndex) introduction(program, dir string) string {
	var b strings.Builder
	short, _, _ := strings.Cut(x.Users[0].Name, "@")
	fmt.Fprintf(&b, "The gateway listens on %s; what it uses and writes is in %s\n\n", strings.TrimSuffix(x.URL, "/adfs/services/trust/13/usernamemixed"), dir)
	fmt.Fprintf(&b, "Ask for a token:\n  %s request --url %s --ca %s --user %s --password-file %s --applies-to %s\n\n",
		quote(program), x.URL, quote(x.CA), x.Users[0].Name, quote(filepath.Join(dir, short+".password")), x.Application)
	fmt.Fprintf(&b, "The same with curl:\n  curl -sS --cacert %s -H 'Content-Type: application/soap+xml; charset=utf-8' --data-binary @%s %s\n\n",
		quote(x.CA), quote(filepath.Join(dir, "request.xml")), x.URL)
	if x.TOTP != nil {
		fmt.Fprint(&b, x.secondFactors(program, dir, short))
	}
	fmt.Fprintf(&b, "What was counted:\n  curl -sS %s | grep ^stsgate_exchanges_total\n\n", x.Metrics)
	fmt.Fprintf(&b, "For an answer from the farm ask for %s. Change %s, then: kill -HUP %d\nCtrl-C ends it.\n",
		x.Forwarded, filepath.Join(dir, "policies"), os.Getpid())
	return b.String()
}

// secondFactors says how to try each shape of a second factor.
func (x *demoIndex) secondFactors(program, dir, short string) string {
	var b strings.Builder
	ask := func(password, realm string) {
		fmt.Fprintf(&b, "  %s request --url %s --ca %s --user %s --password-file %s --applies-to %s\n",
			quote(program), x.URL, quote(x.CA), x.TOTP.Name, password, realm)
	}
	file := quote(filepath.Join(dir, short+".password"))
	fmt.Fprintf(&b, "A second factor: put the secret %s into an app; %s is the user.\n", x.TOTP.Secret, x.TOTP.Name)
	fmt.Fprintf(&b, "Behind the password, with the app's code for 123456:\n  printf '%%s,123456' \"$(cat %s)\" |\n", file)
	ask("-", x.TOTP.Application)
	fmt.Fprintf(&b, "Approved while the program waits: ask without a code, sign in at %s and approve.\n", x.Portal)
	ask(file, x.TOTP.Application)
	fmt.Fprintf(&b, "Approved before: under Allowed there, then ask the same. By a number that the program shows, typed there; then ask again:\n")
	ask(file, demoVault)
	if socket := demoSocket(dir); socket != "" {
		fmt.Fprintf(&b, "A user who has none yet: a code with which %s sets one up in the portal:\n  %s mfa binding-code %s --reason demo --socket %s\n",
			x.Users[1].Name, quote(program), x.Users[1].Name, quote(socket))
	}
	b.WriteString("\n")
	return b.String()
}

// quote quotes a word for a POSIX shell where it needs it.
func quote(s string) string {
	plain := func(r rune) bool {
		return r >= 'a' && r <= 'z' || r >= 'A' && r <= 'Z' || r >= '0' && r <= '9' || strings.ContainsRune("_-./:@%+=,", r)
	}
	if s != "" && strings.IndexFunc(s, func(r rune) bool { return !plain(r) }) < 0 {
		return s
	}
	return "'" + strings.ReplaceAll(s, "'", `'\''`) + "'"
}
