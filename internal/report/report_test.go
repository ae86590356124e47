package report_test

import (
	"bytes"
	"encoding/csv"
	"encoding/json"
	"encoding/xml"
	"flag"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/reimage/reimage/internal/report"
	"github.com/reimage/reimage/rollout"
)

var update = flag.Bool("update", false, "write the golden files anew")

var noon = time.Date(2026, 9, 1, 12, 0, 0, 0, time.UTC)

const (
	oldImage = "0a7c1e52-58c4-4a2b-9d0e-3f6b7c8d9e0f"
	newImage = "7d3c9f60-3f0b-4a57-8a1d-0f4be2f1c9d2"
	oldDisk  = "11111111-2222-4333-8444-555555555555"
	newDisk  = "66666666-7777-4888-9999-aaaaaaaaaaaa"
	nextDisk = "bbbbbbbb-cccc-4ddd-8eee-ffffffffffff" // after a rollback
)

func server(name, wave string, end rollout.ServerEnd, reason string) rollout.ServerProgress {
	s := rollout.ServerProgress{
		ID: "id-of-" + name, Name: name, Zone: "eu-de-01", Wave: wave, State: rollout.Ended, End: end, Reason: reason, Attempts: 1,
		StartedAt: noon, EndedAt: noon.Add(5 * time.Minute),
		Before: rollout.Fingerprint{ImageID: oldImage, VolumeID: oldDisk}, After: rollout.Fingerprint{ImageID: newImage, VolumeID: newDisk},
	}
	switch end {
	case rollout.Skipped, rollout.NotStarted:
		s.Attempts, s.After, s.StartedAt, s.EndedAt = 0, rollout.Fingerprint{}, time.Time{}, time.Time{}
	case rollout.FailedIntact:
		s.After = s.Before
	case rollout.Vanished:
		s.After = rollout.Fingerprint{}
	case rollout.Restored:
		s.RollingBack, s.After = true, rollout.Fingerprint{ImageID: oldImage, VolumeID: nextDisk}
	}
	return s
}

// finished is a rollout with a server of every end.
func finished() report.Report {
	accepted := server("web-04", "rest", rollout.FailedIntact, "the old system disk is still there (status SHUTOFF when it was judged)")
	accepted.Accepted, accepted.Attempts = true, 3
	refused := server("web-09", "rest", rollout.NotStarted, "it is locked")
	refused.Attempts = 1
	retried := server("web-02", "canary", rollout.Done, "runs the image on a new system disk")
	retried.Attempts = 2
	servers := []rollout.ServerProgress{
		server("web-01", "canary", rollout.Done, "runs the image on a new system disk"),
		retried,
		server("web-03", "rest", rollout.FailedChanged, "it has the image on a new system disk, but does not run (status ERROR)"),
		accepted,
		server("web-05", "rest", rollout.FailedLost, "it has no system disk (status ERROR)"),
		server("web-06", "rest", rollout.Vanished, "the cloud no longer knows this server"),
		server("web-07", "rest", rollout.Skipped, "skipped by ina"),
		server("web-08", "rest", rollout.Restored, "has its previous image again: runs the image on a new system disk"),
		refused,
		server("web-10", "rest", rollout.NotStarted, "aborted by ina"),
	}
	p := rollout.Progress{
		Name: "web-fleet", Reason: "CVE-2026-4711", ImageName: "Ubuntu 24.04", ImageID: newImage, Project: "p", Profile: "web", Edition: "otc", StartedBy: "ina",
		Phase: rollout.PhaseEnded, End: rollout.Aborted, Why: "ended: aborted",
		Counts: rollout.Counts{Servers: 10, Done: 2, Failed: 5, Skipped: 1, RolledBack: 1, NotStarted: 1},
		Waves: []rollout.WaveProgress{
			{Name: "canary", Counts: rollout.Counts{Servers: 2, Done: 2}, ApprovedBy: "ben", BakeEndedBy: "ben"},
			{Name: "rest", Counts: rollout.Counts{Servers: 8, Failed: 5, Skipped: 1, RolledBack: 1, NotStarted: 1}},
		},
		Failed: 4, Tolerated: 3, StartedAt: noon, EndedAt: noon.Add(20 * time.Minute),
	}
	log := []rollout.LogEntry{{At: noon, By: "ina", What: "started: 10 servers in 2 waves"}, {At: noon.Add(time.Minute), What: "wave canary is over"}, {At: noon.Add(2 * time.Minute), By: "ben", What: "approved what follows wave canary: looks good"}}
	return report.New(p, servers, log, noon.Add(time.Hour))
}

func running() report.Report {
	r := finished()
	r.Phase, r.End, r.Why, r.EndedAt = rollout.PhaseRunning, "", "wave rest: 1 server in flight, 1 pending", time.Time{}
	r.Servers = []rollout.ServerProgress{r.Servers[0], {ID: "id-of-web-02", Name: "web-02", Wave: "rest", State: rollout.InFlight, Attempts: 1, StartedAt: noon}, {ID: "id-of-web-03", Wave: "rest", State: rollout.Pending}}
	return r
}

// rolledBack is a rollout whose every change was taken back, that of the server which failed too.
func rolledBack() report.Report {
	r := finished()
	r.End, r.Why = rollout.RolledBack, "ended: rolled-back"
	r.Counts = rollout.Counts{Servers: 3, RolledBack: 2, NotStarted: 1}
	r.Servers = []rollout.ServerProgress{
		server("web-01", "canary", rollout.Restored, "has its previous image again: runs the image on a new system disk"),
		server("web-03", "rest", rollout.Restored, "has its previous image again: runs the image on a new system disk"),
		server("web-10", "rest", rollout.NotStarted, "the rollout was rolled back before its turn"),
	}
	r.Log = append(r.Log, rollout.LogEntry{At: noon.Add(10 * time.Minute), What: "rolling back: 1 server failed and 0 tolerated: web-03"})
	return r
}

// terminated is a rollout whose workflow was terminated while it ran.
func terminated() report.Report {
	r := running()
	r.ClosedAs, r.Why = "terminated", "its workflow did not end by itself (terminated), and the servers may have gone on since"
	return r
}

func write(t *testing.T, r report.Report, format report.Format) string {
	t.Helper()
	var out bytes.Buffer
	require.NoError(t, r.Write(&out, format))
	return out.String()
}

func TestFormats(t *testing.T) {
	for name, r := range map[string]report.Report{"finished": finished(), "rolled-back": rolledBack(), "running": running(), "terminated": terminated(), "empty": report.New(rollout.Progress{}, nil, nil, noon)} {
		for _, format := range report.Formats() {
			t.Run(name+" "+string(format), func(t *testing.T) {
				got := write(t, r, format)
				path := filepath.Join("testdata", name+"."+string(format))
				if *update {
					require.NoError(t, os.MkdirAll("testdata", 0o755))
					require.NoError(t, os.WriteFile(path, []byte(got), 0o644))
				}
				want, err := os.ReadFile(path)
				require.NoError(t, err)
				assert.Equal(t, string(want), got)
			})
		}
	}
}

// TestNamesAreStable: programs read the JSON, so a name may join but none may go.
func TestNamesAreStable(t *testing.T) {
	var object map[string]json.RawMessage
	require.NoError(t, json.Unmarshal([]byte(write(t, finished(), report.JSON)), &object))
	for _, name := range []string{
		"version", "name", "reason", "image_name", "project", "phase", "end", "why", "started_by", "started_at", "ended_at", "made_at",
		"counts", "failed", "tolerated", "waves", "servers", "log",
	} {
		assert.Contains(t, object, name)
	}
	var back report.Report
	require.NoError(t, json.Unmarshal([]byte(write(t, finished(), report.JSON)), &back))
	assert.Equal(t, finished(), back)
}

// hostile are texts that a cloud or an operator may hold.
var hostile = []string{
	"=HYPERLINK(\"http://evil\",\"x\")", "+1+1", "-2+3", "@SUM(A1)", "\t=1", "\r=1", "  =1", "\n=1", "＝1", "\u200b=1",
	"comma, \"quote\" and\nline", "]]> <failure/> & </testcase>", "\x00\x01\x1b[2J\ufffe", "not \xff UTF-8", "a\u2028b\u202e", "\u009b31mred", strings.Repeat("long ", 2000),
}

func withText(text string) report.Report {
	r := finished()
	r.Name, r.Reason, r.Log[0].What, r.Log[0].By = text, text, text, text
	for i := range r.Servers {
		r.Servers[i].Name, r.Servers[i].Reason, r.Servers[i].Group = text, text, text
	}
	return r
}

// TestRolledBackIsNotUnchanged: a server that was rolled back has lost two disks, and may have failed first.
func TestRolledBackIsNotUnchanged(t *testing.T) {
	_, text, _ := strings.Cut(write(t, rolledBack(), report.Text), "\nWaves\n")
	text, unchanged, _ := strings.Cut(text, "Servers that were not changed")
	assert.NotContains(t, text, "No server failed")
	assert.Contains(t, text, "web-03 (id-of-web-03)")
	assert.Contains(t, text, "system disk  "+oldDisk+" -> "+nextDisk)
	assert.NotContains(t, unchanged, "id-of-web-03")
}

// TestNoCellIsAFormula: what a spreadsheet would run gets an apostrophe, and everything stays in its cell.
func TestNoCellIsAFormula(t *testing.T) {
	for _, text := range hostile {
		rows, err := csv.NewReader(strings.NewReader(write(t, withText(text), report.CSV))).ReadAll()
		require.NoError(t, err)
		require.Len(t, rows, 11)
		for _, row := range rows[1:] {
			require.Len(t, row, 17)
			for _, cell := range row {
				begins := strings.TrimLeft(cell, " \t\r\n\u200b")
				assert.False(t, strings.HasPrefix(begins, "=") || strings.HasPrefix(begins, "+") || strings.HasPrefix(begins, "-") || strings.HasPrefix(begins, "@"), "%q", cell)
			}
		}
	}
	rows, err := csv.NewReader(strings.NewReader(write(t, withText("web-01"), report.CSV))).ReadAll()
	require.NoError(t, err)
	assert.Equal(t, "web-01", rows[1][1], "a harmless text is left as it is")
}

// TestJUnitIsWellFormed, whatever the texts, and adds up.
func TestJUnitIsWellFormed(t *testing.T) {
	type counts struct {
		Tests    int `xml:"tests,attr"`
		Failures int `xml:"failures,attr"`
		Skipped  int `xml:"skipped,attr"`
	}
	var read struct {
		counts
		Suites []struct {
			counts
			Cases []struct {
				Name    string `xml:"name,attr"`
				Failure *struct {
					Message string `xml:"message,attr"`
				} `xml:"failure"`
				Skipped *struct{} `xml:"skipped"`
			} `xml:"testcase"`
		} `xml:"testsuite"`
	}
	for _, text := range append(hostile, "web-01") {
		parsed := read
		require.NoError(t, xml.Unmarshal([]byte(write(t, withText(text), report.JUnit)), &parsed), "%q", text)
		assert.Equal(t, counts{Tests: 10, Failures: 6, Skipped: 2}, parsed.counts)
		total := counts{}
		for _, suite := range parsed.Suites {
			total.Tests += suite.Tests
			total.Failures += suite.Failures
			total.Skipped += suite.Skipped
			assert.Len(t, suite.Cases, suite.Tests)
		}
		assert.Equal(t, parsed.counts, total)
	}
}

// TestTerminatedIsNotRunning: it does not go on, and of what had not ended nobody knows.
func TestTerminatedIsNotRunning(t *testing.T) {
	assert.Contains(t, write(t, terminated(), report.Text), "Rollout web-fleet: terminated\n")
	junit := write(t, terminated(), report.JUnit)
	assert.Contains(t, junit, `tests="3" failures="0" errors="2" skipped="0"`)
	assert.Equal(t, 2, strings.Count(junit, "<error "))
}

// TestSameNameInJUnit: two servers of one name are two test cases.
func TestSameNameInJUnit(t *testing.T) {
	r := finished()
	r.Servers[1].Name = r.Servers[0].Name
	r.Servers[2].Name = r.Servers[0].Name // in another wave
	junit := write(t, r, report.JUnit)
	for _, name := range []string{"web-01 (id-of-web-01)", "web-01 (id-of-web-02)", "web-01"} {
		assert.Equal(t, 1, strings.Count(junit, `<testcase name="`+name+`"`), name)
	}
}

// TestTextCannotBeForged: no text of the cloud begins a line of its own, nor steers the terminal.
func TestTextCannotBeForged(t *testing.T) {
	for _, format := range []report.Format{report.Text, report.CSV, report.JUnit} {
		lines := strings.Count(write(t, withText("x"), format), "\n")
		for _, text := range hostile {
			got := write(t, withText(text), format)
			assert.Equal(t, lines, strings.Count(got, "\n"), "%s %q", format, text)
			assert.NotContains(t, got, "\x1b")
			assert.NotContains(t, got, "\u202e")
			assert.NotContains(t, got, "\u009b")
		}
	}
}

func TestFormatFlag(t *testing.T) {
	format := report.Text
	require.NoError(t, format.Set("junit"))
	assert.Equal(t, report.JUnit, format)
	assert.ErrorContains(t, format.Set("pdf"), "text, json, csv or junit")
	assert.Equal(t, report.JUnit, format)
}
