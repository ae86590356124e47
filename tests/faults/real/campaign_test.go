package real

import (
	"context"
	"flag"
	"fmt"
	"os"
	"slices"
	"sync"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/reimage/reimage/tests/harness"
)

// The flags choose the seeds. The selection that runs without them fits into five minutes on two cores.
var (
	rollouts = flag.Int("rollouts", 8, "how many rollouts to run")
	from     = flag.Uint64("from", 1, "the first seed")
	atOnce   = flag.Int("at-once", 4, "how many rollouts run at once, as one round")
)

var (
	machine  *harness.Machine
	server   *Temporal
	campaign = newTally()
)

func TestMain(m *testing.M) { os.Exit(run(m)) }

func run(m *testing.M) int {
	flag.Parse()
	if err := flag.Set("test.parallel", fmt.Sprint(*atOnce)); err != nil {
		fmt.Fprintln(os.Stderr, err)
		return 1
	}
	if err := start(); err != nil {
		fmt.Fprintln(os.Stderr, "the campaign cannot start:", err)
		return 1
	}
	code := m.Run()
	campaign.Print(os.Stdout)
	if err := stop(); err != nil {
		fmt.Fprintln(os.Stderr, "the campaign did not stop cleanly:", err)
		return max(code, 1)
	}
	return code
}

func start() (err error) {
	if machine, err = harness.NewMachine(); err != nil {
		return err
	}
	output, err := machine.TemporalLog()
	if err != nil {
		return err
	}
	if server, err = StartTemporal(context.Background(), machine.TemporalProgram, machine.DB, output); err != nil {
		return err
	}
	machine.Temporal = server.Stack()
	return nil
}

func stop() error {
	if err := server.Stop(); err != nil {
		return err
	}
	return machine.Remove()
}

// TestCampaign runs the rollouts of the chosen seeds, in rounds.
func TestCampaign(t *testing.T) {
	for first := 0; first < *rollouts; first += *atOnce {
		var round []Schedule
		for n := first; n < min(first+*atOnce, *rollouts); n++ {
			round = append(round, Draw(*from+uint64(n)))
		}
		t.Run(fmt.Sprintf("round_%d", first / *atOnce + 1), func(t *testing.T) { play(t, round) })
	}
}

// play runs the rollouts of a round, while the Temporal server dies as often as their seeds want it to.
func play(t *testing.T, round []Schedule) {
	ctx, end := context.WithCancel(t.Context())
	var dying sync.WaitGroup
	t.Cleanup(func() { end(); dying.Wait() }) // after the last of the rollouts
	dying.Go(func() { die(ctx, t, round) })
	for _, schedule := range round {
		t.Run(fmt.Sprintf("seed_%d", schedule.Seed), func(t *testing.T) {
			t.Parallel()
			t.Cleanup(func() {
				if t.Failed() {
					t.Logf("again with: go test ./tests/faults/real -count=1 -v -timeout 30m -run TestCampaign -args -from %d -rollouts 1", schedule.Seed)
				}
			})
			rehearse(t, machine, schedule, campaign)
		})
	}
}

// die kills the Temporal server when it is time and starts it again on its database.
func die(ctx context.Context, t *testing.T, round []Schedule) {
	var deaths []Death
	for _, s := range round {
		if s.Death != nil {
			deaths = append(deaths, *s.Death)
		}
	}
	slices.SortFunc(deaths, func(a, b Death) int { return int(a.At - b.At) })
	began := time.Now()
	for _, death := range deaths {
		if !pause(ctx, death.At-time.Since(began)) {
			return
		}
		if err := server.Kill(); err != nil {
			t.Errorf("the Temporal server cannot be killed: %v", err)
		}
		pause(ctx, death.Down)
		if err := server.Start(context.WithoutCancel(ctx)); err != nil {
			t.Errorf("the Temporal server does not come back: %v", err)
			return
		}
		campaign.Happened("Temporal killed and restarted")
	}
}

// TestDraw shows that a seed always means the same, and that seeds differ.
func TestDraw(t *testing.T) {
	require.Equal(t, Draw(7).String(), Draw(7).String())
	require.NotEqual(t, Draw(7).String(), Draw(8).String())
}
