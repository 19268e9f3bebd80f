package policy

import "io/fs"

// LoadUnlinted is Load for sets whose rules make no sense, which random ones do
// not.
func LoadUnlinted(fsys fs.FS, v Vocabulary) (*Set, error) {
	return load(fsys, v, func(*loader) {})
}
