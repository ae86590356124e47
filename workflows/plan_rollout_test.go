package workflows_test

import (
	"context"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/mock"
	"github.com/stretchr/testify/require"
	"go.temporal.io/sdk/activity"

	"github.com/reimage/reimage/activities"
	"github.com/reimage/reimage/rollout"
	"github.com/reimage/reimage/rollout/spec"
	"github.com/reimage/reimage/workflows"
)

// answers plays an activity that the six roles of a stage do not know.
func answers[In, Out any](s *stage, name string, attempts ...answer[Out]) *[]In {
	given := &[]In{}
	s.env.OnActivity(name, mock.Anything, mock.Anything).Return(func(_ context.Context, in In) (Out, error) {
		*given = append(*given, in)
		next := attempts[min(len(*given), len(attempts))-1]
		return next.out, next.err
	})
	return given
}

// run runs a workflow that is not ChangeOS to its end.
func run[Out any](s *stage, workflow string, input any) (Out, error) {
	s.t.Helper()
	s.env.ExecuteWorkflow(workflow, input)
	require.True(s.t, s.env.IsWorkflowCompleted())
	var out Out
	if err := s.env.GetWorkflowError(); err != nil {
		return out, err
	}
	require.NoError(s.t, s.env.GetWorkflowResult(&out))
	return out, nil
}

func TestPlanRollout(t *testing.T) {
	doc := spec.Rollout{APIVersion: spec.APIVersion, Kind: spec.Kind, Metadata: spec.Metadata{Name: "march"}}
	plan := &rollout.Plan{Version: rollout.PlanVersion, Name: "march", MadeAt: curtain, Servers: []rollout.PlannedServer{{ID: serverID}}, Waves: []rollout.Wave{{Name: "all", End: 1}}}
	require.NoError(t, plan.Seal())
	for name, want := range map[string]workflows.PlanRolloutResult{
		"plan":     {Plan: plan},
		"problems": {Problems: []string{"the selection is empty", "no image is named x"}, Whole: []string{"with", "all names"}},
	} {
		t.Run(name, func(t *testing.T) {
			s := newStage(t)
			given := answers[activities.MakePlanInput](s, activities.MakePlanName,
				answer[activities.MakePlanResult]{err: passing(activities.ErrThrottled, "slow down")},
				answer[activities.MakePlanResult]{out: activities.MakePlanResult{Plan: want.Plan, Problems: want.Problems, Whole: want.Whole}})
			got, err := run[workflows.PlanRolloutResult](s, workflows.PlanRolloutName, workflows.PlanRolloutInput{Document: doc})
			require.NoError(t, err)
			assert.Equal(t, want, got)
			assert.Equal(t, []activities.MakePlanInput{{Document: doc}, {Document: doc}}, *given)
			if got.Plan != nil {
				assert.NoError(t, got.Plan.Verify())
			}
		})
	}
}

func TestCheckPlan(t *testing.T) {
	plan := rollout.Plan{Version: rollout.PlanVersion, Name: "march", MadeAt: curtain}
	require.NoError(t, plan.Seal())
	s := newStage(t)
	want := workflows.CheckPlanResult{Drift: []rollout.Drift{{ServerID: serverID, Name: called, What: called + " is gone"}}}
	given := answers[activities.CheckPlanInput](s, activities.CheckPlanName, answer[activities.CheckPlanResult]{out: activities.CheckPlanResult{Drift: want.Drift}})
	got, err := run[workflows.CheckPlanResult](s, workflows.CheckPlanName, workflows.CheckPlanInput{Plan: plan})
	require.NoError(t, err)
	assert.Equal(t, want, got)
	require.Len(t, *given, 1)
	assert.NoError(t, (*given)[0].Plan.Verify(), "the digest has to survive the way")
}

func TestEditedPlanIsNotCheckedTwice(t *testing.T) {
	s := newStage(t)
	given := answers[activities.CheckPlanInput](s, activities.CheckPlanName, answer[activities.CheckPlanResult]{err: final(activities.ErrInvalid, "edited")})
	_, err := run[workflows.CheckPlanResult](s, workflows.CheckPlanName, workflows.CheckPlanInput{})
	assert.Equal(t, activities.ErrInvalid, applicationError(t, err).Type())
	assert.Len(t, *given, 1)
}

// TestDoctor: what is wrong is data, and a worker that dies over it is followed by another one.
func TestDoctor(t *testing.T) {
	s := newStage(t)
	in := activities.DiagnoseInput{Profile: "edge", ServerID: serverID, ImageID: newImage}
	want := activities.DiagnoseResult{Findings: []activities.Finding{{Check: activities.CheckClock, Verdict: activities.CheckFailed, Seen: "1h ahead", Fix: "set it"}}}
	given := answers[activities.DiagnoseInput](s, activities.DiagnoseName,
		answer[activities.DiagnoseResult]{err: passing(activities.ErrWorkerStopping, "stopping")}, answer[activities.DiagnoseResult]{out: want})
	got, err := run[activities.DiagnoseResult](s, workflows.DoctorName, in)
	require.NoError(t, err)
	assert.Equal(t, want, got)
	assert.Equal(t, []activities.DiagnoseInput{in, in}, *given)
	assert.LessOrEqual(t, s.options.of(t, activities.DiagnoseName).ScheduleToCloseTimeout, 6*time.Minute, "somebody waits")
}

// TestDoctorAsksEveryWorker on its own task queue. One that does not answer is unverified, and when none does, any worker makes the
// checks.
func TestDoctorAsksEveryWorker(t *testing.T) {
	const one, other = "4711@build-07", "4712@build-08"
	of := func(worker, check string) activities.Finding {
		return activities.Finding{Worker: worker, Check: check, Verdict: activities.CheckOK, Seen: "fine"}
	}
	for name, test := range map[string]struct {
		answering map[string]string // the worker that answers, by task queue
		want      []activities.Finding
	}{
		"both":     {map[string]string{"/" + one: one, "/" + other: other}, []activities.Finding{of(one, activities.CheckClock), of(other, activities.CheckClock)}},
		"one":      {map[string]string{"/" + other: other}, []activities.Finding{activities.UnverifiedWorker(one), of(other, activities.CheckClock)}},
		"an older": {map[string]string{"": ""}, []activities.Finding{of("", activities.CheckClock), activities.UnverifiedWorker(one), activities.UnverifiedWorker(other)}},
		"a slow":   {map[string]string{"": one}, []activities.Finding{of(one, activities.CheckClock), activities.UnverifiedWorker(other)}},
	} {
		t.Run(name, func(t *testing.T) {
			s := newStage(t)
			s.env.OnActivity(activities.DiagnoseName, mock.Anything, mock.Anything).Return(func(ctx context.Context, in activities.DiagnoseInput) (activities.DiagnoseResult, error) {
				assert.Equal(t, []rollout.SecretRef{"file:init.yaml"}, in.Secrets)
				queue := activity.GetInfo(ctx).TaskQueue
				worker, answers := test.answering[strings.TrimPrefix(queue, "default-test-taskqueue")]
				if !answers {
					return activities.DiagnoseResult{}, final(activities.ErrWorkerStopping, "nothing serves "+queue)
				}
				return activities.DiagnoseResult{Findings: []activities.Finding{of(worker, activities.CheckClock)}}, nil
			})
			in := activities.DiagnoseInput{Workers: []string{one, other}, Secrets: []rollout.SecretRef{"file:init.yaml"}}
			got, err := run[activities.DiagnoseResult](s, workflows.DoctorName, in)
			require.NoError(t, err)
			assert.Equal(t, test.want, got.Findings)
			first := s.options.asked[0].options
			assert.Positive(t, first.ScheduleToStartTimeout)
			assert.Less(t, first.ScheduleToCloseTimeout, 150*time.Second, "the command waits no longer")
		})
	}
}

// TestPlanningGivesUp: somebody waits for a plan, so a cloud in trouble is reported.
func TestPlanningGivesUp(t *testing.T) {
	for name, input := range map[string]any{
		workflows.PlanRolloutName: workflows.PlanRolloutInput{}, workflows.CheckPlanName: workflows.CheckPlanInput{},
	} {
		t.Run(name, func(t *testing.T) {
			s := newStage(t)
			answers[activities.MakePlanInput](s, activities.MakePlanName, answer[activities.MakePlanResult]{err: passing(activities.ErrCloud, "503")})
			answers[activities.CheckPlanInput](s, activities.CheckPlanName, answer[activities.CheckPlanResult]{err: passing(activities.ErrCloud, "503")})
			begun := s.env.Now()
			_, err := run[workflows.PlanRolloutResult](s, name, input)
			require.ErrorContains(t, err, "503")
			assert.LessOrEqual(t, s.env.Now().Sub(begun), 20*time.Minute)
			options := s.options.asked[0].options
			assert.Positive(t, options.HeartbeatTimeout)
			assert.LessOrEqual(t, options.HeartbeatTimeout, time.Minute)
			assert.GreaterOrEqual(t, options.ScheduleToCloseTimeout, options.StartToCloseTimeout)
			assert.NotEmpty(t, options.Summary)
		})
	}
}
