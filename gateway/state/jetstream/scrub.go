package jetstream

import (
	"context"
	"errors"
	"fmt"
	"hash/maphash"
	"slices"

	"stsgate/gateway/state"
)

// A Scrubbed is what a scrub of a bucket found (STATE-08).
type Scrubbed struct {
	// Records is how many the fullest server has.
	Records int
	// Servers are those whose copy was read; none without a cluster.
	Servers []string
	// Bad are records that a server cannot read, that the check refused, or that
	// differ between servers.
	Bad []state.Key
}

// A copied is what one server has of a bucket: by path, a hash of the revision
// and the value.
type copied map[string]uint64

// maxPasses bounds how often a copy is read: the cluster chooses which.
const maxPasses = 24

// Scrub reads every record of a bucket from every server, and holds each against
// check and against the others' copies. It keeps 60 bytes of each record in
// memory and costs one read of the bucket on each server.
func (s *Store) Scrub(ctx context.Context, b state.Bucket, check func(state.Record) error) (Scrubbed, error) {
	out := Scrubbed{}
	servers := 1
	if s.c.Cluster != nil {
		servers = s.c.Cluster.Replicas
	}
	copies, seed := map[string]copied{}, maphash.MakeSeed()
	for pass := 0; len(copies) < servers && pass < maxPasses; pass++ {
		server, c, err := s.copied(ctx, b, seed, func(name string) bool { return copies[name] != nil }, func(r state.Record) {
			if err := check(r); err != nil {
				out.bad(r.Key)
			}
		})
		if err != nil {
			return out, err
		}
		if c != nil {
			copies[server] = c
		}
	}
	for name, c := range copies {
		out.Records = max(out.Records, len(c))
		if name != "" {
			out.Servers = append(out.Servers, name)
		}
	}
	slices.Sort(out.Servers)
	if len(copies) < servers {
		return out, fmt.Errorf("%w: only %v were read", state.ErrUnavailable, out.Servers)
	}
	return out, s.compare(ctx, b, seed, copies, &out)
}

func (o *Scrubbed) bad(k state.Key) {
	if !slices.Contains(o.Bad, k) {
		o.Bad = append(o.Bad, k)
	}
}

// copied reads the bucket from the server that the cluster chose, unless that was
// read before: then it returns nil.
func (s *Store) copied(ctx context.Context, b state.Bucket, seed maphash.Seed, before func(string) bool, each func(state.Record)) (string, copied, error) {
	from, err := s.copier(ctx, b)
	if err != nil {
		return "", nil, err
	}
	if before(from.server) {
		from.close()
		return from.server, nil, nil
	}
	c := copied{}
	_, err = from.run(ctx, b.Key(), func(e state.Event) bool {
		switch {
		case e.Kind == state.Put && !over(e.Record.Expires):
			c[e.Record.Key.Path()] = digest(seed, e.Record)
			each(e.Record)
		case e.Kind == state.Gone:
			delete(c, e.Record.Key.Path())
		case e.Kind == state.Corrupt:
			c[e.Record.Key.Path()] = 0
			each(state.Record{Key: e.Record.Key})
		}
		return true
	})
	return from.server, c, err
}

func digest(seed maphash.Seed, r state.Record) uint64 {
	var h maphash.Hash
	h.SetSeed(seed)
	maphash.WriteComparable(&h, r.Revision)
	h.Write(r.Value)
	return h.Sum64()
}

// compare finds what differs between copies and is not because it changed since:
// then the leader has what none of the copies lacks.
func (s *Store) compare(ctx context.Context, b state.Bucket, seed maphash.Seed, copies map[string]copied, out *Scrubbed) error {
	differ := map[string]bool{}
	for _, one := range copies {
		for _, other := range copies {
			for path, sum := range one {
				if other[path] != sum {
					differ[path] = true
				}
			}
		}
	}
	for path := range differ {
		k, err := b.ParseKey(path)
		if err != nil {
			return err
		}
		r, err := s.Get(ctx, k)
		if errors.Is(err, state.ErrNotFound) {
			continue // deleted or expired since; one that is lost is not told from that
		}
		if err != nil && !errors.Is(err, state.ErrCorrupt) {
			return err
		}
		if err != nil || agreed(copies, path, digest(seed, r)) {
			out.bad(k)
		}
	}
	return nil
}

// agreed tells that a copy has what the leader has now, so that the record did
// not change since and another copy is wrong.
func agreed(copies map[string]copied, path string, sum uint64) bool {
	for _, c := range copies {
		if c[path] == sum {
			return true
		}
	}
	return false
}
