package admin

import (
	"bytes"
	"cmp"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"sync"
	"time"

	"stsgate/gateway/mfa/factor"
	"stsgate/gateway/state"
)

// A Restore asks to take in the backup that follows it.
type Restore struct {
	// Replace makes the enrolments those of the backup, whatever there is.
	Replace bool `json:"replace,omitempty"`
	// Try reads everything and changes nothing.
	Try    bool   `json:"try,omitempty"`
	Reason string `json:"reason"`
}

// A Restored says what became of the records of a backup.
type Restored struct {
	// Time is when the backup was made.
	Time time.Time `json:"time"`
	// Enrolments is how many users have their authenticators from it, and Removed
	// how many that were there had theirs taken away.
	Enrolments int `json:"enrolments"`
	Removed    int `json:"removed"`
	// Others is how many other records were taken in: marks, counters, locks, bans
	// and certificates.
	Others int `json:"others"`
	// Kept is how many were there already and stay, and Over how many have expired.
	Kept int `json:"kept"`
	Over int `json:"over"`
	// Dropped is how many sessions, grants and approvals that were there have ended.
	Dropped int `json:"dropped"`
}

// maxBackup bounds a backup, in bytes.
const maxBackup = 1 << 30

// A restoring is a restore while it is done.
type restoring struct {
	call    *call
	store   *state.Sealed
	answer  Restored
	records []state.Record // opened, in the order of carried
}

func (c *call) restore(r *http.Request) (any, error) {
	_ = http.NewResponseController(c.w).SetReadDeadline(time.Now().Add(storeTime)) // of a net/http server
	_ = http.NewResponseController(c.w).SetWriteDeadline(time.Now().Add(2 * storeTime))
	ctx, done := context.WithTimeout(r.Context(), storeTime)
	defer done()
	if c.desk.c.Store == nil {
		return nil, errNoState
	}
	body := http.MaxBytesReader(nil, r.Body, maxBackup)
	defer io.Copy(io.Discard, body) // a client that still sends does not hear an early answer
	d := json.NewDecoder(body)
	d.DisallowUnknownFields()
	var in Restore
	if err := d.Decode(&in); err != nil {
		return nil, &wrongCall{err}
	}
	if err := c.reason(in.Reason); err != nil {
		return nil, err
	}
	x := &restoring{call: c, store: c.desk.c.Store}
	if err := x.read(d); err != nil {
		return nil, err
	}
	c.record.Records = len(x.records)
	before, err := x.before(ctx, in.Replace || in.Try)
	if err != nil || in.Try {
		return x.answer, err
	}
	if err := c.begin(); err != nil {
		return nil, err
	}
	if err := x.do(ctx, before); err != nil {
		return nil, fmt.Errorf("not all was restored, do it again with --replace: %w", err)
	}
	return x.answer, nil
}

// read reads the whole backup and opens every record, before anything is changed.
func (x *restoring) read(d *json.Decoder) error {
	n, now := 0, time.Now()
	for line := 0; ; line++ {
		var e entry
		if err := d.Decode(&e); errors.Is(err, io.EOF) || errors.Is(err, io.ErrUnexpectedEOF) {
			return errCut
		} else if err != nil {
			return fmt.Errorf("not a backup: %w", err)
		}
		switch {
		case (line == 0) != (e.Header != nil):
			return errors.New("not a backup: no header, or a second one")
		case e.Header != nil && e.Header.Format != backupFormat:
			return fmt.Errorf("a backup of format %d; this gateway reads %d", e.Header.Format, backupFormat)
		case e.Header != nil:
			x.answer.Time = e.Header.Time
		case e.Record != nil:
			n++
			if err := x.add(e.Record, now); err != nil {
				return err
			}
		case e.End == nil || e.End.Records != n:
			return errCut
		default:
			return nil
		}
	}
}

func (x *restoring) add(c *carry, now time.Time) error {
	for _, b := range carried() {
		if b.String() != c.Bucket {
			continue
		}
		key, err := b.ParseKey(c.Path)
		if err != nil {
			return err
		}
		if b.Standing() != c.Expires.IsZero() {
			return fmt.Errorf("%s: not a record of this bucket", key)
		}
		if !c.Expires.IsZero() && !now.Before(c.Expires) {
			x.answer.Over++
			return nil
		}
		r, err := x.store.Opened(state.Record{Key: key, Value: c.Value, Revision: c.Revision, Expires: c.Expires})
		if err == nil && b == state.Enrolments {
			r.Value, err = factor.Restored(r.Key, r.Value, now)
		}
		if err != nil {
			return fmt.Errorf("%w: a backup is opened with the state key with which it was made, which may be the second line of state.key", err)
		}
		x.records = append(x.records, r)
		return nil
	}
	return fmt.Errorf("a record of %q, which no backup has", c.Bucket)
}

// before returns the enrolments that there are. Without replace they are an error,
// and so are bans: a store that has some is in use.
func (x *restoring) before(ctx context.Context, replace bool) (map[state.Key]state.Record, error) {
	have := map[state.Key]state.Record{}
	enrolments, err := x.store.Kept(ctx, state.Enrolments)
	bans, e := x.store.Kept(ctx, state.Bans)
	if err = cmp.Or(err, e); err != nil {
		return nil, fmt.Errorf("read what there is: %w", err)
	}
	if len(enrolments)+len(bans) > 0 && !replace {
		return nil, fmt.Errorf("the store is in use: it has %d enrolments and %d bans; --replace makes the enrolments those of the backup", len(enrolments), len(bans))
	}
	for _, r := range enrolments {
		have[r.Key] = r
	}
	return have, nil
}

// do ends what nobody may go on with, closes what was closed, and then gives
// users what they had. Until it is done nobody gains anything.
func (x *restoring) do(ctx context.Context, before map[state.Key]state.Record) error {
	for _, b := range dropped() {
		if err := x.drop(ctx, b); err != nil {
			return err
		}
	}
	var enrolments []state.Record
	var others []state.Record
	gone := before
	for _, r := range x.records {
		if r.Key.Bucket() != state.Enrolments {
			others = append(others, r)
			continue
		}
		r.Revision = before[r.Key].Revision
		enrolments = append(enrolments, r)
	}
	for _, r := range enrolments {
		delete(gone, r.Key)
	}
	var removed []state.Record
	for _, r := range gone {
		removed = append(removed, r)
	}
	var err error
	if x.answer.Others, err = each(ctx, others, x.close); err != nil {
		return err
	}
	x.answer.Kept = len(others) - x.answer.Others
	if x.answer.Removed, err = each(ctx, removed, x.remove); err != nil {
		return err
	}
	_, err = each(ctx, enrolments, x.enrol)
	for _, r := range enrolments {
		if len(r.Key.Parts()) == 1 {
			x.answer.Enrolments++
		}
	}
	return err
}

func (x *restoring) drop(ctx context.Context, b state.Bucket) error {
	records, err := x.store.Kept(ctx, b)
	if err != nil {
		return err
	}
	n, err := each(ctx, records, x.remove)
	x.answer.Dropped += n
	return err
}

func (x *restoring) remove(ctx context.Context, r state.Record) (bool, error) {
	err := x.store.Delete(ctx, r.Key, r.Revision)
	return err == nil, err
}

// close takes in a record of what nobody is let in by. One that is there stays.
func (x *restoring) close(ctx context.Context, r state.Record) (bool, error) {
	var ttl time.Duration
	if !r.Expires.IsZero() {
		ttl = max(time.Second, time.Until(r.Expires))
	}
	_, err := x.store.Create(ctx, r.Key, r.Value, ttl)
	if errors.Is(err, state.ErrExists) {
		return false, nil
	}
	return err == nil, err
}

func (x *restoring) enrol(ctx context.Context, r state.Record) (bool, error) {
	var err error
	if r.Revision == 0 {
		_, err = x.store.Create(ctx, r.Key, r.Value, 0)
	} else {
		_, err = x.store.CompareAndSwap(ctx, r.Key, r.Revision, r.Value, 0)
	}
	return err == nil, err
}

// atOnce is how many records are written at the same time: they share the syncs
// of the disk.
const atOnce = 16

// each calls f with all records, and returns for how many it said yes, and an
// error of one of them.
func each(ctx context.Context, records []state.Record, f func(context.Context, state.Record) (bool, error)) (int, error) {
	next := make(chan state.Record)
	var mu sync.Mutex
	var yes int
	var failed error
	var workers sync.WaitGroup
	for range atOnce {
		workers.Go(func() {
			for r := range next {
				ok, err := f(ctx, r)
				mu.Lock()
				if err != nil {
					failed = cmp.Or(failed, fmt.Errorf("%s: %w", r.Key, err))
				} else if ok {
					yes++
				}
				mu.Unlock()
			}
		})
	}
	for _, r := range records {
		next <- r
	}
	close(next)
	workers.Wait()
	return yes, failed
}

// Restore sends a backup, as Backup wrote it.
func (c Client) Restore(ctx context.Context, in Restore, backup io.Reader) (*Restored, error) {
	ctx, done := context.WithTimeout(ctx, 2*storeTime)
	defer done()
	answer, err := c.Stream(ctx, RestoreStore, io.MultiReader(bytesOf(in), backup))
	if err != nil {
		return nil, err
	}
	defer answer.Close()
	var out Restored
	if err := decode(answer, &out); err != nil {
		return nil, fmt.Errorf("the gateway's answer: %w", err)
	}
	return &out, nil
}

// bytesOf is a value of this package as JSON.
func bytesOf(v any) io.Reader {
	var b bytes.Buffer
	_ = json.NewEncoder(&b).Encode(v)
	return &b
}
