// Package buildinfo reports which build of reimage runs.
package buildinfo

import (
	"cmp"
	"runtime/debug"
	"strings"
)

// The linker sets these where there is no repository to read them from, as in a container image:
//
//	go build -ldflags "-X github.com/reimage/reimage/internal/buildinfo.version=v0.1.0"
var version, commit, date string

// Info identifies a build. A part that was not recorded is empty, except Version.
type Info struct {
	Version string // a release such as v0.1.0, or devel
	Commit  string // with the suffix -dirty for a tree with changes
	Date    string // of the commit, RFC 3339
}

// Read returns the values of the linker, and for those it did not set the records of the Go toolchain.
func Read() Info {
	recorded, ok := debug.ReadBuildInfo()
	if !ok {
		recorded = &debug.BuildInfo{}
	}
	return merge(Info{Version: version, Commit: commit, Date: date}, recorded)
}

func merge(linked Info, recorded *debug.BuildInfo) Info {
	settings := map[string]string{}
	for _, setting := range recorded.Settings {
		settings[setting.Key] = setting.Value
	}
	revision := settings["vcs.revision"]
	if revision != "" && settings["vcs.modified"] == "true" {
		revision += "-dirty"
	}
	return Info{
		Version: cmp.Or(linked.Version, strings.Trim(recorded.Main.Version, "()"), "devel"),
		Commit:  cmp.Or(linked.Commit, revision),
		Date:    cmp.Or(linked.Date, settings["vcs.time"]),
	}
}

// String is one line, for instance "v0.1.0, commit 19dfe68, 2026-12-01T04:00:00Z".
func (i Info) String() string {
	parts := []string{i.Version}
	if i.Commit != "" {
		parts = append(parts, "commit "+i.Commit)
	}
	if i.Date != "" {
		parts = append(parts, i.Date)
	}
	return strings.Join(parts, ", ")
}
