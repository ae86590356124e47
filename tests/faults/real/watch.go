package real

import (
	"slices"
	"sync"
	"time"

	"github.com/reimage/reimage/internal/emulator"
	"github.com/reimage/reimage/rollout"
	"github.com/reimage/reimage/tests/harness"
)

// watch samples which servers that ran at first are out of service. One that is left stopped with a new disk because
// the plan asks for it is not.
type watch struct {
	stop, stopped chan struct{}

	mu      sync.Mutex
	excused map[string]time.Time // when an operator let the server be: it holds no slot any more
	samples []sample             // one for every change
}

type sample struct {
	at  time.Time
	out []string // ids, sorted
}

func startWatch(lab *harness.Lab, power rollout.Power) *watch {
	w := &watch{stop: make(chan struct{}), stopped: make(chan struct{}), excused: make(map[string]time.Time)}
	disks := make(map[string]string) // of those that ran
	for _, server := range lab.Cloud.Servers() {
		if server.Status == rollout.StatusActive {
			disks[server.ID] = server.SystemVolumeID
		}
	}
	outOfService := func(server emulator.Server) bool {
		disk, ran := disks[server.ID]
		asked := power == rollout.PowerOff && server.Status == rollout.StatusShutoff && server.SystemVolumeID != disk
		return ran && (server.TaskState != "" || server.Status != rollout.StatusActive && !asked)
	}
	go func() {
		defer close(w.stopped)
		ticker := time.NewTicker(20 * time.Millisecond)
		defer ticker.Stop()
		for {
			var out []string
			for _, server := range lab.Cloud.Servers() {
				if outOfService(server) {
					out = append(out, server.ID)
				}
			}
			slices.Sort(out)
			w.note(time.Now(), out)
			select {
			case <-w.stop:
				return
			case <-ticker.C:
			}
		}
	}()
	return w
}

func (w *watch) note(at time.Time, out []string) {
	w.mu.Lock()
	defer w.mu.Unlock()
	if n := len(w.samples); n == 0 || !slices.Equal(w.samples[n-1].out, out) {
		w.samples = append(w.samples, sample{at, out})
	}
}

// excuse says that a failed server is let be, from now on.
func (w *watch) excuse(id string) {
	w.mu.Lock()
	defer w.mu.Unlock()
	if _, ok := w.excused[id]; !ok {
		w.excused[id] = time.Now()
	}
}

func (w *watch) end() { close(w.stop); <-w.stopped }

// most is the largest number of servers that were out of service and should have held a slot, and which. In a
// rollback failed servers hold none, so only those being rolled back count.
func (w *watch) most(rollback time.Time, servers []rollout.ServerProgress) (int, sample) {
	started := make(map[string]time.Time)
	for _, s := range servers {
		if s.RollingBack {
			started[s.ID] = s.StartedAt
		}
	}
	w.mu.Lock()
	defer w.mu.Unlock()
	var worst sample
	for _, s := range w.samples {
		s.out = slices.DeleteFunc(slices.Clone(s.out), func(id string) bool {
			if excused, ok := w.excused[id]; ok && !s.at.Before(excused) {
				return true
			}
			if rollback.IsZero() || s.at.Before(rollback) {
				return false
			}
			begun, ok := started[id]
			return !ok || s.at.Before(begun)
		})
		if len(s.out) > len(worst.out) {
			worst = s
		}
	}
	return len(worst.out), worst
}
