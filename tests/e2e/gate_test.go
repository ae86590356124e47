package e2e

import (
	"net/http"
	"net/http/httptest"
	"strings"
	"sync"
	"testing"

	"github.com/reimage/reimage/rollout"
	"github.com/reimage/reimage/tests/harness"
)

// gate is a way into the cloud that is out of order for some servers. Their changes wait at the first look, in
// flight and untouched, until the gate is opened for them: a test decides what meets what, and no clock does.
type gate struct {
	*httptest.Server

	// beforeChange is called when the first request for a change of OS has arrived, before the cloud is given it.
	beforeChange func()
	first        sync.Once

	mu   sync.Mutex
	shut map[string]bool // by server id
}

func newGate(t *testing.T, lab *harness.Lab, servers []rollout.PlannedServer) *gate {
	t.Helper()
	g := &gate{shut: make(map[string]bool)}
	for _, server := range servers {
		g.shut[server.ID] = true
	}
	g.Server = httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if g.stops(r.URL.Path) {
			w.WriteHeader(http.StatusServiceUnavailable)
			return
		}
		if g.beforeChange != nil && strings.HasSuffix(r.URL.Path, "/changeos") {
			g.first.Do(g.beforeChange)
		}
		lab.Cloud.ServeHTTP(w, r)
	}))
	t.Cleanup(g.Close)
	return g
}

// worker is the environment of a worker that goes through the gate.
func (g *gate) worker() map[string]string { return map[string]string{"REIMAGE_ECS_ENDPOINT": g.URL} }

func (g *gate) stops(path string) bool {
	g.mu.Lock()
	defer g.mu.Unlock()
	for part := range strings.SplitSeq(path, "/") {
		if g.shut[part] {
			return true
		}
	}
	return false
}

func (g *gate) open(servers []rollout.PlannedServer) {
	g.mu.Lock()
	defer g.mu.Unlock()
	for _, server := range servers {
		delete(g.shut, server.ID)
	}
}
