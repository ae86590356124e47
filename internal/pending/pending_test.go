package pending_test

import (
	"fmt"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
	"go.temporal.io/api/enums/v1"
	"go.temporal.io/api/serviceerror"

	"github.com/reimage/reimage/api"
	"github.com/reimage/reimage/internal/pending"
	"github.com/reimage/reimage/internal/pending/pendingtest"
	"github.com/reimage/reimage/rollout"
)

type run = pendingtest.Run

const lock = "changeos/p/s"

// remembers is a Temporal with these runs, the newest first.
func remembers(runs ...run) pendingtest.Temporal {
	return pendingtest.Temporal{Runs: map[string][]run{lock: runs}}
}

// ended is a run that has ended, or was terminated when end is empty.
func ended(id string, end rollout.ServerEnd, isPending bool) run {
	return run{ID: id, Record: &api.ChangeRecord{FirstRunID: id, Pending: isPending, Result: rollout.ServerResult{End: end}}}
}

// reset is a run that was reset from the run first.
func reset(id, first string, end rollout.ServerEnd, isPending bool) run {
	of := ended(id, end, isPending)
	of.Record.FirstRunID = first
	return of
}

func dismissal(runs ...string) run {
	return run{ID: "dismissal", Dismissal: &api.Dismissal{Runs: runs}}
}

func idsOf(changes []api.PendingChange) (ids []string) {
	for _, change := range changes {
		ids = append(ids, change.RunID)
	}
	return ids
}

// TestPending: the newest run that has sent something decides. It would not have, while an earlier change was pending.
func TestPending(t *testing.T) {
	open, over := ended("open", rollout.FailedChanged, true), ended("over", rollout.Done, false)
	own := run{ID: "own", IsRunning: true, Record: open.Record}
	for name, test := range map[string]struct {
		runs    []run
		pending []string
	}{
		"none":                               {},
		"pending":                            {[]run{open}, []string{"open"}},
		"over, and what was before it":       {[]run{over, open}, nil},
		"pending, and what was before it":    {[]run{open, ended("a", "", true)}, []string{"open"}},
		"nothing touched since":              {[]run{{ID: "b"}, {ID: "a"}, open}, []string{"open"}},
		"our own, in progress":               {[]run{own, open}, []string{"open"}},
		"dismissed":                          {[]run{dismissal("open"), open}, nil},
		"dismissed before our own":           {[]run{own, dismissal("open"), open}, nil},
		"a dismissal that was refused":       {[]run{dismissal(), open}, []string{"open"}},
		"another is dismissed":               {[]run{dismissal("another"), open}, []string{"open"}},
		"dismissed, and sent again":          {[]run{ended("a", "", true), dismissal("open"), open}, []string{"a"}},
		"reset, and followed to its end":     {[]run{reset("a", "open", rollout.Done, false), open}, nil},
		"reset, and pending":                 {[]run{reset("a", "open", rollout.FailedChanged, true), open}, []string{"a"}},
		"reset, and dismissed":               {[]run{dismissal("a"), reset("a", "open", rollout.FailedChanged, true), open}, nil},
		"reset, and terminated":              {[]run{reset("a", "open", "", false), open}, []string{"open"}},
		"an older run is reset":              {[]run{reset("a", "over", rollout.FailedIntact, false), open, over}, []string{"open"}},
		"its memo cannot be read":            {[]run{{ID: "a", Unreadable: true}, over}, []string{"a"}},
		"its memo cannot be read, dismissed": {[]run{dismissal("a"), {ID: "a", Unreadable: true}, open}, []string{"open"}},
	} {
		t.Run(name, func(t *testing.T) {
			found, err := pending.Of(t.Context(), remembers(test.runs...), lock, "own")
			require.NoError(t, err)
			assert.Equal(t, test.pending, idsOf(found.Pending))
			assert.False(t, found.Locked)
		})
	}
	found, err := pending.Of(t.Context(), remembers(own, open), lock, "another")
	require.NoError(t, err)
	assert.Equal(t, pending.Changes{Locked: true}, found)
}

// TestInProgressSince: the cloud may begin with a job after the change was judged. Then only dismissals know of it, the first of them
// since when.
func TestInProgressSince(t *testing.T) {
	at := func(hour int) time.Time { return time.Date(2026, 3, 1, hour, 0, 0, 0, time.UTC) }
	saw := func(hour int) run {
		return run{ID: fmt.Sprint("dismissal ", hour), Dismissal: &api.Dismissal{InProgressSince: at(hour)}}
	}
	unseen, seen := ended("a", rollout.FailedChanged, true), ended("a", rollout.FailedChanged, true)
	seen.Record.InProgressSince = at(1)
	for name, test := range map[string]struct {
		runs  []run
		since time.Time
	}{
		"never":               {[]run{unseen}, time.Time{}},
		"seen by its own run": {[]run{saw(3), seen}, at(1)},
		"seen by dismissals":  {[]run{saw(5), dismissal(), saw(3), unseen}, at(3)},
	} {
		found, err := pending.Of(t.Context(), remembers(test.runs...), lock, "")
		require.NoError(t, err)
		require.Len(t, found.Pending, 1)
		assert.Equal(t, test.since, found.Pending[0].InProgressSince, name)
	}
}

// TestLeftOff: the newest run that has touched the server decides.
func TestLeftOff(t *testing.T) {
	took, gaveBack := ended("took", rollout.FailedIntact, false), ended("gave back", rollout.FailedIntact, false)
	took.Record.LeftOff = "disk"
	for name, test := range map[string]struct {
		runs []run
		left bool
	}{
		"taken":                  {[]run{took}, true},
		"nothing touched since":  {[]run{{ID: "a"}, dismissal("took"), took}, true},
		"given back":             {[]run{gaveBack, took}, false},
		"given back after reset": {[]run{reset("a", "took", rollout.FailedIntact, false), took}, false},
		"reset, and terminated":  {[]run{reset("a", "took", "", false), took}, true},
	} {
		found, err := pending.Of(t.Context(), remembers(test.runs...), lock, "")
		require.NoError(t, err)
		now := rollout.Observation{Exists: true, Status: rollout.StatusShutoff, Fingerprint: rollout.Fingerprint{VolumeID: "disk"}}
		assert.Equal(t, test.left, found.LeftStopped(now), name)
		now.VolumeID = "another"
		assert.False(t, found.LeftStopped(now), name)
		now.VolumeID, now.Status = "disk", rollout.StatusActive
		assert.False(t, found.LeftStopped(now), name)
	}
}

// TestUnknown: an answer that is missing is not an answer that there is none.
func TestUnknown(t *testing.T) {
	down, busy := remembers(run{ID: "a"}), remembers(run{ID: "a"})
	down.Err = serviceerror.NewUnavailable("down")
	_, err := pending.Of(t.Context(), down, lock, "")
	assert.EqualError(t, err, "earlier changes are unknown (workflow changeos/p/s): down")
	busy.ListErr = serviceerror.NewResourceExhausted(enums.RESOURCE_EXHAUSTED_CAUSE_RPS_LIMIT, "too often")
	_, err = pending.Of(t.Context(), busy, lock, "")
	assert.EqualError(t, err, "earlier changes are unknown (workflow changeos/p/s): too often")
	_, err = pending.OfServers(t.Context(), busy, []string{lock})
	assert.EqualError(t, err, "earlier changes are unknown (workflow changeos/p/...): too often")
}

// TestListThatIsBehind: one that does not have the newest run as it is may lack others, and one that has an older run as running
// has an old memo of it.
func TestListThatIsBehind(t *testing.T) {
	own, lost := run{ID: "own", IsRunning: true}, ended("lost", "", true)
	synctest.Test(t, func(t *testing.T) {
		soon := remembers(own, lost)
		soon.ListsFrom = time.Now().Add(5 * time.Second)
		soon.Listed = map[string]run{"lost": {ID: "lost", IsRunning: true}}
		begun := time.Now()
		found, err := pending.Of(t.Context(), soon, lock, "own")
		require.NoError(t, err)
		assert.Equal(t, []string{"lost"}, idsOf(found.Pending))
		assert.Equal(t, 5*time.Second, time.Since(begun))

		late := remembers(dismissal("lost"), lost)
		late.Listed = map[string]run{"dismissal": {ID: "dismissal", IsRunning: true}}
		_, err = pending.Of(t.Context(), late, lock, "")
		assert.ErrorContains(t, err, "Temporal's list is more than 10s behind")
	})
}

// TestOfServers reads all servers with one query, however many they are.
func TestOfServers(t *testing.T) {
	lists := 0
	temporal := pendingtest.Temporal{Lists: &lists, Runs: map[string][]run{
		"changeos/p/lost":    {ended("a", "", true)},
		"changeos/p/done":    {ended("b", rollout.Done, false), ended("a", "", true)},
		"changeos/p/running": {{ID: "c", IsRunning: true}, ended("a", "", true)},
	}}
	ids := []string{"changeos/p/lost", "changeos/p/done", "changeos/p/running", "changeos/p/new"}
	for range 2 {
		found, err := pending.OfServers(t.Context(), temporal, ids)
		require.NoError(t, err)
		require.Len(t, found, 3)
		assert.Len(t, found["changeos/p/lost"].Pending, 1)
		assert.Empty(t, found["changeos/p/done"].Pending)
		assert.Equal(t, pending.Changes{Locked: true}, found["changeos/p/running"])
		for i := range 200 {
			ids = append(ids, fmt.Sprint("changeos/p/", i))
		}
	}
	_, err := pending.OfServers(t.Context(), temporal, nil)
	require.NoError(t, err)
	assert.Equal(t, 2, lists, "no server, no query")
}

// TestRecordOf tells a run that has touched nothing from one of which nothing is known.
func TestRecordOf(t *testing.T) {
	temporal := remembers(ended("a", "", true), run{ID: "b"}, run{ID: "c", Unreadable: true})
	for id, want := range map[string]*api.ChangeRecord{"a": temporal.Runs[lock][0].Record, "b": {}, "c": nil, "deleted": nil} {
		record, err := pending.RecordOf(t.Context(), temporal, lock, id)
		require.NoError(t, err)
		assert.Equal(t, want, record, id)
	}
	temporal.Err = serviceerror.NewUnavailable("down")
	_, err := pending.RecordOf(t.Context(), temporal, lock, "a")
	assert.Error(t, err)
}
