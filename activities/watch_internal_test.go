package activities

import (
	"slices"
	"sync"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
	"go.temporal.io/sdk/testsuite"

	"github.com/reimage/reimage/activities/contract"
	"github.com/reimage/reimage/ecs"
	"github.com/reimage/reimage/internal/emulator"
	"github.com/reimage/reimage/rollout"
	"github.com/reimage/reimage/rollout/change"
)

// watching gives a wait that began at a time, and of whose like the given durations were seen.
func watching(t *testing.T, since time.Time, seen ...time.Duration) *watch {
	t.Helper()
	cloud, err := ecs.New(ecs.Config{
		ProjectID: "p", ECS: "http://ecs.emulated", IMS: "http://ims.emulated", Credentials: ecs.AccessKey{ID: "AK", Secret: ecs.NewSecret("SK")},
	})
	require.NoError(t, err)
	t.Cleanup(cloud.Close)
	s := site{&Activities{Timing: change.DefaultTiming()}, Profile{Cloud: cloud}}
	w := s.watch("server", since)
	w.asked, w.foreseen = since, true
	for _, took := range seen {
		s.durations.note(s.Cloud.ProjectID(), took)
	}
	return w
}

func TestDurationsThatAreExpected(t *testing.T) {
	var d durations
	_, _, known := d.expected("project")
	assert.False(t, known)

	for range 100 {
		d.note("project", time.Hour) // long ago
	}
	for i := range durationsKept {
		d.note("project", time.Duration(60+i)*time.Second)
	}
	d.note("another", time.Second)
	from, to, known := d.expected("project")
	assert.True(t, known)
	assert.Equal(t, 63*time.Second*19/20, from, "but for the soonest tenth")
	assert.Equal(t, 88*time.Second*5/4, to, "but for the slowest tenth")
}

// TestIntervals: seldom before the end can come, often when it may, and each poll when it should have.
func TestIntervals(t *testing.T) {
	const poll = 10 * time.Second
	minute := []time.Duration{time.Minute}
	tests := []struct {
		name    string
		seen    []time.Duration
		elapsed time.Duration
		others  int
		want    time.Duration
	}{
		{"nothing known", nil, 0, 0, poll},
		{"nothing known, later", nil, time.Hour, 0, poll},
		{"nothing known, in company", nil, 3 * time.Second, 2, 7 * time.Second},
		{"nothing known, in a crowd", nil, 0, crowd, poll / 3},
		{"before the soonest", minute, 0, 0, 57 * time.Second},
		{"just before the soonest", minute, 56 * time.Second, 0, poll / 3},
		{"when it may end", minute, 58 * time.Second, 0, poll / 3},
		{"late", minute, 76 * time.Second, 0, poll},
		{"long before the soonest: it may have failed", []time.Duration{time.Hour}, 0, 0, 2 * time.Minute},
	}
	for _, test := range tests {
		t.Run(test.name, func(t *testing.T) {
			now := time.Now().Truncate(poll).Add(test.elapsed)
			w := watching(t, now.Add(-test.elapsed), test.seen...)
			w.others = test.others
			assert.Equal(t, test.want, w.interval(now))
		})
	}
}

// TestLate: what the server shows is not waited for for ever.
func TestLate(t *testing.T) {
	now := time.Now()
	tests := []struct {
		name            string
		seen            []time.Duration
		elapsed, silent time.Duration
		want            bool
	}{
		{"nothing known", nil, time.Minute, time.Minute, false},
		{"nothing known, two minutes", nil, 2 * time.Minute, 2 * time.Minute, true},
		{"it may end", []time.Duration{3 * time.Minute}, 3 * time.Minute, time.Minute, false},
		{"it may have failed", []time.Duration{3 * time.Minute}, 3 * time.Minute, 2 * time.Minute, true},
		{"overdue", []time.Duration{time.Minute}, 2 * time.Minute, 10 * time.Second, true},
		{"overdue, just asked", []time.Duration{time.Minute}, 2 * time.Minute, 9 * time.Second, false},
		{"a long job", []time.Duration{time.Hour}, 30 * time.Minute, 2 * time.Minute, true},
	}
	for _, test := range tests {
		t.Run(test.name, func(t *testing.T) {
			w := watching(t, now.Add(-test.elapsed), test.seen...)
			w.asked = now.Add(-test.silent)
			assert.Equal(t, test.want, w.isLate(now))
		})
	}
}

// TestRested: the word of a job may trail behind its server, which is asked about at each poll until it is over. A stopped
// server, with which a change begins, tells nothing.
func TestRested(t *testing.T) {
	now := time.Now()
	for status, late := range map[string]bool{rollout.StatusActive: true, rollout.StatusError: true, rollout.StatusShutoff: false} {
		w := watching(t, now.Add(-time.Minute), time.Minute, time.Hour)
		w.isNews(&rollout.Observation{Exists: true, Status: status})
		w.asked = now.Add(-10 * time.Second)
		assert.Equal(t, late, w.isLate(now), status)
	}
}

// TestNews: a change to a server at rest is worth a question, once.
func TestNews(t *testing.T) {
	w := watching(t, time.Now())
	rebuilding := &rollout.Observation{Exists: true, Status: rollout.StatusRebuild, TaskState: "rebuilding"}
	done := &rollout.Observation{Exists: true, Status: rollout.StatusActive}
	for i, look := range []struct {
		seen *rollout.Observation
		news bool
	}{{nil, false}, {rebuilding, false}, {done, true}, {done, false}, {nil, false}, {rebuilding, false}, {done, true}, {&rollout.Observation{}, true}} {
		assert.Equal(t, look.news, w.isNews(look.seen), "look %d", i)
	}
}

// TestEndThatTheServerShowsBeforeItsJob is noticed soon, whatever others took: a failure too. One that the server does
// not show is noticed after two minutes.
func TestEndThatTheServerShowsBeforeItsJob(t *testing.T) {
	const shown, lead = 90 * time.Second, 7 * time.Second
	timing := change.DefaultTiming()
	soon := timing.Poll + 2*timing.Poll/3
	fails := emulator.Options{
		Timing: emulator.Timing{ChangeOS: emulator.Span{Median: shown * 5}}, // after a fifth
		Faults: []emulator.Fault{{Op: emulator.OpChangeOS, Kind: emulator.JobFail, Times: -1}},
	}
	hidden := fails
	hidden.Edition.RebuildView = "shutoff"
	for name, test := range map[string]struct {
		emulator.Options
		within time.Duration
	}{
		"succeeds":                       {emulator.Options{Timing: emulator.Timing{ChangeOS: emulator.Span{Median: shown}}}, soon},
		"fails":                          {fails, soon},
		"fails and never shows anything": {hidden, rarely * timing.Poll},
	} {
		options := test.Options
		options.Fleet = []emulator.Server{{Name: "one", Status: "SHUTOFF"}, {Name: "two", Status: "SHUTOFF"}}
		options.Timing.Lead = emulator.Span{Median: lead}
		for before, seen := range map[string][]time.Duration{"nothing known": nil, "others took one to six minutes": {time.Minute, 6 * time.Minute}} {
			t.Run(name+", "+before, func(t *testing.T) {
				inRounds(t, options, func(t *testing.T, s site, cloud *emulator.Emulator) {
					for _, took := range seen {
						s.durations.note(s.Cloud.ProjectID(), took)
					}
					begun := time.Now()
					var both sync.WaitGroup
					for _, server := range cloud.Servers() {
						both.Go(func() {
							end := s.follow(t, server.ID, cloud.Images())
							assert.Equal(t, len(options.Faults) > 0, end == change.JobEndFailed, end)
							assert.Less(t, time.Since(begun)-shown-lead, test.within)
						})
					}
					both.Wait()
				})
			})
		}
	}
}

// follow changes the OS of a server and waits for the job.
func (s site) follow(t *testing.T, serverID string, images []emulator.Image) change.JobEnd {
	target := images[slices.IndexFunc(images, func(i emulator.Image) bool { return i.Name == emulator.TargetImageName })]
	out := s.Cloud.ChangeOS(t.Context(), serverID, ecs.ChangeOSRequest{ImageID: target.ID})
	if !assert.Equal(t, ecs.Accepted, out.Kind, out.Err) {
		return ""
	}
	var suite testsuite.WorkflowTestSuite
	env := suite.NewTestActivityEnvironment()
	env.SetTestTimeout(time.Hour)
	env.RegisterActivity(s.PollJob)
	ended, err := env.ExecuteActivity(s.PollJob, contract.PollJobInput{
		Project: s.Cloud.ProjectID(), JobID: out.JobID, ServerID: serverID, Deadline: time.Now().Add(30 * time.Minute),
	})
	var result contract.PollJobResult
	if assert.NoError(t, err) {
		assert.NoError(t, ended.Get(&result))
	}
	return result.End
}
