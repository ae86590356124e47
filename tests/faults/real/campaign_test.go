package real

import (
	"context"
	"errors"
	"flag"
	"fmt"
	"os"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/reimage/reimage/tests/harness"
)

// The flags choose the seeds. The selection that runs without them takes some five minutes on two cores.
var (
	rollouts = flag.Int("rollouts", 0, "how many rollouts to run, 0 for the selection")
	from     = flag.Uint64("from", 1, "the first seed")
	atOnce   = flag.Int("at-once", 9, "how many rollouts run at once; they wait more than they work")
)

var shared = theatre{tally: newTally()}

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
	shared.tally.Print(os.Stdout)
	if missing := shared.tally.Missing(); *rollouts == 0 && len(missing) > 0 {
		fmt.Fprintln(os.Stderr, "the selection proves less than it should, none of these happened:", missing)
		code = max(code, 1)
	}
	if err := stop(); err != nil {
		fmt.Fprintln(os.Stderr, "the campaign did not stop cleanly:", err)
		return max(code, 1)
	}
	return code
}

func start() error {
	machine, err := harness.NewMachine()
	if err != nil {
		return err
	}
	output, err := machine.TemporalLog()
	if err != nil {
		return errors.Join(err, machine.Remove())
	}
	temporal, err := StartTemporal(context.Background(), machine.TemporalProgram, machine.DB, output)
	if err != nil {
		return errors.Join(err, machine.Remove())
	}
	machine.Temporal = temporal.Stack()
	shared.machine, shared.temporal = machine, temporal
	return nil
}

func stop() error { return errors.Join(shared.temporal.Stop(), shared.machine.Remove()) }

// TestCampaign runs the rollouts of the chosen seeds.
func TestCampaign(t *testing.T) {
	seeds := selection()
	if *rollouts > 0 {
		seeds = nil
		for n := range *rollouts {
			seeds = append(seeds, *from+uint64(n))
		}
	}
	for _, seed := range seeds {
		schedule := Draw(seed)
		t.Run(fmt.Sprintf("seed_%d", schedule.Seed), func(t *testing.T) {
			t.Parallel()
			t.Cleanup(func() {
				if t.Failed() {
					t.Logf("again with: go test ./tests/faults/real -count=1 -v -timeout 30m -run TestCampaign -args -from %d -rollouts 1", schedule.Seed)
				}
			})
			shared.rehearse(t, schedule)
		})
	}
}

// TestDraw shows that a seed always means the same, and that seeds differ.
func TestDraw(t *testing.T) {
	require.Equal(t, Draw(7).String(), Draw(7).String())
	require.NotEqual(t, Draw(7).String(), Draw(8).String())
}
