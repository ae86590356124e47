package real

import (
	"slices"
	"time"

	"github.com/reimage/reimage/rollout"
	"github.com/reimage/reimage/tests/faults"
	"github.com/reimage/reimage/tests/harness"
)

// watch looks all the time which servers are out of service.
type watch struct {
	stop, stopped chan struct{}
	seen          []faults.Event // one for every change
}

func startWatch(lab *harness.Lab, plan rollout.Plan) *watch {
	w := &watch{stop: make(chan struct{}), stopped: make(chan struct{})}
	go func() {
		defer close(w.stopped)
		ticker := time.NewTicker(20 * time.Millisecond)
		defer ticker.Stop()
		for {
			look := faults.Event{At: time.Now(), What: faults.Looked, Out: faults.OutOfService(plan, lab.Cloud.Servers())}
			if n := len(w.seen); n == 0 || !slices.Equal(w.seen[n-1].Out, look.Out) {
				w.seen = append(w.seen, look)
			}
			select {
			case <-w.stop:
				return
			case <-ticker.C:
			}
		}
	}()
	return w
}

// looks ends the watch.
func (w *watch) looks() []faults.Event {
	close(w.stop)
	<-w.stopped
	return w.seen
}
