package real

import (
	"encoding/json"
	"fmt"
	"net/http"
	"slices"
	"strings"
	"time"

	"github.com/stretchr/testify/require"
	"go.temporal.io/api/enums/v1"
	"go.temporal.io/api/history/v1"
	"go.temporal.io/sdk/client"

	"github.com/reimage/reimage/internal/emulator"
	"github.com/reimage/reimage/rollout"
	"github.com/reimage/reimage/tests/faults"
	"github.com/reimage/reimage/tests/harness"
	"github.com/reimage/reimage/workflows"
)

// account is a rollout that has ended, with what the oracle of all campaigns asks for and what only real parts have.
type account struct {
	faults.Account
	log      []rollout.LogEntry
	runs     []*history.History
	children []child
	struck   map[string]int // faults of the cloud, by kind and variant
	replayed int

	violations []string
}

// child is one workflow of one server.
type child struct {
	server, runID string
	at            time.Time
	// decidedAt is the time of the rollout when it decided to start it.
	decidedAt time.Time
}

// clock turns the emulated time of the ledger into the time of the test.
type clock struct {
	emulated, wall time.Time
}

func startClock(cloud *emulator.Emulator) clock { return clock{cloud.Now(), time.Now()} }

func (c clock) wallAt(emulated time.Time) time.Time {
	return c.wall.Add(emulated.Sub(c.emulated) / harness.Speed)
}

// audit holds the rollout against everything that can be known of it.
func (a *account) audit(clock clock) {
	a.violations = append(a.violations, a.Violations()...)
	a.withinTheCap()
	a.eachWorkflowOnce(clock)
	a.nothingAfterTheStop()
}

// withinTheCap holds plans to their cap for which the oracle of all campaigns cannot: those that leave servers stopped,
// or roll back. The watch of this one knows which servers are out of service because of that.
func (a *account) withinTheCap() {
	limit := max(a.CapInForce, a.Plan.Caps.InFlight)
	said := slices.ContainsFunc(a.violations, func(v string) bool { return strings.Contains(v, "out of service at a time") })
	if a.MostOutOfService > limit && !said {
		a.violations = append(a.violations, fmt.Sprintf("%d servers were out of service at a time, %d are allowed", a.MostOutOfService, limit))
	}
}

// eachWorkflowOnce is stricter than the count of attempts: no single workflow of a server had two changes accepted. A
// write belongs to the workflow that was started last before it.
func (a *account) eachWorkflowOnce(clock clock) {
	for _, s := range a.Servers {
		ledger := a.Ledger.Servers[s.ID]
		if ledger == nil {
			continue
		}
		var began []time.Time
		for _, c := range a.children {
			if c.server == s.ID {
				began = append(began, c.at)
			}
		}
		accepted := make(map[int]int)
		for _, write := range ledger.Writes {
			if write.Op != emulator.OpChangeOS {
				continue
			}
			at := clock.wallAt(write.Time)
			n := 0
			for n < len(began) && began[n].Before(at) {
				n++
			}
			accepted[n]++
		}
		for n, changes := range accepted {
			if n == 0 || changes > 1 {
				a.violations = append(a.violations, fmt.Sprintf("%s (%s, %s): workflow %d of %d had %d changes accepted", s.Name, s.End, s.Reason, n, len(began), changes))
			}
		}
	}
}

// nothingAfterTheStop looks at what was started once the rollout had said that it stops: nothing after an abort, and
// after a breach nothing but what is given its old image back.
func (a *account) nothingAfterTheStop() {
	rollingBack := make(map[string]bool)
	for _, s := range a.Servers {
		rollingBack[s.ID] = s.RollingBack
	}
	var stopped, aborted time.Time
	for _, entry := range a.log {
		switch {
		case strings.HasPrefix(entry.What, "aborted: "):
			aborted = entry.At
		case turnsBack(entry):
			stopped = entry.At
		}
	}
	for _, c := range a.children {
		switch {
		case !aborted.IsZero() && c.decidedAt.After(aborted):
			a.violations = append(a.violations, fmt.Sprintf("%s was started after the abort", c.server))
		case !stopped.IsZero() && c.decidedAt.After(stopped) && !rollingBack[c.server]:
			a.violations = append(a.violations, fmt.Sprintf("%s was started after the budget was exceeded", c.server))
		}
	}
	a.nothingWhilePaused()
}

// nothingWhilePaused looks for servers that were started between a breach and the command that went on.
func (a *account) nothingWhilePaused() {
	var since time.Time
	for _, entry := range a.log {
		switch {
		case strings.HasPrefix(entry.What, "paused: "):
			if since.IsZero() {
				since = entry.At
			}
		case since.IsZero() || entry.What != "resumed" && !strings.HasPrefix(entry.What, "aborted: "):
		default:
			for _, c := range a.children {
				if c.decidedAt.After(since) && c.decidedAt.Before(entry.At) {
					a.violations = append(a.violations, fmt.Sprintf("%s was started while the rollout was paused", c.server))
				}
			}
			since = time.Time{}
		}
	}
}

// rolledBackAt is when the rollout began to roll back, zero for never.
func (a *account) rolledBackAt() time.Time {
	for _, entry := range a.log {
		if turnsBack(entry) {
			return entry.At
		}
	}
	return time.Time{}
}

// turnsBack is true for the moment at which nothing goes forward any more. One that is paused then rolls back later.
func turnsBack(entry rollout.LogEntry) bool {
	return strings.HasPrefix(entry.What, "rolling back: ") || strings.HasPrefix(entry.What, "to be rolled back when resumed: ")
}

// collect asks the rollout, Temporal and the cloud for everything.
func collect(lab *harness.Lab, run client.WorkflowRun, plan rollout.Plan) *account {
	lab.T.Helper()
	a := &account{struck: struck(lab)}
	a.Plan = plan
	a.Progress = lab.Await(run, "the progress of the ended rollout", func(rollout.Progress) bool { return true })
	var page workflows.ServersAnswer
	query(lab, run, &page, workflows.ServersQuery, workflows.ServersPage{Limit: workflows.MaxServersPage})
	a.Servers = page.Servers
	query(lab, run, &a.log, workflows.LogQuery)
	a.Ledger = lab.Cloud.Ledger()
	a.Truth = make(map[string]emulator.Server)
	for _, server := range lab.Cloud.Servers() {
		a.Truth[server.ID] = server
	}
	a.runs = lab.Runs(run)
	for _, history := range a.runs {
		a.children = append(a.children, childrenOf(history)...)
	}
	return a
}

// query asks until somebody answers.
func query(lab *harness.Lab, run client.WorkflowRun, answer any, name string, args ...any) {
	lab.T.Helper()
	lab.Eventually("an answer to the query "+name, func() bool {
		value, err := lab.Temporal.Client.QueryWorkflow(lab.T.Context(), run.GetID(), "", name, args...)
		if err != nil {
			return false
		}
		require.NoError(lab.T, value.Get(answer))
		return true
	})
}

func childrenOf(h *history.History) []child {
	var all []child
	decided := make(map[int64]time.Time) // by the id of the event that says that the child is to be started
	for _, event := range h.GetEvents() {
		switch event.GetEventType() {
		case enums.EVENT_TYPE_START_CHILD_WORKFLOW_EXECUTION_INITIATED:
			task := event.GetStartChildWorkflowExecutionInitiatedEventAttributes().GetWorkflowTaskCompletedEventId()
			begun := h.GetEvents()[task-1].GetWorkflowTaskCompletedEventAttributes().GetStartedEventId()
			decided[event.GetEventId()] = h.GetEvents()[begun-1].GetEventTime().AsTime()
		case enums.EVENT_TYPE_CHILD_WORKFLOW_EXECUTION_STARTED:
			started := event.GetChildWorkflowExecutionStartedEventAttributes()
			id := started.GetWorkflowExecution().GetWorkflowId()
			all = append(all, child{
				server: id[strings.LastIndex(id, "/")+1:], runID: started.GetWorkflowExecution().GetRunId(),
				at: decided[started.GetInitiatedEventId()], decidedAt: decided[started.GetInitiatedEventId()],
			})
		}
	}
	return all
}

// replay runs every history of the rollout and of its servers through today's code.
func (a *account) replay(lab *harness.Lab) {
	lab.T.Helper()
	for _, history := range a.runs {
		harness.Replay(lab.T, history)
		a.replayed++
	}
	for _, c := range a.children {
		lab.Replay(lab.Temporal.Client.GetWorkflow(lab.T.Context(), workflows.ChangeOSID(a.Plan.Project, c.server), c.runID))
		a.replayed++
	}
}

// struck reads from the emulator how often each kind of fault really struck.
func struck(lab *harness.Lab) map[string]int {
	lab.T.Helper()
	request, err := http.NewRequestWithContext(lab.T.Context(), http.MethodGet, lab.URL+"/_emulator/faults", nil)
	require.NoError(lab.T, err)
	response, err := http.DefaultClient.Do(request)
	require.NoError(lab.T, err)
	defer response.Body.Close()
	var rules struct {
		Faults []struct {
			Fault  struct{ Op, Kind, Variant string }
			Struck int
		}
	}
	require.NoError(lab.T, json.NewDecoder(response.Body).Decode(&rules))
	all := make(map[string]int)
	for _, rule := range rules.Faults {
		if rule.Struck == 0 {
			continue
		}
		name := strings.Join(slices.DeleteFunc([]string{rule.Fault.Kind, rule.Fault.Variant}, func(s string) bool { return s == "" }), "/")
		all[name] += rule.Struck
	}
	return all
}

// evidence is everything about the servers that a violation names, for whoever has to understand it.
func (a *account) evidence(clock clock) string {
	var text strings.Builder
	all := strings.Join(a.violations, "\n")
	for _, s := range a.Servers {
		if !strings.Contains(all, s.Name) && !strings.Contains(all, s.ID) {
			continue
		}
		now, exists := a.Truth[s.ID]
		fmt.Fprintf(&text, "%s %s: %s, attempts %d, accepted %t: %s\n  before %+v, after %+v\n  truth %t: %s %q image %s volume %s\n",
			s.Name, s.ID, s.End, s.Attempts, s.Accepted, s.Reason, s.Before, s.After, exists, now.Status, now.TaskState, now.ImageID, now.SystemVolumeID)
		for _, c := range a.children {
			if c.server == s.ID {
				fmt.Fprintf(&text, "  %s workflow %s started\n", c.at.Format(time.StampMilli), c.runID)
			}
		}
		if ledger := a.Ledger.Servers[s.ID]; ledger != nil {
			for _, w := range ledger.Writes {
				fmt.Fprintf(&text, "  %s %s accepted, job %s\n", clock.wallAt(w.Time).UTC().Format(time.StampMilli), w.Op, w.JobID)
			}
		}
	}
	for _, entry := range a.log {
		fmt.Fprintf(&text, "%s %s %s\n", entry.At.UTC().Format(time.StampMilli), entry.By, entry.What)
	}
	return text.String()
}
