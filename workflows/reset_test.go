package workflows_test

import (
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
	"go.temporal.io/sdk/temporal"

	"github.com/reimage/reimage/activities/contract"
	"github.com/reimage/reimage/api"
	"github.com/reimage/reimage/rollout"
)

// resetAfter is what an activity says in a workflow that was reset, with the record of the first run. Nil is for unknown.
func resetAfter(first *api.ChangeRecord) error {
	if first == nil {
		return temporal.NewNonRetryableApplicationError("the workflow was reset", api.ErrReset, nil)
	}
	return temporal.NewNonRetryableApplicationError("the workflow was reset", api.ErrReset, nil, *first)
}

// firstRun is the record of a first run that has stopped the server.
func firstRun(changes ...func(*api.ChangeRecord)) *api.ChangeRecord {
	before := found(rollout.StatusActive).Before
	record := &api.ChangeRecord{FirstRunID: "first", LeftOff: before.VolumeID, Result: rollout.ServerResult{ServerID: serverID, Name: called, Before: before}}
	for _, change := range changes {
		change(record)
	}
	return record
}

// TestReset: whichever activity finds out, nothing is sent, and the server decides how it ended.
func TestReset(t *testing.T) {
	sent := func(r *api.ChangeRecord) { r.Pending = true }
	job := func(r *api.ChangeRecord) { r.Result.JobID = jobID }
	done := func(r *api.ChangeRecord) {
		r.Result.End, r.Result.Reason = rollout.Done, "runs the image on a new system disk"
	}
	for name, test := range map[string]struct {
		first  *api.ChangeRecord
		shows  rollout.Observation
		end    rollout.ServerEnd
		waits  bool // for the job
		starts bool
		says   string
	}{
		"it had only looked":             {&api.ChangeRecord{}, untouched(), rollout.NotStarted, false, false, "before the server was touched"},
		"its record is unknown":          {nil, untouched(), rollout.FailedChanged, false, false, "whether its disk was touched cannot be found out"},
		"it had stopped the server":      {firstRun(), untouched(), rollout.FailedIntact, false, true, "its workflow was reset, and nothing was sent since"},
		"its answer was lost, it came":   {firstRun(sent), changed(), rollout.Done, false, false, ""},
		"its answer was lost":            {firstRun(sent), untouched(), rollout.FailedChanged, false, false, "the change may still come"},
		"its job runs":                   {firstRun(sent, job), changed(), rollout.Done, true, false, ""},
		"its job was over, and failed":   {firstRun(job), untouched(), rollout.FailedIntact, false, true, "the old system disk is still there"},
		"its job was over, and in ERROR": {firstRun(job), seen(rollout.StatusError, oldImage, ""), rollout.FailedLost, false, false, ""},
		"it was done":                    {firstRun(job, done), untouched(), rollout.Done, false, false, "runs the image on a new system disk"},
	} {
		for _, step := range []string{contract.Preflight, contract.StopIfNeeded, contract.SubmitChangeOS} {
			t.Run(name+", "+step, func(t *testing.T) {
				s := newStage(t)
				err := resetAfter(test.first)
				switch step {
				case contract.Preflight:
					s.look.fails(err)
				case contract.StopIfNeeded:
					s.stop.fails(err)
				case contract.SubmitChangeOS:
					s.submit.fails(err)
				}
				s.prove.returns(test.shows)

				result := s.ended()

				if test.first != nil && test.first.FirstRunID != "" {
					last := s.records[len(s.records)-1]
					assert.Equal(t, result.End, last.Result.End, "the memo goes on where that of the first run ended")
					assert.Equal(t, result.End == rollout.FailedChanged, last.Pending)
				} else {
					for _, record := range s.records {
						assert.Empty(t, record.Result.End, "the first run knows more")
					}
				}
				assert.Equal(t, test.end, result.End, result.Reason)
				assert.Contains(t, result.Reason, test.says)
				assert.Len(t, s.wait.inputs, map[bool]int{true: 1}[test.waits])
				if test.starts {
					assert.Equal(t, backOn(false), s.leave.inputs)
				} else {
					assert.Empty(t, s.leave.inputs)
				}
				if len(s.prove.inputs) > 0 {
					assert.Equal(t, test.first.Result.Before.Fingerprint, s.prove.inputs[0].Before)
					assert.Equal(t, !test.first.Pending || test.waits, s.prove.inputs[0].Ended)
				}
			})
		}
	}
}

// TestResetWhosePowerIsNotProven: the report says that it was left alone.
func TestResetWhosePowerIsNotProven(t *testing.T) {
	s := newStage(t)
	s.look.fails(resetAfter(firstRun()))
	s.prove.returns(untouched())
	s.leave.fails(resetAfter(nil))
	result := s.ended()
	assert.Equal(t, rollout.FailedIntact, result.End)
	require.Contains(t, result.PowerTrouble, "the workflow was reset")
	assert.Equal(t, oldDisk, s.records[len(s.records)-1].LeftOff)
}
