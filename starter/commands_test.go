package main

import (
	"context"
	"net/http/httptest"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
	"go.temporal.io/api/enums/v1"
	"go.temporal.io/api/serviceerror"
	"go.temporal.io/sdk/client"

	"github.com/reimage/reimage/rollout"
)

// TestCommands gives every command to one rollout: what it does, and why it is refused. It is an operator's
// day: a canary fails, is tried again, and the rollout goes on.
func TestCommands(t *testing.T) {
	f := newFleet(t, "commands", 8)
	f.endAtOnce(rollout.Done, "web-01")
	f.start()
	f.finish("web-02", rollout.FailedIntact)
	f.await("the failed canary pauses it", waits)

	refused := func(says string, args ...string) {
		t.Helper()
		ran := f.cli(args...)
		assert.Equal(t, exitUsage, ran.code)
		assert.Empty(t, ran.out)
		assert.Contains(t, ran.err, says)
	}
	accepted := func(says string, args ...string) {
		t.Helper()
		ran := f.cli(args...)
		assert.Equal(t, exitDone, ran.code, ran.err)
		assert.Equal(t, "commands: "+says+"\n", ran.out)
	}

	refused("accepted now: abort,", "pause", "commands")
	refused("retry or accept failures first", "resume", "commands", "--by", "ina")
	refused("web-01 has not failed: done", "retry", "commands", "web-01")
	refused("the plan has no server web-99", "skip", "commands", "web-99")
	refused("100 servers in flight are not between 1 and 8", "concurrency", "commands", "100")

	accepted("web-02 will be tried again once the rollout is resumed", "retry", "commands", "--all", "--by", "ben", "--comment", "the host is back")
	accepted("resumed", "resume", "commands", "--by", "ben")
	f.finish("web-02", rollout.Done)
	f.await("it waits for an approval", waits)
	refused("what waits for an approval is wave canary and not rest", "approve", "commands", "--wave", "rest")
	accepted("skipped web-08", "skip", "commands", "web-08")
	accepted("up to 1 server in flight, before it was 2", "concurrency", "commands", "1")
	refused("no server of the plan matches db-*", "skip", "commands", "web-07", "db-*")
	refused("web-*1 matches no server to skip: web-01 has ended: done", "skip", "commands", "web-*1")
	accepted("skipped web-07; web-?7 matches web-07", "skip", "commands", "web-?7")
	accepted("approved what follows wave canary", "approve", "commands", "--wave", "canary", "--comment", "looks good")

	f.finish("web-03", rollout.FailedIntact)
	f.await("the next failure pauses it", waits)
	accepted("accepted the failure of web-03; *3 matches web-03", "accept", "commands", "*3")
	accepted("resumed", "resume", "rollout/commands")
	f.await("it goes on", func(p rollout.Progress) bool { return len(p.InFlight) > 0 })
	accepted("paused: 1 server in flight: untouched ones wait for their turn again, the others are finished", "pause", "commands")
	accepted("aborted: 1 server in flight: submitted changes are finished, all others are recalled", "abort", "commands")
	f.finish("web-04", rollout.Done)

	ended := f.cli("watch", "commands")
	assert.Equal(t, exitCancelled, ended.code)
	assert.Contains(t, ended.err, "rollout commands was aborted; see: reimage report commands")
	for _, command := range [][]string{
		{"pause", "commands"}, {"abort", "commands"}, {"skip", "commands", "web-05"}, {"concurrency", "commands", "2"},
	} {
		refused("as aborted and takes no commands any more; see: reimage report commands", command...)
	}
	report := f.cli("report", "commands").out
	assert.Contains(t, report, "ben: web-02 will be tried again once the rollout is resumed: the host is back")
	assert.Contains(t, report, "approved what follows wave canary: looks good")
}

// TestEndBake: status says how to end a bake early, and the command needs a reason, which the report shows.
func TestEndBake(t *testing.T) {
	f := newFleet(t, "bakes", 3, func(p *rollout.Plan) {
		p.Waves = []rollout.Wave{{Name: "canary", End: 1, Bake: time.Hour, Approval: true}, {Name: "rest", End: 3, Bake: time.Hour}}
	})
	f.endAtOnce(rollout.Done)
	f.start()
	bakes := func(wave int) func(rollout.Progress) bool {
		return func(p rollout.Progress) bool { return !p.Waves[wave].BakeUntil.IsZero() }
	}
	f.await("the canary bakes", bakes(0))
	status := f.cli("status", "bakes")
	assert.Equal(t, exitDone, status.code, "no human is needed")
	assert.Contains(t, status.out, "to end the bake early  reimage approve bakes --end-bake --comment WHY\n")

	for says, args := range map[string][]string{
		"or end its bake early with approve --end-bake": {"approve", "bakes"},
		"the wave that bakes is canary and not rest":    {"approve", "bakes", "--end-bake", "--wave", "rest", "--comment", "late"},
		"--end-bake needs a reason":                     {"approve", "bakes", "--end-bake"},
	} {
		ran := f.cli(args...)
		assert.Equal(t, exitUsage, ran.code)
		assert.Contains(t, ran.err, says)
	}
	ended := f.cli("approve", "bakes", "--end-bake", "--wave", "canary", "--by", "ben", "--comment", "all checks are green")
	assert.Equal(t, exitDone, ended.code, ended.err)
	assert.Regexp(t, `^bakes: ended the bake of wave canary, \S+ before its time, and approved what follows it\n$`, ended.out)

	f.await("the last wave bakes", bakes(1))
	ended = f.cli("approve", "bakes", "--end-bake", "--by", "ben", "--comment", "the same again")
	assert.Regexp(t, `^bakes: ended the bake of wave rest, \S+ before its time\n$`, ended.out)
	assert.Equal(t, exitDone, f.cli("watch", "bakes").code)
	report := f.cli("report", "bakes").out
	assert.Regexp(t, `ben: ended the bake of wave canary, \S+ before its time, and approved what follows it: all checks are green\n`, report)
	assert.Contains(t, report, "canary  1 server   1 done  bake ended early by ben, approved by ben\n")
	assert.Contains(t, f.cli("approve", "bakes", "--end-bake", "--comment", "once more").err, "takes no commands any more")
}

// TestNamesOfServersWithBlanks are taken and shown as they are. What is suggested names such a server by its id.
func TestNamesOfServersWithBlanks(t *testing.T) {
	f := newFleet(t, "blanks", 4, func(p *rollout.Plan) {
		for i, name := range []string{"db 01 (old)", "db 02 (old)", "db 03 (new)", "db 04 (new)"} {
			p.Servers[i].Name = name
		}
	})
	f.start()
	f.finish("db 01 (old)", rollout.FailedIntact)
	f.finish("db 02 (old)", rollout.Done)
	f.await("the failure pauses it", waits)
	status := f.cli("status", "blanks")
	assert.Contains(t, status.out, "db 01 (old)")
	assert.Contains(t, status.out, "reimage retry blanks "+f.plan.Servers[0].ID)
	assert.Equal(t, "blanks: skipped db 03 (new)\n", f.cli("skip", "blanks", "db 03 (new)").out)
	assert.Equal(t, "blanks: skipped db 04 (new); db ?? (new) matches db 04 (new), and leaves out: db 03 (new) has ended: skipped\n", f.cli("skip", "blanks", "db ?? (new)").out)
	assert.Equal(t, "blanks: accepted the failure of db 01 (old)\n", f.cli("accept", "blanks", "db 01 (old)").out)
	for _, format := range []string{"text", "json", "csv", "junit"} {
		assert.Contains(t, f.cli("report", "blanks", "--format", format).out, "db 04 (new)", format)
	}
}

// TestCommandSlips are refused before anybody is asked.
func TestCommandSlips(t *testing.T) {
	for says, args := range map[string][]string{
		"nobody gives the command: --by":         {"pause", "web", "--by", " \t"},
		"nobody gives the command":               {"apply", "plan.json", "--by", ""},
		"no server is named: skip takes":         {"skip", "web"},
		"no server is named: retry takes":        {"retry", "web"},
		"or --all for every failed one":          {"accept", "web"},
		"--all and servers exclude each other":   {"retry", "web", "web-01", "--all"},
		"unknown flag: --all":                    {"skip", "web", "--all"},
		`"0" is not a number of servers`:         {"concurrency", "web", "0"},
		"--end-bake needs a reason: --comment":   {"approve", "web", "--end-bake", "--by", "ina", "--comment", " "},
		`"many" is not a number`:                 {"concurrency", "web", "many"},
		"missing; usage: reimage abort NAME":     {"abort"},
		"reimage concurrency NAME N":             {"concurrency", "web"},
		"Temporal at 127.0.0.1:1":                {"abort", "web"},
		"--limit 0 is less":                      {"list", "--limit", "0"},
		"text, json, csv or junit":               {"report", "web", "--format", "pdf"},
		"-o is the file that the report":         {"report", "web", "-o", "json"},
		"-o is the file that the plan":           {"plan", "-f", "rollout.yaml", "-o", "json"},
		"no rollout is given":                    {"plan"},
		`"plan.json" is too much`:                {"plan", "plan.json"},
		"--replan and -f go together":            {"apply", "plan.json", "--replan"},
		"what is planned anew is read":           {"apply", "plan.json", "-f", "web.yaml"},
		"--wait and --detach exclude each other": {"apply", "plan.json", "--wait", "--detach"},
		"usage: reimage skip NAME SERVER...":     {"skip"},
		"plan.json: no such file":                {"apply", "plan.json"},
		"none.yaml: no such file":                {"plan", "-f", "none.yaml"},
	} {
		t.Run(says, func(t *testing.T) {
			code, out, errOut := runCommand(t, args...)
			assert.Equal(t, exitUsage, code)
			assert.Empty(t, out)
			assert.Contains(t, errOut, says)
		})
	}
}

func TestUnknownRollout(t *testing.T) {
	f := newFleet(t, "unknown-web-fleet", 2)
	f.start()
	f.eventually("it is listed", func() bool {
		return f.cli("pause", "unknown-web-flet").err == "reimage: no rollout unknown-web-flet is known to this Temporal namespace; near: unknown-web-fleet\n"
	})
	ran := f.cli("status", "zzzzzzzzzzzzzzzzzz")
	assert.Equal(t, exitUsage, ran.code)
	assert.Contains(t, ran.err, "no rollout zzzzzzzzzzzzzzzzzz is known to this Temporal namespace; see: reimage list")
	assert.Contains(t, f.cli("report", "").err, "the name of the rollout is empty")
}

// TestCommandWithoutWorker: a command that nobody would carry out is not left lying about. Temporal remembers for
// a minute and a half who asked for work, so this rollout's own queue is one that nobody has ever served.
func TestCommandWithoutWorker(t *testing.T) {
	f := newFleet(t, "orphan", 2)
	f.stopWorking()
	f.queue = "nobody-" + f.queue
	f.start()
	ran := f.cli("pause", "orphan")
	assert.Equal(t, exitUsage, ran.code)
	assert.Contains(t, ran.err, "pause was not given to rollout orphan: no worker serves its task queue "+f.queue+", start reimage-worker")
	ran = f.cli("report", "orphan")
	assert.Equal(t, exitUsage, ran.code)
	assert.Contains(t, ran.err, "there is no report: rollout orphan is running, but no worker serves its task queue "+f.queue+", and only workers know how it stands: start reimage-worker")
}

// TestWorkerThatHasJustGone is still remembered, and that it does not answer is told with what to do.
func TestWorkerThatHasJustGone(t *testing.T) {
	f := newFleet(t, "just-gone", 2)
	f.eventually("the worker is known", func() bool {
		served, err := (&session{client: temporalServer.Client, taskQueue: f.queue}).served(t.Context())
		return err == nil && served
	})
	run := &rolloutRun{session: &session{client: temporalServer.Client, taskQueue: f.queue}, name: "just-gone", closedAs: enums.WORKFLOW_EXECUTION_STATUS_RUNNING}
	assert.EqualError(t, run.silent(t.Context(), serviceerror.NewFailedPrecondition("no poller seen for task queue recently, worker may be down")),
		"rollout just-gone is running, but no worker serves its task queue "+f.queue+", and only workers know how it stands: start reimage-worker")
	assert.EqualError(t, run.silent(t.Context(), &noAnswer{context.DeadlineExceeded, 7300 * time.Millisecond}),
		"rollout just-gone is running but has not answered in 7s: its worker may have died (Temporal lists it for a while), or the worker or Temporal may be overloaded; start reimage-worker, or look again")
}

// TestTemporalThatIsAway is not blamed on a worker.
func TestTemporalThatIsAway(t *testing.T) {
	closed := httptest.NewServer(nil)
	closed.Close()
	away, err := client.NewLazyClient(client.Options{HostPort: closed.Listener.Addr().String()})
	require.NoError(t, err)
	defer away.Close()
	run := &rolloutRun{session: &session{client: away, taskQueue: "reimage"}, name: "web", closedAs: enums.WORKFLOW_EXECUTION_STATUS_RUNNING}
	got := run.silent(t.Context(), &noAnswer{context.DeadlineExceeded, 7 * time.Second})
	assert.ErrorContains(t, got, "Temporal does not answer, so how rollout web stands is not known; it goes on when Temporal is back: ")
	assert.ErrorContains(t, got, "; next: reimage doctor")
	assert.NotContains(t, got.Error(), "worker may have died")
}
