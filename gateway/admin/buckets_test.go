package admin

import (
	"slices"
	"testing"

	"stsgate/gateway/state"
)

// STATE-09, STATE-10: of each bucket is decided what a backup and a restore do.
func TestEveryBucketIsDecided(t *testing.T) {
	for _, b := range state.Buckets() {
		n := 0
		for _, set := range [][]state.Bucket{carried(), dropped(), left()} {
			if slices.Contains(set, b) {
				n++
			}
		}
		if n != 1 {
			t.Errorf("%s is in %d of the sets, want 1", b, n)
		}
	}
}
