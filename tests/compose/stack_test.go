// Package compose runs docker-compose.yml on the Docker engine of this machine: README.md.
package compose

import (
	"bytes"
	"context"
	"crypto/sha256"
	"encoding/json"
	"fmt"
	"io"
	"net"
	"net/http"
	"os"
	"os/exec"
	"os/signal"
	"path/filepath"
	"regexp"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/reimage/reimage/internal/emulator"
)

const (
	servers  = 20
	password = "Compose-7-secret"

	version, commit, date = "v0.0.0-compose", "abc1234", "2026-12-01T00:00:00Z"
)

// workerSettings stand in the place of .env: the emulated cloud, and times as short as its speed allows.
var workerSettings = map[string]string{
	"HUAWEICLOUD_SDK_AK": emulator.DefaultAccessKey, "HUAWEICLOUD_SDK_SK": emulator.DefaultSecretKey,
	"HUAWEICLOUD_SDK_PROJECT_ID": emulator.DefaultProjectID, "REIMAGE_EDITION": "any",
	"REIMAGE_ECS_ENDPOINT": "http://cloud:18080", "REIMAGE_IMS_ENDPOINT": "http://cloud:18080",
	"REIMAGE_POLL_INTERVAL": "500ms", "REIMAGE_REQUEST_TIMEOUT": "3s", "REIMAGE_MAX_LAG": "1s", "REIMAGE_SETTLE_TIME": "5s",
	"REIMAGE_SOFT_STOP_TIME": "20s",
}

const goImage = "golang:1.26"

const document = `apiVersion: reimage/v1
kind: Rollout
metadata: {name: compose}
spec:
  select: {names: ["*"], expect: {count: 20}}
  image: {name: ` + emulator.TargetImageName + `}
  login: {passwordFrom: "file:root-password"}
  inFlight: {count: 4}
`

// TestStack brings docker-compose.yml up, rolls 20 emulated servers through it while the worker, Temporal and PostgreSQL
// are killed, and holds the account of the cloud against what the command line reports.
func TestStack(t *testing.T) {
	if os.Getenv("REIMAGE_COMPOSE") == "" {
		t.Skip("make test-compose runs this test")
	}
	ctx, stop := signal.NotifyContext(t.Context(), os.Interrupt, syscall.SIGTERM) // containers are removed, whatever happens
	defer stop()
	s := newStack(t, ctx)

	s.timed("image of the worker built", s.buildImage)
	s.timed("up", func() { s.compose("up", "--detach") })
	s.timed("worker ready", func() {
		s.eventually("the worker is ready", func() bool { return s.get(s.healthPort, "/readyz") == "ready\n" })
	})
	s.requireLoopbackOnly()
	s.requireNamespace()
	s.requireVersion()
	s.timed("up once more", func() { s.compose("up", "--detach") })
	s.eventually("the worker is ready", func() bool { return s.get(s.healthPort, "/readyz") == "ready\n" })

	for _, name := range []string{"worker", "temporal", "postgres"} { // asking Compose takes a second, in which a rollout goes on
		s.container(name)
	}

	plan := filepath.Join(s.dir, "plan.json")
	s.timed("plan", func() { s.reimage("plan", "-f", s.write("rollout.yaml", document, 0o600), "-o", plan) })
	s.timed("rollout", func() {
		apply := s.start("apply", plan, "--yes", "--by", "the test")
		for _, at := range []struct {
			accepted int
			services []string
		}{{3, []string{"worker"}}, {6, []string{"temporal"}}, {9, []string{"postgres"}}, {12, []string{"postgres", "temporal", "worker"}}} {
			s.eventually(fmt.Sprintf("%d changes are accepted", at.accepted), func() bool { return s.ledger().accepted() >= at.accepted })
			s.kill(at.services...)
		}
		require.NoError(t, apply.Wait(), "%s", apply.Stderr)
		require.Contains(t, fmt.Sprint(apply.Stdout), "ended: completed")
	})
	s.requireChangedOnce()
	assert.Contains(t, s.reimage("list"), "completed")
	s.requireNoPassword()
}

// stack is docker-compose.yml under a name of its own.
type stack struct {
	t       *testing.T
	ctx     context.Context
	command []string
	env     []string
	dir     string
	project string
	image   string

	temporalPort, uiPort, healthPort, cloudPort string

	program    string
	containers map[string]string // their ids by service
}

func newStack(t *testing.T, ctx context.Context) *stack {
	t.Helper()
	if out, err := exec.CommandContext(ctx, "docker", "version", "--format", "{{.Server.Version}}").CombinedOutput(); err != nil {
		t.Skipf("There is no Docker engine that answers, so docker-compose.yml was not run: %v: %s", err, firstLine(out))
	}
	s := &stack{t: t, ctx: ctx, command: composeCommand(ctx), dir: t.TempDir(), project: fmt.Sprintf("reimage-test-%d", os.Getpid()), containers: map[string]string{}}
	if s.command == nil {
		t.Skip("There is neither docker compose nor docker-compose, so docker-compose.yml was not run.")
	}
	s.image = s.project
	for _, port := range []*string{&s.temporalPort, &s.uiPort, &s.healthPort, &s.cloudPort} {
		*port = s.freePort()
	}
	s.timed("images", func() {
		images := s.cmd("./images.sh")
		images.Stderr = os.Stderr // it may take minutes
		used, err := images.Output()
		require.NoError(t, err)
		t.Logf("%s", used)
	})

	s.program = filepath.Join(s.dir, "reimage")
	s.timed("command line built", func() { s.run("go", "build", "-o", s.program, root+"/starter") })

	var settings strings.Builder
	for name, value := range workerSettings {
		fmt.Fprintf(&settings, "%s=%s\n", name, value)
	}
	secrets := filepath.Join(s.dir, "secrets")
	require.NoError(t, os.Mkdir(secrets, 0o755))
	s.write("secrets/root-password", password, 0o644) // the worker of the image is user 65532
	s.env = append(os.Environ(),
		"REIMAGE_ENV_FILE="+s.write("worker.env", settings.String(), 0o600), "REIMAGE_SECRETS="+secrets, "REIMAGE_IMAGE="+s.image,
		"REIMAGE_TEMPORAL_PORT="+s.temporalPort, "REIMAGE_UI_PORT="+s.uiPort, "REIMAGE_HEALTH_PORT="+s.healthPort,
		"REIMAGE_TEST_CLOUD_PORT="+s.cloudPort,
		"REIMAGE_VERSION="+version, "REIMAGE_COMMIT="+commit, "REIMAGE_DATE="+date,
	)
	t.Cleanup(s.remove)
	return s
}

// composeCommand is Compose v2 when there is one, otherwise docker-compose, otherwise nil.
func composeCommand(ctx context.Context) []string {
	if exec.CommandContext(ctx, "docker", "compose", "version").Run() == nil {
		return []string{"docker", "compose"}
	}
	if path, err := exec.LookPath("docker-compose"); err == nil {
		return []string{path}
	}
	return nil
}

// stages matches the Dockerfile: the command that builds the programs, and the last stage.
var stages = regexp.MustCompile(`(?s)\nRUN (CGO_ENABLED=0 go build .*?)\n\n(FROM .*)`)

// buildImage builds the image of the worker. Without an image of Go the command of the first stage runs on this machine,
// and the last stage is built with what it made.
func (s *stack) buildImage() {
	s.t.Helper()
	if s.cmd("docker", "image", "inspect", goImage).Run() == nil {
		s.compose("build", "worker")
		return
	}
	s.t.Logf("There is no image %s: its stage of the Dockerfile runs on this machine.", goImage)
	text, err := os.ReadFile(root + "/Dockerfile")
	require.NoError(s.t, err)
	require.Contains(s.t, string(text), "FROM "+goImage+" AS build\n")
	parts := stages.FindStringSubmatch(string(text))
	require.Len(s.t, parts, 3)

	out := filepath.Join(s.dir, "out")
	build := s.cmd("sh", "-c", strings.ReplaceAll(parts[1], "/out/", out+"/"))
	build.Dir = root
	build.Env = append(build.Env, "VERSION="+version, "COMMIT="+commit, "DATE="+date)
	s.output(build)
	const fromBuild = "COPY --from=build /out/ "
	require.Contains(s.t, parts[2], fromBuild)
	dockerfile := s.write("Dockerfile", strings.Replace(parts[2], fromBuild, "COPY . ", 1), 0o600)
	s.run("docker", "build", "--tag", s.image, "--file", dockerfile, "--build-arg", "VERSION="+version,
		"--build-arg", "COMMIT="+commit, "--build-arg", "DATE="+date, out)
}

// remove leaves nothing of the stack on the engine; the logs are shown when the test failed.
func (s *stack) remove() {
	s.ctx = context.WithoutCancel(s.ctx)
	if s.t.Failed() {
		logs, _ := s.composeCmd("logs", "--no-color", "--tail", "60").CombinedOutput()
		s.t.Logf("%s", logs)
	}
	for _, command := range []*exec.Cmd{
		s.composeCmd("down", "--volumes", "--remove-orphans", "--timeout", "5"),
		s.cmd("docker", "image", "rm", "--force", s.image),
	} {
		if out, err := command.CombinedOutput(); err != nil {
			s.t.Errorf("%s: %v\n%s", command, err, out)
		}
	}
	for _, kind := range [][]string{{"ps", "--all"}, {"volume", "ls"}, {"network", "ls"}} {
		args := append(kind, "--quiet", "--filter", "label=com.docker.compose.project="+s.project)
		left, err := s.cmd("docker", args...).Output()
		assert.NoError(s.t, err)
		assert.Empty(s.t, string(left), "docker %s", strings.Join(args, " "))
	}
}

func (s *stack) cmd(name string, args ...string) *exec.Cmd {
	cmd := exec.CommandContext(s.ctx, name, args...)
	cmd.Env = s.env
	return cmd
}

func (s *stack) composeCmd(args ...string) *exec.Cmd {
	all := append(append(s.command[1:len(s.command):len(s.command)], "-p", s.project, "-f", file, "-f", overlay), args...)
	return s.cmd(s.command[0], all...)
}

func (s *stack) compose(args ...string) string {
	s.t.Helper()
	return s.output(s.composeCmd(args...))
}

func (s *stack) run(name string, args ...string) string {
	s.t.Helper()
	return s.output(s.cmd(name, args...))
}

func (s *stack) output(cmd *exec.Cmd) string {
	s.t.Helper()
	var out, errOut bytes.Buffer
	cmd.Stdout, cmd.Stderr = &out, &errOut
	err := cmd.Run()
	require.NoError(s.t, err, "%s\n%s%s", cmd, errOut.String(), out.String())
	return out.String()
}

// start starts the command line as a user of this machine would.
func (s *stack) start(args ...string) *exec.Cmd {
	s.t.Helper()
	cmd := s.cmd(s.program, args...)
	cmd.Dir = s.dir
	cmd.Env = []string{"PATH=" + os.Getenv("PATH"), "HOME=" + s.dir, "TEMPORAL_ADDRESS=127.0.0.1:" + s.temporalPort}
	cmd.Stdout, cmd.Stderr = &lockedBuffer{}, &lockedBuffer{}
	require.NoError(s.t, cmd.Start())
	return cmd
}

// reimage runs the command line to its end, which has to be a success.
func (s *stack) reimage(args ...string) string {
	s.t.Helper()
	cmd := s.start(args...)
	require.NoError(s.t, cmd.Wait(), "reimage %s\n%s%s", strings.Join(args, " "), cmd.Stderr, cmd.Stdout)
	return fmt.Sprint(cmd.Stdout)
}

func (s *stack) write(name, text string, mode os.FileMode) string {
	s.t.Helper()
	path := filepath.Join(s.dir, name)
	require.NoError(s.t, os.WriteFile(path, []byte(text), mode))
	require.NoError(s.t, os.Chmod(path, mode)) // whatever the umask
	return path
}

// freePort is one that the kernel picks. It stays the same when a container is started again.
func (s *stack) freePort() string {
	s.t.Helper()
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	require.NoError(s.t, err)
	defer listener.Close()
	_, port, err := net.SplitHostPort(listener.Addr().String())
	require.NoError(s.t, err)
	return port
}

// get is the body of an answer with status 200, and empty otherwise.
func (s *stack) get(port, path string) string {
	request, err := http.NewRequestWithContext(s.ctx, http.MethodGet, "http://127.0.0.1:"+port+path, nil)
	require.NoError(s.t, err)
	client := http.Client{Timeout: 5 * time.Second}
	answer, err := client.Do(request)
	if err != nil {
		return ""
	}
	defer answer.Body.Close()
	body, err := io.ReadAll(answer.Body)
	if err != nil || answer.StatusCode != http.StatusOK {
		return ""
	}
	return string(body)
}

func (s *stack) eventually(what string, is func() bool) {
	s.t.Helper()
	deadline := time.Now().Add(3 * time.Minute)
	for !is() {
		require.NoError(s.t, s.ctx.Err())
		require.True(s.t, time.Now().Before(deadline), "not within three minutes: %s", what)
		time.Sleep(100 * time.Millisecond)
	}
}

func (s *stack) timed(what string, do func()) {
	s.t.Helper()
	began := time.Now()
	do()
	s.t.Logf("%6.1f s  %s", time.Since(began).Seconds(), what)
}

// container is the id of a service's container, which stays the same when it is started again.
func (s *stack) container(name string) string {
	s.t.Helper()
	if s.containers[name] == "" {
		s.containers[name] = strings.TrimSpace(s.compose("ps", "--quiet", name))
	}
	require.NotEmpty(s.t, s.containers[name], "no container of %s", name)
	return s.containers[name]
}

func (s *stack) inspect(id, format string) string {
	s.t.Helper()
	return strings.TrimSpace(s.run("docker", "inspect", "--format", format, id))
}

// kill sends SIGKILL to the first process of each container, by way of the process ids of the engine, and waits until
// they run again. After docker kill the engine would not start them, and the restart policy would go untested.
func (s *stack) kill(services ...string) {
	s.t.Helper()
	restarts, command := map[string]string{}, "kill -9"
	for _, name := range services {
		id := s.container(name)
		restarts[id] = s.inspect(id, "{{.RestartCount}}")
		command += " " + s.inspect(id, "{{.State.Pid}}")
	}
	shell := s.inspect(s.container("postgres"), "{{.Image}}")
	accepted := s.ledger().accepted()
	s.run("docker", "run", "--rm", "--pid", "host", "--network", "none", "--user", "0", "--entrypoint", "sh", shell, "-c", command)
	for id, before := range restarts {
		s.eventually(strings.Join(services, ", ")+" run again", func() bool {
			return s.inspect(id, "{{.RestartCount}}") != before && s.inspect(id, "{{.State.Running}}") == "true"
		})
	}
	require.Less(s.t, accepted, servers, "the rollout was over before the kill")
	s.t.Logf("killed %s after %d of %d changes were accepted", strings.Join(services, ", "), accepted, servers)
}

type ledger struct {
	Servers map[string]emulator.ServerLedger `json:"servers"`
}

func (l ledger) accepted() int {
	sum := 0
	for _, server := range l.Servers {
		sum += server.ChangeOSAccepted
	}
	return sum
}

func (s *stack) ledger() ledger {
	s.t.Helper()
	var l ledger
	require.NoError(s.t, json.Unmarshal([]byte(s.get(s.cloudPort, "/_emulator/ledger")), &l))
	return l
}

func (s *stack) requireChangedOnce() {
	s.t.Helper()
	l := s.ledger()
	require.Len(s.t, l.Servers, servers)
	for id, server := range l.Servers {
		assert.Equal(s.t, 1, server.ChangeOSAccepted, "server %s (%s)", server.Name, id)
		assert.Zero(s.t, server.ReinstallAccepted, "server %s (%s)", server.Name, id)
	}
	var states struct {
		Servers []emulator.Server `json:"servers"`
	}
	require.NoError(s.t, json.Unmarshal([]byte(s.get(s.cloudPort, "/_emulator/servers")), &states))
	images := map[string]int{}
	for _, server := range states.Servers {
		assert.Equal(s.t, "ACTIVE", server.Status, server.Name)
		assert.Equal(s.t, fmt.Sprintf("%x", sha256.Sum256([]byte(password))), server.PasswordSHA256, "%s: the secrets folder", server.Name)
		images[server.ImageID]++
	}
	assert.Len(s.t, images, 1)
	s.t.Logf("ledger: %d servers, %d changes accepted, one for each", len(l.Servers), l.accepted())
}

// requireLoopbackOnly: nothing is open beyond this machine.
func (s *stack) requireLoopbackOnly() {
	s.t.Helper()
	ids := strings.Fields(s.compose("ps", "--quiet"))
	require.NotEmpty(s.t, ids)
	published := 0
	for _, id := range ids {
		var ports map[string][]struct {
			HostIP string `json:"HostIp"`
		}
		require.NoError(s.t, json.Unmarshal([]byte(s.inspect(id, "{{json .NetworkSettings.Ports}}")), &ports))
		for port, bindings := range ports {
			for _, binding := range bindings {
				assert.Equal(s.t, "127.0.0.1", binding.HostIP, port)
				published++
			}
		}
	}
	assert.Equal(s.t, 4, published, "Temporal, its Web UI, the worker and the emulated cloud")
}

// requireNamespace asks the Web UI, which serves the API of Temporal, too.
func (s *stack) requireNamespace() {
	s.t.Helper()
	s.eventually("the Web UI is up", func() bool { return strings.Contains(strings.ToLower(s.get(s.uiPort, "/")), "<!doctype html>") })
	var answer struct {
		Config struct {
			Retention string `json:"workflowExecutionRetentionTtl"`
		} `json:"config"`
	}
	require.NoError(s.t, json.Unmarshal([]byte(s.get(s.uiPort, "/api/v1/namespaces/default")), &answer))
	assert.Equal(s.t, (720 * time.Hour).Seconds(), mustParse(s.t, answer.Config.Retention).Seconds())
}

func mustParse(t *testing.T, text string) time.Duration {
	t.Helper()
	duration, err := time.ParseDuration(text)
	require.NoError(t, err)
	return duration
}

func (s *stack) requireVersion() {
	s.t.Helper()
	says := s.run("docker", "run", "--rm", "--network", "none", "--entrypoint", "reimage", s.image, "version")
	assert.Contains(s.t, says, "reimage "+version+", commit "+commit+", "+date+" (go")
	label := s.run("docker", "image", "inspect", "--format", `{{index .Config.Labels "org.opencontainers.image.version"}}`, s.image)
	assert.Equal(s.t, version, strings.TrimSpace(label))
	s.t.Log(strings.TrimSpace(says))
}

// requireNoPassword: the password of the servers is in no log, and in no table of the database.
func (s *stack) requireNoPassword() {
	s.t.Helper()
	assert.NotContains(s.t, s.compose("logs", "--no-color"), password)
	dump := s.run("docker", "exec", s.container("postgres"), "sh", "-c", "pg_dumpall -U temporal 2>/dev/null || /usr/lib/postgresql/*/bin/pg_dumpall -U temporal")
	require.Contains(s.t, dump, "history_node")
	assert.NotContains(s.t, dump, fmt.Sprintf("%x", password)) // bytea is dumped as hex
	assert.NotContains(s.t, dump, password)
}

func firstLine(text []byte) string {
	line, _, _ := strings.Cut(strings.TrimSpace(string(text)), "\n")
	return line
}

// lockedBuffer may be read while a program writes to it.
type lockedBuffer struct {
	mu   sync.Mutex
	text bytes.Buffer
}

func (b *lockedBuffer) Write(p []byte) (int, error) {
	b.mu.Lock()
	defer b.mu.Unlock()
	return b.text.Write(p)
}

func (b *lockedBuffer) String() string {
	b.mu.Lock()
	defer b.mu.Unlock()
	return b.text.String()
}
