package emulator_test

import (
	"fmt"
	"net/http"
	"net/http/httptest"
	"reflect"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/reimage/reimage/internal/emulator"
	"github.com/reimage/reimage/rollout/edition"
)

func TestGeneratedFleet(t *testing.T) {
	c := newCloud(t, emulator.Options{})
	servers := c.Servers()
	require.Len(t, servers, emulator.DefaultServers)
	zones, ids := map[string]int{}, map[string]bool{}
	for _, s := range servers {
		role, _, _ := strings.Cut(s.Name, "-")
		assert.Contains(t, s.Tags, "role="+role)
		assert.Equal(t, "ACTIVE", s.Status)
		assert.Equal(t, c.named(emulator.CurrentImageName), s.ImageID)
		assert.NotEmpty(t, s.SystemVolumeID)
		zones[s.Zone]++
		ids[s.ID], ids[s.SystemVolumeID], ids[s.IP] = true, true, true
	}
	assert.Len(t, zones, 3)
	assert.Len(t, ids, 3*len(servers))
}

func TestOptionsNameEveryProblem(t *testing.T) {
	_, err := emulator.New(emulator.Options{
		Servers: -1, Speed: -2,
		Fleet:   []emulator.Server{{ID: "x", Name: "a"}, {ID: "x", Name: "b", Status: "DELETED"}},
		Images:  []emulator.Image{{ID: "i"}, {ID: "i"}},
		Edition: emulator.Edition{UnknownJob: "500", BusyCode: "x", RebuildView: "x", JobShape: "x", PowerStateShutdown: 9},
		Timing:  emulator.Timing{Stop: emulator.Span{Median: 1, Spread: 2}, Lag: -1, Lead: emulator.Span{Spread: 1}},
		Faults:  []emulator.Fault{{Op: "fly", Kind: "explode"}},
	})
	require.Error(t, err)
	for _, want := range []string{
		"servers: -1", "speed: -2", "fleet[1] (b): id x is used twice", `status "DELETED"`, "images[1] (): id i is used twice",
		"unknown job", "busy code", "rebuild view", "job shape", "power state", "timing of stop", "timing of lead", "lag", `faults[0]: kind "explode"`, `op "fly"`,
	} {
		assert.ErrorContains(t, err, want)
	}
}

// documented is an edition with some of what the documents of clouds say.
func documented(e edition.Edition) emulator.Edition { return emulator.Edition{Edition: e} }

// TestNamedEditions: the emulator knows the clouds that the worker knows.
func TestNamedEditions(t *testing.T) {
	for _, name := range []string{"", edition.Any} {
		named, err := emulator.NamedEdition(name)
		require.NoError(t, err)
		assert.Equal(t, documented(edition.Edition{Name: edition.Any}), named)
	}
	for _, row := range edition.Rows() {
		named, err := emulator.NamedEdition(row.Name)
		require.NoError(t, err)
		assert.Equal(t, documented(row.Edition), named)
		newCloud(t, emulator.Options{Edition: named})
	}
	_, err := emulator.NamedEdition("mars")
	assert.ErrorContains(t, err, `edition "mars" is not known: it is one of any, huaweicloud,`)
}

// TestEditionSwitches turns every switch by its name.
func TestEditionSwitches(t *testing.T) {
	tests := []struct {
		name, value string
		want        emulator.Edition
	}{
		{"strict_key_name", "true", documented(edition.Edition{StrictKeyName: true})},
		{"no_admin_pass", "true", documented(edition.Edition{NoAdminPass: true})},
		{"stopped_only", "true", documented(edition.Edition{StoppedOnly: true})},
		{"no_mode", "true", documented(edition.Edition{NoMode: true})},
		{"v2_only", "true", documented(edition.Edition{V2Only: true})},
		{"refuse_other_byol", "true", documented(edition.Edition{RefuseOtherBYOL: true})},
		{"v1_needs_login", "true", documented(edition.Edition{V1NeedsLogin: true})},
		{"no_hard_over_soft", "true", emulator.Edition{NoHardOverSoft: true}},
		{"no_temporary", "true", emulator.Edition{NoTemporary: true}},
		{"temporary_name", "moves-*", emulator.Edition{TemporaryName: "moves-*"}},
		{"temporary_status", "ACTIVE", emulator.Edition{TemporaryStatus: "ACTIVE"}},
		{"started_is_success", "true", emulator.Edition{StartedIsSuccess: true}},
		{"no_metadata_session", "true", emulator.Edition{NoMetadataSession: true}},
		{"unknown_job", "404", emulator.Edition{UnknownJob: "404"}},
		{"busy_code", "Ecs.0100", emulator.Edition{BusyCode: "Ecs.0100"}},
		{"rebuild_view", "shutoff", emulator.Edition{RebuildView: "shutoff"}},
		{"no_auto_pay", "true", documented(edition.Edition{NoAutoPay: true})},
		{"no_encryption", "true", documented(edition.Edition{NoEncryption: true})},
		{"no_windows", "true", documented(edition.Edition{NoWindows: true})},
		{"throttle_with_503", "true", documented(edition.Edition{ThrottleWith503: true})},
		{"job_shape", "sub_jobs", emulator.Edition{JobShape: "sub_jobs"}},
		{"job_type", "rebuild", emulator.Edition{JobType: "rebuild"}},
		{"weight_zero_source_ip", "ignored", emulator.Edition{WeightZeroSourceIP: "ignored"}},
		{"power_state_shutdown", "3", emulator.Edition{PowerStateShutdown: 3}},
	}
	documentedOnes := reflect.TypeFor[edition.Edition]().NumField() - 1 // all but its name
	assert.Len(t, tests, documentedOnes+reflect.TypeFor[emulator.Edition]().NumField()-1, "every switch has a name")
	for _, test := range tests {
		var switched emulator.Edition
		require.NoError(t, switched.Set(test.name, test.value), test.name)
		assert.Equal(t, test.want, switched, test.name)
		newCloud(t, emulator.Options{Edition: switched})
	}
	switched := documented(edition.Edition{V2Only: true})
	require.NoError(t, switched.Set("v2_only", "false"))
	assert.Zero(t, switched)
	assert.ErrorContains(t, switched.Set("power_state_shutdown", "often"), "is not a number")
	assert.ErrorContains(t, switched.Set("V2Only", "true"), "known are busy_code, job_shape")
}

func TestUpdateByHand(t *testing.T) {
	atTime(t, exact(running()), func(t *testing.T, c cloud) {
		id := c.only()
		update := func(change func(*emulator.Server)) { require.NoError(t, c.Update(id, change)) }
		update(func(s *emulator.Server) { s.Status = "SHUTOFF" })
		assert.Equal(t, "stopped", c.show(id).VMState)
		update(func(s *emulator.Server) { s.VMState = "error" })
		assert.Equal(t, "ERROR", c.show(id).Status)
		update(func(s *emulator.Server) { s.Tags = append(s.Tags, "x=y") })
		assert.Contains(t, c.show(id).Tags, "x=y")
		assert.Error(t, c.Update(id, func(s *emulator.Server) { s.ID = "other" }))
		assert.Error(t, c.Update("nobody", func(*emulator.Server) {}))

		job := c.changeOS(id, c.target(), "").jobID(t)
		require.NoError(t, c.Delete(id))
		assert.Error(t, c.Delete(id))
		assert.Equal(t, "FAIL", c.job(job).Status)
	})
}

func TestSnapshotsAreCopies(t *testing.T) {
	c := newCloud(t, emulator.Options{})
	s := c.Servers()[0]
	s.Tags[0] = "changed"
	c.Images()[0].Name = "changed"
	ledger := c.Ledger()
	ledger.Servers[s.ID].ChangeOSAccepted = 9
	ledger.Requests["x"] = 9
	assert.NotEqual(t, "changed", c.truth(s.ID).Tags[0])
	assert.NotEqual(t, "changed", c.Images()[0].Name)
	assert.Zero(t, c.Ledger().Servers[s.ID].ChangeOSAccepted)
	assert.Empty(t, c.Ledger().Requests)
}

// record runs one sequence of requests and returns everything that was answered, request ids included.
func record(t *testing.T, seed uint64) string {
	var log strings.Builder
	atTime(t, emulator.Options{Servers: 8, Seed: seed, Faults: []emulator.Fault{
		{Op: "*", Kind: "throttle", Times: -1, Probability: 0.1}, {Op: "changeos", Kind: "job_fail", Times: -1, Probability: 0.5},
	}}, func(t *testing.T, c cloud) {
		note := func(r reply) { fmt.Fprintln(&log, r.status, r.header.Get("X-Request-Id"), r.text) }
		for _, s := range c.Servers() {
			note(c.changeOS(s.ID, c.target(), `,"mode":"withStopServer"`))
			time.Sleep(7 * time.Second)
		}
		for range 12 {
			time.Sleep(11 * time.Second)
			note(c.ask("GET", "/v1/{project}/cloudservers/detail", ""))
			for _, s := range c.Servers() {
				for _, w := range c.Ledger().Servers[s.ID].Writes {
					note(c.ask("GET", "/v1/{project}/jobs/"+w.JobID, ""))
				}
			}
		}
		fmt.Fprintln(&log, c.ask("GET", "/_emulator/ledger", "").text, c.ask("GET", "/_emulator/faults", "").text)
	})
	return log.String()
}

func TestSameSeedSameAnswers(t *testing.T) {
	first := record(t, 42)
	assert.Contains(t, first, "SUCCESS")
	assert.Contains(t, first, "FAIL")
	assert.Contains(t, first, "APIGW.0308")
	assert.Equal(t, first, record(t, 42))
	assert.NotEqual(t, first, record(t, 43))
}

// TestConcurrentClients lets many clients fight over few servers and compares what they were told with the account.
func TestConcurrentClients(t *testing.T) {
	const clients, rounds = 16, 30
	c := newCloud(t, emulator.Options{Servers: 5, Speed: 1000, Faults: []emulator.Fault{
		{Op: "changeos", Kind: "throttle", Times: -1, Probability: 0.2},
	}})
	server := httptest.NewServer(c)
	defer server.Close()
	target := c.target()
	var fleet []string
	for _, s := range c.Servers() {
		fleet = append(fleet, s.ID)
	}
	var mu sync.Mutex
	accepted, sent := map[string]int{}, 0
	var wait sync.WaitGroup
	for n := range clients {
		wait.Go(func() {
			for i := range rounds {
				id := fleet[(n+i)%len(fleet)]
				r, err := send(server.Client(), server.URL, "POST", strings.ReplaceAll(changePath, "{id}", id),
					`{"os-change":{"imageid":"`+target+`","mode":"withStopServer"}}`)
				if !assert.NoError(t, err) {
					return
				}
				mu.Lock()
				sent++
				if r.status == http.StatusOK {
					accepted[id]++
				}
				mu.Unlock()
				_, err = send(server.Client(), server.URL, "GET", "/v1/{project}/cloudservers/detail", "")
				assert.NoError(t, err)
				c.Servers()
			}
		})
	}
	wait.Wait()
	ledger := c.Ledger()
	total := 0
	for _, id := range fleet {
		account := ledger.Servers[id]
		assert.Equal(t, accepted[id], account.ChangeOSAccepted)
		assert.Len(t, account.Writes, account.ChangeOSAccepted)
		jobs := map[string]bool{}
		for i, w := range account.Writes {
			jobs[w.JobID] = true
			if i > 0 {
				assert.Greater(t, w.Time.Sub(account.Writes[i-1].Time), time.Minute, "two changes of one server never overlap")
			}
		}
		assert.Len(t, jobs, len(account.Writes))
		total += account.ChangeOSAccepted
	}
	assert.GreaterOrEqual(t, total, len(fleet))
	assert.Equal(t, clients*rounds, sent)
	assert.Equal(t, sent, ledger.Requests["POST /v2/{project_id}/cloudservers/{server_id}/changeos"])
	assert.Equal(t, sent, ledger.Requests["GET /v1/{project_id}/cloudservers/detail"])
}
