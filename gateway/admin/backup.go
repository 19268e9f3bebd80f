package admin

import (
	"bufio"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"time"

	"stsgate/gateway/state"
)

// carried are the buckets that are in a backup. What closes (marks, counters,
// locks, bans) is in it, since to restore that lets nobody in.
func carried() []state.Bucket {
	return []state.Bucket{state.Marks, state.Counters, state.Locks, state.Bans, state.Enrolments, state.ACME}
}

// dropped are the buckets that a restore empties: they hold what was proven or is
// waited for, which no backup brings back.
func dropped() []state.Bucket { return []state.Bucket{state.Sessions, state.Grants, state.Approvals} }

// left are the buckets that are neither: users are told once.
func left() []state.Bucket { return []state.Bucket{state.Notices} }

// backupFormat is the version of the form: lines of JSON, each an entry with one
// field: a header, records, and an end, without which it was cut off.
const backupFormat = 1

type entry struct {
	Header *header `json:"header,omitempty"`
	Record *carry  `json:"record,omitempty"`
	End    *end    `json:"end,omitempty"`
}

type header struct {
	Format int       `json:"stsgate_backup"`
	Time   time.Time `json:"time"`
}

// A carry is a record as the store keeps it: sealed with the state key, which is
// not in a backup.
type carry struct {
	Bucket   string    `json:"bucket"`
	Path     string    `json:"path"`
	Revision uint64    `json:"revision"`
	Value    []byte    `json:"value"`
	Expires  time.Time `json:"expires,omitzero"`
}

type end struct {
	Records int `json:"records"`
}

// storeTime bounds the calls that move a whole store.
const storeTime = 15 * time.Minute

// A stream is an answer that is written piece by piece.
type stream func(io.Writer) error

// errNoState says that there is nothing to back up, nor anywhere to restore to.
var errNoState = errors.New("this gateway keeps its state in memory: set state in its configuration")

// backup reads every record before the first is told: what is recorded is what
// is told.
func (c *call) backup(ctx context.Context, _ *Nothing) (any, error) {
	store := c.desk.c.Store
	if store == nil {
		return nil, errNoState
	}
	at := time.Now().UTC()
	var all []entry
	for _, b := range carried() {
		records, err := store.Kept(ctx, b)
		if err != nil {
			return nil, fmt.Errorf("read the %s: %w", b, err)
		}
		for _, r := range records {
			all = append(all, entry{Record: &carry{Bucket: b.String(), Path: r.Key.Path(), Revision: r.Revision, Value: r.Value, Expires: r.Expires}})
		}
	}
	c.record.Records = len(all)
	return stream(func(w io.Writer) error {
		e := json.NewEncoder(w)
		err := e.Encode(entry{Header: &header{Format: backupFormat, Time: at}})
		for i := 0; i < len(all) && err == nil; i++ {
			err = e.Encode(all[i])
		}
		if err != nil {
			return err
		}
		return e.Encode(entry{End: &end{Records: len(all)}})
	}), nil
}

// send writes a stream as the answer. A client that does not read it, or reads a
// part, knows that by its end.
func (s stream) send(w http.ResponseWriter) {
	_ = http.NewResponseController(w).SetWriteDeadline(time.Now().Add(storeTime)) // of a net/http server
	w.Header().Set("Content-Type", "application/jsonl")
	b := bufio.NewWriterSize(w, 64<<10)
	if s(b) == nil {
		_ = b.Flush()
	}
}

// Backup writes a backup to w, in plain but for what the store seals, and returns
// how many records it has.
func (c Client) Backup(ctx context.Context, w io.Writer) (records int, err error) {
	ctx, done := context.WithTimeout(ctx, storeTime)
	defer done()
	answer, err := c.Stream(ctx, Backup, bytesOf(Nothing{}))
	if err != nil {
		return 0, err
	}
	defer answer.Close()
	d := json.NewDecoder(io.TeeReader(answer, w))
	for n := 0; ; n++ {
		var e entry
		switch err := d.Decode(&e); {
		case errors.Is(err, io.EOF), errors.Is(err, io.ErrUnexpectedEOF):
			return 0, errCut
		case err != nil:
			return 0, fmt.Errorf("the gateway's answer: %w", err)
		case e.End == nil:
			continue
		case e.End.Records != n-1:
			return 0, errCut
		}
		if _, err := io.Copy(w, answer); err != nil {
			return 0, err
		}
		return e.End.Records, nil
	}
}

// errCut says that a backup has no end.
var errCut = errors.New("the backup was cut off")
