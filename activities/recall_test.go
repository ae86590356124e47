package activities_test

import (
	"context"
	"net"
	"sync"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
	commonpb "go.temporal.io/api/common/v1"
	"go.temporal.io/api/enums/v1"
	"go.temporal.io/api/serviceerror"
	workflowpb "go.temporal.io/api/workflow/v1"
	"go.temporal.io/api/workflowservice/v1"
	"go.temporal.io/sdk/converter"

	"github.com/reimage/reimage/activities/contract"
	"github.com/reimage/reimage/api"
	"github.com/reimage/reimage/internal/emulator"
	"github.com/reimage/reimage/rollout"
)

// rolloutOf is the rollout of the lab's server, as its activities know it.
var rolloutOf = api.RolloutRef{WorkflowID: "rollout/web", FirstRunID: "first"}

// describable is a Temporal with one rollout in it. Set its fields before the activities run, or under mu.
type describable struct {
	forgetful
	mu       sync.Mutex
	recall   rollout.Recall
	memo     map[string]*commonpb.Payload // in place of the recall
	status   enums.WorkflowExecutionStatus
	run      string
	err      error
	takes    time.Duration
	asked    int
	signals  []api.Suspicion
	signalIs []error // of the next signals
}

func newDescribable(recall rollout.Recall) *describable {
	return &describable{recall: recall, status: enums.WORKFLOW_EXECUTION_STATUS_RUNNING, run: "first"}
}

func (d *describable) DescribeWorkflowExecution(ctx context.Context, workflowID, runID string) (*workflowservice.DescribeWorkflowExecutionResponse, error) {
	d.mu.Lock()
	d.asked++
	takes := d.takes
	d.mu.Unlock()
	select {
	case <-time.After(takes):
	case <-ctx.Done():
		return nil, ctx.Err()
	}
	d.mu.Lock()
	defer d.mu.Unlock()
	if workflowID != rolloutOf.WorkflowID || runID != "" {
		return nil, serviceerror.NewInvalidArgument("another workflow")
	}
	fields := d.memo
	if fields == nil && d.recall != "" {
		payload, err := converter.GetDefaultDataConverter().ToPayload(string(d.recall))
		if err != nil {
			return nil, err
		}
		fields = map[string]*commonpb.Payload{api.RecallMemo: payload}
	}
	return &workflowservice.DescribeWorkflowExecutionResponse{WorkflowExecutionInfo: &workflowpb.WorkflowExecutionInfo{
		Status: d.status, FirstRunId: d.run, Memo: &commonpb.Memo{Fields: fields},
	}}, d.err
}

func (d *describable) SignalWorkflow(_ context.Context, workflowID, runID, signal string, arg any) error {
	d.mu.Lock()
	defer d.mu.Unlock()
	if len(d.signalIs) > 0 {
		err := d.signalIs[0]
		d.signalIs = d.signalIs[1:]
		return err
	}
	if workflowID == rolloutOf.WorkflowID && runID == "" && signal == api.SuspicionSignal {
		d.signals = append(d.signals, arg.(api.Suspicion))
	}
	return nil
}

func (d *describable) set(change func(*describable)) {
	d.mu.Lock()
	defer d.mu.Unlock()
	change(d)
}

// stopFor and submitFor are for a server of a rollout.
func (l *lab) stopFor(a attempt, hard bool) ended[contract.StopIfNeededResult] {
	l.Helper()
	return run(l, l.acts.StopIfNeeded, contract.StopIfNeededInput{ServerID: l.server.ID, AllowHard: hard, Rollout: rolloutOf}, a)
}

func (l *lab) submitFor(a attempt, touched bool) ended[contract.SubmitChangeOSResult] {
	l.Helper()
	in := l.submission()
	in.Rollout, in.Touched = rolloutOf, touched
	return run(l, l.acts.SubmitChangeOS, in, a)
}

// TestRecall: what the rollout takes back is neither stopped nor changed, and nothing else is held up.
func TestRecall(t *testing.T) {
	for name, test := range map[string]struct {
		recall           rollout.Recall
		set              func(*describable)
		stop, bare, down bool // whether a stop, and a change of a server that was not or was stopped for it, is recalled
	}{
		"nothing":         {},
		"untouched":       {recall: rollout.RecallUntouched, stop: true, bare: true},
		"unsubmitted":     {recall: rollout.RecallUnsubmitted, stop: true, bare: true, down: true},
		"a later version": {recall: "everything with a tail", stop: true, bare: true, down: true},
		"terminated":      {set: func(d *describable) { d.status = enums.WORKFLOW_EXECUTION_STATUS_TERMINATED }, stop: true, bare: true, down: true},
		"deleted":         {set: func(d *describable) { d.err = serviceerror.NewNotFound("gone") }, stop: true, bare: true, down: true},
		"another rollout": {set: func(d *describable) { d.run = "another" }, stop: true, bare: true, down: true},
		"no first run id": {set: func(d *describable) { d.run = "" }},
	} {
		temporal := func(l *lab) {
			d := newDescribable(test.recall)
			if test.set != nil {
				test.set(d)
			}
			l.acts.Temporal = d
		}
		t.Run(name+", stop", func(t *testing.T) {
			inLab(t, running(), func(l *lab) {
				temporal(l)
				end := l.stopFor(attempt{}, false)
				if !test.stop {
					require.NoError(l, end.err)
					assert.True(l, end.result.Touched)
					return
				}
				var touched bool
				require.NoError(l, failsWith(l, end.err, api.ErrRecalled, true).Details(&touched))
				assert.False(l, touched)
				assert.Empty(l, l.writes(emulator.OpStop))
				assert.Zero(l, end.took)
			})
		})
		for touched, recalled := range map[bool]bool{false: test.bare, true: test.down} {
			t.Run(name+", change", func(t *testing.T) {
				inLab(t, stopped(), func(l *lab) {
					temporal(l)
					end := l.submitFor(attempt{}, touched)
					if !recalled {
						require.NoError(l, end.err)
						assert.Equal(l, 1, l.changes())
						return
					}
					failsWith(l, end.err, api.ErrRecalled, true)
					assert.Zero(l, l.sent())
					assert.Zero(l, end.took)
				})
			})
		}
	}
}

// TestStoppedServerIsNotTouchedByItsStop: it goes on to the change as one that nothing was done to.
func TestStoppedServerIsNotTouchedByItsStop(t *testing.T) {
	inLab(t, stopped(), func(l *lab) {
		l.acts.Temporal = newDescribable(rollout.RecallUnsubmitted)
		end := l.stopFor(attempt{}, false)
		require.NoError(l, end.err)
		assert.False(l, end.result.Touched)
	})
}

// TestPowerIsGivenBackWhateverTheRolloutSays, and a server alone has no rollout to ask.
func TestPowerIsGivenBackWhateverTheRolloutSays(t *testing.T) {
	inLab(t, stopped(), func(l *lab) {
		d := newDescribable(rollout.RecallUnsubmitted)
		l.acts.Temporal = d
		require.NoError(l, l.restore(attempt{}, true).err)
		require.NoError(l, l.stop(attempt{}, false).err)
		require.NoError(l, l.submit(attempt{}).err)
		assert.Zero(l, d.asked)
		assert.Equal(l, 1, l.changes())
	})
}

// TestNothingIsSentWithoutAnAnswerOfTheRollout in time. Nothing is in doubt after that.
func TestNothingIsSentWithoutAnAnswerOfTheRollout(t *testing.T) {
	for name, test := range map[string]struct {
		set  func(*describable)
		took time.Duration
	}{
		"not reached": {func(d *describable) { d.err = serviceerror.NewUnavailable("down") }, 0},
		"too slow":    {func(d *describable) { d.takes = time.Minute }, 1500 * time.Millisecond},
		"unreadable": {func(d *describable) {
			d.memo = map[string]*commonpb.Payload{api.RecallMemo: {Data: []byte("?")}}
		}, 0},
	} {
		t.Run(name, func(t *testing.T) {
			inLab(t, stopped(), func(l *lab) {
				d := newDescribable(rollout.RecallNone)
				test.set(d)
				l.acts.Temporal = d
				end := l.submitFor(attempt{}, true)
				failed := failsWith(l, end.err, api.ErrNotSent, false)
				assert.Contains(l, failed.Message(), "Temporal does not say whether rollout/web goes on")
				assert.LessOrEqual(l, end.took, 2*test.took, "asked before the look, and before the write")
				assert.Zero(l, l.sent())

				l.acts.Temporal = newDescribable(rollout.RecallNone)
				time.Sleep(firstRetry)
				next := l.submitFor(attempt{number: 2, details: end.last()}, true)
				require.NoError(l, next.err)
				assert.Less(l, next.took, testTiming().Settle)
				assert.Equal(l, 1, l.changes())
			})
		})
	}
}

// TestAWriteThatIsHeldUpAfterTheAnswerIsNotSent: the rollout may have been stopped meanwhile.
func TestAWriteThatIsHeldUpAfterTheAnswerIsNotSent(t *testing.T) {
	for name, test := range map[string]struct {
		answer, connect time.Duration
		sent            int
	}{
		"slow connection":       {0, 1600 * time.Millisecond, 0},
		"slow answer":           {1200 * time.Millisecond, 400 * time.Millisecond, 0},
		"both are just in time": {700 * time.Millisecond, 700 * time.Millisecond, 1},
	} {
		t.Run(name, func(t *testing.T) {
			inLab(t, stopped(), func(l *lab) {
				d := newDescribable(rollout.RecallNone)
				d.takes = test.answer
				l.acts.Temporal = d
				config, dials := l.config, 0
				config.Dial = func(ctx context.Context, network, address string) (net.Conn, error) {
					if dials++; dials == 2 { // for the change, after one for the look
						time.Sleep(test.connect)
					}
					return l.config.Dial(ctx, network, address)
				}
				l.acts.Profiles[0].Cloud = l.client(config)
				end := l.submitFor(attempt{}, true)
				assert.Equal(l, test.sent, l.changes())
				if test.sent == 0 {
					failsWith(l, end.err, api.ErrNotSent, false)
				}
			})
		})
	}
}

// TestHardStopOfARecalledServer: a pause lets a stop go on that was begun. An abort does not cut the power of a server
// that gets it back.
func TestHardStopOfARecalledServer(t *testing.T) {
	for recall, hard := range map[rollout.Recall]bool{rollout.RecallUntouched: true, rollout.RecallUnsubmitted: false} {
		t.Run(string(recall), func(t *testing.T) {
			inLab(t, fleetOf(emulator.Server{Name: "one", IgnoresACPI: true}), func(l *lab) {
				d := newDescribable(rollout.RecallNone)
				l.acts.Temporal = d
				l.after(time.Minute, func() { d.set(func(d *describable) { d.recall = recall }) })
				end := l.stopFor(attempt{}, true)
				if hard {
					require.NoError(l, end.err)
					return
				}
				if end.err == nil {
					l.isStopped() // the platform has forced it
					return
				}
				var touched bool
				require.NoError(l, failsWith(l, end.err, api.ErrRecalled, true).Details(&touched))
				assert.True(l, touched)
				assert.Len(l, l.writes(emulator.OpStop), 1)
			})
		})
	}
}

// TestARecallDoesNotEndADoubt: the earlier request is settled first. If it was accepted, the server is finished.
func TestARecallDoesNotEndADoubt(t *testing.T) {
	inLab(t, stopped(), func(l *lab) {
		l.acts.Temporal = newDescribable(rollout.RecallUnsubmitted)
		end := l.submitFor(attempt{number: 2}, true)
		failsWith(l, end.err, api.ErrRecalled, true)
		assert.GreaterOrEqual(l, end.took, testTiming().Settle)
		assert.Zero(l, l.sent())
	})
	inLab(t, withFaults(stopped(), emulator.Fault{Op: emulator.OpChangeOS, Kind: emulator.DropAfter}), func(l *lab) {
		d := newDescribable(rollout.RecallNone)
		l.acts.Temporal = d
		first := l.submitFor(attempt{}, true)
		failsWith(l, first.err, api.ErrInDoubt, false)
		d.set(func(d *describable) { d.recall = rollout.RecallUnsubmitted })
		next := l.submitFor(attempt{number: 2, details: first.last()}, true)
		require.NoError(l, next.err)
		assert.NotEmpty(l, next.result.Seen)
		assert.Equal(l, 1, l.changes())
	})
}

// TestSuspicions: the job's failure, an error and a lost disk are reported at once, an intact server is not.
func TestSuspicions(t *testing.T) {
	for variant, want := range map[string][]string{
		emulator.VariantIntact:  {"its job has failed"},
		emulator.VariantChanged: {"its job has failed", "it is in ERROR"},
		emulator.VariantLost:    {"its job has failed", "it shows no system disk"},
		"":                      nil,
	} {
		t.Run(variant, func(t *testing.T) {
			options := stopped()
			if variant != "" {
				options = withFaults(stopped(), emulator.Fault{Op: emulator.OpChangeOS, Kind: emulator.JobFail, Variant: variant})
			}
			inLab(t, options, func(l *lab) {
				d := newDescribable(rollout.RecallNone)
				l.acts.Temporal = d
				jobID := l.changing()
				poll := contract.PollJobInput{JobID: jobID, ServerID: l.server.ID, Deadline: time.Now().Add(time.Hour), Rollout: rolloutOf}
				require.NoError(l, persist(l, l.acts.PollJob, poll, attempt{}).err)
				verify := l.verification(time.Hour)
				verify.Ended, verify.Rollout = true, rolloutOf
				require.NoError(l, persist(l, l.acts.VerifyServer, verify, attempt{}).err)
				var reasons []string
				for _, s := range d.signals {
					assert.Equal(l, l.server.ID, s.ServerID)
					reasons = append(reasons, s.Reason)
				}
				assert.Equal(l, want, reasons)
			})
		})
	}
}

// TestAServerThatWasInErrorIsNoSuspicion while it shows what it showed before.
func TestAServerThatWasInErrorIsNoSuspicion(t *testing.T) {
	for was, want := range map[bool]int{true: 0, false: 1} {
		inLab(t, fleetOf(emulator.Server{Name: "one", Status: "ERROR"}), func(l *lab) {
			d := newDescribable(rollout.RecallNone)
			l.acts.Temporal = d
			verify := l.verification(time.Minute)
			verify.Rollout, verify.WasInError = rolloutOf, was
			require.NoError(l, persist(l, l.acts.VerifyServer, verify, attempt{}).err)
			assert.Len(l, d.signals, want)
		})
	}
}

// TestASuspicionIsToldAgainUntilTheRolloutHasIt, and keeps no verdict waiting for ever.
func TestASuspicionIsToldAgainUntilTheRolloutHasIt(t *testing.T) {
	down := serviceerror.NewUnavailable("down")
	for name, test := range map[string]struct {
		signalIs []error
		signals  int
	}{
		"twice":               {[]error{down, down}, 1},
		"the rollout is gone": {[]error{serviceerror.NewNotFound("gone"), down}, 0},
		"for a while":         {[]error{down, down, down, down, down, down, down}, 1},
	} {
		t.Run(name, func(t *testing.T) {
			inLab(t, fleetOf(emulator.Server{Name: "one", Status: "ERROR"}), func(l *lab) {
				d := newDescribable(rollout.RecallNone)
				d.signalIs = test.signalIs
				l.acts.Temporal = d
				verify := l.verification(time.Minute)
				verify.Rollout = rolloutOf
				require.NoError(l, persist(l, l.acts.VerifyServer, verify, attempt{}).err)
				assert.Len(l, d.signals, test.signals)
			})
		})
	}
}
