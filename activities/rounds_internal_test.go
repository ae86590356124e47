package activities

import (
	"net/http"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/reimage/reimage/ecs"
	"github.com/reimage/reimage/internal/emulator"
	"github.com/reimage/reimage/internal/memnet"
	"github.com/reimage/reimage/rollout"
	"github.com/reimage/reimage/rollout/change"
)

const lists = "GET /v1/{project_id}/cloudservers/detail"

// inRounds runs the test at simulated time, at a cloud with so many servers.
func inRounds(t *testing.T, options emulator.Options, test func(t *testing.T, s site, cloud *emulator.Emulator)) {
	t.Helper()
	synctest.Test(t, func(t *testing.T) {
		cloud, err := emulator.New(options)
		require.NoError(t, err)
		network := memnet.Listen()
		server := &http.Server{Handler: cloud}
		go func() { _ = server.Serve(network) }()
		client, err := ecs.New(ecs.Config{
			ProjectID: emulator.DefaultProjectID, ECS: "http://ecs.emulated", IMS: "http://ims.emulated", Dial: network.Dial,
			Credentials: ecs.AccessKey{ID: emulator.DefaultAccessKey, Secret: ecs.NewSecret(emulator.DefaultSecretKey)},
		})
		require.NoError(t, err)
		profile := Profile{Cloud: client}
		test(t, site{&Activities{Timing: change.DefaultTiming(), Profiles: []Profile{profile}}, profile}, cloud)
		client.Close()
		_ = server.Close()
	})
}

func TestRoundOfSeveral(t *testing.T) {
	inRounds(t, emulator.Options{Servers: 3}, func(t *testing.T, s site, cloud *emulator.Emulator) {
		servers := cloud.Servers()
		r := s.join(servers[0].ID)
		time.Sleep(time.Second)
		assert.Same(t, r, s.join(servers[1].ID))
		assert.Same(t, r, s.join("00000000-0000-4000-8000-000000000000"))
		begun := time.Now()
		<-r.over
		assert.Equal(t, s.between()-time.Second, time.Since(begun))
		assert.Equal(t, rollout.StatusActive, r.shown[servers[0].ID].Status)
		assert.Equal(t, servers[1].SystemVolumeID, r.shown[servers[1].ID].VolumeID)
		gone, shown := r.shown["00000000-0000-4000-8000-000000000000"]
		assert.True(t, shown)
		assert.False(t, gone.Exists)
		assert.Equal(t, 1, cloud.Ledger().Requests[lists])
		assert.NotSame(t, r, s.join(servers[2].ID), "who comes later shares the next one")
		time.Sleep(time.Minute)
	})
}

// TestRoundOfOne makes no call: whoever is alone asks for what he wants to know.
func TestRoundOfOne(t *testing.T) {
	inRounds(t, emulator.Options{Servers: 1}, func(t *testing.T, s site, cloud *emulator.Emulator) {
		r := s.join(cloud.Servers()[0].ID)
		<-r.over
		assert.True(t, r.none())
		assert.Empty(t, cloud.Ledger().Requests)
	})
}

func TestRoundsAreAHundredServersLarge(t *testing.T) {
	inRounds(t, emulator.Options{Servers: 150}, func(t *testing.T, s site, cloud *emulator.Emulator) {
		first := map[*round]int{}
		for _, server := range cloud.Servers() {
			first[s.join(server.ID)]++
		}
		require.Len(t, first, 2)
		for r, n := range first {
			<-r.over
			assert.Contains(t, []int{100, 50}, n)
			assert.Len(t, r.shown, n)
		}
		assert.Equal(t, 2, cloud.Ledger().Requests[lists])
	})
}

// TestRoundThatFails: everybody asks for himself then, but for a cloud that wants fewer calls and not more.
func TestRoundThatFails(t *testing.T) {
	for kind, throttled := range map[emulator.FaultKind]bool{emulator.ServerError: false, emulator.BadGatewayHTML: false, emulator.Throttle: true} {
		t.Run(string(kind), func(t *testing.T) {
			options := emulator.Options{Servers: 2, Faults: []emulator.Fault{{Op: emulator.OpServers, Kind: kind}}}
			inRounds(t, options, func(t *testing.T, s site, cloud *emulator.Emulator) {
				r := s.join(cloud.Servers()[0].ID)
				s.join(cloud.Servers()[1].ID)
				<-r.over
				assert.Equal(t, throttled, r.throttled)
				assert.Empty(t, r.shown)
			})
		})
	}
}

// TestRoundThatIsSilentAboutOne is worth as much as ever for the others.
func TestRoundThatIsSilentAboutOne(t *testing.T) {
	inRounds(t, emulator.Options{Servers: 3}, func(t *testing.T, s site, cloud *emulator.Emulator) {
		servers := cloud.Servers()
		require.NoError(t, cloud.Update(servers[1].ID, func(s *emulator.Server) { s.Status = "" }))
		var r *round
		for _, server := range servers {
			r = s.join(server.ID)
		}
		<-r.over
		assert.Equal(t, rollout.StatusActive, r.shown[servers[0].ID].Status)
		assert.NotContains(t, r.shown, servers[1].ID)
		assert.Equal(t, rollout.StatusActive, r.shown[servers[2].ID].Status)
	})
}

// TestWatchWhenRoundsFail: each job is asked for once a poll, and not with each round.
func TestWatchWhenRoundsFail(t *testing.T) {
	options := emulator.Options{
		Fleet:  []emulator.Server{{Name: "one", Status: "SHUTOFF"}, {Name: "two", Status: "SHUTOFF"}},
		Timing: emulator.Timing{ChangeOS: emulator.Span{Median: 6 * time.Minute}},
		Faults: []emulator.Fault{{Op: emulator.OpServers, Kind: emulator.ServerError, Times: -1}},
	}
	inRounds(t, options, func(t *testing.T, s site, cloud *emulator.Emulator) {
		for _, took := range []time.Duration{time.Minute, 6 * time.Minute} {
			s.durations.note(s.Cloud.ProjectID(), took)
		}
		var both sync.WaitGroup
		for _, server := range cloud.Servers() {
			both.Go(func() { assert.Equal(t, change.JobEndSucceeded, s.follow(t, server.ID, cloud.Images())) })
		}
		both.Wait()
		assert.InDelta(t, 2*30, cloud.Ledger().Requests["GET /v1/{project_id}/jobs/{job_id}"], 4, "in the five minutes from the first")
	})
}
