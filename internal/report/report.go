// Package report writes down what became of a rollout: for people, for programs, for spreadsheets and for
// build servers.
package report

import (
	"cmp"
	"encoding/json"
	"fmt"
	"io"
	"slices"
	"time"

	"github.com/reimage/reimage/rollout"
)

// Version is the version of the JSON format.
const Version = 1

// Report is a rollout as it was at one moment, or as it ended. Its field names are stable.
type Report struct {
	Version   int                      `json:"version"`
	Name      string                   `json:"name"`
	Reason    string                   `json:"reason,omitempty"`
	ImageName string                   `json:"image_name,omitempty"`
	ImageID   string                   `json:"image_id,omitempty"`
	Project   string                   `json:"project,omitempty"`
	Profile   string                   `json:"profile,omitempty"`
	Edition   string                   `json:"edition,omitempty"`
	Phase     rollout.Phase            `json:"phase"`
	End       rollout.RolloutEnd       `json:"end,omitempty"`
	ClosedAs  string                   `json:"closed_as,omitempty"` // how the workflow closed, when not by itself: terminated, failed, canceled, timed-out
	Why       string                   `json:"why,omitempty"`
	StartedBy string                   `json:"started_by,omitempty"`
	StartedAt time.Time                `json:"started_at"`
	EndedAt   time.Time                `json:"ended_at,omitzero"`
	MadeAt    time.Time                `json:"made_at"`
	Counts    rollout.Counts           `json:"counts"`
	Failed    int                      `json:"failed"` // against the budget: accepted ones not included
	Tolerated int                      `json:"tolerated"`
	Waves     []rollout.WaveProgress   `json:"waves"`
	Servers   []rollout.ServerProgress `json:"servers"`
	Log       []rollout.LogEntry       `json:"log"`
}

// New makes a report from the answers of a rollout: its progress, all its servers, and its log.
func New(p rollout.Progress, servers []rollout.ServerProgress, log []rollout.LogEntry, now time.Time) Report {
	return Report{
		Version: Version, Name: p.Name, Reason: p.Reason, ImageName: p.ImageName, ImageID: p.ImageID, Project: p.Project, Profile: p.Profile, Edition: p.Edition,
		Phase: p.Phase, End: p.End, Why: p.Why, StartedBy: p.StartedBy, StartedAt: p.StartedAt, EndedAt: p.EndedAt, MadeAt: now,
		Counts: p.Counts, Failed: p.Failed, Tolerated: p.Tolerated,
		Waves: list(p.Waves), Servers: list(servers), Log: list(log),
	}
}

// list makes sure that nothing is [] and not null.
func list[T any](all []T) []T { return append([]T{}, all...) }

// Format is how a report is written.
type Format string

// The formats.
const (
	Text  Format = "text"
	JSON  Format = "json"
	CSV   Format = "csv"
	JUnit Format = "junit"
)

// Formats are all formats.
func Formats() []Format { return []Format{Text, JSON, CSV, JUnit} }

// String, Set and Type make a format a flag.
func (f *Format) String() string { return string(*f) }

// Type names the kind of value.
func (f *Format) Type() string { return "format" }

// Set accepts a format by its name.
func (f *Format) Set(value string) error {
	if !slices.Contains(Formats(), Format(value)) {
		return fmt.Errorf("the format of a report is text, json, csv or junit")
	}
	*f = Format(value)
	return nil
}

// Write writes the report in the format.
func (r Report) Write(w io.Writer, format Format) error {
	switch format {
	case JSON:
		encoder := json.NewEncoder(w)
		encoder.SetIndent("", "  ")
		return encoder.Encode(r)
	case CSV:
		return r.csv(w)
	case JUnit:
		return r.junit(w)
	}
	return r.text(w)
}

// verdict is the end of a rollout, or what it does.
func (r Report) verdict() string {
	return cmp.Or(string(r.End), r.ClosedAs, string(r.Phase))
}

// took is how long a server took, zero when it never began or has not ended.
func took(s rollout.ServerProgress) time.Duration {
	if s.StartedAt.IsZero() || s.EndedAt.IsZero() {
		return 0
	}
	return max(0, s.EndedAt.Sub(s.StartedAt))
}
