package portal

import (
	"crypto/hmac"
	"encoding/base64"
	"mime"
	"net/http"
	"net/url"
)

const (
	maxForm   = 32 << 10 // bytes (security.md, DOS-09)
	maxFields = 100
)

// token is what a form of this session, or of this visitor without one, has
// besides its cookie.
func (v *visit) token() string {
	return base64.RawURLEncoding.EncodeToString(v.p.keyed("form", v.id))
}

// own tells that a request that changes something comes from a page of ours
// (security.md, PORT-03). Browsers send Origin with every POST; as "null" where
// the page's referrer policy is no-referrer, as ours is, and then say in
// Sec-Fetch-Site whose page it was.
func (p *Portal) own(r *http.Request) bool {
	origins, sites := r.Header["Origin"], r.Header["Sec-Fetch-Site"]
	if len(origins) > 1 || len(sites) > 1 {
		return false
	}
	site := r.Header.Get("Sec-Fetch-Site")
	if site != "" && site != "same-origin" {
		return false
	}
	switch r.Header.Get("Origin") {
	case p.origin:
		return true
	case "", "null":
		return site == "same-origin"
	}
	return false
}

// readForm reads the fields of a request that changes something, and refuses
// one that is not from a form of ours. Every field may be there once.
func (v *visit) readForm() error {
	if !v.p.own(v.r) {
		return problem{http.StatusForbidden, "Not from here", "This request did not come from a page of this site, so nothing was done."}
	}
	kind, _, err := mime.ParseMediaType(v.r.Header.Get("Content-Type"))
	if err != nil || kind != "application/x-www-form-urlencoded" {
		return problem{http.StatusUnsupportedMediaType, "Not a form", "This request is not a form of this site."}
	}
	v.r.Body = http.MaxBytesReader(v.w, v.r.Body, maxForm)
	if err := v.r.ParseForm(); err != nil {
		v.w.Header().Set("Connection", "close")
		return problem{http.StatusRequestEntityTooLarge, "Too much", "This form is larger than any of ours, or cannot be read."}
	}
	if !single(v.r.PostForm) {
		return problem{http.StatusRequestEntityTooLarge, "Too much", "This form has more fields than any of ours."}
	}
	v.form = v.r.PostForm
	if v.id == "" || !hmac.Equal([]byte(v.form.Get("token")), []byte(v.token())) {
		return problem{http.StatusForbidden, "This page was too old", "You signed in or out since it was opened, so nothing was done. Go back to the start and try again."}
	}
	return nil
}

func single(form url.Values) bool {
	for _, values := range form {
		if len(values) > 1 {
			return false
		}
	}
	return len(form) <= maxFields
}
