package main

import (
	"errors"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/assert"

	"github.com/reimage/reimage/api"
	"github.com/reimage/reimage/internal/pending/pendingtest"
	"github.com/reimage/reimage/internal/progressview"
	"github.com/reimage/reimage/rollout"
)

// failedUnseen are servers whose change was not seen to its end, after one attempt each.
func failedUnseen(ids ...string) rollout.Progress {
	p := rollout.Progress{Project: "p"}
	for _, id := range ids {
		disk := rollout.Fingerprint{VolumeID: id}
		p.Failures = append(p.Failures, rollout.ServerProgress{ID: id, End: rollout.FailedChanged, Attempts: 1, Before: disk, After: disk})
	}
	return p
}

// TestOutlooker reads all servers with one query, now and then, and keeps what it knows while Temporal does not answer.
func TestOutlooker(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		lists := 0
		change := func(isPending bool, since time.Time) []pendingtest.Run {
			return []pendingtest.Run{{ID: "a", Record: &api.ChangeRecord{FirstRunID: "a", Pending: isPending, InProgressSince: since}}}
		}
		temporal := pendingtest.Temporal{Lists: &lists, Runs: map[string][]pendingtest.Run{
			api.ChangeOSID("p", "pending"): change(true, time.Time{}),
			api.ChangeOSID("p", "over"):    change(false, time.Time{}),
			api.ChangeOSID("p", "begun"):   change(true, time.Now().Add(-time.Hour)),
			api.ChangeOSID("p", "stuck"):   change(true, time.Now().Add(-api.StuckAfter)),
			api.ChangeOSID("p", "locked"):  {{ID: "b", IsRunning: true}},
		}}
		o := &outlooker{temporal: temporal}
		p := failedUnseen("pending", "over", "begun", "stuck", "locked", "unknown")
		ask := func() map[string]progressview.Outlook { return o.of(t.Context(), p, time.Second) }
		known := ask()
		for id, want := range map[string]progressview.Outlook{
			"pending": progressview.MayCome, "over": progressview.NothingComes, "begun": progressview.UnderWay,
			"stuck": progressview.MayCome, "locked": progressview.MayCome, "unknown": progressview.MayCome,
		} {
			assert.Equal(t, want, known[id], id)
		}
		ask()
		assert.Equal(t, 1, lists, "not twice in a short time")
		temporal.ListErr = errors.New("down")
		o.temporal = temporal
		time.Sleep(outlookInterval)
		assert.Equal(t, progressview.NothingComes, ask()["over"], "no answer takes nothing back")
		p.Failures[1].Attempts = 2
		assert.Equal(t, progressview.MayCome, ask()["over"], "that was another attempt")
		assert.Equal(t, 3, lists)
		assert.Empty(t, (&outlooker{}).of(t.Context(), rollout.Progress{}, time.Second), "nobody is asked about nothing")
	})
}
