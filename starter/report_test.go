package main

import (
	"encoding/csv"
	"encoding/json"
	"encoding/xml"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/reimage/reimage/api"
	"github.com/reimage/reimage/internal/report"
	"github.com/reimage/reimage/rollout"
)

// TestReport asks a rollout of more servers than a page holds, while it runs and after it has ended.
func TestReport(t *testing.T) {
	const servers = api.MaxServersPage + 20
	f := newFleet(t, "reported", servers, func(p *rollout.Plan) {
		p.Waves = []rollout.Wave{{Name: "canary", End: 1, Approval: true}, {Name: "rest", End: servers}}
	})
	f.endAtOnce(rollout.Done)
	f.start()
	f.await("it waits for an approval", waits)

	var r report.Report
	ran := f.cli("report", "reported", "--format", "json")
	assert.Equal(t, exitDone, ran.code, ran.err)
	require.NoError(t, json.Unmarshal([]byte(ran.out), &r))
	assert.Len(t, r.Servers, servers, "all pages")
	for i, server := range r.Servers {
		require.Equal(t, f.plan.Servers[i].ID, server.ID, "in the order of the plan, each once")
	}
	assert.Equal(t, rollout.PhaseRunning, r.Phase)
	assert.Equal(t, "ina", r.StartedBy)

	for range 12 { // more than the progress shows of its log
		require.Equal(t, exitDone, f.cli("concurrency", "reported", "3", "--by", "ben").code)
	}
	f.cli("abort", "reported")
	f.await("it ends", func(p rollout.Progress) bool { return p.End == rollout.Aborted })

	ran = f.cli("report", "reported")
	assert.Equal(t, exitDone, ran.code, "the report was written, whatever it says")
	assert.Contains(t, ran.out, "Rollout reported: aborted\n")
	assert.Contains(t, ran.out, "ina: started: 520 servers in 2 waves", "the beginning of the log too")
	assert.Equal(t, 12, strings.Count(ran.out, "ben: up to 3 servers in flight"))

	path := filepath.Join(t.TempDir(), "report.csv")
	ran = f.cli("report", "reported", "--format", "csv", "-o", path)
	assert.Equal(t, exitDone, ran.code)
	assert.Empty(t, ran.out)
	file, err := os.Open(path)
	require.NoError(t, err)
	defer file.Close()
	rows, err := csv.NewReader(file).ReadAll()
	require.NoError(t, err)
	assert.Len(t, rows, servers+1)

	ran = f.cli("report", "reported", "--format", "junit")
	assert.Equal(t, exitDone, ran.code)
	assert.NoError(t, xml.Unmarshal([]byte(ran.out), new(struct {
		XMLName xml.Name `xml:"testsuites"`
	})))
}
