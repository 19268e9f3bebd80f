package audit

import (
	"bytes"
	"crypto/ed25519"
	"crypto/sha256"
	"encoding/base64"
	"encoding/json"
	"errors"
	"fmt"
	"strconv"
	"strings"
	"time"
)

// A Checkpoint vouches for all lines up to one. Its text is that of a
// transparency log's checkpoint with the hash of the line in the place of the
// tree's, and a line with the time; it is signed as a note
// (c2sp.org/tlog-checkpoint, c2sp.org/signed-note).
type Checkpoint struct {
	// Origin names the log.
	Origin string
	// Sequence is the number of the last line, and Hash its event.hash.
	Sequence uint64
	Hash     [sha256.Size]byte
	Time     time.Time

	note string // as read
}

// actionCheckpoint is the event.action of a checkpoint's record.
const actionCheckpoint = "audit-checkpoint"

// A checkpointRecord is the record of a checkpoint.
type checkpointRecord struct {
	// When it was made, UTC.
	Time string `json:"@timestamp"`
	// audit-checkpoint.
	Action string `json:"event.action"`
	// success.
	Outcome string `json:"event.outcome"`
	// ok.
	Reason string `json:"event.reason"`
	// The checkpoint: a signed note over all lines before this one.
	Note string `json:"labels.checkpoint"`
}

// newCheckpoint returns the record of a checkpoint for what c has.
func newCheckpoint(c *chain, now time.Time) []byte {
	p := Checkpoint{Origin: c.origin, Sequence: c.last.sequence, Hash: c.last.hash, Time: now}
	return checkpointLine(now, p.sign(c.key))
}

func checkpointLine(at time.Time, note string) []byte {
	return ownLine(&checkpointRecord{stamp(at), actionCheckpoint, "success", "ok", note})
}

// ownLine encodes a record of the log's own, of texts and numbers, which always
// can be.
func ownLine(r any) []byte {
	b, _ := json.Marshal(r)
	return append(b, '\n')
}

// isCheckpoint tells that a line of the chain is the record of a checkpoint. No
// client writes in what precedes event.action.
func isCheckpoint(line []byte) bool {
	return bytes.Contains(line[:min(len(line), 128)], []byte(`,"event.action":"`+actionCheckpoint+`"`))
}

func (c Checkpoint) sign(key ed25519.PrivateKey) string {
	text := fmt.Sprintf("%s\n%d\n%s\n%s\n", c.Origin, c.Sequence, base64.StdEncoding.EncodeToString(c.Hash[:]), stamp(c.Time))
	id := keyID(c.Origin, key.Public().(ed25519.PublicKey))
	signature := append(id[:], ed25519.Sign(key, []byte(text))...)
	return text + "\n" + signaturePrefix + c.Origin + " " + base64.StdEncoding.EncodeToString(signature) + "\n"
}

const signaturePrefix = "— "

// keyID is the hash of a key's name and itself that stands before a signature.
func keyID(name string, key ed25519.PublicKey) (id [4]byte) {
	const ed25519Algorithm = 0x01
	sum := sha256.Sum256(append([]byte(name+"\n"), append([]byte{ed25519Algorithm}, key...)...))
	copy(id[:], sum[:])
	return id
}

var (
	errNote      = errors.New("is not a checkpoint")
	errSignature = errors.New("is not signed by the key")
)

// readCheckpoint reads the note in a checkpoint's line, and checks its signature
// unless key is nil.
func readCheckpoint(line []byte, key ed25519.PublicKey) (Checkpoint, error) {
	var r struct {
		Action string `json:"event.action"`
		Note   string `json:"labels.checkpoint"`
	}
	if err := json.Unmarshal(line, &r); err != nil || r.Action != actionCheckpoint {
		return Checkpoint{}, errNote
	}
	text, signature, ok := strings.Cut(r.Note, "\n\n")
	fields := strings.Split(text, "\n")
	if !ok || len(fields) != 4 {
		return Checkpoint{}, errNote
	}
	c := Checkpoint{Origin: fields[0], note: r.Note}
	var err error
	if c.Sequence, err = strconv.ParseUint(fields[1], 10, 64); err != nil {
		return Checkpoint{}, errNote
	}
	if h, err := base64.StdEncoding.DecodeString(fields[2]); err != nil || copy(c.Hash[:], h) != len(c.Hash) || len(h) != len(c.Hash) {
		return Checkpoint{}, errNote
	}
	if c.Time, err = time.Parse(time.RFC3339Nano, fields[3]); err != nil {
		return Checkpoint{}, errNote
	}
	if key != nil && !c.signed(text+"\n", signature, key) {
		return Checkpoint{}, errSignature
	}
	return c, nil
}

func (c *Checkpoint) signed(text, line string, key ed25519.PublicKey) bool {
	line, ok := strings.CutPrefix(line, signaturePrefix+c.Origin+" ")
	b, err := base64.StdEncoding.DecodeString(strings.TrimSuffix(line, "\n"))
	id := keyID(c.Origin, key)
	return ok && err == nil && len(b) == len(id)+ed25519.SignatureSize && bytes.Equal(b[:len(id)], id[:]) &&
		ed25519.Verify(key, []byte(text), b[len(id):])
}
