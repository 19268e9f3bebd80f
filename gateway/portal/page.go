package portal

import (
	"crypto/sha256"
	"embed"
	"encoding/hex"
	"fmt"
	"html/template"
	"net/http"
	"path"
	"slices"
	"strings"
	"time"

	"stsgate/gateway/mfa/factor"
	"stsgate/policy"
)

//go:embed pages
var files embed.FS

// pages are the templates and what they name.
type pages struct {
	templates           map[string]*template.Template
	style, script, icon asset
}

// An asset is a file that never changes under its path, which names its content.
type asset struct {
	path, kind string
	content    []byte
}

func loadPages() (*pages, error) {
	p := &pages{templates: map[string]*template.Template{}}
	for to, name := range map[*asset]string{&p.style: "style.css", &p.script: "script.js", &p.icon: "icon.svg"} {
		b, err := files.ReadFile("pages/" + name)
		if err != nil {
			return nil, fmt.Errorf("portal: %w", err)
		}
		sum := sha256.Sum256(b)
		ext := path.Ext(name)
		*to = asset{
			path:    "/" + strings.TrimSuffix(name, ext) + "-" + hex.EncodeToString(sum[:6]) + ext,
			kind:    map[string]string{".css": "text/css; charset=utf-8", ".js": "text/javascript; charset=utf-8", ".svg": "image/svg+xml"}[ext],
			content: b,
		}
	}
	all, err := files.ReadDir("pages")
	if err != nil {
		return nil, fmt.Errorf("portal: %w", err)
	}
	for _, f := range all {
		name, isPage := strings.CutSuffix(f.Name(), ".html")
		if !isPage || name == "base" {
			continue
		}
		t, err := template.ParseFS(files, "pages/base.html", "pages/"+f.Name())
		if err != nil {
			return nil, fmt.Errorf("portal: %w", err)
		}
		p.templates[name] = t
	}
	return p, nil
}

func (a *asset) serve(v *visit) error {
	v.w.Header().Set("Content-Type", a.kind)
	v.w.Header().Set("Cache-Control", "public, max-age=31536000, immutable")
	_, err := v.w.Write(a.content)
	return err
}

// A page is what every template knows. Texts in it that somebody else chose
// went through plain.
type page struct {
	Title, Nav, Name  string
	Token             string
	Session, SignedIn bool
	Said, Wrong       string
	Live              bool // it is told of news since Seen
	Seen              string
	Assets            struct{ Style, Script, Icon string }
	Data              any
}

// A shown page is one of a request.
type shown struct {
	status      int
	name, title string
	wrong       string
	seen        string // of a page that is told of news
	data        any
}

// show answers with a page.
func (v *visit) show(s shown) error {
	p := page{
		Title: s.title, Nav: section(v.r.URL.Path), Token: v.token(), Session: v.session != nil, SignedIn: v.session.signedIn(),
		Said: v.said(), Wrong: s.wrong, Live: s.seen != "", Seen: s.seen, Data: s.data,
	}
	if v.session != nil {
		p.Name = plain(v.session.User.UPN)
	}
	p.Assets.Style, p.Assets.Script, p.Assets.Icon = v.p.pages.style.path, v.p.pages.script.path, v.p.pages.icon.path
	var b strings.Builder
	if err := v.p.pages.templates[s.name].Execute(&b, &p); err != nil {
		return fmt.Errorf("page %s: %w", s.name, err)
	}
	v.w.Header().Set("Content-Type", "text/html; charset=utf-8")
	v.w.WriteHeader(s.status)
	_, err := v.w.Write([]byte(b.String()))
	return err
}

// section is the page in the navigation that another one belongs to.
func section(path string) string {
	switch head, _, _ := strings.Cut(path[1:], "/"); head {
	case "approve", "deny":
		return "/"
	case "enrol":
		return "/devices"
	default:
		return "/" + head
	}
}

// What was done is said on the page that follows, which reads it from a cookie
// of a few seconds: a word of a closed list.
const saidCookie = "__Host-said"

func (v *visit) done(path, word string) error {
	http.SetCookie(v.w, &http.Cookie{Name: saidCookie, Value: word, Path: "/", MaxAge: 30, Secure: true, HttpOnly: true, SameSite: http.SameSiteLaxMode})
	return v.redirect(path)
}

func (v *visit) said() string {
	c, err := v.r.Cookie(saidCookie)
	if err != nil {
		return ""
	}
	http.SetCookie(v.w, &http.Cookie{Name: saidCookie, Path: "/", MaxAge: -1, Secure: true, HttpOnly: true, SameSite: http.SameSiteLaxMode})
	switch c.Value {
	case "approved":
		return "Approved. Your program signs in now."
	case "approved-retry":
		return "Approved. Go back to your program and sign in there once more."
	case "denied":
		return "Denied."
	case "not-me":
		return "Denied, and that address is closed to your account for an hour. Somebody knows your password: change it now."
	case "disowned":
		return "Everything was ended that could be used in your name, and that address is closed to your account for an hour. Change your password now."
	case "enrolled":
		return "Done. This device now proves that it is you."
	case "renamed":
		return "The name was changed."
	case "removed":
		return "The device was removed."
	case "allowed":
		return "Allowed. Sign in there within 10 minutes."
	case "ended":
		return "Ended."
	case "signed-out":
		return "You are signed out."
	}
	return ""
}

// A need is what a form asks for to prove a factor.
type need struct {
	HasCode, HasPasskey bool
	HasApp, HasRecovery bool // what has codes
	PasskeyText         string
	ID                  string // of its field, where there are several on a page
	// Asked is what an MFA server asks for, nil for nothing.
	Asked *factor.Challenge
}

// PasskeyFirst tells that a code is only for when there is no passkey at hand.
func (n *need) PasskeyFirst() bool { return n.HasPasskey && !n.HasApp }

// carry has a form carry on what an MFA server asks for, and nothing else.
func (n *need) carry(asked *factor.Challenge) {
	if asked != nil {
		*n = need{HasCode: true, HasApp: true, ID: n.ID, Asked: asked}
	}
}

// everyFactor are all that prove who a user is.
const everyFactor = policy.TOTP | policy.Passkey | policy.RADIUS | policy.Recovery

// need returns what the user of the session can prove one of some factors with.
func (v *visit) need(text string, of policy.Factors) (*need, error) {
	has, err := v.p.c.Factors.List(v.ctx(), v.session.User.ID)
	if err != nil {
		return nil, err
	}
	// The MFA server's users are known there, and here from their first code on.
	typed, err := v.p.c.Factors.Accepts(v.session.User.ID, of)
	if err != nil {
		return nil, err
	}
	isRADIUS := func(a factor.Authenticator) bool { return a.Kind == factor.RADIUS }
	n := &need{PasskeyText: text, ID: "code", HasApp: typed.Has(policy.RADIUS) && !slices.ContainsFunc(has, isRADIUS)}
	for _, a := range has {
		switch {
		case a.Disabled || !of.Has(a.Kind.Factors()):
		case a.Kind == factor.Passkey:
			n.HasPasskey = true
		case a.Kind == factor.Recovery:
			n.HasRecovery = true
		default:
			n.HasApp = true
		}
	}
	n.HasCode = n.HasApp || n.HasRecovery
	return n, nil
}

// needed is need where the session's factor is not fresh, else nil.
func (v *visit) needed(text string) (*need, error) {
	if v.session.fresh(v.now) {
		return nil, nil
	}
	return v.need(text, everyFactor)
}

// span says roughly how long something is.
func span(d time.Duration) string {
	switch {
	case d < 2*time.Second:
		return "a second"
	case d < 2*time.Minute:
		return fmt.Sprintf("%d seconds", int(d.Seconds()))
	case d < 2*time.Hour:
		return fmt.Sprintf("%d minutes", int(d.Minutes()))
	case d < 48*time.Hour:
		return fmt.Sprintf("%d hours", int(d.Hours()))
	}
	return fmt.Sprintf("%d days", int(d.Hours()/24))
}
