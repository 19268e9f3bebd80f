package state

import (
	"fmt"
	"slices"
	"strings"
	"time"
)

// held are the records of a mirror.
type held struct {
	// records are by the first part of their path, under which most are looked
	// for together: a user's, an address's.
	records map[string]map[string]mirrored
	// due holds keys by the second in which they are looked at again; each key
	// that may expire is in it.
	due   map[int64][]Key
	swept int64 // the last second that was looked at
}

type mirrored struct {
	record  Record
	corrupt bool
}

func newHeld() *held {
	return &held{records: map[string]map[string]mirrored{}, due: map[int64][]Key{}, swept: time.Now().Unix() - 1}
}

func (e *mirrored) expired(now time.Time) bool {
	return !e.record.Expires.IsZero() && !now.Before(e.record.Expires)
}

func head(path string) string {
	h, _, _ := strings.Cut(path, ".")
	return h
}

func (h *held) put(r Record, corrupt bool) {
	under := h.records[head(r.Key.path)]
	if under == nil {
		under = map[string]mirrored{}
		h.records[head(r.Key.path)] = under
	}
	before := under[r.Key.path].record
	// A record that was put back replaces an older revision than the one that
	// is here (STATE-08).
	corrupt = corrupt || r.Replaces > 0 && r.Replaces < before.Revision
	under[r.Key.path] = mirrored{r, corrupt}
	if !r.Expires.IsZero() && before.Expires.IsZero() {
		h.lookAgain(r)
	}
}

func (h *held) lookAgain(r Record) {
	second := max(r.Expires.Unix()+1, h.swept+1)
	h.due[second] = append(h.due[second], r.Key)
}

func (h *held) remove(k Key) {
	under := h.records[head(k.path)]
	delete(under, k.path)
	if len(under) == 0 {
		delete(h.records, head(k.path))
	}
}

// expire removes what has expired.
func (h *held) expire(now time.Time) {
	for h.swept < now.Unix() {
		h.swept++
		keys := h.due[h.swept]
		delete(h.due, h.swept)
		for _, k := range keys {
			e := h.records[head(k.path)][k.path]
			if e.expired(now) {
				h.remove(k)
			} else if !e.record.Expires.IsZero() {
				h.lookAgain(e.record)
			}
		}
	}
}

func (h *held) get(key Key, now time.Time) (Record, error) {
	e, ok := h.records[head(key.path)][key.path]
	if !ok || e.record.Key != key || e.expired(now) {
		return Record{}, ErrNotFound
	}
	if e.corrupt {
		return Record{}, ErrCorrupt
	}
	return e.record, nil
}

func (h *held) list(prefix Key, now time.Time) ([]Record, error) {
	within := h.records
	if prefix.path != "" {
		within = map[string]map[string]mirrored{"": h.records[head(prefix.path)]}
	}
	var all []Record
	for _, under := range within {
		for _, e := range under {
			if !prefix.Covers(e.record.Key) || e.expired(now) {
				continue
			}
			if e.corrupt {
				return nil, fmt.Errorf("%w: %s", ErrCorrupt, e.record.Key)
			}
			all = append(all, e.record)
		}
	}
	slices.SortFunc(all, func(a, b Record) int { return strings.Compare(a.Key.path, b.Key.path) })
	return all, nil
}
