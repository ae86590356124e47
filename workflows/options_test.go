package workflows_test

import (
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/mock"
	"github.com/stretchr/testify/require"
	"go.temporal.io/sdk/interceptor"
	"go.temporal.io/sdk/worker"
	"go.temporal.io/sdk/workflow"

	"github.com/reimage/reimage/activities/contract"
	"github.com/reimage/reimage/api"
	"github.com/reimage/reimage/rollout"
	"github.com/reimage/reimage/rollout/change"
	"github.com/reimage/reimage/workflows"
)

// TestOptionsOfEveryActivity reads the options in force when the workflow asks for an activity.
func TestOptionsOfEveryActivity(t *testing.T) {
	s := newStage(t)
	s.in.Change.Power = rollout.PowerOff // so that every step is there
	s.ended()

	require.Equal(t, []string{
		contract.Preflight, contract.StopIfNeeded, contract.SubmitChangeOS,
		contract.PollJob, contract.VerifyServer, contract.RestorePower,
	}, s.options.names())
	for _, asked := range s.options.asked {
		options := asked.options
		assert.Positive(t, options.StartToCloseTimeout, asked.name)
		switch asked.name {
		case contract.PollJob, contract.VerifyServer:
			assert.Zero(t, options.ScheduleToCloseTimeout, "%s: a server without its disk is not given up because nobody could be asked", asked.name)
		case contract.RestorePower:
			assert.Equal(t, 24*time.Hour, options.ScheduleToCloseTimeout, "%s: long enough for somebody to renew the credentials", asked.name)
		default:
			assert.GreaterOrEqual(t, options.ScheduleToCloseTimeout, options.StartToCloseTimeout, "%s: one attempt has to fit", asked.name)
		}
		require.NotNil(t, options.RetryPolicy, asked.name)
		assert.Zero(t, options.RetryPolicy.MaximumAttempts, "%s: attempts are bounded by time", asked.name)
		assert.LessOrEqual(t, options.RetryPolicy.MaximumInterval, time.Minute, asked.name)
		assert.Positive(t, options.RetryPolicy.MaximumInterval, "%s: without one the server waits 100 times the first interval", asked.name)
		assert.NotEmpty(t, options.Summary, asked.name)
		assert.Less(t, len(options.Summary), 200, asked.name)
		assert.Positive(t, options.HeartbeatTimeout, asked.name)
		assert.LessOrEqual(t, options.HeartbeatTimeout, time.Minute, asked.name)
		assert.Equal(t, asked.name != contract.Preflight, options.WaitForCancellation, "%s: a cancel need not wait for what touches nothing", asked.name)
	}
}

// TestOneSubmitAttemptOutlastsTheSettleTime: an attempt that has to settle first must still be able to send.
func TestOneSubmitAttemptOutlastsTheSettleTime(t *testing.T) {
	s := newStage(t)
	s.ended()
	assert.Greater(t, s.options.of(t, contract.SubmitChangeOS).StartToCloseTimeout, change.MaxSettle+time.Minute)
}

// TestSubmitGivesUpByItself: the end of its time limit would be a doubt, so it says before that nothing was
// accepted.
func TestSubmitGivesUpByItself(t *testing.T) {
	s := newStage(t)
	s.ended()
	assert.GreaterOrEqual(t, s.options.of(t, contract.SubmitChangeOS).ScheduleToCloseTimeout, change.SubmitPatience+change.MaxSettle)
}

// TestWaitsOutlastTheDeadlineOfTheChange: the activity itself has to notice the deadline and tell what it saw.
func TestWaitsOutlastTheDeadlineOfTheChange(t *testing.T) {
	for _, deadline := range []time.Duration{0, time.Minute, 24 * time.Hour} {
		t.Run(deadline.String(), func(t *testing.T) {
			s := newStage(t)
			s.in.Change.Deadline = deadline
			s.ended()
			for _, name := range []string{contract.PollJob, contract.VerifyServer} {
				options := s.options.of(t, name)
				assert.Greater(t, options.StartToCloseTimeout, s.in.Change.WaitDeadline()+change.MaxUnstable, name)
			}
		})
	}
}

// TestOptionsOfARollout: the wait for a server that was adopted goes on whatever happens, and who holds a server
// is a sentence in a report and no more.
func TestOptionsOfARollout(t *testing.T) {
	f := newFleet(t, 2, 2, 2)
	recorder := &optionsRecorder{}
	f.env.SetWorkerOptions(worker.Options{Interceptors: []interceptor.WorkerInterceptor{f.between, recorder}})
	f.adopts(workflows.Running{Server: 0, RunID: "run-0"}, workflows.Running{Server: 1, RunID: "run-1"})
	f.in.Carry.Running = f.in.Carry.Running[:1]
	f.in.Carry.State.Servers[1].State = rollout.Pending
	f.held = func(string) bool { return true }
	f.env.OnActivity(contract.FindHolder, mock.Anything, mock.Anything).Return(contract.FindHolderResult{Holder: holder}, nil)
	f.env.OnActivity(contract.AwaitServer, mock.Anything, mock.Anything).Return(
		contract.AwaitServerResult{Result: &rollout.ServerResult{End: rollout.Done, After: changed()}}, nil)
	f.run()

	adopt := recorder.of(t, contract.AwaitServer)
	assert.Zero(t, adopt.ScheduleToCloseTimeout, "a server in flight is not given up because Temporal was away")
	assert.Greater(t, adopt.StartToCloseTimeout, f.plan.Change.WaitDeadline()+change.MaxUnstable)
	assert.Positive(t, adopt.HeartbeatTimeout)
	assert.LessOrEqual(t, adopt.HeartbeatTimeout, time.Minute, "a dead worker is noticed")
	assert.Zero(t, adopt.RetryPolicy.MaximumAttempts)
	assert.Equal(t, "wait for web-00", adopt.Summary)

	ask := recorder.of(t, contract.FindHolder)
	assert.Equal(t, time.Minute, ask.ScheduleToCloseTimeout, "a server that is busy is tried again after a minute")
	assert.LessOrEqual(t, ask.StartToCloseTimeout, ask.ScheduleToCloseTimeout)
	assert.Equal(t, "who holds the server", ask.Summary)
}

func TestSummariesNameTheServer(t *testing.T) {
	s := newStage(t)
	s.in.Change.Power = rollout.PowerOff
	s.ended()
	for name, summary := range map[string]string{
		contract.StopIfNeeded:   "stop web-07 if it runs",
		contract.SubmitChangeOS: "change the OS of web-07",
		contract.PollJob:        "wait for job " + jobID,
		contract.VerifyServer:   "look for proof on web-07",
		contract.RestorePower:   "leave web-07 stopped",
	} {
		assert.Equal(t, summary, s.options.of(t, name).Summary, name)
	}
}

func TestServerWithoutNameIsCalledByItsID(t *testing.T) {
	s := newStage(t)
	nameless := found(rollout.StatusActive)
	nameless.Name = ""
	s.look.returns(nameless)
	s.ended()
	assert.Equal(t, "change the OS of "+serverID, s.options.of(t, contract.SubmitChangeOS).Summary)
	assert.Contains(t, s.details(), "**"+serverID+"** to image")
}

// TestALookWaitsForItsTurn: the first look at a server goes last, so it must outlast the looks at all others.
func TestALookWaitsForItsTurn(t *testing.T) {
	s := newStage(t)
	s.ended()
	options := s.options.of(t, contract.Preflight)
	assert.Equal(t, 15*time.Minute, options.StartToCloseTimeout)
	assert.Equal(t, 30*time.Minute, options.ScheduleToCloseTimeout)
}

func TestCheckServerReportsTroubleSoon(t *testing.T) {
	s := newStage(t)
	s.execute(api.CheckServerName, contract.PreflightInput{ServerID: serverID, Change: s.in.Change})
	options := s.options.of(t, contract.Preflight)
	assert.Equal(t, 5*time.Minute, options.ScheduleToCloseTimeout, "somebody is waiting at a prompt")
}

// optionsRecorder is an interceptor that notes the options of each activity the workflow asks for. It can also
// make the workflow one that was reset.
type optionsRecorder struct {
	interceptor.WorkerInterceptorBase
	asked []askedActivity
	// originalRun is the run that a reset workflow comes from. Empty leaves it to the environment.
	originalRun string
}

type askedActivity struct {
	name    string
	options workflow.ActivityOptions
}

func (r *optionsRecorder) names() []string {
	var names []string
	for _, asked := range r.asked {
		names = append(names, asked.name)
	}
	return names
}

// of gives the options of the one call of the activity.
func (r *optionsRecorder) of(t *testing.T, name string) workflow.ActivityOptions {
	t.Helper()
	var calls []workflow.ActivityOptions
	for _, asked := range r.asked {
		if asked.name == name {
			calls = append(calls, asked.options)
		}
	}
	require.Len(t, calls, 1, name)
	return calls[0]
}

func (r *optionsRecorder) InterceptWorkflow(_ workflow.Context, next interceptor.WorkflowInboundInterceptor) interceptor.WorkflowInboundInterceptor {
	return &inboundRecorder{WorkflowInboundInterceptorBase: interceptor.WorkflowInboundInterceptorBase{Next: next}, recorder: r}
}

type inboundRecorder struct {
	interceptor.WorkflowInboundInterceptorBase
	recorder *optionsRecorder
}

func (i *inboundRecorder) Init(outbound interceptor.WorkflowOutboundInterceptor) error {
	return i.Next.Init(&outboundRecorder{WorkflowOutboundInterceptorBase: interceptor.WorkflowOutboundInterceptorBase{Next: outbound}, recorder: i.recorder})
}

type outboundRecorder struct {
	interceptor.WorkflowOutboundInterceptorBase
	recorder *optionsRecorder
}

func (o *outboundRecorder) ExecuteActivity(ctx workflow.Context, activityType string, args ...any) workflow.Future {
	o.recorder.asked = append(o.recorder.asked, askedActivity{name: activityType, options: workflow.GetActivityOptions(ctx)})
	return o.Next.ExecuteActivity(ctx, activityType, args...)
}

func (o *outboundRecorder) GetInfo(ctx workflow.Context) *workflow.Info {
	info := *o.Next.GetInfo(ctx)
	switch o.recorder.originalRun {
	case "":
	case "the same":
		info.OriginalRunID = info.WorkflowExecution.RunID
	default:
		info.OriginalRunID = o.recorder.originalRun
	}
	return &info
}
