package main

import (
	"encoding/json"
	"strings"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/reimage/reimage/rollout"
)

func TestList(t *testing.T) {
	ended := newFleet(t, "list-ended", 2, func(p *rollout.Plan) { p.Budget.Count = new(2) }).endAtOnce(rollout.FailedIntact)
	require.NoError(t, ended.start().Get(t.Context(), nil))
	dead := newFleet(t, "list-dead", 2)
	run := dead.start()
	require.NoError(t, temporalServer.Client.TerminateWorkflow(t.Context(), run.GetID(), "", "a test"))
	f := newFleet(t, "list-running", 4).endAtOnce(rollout.Done)
	f.start()
	f.await("it waits for an approval", waits)

	var all []listed
	f.eventually("all three are listed", func() bool {
		ran := f.cli("list", "--output", "json")
		require.Equal(t, exitDone, ran.code, ran.err)
		all = nil
		require.NoError(t, json.Unmarshal([]byte(ran.out), &all))
		return len(ours(all)) == 3 && ours(all)[0].Name == "list-running"
	})
	mine := ours(all)
	assert.Equal(t, "running", mine[0].State)
	assert.True(t, mine[0].NeedsHuman)
	assert.Contains(t, mine[0].Why, "approve what follows wave canary")
	assert.Equal(t, 2, mine[0].Counts.Done)
	assert.Equal(t, "rollout/list-running", mine[0].WorkflowID)
	assert.Equal(t, "list-dead", mine[1].Name, "newest first")
	assert.Equal(t, "terminated", mine[1].State)
	assert.Nil(t, mine[1].Counts, "nobody knows")
	assert.Equal(t, "list-ended", mine[2].Name)
	assert.Equal(t, rollout.CompletedWithFailures, mine[2].End)
	assert.Equal(t, 2, mine[2].Counts.Failed)
	assert.False(t, mine[2].EndedAt.IsZero())

	text := f.cli("list").out
	assert.True(t, strings.HasPrefix(text, "NAME "))
	assert.Regexp(t, `list-running +waits for a human +\S+Z +- +2 done, 2 pending +waits for somebody`, text)
	assert.Regexp(t, `list-dead +terminated .* \? +its workflow did not end by itself, and the servers may have gone on since`, text)
	assert.Regexp(t, `list-ended +completed-with-failures .* 2 failed`, text)
	assert.Len(t, strings.Split(strings.TrimSpace(f.cli("list", "--limit", "2").out), "\n"), 3)
}

func ours(all []listed) []listed {
	var mine []listed
	for _, l := range all {
		if strings.HasPrefix(l.Name, "list-") {
			mine = append(mine, l)
		}
	}
	return mine
}

// TestCompletion asks for words as a shell does.
func TestCompletion(t *testing.T) {
	f := newFleet(t, "completed-by-tab", 4)
	f.endAtOnce(rollout.Done, "web-01")
	f.start()
	f.finish("web-02", rollout.FailedIntact)
	f.await("it is paused", waits)
	words := func(args ...string) string { return f.cli(append([]string{"__complete"}, args...)...).out }

	f.eventually("the name is offered", func() bool { return strings.Contains(words("pause", ""), "completed-by-tab\n") })
	assert.NotContains(t, words("pause", "completed-by-tab", ""), "web-")
	assert.Equal(t, "web-02\n:4\n", words("retry", "completed-by-tab", ""), "only failed servers can be retried")
	assert.Equal(t, "web-03\nweb-04\n:4\n", words("skip", "completed-by-tab", ""), "only pending servers can be skipped")
	f.cli("accept", "completed-by-tab", "--all")
	f.cli("resume", "completed-by-tab")
	assert.Equal(t, "canary\n:4\n", words("approve", "completed-by-tab", "--wave", ""))
	assert.Contains(t, words("report", "x", "--format", ""), "junit")
	t.Setenv("TEMPORAL_ADDRESS", "127.0.0.1:1")
	assert.Equal(t, ":4\n", words("pause", ""), "whoever is not connected gets no error in the command line")
}

// TestEarlierRollout: a name that was used again still leads to what became of the first rollout.
func TestEarlierRollout(t *testing.T) {
	f := newFleet(t, "list-again", 1, func(p *rollout.Plan) { p.Budget.Count = new(1) }).endAtOnce(rollout.FailedIntact, "web-01")
	first := f.start()
	require.NoError(t, first.Get(t.Context(), nil))
	require.NoError(t, f.endAtOnce(rollout.Done, "web-01").start().Get(t.Context(), nil))

	earlier := "earlier: --run " + first.GetRunID()
	f.eventually("both are listed", func() bool { return strings.Contains(f.cli("list").out, earlier) })
	assert.Contains(t, f.cli("report", "list-again").out, "Rollout list-again: completed\n")
	assert.Contains(t, f.cli("report", "list-again", "--run", first.GetRunID()).out, "Rollout list-again: completed-with-failures\n")
	status := f.cli("status", "list-again", "--run", first.GetRunID())
	assert.Equal(t, exitFailed, status.code, status.out)

	for _, none := range []string{"7d3c9f60-3f0b-4a57-8a1d-0f4be2f1c9d2", "no-id"} {
		wrong := f.cli("report", "list-again", "--run", none)
		assert.Equal(t, exitUsage, wrong.code)
		assert.Contains(t, wrong.err, "rollout list-again has no run "+none+"; see: reimage list")
	}

	assert.NotContains(t, f.cli("status", "list-again").out, "only the totals are known")
	f.stopWorking()
	alone := f.cli("status", "list-again")
	assert.Equal(t, exitDone, alone.code, alone.err)
	assert.Contains(t, alone.out, "no worker answers, so only the totals are known")
	assert.Contains(t, alone.out, "COMPLETED")
	assert.Contains(t, f.cli("status", "list-again", "--output", "json").out, `"waves": []`)
}
