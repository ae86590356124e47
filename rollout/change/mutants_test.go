package change

import (
	"flag"
	"os/exec"
	"path/filepath"
	"regexp"
	"strconv"
	"testing"

	"github.com/reimage/reimage/internal/mutant"
	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
)

var allMutants = flag.Bool("mutants", false, "let the search find every mutant, and not only a few")

// defect is a mutant that the search has to find.
type defect struct {
	name, file, old, new string
	always               bool // tried in every test run
}

func mutants() []defect {
	const (
		submission   = "rollout/change/submission.go"
		power        = "rollout/change/power.go"
		polling      = "rollout/change/polling.go"
		verification = "rollout/change/verification.go"
		runbook      = "rollout/change/runbook.go"
		pending      = "rollout/change/pending.go"
		evidence     = "rollout/change/evidence.go"
	)
	return []defect{
		{"sends again after an unknown outcome", submission, "\tcase UnknownResponse:\n", "\tcase UnknownResponse:\n\t\ts.memory.LastCleanAttempt = s.attempt\n", true},
		{"no settle time", submission, `settled := held >= s.timing.Settle`, `settled := held >= 0*s.timing.Settle`, false},
		{"the settle time leaves out the lag", submission, `settled := held >= s.timing.Settle`, `settled := held >= s.timing.Settle-s.timing.Lag`, false},
		{"no look on the second attempt", submission, `inDoubt: !first && !clean`, `inDoubt: first && clean`, false},
		{"busy is taken for proof", submission, "\tcase BusyResponse:\n", "\tcase BusyResponse:\n\t\treturn s.clean(retry(NotReady, r.Message, s.timing.Poll).End, t, now)\n\tcase 0:\n", true},
		{"a change that came to nothing is sent again", submission, `return now.After(rest)`, `return now.After(rest.AddDate(1, 0, 0))`, false},
		{"an order that waits for its payment is sent again", submission, `case settled && server.Idle() && s.in.MayAwaitPayment:`, `case false:`, false},
		{"what Temporal answers before a write is ignored", submission, "\tcase s.phase == submitConfirming:\n", "\tcase s.phase == submitConfirming && s.attempt > 0:\n\t\treturn s.Confirmed()\n\tcase s.phase == submitConfirming:\n", false},
		{"another's disk is destroyed", submission, `asDecided := server.Fingerprint == s.in.Before && `, "s.in.Before = server.Fingerprint\n\tasDecided := ", false},
		{"a refusal for an unknown reason is believed", submission, "\ts.phase, s.stability = submitSettlingRefusal, Stability{}\n", "\tif s.phase == submitSending {\n\t\treturn s.finalReported(r.Message)\n\t}\n", false},
		{"an error after a doubt is taken for proof", submission, `if s.IsDoubted() && end.Type != Vanished {`, `if s.inDoubt && end.Type != Vanished {`, false},
		{"one false 404 ends a submission", submission, `case !server.Exists && settled:`, `case !server.Exists:`, false},
		{"an old view ends a submission", submission, `if !asDecided && !settled {`, `if !asDecided && server.Exists && !settled && false {`, false},
		{"an untouched server is called intact though its change may come", evidence, `case o.Fingerprint == before && !ended:`, `case false:`, false},
		{"a healthy change is called failed", evidence, "case Proven(o, before, imageID):\n\t\treturn rollout.Done", "case Proven(o, before, imageID) && false:\n\t\treturn rollout.Done", false},
		{"a job's success is taken for proof", verification, `steady := settled && (`, `steady := v.in.Ended || settled && (`, false},
		{"a lost answer ends the watch at rest", verification, `(v.in.Ended || (server.Fingerprint`, `(true || (server.Fingerprint`, false},
		{"one false 404 ends a watch", verification, `settled := v.stability`, `settled := !server.Exists || v.stability`, false},
		{"one false 404 ends a wait for a job", polling, `p.missing < maxAnswers {`, `p.missing < 1 {`, false},
		{"every server is skipped", runbook, `case found.AlreadyThere:`, `case true:`, false},
		{"power is never given back, and the report says so", runbook, "\t\tr.step = StepRestorePower\n", "\t\tr.Result.PowerTrouble = \"it was not tried\"\n", false},
		{"power is never given back", runbook, "\t\tr.step = StepRestorePower\n", "", false},
		{"a cancel after the stop leaves the server stopped", runbook, "\t\tr.end(rollout.NotStarted, \"cancelled before its disk was touched\")\n", "\t\tr.end(rollout.NotStarted, \"cancelled before its disk was touched\")\n\t\tr.step = StepEnded\n\t\treturn\n", false},
		{"a stop in doubt is not waited for", runbook, `true, r.Result.Before.VolumeID, r.stopDoubt`, `true, r.Result.Before.VolumeID, false`, false},
		{"a reset run is called untouched though its change may come", runbook, `r.JobEnded = !prior.Record.Pending`, `r.JobEnded = true`, false},
		{"a reset run was never touched", runbook, "\tcase !r.touched:\n", "\tcase r.touched:\n", false},
		{"an earlier change that may still come is ignored", pending, `return fmt.Sprintf("its job %s is %s", p.JobID, answer.Name)`, `return ""`, false},
		{"a lost answer is taken for no change", pending, `case p.JobID == "" && isNotApplied:`, `case false && isNotApplied:`, false},
		{"a job that the cloud has forgotten is taken for over", pending, `case answer.Status == JobUnknown && answer.ByService && isNotApplied:`, `case false && isNotApplied:`, false},
		{"a submission is not remembered", runbook, `r.step, r.record.Pending = StepSubmit, true`, `r.step, r.record.Pending = StepSubmit, false`, false},
		{"what is pending at the end is not remembered", runbook, `r.record.Pending = r.record.Pending && !isOver`, `r.record.Pending = r.record.Pending && !isOver && false`, false},
		{"a server is done before its application is healthy", runbook, "\tif r.in.Health {\n", "\tif r.in.Health && false {\n", true},
		{"the soak is left out", runbook, "\tcase r.step == StepHealth && r.in.Soak:\n", "\tcase false:\n", false},
		{"an unhealthy application passes", runbook, "\tcase !verdict.Healthy:\n", "\tcase !verdict.Healthy && f.Final:\n", false},
		{"an unhealthy server is stopped", runbook, "\tcase rollout.Done:\n\t\t// A server that was in ERROR", "\tcase rollout.Done, rollout.FailedUnhealthy:\n\t\t// A server that was in ERROR", false},
		{"one false 404 ends a stop", power, `case !server.Exists && settled:`, `case !server.Exists:`, false},
		{"an old view of a running server is believed", power, `mayBeOld := p.in.On && !p.memory.Reached`, `mayBeOld := p.in.On && false`, false},
		{"the power of another disk is changed", power, `case isOther && p.server.VolumeID != "":`, `case false:`, false},
	}
}

// TestMutants lets the search find each mutant. One that survives means that the search proves nothing about what it breaks.
func TestMutants(t *testing.T) {
	root, err := filepath.Abs("../..")
	require.NoError(t, err)
	for _, m := range mutants() {
		t.Run(m.name, func(t *testing.T) {
			edit := mutant.Edit{Root: root, File: m.file, Old: m.old, New: m.new}
			edit.Check(t)
			if *allMutants || (m.always && !testing.Short()) {
				m.hunt(t, edit)
			}
		})
	}
}

var found = regexp.MustCompile(`depth (\d+): (.*)`)

// hunt searches with the mutant, first with one fault, then with two.
func (m defect) hunt(t *testing.T, edit mutant.Edit) {
	t.Helper()
	search := edit.Build(t, "./rollout/change")
	for faults := 1; faults <= 2; faults++ {
		run := exec.Command(search, "-test.run", "^TestSearch$", "-test.failfast", "-faults", strconv.Itoa(faults), "-states", "3000000")
		out, err := run.CombinedOutput()
		if caught := found.FindStringSubmatch(string(out)); err != nil && caught != nil {
			depth, err := strconv.Atoi(caught[1])
			require.NoError(t, err)
			t.Logf("found at depth %d with %d faults: %s", depth, faults, caught[2])
			return
		}
		assert.NoError(t, err, "%.2000s", out)
	}
	t.Errorf("%q survives", m.name)
}
