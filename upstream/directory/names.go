package directory

import (
	"sync"
	"time"

	"stsgate/gateway/account"
)

// maxNames bounds how many names are held. Only names of accounts are.
const maxNames = 10_000

// A nameCache has the accounts of names that were looked up.
type nameCache struct {
	mu    sync.Mutex
	names map[string]namedAccount // by account.Name.Key
}

type namedAccount struct {
	account *account.Account // never changed
	read    time.Time
}

// get returns the account of a name, nil for none, and how old that is.
func (c *nameCache) get(key string, now time.Time) (*account.Account, time.Duration) {
	c.mu.Lock()
	defer c.mu.Unlock()
	n := c.names[key]
	return n.account, now.Sub(n.read)
}

// put holds the account of a name.
func (c *nameCache) put(key string, a *account.Account, now time.Time) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.names == nil {
		c.names = make(map[string]namedAccount)
	}
	if _, there := c.names[key]; !there && len(c.names) >= maxNames {
		c.makeRoom(now)
	}
	c.names[key] = namedAccount{a, now}
}

// makeRoom drops the names that are too old to be of use and, if that is not a
// tenth of them, any.
func (c *nameCache) makeRoom(now time.Time) {
	for key, n := range c.names {
		if now.Sub(n.read) >= remembered {
			delete(c.names, key)
		}
	}
	for key := range c.names {
		if len(c.names) <= maxNames*9/10 {
			return
		}
		delete(c.names, key)
	}
}

func (c *nameCache) drop(key string) {
	c.mu.Lock()
	defer c.mu.Unlock()
	delete(c.names, key)
}
