package e2e

import (
	"crypto/tls"
	"encoding/pem"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"strings"
	"sync/atomic"
	"syscall"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/reimage/reimage/internal/emulator"
	"github.com/reimage/reimage/rollout"
	"github.com/reimage/reimage/tests/harness"
	"github.com/reimage/reimage/workflows"
)

// TestFrozenWorker freezes a worker when it has decided to send the request and before it can: while the
// connection for it is being made. It wakes up with that connection ready, when another worker has taken
// over and Temporal cannot tell it so. The request must not leave it any more.
func TestFrozenWorker(t *testing.T) {
	t.Parallel()
	lab := machine.NewLab(t, emulator.Options{})
	line, cloud := newWire(t), newSlowDoor(t, lab)
	frozen := lab.StartWorker(map[string]string{
		"TEMPORAL_ADDRESS": line.address(), "REIMAGE_ECS_ENDPOINT": cloud.URL, "SSL_CERT_FILE": cloud.certificate(t),
	})
	before := lab.Server("SHUTOFF")
	image := lab.OtherImage(before)
	run := lab.Start(before.ID, rollout.Change{ImageID: image.ID})

	<-cloud.connecting
	lab.AwaitStep(run, workflows.StepSubmit)
	require.NoError(t, frozen.Signal(syscall.SIGSTOP))
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

// slowDoor is a way into the cloud by TLS for one worker. The second connection through it, which is the
// one for a write, is held back in its handshake.
type slowDoor struct {
	*httptest.Server
	connecting, connect chan struct{} // the second connection begins, and may go on

	connections atomic.Int32
	changes     atomic.Int32 // requests for a change of OS that came through
}

func newSlowDoor(t *testing.T, lab *harness.Lab) *slowDoor {
	t.Helper()
	d := &slowDoor{connecting: make(chan struct{}), connect: make(chan struct{})}
	d.Server = httptest.NewUnstartedServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if strings.HasSuffix(r.URL.Path, "/changeos") {
			d.changes.Add(1)
		}
		lab.Cloud.ServeHTTP(w, r)
	}))
	d.TLS = &tls.Config{GetConfigForClient: func(*tls.ClientHelloInfo) (*tls.Config, error) {
		if d.connections.Add(1) == 2 {
			close(d.connecting)
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
