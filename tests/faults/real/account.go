package real

import (
	"encoding/json"
	"fmt"
	"net/http"
	"slices"
	"strings"
	"time"

	"github.com/stretchr/testify/require"
	"go.temporal.io/api/history/v1"
	"go.temporal.io/sdk/client"

	"github.com/reimage/reimage/api"
	"github.com/reimage/reimage/internal/emulator"
	"github.com/reimage/reimage/rollout"
	"github.com/reimage/reimage/tests/faults"
	"github.com/reimage/reimage/tests/harness"
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
type child struct{ server, runID string }

// clock turns the emulated time of the ledger into the time of the test.
type clock struct {
	emulated, wall time.Time
}

func startClock(cloud *emulator.Emulator) clock { return clock{cloud.Now(), time.Now()} }

func (c clock) wallAt(emulated time.Time) time.Time {
	return c.wall.Add(emulated.Sub(c.emulated) / harness.Speed)
}

// collect asks the rollout, Temporal and the cloud for everything.
func collect(lab *harness.Lab, run client.WorkflowRun, plan rollout.Plan, clock clock, watch *watch) *account {
	lab.T.Helper()
	a := &account{struck: struck(lab)}
	a.Plan, a.Blown = plan, true
	a.Progress = lab.Await(run, "the progress of the ended rollout", func(rollout.Progress) bool { return true })
	var page api.ServersAnswer
	query(lab, run, &page, api.ServersQuery, api.ServersPage{Limit: api.MaxServersPage})
	a.Servers = page.Servers
	query(lab, run, &a.log, api.LogQuery)
	a.Ledger = lab.Cloud.Ledger()
	for _, server := range a.Ledger.Servers {
		for i := range server.Writes {
			server.Writes[i].Time = clock.wallAt(server.Writes[i].Time)
		}
	}
	a.Truth = make(map[string]emulator.Server)
	for _, server := range lab.Cloud.Servers() {
		a.Truth[server.ID] = server
	}
	a.runs = lab.Runs(run)
	for _, history := range a.runs {
		r := reader{t: lab.T, plan: plan, events: history.GetEvents()}
		r.read()
		a.children, a.Story = append(a.children, r.children...), append(a.Story, r.story...)
	}
	a.Story = append(a.Story, watch.looks()...)
	slices.SortStableFunc(a.Story, func(one, other faults.Event) int { return one.At.Compare(other.At) })
	a.violations = a.Violations()
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

// replay runs every history of the rollout and of its servers through today's code.
func (a *account) replay(lab *harness.Lab) {
	lab.T.Helper()
	for _, history := range a.runs {
		harness.Replay(lab.T, history)
		a.replayed++
	}
	for _, c := range a.children {
		lab.Replay(lab.Temporal.Client.GetWorkflow(lab.T.Context(), api.ChangeOSID(a.Plan.Project, c.server), c.runID))
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
func (a *account) evidence() string {
	var text strings.Builder
	all := strings.Join(a.violations, "\n")
	for _, s := range a.Servers {
		if !strings.Contains(all, s.Name) && !strings.Contains(all, s.ID) {
			continue
		}
		now, exists := a.Truth[s.ID]
		fmt.Fprintf(&text, "%s %s: %s, attempts %d, accepted %t: %s\n  before %+v, after %+v\n  truth %t: %s %q image %s volume %s\n",
			s.Name, s.ID, s.End, s.Attempts, s.Accepted, s.Reason, s.Before, s.After, exists, now.Status, now.TaskState, now.ImageID, now.SystemVolumeID)
		for _, e := range a.Story {
			if e.Server == s.ID {
				fmt.Fprintf(&text, "  %s %s, back %t, %s\n", e.At.UTC().Format(time.StampMilli), e.What, e.Back, e.Result.End)
			}
		}
		if ledger := a.Ledger.Servers[s.ID]; ledger != nil {
			for _, w := range ledger.Writes {
				fmt.Fprintf(&text, "  %s %s accepted, job %s\n", w.Time.UTC().Format(time.StampMilli), w.Op, w.JobID)
			}
		}
	}
	for _, entry := range a.log {
		fmt.Fprintf(&text, "%s %s %s\n", entry.At.UTC().Format(time.StampMilli), entry.By, entry.What)
	}
	return text.String()
}
