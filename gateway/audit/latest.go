package audit

import (
	"bytes"
	"slices"
)

// Latest returns the last lines of a log that contain all of some texts, at most
// so many, the latest first. It looks at the last so many bytes of the files.
func Latest(files []string, within int64, most int, texts ...string) ([][]byte, error) {
	all, err := openSegments(files)
	if err != nil {
		return nil, err
	}
	defer closeSegments(all)
	var found [][]byte
	for _, g := range slices.Backward(all) {
		var here [][]byte
		if err := g.lines(max(0, g.size-within), func(line []byte) bool {
			if !slices.ContainsFunc(texts, func(t string) bool { return !bytes.Contains(line, []byte(t)) }) {
				here = append(here, bytes.Clone(line))
				here = here[max(0, len(here)-most):]
			}
			return true
		}); err != nil {
			return nil, err
		}
		slices.Reverse(here)
		found = append(found, here...)
		within -= g.size
		if within <= 0 || len(found) >= most {
			break
		}
	}
	return found[:min(len(found), most)], nil
}
