package main

import (
	"bytes"
	"context"
	"encoding/json"
	"io"
	"regexp"
	"strconv"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
	"go.temporal.io/api/enums/v1"
	"go.temporal.io/api/serviceerror"

	"github.com/reimage/reimage/api"
	"github.com/reimage/reimage/internal/progressview"
	"github.com/reimage/reimage/rollout"
)

// TestEndings holds the table of the help text for rollouts: a code never flatters.
func TestEndings(t *testing.T) {
	for end, code := range map[rollout.RolloutEnd]int{
		rollout.Completed: 0, rollout.CompletedWithFailures: 2, rollout.Aborted: 3, rollout.RolledBack: 5, rollout.RolledBackPartially: 2, "later": 2,
	} {
		err := standing(rollout.Progress{Name: "web", Phase: rollout.PhaseEnded, End: end})
		assert.Equal(t, code, codeOf(err), end)
		if code != 0 {
			assert.ErrorContains(t, err, "reimage report web", end)
		}
	}
	assert.NoError(t, standing(rollout.Progress{Phase: rollout.PhaseRunning}))
	assert.Equal(t, exitWaits, codeOf(standing(rollout.Progress{Phase: rollout.PhasePaused, NeedsHuman: true})))
}

// TestWatchUntilAHumanIsNeeded, then over the need to the end.
func TestWatch(t *testing.T) {
	f := newFleet(t, "watched", 4)
	f.endAtOnce(rollout.Done)
	f.start()

	first := f.cli("watch", "watched")
	assert.Equal(t, exitWaits, first.code)
	assert.Contains(t, first.out, "log: ina: started: 4 servers in 2 waves\n")
	assert.Contains(t, first.out, "waits for a human: waits for somebody to approve what follows wave canary\n")
	assert.Contains(t, first.out, "next: reimage approve watched\nnext: reimage abort watched\n")
	assert.Contains(t, first.err, "rollout watched waits for a human: waits for somebody to approve")
	assert.NotContains(t, first.out, "\x1b", "it is not a terminal")

	watched := make(chan ran, 1)
	go func() { watched <- f.cli("watch", "watched", "--until-end") }()
	require.Equal(t, exitDone, f.cli("approve", "watched").code)
	end := <-watched
	assert.Equal(t, exitDone, end.code, end.err)
	assert.Contains(t, end.out, "ended: completed\nnext: reimage report watched\n")

	again := f.cli("watch", "watched")
	assert.Equal(t, exitDone, again.code)
	assert.Contains(t, again.out, "ended: completed")
	assert.Equal(t, 1, strings.Count(again.out, "started: 4 servers"), "nothing is told twice")
}

// TestStoppedWatching: Ctrl-C stops watching and not the rollout.
func TestStoppedWatching(t *testing.T) {
	f := newFleet(t, "goes-on", 2)
	f.start()
	f.await("it runs", func(p rollout.Progress) bool { return len(p.InFlight) == 2 })
	ctx, interrupt := context.WithCancel(t.Context())
	watched := &firstWrite{then: interrupt}
	var errOut bytes.Buffer
	code := execute(ctx, streams{out: watched, err: &errOut}, []string{"watch", "goes-on"})
	assert.Equal(t, exitInterrupted, code)
	assert.Contains(t, errOut.String(), "reimage: interrupted: stopped watching; rollout goes-on goes on. Watch it with: reimage watch goes-on; stop it with: reimage pause goes-on, or: reimage abort goes-on")
	f.finish("web-01", rollout.Done)
	f.finish("web-02", rollout.Done)
	f.await("it ends all the same", func(p rollout.Progress) bool { return p.End == rollout.Completed })
}

// firstWrite does something at the first write.
type firstWrite struct {
	once sync.Once
	then func()
}

func (w *firstWrite) Write(p []byte) (int, error) {
	w.once.Do(w.then)
	return len(p), nil
}

// TestInterrupted presses Ctrl-C wherever a command waits: it is an interrupt, and no wrong usage.
func TestInterrupted(t *testing.T) {
	f := newFleet(t, "interrupted", 2)
	path := f.planFile()
	f.start()
	f.await("it runs", func(p rollout.Progress) bool { return len(p.InFlight) == 2 })
	pressed, press := context.WithCancel(t.Context())
	press()
	for _, args := range [][]string{{"list"}, {"status", "interrupted"}, {"report", "interrupted"}, {"pause", "interrupted"}, {"apply", path}} {
		ran := f.cliWith(pressed, "", args...)
		assert.Equal(t, exitInterrupted, ran.code, args)
		assert.Contains(t, ran.err, "reimage: interrupted: ", args)
	}

	s := &session{client: temporalServer.Client, taskQueue: "nobody-" + f.queue}
	run := &rolloutRun{session: s, name: "interrupted", closedAs: enums.WORKFLOW_EXECUTION_STATUS_RUNNING}
	ctx, interrupt := context.WithTimeout(t.Context(), workerPatience/10)
	defer interrupt()
	_, err := run.command(ctx, rollout.Command{Kind: rollout.Pause, By: "ina"})
	assert.ErrorContains(t, err, "pause was not given to rollout interrupted")

	f.stopWorking() // Temporal remembers the worker, so the command is given and nobody answers
	ctx, interrupt = context.WithCancel(t.Context())
	defer time.AfterFunc(2*time.Second, interrupt).Stop()
	ran := f.cliWith(ctx, "", "pause", "interrupted")
	assert.Equal(t, exitInterrupted, ran.code)
	assert.Contains(t, ran.err, "reimage: interrupted: rollout interrupted has not answered (a worker that died is listed for a while), and may still carry out the command, when a worker is back at the latest: see what it does with: reimage status interrupted")
}

// TestInterruptedQuestion: no answer is no consent.
func TestInterruptedQuestion(t *testing.T) {
	f := newFleet(t, "unasked", 2)
	ctx, interrupt := context.WithCancel(t.Context())
	in, _ := io.Pipe() // nobody types anything
	var errOut bytes.Buffer
	asked := &firstWrite{then: interrupt} // what will be lost comes right before the question
	code := execute(ctx, streams{in: in, out: io.Discard, err: io.MultiWriter(asked, &errOut)}, []string{"apply", f.planFile(), "--task-queue", f.queue})
	assert.Equal(t, exitInterrupted, code)
	assert.Contains(t, errOut.String(), "reimage: interrupted: no consent was given, nothing was touched")
	assert.True(t, f.nothingStarted())
}

// TestBrokenWorkflow is a rollout that did not end by itself: nothing is known of its end, and that is said.
func TestBrokenWorkflow(t *testing.T) {
	f := newFleet(t, "broken", 2)
	run := f.start()
	f.await("it runs", func(p rollout.Progress) bool { return len(p.InFlight) == 2 })
	require.NoError(t, temporalServer.Client.TerminateWorkflow(t.Context(), run.GetID(), "", "a test"))
	for _, command := range []string{"watch", "status"} {
		ran := f.cli(command, "broken")
		assert.Equal(t, exitFailed, ran.code)
		assert.Contains(t, ran.err, "the workflow of rollout broken did not end by itself: terminated. No other")
		assert.Contains(t, ran.err, "servers in flight are finished by workflows of their own")
	}
	var failed struct {
		Error string `json:"error"`
	}
	require.NoError(t, json.Unmarshal([]byte(f.cli("status", "broken", "--output", "json").out), &failed))
	assert.Contains(t, failed.Error, "the workflow of rollout broken did not end by itself: terminated")
	assert.Contains(t, f.cli("abort", "broken").err, "as terminated and takes no commands any more")
	report := f.cli("report", "broken").out
	assert.Contains(t, report, "Rollout broken: terminated\n")
	assert.Contains(t, report, "did not end by itself (terminated)")
}

// TestFailedConnection: nobody concludes from a connection that a rollout has ended.
func TestFailedConnection(t *testing.T) {
	assert.False(t, isBroken(serviceerror.NewUnavailable("connection refused")))
	assert.False(t, isBroken(context.DeadlineExceeded))
	assert.True(t, isBroken(serviceerror.NewNotFound("deleted")))
}

func TestStatus(t *testing.T) {
	f := newFleet(t, "stands", 4)
	f.endAtOnce(rollout.Done, "web-01")
	f.start()
	f.await("one canary is in flight", func(p rollout.Progress) bool { return p.Counts.Done == 1 })

	ran := f.cli("status", "stands")
	assert.Equal(t, exitDone, ran.code, ran.err)
	assert.Contains(t, ran.out, "rollout stands  RUNNING")
	assert.Regexp(t, `web-02  wait   \d`, ran.out, "the step is asked of the server's own workflow")

	ran = f.cli("status", "stands", "--output", "json")
	assert.Equal(t, exitDone, ran.code)
	var p rollout.Progress
	require.NoError(t, json.Unmarshal([]byte(ran.out), &p))
	assert.Equal(t, "ina", p.StartedBy)
	assert.Equal(t, f.plan.Project, p.Project)
	assert.Equal(t, rollout.Counts{Servers: 4, InFlight: 1, Done: 1, Pending: 2}, p.Counts)

	f.finish("web-02", rollout.FailedLost)
	f.await("it is paused", waits)
	ran = f.cli("status", "stands")
	assert.Equal(t, exitWaits, ran.code)
	assert.Contains(t, ran.out, "then reimage retry stands web-02  or  reimage accept stands web-02")
	assert.Contains(t, ran.out, "next  reimage retry stands --all && reimage resume stands\n      first repair web-02 in the cloud's console: no system disk was found\n")
}

// TestEndWithoutWorker: how a rollout ended is known without anybody to ask.
func TestEndWithoutWorker(t *testing.T) {
	f := newFleet(t, "forgotten", 2, func(p *rollout.Plan) { p.Budget.Count = new(1) })
	f.endAtOnce(rollout.FailedIntact, "web-01").endAtOnce(rollout.Done)
	run := f.start()
	require.NoError(t, run.Get(t.Context(), nil))
	r := &rolloutRun{session: &session{client: temporalServer.Client}, name: "forgotten", runID: run.GetRunID()}
	result, err := r.result(t.Context())
	require.NoError(t, err)
	p := r.fromResult(result)
	assert.Equal(t, rollout.Counts{Servers: 2, Done: 1, Failed: 1}, p.Counts)
	assert.Equal(t, exitFailed, codeOf(standing(p)))
	// Whatever is shown is as the workers would tell it.
	text := strings.Join(progressview.Frame(progressview.View{Progress: p, Now: time.Now()}, progressview.Style{}), "\n")
	assert.Contains(t, text, "image Ubuntu 24.04")
	assert.Contains(t, text, "  1 of 1 tolerated")
}

// TestScreen draws frames of all heights and reads them back from a terminal.
func TestScreen(t *testing.T) {
	terminal := &terminal{height: 6}
	s := &screen{out: terminal, size: func() (int, int) { return 20, terminal.height }}
	require.NoError(t, s.draw([]string{"one", "two", "three"}))
	assert.Equal(t, []string{"one", "two", "three"}, terminal.text())
	require.NoError(t, s.draw([]string{"1", "", "3"}))
	assert.Equal(t, []string{"1", "", "3"}, terminal.text(), "a shorter line leaves nothing of the one before")
	require.NoError(t, s.draw([]string{"ONE"}))
	assert.Equal(t, []string{"ONE"}, terminal.text(), "a lower frame leaves nothing of the one before")
	require.NoError(t, s.draw([]string{"a", "", "c", "d", "e", "f", "g"}))
	assert.Equal(t, []string{"a", "", "c", "d", "e"}, terminal.text(), "what is too high is cut, so that nothing scrolls")
	require.NoError(t, s.draw([]string{"x", "y"}))
	assert.Equal(t, []string{"x", "y"}, terminal.text())
	terminal.height = 2
	require.NoError(t, s.draw([]string{"small", "lost"}))
	assert.Equal(t, "small", terminal.text()[len(terminal.text())-1])
}

// terminal understands what screen writes, and nothing else.
type terminal struct {
	rows   []string
	row    int
	height int
}

var escape = regexp.MustCompile(`\x1b\[(\d*)([AKJ])|\r|\n|[^\x1b\r\n]+`)

func (t *terminal) Write(p []byte) (int, error) {
	column := 0
	for _, part := range escape.FindAllStringSubmatch(string(p), -1) {
		for t.row >= len(t.rows) {
			t.rows = append(t.rows, "")
		}
		switch {
		case part[0] == "\n":
			t.row, column = t.row+1, 0
		case part[0] == "\r":
			column = 0
		case part[2] == "A":
			up, _ := strconv.Atoi(part[1])
			t.row = max(0, t.row-up)
		case part[2] == "K":
			t.rows[t.row] = t.rows[t.row][:column]
		case part[2] == "J":
			t.rows = t.rows[:t.row]
		default:
			rest := t.rows[t.row][min(len(t.rows[t.row]), column+len(part[0])):]
			t.rows[t.row] = t.rows[t.row][:column] + part[0] + rest
			column += len(part[0])
		}
	}
	return len(p), nil
}

func (t *terminal) text() []string { return t.rows }

// TestDisplay: a buffer is no terminal, and NO_COLOR and a dumb terminal are respected by newScreen alone.
func TestDisplayWithoutTerminal(t *testing.T) {
	var out bytes.Buffer
	d := newDisplay(&out)
	assert.IsType(t, &lines{}, d)
	view := progressview.View{Now: time.Now(), Notice: "nobody answers", Progress: rollout.Progress{Phase: rollout.PhaseRunning, Why: "all waves are over"}}
	require.NoError(t, d.show(view))
	require.NoError(t, d.show(view))
	assert.Equal(t, 1, strings.Count(out.String(), "nobody answers"))
	assert.Equal(t, 1, strings.Count(out.String(), "all waves are over"))
}

// TestStepsTakeTurns: with more servers in flight than are asked at once, everybody's turn comes.
func TestStepsTakeTurns(t *testing.T) {
	f := newFleet(t, "many", 30, func(p *rollout.Plan) { p.Caps.InFlight, p.Waves = 30, []rollout.Wave{{Name: "all", End: 30}} })
	f.start()
	p := f.await("all are in flight", func(p rollout.Progress) bool { return len(p.InFlight) == 30 })
	steps := &stepper{run: &rolloutRun{session: &session{client: temporalServer.Client}}, known: map[string]api.Status{}}
	f.eventually("all steps are known", func() bool { return len(steps.of(t.Context(), p)) == 30 })
	p.InFlight = p.InFlight[:3]
	assert.Len(t, steps.of(t.Context(), p), 3, "who is no longer in flight is forgotten")
}
