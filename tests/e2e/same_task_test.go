package e2e

import (
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
	"go.temporal.io/api/enums/v1"

	"github.com/reimage/reimage/api"
	"github.com/reimage/reimage/internal/emulator"
	"github.com/reimage/reimage/rollout"
)

// TestAlarmAndFailureInOneTask: the end of a soak frees a slot and a failure exhausts the budget, and the rollout
// learns of both at once, because nobody served it meanwhile. In whatever order they came, nothing is started.
func TestAlarmAndFailureInOneTask(t *testing.T) {
	t.Parallel()
	const alarm, failure = enums.EVENT_TYPE_TIMER_FIRED, enums.EVENT_TYPE_CHILD_WORKFLOW_EXECUTION_COMPLETED
	for name, alarmFirst := range map[string]bool{"the alarm first": true, "the failure first": false} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			lab := machine.NewLab(t, emulator.Options{Servers: 4})
			plan := lab.Plan("one-task-"+map[bool]string{true: "alarm", false: "failure"}[alarmFirst], 2, 4)
			plan.Soak = 10 * time.Second // longer than it takes to stop the worker
			require.NoError(t, plan.Seal())
			s := newStubs(t, lab, plan)
			served := s.serve()
			s.run = lab.Roll(api.RolloutInput{Plan: plan})
			s.await(enums.EVENT_TYPE_CHILD_WORKFLOW_EXECUTION_STARTED, 2)
			s.end(0, s.done())
			s.await(enums.EVENT_TYPE_TIMER_STARTED, 1)
			served.Stop()
			require.Empty(t, s.events(alarm), "the soak was over before the worker had stopped")

			fail := func() {
				s.end(1, rollout.ServerResult{End: rollout.FailedIntact, Reason: "no quota"})
				s.await(failure, 2)
			}
			if alarmFirst {
				s.await(alarm, 1)
				fail()
			} else {
				fail()
				s.await(alarm, 1)
			}
			served = s.serve()
			defer served.Stop()

			paused := lab.Await(s.run, "the pause", func(p rollout.Progress) bool { return p.Phase == rollout.PhasePaused })
			assert.Equal(t, 2, paused.Counts.Pending)
			assert.Empty(t, paused.InFlight)
			// Or the abort would wait for it.
			require.Equal(t, 2, len(s.events(enums.EVENT_TYPE_START_CHILD_WORKFLOW_EXECUTION_INITIATED)), "nothing is started after the breach")
			s.requireOneTask(t, s.events(alarm)[0].GetEventId(), s.events(failure)[1].GetEventId(), alarmFirst)
			_, err := lab.Tell(s.run, rollout.Command{Kind: rollout.Abort})
			require.NoError(t, err)
			assert.Equal(t, rollout.Aborted, lab.Rolled(s.run).End)
			lab.ReplayRuns(s.run)
		})
	}
}

// requireOneTask checks that the test showed what it was meant to: both events came with the same workflow task.
func (s *stubs) requireOneTask(t *testing.T, alarm, failure int64, alarmFirst bool) {
	t.Helper()
	require.Equal(t, alarmFirst, alarm < failure)
	for _, started := range s.events(enums.EVENT_TYPE_WORKFLOW_TASK_STARTED) {
		require.False(t, started.GetEventId() > min(alarm, failure) && started.GetEventId() < max(alarm, failure), "the two events came with different tasks")
	}
}
