package main

import (
	"errors"
	"fmt"
	"io/fs"
	"log/slog"
	"os"
	"path/filepath"
	"slices"
	"strings"

	"stsgate/policy"
)

// weaker lists the edits that let more pass than before, or let it pass with
// less, each with its place in a file (security.md, POL-05).
func weaker(old, next *policy.Set) policy.Errors {
	gone, edits := policy.Weaker(old, next)
	return slices.Concat(gone, edits)
}

// writableByOthers lists what in a policy directory somebody can change who
// does not own it (security.md, POL-06). What is hidden is not read as policy.
func writableByOthers(dir string) []string {
	var all []string
	files := os.DirFS(dir)
	err := fs.WalkDir(files, ".", func(name string, d fs.DirEntry, err error) error {
		switch {
		case err != nil:
			return err
		case name != "." && strings.HasPrefix(d.Name(), ".") && d.IsDir():
			return fs.SkipDir
		}
		info, err := fs.Stat(files, name)
		if errors.Is(err, fs.ErrNotExist) { // gone meanwhile, or a link to nowhere
			return nil
		}
		if err == nil && info.Mode().Perm()&0o022 != 0 {
			all = append(all, fmt.Sprintf("%s: others than its owner can write it (mode %04o)", fromHere(filepath.Join(dir, name)), info.Mode().Perm()))
		}
		return err
	})
	if err != nil {
		all = append(all, fmt.Sprintf("who can write policy files: %v", err))
	}
	return all
}

// warnOfWriters logs what others can change in the policy directory.
func warnOfWriters(dir string, log *slog.Logger) {
	if all := writableByOthers(dir); len(all) > 0 {
		log.Warn("others than their owner can write policy files", "files", all)
	}
}
