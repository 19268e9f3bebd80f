package main

import (
	"fmt"
	"runtime"
	"runtime/debug"
)

// version is set by the linker for a release; a build from a checkout says
// which commit it is of.
var version = ""

type versionCmd struct{}

// Help shows examples.
func (versionCmd) Help() string { return "Example:\n  stsgate version" }

// Run prints the version.
func (versionCmd) Run(c *console) error {
	_, err := fmt.Fprintf(c.out, "stsgate %s %s %s/%s\n", buildVersion(), runtime.Version(), runtime.GOOS, runtime.GOARCH)
	return err
}

func buildVersion() string {
	if version != "" {
		return version
	}
	b, ok := debug.ReadBuildInfo()
	if !ok {
		return "unknown"
	}
	for _, s := range b.Settings {
		if s.Key == "vcs.revision" && len(s.Value) >= 12 {
			return "devel-" + s.Value[:12]
		}
	}
	return "devel"
}
