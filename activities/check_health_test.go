package activities_test

import (
	"net/http"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/reimage/reimage/activities"
	"github.com/reimage/reimage/activities/contract"
	"github.com/reimage/reimage/api"
	"github.com/reimage/reimage/internal/emulator"
	"github.com/reimage/reimage/internal/memnet"
	"github.com/reimage/reimage/rollout"
	"github.com/reimage/reimage/rollout/document"
)

// application is what answers on every server of the lab, on port 80 of whatever address.
type application struct {
	probes atomic.Int64
	// healthy decides each answer.
	healthy func() bool
}

func (a *application) ServeHTTP(w http.ResponseWriter, _ *http.Request) {
	a.probes.Add(1)
	if !a.healthy() {
		w.WriteHeader(http.StatusServiceUnavailable)
	}
}

// withApplication lets the worker of the lab probe an application in memory.
func (l *lab) withApplication(healthy func() bool) *application {
	l.Helper()
	listener, app := memnet.Listen(), &application{healthy: healthy}
	server := &http.Server{Handler: app}
	go func() { _ = server.Serve(listener) }()
	l.Cleanup(func() { _ = server.Close() })
	l.acts.Prober.Dial = listener.Dial
	return app
}

func always() bool { return true }
func never() bool  { return false }

func httpChecks() []rollout.HealthCheck {
	return []rollout.HealthCheck{rollout.HealthCheck{Type: rollout.CheckHTTP, StableFor: 30 * time.Second, Within: 5 * time.Minute}.WithDefaults()}
}

// healthOf asks for the health of the server, as it is, until the end.
func (l *lab) healthOf(soak time.Duration) course[contract.CheckHealthResult] {
	l.Helper()
	return persist(l, l.acts.CheckHealth, contract.CheckHealthInput{
		ServerID: l.server.ID, Checks: httpChecks(), Disk: l.server.SystemVolumeID, Since: time.Now(), Soak: soak,
	}, attempt{})
}

func TestCheckHealth(t *testing.T) {
	inLab(t, running(), func(l *lab) {
		begun := time.Now()
		l.withApplication(func() bool { return time.Since(begun) > time.Minute })
		c := l.healthOf(0)
		require.NoError(l, c.err)
		assert.True(l, c.result.Healthy)
		assert.Equal(l, 100*time.Second, c.took, "healthy from the seventh probe on, and stable for the time asked for")
	})
}

func TestCheckHealthOfADeadApplication(t *testing.T) {
	inLab(t, running(), func(l *lab) {
		l.withApplication(never)
		c := l.healthOf(0)
		require.NoError(l, c.err)
		assert.False(l, c.result.Healthy)
		assert.Regexp(l, `^http :80/: [0-9.]+:80: status 503$`, c.result.Reason)
		assert.Equal(l, 5*time.Minute, c.took)
	})
}

func TestSoakIsWatched(t *testing.T) {
	inLab(t, running(), func(l *lab) {
		begun := time.Now()
		l.withApplication(func() bool { return time.Since(begun) < 10*time.Minute })
		healthy := l.healthOf(9 * time.Minute)
		require.NoError(l, healthy.err)
		assert.True(l, healthy.result.Healthy)
		dies := l.healthOf(time.Hour)
		require.NoError(l, dies.err)
		assert.False(l, dies.result.Healthy)
	})
}

// TestHealthOfAnotherDisk: the checks are about the disk that was proven.
func TestHealthOfAnotherDisk(t *testing.T) {
	inLab(t, running(), func(l *lab) {
		app := l.withApplication(always)
		disk := l.server.SystemVolumeID
		l.update(func(s *emulator.Server) { s.SystemVolumeID = "99999999-8888-4777-8666-555555555555" })
		c := persist(l, l.acts.CheckHealth, contract.CheckHealthInput{ServerID: l.server.ID, Checks: httpChecks(), Disk: disk, Since: time.Now()}, attempt{})
		require.ErrorContains(l, c.err, "no longer the proven one, "+disk)
		assert.Equal(l, api.ErrForeignDisk, kindOf(c.err))
		assert.Greater(l, c.took, 90*time.Second, "one view may be old")
		assert.Zero(l, app.probes.Load())
	})
	inLab(t, running(), func(l *lab) { // while it is probed
		l.withApplication(always)
		l.after(20*time.Second, func() {
			l.update(func(s *emulator.Server) { s.SystemVolumeID = "99999999-8888-4777-8666-555555555555" })
		})
		c := l.healthOf(0)
		assert.Equal(l, api.ErrForeignDisk, kindOf(c.err), "it is not called healthy")
	})
}

// TestHealthIsAskedAgain: no server fails because nobody could ask.
func TestHealthIsAskedAgain(t *testing.T) {
	inLab(t, running(), func(l *lab) {
		l.withApplication(always)
		l.acts.Prober.Off, l.acts.Prober.Worker = true, "4711@build-07"
		in := contract.CheckHealthInput{ServerID: l.server.ID, Checks: httpChecks(), Disk: l.server.SystemVolumeID, Since: time.Now()}
		end := run(l, l.acts.CheckHealth, in, attempt{})
		require.ErrorContains(l, end.err, "REIMAGE_PROBES=off")
		assert.ErrorContains(l, end.err, "(worker 4711@build-07)")
		time.Sleep(11 * time.Minute)
		l.acts.Prober.Off = false
		c := persist(l, l.acts.CheckHealth, in, attempt{})
		require.NoError(l, c.err)
		assert.True(l, c.result.Healthy, "long after its time, because it is healthy when somebody asks")
	})
}

// TestHealthSurvivesTheCloud: trouble with reading the record of the server passes, one false 404 included.
func TestHealthSurvivesTheCloud(t *testing.T) {
	inLab(t, withFaults(running(), missing(1), emulator.Fault{Op: emulator.OpServer, Kind: emulator.ServerError, Times: 2}), func(l *lab) {
		l.withApplication(always)
		c := l.healthOf(0)
		require.NoError(l, c.err)
		assert.True(l, c.result.Healthy)
	})
	inLab(t, withFaults(running(), missing(-1)), func(l *lab) {
		c := l.healthOf(0)
		require.ErrorContains(l, c.err, "the cloud no longer knows it")
		assert.Equal(l, api.ErrVanished, kindOf(c.err))
	})
}

// TestPreflightOfAnUnhealthyServer refuses, and believes no single answer.
func TestPreflightOfAnUnhealthyServer(t *testing.T) {
	for name, c := range map[string]struct {
		options emulator.Options
		healthy func() func() bool
		refused bool
	}{
		"unhealthy": {running(), func() func() bool { return never }, true},
		"healthy":   {running(), func() func() bool { return always }, false},
		"stopped":   {stopped(), func() func() bool { return never }, false},
		"one bad answer": {running(), func() func() bool {
			var asked atomic.Int64
			return func() bool { return asked.Add(1) > 1 }
		}, false},
	} {
		t.Run(name, func(t *testing.T) {
			inLab(t, c.options, func(l *lab) {
				l.withApplication(c.healthy())
				in := l.question()
				in.HealthyBefore = httpChecks()
				end := l.preflight(in)
				require.NoError(l, end.err)
				if !c.refused {
					assert.Empty(l, end.result.Refusals)
					return
				}
				require.Len(l, end.result.Refusals, 1)
				assert.Contains(l, end.result.Refusals[0], "is not healthy before its change (http :80/: ")
			})
		})
	}
}

// TestPlanProbesRunningServers and says which are not healthy, or that it could not find out.
func TestPlanProbesRunningServers(t *testing.T) {
	asked := func(before rollout.RequireBefore) func(*document.Spec) {
		return func(s *document.Spec) {
			s.Health = document.Health{Checks: []document.HealthCheck{{Type: rollout.CheckHTTP}}, RequireBefore: before}
		}
	}
	inLab(t, fleetSized(12), func(l *lab) {
		var asks atomic.Int64
		app := l.withApplication(func() bool { return asks.Add(1) > 1 }) // one bad answer
		end := l.makePlan(l.planOf(selectsEvery, asked("")))
		require.NoError(l, end.err)
		require.NotNil(l, end.result.Plan)
		assert.NotContains(l, strings.Join(end.result.Plan.Warnings, "\n"), "healthy")
		assert.NotZero(l, app.probes.Load())
	})
	inLab(t, fleetSized(12), func(l *lab) {
		l.withApplication(never)
		end := l.makePlan(l.planOf(selectsEvery, asked("")))
		require.NoError(l, end.err)
		assert.Contains(l, strings.Join(end.result.Plan.Warnings, "\n"), "no running server passes the health checks now (")
		refused := l.makePlan(l.planOf(selectsEvery, asked(rollout.BeforeRefuse)))
		require.NoError(l, refused.err)
		assert.Contains(l, strings.Join(refused.result.Problems, "\n"), "health.requireBefore refuses that: ")
		off := l.makePlan(l.planOf(selectsEvery, asked(rollout.BeforeOff)))
		require.NoError(l, off.err)
		assert.NotContains(l, strings.Join(off.result.Plan.Warnings, "\n"), "healthy")
	})
	inLab(t, fleetSized(12), func(l *lab) {
		l.acts.Prober = activities.Prober{Off: true}
		end := l.makePlan(l.planOf(selectsEvery, asked("")))
		require.NoError(l, end.err)
		assert.Contains(l, strings.Join(end.result.Plan.Warnings, "\n"), "which servers are healthy now is not known: the worker probes no servers (REIMAGE_PROBES=off)")
		refused := l.makePlan(l.planOf(selectsEvery, asked(rollout.BeforeRefuse)))
		require.NoError(l, refused.err)
		assert.Contains(l, strings.Join(refused.result.Problems, "\n"), "which these are is not known")
	})
}
