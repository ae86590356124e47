package faults_test

import (
	"flag"
	"os/exec"
	"path/filepath"
	"regexp"
	"strconv"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/reimage/reimage/internal/mutant"
	"github.com/reimage/reimage/tests/faults"
)

var mutantSchedules = flag.Int("mutant-schedules", 0, "how many schedules each mutant may survive; 0 tries only those that are caught early")

// defect is a mutant of which the campaign has to find a violation of the kind.
type defect struct {
	name           string
	kind           faults.Kind
	file, old, new string
}

func mutants() []defect {
	const (
		submit   = "rollout/change/submission.go"
		runbook  = "rollout/change/runbook.go"
		server   = "workflows/rollout_server.go"
		engine   = "rollout/engine/engine.go"
		admit    = "rollout/engine/admit.go"
		advance  = "rollout/engine/advance.go"
		commands = "rollout/engine/commands.go"
		state    = "rollout/engine/state.go"
		waves    = "rollout/engine/waves.go"
		evidence = "rollout/change/evidence.go"
		recall   = "rollout/engine/recall.go"
	)
	return []defect{
		// Never twice.
		{
			"sends again after an unknown outcome", faults.Twice, submit,
			"\tcase UnknownResponse:\n", "\tcase UnknownResponse:\n\t\ts.memory.LastCleanAttempt = s.attempt\n",
		},
		{"no settle time", faults.Twice, submit, `settled := held >= s.timing.Settle`, `settled := held >= 0*s.timing.Settle`},
		{"no look on the second attempt", faults.Twice, submit, `inDoubt: !first && !clean`, `inDoubt: first && clean`},
		{
			"busy is taken for proof", faults.Twice, submit, "\tcase BusyResponse:\n",
			"\tcase BusyResponse:\n\t\treturn s.clean(retry(NotReady, r.Message, s.timing.Poll).End, t, now)\n\tcase 0:\n",
		},
		{
			"a transport that tries again", faults.Twice, "ecs/outcome.go",
			"reply := c.exchange(ctx, r)\n\tswitch {\n\tcase reply.err != nil && reply.begun:",
			"reply := c.exchange(ctx, r)\n\tif reply.err != nil && reply.begun {\n\t\treply = c.exchange(ctx, r)\n\t}\n\tswitch {\n\tcase reply.err != nil && reply.begun:",
		},
		{
			"a change that came to nothing is sent again", faults.Twice, submit,
			`return now.After(rest)`, `return now.After(rest.AddDate(1, 0, 0))`,
		},
		{"an order that waits for its payment is sent again", faults.Twice, submit, `case settled && server.Idle() && s.in.MayAwaitPayment:`, `case false:`},
		{
			"what Temporal answers before a write is ignored", faults.Twice, "activities/confirm.go",
			`err := s.Temporal.RecordActivityHeartbeat(`, "var err error\n\t_ = s.Temporal.RecordActivityHeartbeat(",
		},
		{"an earlier change that may still come is ignored", faults.Twice, "activities/preflight.go", `if why != "" {`, `if why == "never" {`},
		{"a lost answer is taken for no change", faults.Twice, "rollout/change/pending.go", `case p.JobID == "" && isNotApplied:`, `case false && isNotApplied:`},
		{"a job that the cloud has forgotten is taken for over", faults.Twice, "rollout/change/pending.go", `case answer.Status == JobUnknown && answer.ByService && isNotApplied:`, `case false && isNotApplied:`},
		{"a submission is not remembered", faults.Twice, runbook, `r.step, r.record.Pending = StepSubmit, true`, `r.step, r.record.Pending = StepSubmit, false`},
		{"what is pending at the end is not remembered", faults.Twice, runbook, `r.record.Pending = r.record.Pending && !isOver`, `r.record.Pending = r.record.Pending && !isOver && false`},
		{"another's disk is destroyed", faults.Twice, submit, `case server.Fingerprint != s.in.Before:`, `case false:`},
		{
			"a server that failed intact is changed again without being asked", faults.Unasked, engine, "\tcase out.End.Failed():\n",
			"\tcase out.End == rollout.FailedIntact && s.Attempts == 1 && !e.stopped():\n\t\ts.State = rollout.Pending\n\tcase out.End.Failed():\n",
		},
		// Stops before it spreads.
		{"the budget is off by one", faults.Spread, admit, `t.failed > tolerated {`, `t.failed > tolerated+1 {`},
		{"the budget of a group is off by one", faults.Spread, admit, `failed > *perGroup {`, `failed > *perGroup+1 {`},
		{"a share is ignored", faults.Spread, "rollout/plan.go", `return min(*b.Count, *b.Share)`, `return *b.Count`},
		{"refused credentials stop nothing", faults.Spread, advance, "if e.state.Credentials != \"\" {\n", "if e != nil {\n"},
		{"strict admission is ignored", faults.Spread, admit, `budget.Strict && t.inFlight+t.failed > e.tolerated(t)`, `false`},
		{"an abort stops nothing", faults.Spread, commands, "\t\tif s.Phase != rollout.PhaseAborting {\n", "\t\tif s.Phase == rollout.PhaseAborting {\n"},
		{"an abort leaves what is pending", faults.Stuck, commands, `e.stop(rollout.PhaseAborting)
		}`, `s.Phase, s.Pause = rollout.PhaseAborting, nil
		}`},
		{"a pause starts what is pending", faults.Spread, advance, "\t\tif !e.stopped() {\n\t\t\te.noteWaveOver()\n", "\t\tif !e.stopped() {\n\t\t\te.noteWaveOver()\n\t\t\td.Start = e.admit()\n"},
		{"the fence does not ask the rollout", faults.Spread, "activities/recall.go", `case recall.Includes(touched):`, `case recall.Includes(touched) && asked.IsZero():`},
		{"an abort recalls nothing", faults.Spread, recall, "case rollout.PhaseAborting:\n\t\treturn rollout.RecallUnsubmitted", "case rollout.PhaseAborting:\n\t\treturn rollout.RecallNone"},
		{"a suspicion holds nothing", faults.Spread, recall, `if t.suspects == 0 || e.state.Phase`, `if t.suspects >= 0 || e.state.Phase`},
		{"waves are ignored", faults.Order, admit, `range e.state.Servers[:e.plan.Waves[e.state.Wave].End] {`, `range e.state.Servers {`},
		{"a bake is ignored", faults.Order, waves, `return e.state.WaveOverAt.Add(e.plan.Waves[e.state.Wave].Bake)`, `return e.state.WaveOverAt`},
		{"an approval is not waited for", faults.Order, waves, `return wave.Approval && !e.empty(w)`, `return false && !e.empty(w)`},
		{"a slow start is ignored", faults.Pace, admit, `budget.SlowStart && t.inFlight+t.soaking >= e.state.Window`, `false`},
		// Caps.
		{"the cap is off by one", faults.Cap, admit, `return slots >= e.state.Cap ||`, `return slots > e.state.Cap ||`},
		{"caps by zone are ignored", faults.Cap, admit, `zones[zone] >= e.plan.Caps.Zones[zone].Cap`, `zones[zone] < 0`},
		{"caps by group are ignored", faults.Cap, admit, `groups[group] >= e.plan.Caps.Groups[group].Cap`, `groups[group] < 0`},
		{"servers that are down for another reason are ignored", faults.Cap, admit, `func (e *Engine) tally() tally { return e.tallyOf(true) }`, `func (e *Engine) tally() tally { return e.tallyOf(false) }`},
		{"a wave begins without a reading of states", faults.Cap, "rollout/engine/down.go", `!e.empty(s.Wave) && s.StatesRead <= s.Wave`, `s.Wave < 0`},
		{"a failed server gives its slot back", faults.Cap, state, `return !s.Accepted && s.End.Failed() && (s.End.OutOfService() || s.Down)`, `return false`},
		{"a server that failed intact keeps its slot", faults.Record, state, `(s.End.OutOfService() || s.Down)`, `true`},
		{"a slot is free before the soak is over", faults.Cap, state, `return s.State == rollout.InFlight || s.State == rollout.Soaking`, `return s.State == rollout.InFlight`},
		{"a concurrency of 1 sets 3", faults.Cap, commands, "s.Cap = c.InFlight\n", "s.Cap = c.InFlight * 3\n"},
		{"a lower concurrency is ignored", faults.Cap, commands, "s.Cap = c.InFlight\n", "s.Cap = max(s.Cap, c.InFlight)\n"},
		// Tells the truth.
		{
			"an untouched server is called intact though its change may come", faults.Untrue, evidence,
			`case o.Fingerprint == before && !ended:`, `case false:`,
		},
		{"a refusal for an unknown reason is believed", faults.Untrue, submit, "\ts.phase, s.stability = submitSettlingRefusal, Stability{}\n", "\tif s.phase == submitSending {\n\t\treturn s.finalReported(r.Message)\n\t}\n"},
		{"a job's success is taken for proof", faults.Untrue, "rollout/change/verification.go", `steady := settled && (`, `steady := v.in.Ended || settled && (`},
		{"a healthy change is called failed", faults.Untrue, evidence, "case Proven(o, before, imageID):\n\t\treturn rollout.Done", "case Proven(o, before, imageID) && false:\n\t\treturn rollout.Done"},
		{"a server fails for a secret that its worker lacks", faults.NoCause, runbook, `if f.Type.OfWorker() {`, `if f.Type == Credentials {`},
		{"every server is skipped", faults.NoCause, runbook, `case found.AlreadyThere:`, `case true:`},
		{"every rollout is aborted", faults.NoCause, advance, "\tcase rollout.PhaseRunning:\n\t\te.moveOn()", "\tcase rollout.PhaseRunning:\n\t\te.stop(rollout.PhaseAborting)\n\t\te.finish(rollout.Aborted)"},
		{"a retry is not carried out", faults.NoCause, commands, `server.State == rollout.Ended {`, `server.Accepted {`},
		{"a rollback takes nobody back", faults.NoCause, admit, `return s.State == rollout.Ended && !s.asBefore() && ours`, `return s.Down && !s.asBefore() && ours`},
		{"no start is put on record", faults.Record, admit, `s.StartedAt, s.EndedAt = e.state.Now, time.Time{}`, `s.StartedAt, s.EndedAt = time.Time{}, time.Time{}`},
		// Secrets stay with the worker.
		{"the text of a refusal is kept", faults.Leak, "ecs/withhold.go", `return c.withoutText || call.private || carriesToken(req)`, `return call.private && req == nil`},
		{"the text of a job is kept", faults.Leak, "activities/profiles.go", `if change.HasSecrets() {`, `if change.ImageID == "" {`},
		// Leaves servers as asked.
		{
			"power is never given back, and the report says so", faults.Power, runbook, "\t\tr.step = StepRestorePower\n", "\t\tr.Result.PowerTrouble = \"it was not tried\"\n",
		},
		{"a rollback leaves servers stopped", faults.Power, server, `= server.Before.ImageID, true, rollout.PowerOn`, `= server.Before.ImageID, true, rollout.PowerOff`},
	}
}

// caughtEarly are tried in every test run, each over as many schedules as it takes and some more.
var caughtEarly = map[string]int{
	"sends again after an unknown outcome":                             20,
	"a server that failed intact is changed again without being asked": 80,
	"power is never given back, and the report says so":                40,
	"the fence does not ask the rollout":                               100,
}

// TestMutants lets the campaign loose on each mutant. One that survives means that the campaign proves nothing
// about what it breaks.
func TestMutants(t *testing.T) {
	root, err := filepath.Abs("../..")
	require.NoError(t, err)
	for _, m := range mutants() {
		t.Run(m.name, func(t *testing.T) {
			edit := mutant.Edit{Root: root, File: m.file, Old: m.old, New: m.new}
			edit.Check(t)
			most := *mutantSchedules
			if most == 0 && !testing.Short() {
				most = caughtEarly[m.name]
			}
			if most > 0 {
				m.hunt(t, edit, most)
			}
		})
	}
}

// chunk is how many schedules are played at most before somebody looks whether one has failed.
const chunk = 250

// hunt plays schedules until one finds what the mutant breaks. The campaign begins with seed 1, so its seed
// is also how many it took.
func (m defect) hunt(t *testing.T, edit mutant.Edit, most int) {
	t.Helper()
	campaign := edit.Build(t, "./tests/faults")
	for first := 1; first <= most; first += chunk {
		run := exec.Command(campaign, "-test.run", "^TestCampaign$", "-schedules", strconv.Itoa(min(chunk, most)), "-seed", strconv.Itoa(first))
		out, err := run.CombinedOutput()
		if err == nil {
			continue
		}
		if seed, violation := m.caught(t, out); seed > 0 {
			t.Logf("caught by seed %d: %s", seed, violation)
			return
		}
		t.Logf("seeds from %d on found something else: %.2000s", first, out)
	}
	t.Errorf("%q survives %d schedules", m.name, most)
}

var failedSeed = regexp.MustCompile(`(?s)seed (\d+):\n(.*?)to repeat it`)

// caught is the first seed that found a violation of the mutant's kind, and that violation.
func (m defect) caught(t *testing.T, out []byte) (first int, violation string) {
	t.Helper()
	for _, found := range failedSeed.FindAllSubmatch(out, -1) {
		seed, err := strconv.Atoi(string(found[1]))
		require.NoError(t, err)
		for line := range strings.Lines(string(found[2])) {
			line = strings.TrimSpace(line)
			if (first == 0 || seed < first) && strings.HasPrefix(line, string(m.kind)+": ") {
				first, violation = seed, line
			}
		}
	}
	return first, violation
}
