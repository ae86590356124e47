package emulator_test

import (
	"context"
	"io"
	"net"
	"net/http"
	"strings"
	"syscall"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/reimage/reimage/internal/emulator"
	"github.com/reimage/reimage/internal/memnet"
)

// prober asks the applications of a cloud over a network in memory.
type prober struct {
	cloud
	client *http.Client
}

// withApplications runs the test at simulated time, with applications that listen on a network in memory.
func withApplications(t *testing.T, options emulator.Options, test func(t *testing.T, p prober)) {
	t.Helper()
	synctest.Test(t, func(t *testing.T) {
		var network memnet.Network
		options := exact(options)
		options.Applications, options.ApplicationListen = true, network.Listen
		options.Timing.Boot = emulator.Span{Median: 20 * time.Second}
		c := newCloud(t, options)
		defer c.Close()
		transport := &http.Transport{DialContext: network.Dial, DisableKeepAlives: true}
		test(t, prober{c, &http.Client{Transport: transport}})
	})
}

// probe is one GET at the application of a server. An answer that does not come within 10 seconds is an error.
func (p prober) probe(serverID, path string) (status int, body string, err error) {
	ctx, cancel := context.WithTimeout(p.t.Context(), 10*time.Second)
	defer cancel()
	request, err := http.NewRequestWithContext(ctx, http.MethodGet, "http://"+p.ApplicationAddress(serverID)+path, nil)
	require.NoError(p.t, err)
	response, err := p.client.Do(request)
	if err != nil {
		return 0, "", err
	}
	defer func() { _ = response.Body.Close() }()
	text, err := io.ReadAll(response.Body)
	return response.StatusCode, string(text), err
}

func (p prober) refuses(serverID string) {
	p.t.Helper()
	_, _, err := p.probe(serverID, "/health")
	require.ErrorIs(p.t, err, syscall.ECONNREFUSED)
}

// answers asserts on the status and the first line.
func (p prober) answers(serverID string, status int, line string) {
	p.t.Helper()
	got, body, err := p.probe(serverID, "/health")
	require.NoError(p.t, err)
	assert.Equal(p.t, status, got)
	assert.Equal(p.t, line, strings.Split(body, "\n")[0])
}

// stateOf is the state of the application of a server.
func (p prober) stateOf(serverID string) emulator.ApplicationState {
	p.t.Helper()
	for _, a := range p.Applications() {
		if a.ServerID == serverID {
			return a.State
		}
	}
	p.t.Fatalf("no application on server %s", serverID)
	return ""
}

func TestApplicationNamesTheDiskThatItRunsFrom(t *testing.T) {
	withApplications(t, running(), func(t *testing.T, p prober) {
		id := p.only()
		before := p.truth(id)
		status, body, err := p.probe(id, "/health")
		require.NoError(t, err)
		assert.Equal(t, 200, status)
		assert.Equal(t, "ok\nimage "+before.ImageID+"\nvolume "+before.SystemVolumeID+"\n", body)

		status, _, err = p.probe(id, "/other")
		require.NoError(t, err)
		assert.Equal(t, 404, status)

		p.changeOS(id, p.target(), `,"mode":"withStopServer"`).jobID(t)
		time.Sleep(time.Hour)
		after := p.truth(id)
		require.NotEqual(t, before.SystemVolumeID, after.SystemVolumeID)
		_, body, err = p.probe(id, "/health")
		require.NoError(t, err)
		assert.Equal(t, "ok\nimage "+p.target()+"\nvolume "+after.SystemVolumeID+"\n", body)

		account := p.Ledger().Servers[id].Application
		assert.Equal(t, map[emulator.ApplicationState]int{emulator.ApplicationHealthy: 2, "not_found": 1}, account.Answers)
		assert.Equal(t, 3, account.Connections)
		assert.Empty(t, account.ListenError)
	})
}

func TestApplicationFollowsItsServer(t *testing.T) {
	withApplications(t, running(), func(t *testing.T, p prober) {
		id := p.only()
		p.answers(id, 200, "ok")
		p.power("os-stop", id).jobID(t)
		time.Sleep(30 * time.Second)
		require.Equal(t, "SHUTOFF", p.truth(id).Status)
		p.refuses(id)
		assert.Equal(t, emulator.ApplicationDown, p.stateOf(id))

		p.power("os-start", id).jobID(t)
		time.Sleep(25 * time.Second)
		require.Equal(t, "ACTIVE", p.truth(id).Status)
		p.refuses(id)
		assert.Equal(t, emulator.ApplicationBooting, p.stateOf(id))
		time.Sleep(20 * time.Second)
		p.answers(id, 200, "ok")

		require.NoError(t, p.Update(id, func(s *emulator.Server) { s.Status = "ERROR" }))
		p.refuses(id)
		require.NoError(t, p.Update(id, func(s *emulator.Server) { s.Status = "ACTIVE" }))
		time.Sleep(20 * time.Second)
		p.answers(id, 200, "ok")

		require.NoError(t, p.Update(id, func(s *emulator.Server) { s.SystemVolumeID = "another" }))
		p.refuses(id)
		time.Sleep(20 * time.Second)
		_, body, err := p.probe(id, "/health")
		require.NoError(t, err)
		assert.Contains(t, body, "volume another\n", "a new disk is a new application")

		address := p.ApplicationAddress(id)
		require.NoError(t, p.Delete(id))
		assert.Empty(t, p.ApplicationAddress(id))
		_, err = p.client.Get("http://" + address + "/health")
		assert.ErrorIs(t, err, syscall.ECONNREFUSED)
	})
}

// TestApplicationRefusesThroughoutAChange: nothing is asked of the cloud meanwhile.
func TestApplicationRefusesThroughoutAChange(t *testing.T) {
	withApplications(t, stopped(), func(t *testing.T, p prober) {
		id := p.only()
		p.refuses(id)
		p.changeOS(id, p.target(), "").jobID(t)
		address := p.ApplicationAddress(id)
		begin := time.Now()
		time.Sleep(500 * time.Millisecond)
		for {
			response, err := p.client.Get("http://" + address + "/health")
			if err == nil {
				_ = response.Body.Close()
				break
			}
			require.ErrorIs(t, err, syscall.ECONNREFUSED)
			time.Sleep(time.Second)
		}
		assert.Equal(t, 120*time.Second+500*time.Millisecond, time.Since(begin), "100 s of change, 20 s of boot")
	})
}

func TestFaultsOfApplications(t *testing.T) {
	fault := func(f emulator.Fault) emulator.Options {
		o := running()
		f.Op = "app"
		o.Faults = []emulator.Fault{f}
		return o
	}
	t.Run("app_dead", func(t *testing.T) {
		withApplications(t, fault(emulator.Fault{Kind: "app_dead"}), func(t *testing.T, p prober) {
			p.refuses(p.only())
			assert.Equal(t, emulator.ApplicationDead, p.stateOf(p.only()))
			assert.Equal(t, map[emulator.FaultKind]int{"app_dead": 1}, p.Ledger().Faults)
		})
	})
	t.Run("app_error", func(t *testing.T) {
		withApplications(t, fault(emulator.Fault{Kind: "app_error", Message: "no database"}), func(t *testing.T, p prober) {
			p.answers(p.only(), 500, "no database")
			assert.Equal(t, map[emulator.ApplicationState]int{"failing": 1}, p.Ledger().Servers[p.only()].Application.Answers)
		})
		withApplications(t, fault(emulator.Fault{Kind: "app_error", Status: 418}), func(_ *testing.T, p prober) {
			p.answers(p.only(), 418, "error")
		})
	})
	t.Run("app_slow", func(t *testing.T) {
		o := fault(emulator.Fault{Kind: "app_slow", Delay: 30 * time.Second})
		withApplications(t, o, func(t *testing.T, p prober) {
			_, _, err := p.probe(p.only(), "/health")
			require.ErrorIs(t, err, context.DeadlineExceeded)
			assert.Empty(t, p.Ledger().Servers[p.only()].Application.Answers, "the client has not waited for it")
		})
		o.Speed = 10
		withApplications(t, o, func(t *testing.T, p prober) {
			begin := time.Now()
			p.answers(p.only(), 200, "ok")
			assert.Equal(t, 3*time.Second, time.Since(begin), "the delay is in emulated time")
		})
	})
	t.Run("app_flaps", func(t *testing.T) {
		withApplications(t, fault(emulator.Fault{Kind: "app_flaps", Delay: 20 * time.Second}), func(_ *testing.T, p prober) {
			for range 3 {
				p.answers(p.only(), 200, "ok")
				time.Sleep(10 * time.Second)
				p.answers(p.only(), 503, "unavailable")
				time.Sleep(10 * time.Second)
			}
		})
		withApplications(t, fault(emulator.Fault{Kind: "app_flaps", Variant: "refuse", Delay: 20 * time.Second}), func(_ *testing.T, p prober) {
			for range 3 {
				p.answers(p.only(), 200, "ok")
				time.Sleep(10 * time.Second)
				p.refuses(p.only())
				time.Sleep(10 * time.Second)
			}
		})
	})
	t.Run("app_dies_in_soak", func(t *testing.T) {
		withApplications(t, fault(emulator.Fault{Kind: "app_dies_in_soak", Delay: 2 * time.Minute}), func(_ *testing.T, p prober) {
			p.answers(p.only(), 200, "ok")
			time.Sleep(2*time.Minute - time.Second)
			p.answers(p.only(), 200, "ok")
			time.Sleep(time.Second)
			p.answers(p.only(), 503, "unavailable")
		})
	})
}

// TestFaultOfAnImage: an image with a bad application is bad on every server, and on none before the change.
func TestFaultOfAnImage(t *testing.T) {
	for _, name := range []bool{true, false} {
		o := emulator.Options{Fleet: []emulator.Server{{Name: "one"}, {Name: "two"}}, Images: []emulator.Image{
			{Name: "good", ID: "5a000000-0000-4000-8000-000000000001"}, {Name: "bad", ID: "5a000000-0000-4000-8000-000000000002"},
		}}
		image := "5a000000-0000-4000-8000-000000000002"
		o.Faults = []emulator.Fault{{Op: "app", Image: image, Kind: "app_dead", Times: -1}}
		if name {
			o.Faults[0].Image = "bad"
		}
		withApplications(t, o, func(t *testing.T, p prober) {
			for _, s := range p.Servers() {
				p.answers(s.ID, 200, "ok")
				p.changeOS(s.ID, image, `,"mode":"withStopServer"`).jobID(t)
			}
			time.Sleep(time.Hour)
			for _, s := range p.Servers() {
				require.Equal(t, "ACTIVE", s.Status)
				p.refuses(s.ID)
				p.changeOS(s.ID, p.named("good"), `,"mode":"withStopServer"`).jobID(t)
			}
			time.Sleep(time.Hour)
			for _, s := range p.Servers() {
				p.answers(s.ID, 200, "ok")
			}
		})
	}
}

// TestFaultStrikesARunningApplication also when its rule comes later, and no longer when the rule is gone.
func TestFaultStrikesARunningApplication(t *testing.T) {
	o := emulator.Options{Fleet: []emulator.Server{{Name: "one"}, {Name: "two"}}}
	withApplications(t, o, func(t *testing.T, p prober) {
		one, two := p.Servers()[0].ID, p.Servers()[1].ID
		require.NoError(t, p.AddFault(emulator.Fault{Op: "app", Server: "two", Kind: "app_error"}))
		p.answers(one, 200, "ok")
		p.answers(two, 500, "error")

		put := p.ask("PUT", "/_emulator/faults", `{"faults": [{"op": "app", "server": "one", "kind": "app_dies_in_soak", "delay": "10s"}]}`)
		require.Equal(t, 200, put.status, put.text)
		assert.Contains(t, put.text, `"struck":1`)
		p.answers(two, 200, "ok")
		p.answers(one, 200, "ok")
		time.Sleep(10 * time.Second)
		p.answers(one, 503, "unavailable")

		p.ClearFaults()
		p.answers(one, 200, "ok")
		assert.Contains(t, p.ask("GET", "/_emulator/applications", "").text, `"address":"10.20.0.4:8080","state":"healthy"`)
	})
}

func TestFaultsOfApplicationsAreChecked(t *testing.T) {
	c := newCloud(t, running())
	for problem, f := range map[string]emulator.Fault{
		"kind app_dead needs applications, and they are off": {Op: "app", Kind: "app_dead"},
		"kind app_slow needs a delay":                        {Op: "app", Kind: "app_slow"},
		"kind app_dead does not apply to op stop":            {Op: "stop", Kind: "app_dead"},
		"kind latency does not apply to op app":              {Op: "app", Kind: "latency", Delay: 1},
		"image goes with the kinds app_dead":                 {Op: "stop", Kind: "drop_after", Image: "x"},
		`variant "half" of kind app_flaps is not known`:      {Op: "app", Kind: "app_flaps", Delay: 1, Variant: "half"},
	} {
		assert.ErrorContains(t, c.AddFault(f), problem)
	}
	withApplications(t, running(), func(t *testing.T, p prober) {
		assert.ErrorContains(t, p.AddFault(emulator.Fault{Op: "app", Kind: "app_dead", Image: "bse"}), `image "bse" is not known; known are base-2026-01`)
	})
	_, err := emulator.New(emulator.Options{Applications: true, Fleet: []emulator.Server{{Name: "one", IP: "10.0.0.1"}}})
	assert.ErrorContains(t, err, "fleet[0] (one): the emulator picks the address of an application; leave the IP 10.0.0.1 out")
}

// TestWithoutApplications: addresses stay as they are, and nothing listens.
func TestWithoutApplications(t *testing.T) {
	c := newCloud(t, running())
	assert.Equal(t, "10.20.0.4", c.truth(c.only()).IP)
	assert.Empty(t, c.ApplicationAddress(c.only()))
	assert.Empty(t, c.Applications())
	assert.Nil(t, c.Ledger().Servers[c.only()].Application)
	c.Close()
	c.Close()
	assert.Equal(t, 200, c.ask("GET", "/v1/{project}/cloudservers/detail", "").status, "the API stays served")
}

// TestApplicationsOfTwoEmulators have addresses that do not collide, although their seed is the same.
func TestApplicationsOfTwoEmulators(t *testing.T) {
	addresses := map[string]bool{}
	for range 2 {
		c := newCloud(t, emulator.Options{Servers: 3, Applications: true})
		defer c.Close()
		for _, a := range c.Applications() {
			addresses[a.Address] = true
			host, _, err := net.SplitHostPort(a.Address)
			require.NoError(t, err)
			assert.Contains(t, c.ask("GET", "/v1/{project}/cloudservers/"+a.ServerID, "").text, `"addr":"`+host+`"`)
			response, err := http.Get("http://" + a.Address + "/health")
			require.NoError(t, err)
			text, err := io.ReadAll(response.Body)
			require.NoError(t, err)
			require.NoError(t, response.Body.Close())
			assert.Equal(t, "ok\nimage "+a.ImageID+"\nvolume "+a.VolumeID+"\n", string(text))
		}
	}
	assert.Len(t, addresses, 6)
}
