package e2e

import (
	"crypto/tls"
	"encoding/pem"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"sync/atomic"
	"syscall"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/reimage/reimage/api"
	"github.com/reimage/reimage/internal/emulator"
	"github.com/reimage/reimage/rollout"
	"github.com/reimage/reimage/tests/harness"
)

// TestFrozenWorker freezes a worker when it has decided to send the request and before it can: while the
// connection for it is being made. It wakes up with that connection ready, when another worker has taken
// over and Temporal cannot tell it so. The request must not leave it any more.
func TestFrozenWorker(t *testing.T) {
	t.Parallel()
	lab := machine.NewLab(t, emulator.Options{})
	before := lab.Server("SHUTOFF")
	line, cloud := newWire(t), newSlowDoor(t, lab, before.ID)
	frozen := lab.StartWorker(map[string]string{
		"TEMPORAL_ADDRESS": line.address(), "REIMAGE_ECS_ENDPOINT": cloud.URL, "SSL_CERT_FILE": cloud.certificate(t),
	})
	image := lab.OtherImage(before)
	run := lab.Start(before.ID, rollout.Change{ImageID: image.ID})

	<-cloud.connecting
	lab.AwaitStep(run, api.StepSubmit)
	require.NoError(t, frozen.Signal(syscall.SIGSTOP))
	lab.Eventually("it stands still", frozen.Stopped)
	line.cut()
	close(cloud.connect)
	lab.StartWorker(nil)
	lab.Eventually("another worker has sent the request", func() bool { return requests(lab, changeOSv2) == 1 })

	require.NoError(t, frozen.Signal(syscall.SIGCONT))
	require.NoError(t, frozen.Stop(), "it ends when it has done what it woke up to do")
	requireDoneOnce(t, lab, before, image, lab.Result(run))
	assert.Zero(t, cloud.changes.Load(), "requests of the worker that was frozen")
	lab.Replay(run)
}

// slowDoor is a way into the cloud by TLS for one worker. Connections through it that begin after the look before the
// change are held back in their handshake: that for the change has to be one of them.
type slowDoor struct {
	*httptest.Server
	connecting, connect chan struct{} // the first of them begins, and may go on

	looks   atomic.Int32 // at the server
	held    sync.Once
	changes atomic.Int32 // requests for a change of OS that came through
}

// looksBefore are those of Preflight, StopIfNeeded and SubmitChangeOS at a stopped server.
const looksBefore = 3

func newSlowDoor(t *testing.T, lab *harness.Lab, serverID string) *slowDoor {
	t.Helper()
	d := &slowDoor{connecting: make(chan struct{}), connect: make(chan struct{})}
	d.Server = httptest.NewUnstartedServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		switch {
		case strings.HasSuffix(r.URL.Path, "/changeos"):
			d.changes.Add(1)
		case strings.HasSuffix(r.URL.Path, "/cloudservers/"+serverID):
			d.looks.Add(1)
		}
		lab.Cloud.ServeHTTP(w, r)
	}))
	d.TLS = &tls.Config{GetConfigForClient: func(*tls.ClientHelloInfo) (*tls.Config, error) {
		if d.looks.Load() >= looksBefore {
			d.held.Do(func() { close(d.connecting) })
			<-d.connect
		}
		return nil, nil
	}}
	d.StartTLS()
	t.Cleanup(d.Close)
	return d
}

// certificate is the path of the certificate that a worker has to trust.
func (d *slowDoor) certificate(t *testing.T) string {
	t.Helper()
	path := filepath.Join(t.TempDir(), "cloud.pem")
	block := &pem.Block{Type: "CERTIFICATE", Bytes: d.Certificate().Raw}
	require.NoError(t, os.WriteFile(path, pem.EncodeToMemory(block), 0o600))
	return path
}
