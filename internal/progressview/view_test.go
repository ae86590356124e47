package progressview_test

import (
	"flag"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
	"golang.org/x/text/width"

	"github.com/reimage/reimage/api"
	"github.com/reimage/reimage/internal/progressview"
	"github.com/reimage/reimage/rollout"
)

var update = flag.Bool("update", false, "write the golden files anew")

// golden compares with a file of testdata.
func golden(t *testing.T, name, got string) {
	t.Helper()
	path := filepath.Join("testdata", name+".golden")
	if *update {
		require.NoError(t, os.MkdirAll("testdata", 0o755))
		require.NoError(t, os.WriteFile(path, []byte(got), 0o644))
	}
	want, err := os.ReadFile(path)
	require.NoError(t, err)
	assert.Equal(t, string(want), got)
}

var noon = time.Date(2026, 9, 1, 12, 0, 0, 0, time.UTC)

func serverID(i int) string { return fmt.Sprintf("2b1f0f1e-0000-4000-8000-%012d", i) }

func inFlight(i int, ago time.Duration) rollout.ServerProgress {
	return rollout.ServerProgress{
		ID: serverID(i), Name: fmt.Sprintf("web-%02d", i), Zone: "eu-de-01", Wave: "half", State: rollout.InFlight, Attempts: 1, StartedAt: noon.Add(-ago),
	}
}

func failure(i int, end rollout.ServerEnd, reason string) rollout.ServerProgress {
	return rollout.ServerProgress{ID: serverID(i), Name: fmt.Sprintf("web-%02d", i), State: rollout.Ended, End: end, Reason: reason, Attempts: 1}
}

// running is a rollout in its second of three waves, with two failures.
func running() rollout.Progress {
	return rollout.Progress{
		Name: "web-fleet", Reason: "CVE-2026-4711", ImageName: "Ubuntu 24.04", Project: "0605767e5780d5762f4cc01a6b2a2d4d", Profile: "web", StartedBy: "ina",
		Phase: rollout.PhaseRunning, Why: "wave half: 4 servers in flight, 15 pending",
		Counts: rollout.Counts{Servers: 48, Pending: 33, InFlight: 3, Soaking: 1, Done: 8, Failed: 2, Skipped: 1},
		Waves: []rollout.WaveProgress{
			{Name: "canary", Counts: rollout.Counts{Servers: 2, Done: 2}, ApprovedBy: "ben"},
			{Name: "half", Counts: rollout.Counts{Servers: 22, Pending: 15 - 8, InFlight: 3, Soaking: 1, Done: 8, Failed: 2, Skipped: 1}, Current: true},
			{Name: "everything", Counts: rollout.Counts{Servers: 24, Pending: 24}},
		},
		InFlight: []rollout.ServerProgress{
			inFlight(12, 25*time.Second), inFlight(9, 3*time.Minute+7*time.Second), inFlight(7, 2*time.Hour),
			{ID: serverID(5), Name: "web-05", Zone: "eu-de-02", State: rollout.Soaking, End: rollout.Done, Attempts: 2, StartedAt: noon.Add(-7 * time.Minute)},
		},
		Failures: []rollout.ServerProgress{
			failure(3, rollout.FailedChanged, "it has the image on a new system disk, but does not run (status ERROR: No valid host was found)"),
			failure(4, rollout.FailedLost, "it has no system disk (status ERROR)"),
		},
		Slots: 6, SlotsHeldFailed: 2, SlotsCap: 10, Failed: 2, Tolerated: 3,
		Accepts: []rollout.CommandKind{rollout.Pause, rollout.Abort, rollout.Skip, rollout.Retry, rollout.Recheck, rollout.Accept, rollout.Concurrency},
		Log: []rollout.LogEntry{
			{At: noon.Add(-20 * time.Minute), By: "ina", What: "started: 48 servers in 3 waves"},
			{At: noon.Add(-15 * time.Minute), What: "wave canary is over"},
			{At: noon.Add(-14 * time.Minute), By: "ben", What: "approved what follows wave canary: looks good"},
			{At: noon.Add(-2 * time.Minute), What: "web-03: failed-changed: it does not run"},
		},
		StartedAt: noon.Add(-20 * time.Minute), Deadline: noon.Add(100 * time.Minute),
	}
}

func statuses() map[string]api.Status {
	at := func(step api.Step, ago time.Duration) []api.StepAt {
		return []api.StepAt{{Step: api.StepLook, At: noon.Add(-time.Hour)}, {Step: step, At: noon.Add(-ago)}}
	}
	return map[string]api.Status{
		serverID(9):  {Steps: at(api.StepWait, 130*time.Second), JobStatus: api.JobAwaitsPayment},
		serverID(12): {Steps: at(api.StepStop, 20*time.Second)},
	}
}

// breached is the same rollout after two more failures: it is paused.
func breached() rollout.Progress {
	p := running()
	p.Phase, p.NeedsHuman, p.Why = rollout.PhasePaused, true, "paused: 4 servers have failed and 3 are tolerated; 0 servers in flight"
	p.InFlight, p.Slots, p.Failed = nil, 3, 4
	p.Failures = append(p.Failures, failure(7, rollout.FailedIntact, "the old system disk is still there (status SHUTOFF when it was judged)"), failure(9, rollout.Vanished, "the cloud no longer knows this server"))
	p.Counts = rollout.Counts{Servers: 48, Pending: 33, Done: 10, Failed: 4, Skipped: 1}
	p.Waves[1].Counts = rollout.Counts{Servers: 22, Pending: 7, Done: 10, Failed: 4, Skipped: 1}
	p.Accepts = []rollout.CommandKind{rollout.Abort, rollout.Retry, rollout.Recheck, rollout.Accept}
	p.Log = append(p.Log, rollout.LogEntry{At: noon, What: "paused: 4 servers have failed and 3 are tolerated"})
	return p
}

func views() map[string]progressview.View {
	baking := running()
	baking.Why, baking.InFlight, baking.Failures, baking.Failed, baking.Slots, baking.SlotsHeldFailed = "wave canary bakes", nil, nil, 0, 0, 0
	baking.Accepts = append(slices.Clone(baking.Accepts), rollout.EndBake)
	baking.Waves[0].Current, baking.Waves[0].ApprovedBy, baking.Waves[0].BakeUntil = true, "", noon.Add(4*time.Minute+10*time.Second)
	baking.Waves[1] = rollout.WaveProgress{Name: "half", Counts: rollout.Counts{Servers: 22, Pending: 22}}
	baking.Counts = rollout.Counts{Servers: 48, Done: 2, Pending: 46}
	approval := baking
	approval.Waves = append([]rollout.WaveProgress{{Name: "canary", Counts: rollout.Counts{Servers: 2, Done: 2}, Current: true, AwaitsApproval: true}}, baking.Waves[1:]...)
	approval.Why, approval.NeedsHuman = "waits for somebody to approve what follows wave canary", true
	approval.Accepts = append(running().Accepts, rollout.Approve)
	ended := breached()
	ended.Phase, ended.End, ended.NeedsHuman, ended.EndedAt, ended.Why = rollout.PhaseEnded, rollout.CompletedWithFailures, false, noon.Add(-time.Minute), "ended: completed-with-failures"
	ended.Waves[1].Current = false
	early := running()
	early.Waves[0].BakeEndedBy = "ben"
	return map[string]progressview.View{
		"bake-ended-early": {Progress: early, Status: statuses(), Now: noon},
		"running":          {Progress: running(), Status: statuses(), Now: noon},
		"breached":         {Progress: breached(), Now: noon},
		"baking":           {Progress: baking, Now: noon},
		"approval":         {Progress: approval, Now: noon},
		"ended":            {Progress: ended, Now: noon.Add(24 * time.Hour)},
		"silent":           {Progress: running(), Now: noon, Notice: "rollout web-fleet is running, but no worker serves its task queue reimage"},
		"empty":            {Now: noon, Progress: rollout.Progress{Name: "web-fleet", Phase: rollout.PhaseRunning}, Notice: "nobody answers"},
	}
}

func TestFrames(t *testing.T) {
	for name, view := range views() {
		for _, columns := range []int{80, 120} {
			t.Run(fmt.Sprintf("%s-%d", name, columns), func(t *testing.T) {
				frame := progressview.Frame(view, progressview.Style{Width: columns})
				golden(t, fmt.Sprintf("%s-%d", name, columns), strings.Join(frame, "\n")+"\n")
				for _, line := range frame {
					assert.LessOrEqual(t, columnsOf(line), columns, line)
				}
			})
		}
	}
}

// TestEndOfABakeIsSuggested only where the rollout goes on by itself after it: a pause has to be resumed first.
func TestEndOfABakeIsSuggested(t *testing.T) {
	const command = "reimage approve web-fleet --end-bake"
	view := views()["baking"]
	shown := func() string { return strings.Join(progressview.Frame(view, progressview.Style{}), "\n") }
	assert.Contains(t, shown(), command)
	assert.Empty(t, view.Next(), "a rollout that bakes needs no command")
	view.Progress.Phase, view.Progress.NeedsHuman = rollout.PhasePaused, true
	assert.NotContains(t, shown(), command)
	assert.NotContains(t, strings.Join(progressview.Frame(views()["running"], progressview.Style{}), "\n"), command)
}

// columnsOf is written once more here, so that a mistake in the other one shows.
func columnsOf(line string) int {
	n := 0
	for _, r := range line {
		switch width.LookupRune(r).Kind() {
		case width.EastAsianFullwidth, width.EastAsianWide:
			n++
		}
		n++
	}
	return n
}

// TestFrameFitsTheTerminal: a frame higher than the terminal could not be drawn over.
func TestFrameFitsTheTerminal(t *testing.T) {
	p := breached()
	for i := range 300 {
		p.InFlight = append(p.InFlight, inFlight(100+i, time.Duration(i)*time.Second))
		p.Waves = append(p.Waves, rollout.WaveProgress{Name: fmt.Sprintf("wave-%d", i), Counts: rollout.Counts{Servers: 1, Pending: 1}})
	}
	p.Waves[200].Current = true
	for _, height := range []int{40, 30, 26} {
		frame := progressview.Frame(progressview.View{Progress: p, Now: noon}, progressview.Style{Width: 79, Height: height})
		assert.LessOrEqual(t, len(frame), height)
		text := strings.Join(frame, "\n")
		assert.Contains(t, text, "of 300 shown)", "what is left out is said")
		assert.Contains(t, text, "> wave-197", "the current wave is shown")
		assert.Contains(t, text, "web-399", "the server that takes longest is shown")
		assert.Contains(t, text, "next  reimage accept web-fleet web-09")
	}
	assert.NotEmpty(t, progressview.Frame(progressview.View{Progress: p, Now: noon}, progressview.Style{Width: 1, Height: 1}))
}

// TestUsualTerminal: in 80 columns and 24 lines, and in fewer, somebody who has to decide sees what can be
// done, and that something else is not shown.
func TestUsualTerminal(t *testing.T) {
	p := breached()
	p.InFlight = running().InFlight
	for _, notice := range []string{"", "worker 1 was killed"} {
		for height := 23; height >= 8; height-- {
			frame := progressview.Frame(progressview.View{Progress: p, Now: noon, Notice: notice}, progressview.Style{Width: 79, Height: height})
			assert.LessOrEqual(t, len(frame), height)
			assert.Contains(t, frame[0], "PAUSED")
			assert.Contains(t, frame[2], p.Why)
			assert.Equal(t, "  or  reimage abort web-fleet", frame[len(frame)-1])
			text := strings.Join(frame, "\n")
			assert.Contains(t, text, "next  reimage accept web-fleet web-09")
			if height == 23 {
				golden(t, strings.TrimSuffix("low-"+strings.ReplaceAll(notice, " ", "-"), "-"), text+"\n")
				assert.Contains(t, text, "log (0 of 5 shown)")
				assert.Contains(t, text, "failures (1 of 4 shown)")
			}
		}
	}
}

// TestHostileText: names come from a cloud and must not steer the terminal, and widths are counted as shown.
func TestHostileText(t *testing.T) {
	p := running()
	p.Name, p.Why = "web-fleet", "\x1b[2J\x1b]0;owned\x07 \u202etxt"
	p.InFlight[0].Name = "网络服务器一二三四五六七八九十网络服务器一二三四五六七八九十"
	p.Failures[0].Name, p.Failures[0].Reason = "rm -rf $(x)\n'", "two\nlines\xff"
	frame := progressview.Frame(progressview.View{Progress: p, Now: noon}, progressview.Style{Width: 80})
	text := strings.Join(frame, "\n")
	assert.NotContains(t, text, "\x1b")
	assert.NotContains(t, text, "\u202e")
	assert.NotContains(t, text, "\nlines")
	assert.Contains(t, text, "reimage retry web-fleet "+serverID(3), "a name that a shell would read is not typed")
	for _, line := range frame {
		assert.LessOrEqual(t, columnsOf(line), 80, line)
	}
	for _, change := range progressview.Changes(rollout.Progress{}, p, noon) {
		assert.NotContains(t, change, "\x1b")
		assert.NotContains(t, change, "\n")
	}
}

func TestColours(t *testing.T) {
	view := views()["breached"]
	coloured := strings.Join(progressview.Frame(view, progressview.Style{Width: 80, Colours: true}), "\n")
	assert.Contains(t, coloured, "\x1b[31m", "failures are red")
	for _, code := range []string{"0", "1", "2", "31", "32", "33", "36"} {
		coloured = strings.ReplaceAll(coloured, "\x1b["+code+"m", "")
	}
	assert.Equal(t, strings.Join(progressview.Frame(view, progressview.Style{Width: 80}), "\n"), coloured, "colours change no text")
}

// TestSameName: a command that names a server names one server.
func TestSameName(t *testing.T) {
	p := breached()
	p.Failures[1].Name = p.Failures[0].Name
	text := strings.Join(progressview.Frame(progressview.View{Progress: p, Now: noon}, progressview.Style{}), "\n")
	assert.Contains(t, text, "reimage retry web-fleet "+serverID(3))
	assert.Contains(t, text, "reimage retry web-fleet web-07")
	assert.NotContains(t, text, "reimage retry web-fleet web-03")
}

// next are the commands, each with its remark.
func next(v progressview.View) (lines []string) {
	for _, command := range v.Next() {
		if command.Remark != "" {
			command.Line += "  # " + command.Remark
		}
		lines = append(lines, command.Line)
	}
	return lines
}

// TestNextByFailure: what is offered first can help.
func TestNextByFailure(t *testing.T) {
	retry, accept, abort := "reimage retry web-fleet --all && reimage resume web-fleet", "reimage accept web-fleet --all && reimage resume web-fleet", "reimage abort web-fleet"
	for want, ends := range map[string][]rollout.ServerEnd{
		"reimage accept web-fleet web-01; " + accept:                                                  {rollout.FailedIntact, rollout.Vanished, rollout.NotStarted},
		retry + "  # first repair web-01 in the cloud's console: no system disk was found; " + accept: {rollout.FailedIntact, rollout.FailedLost},
		accept: {rollout.Vanished, rollout.Vanished},
	} {
		p := breached()
		p.Failures, p.Failed = nil, len(ends)
		for i, end := range ends {
			p.Failures = append(p.Failures, failure(i, end, "because"))
		}
		assert.Equal(t, want+"; "+abort, strings.Join(next(progressview.View{Progress: p}), "; "))
	}
	p := breached()
	unpaid := failure(1, rollout.FailedChanged, "the job is still PENDING_PAYMENT")
	unpaid.Before = rollout.Fingerprint{ImageID: "i", VolumeID: "v"}
	unpaid.After = unpaid.Before
	p.Failures, p.Failed = []rollout.ServerProgress{unpaid, failure(2, rollout.FailedLost, "lost")}, 2
	assert.Equal(t, []string{"reimage server forget " + unpaid.ID + "  # when nothing comes of its change any more", "reimage accept web-fleet web-01"}, next(progressview.View{Progress: p})[:2])
	frame := strings.Join(progressview.Frame(progressview.View{Progress: p, Now: noon}, progressview.Style{}), "\n")
	assert.Contains(t, frame, "-> its change may still come: wait for its end (an unpaid order: pay it in the cloud's console, or cancel it and say so with reimage server forget "+unpaid.ID+"), then reimage retry web-fleet web-01")
	settled := progressview.View{Progress: p, Outlook: map[string]progressview.Outlook{unpaid.ID: progressview.NothingComes}}
	assert.Equal(t, retry+"  # first repair web-02 in the cloud's console: no system disk was found", next(settled)[0], "its change was dismissed")
	assert.NotContains(t, strings.Join(progressview.Frame(settled, progressview.Style{}), "\n"), "forget")
	underWay := progressview.View{Progress: p, Outlook: map[string]progressview.Outlook{unpaid.ID: progressview.UnderWay}, Now: noon}
	assert.Equal(t, "reimage accept web-fleet web-01", next(underWay)[0], "a word would be refused")
	assert.Contains(t, strings.Join(progressview.Frame(underWay, progressview.Style{}), "\n"), "-> the cloud was seen to work on its change: wait for its end, then reimage retry web-fleet web-01")
	assert.Equal(t, 1, strings.Count(frame, "its change may still come"), "a disk that is lost is")

	p = breached()
	p.Failures, p.Failed = []rollout.ServerProgress{failure(1, rollout.Vanished, "gone")}, 101
	assert.Equal(t, []string{
		"reimage accept web-fleet --all && reimage resume web-fleet", retry + "  # helps only servers that are not listed here", "reimage abort web-fleet",
	}, next(progressview.View{Progress: p}), "a retry of all that are listed fails")
	p.Failures = []rollout.ServerProgress{failure(1, rollout.Vanished, "gone"), failure(2, rollout.FailedIntact, "its job failed")}
	assert.Equal(t, retry, next(progressview.View{Progress: p})[0], "not all of them are listed")
	p.Failures = nil
	for n := range 100 {
		missing := failure(n+1, rollout.NotStarted, "no key pair")
		missing.Failure = rollout.FailureOfChange
		p.Failures = append(p.Failures, missing)
	}
	assert.Contains(t, next(progressview.View{Progress: p})[0], "reimage abort web-fleet  # then correct the document", "101 servers without a key pair, 100 of them listed")
}

// TestNextForEachClass of failure: what comes first can succeed, and what must fail is not offered, or last.
func TestNextForEachClass(t *testing.T) {
	const resume = " && reimage resume web-fleet"
	const retry, accept, abort = "reimage retry web-fleet --all" + resume, "reimage accept web-fleet --all" + resume, "reimage abort web-fleet"
	const recheck = "reimage recheck web-fleet --all" + resume + "  # first mend the application on web-01: a recheck asks for its health again, and a retry destroys the new disk"
	disk := rollout.Fingerprint{ImageID: "i", VolumeID: "v"}
	end := func(end rollout.ServerEnd, edit func(*rollout.ServerProgress)) rollout.ServerProgress {
		s := failure(1, end, "because")
		edit(&s)
		return s
	}
	keep := func(*rollout.ServerProgress) {}
	refused := func(kind rollout.FailureKind) func(*rollout.ServerProgress) {
		return func(s *rollout.ServerProgress) { s.Failure = kind }
	}
	unseen := func(s *rollout.ServerProgress) { s.Before, s.After = disk, disk }
	forget := "reimage server forget " + serverID(1) + "  # when nothing comes of its change any more"
	for name, row := range map[string]struct {
		failed  rollout.ServerProgress
		outlook progressview.Outlook
		want    []string
		remedy  string
	}{
		"the job failed": {end(rollout.FailedIntact, keep), 0, []string{retry, accept, abort}, "reimage retry web-fleet web-01  or  reimage accept web-fleet web-01"},
		"never touched":  {end(rollout.NotStarted, keep), 0, []string{retry, accept, abort}, "reimage retry web-fleet web-01  or  reimage accept web-fleet web-01"},
		"an application that is not healthy": {
			end(rollout.FailedUnhealthy, keep), 0, []string{recheck, retry, accept, abort},
			"mend its application, then reimage recheck web-fleet web-01  or  reimage retry web-fleet web-01  or  reimage accept web-fleet web-01",
		},
		"a new disk, not proven": {end(rollout.FailedChanged, keep), 0, []string{retry, accept, abort}, "reimage retry web-fleet web-01  or  reimage accept web-fleet web-01"},
		"refused for its state": {
			end(rollout.NotStarted, refused(rollout.FailureOfServer)), 0,
			[]string{retry + "  # first mend what the reason of web-01 names", accept, abort},
			"mend what the reason names, then reimage retry web-fleet web-01  or  reimage accept web-fleet web-01",
		},
		"a missing key pair": {
			end(rollout.FailedIntact, refused(rollout.FailureOfChange)), 0,
			[]string{abort + "  # then correct the document and plan anew: the change that was refused to web-01 is in the plan, and is the same for every server", accept},
			"a retry asks for the same again: reimage abort web-fleet  or  reimage accept web-fleet web-01",
		},
		"its change may come": {
			end(rollout.FailedChanged, unseen), progressview.MayCome,
			[]string{forget, accept, retry + "  # in vain while the earlier change of web-01 may still come", abort}, "",
		},
		"its change is under way": {
			end(rollout.FailedChanged, unseen), progressview.UnderWay,
			[]string{accept, retry + "  # in vain while the cloud works on the change of web-01", abort}, "",
		},
		"nothing comes of its change": {end(rollout.FailedChanged, unseen), progressview.NothingComes, []string{retry, accept, abort}, ""},
		"nothing comes of what a retry was refused for": {
			end(rollout.FailedChanged, func(s *rollout.ServerProgress) { unseen(s); refused(rollout.FailureOfServer)(s) }), progressview.NothingComes,
			[]string{retry, accept, abort}, "no change of it that may still come is known any more",
		},
		"no system disk": {
			end(rollout.FailedLost, keep), 0,
			[]string{retry + "  # first repair web-01 in the cloud's console: no system disk was found", accept, abort},
			"repair it in the cloud's console, then reimage retry web-fleet web-01  or  reimage accept web-fleet web-01",
		},
		"a disk that may not be ours": {
			end(rollout.FailedChanged, func(s *rollout.ServerProgress) { s.OtherDisk = true }), 0,
			[]string{"reimage retry web-fleet web-01" + resume + "  # look at web-01 first: the system disk may not be of this rollout's making, and a retry destroys it", accept, abort}, "",
		},
		"a disk replaced outside of this rollout": {
			end(rollout.FailedChanged, func(s *rollout.ServerProgress) { s.Foreign = true }), 0,
			[]string{accept, abort}, "its system disk was replaced outside of this rollout: reimage accept web-fleet web-01",
		},
		"another disk again, that looks like the old one": {
			end(rollout.FailedChanged, func(s *rollout.ServerProgress) { unseen(s); s.Foreign = true }), progressview.MayCome,
			[]string{forget, accept, abort}, "its system disk was replaced outside of this rollout: reimage accept web-fleet web-01\n",
		},
		"the old disk, that may not be ours": {
			end(rollout.FailedChanged, func(s *rollout.ServerProgress) { unseen(s); s.OtherDisk = true }), progressview.NothingComes,
			[]string{"reimage retry web-fleet web-01" + resume + "  # look at web-01 first: the system disk may not be of this rollout's making, and a retry destroys it", accept, abort},
			"its system disk may not be of this rollout's making, look at it first: reimage retry web-fleet web-01",
		},
		"vanished": {end(rollout.Vanished, keep), 0, []string{accept, abort}, "reimage accept web-fleet web-01"},
	} {
		p := breached()
		p.Failures, p.Failed = []rollout.ServerProgress{row.failed}, 1
		view := progressview.View{Progress: p, Now: noon, Outlook: map[string]progressview.Outlook{row.failed.ID: row.outlook}}
		assert.Equal(t, row.want, next(view), name)
		assert.Contains(t, strings.Join(progressview.Frame(view, progressview.Style{}), "\n"), "-> "+row.remedy, name)
	}
}

// TestNextWhenServersAreDown: what waits can be skipped, and what is down be started.
func TestNextWhenServersAreDown(t *testing.T) {
	p := running()
	p.Failures, p.Failed, p.NeedsHuman, p.InFlight = nil, 0, true, nil
	p.Slots, p.SlotsHeldFailed, p.SlotsHeldDown, p.SlotsCap, p.Held = 1, 0, 1, 3, []string{"etcd-1", "etcd 2"}
	assert.Equal(t, []string{
		"reimage skip web-fleet etcd-1 'etcd 2'  # or start what is down in the cloud's console: the rollout looks once a minute, and goes on",
		"reimage abort web-fleet",
	}, next(progressview.View{Progress: p}))
	p.SlotsCap = 1
	assert.Equal(t, "reimage concurrency web-fleet 2", next(progressview.View{Progress: p})[1])
}

// TestNumbersAddUp: what is accepted stands beside what counts, and what holds a concurrency below its cap.
func TestNumbersAddUp(t *testing.T) {
	p := running()
	p.Counts.Failed, p.Counts.Accepted, p.Failed = 3, 2, 1
	p.Slots, p.SlotsHeldFailed, p.SlotsHeldDown, p.SlotsCap, p.SlotsMost, p.SlotsHeldBy = 36, 1, 2, 45, 36, "the caps by zone (az1 18, az2 18)"
	frame := strings.Join(progressview.Frame(progressview.View{Progress: p, Now: noon}, progressview.Style{}), "\n")
	assert.Contains(t, frame, ": 8 done, 3 failed (2 of them accepted), 1 skipped")
	assert.Contains(t, frame, "  1 of 3 tolerated, and 2 accepted, which do not count")
	assert.Contains(t, frame, "  36/45, 1 held by failed servers, 2 by servers that are down for another reason, at most 36 because of the caps by zone (az1 18, az2 18)")
}

// TestNextOfRefusedCredentials: what finds out why comes first.
func TestNextOfRefusedCredentials(t *testing.T) {
	p := breached()
	p.CredentialsRefused, p.Profile, p.Failures, p.Failed = true, "web shop", nil, 0
	assert.Equal(t, "reimage doctor --profile 'web shop'  # where the reason leaves open what to mend; a worker reads its variables when it starts", next(progressview.View{Progress: p})[0])
	p.Profile = "" // a rollout of before profiles were told
	assert.Equal(t, "reimage doctor  # where the reason leaves open what to mend; a worker reads its variables when it starts", next(progressview.View{Progress: p})[0])
	p.Secrets = []rollout.SecretRef{"env:REIMAGE_SECRET_ROOT", "file:web shop/init.yaml"}
	assert.Contains(t, next(progressview.View{Progress: p})[0], "reimage doctor --secret env:REIMAGE_SECRET_ROOT --secret 'file:web shop/init.yaml'  # ")
}

// TestTroubleOfServersInFlight is shown beside them.
func TestTroubleOfServersInFlight(t *testing.T) {
	p := breached()
	p.InFlight = []rollout.ServerProgress{{ID: serverID(1), Name: "web-01", State: rollout.InFlight, StartedAt: noon.Add(-time.Minute)}}
	view := progressview.View{Progress: p, Now: noon, Status: map[string]api.Status{serverID(1): {Trouble: "HTTP 503"}}}
	assert.Regexp(t, "web-01 .* tried again after: HTTP 503", strings.Join(progressview.Frame(view, progressview.Style{}), "\n"))
}

func TestWord(t *testing.T) {
	for word, quoted := range map[string]string{
		"web-07": "web-07", "": "''", "a b": "'a b'", "it's": `'it'\''s'`, "-f": "'-f'", "dir/plan.json": "dir/plan.json", "~x": "'~x'",
	} {
		assert.Equal(t, quoted, progressview.Word(word))
	}
}
