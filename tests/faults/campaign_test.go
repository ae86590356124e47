package faults_test

import (
	"context"
	"flag"
	"fmt"
	"maps"
	"runtime/debug"
	"slices"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/reimage/reimage/internal/emulator"
	"github.com/reimage/reimage/rollout"
	"github.com/reimage/reimage/tests/faults"
)

var (
	schedules = flag.Int("schedules", 250, "how many schedules the campaign plays")
	firstSeed = flag.Uint64("seed", 1, "the seed of the first one")
)

// TestCampaign plays schedules of faults and crashes at simulated speed, and holds each against the oracle.
func TestCampaign(t *testing.T) {
	total := newTotal()
	t.Cleanup(func() {
		t.Log(total)
		total.shares(t)
		total.never(t)
	})
	for i := range *schedules {
		seed := *firstSeed + uint64(i)
		t.Run(fmt.Sprint(seed), func(t *testing.T) {
			t.Parallel()
			outcome := play(t, faults.NewSchedule(seed))
			total.add(outcome)
			if len(outcome.Violations) > 0 {
				t.Errorf("seed %d:\n  %s\nto repeat it: go test ./tests/faults -run TestCampaign -schedules 1 -seed %d\n%s", seed, strings.Join(outcome.Violations, "\n  "), seed, outcome.Story())
			}
		})
	}
}

// play plays a schedule. One that breaks down is a violation as well, and no reason not to play the others. So is one
// that gets stuck: its bubble cannot be left in order, and breaks down too.
func play(t *testing.T, s faults.Schedule) (outcome faults.Outcome) {
	t.Helper()
	broken := func() {
		if why := recover(); why != nil && len(outcome.Violations) == 0 {
			outcome.Violations = []string{fmt.Sprintf("the schedule broke down: %v\n%s", why, debug.Stack())}
		}
	}
	defer broken()
	synctest.Test(t, func(*testing.T) {
		defer broken()
		var err error
		if outcome, err = faults.Run(context.Background(), s); err != nil {
			outcome.Violations = append(outcome.Violations, "the schedule could not be played: "+err.Error())
		}
	})
	return outcome
}

// TestNoScheduleStopsTheOthers: a rollout that never ends, a program that comes to a standstill, and settings that are
// refused are each reported, and nothing more.
func TestNoScheduleStopsTheOthers(t *testing.T) {
	calm := func() faults.Schedule { return faults.Calm(1, 1, callsPerSecond, emulator.Span{Median: time.Minute}) }
	unanswered, refused, standstill := calm(), calm(), calm()
	unanswered.Cloud.Fleet = []emulator.Server{{Name: "web-01", Status: "SHUTOFF"}} // looked at three times before it is changed
	unanswered.Cloud.Faults = []emulator.Fault{{Op: emulator.OpServer, Kind: emulator.Throttle, RetryAfter: time.Hour, After: 3, Times: -1}}
	refused.Cloud.CallsPerSecond = -1
	plan := standstill.Plan
	standstill.Plan = func(cloud *emulator.Emulator) rollout.Plan {
		<-make(chan struct{})
		return plan(cloud)
	}
	for want, schedule := range map[string]faults.Schedule{
		"stuck: the rollout is running after 72h0m0s": unanswered,
		"the schedule could not be played":            refused,
		"all goroutines in bubble are blocked":        standstill,
	} {
		violations := play(t, schedule).Violations
		require.Len(t, violations, 1, want)
		assert.Contains(t, violations[0], want)
	}
	assert.Empty(t, play(t, calm()).Violations)
}

// TestSchedulesAreRepeatable: a seed that has failed can be looked at again. Which of two servers that do the same
// at the same moment comes first is not in its hands.
func TestSchedulesAreRepeatable(t *testing.T) {
	for seed := range uint64(100) {
		one, other := faults.NewSchedule(seed), faults.NewSchedule(seed)
		assert.Equal(t, one.Cloud, other.Cloud, "seed %d", seed)
		assert.Equal(t, one.Crashes, other.Crashes, "seed %d", seed)
	}
}

// total is what a campaign has done.
type total struct {
	mu                                             sync.Mutex
	schedules, servers, accepted, doubtful, spared int
	words, wordsRefused                            int
	faults                                         map[emulator.FaultKind]int
	blows                                          map[faults.Point]map[faults.Blow]int
	ends                                           map[rollout.ServerEnd]int
	rollouts                                       map[rollout.RolloutEnd]int
	deeds                                          map[faults.Deed]int
	commands                                       map[rollout.CommandKind]int
}

func newTotal() *total {
	return &total{
		faults: map[emulator.FaultKind]int{}, blows: map[faults.Point]map[faults.Blow]int{}, ends: map[rollout.ServerEnd]int{},
		rollouts: map[rollout.RolloutEnd]int{}, deeds: map[faults.Deed]int{}, commands: map[rollout.CommandKind]int{},
	}
}

func (s *total) add(o faults.Outcome) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.schedules++
	s.servers += o.Servers
	s.accepted += o.Accepted
	s.doubtful += o.Doubtful
	s.spared += o.Spared
	s.words += o.Words
	s.wordsRefused += o.WordsRefused
	s.rollouts[o.End]++
	addTo(s.faults, o.Faults)
	addTo(s.ends, o.Ends)
	addTo(s.deeds, o.Deeds)
	addTo(s.commands, o.Commands)
	for point, blows := range o.Struck {
		if s.blows[point] == nil {
			s.blows[point] = map[faults.Blow]int{}
		}
		addTo(s.blows[point], blows)
	}
}

func addTo[K comparable](sum, counts map[K]int) {
	for k, n := range counts {
		sum[k] += n
	}
}

// never holds a campaign of ten thousand to what it claims: there is nothing that it never did.
func (s *total) never(t *testing.T) {
	t.Helper()
	if s.schedules < 10_000 {
		return
	}
	for _, kind := range emulator.FaultKinds() {
		assert.Positive(t, s.faults[kind], "fault %s", kind)
	}
	for _, point := range faults.Points() { // TestEachBlowAtEachPoint has the blows, each at each
		assert.NotEmpty(t, s.blows[point], "blow at %s of %s", point.When, point.What)
	}
	for _, deed := range faults.Deeds() {
		assert.Positive(t, s.deeds[deed], "by hand: %s", deed)
	}
	assert.Positive(t, s.words, "said that nothing comes of a change any more")
	assert.Positive(t, s.wordsRefused, "said so of a change that the cloud works on")
	for _, end := range []rollout.ServerEnd{
		rollout.Done, rollout.Skipped, rollout.FailedIntact, rollout.FailedChanged, rollout.FailedLost, rollout.Vanished, rollout.NotStarted, rollout.Restored,
	} {
		assert.Positive(t, s.ends[end], "server %s", end)
	}
	for _, end := range []rollout.RolloutEnd{
		rollout.Completed, rollout.CompletedWithFailures, rollout.Aborted, rollout.RolledBack, rollout.RolledBackPartially,
	} {
		assert.Positive(t, s.rollouts[end], "rollout %s", end)
	}
	for _, kind := range []rollout.CommandKind{
		rollout.Pause, rollout.Resume, rollout.Abort, rollout.Approve, rollout.EndBake, rollout.Skip, rollout.Retry, rollout.Accept, rollout.Concurrency,
	} {
		assert.Positive(t, s.commands[kind], "command %s", kind)
	}
}

// shares holds a campaign of some size to a floor: a program that finds a reason not to get on with most servers, or no
// words for what became of them, would be believed server by server.
func (s *total) shares(t *testing.T) {
	t.Helper()
	if s.schedules < 200 {
		return
	}
	assert.GreaterOrEqual(t, s.ends[rollout.Done]*100, 60*s.servers, "at least 60 %% of all servers are done")
	assert.LessOrEqual(t, s.doubtful*100, 20*s.servers, "at most 20 %% of all servers end in doubt")
	assert.GreaterOrEqual(t, s.spared*100, 5*s.servers, "nothing is in the way of at least 5 %% of all servers")
}

func (s *total) String() string {
	s.mu.Lock()
	defer s.mu.Unlock()
	var b strings.Builder
	fmt.Fprintf(&b, "%d schedules, %d servers, %d changes accepted, %d servers in doubt, %d spared\n", s.schedules, s.servers, s.accepted, s.doubtful, s.spared)
	fmt.Fprintf(&b, "rollouts: %s\nservers: %s\nfaults: %s\n", counts(s.rollouts), counts(s.ends), counts(s.faults))
	byBlow := map[faults.Blow]int{}
	for _, blows := range s.blows {
		for blow, n := range blows {
			byBlow[blow] += n
		}
	}
	fmt.Fprintf(&b, "workers: %s, at %d of %d crash points\n", counts(byBlow), len(s.blows), len(faults.Points()))
	fmt.Fprintf(&b, "commands: %s; server forget: %d, and %d refused\nby hand: %s", counts(s.commands), s.words, s.wordsRefused, counts(s.deeds))
	return b.String()
}

func counts[K ~string](m map[K]int) string {
	var all []string
	for _, k := range slices.Sorted(maps.Keys(m)) {
		all = append(all, fmt.Sprintf("%d %s", m[k], k))
	}
	return strings.Join(all, ", ")
}
