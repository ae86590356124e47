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

// resetAfter is what an activity says in a workflow that was reset.
func resetAfter(before contract.BeforeReset) error {
	return temporal.NewNonRetryableApplicationError("the workflow was reset", api.ErrReset, nil, before)
}

// TestReset: whichever activity finds out, nothing is sent, and the server decides how it ended.
func TestReset(t *testing.T) {
	looked := contract.BeforeReset{Known: true, Name: called, Before: found(rollout.StatusActive).Before, Touched: true}
	sent, open, over := looked, looked, looked
	sent.Submitted, open.Submitted, over.Submitted = true, true, true
	open.JobID, over.JobID, over.JobOver = jobID, jobID, true
	done := over
	done.Result = &rollout.ServerResult{ServerID: serverID, End: rollout.Done, Reason: "runs the image on a new system disk", JobID: jobID}
	for name, test := range map[string]struct {
		before contract.BeforeReset
		shows  rollout.Observation
		end    rollout.ServerEnd
		waits  bool // for the job
		starts bool
		says   string
	}{
		"it had only looked":             {contract.BeforeReset{Known: true}, untouched(), rollout.NotStarted, false, false, "before the server was touched"},
		"its history is gone":            {contract.BeforeReset{}, untouched(), rollout.FailedChanged, false, false, "whether its disk was touched cannot be found out"},
		"it had stopped the server":      {looked, untouched(), rollout.FailedIntact, false, true, "its workflow was reset, and nothing was sent since"},
		"its answer was lost, it came":   {sent, changed(), rollout.Done, false, false, ""},
		"its answer was lost":            {sent, untouched(), rollout.FailedChanged, false, false, "the change may still come"},
		"its job runs":                   {open, changed(), rollout.Done, true, false, ""},
		"its job was over, and failed":   {over, untouched(), rollout.FailedIntact, false, true, "the old system disk is still there"},
		"its job was over, and in ERROR": {over, seen(rollout.StatusError, oldImage, ""), rollout.FailedLost, false, false, ""},
		"it was done":                    {done, untouched(), rollout.Done, false, false, "runs the image on a new system disk"},
	} {
		for _, step := range []string{contract.Preflight, contract.StopIfNeeded, contract.SubmitChangeOS} {
			t.Run(name+", "+step, func(t *testing.T) {
				s := newStage(t)
				err := resetAfter(test.before)
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

				assert.Equal(t, test.end, result.End, result.Reason)
				assert.Contains(t, result.Reason, test.says)
				assert.Len(t, s.wait.inputs, map[bool]int{true: 1}[test.waits])
				if test.starts {
					assert.Equal(t, backOn(false), s.leave.inputs)
				} else {
					assert.Empty(t, s.leave.inputs)
				}
				if len(s.prove.inputs) > 0 {
					assert.Equal(t, test.before.Before.Fingerprint, s.prove.inputs[0].Before)
					assert.Equal(t, !test.before.Submitted || test.before.JobOver || test.waits, s.prove.inputs[0].Ended)
				}
			})
		}
	}
}

// TestResetWhosePowerIsNotProven: the report says that it was left alone.
func TestResetWhosePowerIsNotProven(t *testing.T) {
	s := newStage(t)
	s.look.fails(resetAfter(contract.BeforeReset{Known: true, Before: found(rollout.StatusActive).Before, Touched: true}))
	s.prove.returns(untouched())
	s.leave.fails(resetAfter(contract.BeforeReset{}))
	result := s.ended()
	assert.Equal(t, rollout.FailedIntact, result.End)
	require.Contains(t, result.PowerTrouble, "the workflow was reset")
}
