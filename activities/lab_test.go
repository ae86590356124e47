package activities_test

import (
	"net/http"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/reimage/reimage/activities"
	"github.com/reimage/reimage/ecs"
	"github.com/reimage/reimage/internal/emulator"
	"github.com/reimage/reimage/internal/memnet"
	"github.com/reimage/reimage/internal/spelling"
	"github.com/reimage/reimage/rollout"
	"github.com/reimage/reimage/rollout/change"
)

// What is planted where secrets come from. No error, result, heartbeat or log line may show it.
const requestTimeout = 30 * time.Second

const (
	plantedPassword = "Xk7-planted-Pw"
	plantedUserData = "#cloud-config\nruncmd: [echo planted-user-data-7531]\n"
)

// testTiming is that of the real cloud: simulated time costs nothing.
func testTiming() change.Timing { return change.DefaultTiming() }

// lab is one emulated cloud and the activities of one worker, at simulated time.
type lab struct {
	*testing.T
	cloud  *emulator.Emulator
	acts   *activities.Activities
	config ecs.Config
	server emulator.Server // the first of the fleet, as it was at the start
	target emulator.Image  // an image that fits it
	logs   *lockedBuffer
	// answer may answer a request in the cloud's place; false lets it pass. Set it before the first request.
	answer func(w http.ResponseWriter, r *http.Request) bool
}

// inLab runs the test inside a bubble with simulated time. The activities reach the cloud by real HTTP
// over connections in memory.
func inLab(t *testing.T, options emulator.Options, test func(l *lab)) {
	t.Helper()
	synctest.Test(t, func(t *testing.T) {
		cloud, err := emulator.New(options)
		require.NoError(t, err)
		listener := memnet.Listen()
		l := &lab{T: t, cloud: cloud, logs: &lockedBuffer{}}
		server := &http.Server{Handler: l}
		go func() { _ = server.Serve(listener) }()
		defer func() { _ = server.Close() }()

		l.server = cloud.Servers()[0]
		l.target = l.image(emulator.TargetImageName)
		l.config = ecs.Config{
			ProjectID: emulator.DefaultProjectID,
			ECS:       "http://ecs.emulated",
			IMS:       "http://ims.emulated",
			Credentials: ecs.AccessKey{
				ID: emulator.DefaultAccessKey, Secret: ecs.NewSecret(emulator.DefaultSecretKey),
			},
			Dial: listener.Dial,
		}
		l.acts = &activities.Activities{
			Profiles: []activities.Profile{{Name: activities.DefaultProfile, Cloud: l.client(l.config)}},
			Secrets: activities.Secrets{LookupEnv: func(name string) (string, bool) {
				value, ok := map[string]string{
					"REIMAGE_SECRET_ROOT_PASSWORD": plantedPassword, "REIMAGE_SECRET_ROOT_PASSWORD_LINE": plantedPassword + "\r\n", "REIMAGE_SECRET_CLOUD_CONFIG": plantedUserData,
				}[name]
				return value, ok
			}},
			Timing:   testTiming(),
			Temporal: forgetful{},
		}
		test(l)
		l.showsNoSecret("the worker's log", l.logs.String())
	})
}

// ServeHTTP is the cloud, or the test in its place.
func (l *lab) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	if l.answer == nil || !l.answer(w, r) {
		l.cloud.ServeHTTP(w, r)
	}
}

// client gives a client of the cloud.
func (l *lab) client(config ecs.Config) *ecs.Client {
	l.Helper()
	client, err := ecs.New(config)
	require.NoError(l, err)
	l.Cleanup(client.Close)
	return client
}

// stopped is a cloud with one stopped server, running one with a running server.
func stopped() emulator.Options { return fleetOf(emulator.Server{Name: "one", Status: "SHUTOFF"}) }
func running() emulator.Options { return fleetOf(emulator.Server{Name: "one"}) }

func fleetOf(server emulator.Server) emulator.Options {
	return emulator.Options{Fleet: []emulator.Server{server}}
}

func withFaults(options emulator.Options, faults ...emulator.Fault) emulator.Options {
	options.Faults = faults
	return options
}

func (l *lab) image(name string) emulator.Image {
	l.Helper()
	for _, image := range l.cloud.Images() {
		if image.Name == name {
			return image
		}
	}
	// Clouds of a test's own images need no target.
	return emulator.Image{}
}

// update changes the server by hand, as somebody else would.
func (l *lab) update(change func(*emulator.Server)) {
	l.Helper()
	require.NoError(l, l.cloud.Update(l.server.ID, change))
}

// after runs something at a later simulated time.
func (l *lab) after(d time.Duration, do func()) {
	timer := time.AfterFunc(d, do)
	l.Cleanup(func() { timer.Stop() })
}

// before is the system disk that may be destroyed.
func (l *lab) before() rollout.Fingerprint {
	return rollout.Fingerprint{ImageID: l.server.ImageID, VolumeID: l.server.SystemVolumeID}
}

// writes are the accepted writes of one kind to the server.
func (l *lab) writes(op string) []emulator.Write {
	var found []emulator.Write
	for _, w := range l.cloud.Ledger().Servers[l.server.ID].Writes {
		if w.Op == op {
			found = append(found, w)
		}
	}
	return found
}

// changes is how many changes of OS the cloud accepted for the server.
func (l *lab) changes() int { return l.cloud.Ledger().Servers[l.server.ID].ChangeOSAccepted }

// sent is how many requests for a change of OS arrived, accepted or not.
func (l *lab) sent() int {
	return l.cloud.Ledger().Requests["POST /v2/{project_id}/cloudservers/{server_id}/changeos"]
}

// showsNoSecret looks for everything that was planted.
func (l *lab) showsNoSecret(what, text string) {
	l.Helper()
	for name, secret := range map[string]string{
		"password": plantedPassword, "user data": "planted-user-data-7531", "secret key": emulator.DefaultSecretKey,
	} {
		form, found := spelling.In(text, secret)
		assert.False(l, found, "%s shows the %s (%s): %s", what, name, form, text)
	}
}

// missing is a server that is not found a number of times, and is there all the same.
func missing(times int) emulator.Fault {
	return emulator.Fault{Op: emulator.OpServer, Kind: emulator.Refuse, Code: "Ecs.0114", Status: 404, Times: times}
}
