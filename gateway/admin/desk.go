package admin

import (
	"bytes"
	"cmp"
	"context"
	"crypto/rand"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"net/http"
	"strconv"
	"strings"
	"time"

	"stsgate/gateway/account"
	"stsgate/gateway/audit"
	"stsgate/gateway/guard"
	"stsgate/gateway/mfa/factor"
	"stsgate/gateway/state"
)

// DeskConfig configures a Desk. All fields are required but Lookup, Names, Know, Store, Ends, Disowned, Reopen and Protected.
type DeskConfig struct {
	Guard   *guard.Guard
	Factors *factor.Verifier
	// Names returns the names of accounts by their GUIDs, for lists; nil without a
	// directory.
	Names func(ctx context.Context, ids []string) (map[string]string, error)
	// Know remembers where a user is told, before something is done to the user
	// that is told; nil remembers nobody.
	Know func(context.Context, account.Account)
	// Ends end what a user proved, each of its own: grants, sessions.
	Ends []func(ctx context.Context, user string) error
	// Disowned returns the addresses that users said were somebody else's, which are
	// closed to them, and Reopen opens those of one user again, or says
	// guard.ErrNothing; nil without second factors.
	Disowned func(context.Context) ([]guard.Closed, error)
	Reopen   func(ctx context.Context, user string) error
	// Protected are the groups of the directory for whose members it takes two
	// operators to reset them or to make a binding code.
	Protected []string
	// Store is what is backed up; nil where state is kept in this process.
	Store *state.Sealed
	// Lookup asks the directory; nil without one.
	Lookup func(context.Context, account.Name) (account.Account, error)
	// Record has a record on the disk when it returns. What cannot be recorded
	// is not done.
	Record func(*audit.Operation) error
	Log    *slog.Logger
}

// A Desk answers operators. Who may ask is decided by the rights of the socket;
// who did is in the audit log.
type Desk struct {
	c     DeskConfig
	calls map[string]answering

	firsts firsts
}

// An answering is how one call is answered: with a JSON value, or an error for
// the operator.
type answering func(*call, *http.Request) (any, error)

// NewDesk returns a desk.
func NewDesk(c DeskConfig) (*Desk, error) {
	if c.Guard == nil || c.Factors == nil || c.Record == nil || c.Log == nil {
		return nil, errors.New("admin: guard, factors, record and log are required")
	}
	d := &Desk{c: c}
	d.calls = map[string]answering{
		LockList:  takes((*call).lockList),
		LockAdd:   takes((*call).lockAdd),
		LockClear: takes((*call).lockClear),
		BanList:   takes((*call).banList),
		BanAdd:    takes((*call).banAdd),
		BanRemove: takes((*call).banRemove),

		MFAList:        takes((*call).mfaList),
		MFAReset:       takes((*call).mfaReset),
		MFARevoke:      takes((*call).mfaRevoke),
		MFABindingCode: takes((*call).mfaBindingCode),

		Backup: takes((*call).backup), RestoreStore: (*call).restore,
	}
	return d, nil
}

const (
	// callTime bounds a call, but for those that move a whole store.
	callTime = 10 * time.Second
	// maxCall bounds what a call sends, in bytes.
	maxCall = 16 << 10
)

// Server returns the server of a socket that Listen made.
func (d *Desk) Server() *http.Server {
	return &http.Server{
		Handler:           Contain(d, d.c.Log),
		ConnContext:       withPeer,
		ReadHeaderTimeout: callTime,
		ReadTimeout:       callTime,
		WriteTimeout:      2 * callTime,
		IdleTimeout:       callTime,
		MaxHeaderBytes:    4 << 10,
		ErrorLog:          slog.NewLogLogger(d.c.Log.Handler(), slog.LevelDebug),
	}
}

// A call is one call while it is answered.
type call struct {
	desk    *Desk
	w       http.ResponseWriter // for its deadlines
	by      peer
	record  audit.Operation
	changed bool // a record says that a change was begun
}

// ServeHTTP answers one call.
func (d *Desk) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	name := strings.TrimPrefix(r.URL.Path, "/")
	answer := d.calls[name]
	by, known := r.Context().Value(peerKey{}).(peer)
	switch {
	case answer == nil:
		reply(w, http.StatusNotFound, failed{fmt.Sprintf("there is no call %q: is the gateway older than this program?", name)})
		return
	case r.Method != http.MethodPost:
		w.Header().Set("Allow", http.MethodPost)
		reply(w, http.StatusMethodNotAllowed, failed{"only POST is answered"})
		return
	case !known:
		reply(w, http.StatusForbidden, failed{"the kernel does not say who calls"})
		return
	}
	var id [16]byte
	rand.Read(id[:])
	c := &call{desk: d, w: w, by: by, record: audit.Operation{
		Time: time.Now().UTC(), Action: name, Call: hex.EncodeToString(id[:]), UserID: strconv.Itoa(by.uid), UserName: by.name, PID: by.pid,
	}}
	out, err := answer(c, r)
	if e := c.end(err); e != nil {
		out, err = nil, e
	}
	if err != nil {
		reply(w, cmp.Or(statusOf(err), http.StatusUnprocessableEntity), failed{err.Error()})
		return
	}
	if s, ok := out.(stream); ok {
		s.send(w)
		return
	}
	reply(w, http.StatusOK, out)
}

// takes makes an answering of a function that takes a value of one type.
func takes[In any](do func(*call, context.Context, *In) (any, error)) answering {
	return func(c *call, r *http.Request) (any, error) {
		ctx, done := context.WithTimeout(r.Context(), callTime)
		defer done()
		var in In
		if err := decode(http.MaxBytesReader(nil, r.Body, maxCall), &in); err != nil {
			return nil, &wrongCall{err}
		}
		return do(c, ctx, &in)
	}
}

// A wrongCall is about what was sent, not about what was asked.
type wrongCall struct{ error }

// errUnrecorded says that the audit log does not take a record.
var errUnrecorded = errors.New("the audit log cannot be written")

func statusOf(err error) int {
	if _, ok := errors.AsType[*wrongCall](err); ok {
		return http.StatusBadRequest
	}
	if errors.Is(err, errUnrecorded) {
		return http.StatusServiceUnavailable
	}
	return 0
}

// decode reads one JSON value with no other fields than those of v.
func decode(r io.Reader, v any) error {
	d := json.NewDecoder(r)
	d.DisallowUnknownFields()
	if err := d.Decode(v); err != nil {
		return err
	}
	if _, err := d.Token(); !errors.Is(err, io.EOF) {
		return errors.New("something follows the JSON value")
	}
	return nil
}

// begin records that something will be changed. Nothing may be before.
func (c *call) begin() error {
	r := c.record
	r.Outcome, r.Duration = "unknown", time.Since(r.Time)
	if err := c.desk.c.Record(&r); err != nil {
		return fmt.Errorf("nothing was done, since %w: %w", errUnrecorded, err)
	}
	c.changed = true
	return nil
}

// end records what became of the call.
func (c *call) end(err error) error {
	if errors.Is(err, errUnrecorded) {
		return err
	}
	r := c.record
	r.Outcome, r.Duration = "success", time.Since(r.Time)
	log := c.desk.c.Log.With("action", r.Action, "by", c.by.String(), "call", r.Call)
	if err != nil {
		r.Outcome, r.Error = "failure", err.Error()
		log.Warn("operator was refused", "err", err)
	} else {
		log.Info("operator")
	}
	e := c.desk.c.Record(&r)
	switch {
	case e == nil:
		return nil
	case c.changed:
		return errors.Join(fmt.Errorf("what became of it is not recorded, since %w: %w; list to see", errUnrecorded, e), err)
	default:
		return fmt.Errorf("nothing was done, since %w: %w", errUnrecorded, e)
	}
}

func reply(w http.ResponseWriter, status int, v any) {
	var b bytes.Buffer
	_ = json.NewEncoder(&b).Encode(v) // types of this package
	w.Header().Set("Content-Type", "application/json")
	w.WriteHeader(status)
	_, _ = w.Write(b.Bytes())
}
