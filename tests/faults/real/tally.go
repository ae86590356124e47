package real

import (
	"cmp"
	"fmt"
	"io"
	"maps"
	"slices"
	"strings"
	"sync"

	"github.com/reimage/reimage/tests/faults"
)

// Tally is what a campaign amounts to.
type Tally struct {
	mu                                 sync.Mutex
	rollouts, violated, servers        int
	asked, accepted, doubles, replayed int
	ends, serverEnds, faults, happened map[string]int
}

func newTally() *Tally {
	return &Tally{ends: map[string]int{}, serverEnds: map[string]int{}, faults: map[string]int{}, happened: map[string]int{}}
}

// Happened counts something that was done to a process or a connection, or by the operator.
func (t *Tally) Happened(what string) {
	t.mu.Lock()
	defer t.mu.Unlock()
	t.happened[what]++
}

// TemporalDied is what Happened is told when the Temporal server was killed.
const TemporalDied = "Temporal killed and restarted"

// Missing are the troubles without which rollouts prove little, none of them if there were no rollouts.
func (t *Tally) Missing() []string {
	t.mu.Lock()
	defer t.mu.Unlock()
	if t.rollouts == 0 {
		return nil
	}
	return slices.DeleteFunc(
		[]string{string(Kill), string(Terminate), string(Freeze), string(CloudHole), string(TemporalHole), TemporalDied},
		func(what string) bool { return t.happened[what] > 0 },
	)
}

// Add counts a rollout that has ended.
func (t *Tally) Add(a *account) {
	t.mu.Lock()
	defer t.mu.Unlock()
	t.rollouts++
	t.ends[string(a.Progress.End)]++
	t.replayed += a.replayed
	for kind, n := range a.struck {
		t.faults[kind] += n
	}
	for _, s := range a.Servers {
		t.servers++
		t.serverEnds[string(s.End)]++
		if ledger := a.Ledger.Servers[s.ID]; ledger != nil {
			t.accepted += ledger.ChangeOSAccepted
		}
	}
	t.asked += len(a.children)
	for _, violation := range a.violations {
		if strings.HasPrefix(violation, string(faults.Twice)) {
			t.doubles++
		}
	}
	if len(a.violations) > 0 {
		t.violated++
	}
}

// Print writes the summary.
func (t *Tally) Print(w io.Writer) {
	t.mu.Lock()
	defer t.mu.Unlock()
	if t.rollouts == 0 {
		return
	}
	fmt.Fprintf(w, "\n%d rollouts of %d servers, %d with violations\n", t.rollouts, t.servers, t.violated)
	fmt.Fprintf(w, "%d changes asked for, %d accepted, %d double submissions\n", t.asked, t.accepted, t.doubles)
	fmt.Fprintf(w, "%d histories replayed\n", t.replayed)
	for _, part := range []struct {
		what   string
		counts map[string]int
	}{
		{"rollouts ended", t.ends}, {"servers ended", t.serverEnds}, {"faults of the cloud that struck", t.faults},
		{"done to processes and connections, and by operators", t.happened},
	} {
		fmt.Fprintf(w, "%s: %d\n", part.what, sum(part.counts))
		names := slices.SortedFunc(maps.Keys(part.counts), func(a, b string) int {
			return cmp.Or(cmp.Compare(part.counts[b], part.counts[a]), cmp.Compare(a, b))
		})
		for _, name := range names {
			fmt.Fprintf(w, "  %6d  %s\n", part.counts[name], name)
		}
	}
}

func sum(counts map[string]int) int {
	total := 0
	for _, n := range counts {
		total += n
	}
	return total
}
