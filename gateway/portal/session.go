package portal

import (
	"context"
	"crypto/hmac"
	"crypto/rand"
	"crypto/sha256"
	"encoding/base64"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"net/http"
	"net/netip"
	"time"

	"stsgate/gateway/account"
	"stsgate/gateway/mfa/factor"
	"stsgate/gateway/state"
)

// How long sessions last (security.md, PORT-01, PORT-02).
const (
	overall = 12 * time.Hour
	idle    = 30 * time.Minute
	halfway = 10 * time.Minute // with a password and no factor yet
	// touch is how often the use of a session is written down.
	touch = time.Minute
	// justMade is how long a session may be missing in the mirror, which is at
	// most a second old.
	justMade = 3 * time.Second
)

// cookieName has the prefix that browsers take from this host alone, over TLS.
const cookieName = "__Host-stsgate"

// A session is what is kept of one, under a keyed hash of its id.
type session struct {
	User  factor.User `json:"user"`
	Mail  string      `json:"mail,omitempty"`
	Began time.Time   `json:"began"`
	Seen  time.Time   `json:"seen"`
	// Proof is the last that was given beside the password. Its kind is no
	// factor's where a binding code permits to enrol and nothing else.
	Proof factor.Proof `json:"proof,omitzero"`
	// Generation is the revision of the user's last sign-out everywhere.
	Generation uint64 `json:"generation,omitempty"`
}

// sessionOf returns the session of an account whose password was proven.
func sessionOf(a *account.Account, now time.Time) session {
	s := session{User: factor.User{ID: a.ID, UPN: a.UPN, SAM: a.SAM}, Began: now}
	if m := a.Attributes["mail"]; len(m) > 0 {
		s.Mail = m[0]
	}
	return s
}

// signedIn tells that a factor was proven.
func (s *session) signedIn() bool { return s != nil && s.Proof.Kind.Factors() != 0 }

// fresh tells that a factor was proven a moment ago.
func (s *session) fresh(now time.Time) bool {
	return s.signedIn() && now.Sub(s.Proof.At) <= factor.Fresh
}

// mayEnrol tells that an authenticator may be added (security.md, MFA-11).
func (s *session) mayEnrol(now time.Time) bool {
	return s != nil && s.Proof.Kind != 0 && now.Sub(s.Proof.At) <= factor.Fresh
}

// left is how long the session lasts if nobody uses it any more; 0 or less
// when it is over.
func (s *session) left(now time.Time) time.Duration {
	longest := overall
	if !s.signedIn() {
		longest = halfway
	}
	return min(s.Began.Add(longest).Sub(now), s.Seen.Add(idle).Sub(now))
}

// newID returns the id of a session: 256 random bits.
func newID() string {
	var b [32]byte
	rand.Read(b[:])
	return base64.RawURLEncoding.EncodeToString(b[:])
}

// keyed is a keyed hash, for a use of its own.
func (p *Portal) keyed(use, text string) []byte {
	m := hmac.New(sha256.New, p.c.Secret)
	m.Write([]byte("portal " + use + "\x00" + text))
	return m.Sum(nil)
}

func (p *Portal) sessionKey(id string) state.Key {
	return state.Sessions.Key("portal", hex.EncodeToString(p.keyed("session", id)))
}

// endedKey is of the record that ends all older sessions of a user.
func endedKey(user string) state.Key { return state.Sessions.Key("portal-ended", user) }

// cookie reads the id from a request; empty when there is none of its form.
func cookie(r *http.Request) string {
	all := r.CookiesNamed(cookieName)
	if len(all) != 1 || len(all[0].Value) != base64.RawURLEncoding.EncodedLen(32) {
		return ""
	}
	return all[0].Value
}

func setCookie(w http.ResponseWriter, id string) {
	http.SetCookie(w, &http.Cookie{
		Name: cookieName, Value: id, Path: "/", Secure: true, HttpOnly: true,
		// Strict would not come along from a link in a messenger.
		SameSite: http.SameSiteLaxMode,
	})
}

// resume returns the session of an id with its record, or nil when there is
// none, any more or yet. A store that cannot be asked is an error.
func (p *Portal) resume(ctx context.Context, id string, now time.Time, from []netip.Addr) (*session, state.Record, error) {
	if id == "" {
		return nil, state.Record{}, nil
	}
	key := p.sessionKey(id)
	r, err := p.sessions.Get(key)
	if errors.Is(err, state.ErrNotFound) {
		// The mirror may not have it yet; a store may still have it when it was
		// ended elsewhere, but not for longer than the mirror is behind.
		if r, err = p.c.Store.Get(ctx, key); err == nil && now.Sub(r.Written) > justMade {
			err = state.ErrNotFound
		}
	}
	switch {
	case errors.Is(err, state.ErrNotFound):
		return nil, state.Record{}, nil
	case err != nil:
		return nil, state.Record{}, fmt.Errorf("read session: %w", err)
	}
	s := new(session)
	if err := json.Unmarshal(r.Value, s); err != nil {
		return nil, state.Record{}, fmt.Errorf("read session: %w", err)
	}
	alive, err := p.alive(ctx, s, now, from)
	if err != nil || !alive {
		return nil, state.Record{}, err
	}
	return s, r, nil
}

// alive tells that a session was neither ended nor left alone for too long, and
// that what it rests on still stands (PORT-02). Whom an operator banned is not let
// on while that lasts.
func (p *Portal) alive(ctx context.Context, s *session, now time.Time, from []netip.Addr) (bool, error) {
	if p.c.Banned != nil {
		if err := p.c.Banned(s.User.ID, from); err != nil {
			if p.c.Down(err) {
				return false, fmt.Errorf("whether the user is banned: %w", err)
			}
			return false, nil
		}
	}
	if s.Proof.Kind != 0 {
		if ok, err := p.c.Factors.Stands(ctx, s.Proof); err != nil || !ok {
			return false, err
		}
	}
	ended, err := p.sessions.Get(endedKey(s.User.ID))
	if err != nil && !errors.Is(err, state.ErrNotFound) {
		return false, fmt.Errorf("read session: %w", err)
	}
	return s.left(now) > 0 && ended.Revision <= s.Generation, nil
}

// begin makes a session under a new id and ends the one of the visit, so that
// an id that somebody knew before is worth nothing (PORT-01).
func (v *visit) begin(s session) error {
	ended, err := v.p.c.Store.Get(v.ctx(), endedKey(s.User.ID))
	if err != nil && !errors.Is(err, state.ErrNotFound) {
		return fmt.Errorf("begin session: %w", err)
	}
	s.Generation, s.Seen = ended.Revision, v.now
	value, err := json.Marshal(&s)
	if err != nil {
		return err
	}
	id := newID()
	revision, err := v.p.c.Store.Create(v.ctx(), v.p.sessionKey(id), value, s.left(v.now))
	if err != nil {
		return fmt.Errorf("begin session: %w", err)
	}
	if err := v.end(); err != nil {
		return err
	}
	v.id, v.session = id, &s
	v.stored = state.Record{Key: v.p.sessionKey(id), Value: value, Revision: revision}
	setCookie(v.w, id)
	return nil
}

// end ends the session of the visit.
func (v *visit) end() error {
	if v.session == nil {
		return nil
	}
	err := v.p.c.Store.Delete(v.ctx(), v.stored.Key, v.stored.Revision)
	if errors.Is(err, state.ErrConflict) { // used elsewhere meanwhile, or over
		var r state.Record
		if r, err = v.p.c.Store.Get(v.ctx(), v.stored.Key); err == nil {
			err = v.p.c.Store.Delete(v.ctx(), r.Key, r.Revision)
		}
	}
	if err != nil && !errors.Is(err, state.ErrNotFound) {
		return fmt.Errorf("end session: %w", err)
	}
	v.session = nil
	return nil
}

// endAll ends all sessions of a user, on all gateways within a second.
func (p *Portal) endAll(ctx context.Context, user string) error {
	key := endedKey(user)
	for {
		r, err := p.c.Store.Get(ctx, key)
		switch {
		case errors.Is(err, state.ErrNotFound):
			_, err = p.c.Store.Create(ctx, key, nil, overall)
		case err == nil:
			_, err = p.c.Store.CompareAndSwap(ctx, key, r.Revision, nil, overall)
		}
		if errors.Is(err, state.ErrExists) || errors.Is(err, state.ErrConflict) {
			continue // somebody else's, which may be older than this call
		}
		if err != nil {
			return fmt.Errorf("end sessions: %w", err)
		}
		return nil
	}
}

// use notes that the session is used, from time to time.
func (v *visit) use() error {
	if v.now.Sub(v.session.Seen) < touch {
		return nil
	}
	v.session.Seen = v.now
	return v.keep()
}

// keep writes the session of the visit. That somebody else did, or ended it,
// is no error: the next request sees what stands.
func (v *visit) keep() error {
	value, err := json.Marshal(v.session)
	if err != nil {
		return err
	}
	revision, err := v.p.c.Store.CompareAndSwap(v.ctx(), v.stored.Key, v.stored.Revision, value, v.session.left(v.now))
	if errors.Is(err, state.ErrConflict) {
		return nil
	}
	if err != nil {
		return fmt.Errorf("write session: %w", err)
	}
	v.stored.Revision = revision
	return nil
}
