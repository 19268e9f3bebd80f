package audit

import (
	"bytes"
	"crypto/ed25519"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"strconv"
	"time"
)

// A hash is that of a line: SHA-256 over its bytes before ,"event.hash". They
// end with the hash of the line before.
type hash [sha256.Size]byte

// A link is what the end of a line says about its place in the chain.
type link struct {
	sequence uint64
	previous hash
	hash     hash
}

// A chain is the end of the log, to which lines are added. It is a value: one
// that was not written is dropped.
type chain struct {
	constant []byte // the fields that are the same on each line
	clock    []byte // those that tell of the clock
	origin   string
	key      ed25519.PrivateKey

	last   link      // zero before the first line
	since  int       // lines since the latest checkpoint
	sealed time.Time // when that was or, without one, when the first line came
	seal   bool      // a checkpoint comes next, whatever else
	torn   *torn     // what is to be said before the next line
	gap    *gap      // so is this

	checkpoints [][]byte // those that were added since this was emptied
}

// Checkpoints come after so many lines, or after so long with any.
const (
	checkpointLines = 1000
	checkpointTime  = time.Minute
)

func newChain(host, origin string, key ed25519.PrivateKey) chain {
	name, _ := json.Marshal(clean(host)) // a string is always encoded
	return chain{constant: append([]byte(`,"host.name":`), name...), origin: origin, key: key}
}

// unsealed tells that there are lines that no checkpoint vouches for.
func (c *chain) unsealed() bool { return c.key != nil && c.since > 0 }

// due tells that they have waited long enough.
func (c *chain) due(now time.Time) bool { return c.unsealed() && now.Sub(c.sealed) >= checkpointTime }

// append adds lines to dst as they are written: with their place in the chain,
// and with checkpoints between them as they come due.
func (c *chain) append(dst []byte, lines [][]byte, now time.Time) []byte {
	if c.torn != nil {
		dst = c.appendTorn(dst, now)
	}
	if c.gap != nil {
		dst = c.appendGap(dst, now)
	}
	for _, line := range lines {
		dst = c.appendSeal(dst, now)
		dst = c.add(dst, line)
		if c.since++; c.since == 1 {
			c.sealed = now
		}
	}
	return c.appendSeal(dst, now)
}

// appendSeal adds a checkpoint if it is time.
func (c *chain) appendSeal(dst []byte, now time.Time) []byte {
	if c.key == nil || c.since < checkpointLines && !c.seal {
		return dst
	}
	start := len(dst)
	dst = c.add(dst, newCheckpoint(c, now))
	c.since, c.seal = 0, false
	c.checkpoints = append(c.checkpoints, bytes.Clone(dst[start:]))
	return dst
}

// The names of what stands at the end of each line, in this order.
const (
	sequenceField = `,"event.sequence":`
	previousField = `,"labels.previous_hash":"`
	hashField     = `,"event.hash":"`
)

// add adds one line, an object that ends with } and a newline.
func (c *chain) add(dst, line []byte) []byte {
	start := len(dst)
	dst = append(dst, line[:len(line)-2]...)
	dst = append(dst, c.constant...)
	dst = append(dst, c.clock...)
	dst = append(dst, sequenceField...)
	dst = strconv.AppendUint(dst, c.last.sequence+1, 10)
	dst = append(dst, previousField...)
	dst = hex.AppendEncode(dst, c.last.hash[:])
	dst = append(dst, '"')
	c.last = link{c.last.sequence + 1, c.last.hash, sha256.Sum256(dst[start:])}
	dst = append(dst, hashField...)
	dst = hex.AppendEncode(dst, c.last.hash[:])
	return append(dst, "\"}\n"...)
}

// readLink reads the place of a line, which may end with its newline, and tells
// that the line is what its hash says.
func readLink(line []byte) (link, bool) {
	const hexHash = 2 * sha256.Size
	line = bytes.TrimSuffix(line, []byte("\n"))
	rest, ok := bytes.CutSuffix(line, []byte(`"}`))
	if !ok || len(rest) < len(sequenceField)+1+len(previousField)+hexHash+1+len(hashField)+hexHash || rest[0] != '{' {
		return link{}, false
	}
	var l link
	text := rest[len(rest)-hexHash:]
	if rest, ok = bytes.CutSuffix(rest[:len(rest)-hexHash], []byte(hashField)); !ok {
		return link{}, false
	}
	l.hash = sha256.Sum256(rest)
	var own [hexHash]byte
	hex.Encode(own[:], l.hash[:])
	if !bytes.Equal(own[:], text) {
		return link{}, false
	}
	if rest, ok = bytes.CutSuffix(rest, []byte(`"`)); !ok || len(rest) < hexHash {
		return link{}, false
	}
	if _, err := hex.Decode(l.previous[:], rest[len(rest)-hexHash:]); err != nil {
		return link{}, false
	}
	if rest, ok = bytes.CutSuffix(rest[:len(rest)-hexHash], []byte(previousField)); !ok {
		return link{}, false
	}
	at := bytes.LastIndex(rest, []byte(sequenceField))
	if at < 0 {
		return link{}, false
	}
	var err error
	l.sequence, err = strconv.ParseUint(string(rest[at+len(sequenceField):]), 10, 64)
	return l, err == nil && l.sequence > 0
}

// follows tells that l is the line after previous, which is zero before the
// first.
func (l *link) follows(previous link) bool {
	return l.sequence == previous.sequence+1 && l.previous == previous.hash
}
