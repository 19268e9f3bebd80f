package portal

import (
	"context"
	"errors"
	"net/http"
	"net/netip"
	"net/url"
	"slices"
	"time"

	"stsgate/gateway/clientip"
	"stsgate/gateway/state"
)

// A level is how far somebody has signed in.
type level uint8

const (
	anybody  level = iota
	password       // or further
	signedIn       // with a factor
)

// A route is a method of a path, and what it takes to get there.
type route struct {
	method, path string
	needs        level
	// fresh asks for a factor of the last five minutes, which may come along in
	// the form (PORT-02).
	fresh bool
	// mutates tells that something is changed: only a form of ours may (PORT-03).
	mutates bool
	serve   func(*visit) error
}

// table has every route.
func (p *Portal) table() []route {
	const get, post = http.MethodGet, http.MethodPost
	return []route{
		{method: get, path: p.pages.style.path, serve: p.pages.style.serve},
		{method: get, path: p.pages.script.path, serve: p.pages.script.serve},
		{method: get, path: p.pages.icon.path, serve: p.pages.icon.serve},

		{method: get, path: "/sign-in", serve: (*visit).signInPage},
		{method: post, path: "/sign-in", mutates: true, serve: (*visit).signIn},
		{method: post, path: "/sign-in/passkey/options", mutates: true, serve: (*visit).passkeyAloneOptions},
		{method: post, path: "/sign-in/passkey", mutates: true, serve: (*visit).passkeyAlone},
		{method: get, path: "/sign-in/factor", needs: password, serve: (*visit).factorPage},
		{method: post, path: "/sign-in/factor", needs: password, mutates: true, serve: (*visit).proveFactor},
		{method: post, path: "/passkey/options", needs: password, mutates: true, serve: (*visit).passkeyOptions},
		{method: post, path: "/sign-out", needs: password, mutates: true, serve: (*visit).signOut},
		{method: post, path: "/sign-out/everywhere", needs: signedIn, fresh: true, mutates: true, serve: (*visit).signOutEverywhere},

		{method: get, path: "/enrol", needs: password, serve: (*visit).enrolPage},
		{method: post, path: "/enrol/code", needs: password, mutates: true, serve: (*visit).redeem},
		{method: post, path: "/enrol/allow", needs: signedIn, fresh: true, mutates: true, serve: (*visit).allowEnrol},
		{method: post, path: "/enrol/totp", needs: password, mutates: true, serve: (*visit).beginTOTP},
		{method: post, path: "/enrol/totp/confirm", needs: password, mutates: true, serve: (*visit).confirmTOTP},
		{method: post, path: "/enrol/passkey/options", needs: password, mutates: true, serve: (*visit).newPasskeyOptions},
		{method: post, path: "/enrol/passkey", needs: password, mutates: true, serve: (*visit).addPasskey},

		{method: get, path: "/", needs: signedIn, serve: (*visit).waitingPage},
		{method: get, path: "/events", needs: signedIn, serve: (*visit).events},
		{method: post, path: "/approve", needs: signedIn, fresh: true, mutates: true, serve: (*visit).approve},
		{method: post, path: "/deny", needs: signedIn, mutates: true, serve: (*visit).deny},

		{method: get, path: "/devices", needs: signedIn, serve: (*visit).devicesPage},
		{method: post, path: "/devices/rename", needs: signedIn, mutates: true, serve: (*visit).rename},
		{method: post, path: "/devices/remove", needs: signedIn, fresh: true, mutates: true, serve: (*visit).remove},
		{method: post, path: "/devices/recovery-codes", needs: signedIn, fresh: true, mutates: true, serve: (*visit).recoveryCodes},

		{method: get, path: "/allowed", needs: signedIn, serve: (*visit).grantsPage},
		{method: post, path: "/allowed/add", needs: signedIn, fresh: true, mutates: true, serve: (*visit).addGrant},
		{method: post, path: "/allowed/remove", needs: signedIn, mutates: true, serve: (*visit).removeGrant},

		{method: get, path: "/history", needs: signedIn, serve: (*visit).historyPage},
		{method: post, path: "/history/explain", needs: signedIn, mutates: true, serve: (*visit).explain},
		{method: post, path: "/history/not-me", needs: signedIn, fresh: true, mutates: true, serve: (*visit).notMe},
	}
}

// A Path is one that is published, with its methods.
type Path struct {
	Path    string
	Methods []string
}

// Paths returns all that are published.
func (p *Portal) Paths() []Path {
	var all []Path
	for _, r := range p.routes {
		i := slices.IndexFunc(all, func(o Path) bool { return o.Path == r.path })
		if i < 0 {
			i, all = len(all), append(all, Path{Path: r.path})
		}
		all[i].Methods = append(all[i].Methods, r.method)
	}
	return all
}

// A visit is one request.
type visit struct {
	p       *Portal
	w       http.ResponseWriter
	r       *http.Request
	now     time.Time
	client  clientip.Client
	id      string       // of the cookie; empty for none
	session *session     // nil for none
	stored  state.Record // of session
	form    url.Values   // of a request that changes something
	// replaced is the recovery code that took the place of the one that was used.
	replaced string
}

func (v *visit) ctx() context.Context { return v.r.Context() }

// ServeHTTP implements http.Handler for the published paths.
func (p *Portal) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	Secure(w.Header())
	i := slices.IndexFunc(p.routes, func(o route) bool { return o.path == r.URL.Path && o.method == r.Method })
	if i < 0 {
		http.Error(w, "not found", http.StatusNotFound)
		return
	}
	v := &visit{p: p, w: w, r: r, now: time.Now(), id: cookie(r)}
	counted := &counter{ResponseWriter: w, status: http.StatusOK}
	v.w = counted
	if err := v.serve(&p.routes[i]); err != nil {
		v.fail(err)
	}
	p.count(p.routes[i].path, counted.status)
}

// serve runs a request up to what its route needs, and then the route.
func (v *visit) serve(rt *route) error {
	peer, err := netip.ParseAddrPort(v.r.RemoteAddr)
	if err != nil {
		return err
	}
	v.client = v.p.c.Clients.Locate(peer, v.r.Header)
	if v.session, v.stored, err = v.p.resume(v.ctx(), v.id, v.now, v.client.Addresses()); err != nil {
		return err
	}
	if rt.mutates {
		if err := v.readForm(); err != nil {
			return err
		}
	}
	switch {
	case rt.needs >= password && v.session == nil:
		return v.redirect("/sign-in")
	case rt.needs >= signedIn && !v.session.signedIn():
		return v.redirect("/sign-in/factor")
	}
	if rt.needs > anybody && rt.path != "/events" { // a page that is open does nothing
		if err := v.use(); err != nil {
			return err
		}
	}
	if rt.fresh && (v.brought() || !v.session.fresh(v.now)) {
		if done, err := v.freshen(rt); !done || err != nil {
			return err
		}
	}
	return rt.serve(v)
}

// A problem is why a request is not served, in words for its user.
type problem struct {
	status      int
	title, text string
}

// Error implements error.
func (p problem) Error() string { return p.title }

// notFound is what everybody gets who asks for what is not there or not theirs
// (security.md, PORT-06).
var errNotFound = problem{http.StatusNotFound, "Not there", "What you asked for does not exist, or not any more."}

// fail answers with a problem. What nobody foresaw, and a store that does not
// answer, is logged and told as that it is our fault.
func (v *visit) fail(err error) {
	if v.ctx().Err() != nil {
		return
	}
	known, ok := errors.AsType[problem](err)
	if !ok {
		v.p.c.Log.Error("portal", "path", v.r.URL.Path, "err", err)
		known = problem{http.StatusServiceUnavailable, "Something is not working", "Nothing was done. Please try again in a moment; if it stays, tell your help desk."}
	}
	if err := v.show(shown{status: known.status, name: "problem", title: known.title, data: known.text}); err != nil {
		v.p.c.Log.Debug("portal", "path", v.r.URL.Path, "err", err)
	}
}

func (v *visit) redirect(path string) error {
	v.w.Header().Set("Location", path)
	v.w.WriteHeader(http.StatusSeeOther)
	return nil
}
