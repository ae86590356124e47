package activities_test

import (
	"cmp"
	"errors"
	"fmt"
	"net/http"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
	"go.temporal.io/api/serviceerror"

	"github.com/reimage/reimage/activities/contract"
	"github.com/reimage/reimage/api"
	"github.com/reimage/reimage/internal/emulator"
	"github.com/reimage/reimage/internal/pending/pendingtest"
	"github.com/reimage/reimage/rollout"
	"github.com/reimage/reimage/rollout/document"
)

// past is a run of the workflow that locks a server.
type past = pendingtest.Run

// lock is the workflow that locks the lab's server.
func (l *lab) lock() string {
	return api.ChangeOSIDPrefix + emulator.DefaultProjectID + "/" + l.server.ID
}

// remembers has Temporal keep these runs of the lab's server, the newest first.
func (l *lab) remembers(runs ...past) {
	l.acts.Temporal = forgetful{pendingtest.Temporal{Runs: map[string][]past{l.lock(): runs}}}
}

// cannotRemember has Temporal not answer.
func (l *lab) cannotRemember() {
	l.acts.Temporal = forgetful{pendingtest.Temporal{Err: serviceerror.NewUnavailable("down"), ListErr: serviceerror.NewUnavailable("down")}}
}

// changed is a run that has sent a change of the lab's server, which was in that status.
func (l *lab) changed(status, jobID string, changes ...func(*api.ChangeRecord)) past {
	record := &api.ChangeRecord{
		FirstRunID: "a", Pending: true,
		Result: rollout.ServerResult{End: rollout.FailedChanged, JobID: jobID, Before: l.was(status)},
	}
	if status == rollout.StatusActive {
		record.LeftOff = record.Result.Before.VolumeID
	}
	for _, change := range changes {
		change(record)
	}
	return past{ID: "a", Record: record}
}

func over(r *api.ChangeRecord) { r.Pending, r.Result.End = false, rollout.FailedIntact }

// unpaid is a cloud with one server and an order for it that nobody pays for some time.
func unpaid(server emulator.Server) emulator.Options {
	return withFaults(fleetOf(server), emulator.Fault{Op: emulator.OpChangeOS, Kind: emulator.JobStuck, Variant: "pending_payment", Delay: time.Hour})
}

// was is the lab's server before it was changed, with that status.
func (l *lab) was(status string) rollout.Observation {
	return rollout.Observation{Fingerprint: l.before(), Exists: true, Status: status}
}

// sentBefore has the lab's server changed, and Temporal keep that it was not seen to its end.
func (l *lab) sentBefore(status string) (jobID string) {
	jobID = l.changing()
	time.Sleep(time.Minute) // the order is made
	l.remembers(l.changed(status, jobID))
	return jobID
}

// jobAnswers has the cloud answer so to every question for a job.
func (l *lab) jobAnswers(status int, body string) {
	l.answer = func(w http.ResponseWriter, r *http.Request) bool {
		if !strings.Contains(r.URL.Path, "/jobs/") {
			return false
		}
		w.Header().Set("Content-Type", "application/json")
		w.WriteHeader(status)
		_, _ = w.Write([]byte(body))
		return true
	}
}

func (l *lab) lookAgain(change rollout.Change) contract.PreflightResult {
	l.Helper()
	change.ImageID = l.target.ID
	end := run(l, l.acts.Preflight, contract.PreflightInput{ServerID: l.server.ID, Change: change}, attempt{})
	require.NoError(l, end.err)
	return end.result
}

// remedy is what to do about the lab's server.
func (l *lab) remedy() string {
	return "; wait for its end (unpaid: pay or cancel its order in the cloud's console); when nothing more comes of it: reimage server forget " + l.server.ID
}

// TestPreflightFindsAnOpenOrder until it is paid.
func TestPreflightFindsAnOpenOrder(t *testing.T) {
	inLab(t, unpaid(emulator.Server{Name: "one", Status: "SHUTOFF"}), func(l *lab) {
		job := l.sentBefore(rollout.StatusShutoff)
		found := l.lookAgain(rollout.Change{})
		assert.Equal(l, []string{fmt.Sprintf("one (%s) has an earlier change that may still come: its job %s is PENDING_PAYMENT", l.server.ID, job) + l.remedy()}, found.Refusals)
		assert.Empty(l, found.AsBefore)

		time.Sleep(2 * time.Hour)
		found = l.lookAgain(rollout.Change{})
		assert.Empty(l, found.Refusals, "it was paid, and is over")
		assert.True(l, found.AlreadyThere)
	})
}

// TestPreflightOfAJobThatIsNotTold: one that the cloud has deleted is over, one that it does not tell of may come.
func TestPreflightOfAJobThatIsNotTold(t *testing.T) {
	for name, test := range map[string]struct {
		status int
		body   string
		says   string
	}{
		"deleted":    {404, `{"error":{"code":"Ecs.0114","message":"job not found"}}`, "the cloud no longer knows its job %s, and it was not seen to come; "},
		"failed":     {200, `{"status":"FAIL","fail_reason":"no"}`, ""},
		"under way":  {200, `{"status":"RUNNING"}`, " is RUNNING; wait"},
		"a page":     {404, "<html>not here</html>", "of its job %s the cloud does not tell: "},
		"nothing":    {404, "", "of its job %s the cloud does not tell: "},
		"not told":   {400, `{"error":{"code":"Ecs.0005","message":"invalid job"}}`, "of its job %s the cloud does not tell: "},
		"odd status": {200, `{"status":"FROZEN_FOR_REVIEW"}`, " is FROZEN_FOR_REVIEW; wait"},
	} {
		t.Run(name, func(t *testing.T) {
			inLab(t, unpaid(emulator.Server{Name: "one", Status: "SHUTOFF"}), func(l *lab) {
				job := l.sentBefore(rollout.StatusShutoff)
				l.jobAnswers(test.status, test.body)
				found := l.lookAgain(rollout.Change{})
				if name == "deleted" {
					l.server.SystemVolumeID = "another"
					l.remembers(l.changed(rollout.StatusShutoff, job))
					assert.Empty(l, l.lookAgain(rollout.Change{}).Refusals, "it has come")
				}
				if test.says == "" {
					assert.Empty(l, found.Refusals)
					return
				}
				require.Len(l, found.Refusals, 1)
				assert.Contains(l, found.Refusals[0], strings.ReplaceAll(test.says, "%s", job))
			})
		})
	}
}

// TestPreflightKeepsNoTextAboutAnEarlierChangeWithSecrets, which the cloud may repeat when it tells of its job: the change that is
// asked for now has others, or none.
func TestPreflightKeepsNoTextAboutAnEarlierChangeWithSecrets(t *testing.T) {
	for status, says := range map[int]string{400: "of its job ", 503: "503"} { // a refusal, and trouble
		inLab(t, unpaid(emulator.Server{Name: "one", Status: "SHUTOFF"}), func(l *lab) {
			l.acts.Secrets.LookupEnv = func(string) (string, bool) { return "Horse-7-battery", true }
			job := l.sentBefore(rollout.StatusShutoff)
			l.remembers(l.changed(rollout.StatusShutoff, job, func(r *api.ChangeRecord) { r.Change.Login.PasswordFrom = "env:REIMAGE_SECRET_OLD" }))
			l.jobAnswers(status, `{"error":{"code":"Ecs.0005","message":"adminPass Horse-7-battery"}}`)
			end := run(l, l.acts.Preflight, contract.PreflightInput{ServerID: l.server.ID, Change: rollout.Change{ImageID: l.target.ID}}, attempt{})
			text := strings.Join(end.result.Refusals, "\n")
			if end.err != nil {
				text = end.err.Error()
			}
			assert.Contains(l, text, says)
			assert.Contains(l, text, "Ecs.0005: a parameter of the request is invalid; the cloud's text is not kept")
			assert.NotContains(l, text, "adminPass")
		})
	}
}

// TestPreflightOfAServerThatAnEarlierChangeLeftStopped: "as before" is as before that change, unless the power was asked for.
func TestPreflightOfAServerThatAnEarlierChangeLeftStopped(t *testing.T) {
	for name, test := range map[string]struct {
		now   string // SHUTOFF
		disk  string // that of the server
		power rollout.Power
		left  bool
	}{
		"it ran":                   {left: true},
		"it ran, as before":        {power: rollout.PowerAsBefore, left: true},
		"it ran, and shall be off": {power: rollout.PowerOff},
		"it ran with another disk": {disk: "another"},
		"it runs":                  {now: rollout.StatusActive},
	} {
		t.Run(name, func(t *testing.T) {
			inLab(t, fleetOf(emulator.Server{Name: "one", Status: cmp.Or(test.now, rollout.StatusShutoff)}), func(l *lab) {
				l.remembers(l.changed(rollout.StatusActive, "job-1", over, func(r *api.ChangeRecord) { r.LeftOff = cmp.Or(test.disk, r.LeftOff) }))
				found := l.lookAgain(rollout.Change{Power: test.power})
				assert.Equal(l, test.left, found.AsBefore == rollout.StatusActive)
				assert.Equal(l, test.left, len(found.Notes) == 1, found.Notes)
			})
		})
	}
}

// TestPreflightOfAServerThatIsThereAndStopped: it is not touched, and that is told.
func TestPreflightOfAServerThatIsThereAndStopped(t *testing.T) {
	inLab(t, stopped(), func(l *lab) {
		l.remembers(l.changed(rollout.StatusActive, "", over))
		l.target.ID = l.before().ImageID
		found := l.lookAgain(rollout.Change{})
		assert.True(l, found.AlreadyThere)
		assert.Empty(l, found.AsBefore)
		assert.Equal(l, []string{fmt.Sprintf("one (%s) is stopped since an earlier change, before which it ran, and is left so: start it in the cloud's console", l.server.ID)}, found.Notes)
		assert.Equal(l, rollout.StatusActive, l.lookAgain(rollout.Change{EvenIfSameImage: true}).AsBefore)
	})
}

// TestPreflightOfALostAnswer: there is no job to ask for, and the change was not seen.
func TestPreflightOfALostAnswer(t *testing.T) {
	inLab(t, stopped(), func(l *lab) {
		refusals := func(runs ...past) []string {
			l.remembers(runs...)
			return l.lookAgain(rollout.Change{}).Refusals
		}
		lost := l.changed(rollout.StatusShutoff, "")
		assert.Equal(l, []string{fmt.Sprintf("one (%s) has an earlier change that may still come: it may have been sent, its job is not known, and it was not seen to come", l.server.ID) + l.remedy()}, refusals(lost))
		assert.Empty(l, refusals(past{ID: "b", Dismissal: &api.Dismissal{Runs: []string{"a"}}}, lost))
		assert.Len(l, refusals(past{ID: "a", Unreadable: true}), 1, "it may have been any")
		before := &lost.Record.Result.Before
		before.VolumeID = "another"
		assert.Empty(l, refusals(lost), "it has come")
		before.ImageID, lost.Record.Change.ImageID = "the old one", "the new one"
		assert.Len(l, refusals(lost), 1, "somebody else gave it that disk")
	})
}

// TestDoctorFindsAnOpenOrder, as the first step of a change does, and without an image too.
func TestDoctorFindsAnOpenOrder(t *testing.T) {
	inLab(t, unpaid(emulator.Server{Name: "one", Status: "SHUTOFF"}), func(l *lab) {
		job := l.sentBefore(rollout.StatusShutoff)
		look := func() api.Finding {
			end := run(l, l.acts.Diagnose, contract.DiagnoseInput{ServerID: l.server.ID}, attempt{})
			require.NoError(l, end.err)
			for _, found := range end.result.Findings {
				if found.Check == api.CheckServer {
					return found
				}
			}
			return api.Finding{}
		}
		found := look()
		assert.Equal(l, api.CheckFailed, found.Verdict)
		assert.Equal(l, fmt.Sprintf("one (%s) has an earlier change that may still come: its job %s is PENDING_PAYMENT", l.server.ID, job)+l.remedy(), found.Seen)
		inProgress := l.changed(rollout.StatusShutoff, job)
		inProgress.IsRunning = true
		l.remembers(inProgress)
		held := look()
		assert.Equal(l, api.CheckFailed, held.Verdict)
		assert.Equal(l, fmt.Sprintf("one (%s) is held by a workflow that is under way: reimage server status %[1]s", l.server.ID), held.Seen)
		l.cannotRemember()
		untold := look()
		assert.Contains(l, untold.Seen, "earlier changes are unknown")
		assert.Equal(l, "try again; if it stays so, look what keeps Temporal", untold.Fix, "the cloud's support cannot help")
	})
}

// TestPreflightAsksForEveryPendingChange: one that is over says nothing about another.
func TestPreflightAsksForEveryPendingChange(t *testing.T) {
	inLab(t, unpaid(emulator.Server{Name: "one", Status: "SHUTOFF"}), func(l *lab) {
		job := l.sentBefore(rollout.StatusShutoff)
		lost, first := l.changed(rollout.StatusShutoff, ""), l.changed(rollout.StatusShutoff, job)
		lost.ID, lost.Record.FirstRunID = "b", "deleted" // a run that was reset
		refusal := func(runs ...past) string {
			l.remembers(runs...)
			return strings.Join(l.lookAgain(rollout.Change{}).Refusals, "\n")
		}
		assert.Contains(l, refusal(lost, first), "its job "+job+" is PENDING_PAYMENT", "the job says more")
		l.jobAnswers(http.StatusOK, `{"status":"FAIL"}`)
		assert.Contains(l, refusal(lost, first), "its job is not known", "the other job is over")
		assert.Empty(l, refusal(first))
	})
}

// TestPlansFindAnOpenOrder: before anything is touched, and again before the rollout begins. A server that runs and is
// paid by the hour hides none, and Temporal is not asked about it.
func TestPlansFindAnOpenOrder(t *testing.T) {
	for name, server := range map[string]emulator.Server{
		"stopped":                       {Name: "one", Status: "SHUTOFF"},
		"paid by the year, and started": {Name: "one", Status: "SHUTOFF", ChargingMode: "1"},
	} {
		t.Run(name, func(t *testing.T) {
			inLab(t, unpaid(server), func(l *lab) {
				asked := l.planOf("", func(s *document.Spec) {
					s.Select, s.Servers.Stopped = document.Selection{IDs: []string{l.server.ID}}, document.RuleChange
				})
				plan := l.plan(asked)
				job := l.sentBefore(rollout.StatusActive)
				if server.ChargingMode != "" {
					l.update(func(s *emulator.Server) { s.Status = "ACTIVE" })
				}
				says := "(its job " + job + " is PENDING_PAYMENT)"
				end := run(l, l.acts.MakePlan, asked, attempt{})
				require.NoError(l, end.err)
				require.Len(l, end.result.Problems, 1)
				assert.Contains(l, end.result.Problems[0], "1 server with an earlier change that may still come: one "+says)
				assert.Contains(l, end.result.Problems[0], "reimage server forget "+l.server.ID+", or say servers.unfit: skip")

				checked := run(l, l.acts.CheckPlan, contract.CheckPlanInput{Plan: plan}, attempt{})
				require.NoError(l, checked.err)
				require.Len(l, checked.result.Drift, 1)
				assert.Equal(l, "one has an earlier change that may still come: its job "+job+" is PENDING_PAYMENT"+l.remedy(), checked.result.Drift[0].What)

				l.cannotRemember()
				untold := run(l, l.acts.MakePlan, asked, attempt{})
				assert.ErrorContains(l, untold.err, "earlier changes are unknown")
			})
		})
	}
	inLab(t, running(), func(l *lab) {
		l.acts.Temporal = forgetful{pendingtest.Temporal{Err: errors.New("nobody asks")}}
		l.plan(l.planOf("", func(s *document.Spec) { s.Select = document.Selection{IDs: []string{l.server.ID}} }))
	})
}

// TestPlanTellsOfServersThatAreThereAndStopped: nobody looks at what a plan skips again.
func TestPlanTellsOfServersThatAreThereAndStopped(t *testing.T) {
	inLab(t, stopped(), func(l *lab) {
		l.update(func(s *emulator.Server) { s.ImageID = l.target.ID })
		l.remembers(l.changed(rollout.StatusActive, "", over))
		end := run(l, l.acts.MakePlan, l.planOf("", func(s *document.Spec) { s.Select = document.Selection{IDs: []string{l.server.ID}} }), attempt{})
		require.NoError(l, end.err)
		require.NotNil(l, end.result.Plan, end.result.Problems)
		require.Len(l, end.result.Plan.Skipped, 1)
		assert.Contains(l, end.result.Plan.Warnings, "1 server on the image already, left stopped by an earlier change: start in the cloud's console: one")
	})
}

// TestPlansAskTheListOnce for all servers together: Temporal may serve ten such questions a second. A server that is being
// changed is waited for.
func TestPlansAskTheListOnce(t *testing.T) {
	servers := make([]emulator.Server, 50)
	for i := range servers {
		servers[i] = emulator.Server{Name: fmt.Sprintf("web-%02d", i), Status: "SHUTOFF"}
	}
	inLab(t, emulator.Options{Fleet: servers}, func(l *lab) {
		lists := 0
		remembered := pendingtest.Temporal{Runs: map[string][]past{}, Lists: &lists}
		for _, l.server = range l.cloud.Servers() {
			lost := l.changed(rollout.StatusShutoff, "")
			lost.IsRunning = l.server.Name == "web-07"
			remembered.Runs[l.lock()] = []past{lost}
		}
		l.acts.Temporal = forgetful{remembered}
		end := run(l, l.acts.MakePlan, l.planOf("", func(s *document.Spec) {
			s.Select, s.Servers.Stopped = document.Selection{Names: []string{"web-*"}}, document.RuleChange
		}), attempt{})
		require.NoError(l, end.err)
		require.Len(l, end.result.Whole, 1)
		assert.Contains(l, end.result.Whole[0], "49 servers with an earlier change that may still come (it may have been sent, ")
		assert.NotContains(l, end.result.Whole[0], "web-07")
		assert.Equal(l, 2, lists, "the other asks who holds the servers")
	})
}
