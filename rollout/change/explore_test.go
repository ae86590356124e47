package change

import (
	"flag"
	"fmt"
	"strings"
	"testing"
	"time"

	"github.com/reimage/reimage/rollout"
)

var (
	searchFaults = flag.Int("faults", 1, "how many faults a path of the search has at most")
	searchStates = flag.Int("states", 20_000_000, "how many states the search of one configuration visits at most")
)

// visit is how a state was first reached.
type visit struct {
	parent uint64
	move   uint16
}

// TestSearch explores every order of events, breadth first.
func TestSearch(t *testing.T) {
	all := configs()
	if raceDetector {
		all = all[:1]
	}
	for _, c := range all {
		t.Run(c.name, func(t *testing.T) {
			began := time.Now()
			x := &explorer{config: c, faults: uint8(*searchFaults)}
			first := x.begin()
			firstKey := x.key(&first)
			visited := map[uint64]visit{firstKey: {}}
			frontier := []state{first}
			depth, ends := 0, 0
			// path plays the moves that lead to a state once more.
			path := func(k uint64) string {
				var moves []uint16
				for ; k != firstKey; k = visited[k].parent {
					moves = append(moves, visited[k].move)
				}
				lines := make([]string, len(moves))
				x.explain = true
				s := first
				for i := range lines {
					m := x.from(s)[moves[len(moves)-1-i]]
					lines[i], s = m.label, m.to
				}
				return strings.Join(lines, "\n")
			}
			ending := map[uint64]bool{} // states from which a path without further faults ends
			for ; len(frontier) > 0; depth++ {
				var next []state
				for _, s := range frontier {
					k := x.key(&s)
					if why := x.leadsToEnd(s, ending); why != "" {
						t.Fatalf("depth %d: %s\n%s", depth, why, path(k))
					}
					moves := x.from(s)
					if len(moves) == 0 {
						ends++
						if why := x.contradiction(s); why != "" {
							t.Fatalf("depth %d: %s\n%s\nend: %s: %s", depth, why, path(k), s.book.Result.End, s.book.Result.Reason)
						}
						continue
					}
					for i := range moves {
						m := &moves[i]
						to := x.key(&m.to)
						if _, ok := visited[to]; ok {
							continue
						}
						visited[to] = visit{k, uint16(i)}
						if why := m.to.violation(); why != "" {
							t.Fatalf("depth %d: %s\n%s", depth+1, why, path(to))
						}
						if len(visited) > *searchStates {
							t.Fatalf("more than %d states", *searchStates)
						}
						next = append(next, m.to)
					}
				}
				frontier = next
				if testing.Verbose() && depth%10 == 9 {
					t.Logf("depth %d: %d states, %d in front, %s", depth, len(visited), len(next), time.Since(began).Round(time.Millisecond))
				}
			}
			t.Logf("%d states, %d ends, depth %d, %d faults, %s", len(visited), ends, depth, x.faults, time.Since(began).Round(time.Millisecond))
		})
	}
}

// leadsToEnd follows what happens when nothing more goes wrong. A guest that ignores a stop, and a job that is stuck, may hold
// a server for as long as the activity has time.
func (x *explorer) leadsToEnd(s state, ending map[uint64]bool) string {
	const patience = 400
	var passed []uint64
	for range patience {
		k := x.key(&s)
		for _, j := range s.cloud.jobs[:s.cloud.jobCount] {
			ending[k] = ending[k] || j.isOpen() && (j.deaf || j.stuck)
		}
		moves := x.from(s)
		if ending[k] || s.ended || len(moves) == 0 {
			for _, p := range append(passed, k) {
				ending[p] = true
			}
			return ""
		}
		passed, s = append(passed, k), moves[0].to
	}
	return fmt.Sprintf("the path does not end within %d more steps", patience)
}

// violation is what must not be in any state.
func (s *state) violation() string {
	switch {
	case s.cloud.accepted[0] > 1 || s.cloud.accepted[1] > 1:
		return "the cloud has accepted two changes"
	case s.cloud.beside:
		return "a change was accepted beside one that may still come"
	case s.cloud.destroyed:
		return "a disk from outside was destroyed"
	}
	return ""
}

// contradiction is how the end of a path differs from the truth.
func (x *explorer) contradiction(s state) string {
	if !s.ended {
		return "the path does not end"
	}
	if x.config.silent {
		return ""
	}
	r, truth := s.book.Result, s.cloud.server
	c := x.config
	original := c.status
	untouched := r.End == rollout.NotStarted || r.End == rollout.FailedIntact || r.End == rollout.Skipped
	switch {
	case untouched && (truth.disk == newDisk || truth.disk == noDisk) && !truth.gone && s.cloud.round == 0:
		return "it is called untouched, and its disk was replaced"
	case untouched && s.cloud.hasUnpaid() && s.cloud.round == 0:
		return "it is called untouched, and its change may still come"
	case r.End == rollout.Done && s.cloud.accepted == [2]uint8{}:
		return "it is called done, and nothing was accepted"
	case r.End == rollout.Done && truth.disk != newDisk && truth.disk != newerDisk && s.outside == nothingOutside:
		return "it is called done, and does not have its new disk"
	case r.End == rollout.Done && c.health && !s.reset && s.checked != 2:
		return "it is called done, and its application was not found healthy and staying so"
	case r.End == rollout.FailedUnhealthy && !s.unhealthy:
		return "it is called unhealthy, and was healthy whenever it was asked"
	case r.End == rollout.FailedUnhealthy && truth.disk != newDisk && s.outside == nothingOutside:
		return "it is called unhealthy, and does not have its new disk"
	case s.unhealthy && r.End != rollout.FailedUnhealthy && s.outside == nothingOutside && !s.reset:
		return "its application is not healthy, and its end does not say so"
	case r.End == rollout.FailedLost && truth.disk != noDisk && s.outside == nothingOutside:
		return "it is called lost, and has a disk"
	case r.End == rollout.Vanished && !truth.gone:
		return "it is called vanished, and exists"
	case r.End == rollout.FailedChanged && s.succeededBefore(s.endedAt-4) && s.outside == nothingOutside:
		return "a healthy change is called failed"
	}
	if s.outside != nothingOutside || truth.gone || s.cloud.round > 0 {
		return "" // what "as before" means to a second change depends on the end of the first
	}
	if r.PowerTrouble != "" && !s.restored {
		return "its power is reported as not as asked, and was not tried"
	}
	if s.faults == 0 && r.End != rollout.Done && !c.prepaid {
		return "nothing went wrong, and it is not done"
	}
	if r.PowerTrouble != "" {
		return ""
	}
	switch {
	case r.End == rollout.FailedUnhealthy && truth.status != active:
		return "its application is to be mended, and it does not run"
	case untouched && original == active && truth.status != active && truth.status != inError:
		return fmt.Sprintf("it ran, and is left stopped (%s)", r.End)
	case untouched && original == shutoff && truth.status != shutoff && truth.status != inError:
		return "it was stopped, and is left running"
	case r.End == rollout.Done && c.power == rollout.PowerOff && truth.status != shutoff:
		return "it is to be left stopped, and runs"
	case r.End == rollout.Done && c.power == "" && original == shutoff && truth.status != shutoff:
		return "it was stopped, and runs after its change"
	case r.End == rollout.Done && c.power == "" && original == active && truth.status != active:
		return "it ran, and is stopped after its change"
	}
	return ""
}

// succeededBefore is true when the change has succeeded for so long that every view shows it.
func (s *state) succeededBefore(tick int16) bool {
	for _, j := range s.cloud.jobs[:s.cloud.jobCount] {
		if j.kind == changeJob && j.state == succeeded && j.changed < tick && s.cloud.server.status == active {
			return true
		}
	}
	return false
}
