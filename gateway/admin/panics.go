package admin

import (
	"fmt"
	"log/slog"
	"net/http"
	"runtime/debug"
)

// Contain makes of a panic in a handler the end of one connection. Where it was
// is logged, but not its value, which package net/http would write down and which
// may hold a secret (security.md, AUD-05, FAIL-05).
func Contain(h http.Handler, log *slog.Logger) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		defer func() {
			if v := recover(); v != nil {
				log.Error("panic", "err", fmt.Sprintf("panic of type %T", v), "stack", string(debug.Stack()))
				panic(http.ErrAbortHandler)
			}
		}()
		h.ServeHTTP(w, r)
	})
}
