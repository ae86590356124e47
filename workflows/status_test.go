package workflows_test

import (
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/reimage/reimage/api"
	"github.com/reimage/reimage/rollout"
)

func TestStatusAtEveryStep(t *testing.T) {
	s := newStage(t)
	s.in.Change.Power = rollout.PowerOff
	steps := []api.Step{
		api.StepLook, api.StepStop, api.StepSubmit, api.StepWait, api.StepProve, api.StepLeave,
	}
	var seen []api.Status
	var details []string
	for i := range steps {
		s.at(time.Duration(i)*time.Minute+30*time.Second, func() {
			seen = append(seen, s.status())
			details = append(details, s.details())
		})
	}
	s.ended()
	seen, details = append(seen, s.status()), append(details, s.details())
	steps = append(steps, api.StepEnded)

	require.Len(t, seen, len(steps))
	var so []api.StepAt
	for i, step := range steps {
		at := curtain.Add(time.Duration(i) * time.Minute)
		so = append(so, api.StepAt{Step: step, At: at})
		want := api.Status{Steps: so, ServerID: serverID}
		if step != api.StepLook {
			want.Name = called
		}
		if i > 2 { // accepted
			want.JobID, want.Deadline = jobID, curtain.Add(3*time.Minute+s.in.Change.WaitDeadline())
		}
		if i > 4 { // proven
			want.End, want.Reason = rollout.Done, "runs the image on a new system disk"
		}
		assert.Equal(t, want, seen[i], step)
		assert.Equal(t, api.StepAt{Step: step, At: at}, seen[i].Now())
		assert.Contains(t, details[i], "- "+at.Format(time.RFC3339)+" "+string(step)+"\n")
	}
}

func TestStatusBeforeTheFirstStep(t *testing.T) {
	assert.Zero(t, api.Status{}.Now())
}

func TestStatusTellsOfACancelThatWasObeyed(t *testing.T) {
	s := newStage(t)
	s.at(90*time.Second, s.env.CancelWorkflow)
	var under, after api.Status
	s.at(100*time.Second, func() { under = s.status() })
	s.at(130*time.Second, func() { after = s.status() })
	s.canceled()
	assert.True(t, under.CancelRequested)
	assert.Equal(t, api.StepStop, under.Now().Step, "the stop is seen to its end")
	assert.Equal(t, api.StepLeave, after.Now().Step, "its power is given back")
	assert.Equal(t, rollout.NotStarted, s.status().End)
	assert.Equal(t, api.StepEnded, s.status().Now().Step)
}

// TestDetailsTellTheEnd: the Web UI shows them even to who has no command line.
func TestDetailsTellTheEnd(t *testing.T) {
	for name, test := range map[string]struct {
		play func(s *stage)
		says string
	}{
		"done":        {func(*stage) {}, "\n**done**: runs the image on a new system disk\n"},
		"refused":     {func(s *stage) { s.submit.fails(final(api.ErrRefused, "no quota")) }, "\n**failed-intact**: the change was refused, its disk was not touched: no quota\n"},
		"not started": {func(s *stage) { s.look.fails(final(api.ErrCredentials, "no key")) }, "\n**not-started**: the server could not be looked at, nothing was touched: no key\n"},
	} {
		t.Run(name, func(t *testing.T) {
			s := newStage(t)
			test.play(s)
			s.ended()
			assert.Contains(t, s.details(), test.says)
			assert.Contains(t, s.details(), "to image `"+newImage+"`")
		})
	}
}

func TestDetailsTellOfACancel(t *testing.T) {
	s := newStage(t)
	s.at(90*time.Second, s.env.CancelWorkflow)
	s.canceled()
	assert.Contains(t, s.details(), "**not-started**: cancelled before its disk was touched")
}

// TestLockIsOnTheServerInItsProject and on nothing else: names that operators see in lists and scripts.
func TestLockIsOnTheServerInItsProject(t *testing.T) {
	assert.Equal(t, "changeos/"+project+"/"+serverID, api.ChangeOSID(project, serverID))
	assert.NotEqual(t, api.CheckServerID(serverID, "a"), api.CheckServerID(serverID, "b"), "looks do not lock")
}
