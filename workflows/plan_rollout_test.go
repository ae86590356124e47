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

	"github.com/reimage/reimage/activities/contract"
	"github.com/reimage/reimage/api"
	"github.com/reimage/reimage/rollout"
	"github.com/reimage/reimage/rollout/document"
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
	doc := document.Rollout{APIVersion: document.APIVersion, Kind: document.Kind, Metadata: document.Metadata{Name: "march"}}
	plan := &rollout.Plan{Version: rollout.PlanVersion, Name: "march", MadeAt: curtain, Servers: []rollout.PlannedServer{{ID: serverID}}, Waves: []rollout.Wave{{Name: "all", End: 1}}}
	require.NoError(t, plan.Seal())
	for name, want := range map[string]api.PlanRolloutResult{
		"plan":     {Plan: plan},
		"problems": {Problems: []string{"the selection is empty", "no image is named x"}, Whole: []string{"with", "all names"}},
	} {
		t.Run(name, func(t *testing.T) {
			s := newStage(t)
			given := answers[contract.MakePlanInput](s, contract.MakePlan,
				answer[contract.MakePlanResult]{err: passing(api.ErrThrottled, "slow down")},
				answer[contract.MakePlanResult]{out: contract.MakePlanResult{Plan: want.Plan, Problems: want.Problems, Whole: want.Whole}})
			got, err := run[api.PlanRolloutResult](s, api.PlanRolloutName, api.PlanRolloutInput{Document: doc})
			require.NoError(t, err)
			assert.Equal(t, want, got)
			assert.Equal(t, []contract.MakePlanInput{{Document: doc}, {Document: doc}}, *given)
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
	want := api.CheckPlanResult{Drift: []rollout.Drift{{ServerID: serverID, Name: called, What: called + " is gone"}}}
	given := answers[contract.CheckPlanInput](s, contract.CheckPlan, answer[contract.CheckPlanResult]{out: contract.CheckPlanResult{Drift: want.Drift}})
	got, err := run[api.CheckPlanResult](s, api.CheckPlanName, api.CheckPlanInput{Plan: plan})
	require.NoError(t, err)
	assert.Equal(t, want, got)
	require.Len(t, *given, 1)
	assert.NoError(t, (*given)[0].Plan.Verify(), "the digest has to survive the way")
}

func TestEditedPlanIsNotCheckedTwice(t *testing.T) {
	s := newStage(t)
	given := answers[contract.CheckPlanInput](s, contract.CheckPlan, answer[contract.CheckPlanResult]{err: final(api.ErrInvalid, "edited")})
	_, err := run[api.CheckPlanResult](s, api.CheckPlanName, api.CheckPlanInput{})
	assert.Equal(t, api.ErrInvalid, applicationError(t, err).Type())
	assert.Len(t, *given, 1)
}

// TestDoctor: what is wrong is data, and a worker that dies over it is followed by another one.
func TestDoctor(t *testing.T) {
	s := newStage(t)
	in := api.DoctorInput{Profile: "edge", ServerID: serverID, ImageID: newImage}
	asked := contract.DiagnoseInput{Profile: "edge", ServerID: serverID, ImageID: newImage}
	want := api.DoctorResult{Findings: []api.Finding{{Check: api.CheckClock, Verdict: api.CheckFailed, Seen: "1h ahead", Fix: "set it"}}}
	given := answers[contract.DiagnoseInput](s, contract.Diagnose,
		answer[contract.DiagnoseResult]{err: passing(api.ErrWorkerStopping, "stopping")}, answer[contract.DiagnoseResult]{out: contract.DiagnoseResult(want)})
	got, err := run[api.DoctorResult](s, api.DoctorName, in)
	require.NoError(t, err)
	assert.Equal(t, want, got)
	assert.Equal(t, []contract.DiagnoseInput{asked, asked}, *given)
	assert.LessOrEqual(t, s.options.of(t, contract.Diagnose).ScheduleToCloseTimeout, 6*time.Minute, "somebody waits")
}

// TestDoctorAsksEveryWorker on its own task queue. One that does not answer is unverified, and when none does, any worker makes the
// checks.
func TestDoctorAsksEveryWorker(t *testing.T) {
	const one, other = "4711@build-07", "4712@build-08"
	of := func(worker, check string) api.Finding {
		return api.Finding{Worker: worker, Check: check, Verdict: api.CheckOK, Seen: "fine"}
	}
	for name, test := range map[string]struct {
		answering map[string]string // the worker that answers, by task queue
		want      []api.Finding
	}{
		"both":     {map[string]string{"/" + one: one, "/" + other: other}, []api.Finding{of(one, api.CheckClock), of(other, api.CheckClock)}},
		"one":      {map[string]string{"/" + other: other}, []api.Finding{api.UnverifiedWorker(one), of(other, api.CheckClock)}},
		"an older": {map[string]string{"": ""}, []api.Finding{of("", api.CheckClock), api.UnverifiedWorker(one), api.UnverifiedWorker(other)}},
		"a slow":   {map[string]string{"": one}, []api.Finding{of(one, api.CheckClock), api.UnverifiedWorker(other)}},
	} {
		t.Run(name, func(t *testing.T) {
			s := newStage(t)
			s.env.OnActivity(contract.Diagnose, mock.Anything, mock.Anything).Return(func(ctx context.Context, in contract.DiagnoseInput) (contract.DiagnoseResult, error) {
				assert.Equal(t, []rollout.SecretRef{"file:init.yaml"}, in.Secrets)
				queue := activity.GetInfo(ctx).TaskQueue
				worker, answers := test.answering[strings.TrimPrefix(queue, "default-test-taskqueue")]
				if !answers {
					return contract.DiagnoseResult{}, final(api.ErrWorkerStopping, "nothing serves "+queue)
				}
				return contract.DiagnoseResult{Findings: []api.Finding{of(worker, api.CheckClock)}}, nil
			})
			in := api.DoctorInput{Workers: []string{one, other}, Secrets: []rollout.SecretRef{"file:init.yaml"}}
			got, err := run[api.DoctorResult](s, api.DoctorName, in)
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
		api.PlanRolloutName: api.PlanRolloutInput{}, api.CheckPlanName: api.CheckPlanInput{},
	} {
		t.Run(name, func(t *testing.T) {
			s := newStage(t)
			answers[contract.MakePlanInput](s, contract.MakePlan, answer[contract.MakePlanResult]{err: passing(api.ErrCloud, "503")})
			answers[contract.CheckPlanInput](s, contract.CheckPlan, answer[contract.CheckPlanResult]{err: passing(api.ErrCloud, "503")})
			begun := s.env.Now()
			_, err := run[api.PlanRolloutResult](s, name, input)
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
