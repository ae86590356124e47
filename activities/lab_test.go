package activities_test

import (
	"bytes"
	"context"
	"encoding/base64"
	"errors"
	"log/slog"
	"net"
	"net/http"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
	"go.temporal.io/sdk/activity"
	"go.temporal.io/sdk/converter"
	"go.temporal.io/sdk/interceptor"
	"go.temporal.io/sdk/log"
	"go.temporal.io/sdk/temporal"
	"go.temporal.io/sdk/testsuite"
	"go.temporal.io/sdk/worker"

	"github.com/reimage/reimage/activities"
	"github.com/reimage/reimage/ecs"
	"github.com/reimage/reimage/internal/emulator"
	"github.com/reimage/reimage/rollout"
)

// What is planted where secrets come from. No error, result, heartbeat or log line may show it.
const (
	plantedPassword = "Xk7-planted-Pw"
	plantedUserData = "#cloud-config\nruncmd: [echo planted-user-data-7531]\n"
)

// testTiming is that of the real cloud: simulated time costs nothing.
func testTiming() activities.Timing { return activities.DefaultTiming() }

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
		listener := &pipes{connections: make(chan net.Conn), closed: make(chan struct{})}
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
			Dial: listener.dial,
		}
		l.acts = &activities.Activities{
			Cloud: l.client(l.config),
			Secrets: activities.Secrets{LookupEnv: func(name string) (string, bool) {
				value, ok := map[string]string{
					"ROOT_PASSWORD": plantedPassword, "ROOT_PASSWORD_LINE": plantedPassword + "\r\n", "CLOUD_CONFIG": plantedUserData,
				}[name]
				return value, ok
			}},
			Timing: testTiming(),
		}
		defer l.acts.Cloud.Close()
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

// attempt is one attempt of an activity, as Temporal would start it.
type attempt struct {
	number  int32 // zero means the first
	details *converter.RawValue
	ctx     context.Context // cancelled from outside; nil for never
	stop    chan struct{}   // closed when the worker is told to stop; nil for never
}

// progress is a heartbeat to start from.
func progress[P any](t require.TestingT, p P) *converter.RawValue {
	payload, err := converter.GetDefaultDataConverter().ToPayload(p)
	require.NoError(t, err)
	raw := converter.NewRawValue(payload)
	return &raw
}

// ended is how an attempt ended.
type ended[O any] struct {
	result O
	err    error
	beats  []converter.RawValue // the heartbeats that reached Temporal
	took   time.Duration
}

// last is the last heartbeat that reached Temporal.
func (e ended[O]) last() *converter.RawValue {
	if len(e.beats) == 0 {
		return nil
	}
	return &e.beats[len(e.beats)-1]
}

// first is the heartbeat that had reached Temporal when the worker was killed soon after.
func (e ended[O]) first() *converter.RawValue {
	if len(e.beats) == 0 {
		return nil
	}
	return &e.beats[0]
}

// read decodes a heartbeat.
func read[P any](t require.TestingT, raw *converter.RawValue) P {
	var p P
	require.NotNil(t, raw, "there was no heartbeat")
	require.NoError(t, converter.GetDefaultDataConverter().FromPayload(raw.Payload(), &p))
	return p
}

// run makes one attempt of an activity in Temporal's test environment.
func run[I, O any](l *lab, method func(context.Context, I) (O, error), in I, a attempt) ended[O] {
	l.Helper()
	var suite testsuite.WorkflowTestSuite
	suite.SetLogger(log.NewStructuredLogger(slog.New(slog.NewTextHandler(l.logs, nil))))
	env := suite.NewTestActivityEnvironment()
	env.SetWorkerOptions(worker.Options{
		BackgroundActivityContext: a.ctx,
		Interceptors:              []interceptor.WorkerInterceptor{&numbered{number: max(1, a.number)}},
	})
	env.RegisterActivity(method)
	if a.details != nil {
		env.SetHeartbeatDetails(*a.details)
	}
	if a.stop != nil {
		env.SetWorkerStopChannel(a.stop)
	}
	var end ended[O]
	var mu sync.Mutex // the SDK beats from a goroutine of its own
	env.SetOnActivityHeartbeatListener(func(_ *activity.Info, details converter.EncodedValues) {
		var raw converter.RawValue
		assert.NoError(l, details.Get(&raw))
		mu.Lock()
		defer mu.Unlock()
		end.beats = append(end.beats, raw)
	})
	begun := time.Now()
	value, err := env.ExecuteActivity(method, in)
	end.took = time.Since(begun)
	synctest.Wait()
	end.err = err
	if err == nil {
		var raw converter.RawValue
		require.NoError(l, value.Get(&raw))
		l.showsNoSecret("the result", string(raw.Payload().GetData()))
		require.NoError(l, value.Get(&end.result))
	} else {
		l.showsNoSecret("the error", temporal.GetDefaultFailureConverter().ErrorToFailure(err).String())
	}
	for _, beat := range end.beats {
		l.showsNoSecret("a heartbeat", string(beat.Payload().GetData()))
	}
	return end
}

// course is an activity with all its attempts.
type course[O any] struct {
	ended[O]         // of the last attempt
	attempts []error // how each attempt ended, nil for the last one that succeeded
}

// patience bounds the attempts of one activity, as the schedule-to-close timeout does.
const patience = 30

// firstRetry is the first pause of the retry policy of SubmitChangeOS.
const firstRetry = 5 * time.Second

// persist runs an activity the way Temporal does: again after each error that may pass, after the pause
// the error asks for, with the heartbeat the last attempt left. It begins with the given attempt.
func persist[I, O any](l *lab, method func(context.Context, I) (O, error), in I, from attempt) course[O] {
	l.Helper()
	a := from
	a.number = max(1, a.number)
	var c course[O]
	for len(c.attempts) < patience {
		c.ended = run(l, method, in, a)
		c.attempts = append(c.attempts, c.err)
		failed, ok := errors.AsType[*temporal.ApplicationError](c.err)
		if !ok || failed.NonRetryable() {
			break
		}
		pause := failed.NextRetryDelay()
		if pause == 0 {
			pause = firstRetry
		}
		time.Sleep(pause)
		a.number++
		a.details = c.last()
	}
	return c
}

// kinds are the types of the errors of all attempts, "" for success.
func (c course[O]) kinds() []string {
	var kinds []string
	for _, err := range c.attempts {
		kinds = append(kinds, kindOf(err))
	}
	return kinds
}

// kindOf is the type of an activity's error, "" when there is none.
func kindOf(err error) string {
	if err == nil {
		return ""
	}
	if failed, ok := errors.AsType[*temporal.ApplicationError](err); ok {
		return failed.Type()
	}
	return "not typed: " + err.Error()
}

// failsWith checks the error's type and whether it is final.
func failsWith(l *lab, err error, kind string, final bool) *temporal.ApplicationError {
	l.Helper()
	failed, ok := errors.AsType[*temporal.ApplicationError](err)
	require.True(l, ok, "%v", err)
	require.Equal(l, kind, failed.Type(), "%v", err)
	assert.Equal(l, final, failed.NonRetryable(), "final: %v", err)
	return failed
}

// showsNoSecret looks for everything that was planted.
func (l *lab) showsNoSecret(what, text string) {
	l.Helper()
	for name, secret := range map[string]string{
		"password":            plantedPassword,
		"user data":           "planted-user-data-7531",
		"user data in base64": base64.StdEncoding.EncodeToString([]byte(plantedUserData))[:40],
		"secret key":          emulator.DefaultSecretKey,
	} {
		assert.NotContains(l, text, secret, "%s shows the %s", what, name)
	}
}

// numbered gives the attempt its number: the test environment itself only knows the first.
type numbered struct {
	interceptor.WorkerInterceptorBase
	number int32
}

func (n *numbered) InterceptActivity(_ context.Context, next interceptor.ActivityInboundInterceptor) interceptor.ActivityInboundInterceptor {
	return &numberedInbound{ActivityInboundInterceptorBase: interceptor.ActivityInboundInterceptorBase{Next: next}, number: n.number}
}

type numberedInbound struct {
	interceptor.ActivityInboundInterceptorBase
	number int32
}

func (n *numberedInbound) Init(outbound interceptor.ActivityOutboundInterceptor) error {
	return n.Next.Init(&numberedOutbound{
		ActivityOutboundInterceptorBase: interceptor.ActivityOutboundInterceptorBase{Next: outbound}, number: n.number,
	})
}

type numberedOutbound struct {
	interceptor.ActivityOutboundInterceptorBase
	number int32
}

func (n *numberedOutbound) GetInfo(ctx context.Context) activity.Info {
	info := n.Next.GetInfo(ctx)
	info.Attempt = n.number
	return info
}

// pipes is a listener whose connections are in memory, so that they may live in a bubble.
type pipes struct {
	connections chan net.Conn
	closed      chan struct{}
	once        sync.Once
}

func (p *pipes) Accept() (net.Conn, error) {
	select {
	case c := <-p.connections:
		return c, nil
	case <-p.closed:
		return nil, net.ErrClosed
	}
}

func (p *pipes) Close() error {
	p.once.Do(func() { close(p.closed) })
	return nil
}

func (p *pipes) Addr() net.Addr { return &net.UnixAddr{Name: "memory"} }

func (p *pipes) dial(ctx context.Context, _, _ string) (net.Conn, error) {
	client, server := net.Pipe()
	select {
	case p.connections <- server:
		return client, nil
	case <-p.closed:
		return nil, net.ErrClosed
	case <-ctx.Done():
		return nil, ctx.Err()
	}
}

// lockedBuffer is written by the worker's log and read by the test.
type lockedBuffer struct {
	mu  sync.Mutex
	buf bytes.Buffer
}

func (b *lockedBuffer) Write(p []byte) (int, error) {
	b.mu.Lock()
	defer b.mu.Unlock()
	return b.buf.Write(p)
}

func (b *lockedBuffer) String() string {
	b.mu.Lock()
	defer b.mu.Unlock()
	return b.buf.String()
}
