// Package directorytest runs a domain controller on loopback: Samba as an
// Active Directory with a few users, which can be stalled, killed and started
// again.
//
// It is for tests. It needs Debian's samba-ad-dc and samba-ad-provision, and a
// user who may listen on port 636; it must never be part of what ships.
package directorytest

import (
	"bytes"
	"errors"
	"fmt"
	"io/fs"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"syscall"
	"time"
)

// The domain.
const (
	Domain  = "contoso.example"
	NetBIOS = "CONTOSO"
	Base    = "DC=contoso,DC=example"
	// Host is the name in the controller's certificate, beside its address.
	Host = "dc1.contoso.example"
)

// patience is how long the controller may take to start on a busy machine.
const patience = 30 * time.Second

// A Controller is a domain controller of its own domain.
type Controller struct {
	// URL is ldaps:// with the controller's own loopback address.
	URL string
	// CA is a PEM file of who signed its certificate.
	CA string

	dir     string
	address string
	program *exec.Cmd
	leash   *os.File // samba ends when this is closed, as it is when the test dies
}

// New makes a domain with a controller in an empty folder, which takes some
// seconds, and starts it. The error is fs.ErrPermission for a user who may not
// listen on port 636.
func New(dir string) (*Controller, error) {
	address, err := freeAddress()
	if err != nil {
		return nil, err
	}
	c := &Controller{URL: "ldaps://" + address, CA: filepath.Join(dir, "ca.pem"), dir: dir, address: address}
	if err := c.provision(); err != nil {
		return nil, err
	}
	if err := writeCertificates(dir, Host, net.ParseIP(address)); err != nil {
		return nil, err
	}
	return c, c.Start()
}

// freeAddress returns an address of loopback on whose LDAPS port nobody
// listens: Samba's ports cannot be chosen.
func freeAddress() (string, error) {
	for i := range 100 {
		n := os.Getpid()*7 + i
		address := fmt.Sprintf("127.%d.%d.%d", 64+n>>14&63, n>>7&127+1, n&127+1)
		l, err := net.Listen("tcp", address+":636")
		if errors.Is(err, fs.ErrPermission) {
			return "", err
		}
		if err == nil {
			return address, l.Close()
		}
	}
	return "", errors.New("no loopback address has its port 636 free")
}

// provision makes the domain's databases and the configuration that serves
// them, with every path inside the folder.
func (c *Controller) provision() error {
	out, err := exec.Command("samba-tool", "domain", "provision", "--realm="+strings.ToUpper(Domain), "--domain="+NetBIOS,
		"--server-role=dc", "--dns-backend=NONE", "--adminpass="+AdministratorPassword, "--host-name=dc1", "--host-ip="+c.address,
		"--targetdir="+c.dir, "--option=interfaces="+c.address, "--option=bind interfaces only=yes", "--option=ldb:nosync=true").CombinedOutput()
	if err != nil {
		return fmt.Errorf("samba-tool domain provision: %w\n%s", err, out)
	}
	for _, folder := range []string{"run", "ncalrpc", "winbindd", "ntp"} {
		if err := os.MkdirAll(filepath.Join(c.dir, folder), 0o755); err != nil {
			return err
		}
	}
	// With its mask, or Samba finds no interface and listens nowhere.
	conf := `[global]
netbios name = DC1
realm = ` + strings.ToUpper(Domain) + `
workgroup = ` + NetBIOS + `
server role = active directory domain controller
server services = ldap
interfaces = ` + c.address + `/8
bind interfaces only = yes
private dir = DIR/private
state directory = DIR/state
cache directory = DIR/cache
lock directory = DIR
binddns dir = DIR/bind-dns
pid directory = DIR/run
ncalrpc dir = DIR/ncalrpc
winbindd socket directory = DIR/winbindd
ntp signd socket directory = DIR/ntp
log file = DIR/log.%m
tls certfile = DIR/dc.pem
tls keyfile = DIR/dc.key
tls cafile = DIR/ca.pem
ldb:nosync = true
`
	return os.WriteFile(c.conf(), []byte(strings.ReplaceAll(conf, "DIR", c.dir)), 0o600)
}

func (c *Controller) conf() string { return filepath.Join(c.dir, "stsgate.conf") }

// Start starts the controller, which must not run, and waits until it takes
// connections.
func (c *Controller) Start() error {
	read, write, err := os.Pipe()
	if err != nil {
		return err
	}
	defer read.Close()
	var out bytes.Buffer
	c.program = exec.Command("samba", "--interactive", "--no-process-group", "--model=single", "--configfile="+c.conf())
	c.program.Stdin, c.program.Stdout, c.program.Stderr = read, &out, &out
	c.program.SysProcAttr = &syscall.SysProcAttr{Setpgid: true}
	c.program.WaitDelay = time.Second
	if err := c.program.Start(); err != nil {
		write.Close()
		return err
	}
	c.leash = write
	tick := time.NewTicker(20 * time.Millisecond)
	defer tick.Stop()
	for deadline := time.Now().Add(patience); time.Now().Before(deadline); <-tick.C {
		if conn, err := net.Dial("tcp", c.address+":636"); err == nil {
			return conn.Close()
		}
		if c.program.ProcessState != nil {
			break
		}
	}
	return errors.Join(fmt.Errorf("samba does not listen on %s:636", c.address), c.Kill(), errors.New(out.String()))
}

// Stall has the controller take connections and answer nothing, until Resume.
func (c *Controller) Stall() error { return c.signal(syscall.SIGSTOP) }

// Resume ends a stall.
func (c *Controller) Resume() error { return c.signal(syscall.SIGCONT) }

// Kill ends the controller at once, and its connections.
func (c *Controller) Kill() error {
	if c.program == nil {
		return nil
	}
	err := c.signal(syscall.SIGKILL)
	_ = c.program.Wait() // says that it was killed
	c.program = nil
	return errors.Join(err, c.leash.Close())
}

func (c *Controller) signal(s syscall.Signal) error { return syscall.Kill(-c.program.Process.Pid, s) }
