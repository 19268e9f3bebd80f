// Package directory tells who a user is and whether a password is theirs: from
// Active Directory, or from a file.
//
// It knows users under the names that clients type and answers with accounts.
// Why a password was not accepted it says to the gateway alone. It must never
// take less time for an unknown user than for a known one, and never log
// anything of a user.
package directory

import (
	"context"
	"errors"
	"fmt"
	"os"
	"strings"
	"sync/atomic"

	"stsgate/gateway/account"
)

// maxFile bounds a users file, in bytes: some 40,000 users.
const maxFile = 16 << 20

// A File is a directory kept in one YAML file, for a few users or for trying
// things out. All methods may be called at the same time.
type File struct {
	path    string
	current atomic.Pointer[users]
	hasher  *hasher
}

// OpenFile reads the users file at path. The error joins everything that is
// wrong with the file, each as "path:line:column: message"; it never quotes a
// password hash.
func OpenFile(path string) (*File, error) {
	f := &File{path: path, hasher: newHasher()}
	replace, err := f.Prepare()
	if err != nil {
		return nil, err
	}
	replace()
	return f, nil
}

// Prepare reads the file again and returns what replaces all users at once.
// Until that is called, and after an error, which is as OpenFile's, the users
// stay as they are.
func (f *File) Prepare() (replace func(), err error) {
	src, err := readFile(f.path)
	if err != nil {
		return nil, err
	}
	doc, err := parse(f.path, src)
	if err != nil {
		return nil, err
	}
	next := index(doc.entries)
	return func() { f.current.Store(next) }, nil
}

// Lookup returns the account of a name, compared without case: a user
// principal name in full, a down-level name by the account's short domain, or
// a bare name that only one account has. The error is account.ErrUnknown.
// The caller must not change the slices and the map of the account.
func (f *File) Lookup(_ context.Context, name account.Name) (account.Account, error) {
	if e := f.current.Load().byName[name.Key()]; e != nil {
		return e.account, nil
	}
	return account.Account{}, account.ErrUnknown
}

// Verify returns nil when the password is the account's, as the file says
// now, and account.ErrDenied otherwise: for a wrong or empty password, a
// disabled account, an account without a password, and the zero Account or
// one that is not in the file. All of these cost one argon2id computation;
// computations beyond GOMAXPROCS wait for a free slot. Another error says
// that ctx ended before one came free.
func (f *File) Verify(ctx context.Context, a account.Account, password account.Password) error {
	users := f.current.Load()
	e := users.byID[a.ID]
	known := e != nil && e.hash.set()
	h := users.dummy
	if known {
		h = e.hash
	}
	right, err := f.hasher.matches(ctx, password, h)
	if err != nil {
		return fmt.Errorf("verify password: %w", err)
	}
	if !right || !known || e.account.Disabled || len(password.Bytes()) == 0 {
		return account.ErrDenied
	}
	return nil
}

// users is one reading of a file, never changed once built.
type users struct {
	byID   map[string]*entry
	byName map[string]*entry // under every name, in lower case; nil for a bare name of several
	dummy  hash
}

// index files the entries under all their names.
func index(entries []*entry) *users {
	u := &users{
		byID:   make(map[string]*entry, len(entries)),
		byName: make(map[string]*entry, 3*len(entries)),
		dummy:  dummyFor(entries),
	}
	for _, e := range entries {
		u.byID[e.account.ID] = e
		u.byName[strings.ToLower(e.account.UPN)] = e
		if name := e.downLevel(); name != "" {
			u.byName[name] = e
		}
		bare := strings.ToLower(e.account.SAM)
		if _, taken := u.byName[bare]; taken {
			e = nil
		}
		u.byName[bare] = e
	}
	return u
}

// dummyFor returns a hash that no password has and that costs as much as most
// entries' do, so that an unknown user takes the time of a known one.
func dummyFor(entries []*entry) hash {
	count := make(map[cost]int)
	best := defaultCost
	for _, e := range entries {
		if !e.hash.set() {
			continue
		}
		c := e.hash.cost
		count[c]++
		if count[c] > count[best] {
			best = c
		}
	}
	return hash{cost: best, salt: make([]byte, saltLen), key: make([]byte, keyLen)}
}

// readFile reads at most maxFile bytes.
func readFile(path string) ([]byte, error) {
	info, err := os.Stat(path)
	if err != nil {
		return nil, fmt.Errorf("read users: %w", err)
	}
	if !info.Mode().IsRegular() {
		return nil, fmt.Errorf("read users: %s is not a regular file", path)
	}
	if info.Size() > maxFile {
		return nil, fmt.Errorf("read users: %s is larger than %d bytes", path, maxFile)
	}
	src, err := os.ReadFile(path)
	if err != nil {
		return nil, fmt.Errorf("read users: %w", err)
	}
	if len(src) > maxFile {
		return nil, errors.New("read users: file grew while it was read")
	}
	return src, nil
}
