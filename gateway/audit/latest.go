package audit

import (
	"bytes"
	"context"
	"slices"
)

// window is how much is read before looking whether enough was found, in bytes.
const window = 8 << 20

// Latest returns the last lines of a log that contain all of some texts, at most
// so many, the latest first. It looks from the end at no more than so many bytes
// of the files, and no further than it must. The error may be the context's.
func Latest(ctx context.Context, files []string, within int64, most int, texts ...string) ([][]byte, error) {
	all, err := openSegments(files)
	if err != nil {
		return nil, err
	}
	defer closeSegments(all)
	s := search{most: most}
	for _, t := range texts {
		s.texts = append(s.texts, []byte(t))
	}
	for _, g := range slices.Backward(all) {
		first := max(0, g.size-within)
		for end := g.size; end > first && len(s.found) < most; end -= window {
			if err := ctx.Err(); err != nil {
				return nil, err
			}
			if err := s.look(g, max(first, end-window), end); err != nil {
				return nil, err
			}
		}
		within -= g.size
		if within <= 0 || len(s.found) >= most {
			break
		}
	}
	return s.found, nil
}

// A search goes backwards through a log.
type search struct {
	most  int
	texts [][]byte
	found [][]byte
}

// look adds the lines that begin in a part of a segment, from its end.
func (s *search) look(g *segment, start, end int64) error {
	var here [][]byte
	err := g.between(start, end, func(line []byte) bool {
		if !slices.ContainsFunc(s.texts, func(t []byte) bool { return !bytes.Contains(line, t) }) {
			here = append(here, bytes.Clone(line))
			here = here[max(0, len(here)+len(s.found)-s.most):]
		}
		return true
	})
	slices.Reverse(here)
	s.found = append(s.found, here...)
	return err
}
