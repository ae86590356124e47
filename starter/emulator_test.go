package main

import (
	"bufio"
	"context"
	"encoding/json"
	"io"
	"net/http"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/reimage/reimage/ecs"
	"github.com/reimage/reimage/internal/emulator"
)

// serveEmulator runs the command in process and gives a client of the cloud it serves.
func serveEmulator(t *testing.T, args ...string) *ecs.Client {
	t.Helper()
	url := startEmulator(t, args...)
	client, err := ecs.New(ecs.Config{
		ProjectID: projectOf(args), ECS: url, IMS: url,
		Credentials: ecs.AccessKey{ID: emulator.DefaultAccessKey, Secret: ecs.NewSecret(emulator.DefaultSecretKey)},
	})
	require.NoError(t, err)
	t.Cleanup(client.Close)
	return client
}

// startEmulator runs the command in process and gives the address of the cloud it serves.
func startEmulator(t *testing.T, args ...string) string {
	t.Helper()
	ctx, stop := context.WithCancel(t.Context())
	out, in := io.Pipe()
	ended := make(chan int, 1)
	go func() {
		ended <- execute(ctx, streams{out: in, err: io.Discard}, append([]string{"emulator", "--listen", "127.0.0.1:0"}, args...))
		_ = in.Close()
	}()
	t.Cleanup(func() {
		stop()
		assert.Equal(t, exitDone, <-ended)
	})
	lines := bufio.NewReader(out)
	first, err := lines.ReadString('\n')
	require.NoError(t, err)
	go func() { _, _ = io.Copy(io.Discard, lines) }()
	url := regexp.MustCompile(`http://[0-9.:]+[0-9]`).FindString(first)
	require.NotEmpty(t, url, first)
	return url
}

// projectOf is the project that the arguments name.
func projectOf(args []string) string {
	if i := slices.Index(args, "--project"); i >= 0 {
		return args[i+1]
	}
	return emulator.DefaultProjectID
}

// firstServer is the first server of the default fleet: seed 1 makes the same ids everywhere.
func firstServer(t *testing.T) emulator.Server {
	t.Helper()
	twin, err := emulator.New(emulator.Options{Seed: 1})
	require.NoError(t, err)
	return twin.Servers()[0]
}

// TestEmulatorEdition: what the documents contradict is chosen on the command line, one by one too.
func TestEmulatorEdition(t *testing.T) {
	tests := map[string]struct {
		flags      []string
		unknownJob int
		v1         bool // is published
	}{
		"default":      {nil, 400, true},
		"a cloud":      {[]string{"--edition", "otc"}, 400, false},
		"a switch":     {[]string{"--edition-switch", "unknown_job=404"}, 404, true},
		"several":      {[]string{"--edition", "otc", "--edition-switch", "unknown_job=404", "--edition-switch", "v2_only=false", "--edition-switch", "strict_key_name=false"}, 404, true},
		"other switch": {[]string{"--edition-switch", "v2_only=true", "--edition-switch", "busy_code=Ecs.0100"}, 400, false},
	}
	server := firstServer(t)
	for name, test := range tests {
		t.Run(name, func(t *testing.T) {
			client := serveEmulator(t, test.flags...)
			_, err := client.Job(t.Context(), "no-such-job")
			var refused *ecs.Error
			require.ErrorAs(t, err, &refused)
			assert.Equal(t, test.unknownJob, refused.Status)

			out := client.ChangeOS(t.Context(), server.ID, ecs.ChangeOSRequest{API: ecs.APIv1, ImageID: server.ImageID, WithStopServer: true})
			unpublished := out.Err != nil && out.Err.Code == "APIGW.0101"
			assert.Equal(t, test.v1, !unpublished, out.Err)
		})
	}
}

// TestEmulatorProject: two clouds for two profiles are two projects, and neither takes the other's id.
func TestEmulatorProject(t *testing.T) {
	const another = "6af1c92eaf7e471fb35c82eecd4b7b5d"
	for _, args := range [][]string{nil, {"--seed", "2", "--project", another}} {
		client := serveEmulator(t, args...)
		page, err := client.Glance(t.Context())
		require.NoError(t, err)
		assert.Equal(t, 10, page.Servers)
	}
	for _, wrong := range []string{"another", strings.ToUpper(another)} {
		code, out, errOut := runCommand(t, "emulator", "--listen", "127.0.0.1:0", "--project", wrong)
		assert.Equal(t, exitUsage, code)
		assert.Empty(t, out)
		assert.Contains(t, errOut, `is not 32 digits and letters from a to f, such as `+emulator.DefaultProjectID, wrong)
	}
}

// TestEmulatorLag: the server view trails behind the job.
func TestEmulatorLag(t *testing.T) {
	client := serveEmulator(t, "--speed", "5000", "--lag", "1000h")
	server := firstServer(t)
	out := client.StopServers(t.Context(), []string{server.ID}, ecs.StopSoft)
	require.Equal(t, ecs.Accepted, out.Kind, out.Err)
	require.Eventually(t, func() bool {
		job, err := client.Job(t.Context(), out.JobID)
		return err == nil && job.Succeeded()
	}, time.Minute, time.Millisecond)
	shown, err := client.Server(t.Context(), server.ID)
	require.NoError(t, err)
	assert.Equal(t, "ACTIVE", shown.Status)
}

// TestEmulatorRefusesFaultsForNobody before it serves.
func TestEmulatorRefusesFaultsForNobody(t *testing.T) {
	path := filepath.Join(t.TempDir(), "faults.yaml")
	require.NoError(t, os.WriteFile(path, []byte("faults:\n- {op: changeos, kind: drop_after, server: nosuchserver}\n"), 0o600))
	code, out, errOut := runCommand(t, "emulator", "--faults", path)
	assert.Equal(t, exitUsage, code)
	assert.Empty(t, out)
	assert.Contains(t, errOut, `faults[0]: server "nosuchserver" is not known; known are `)
}

// TestEmulatorApplications: every server answers probes, and a rule of the file strikes those of an image.
func TestEmulatorApplications(t *testing.T) {
	path := filepath.Join(t.TempDir(), "faults.yaml")
	rule := "faults:\n- {op: app, kind: app_error, image: " + emulator.CurrentImageName + ", server: db-01}\n"
	require.NoError(t, os.WriteFile(path, []byte(rule), 0o600))
	url := startEmulator(t, "--applications", "--boot-time", "5s", "--faults", path)
	response, err := http.Get(url + "/_emulator/applications")
	require.NoError(t, err)
	defer func() { _ = response.Body.Close() }()
	var all struct {
		Applications []emulator.Application `json:"applications"`
	}
	require.NoError(t, json.NewDecoder(response.Body).Decode(&all))
	require.Len(t, all.Applications, 10)
	for _, a := range all.Applications {
		want := http.StatusOK
		if a.Name == "db-01" {
			want = http.StatusInternalServerError
		}
		probe, err := http.Get("http://" + a.Address + "/health")
		require.NoError(t, err)
		_ = probe.Body.Close()
		assert.Equal(t, want, probe.StatusCode, a.Name)
	}
	code, _, errOut := runCommand(t, "emulator", "--boot-time", "-1s")
	assert.Equal(t, exitUsage, code)
	assert.Contains(t, errOut, "a boot time of -1s is below 0")
}

// TestEmulatorPools: a tag makes a pool, and one that no server has is refused.
func TestEmulatorPools(t *testing.T) {
	url := startEmulator(t, "--pool", "role=web", "--pool", "role=db")
	response, err := http.Get(url + "/_emulator/ledger")
	require.NoError(t, err)
	defer func() { _ = response.Body.Close() }()
	var ledger emulator.Ledger
	require.NoError(t, json.NewDecoder(response.Body).Decode(&ledger))
	inService := map[string]int{}
	for _, pool := range ledger.Pools {
		inService[pool.Name] = pool.InService
	}
	assert.Equal(t, map[string]int{"pool-role-web": 5, "pool-role-db": 2}, inService)

	code, _, errOut := runCommand(t, "emulator", "--pool", "role=none")
	assert.Equal(t, exitUsage, code)
	assert.Contains(t, errOut, `no server has the tag "role=none"`)
}

// TestEmulatorWithAnotherClock: the client finds out whose clock is off.
func TestEmulatorWithAnotherClock(t *testing.T) {
	_, err := serveEmulator(t, "--skew", "20m").Server(t.Context(), firstServer(t).ID)
	assert.ErrorContains(t, err, "behind the cloud's: set it right there")
}
