package directory

import (
	"bytes"
	"crypto/rand"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"strings"
	"syscall"

	"go.yaml.in/yaml/v4"

	"stsgate/gateway/account"
)

// A User is a user to be added to a users file.
type User struct {
	// Name is the user principal name.
	Name string
	// GUID is the account's identity for good; empty for a random one.
	GUID string
	// SAM is empty for the part of Name before the @.
	SAM string
	// Domain is the short domain name, or empty.
	Domain   string
	Groups   []string
	Disabled bool
	// Attributes are further values by name, as in account.Account.
	Attributes map[string][]string
}

// AddUser appends a user with a password to the users file at path, which is
// made when it does not exist. Everything that stands in the file stays as it
// is, comments included. The file is replaced as a whole and only by one that
// OpenFile accepts; several calls at once, from several programs too, take
// turns. A new file has mode 0600; an existing one keeps its mode and owner.
//
// It is an error if a name or the GUID is taken, the password is empty, or
// the file has mistakes or its list of users is not in block style.
func AddUser(path string, u User, password account.Password) error {
	if len(password.Bytes()) == 0 {
		return errors.New("add user: password is empty")
	}
	if real, err := filepath.EvalSymlinks(path); err == nil {
		path = real // the link stays, its target is replaced
	}
	if u.GUID == "" {
		u.GUID = newGUID()
	}
	hash := newHash(password) // before the lock, since it takes a while

	unlock, err := lockFolder(filepath.Dir(path))
	if err != nil {
		return fmt.Errorf("add user: %w", err)
	}
	defer unlock()

	old, err := readFile(path)
	if err != nil && !errors.Is(err, fs.ErrNotExist) {
		return fmt.Errorf("add user: %w", err)
	}
	text, err := appended(path, old, u, hash)
	if err != nil {
		return fmt.Errorf("add user: %w", err)
	}
	if err := replaceFile(path, text); err != nil {
		return fmt.Errorf("add user: %w", err)
	}
	return nil
}

// record is how a user is written.
type record struct {
	Name       string              `yaml:"name"`
	GUID       string              `yaml:"guid"`
	SAM        string              `yaml:"sam,omitempty"`
	Domain     string              `yaml:"domain,omitempty"`
	Groups     []string            `yaml:"groups,omitempty,flow"`
	Password   string              `yaml:"password"`
	Disabled   bool                `yaml:"disabled,omitempty"`
	Attributes map[string][]string `yaml:"attributes,omitempty"`
}

// appended returns the text of a users file with one more user at its end.
func appended(path string, old []byte, u User, h hash) ([]byte, error) {
	item, err := yaml.Dump([]record{{
		Name: u.Name, GUID: u.GUID, SAM: u.SAM, Domain: u.Domain, Groups: u.Groups,
		Password: h.String(), Disabled: u.Disabled, Attributes: u.Attributes,
	}}, yaml.WithLineWidth(-1))
	if err != nil {
		return nil, fmt.Errorf("write user: %w", err)
	}
	text := bytes.Clone(old)
	if len(text) > 0 && !bytes.HasSuffix(text, []byte("\n")) {
		text = append(text, '\n')
	}

	indent, count := 2, 0
	if len(bytes.TrimSpace(old)) == 0 {
		text = append(text, "users:\n"...)
	} else {
		doc, err := parse(path, old)
		if err != nil {
			return nil, err
		}
		switch count = len(doc.entries); {
		case count > 0 && doc.list.Style&yaml.FlowStyle == 0:
			indent = doc.list.Column - 1
		case !isNull(doc.list) || doc.list.Value != "":
			return nil, fmt.Errorf("%s:%d:%d: users must be a list of one \"- name: ...\" below another to be added to",
				path, doc.list.Line, doc.list.Column)
		}
	}
	for line := range bytes.Lines(item) {
		text = append(text, strings.Repeat(" ", indent)...)
		text = append(text, line...)
	}

	// The result is what the next start will read, so it must pass as such.
	doc, err := parse(path, text)
	if err != nil {
		return nil, err
	}
	if len(doc.entries) != count+1 {
		return nil, fmt.Errorf("%s: the end of the file is not the end of users", path)
	}
	return text, nil
}

// newGUID returns a random GUID (RFC 9562, version 4).
func newGUID() string {
	var b [16]byte
	_, _ = rand.Read(b[:]) // never fails: crypto/rand ends the program instead
	b[6] = b[6]&0x0f | 0x40
	b[8] = b[8]&0x3f | 0x80
	return fmt.Sprintf("%x-%x-%x-%x-%x", b[:4], b[4:6], b[6:8], b[8:10], b[10:])
}

// lockFolder takes turns with others that write in a folder. The folder is
// locked and not the file, which is replaced and may not exist yet.
func lockFolder(dir string) (unlock func(), err error) {
	f, err := os.Open(dir)
	if err != nil {
		return nil, err
	}
	for {
		err = syscall.Flock(int(f.Fd()), syscall.LOCK_EX)
		if err == nil {
			return func() { _ = f.Close() }, nil // closing gives the lock back
		}
		if !errors.Is(err, syscall.EINTR) {
			_ = f.Close()
			return nil, fmt.Errorf("lock %s: %w", dir, err)
		}
	}
}

// replaceFile puts text in the place of the file at path, so that after a
// crash the old or the new file is there and whole.
func replaceFile(path string, text []byte) (err error) {
	dir := filepath.Dir(path)
	f, err := os.CreateTemp(dir, "."+filepath.Base(path)+".*") // mode 0600
	if err != nil {
		return err
	}
	defer func() {
		if err != nil {
			_ = f.Close()
			_ = os.Remove(f.Name())
		}
	}()
	if err := keepOwner(path, f); err != nil {
		return err
	}
	if _, err := f.Write(text); err != nil {
		return err
	}
	if err := f.Sync(); err != nil {
		return err
	}
	if err := f.Close(); err != nil {
		return err
	}
	if err := os.Rename(f.Name(), path); err != nil {
		return err
	}
	return syncFolder(dir)
}

// keepOwner gives f the mode and owner of the file at path, if there is one:
// an administrator's edit must leave the file readable to the daemon.
func keepOwner(path string, f *os.File) error {
	old, err := os.Stat(path)
	if errors.Is(err, fs.ErrNotExist) {
		return nil
	}
	if err != nil {
		return err
	}
	if err := f.Chmod(old.Mode().Perm()); err != nil {
		return err
	}
	if s, ok := old.Sys().(*syscall.Stat_t); ok && (int(s.Uid) != os.Geteuid() || int(s.Gid) != os.Getegid()) {
		return f.Chown(int(s.Uid), int(s.Gid))
	}
	return nil
}

// syncFolder makes a rename in a folder durable.
func syncFolder(dir string) error {
	f, err := os.Open(dir)
	if err != nil {
		return err
	}
	defer f.Close()
	return f.Sync()
}
