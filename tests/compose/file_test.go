package compose

import (
	"encoding/json"
	"fmt"
	"maps"
	"os"
	"os/exec"
	"path"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
	"go.yaml.in/yaml/v3"
)

const (
	root    = "../.."
	file    = root + "/docker-compose.yml"
	overlay = "emulator.yml"
)

// composeFile is what of docker-compose.yml has rules.
type composeFile struct {
	Services map[string]service `yaml:"services"`
}

type service struct {
	Image       string            `yaml:"image"`
	Build       map[string]any    `yaml:"build"`
	Environment map[string]string `yaml:"environment"`
	Entrypoint  []string          `yaml:"entrypoint"`
	Volumes     []string          `yaml:"volumes"`
	Ports       []string          `yaml:"ports"`
	Restart     string            `yaml:"restart"`
	HealthCheck *struct {
		Test []string `yaml:"test"`
	} `yaml:"healthcheck"`
	DependsOn map[string]struct {
		Condition string `yaml:"condition"`
	} `yaml:"depends_on"`
}

// hasCommand lists the commands that the images are known to have, for their health checks.
var hasCommand = map[string][]string{
	"postgres":          {"pg_isready"},
	"temporalio/server": {"wget", "nc"}, // busybox; no temporal
}

var pinned = regexp.MustCompile(`^[a-z0-9./-]+:[0-9]+(\.[0-9]+)*$`)

// problems returns what breaks a rule of the file.
func (f composeFile) problems() []string {
	var found []string
	add := func(name, format string, args ...any) {
		found = append(found, name+": "+fmt.Sprintf(format, args...))
	}
	for _, name := range slices.Sorted(maps.Keys(f.Services)) {
		s := f.Services[name]
		image, _, _ := strings.Cut(s.Image, ":")
		if s.Build == nil && !pinned.MatchString(s.Image) {
			add(name, "image %q is not pinned to a version", s.Image)
		}
		for _, port := range s.Ports {
			if !strings.HasPrefix(port, "127.0.0.1:") {
				add(name, "port %q is open beyond the loopback interface", port)
			}
		}
		if s.HealthCheck != nil && (len(s.HealthCheck.Test) < 2 || !slices.Contains(hasCommand[image], s.HealthCheck.Test[1])) {
			add(name, "%s is not known to have the command of the health check %q", image, s.HealthCheck.Test)
		}
		for _, other := range slices.Sorted(maps.Keys(s.DependsOn)) {
			needed, ok := f.Services[other]
			switch condition := s.DependsOn[other].Condition; {
			case !ok:
				add(name, "depends on %s, which there is not", other)
			case condition == "service_healthy" && needed.HealthCheck == nil:
				add(name, "waits for the health of %s, which has no health check", other)
			case condition == "service_completed_successfully" && needed.Restart != "":
				add(name, "waits for the end of %s, which is restarted", other)
			}
		}
		for _, inside := range s.mountedFiles() {
			if _, err := os.Stat(filepath.Join(root, inside)); err != nil {
				add(name, "%v", err)
			}
		}
	}
	return found
}

// mountedFiles returns the paths, in the repository, of the files that a service refers to inside its mounts.
func (s service) mountedFiles() []string {
	var files []string
	for _, volume := range s.Volumes {
		outside, rest, _ := strings.Cut(volume, ":")
		target, _, _ := strings.Cut(rest, ":")
		if !strings.HasPrefix(outside, "./") {
			continue
		}
		for _, value := range append(slices.Collect(maps.Values(s.Environment)), s.Entrypoint...) {
			if inside, ok := strings.CutPrefix(value, target+"/"); ok {
				files = append(files, path.Join(outside, inside))
			}
		}
	}
	return files
}

func load(t *testing.T, name string) composeFile {
	t.Helper()
	text, err := os.ReadFile(name)
	require.NoError(t, err)
	var f composeFile
	require.NoError(t, yaml.Unmarshal(text, &f))
	return f
}

func TestFileKeepsItsRules(t *testing.T) {
	t.Parallel()
	f := load(t, file)
	assert.Empty(t, f.problems())

	waits := map[string]map[string]string{}
	for name, s := range f.Services {
		waits[name] = map[string]string{}
		for other, on := range s.DependsOn {
			waits[name][other] = on.Condition
		}
	}
	assert.Equal(t, map[string]map[string]string{
		"postgres":  {},
		"schema":    {"postgres": "service_healthy"},
		"temporal":  {"schema": "service_completed_successfully"},
		"namespace": {"temporal": "service_healthy"},
		"ui":        {"namespace": "service_completed_successfully"},
		"worker":    {"namespace": "service_completed_successfully"},
	}, waits)

	server := f.Services["temporal"].Environment
	assert.Equal(t, "0.0.0.0", server["BIND_ON_IP"], "the server would listen on its own loopback interface only")
	assert.NotEmpty(t, server["NUM_HISTORY_SHARDS"])
	assert.Contains(t, f.Services["temporal"].mountedFiles(), "deploy/compose/dynamicconfig.yaml")
	assert.Equal(t, "720h", f.Services["namespace"].Environment["RETENTION"])
	assert.Equal(t, []string{"deploy/compose/schema.sh"}, f.Services["schema"].mountedFiles())
	assert.Equal(t, []string{"deploy/compose/namespace.sh"}, f.Services["namespace"].mountedFiles())
}

// TestRulesFindWhatBreaksThem: each change to the file is one problem more.
func TestRulesFindWhatBreaksThem(t *testing.T) {
	t.Parallel()
	text, err := os.ReadFile(file)
	require.NoError(t, err)
	for name, edit := range map[string][3]string{
		"latest":              {"postgres:16", "postgres:latest", "not pinned"},
		"no tag":              {"temporalio/ui:2.54.1", "temporalio/ui", "not pinned"},
		"every interface":     {`"127.0.0.1:${REIMAGE_TEMPORAL_PORT:-7233}:7233"`, `"7233:7233"`, "beyond the loopback"},
		"a command it lacks":  {`"wget", "-q", "-Y"`, `"temporal", "-q", "-Y"`, "not known to have the command"},
		"an unknown service":  {"postgres: { condition", "database: { condition", "which there is not"},
		"health without test": {"temporal: { condition: service_healthy", "ui: { condition: service_healthy", "no health check"},
		"end without end":     {"schema: { condition", "ui: { condition", "which is restarted"},
		"a missing script":    {"/etc/reimage/schema.sh", "/etc/reimage/other.sh", "no such file"},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			changed := strings.Replace(string(text), edit[0], edit[1], 1)
			require.NotEqual(t, string(text), changed)
			var f composeFile
			require.NoError(t, yaml.Unmarshal([]byte(changed), &f))
			problems := f.problems()
			require.Len(t, problems, 1)
			assert.Contains(t, problems[0], edit[2])
		})
	}
}

// TestComposeReadsTheFile with what there is of Compose, which needs no engine for that.
func TestComposeReadsTheFile(t *testing.T) {
	t.Parallel()
	compose := composeCommand(t.Context())
	if compose == nil {
		t.Skip("there is neither docker compose nor docker-compose")
	}
	settings := filepath.Join(t.TempDir(), "worker.env")
	require.NoError(t, os.WriteFile(settings, []byte("HW_REGION_NAME=eu-de\n"), 0o600))
	args := append(slices.Clone(compose), "-f", file, "-f", overlay, "config", "--quiet")
	config := exec.CommandContext(t.Context(), args[0], args[1:]...)
	config.Env = append(os.Environ(), "REIMAGE_ENV_FILE="+settings, "REIMAGE_IMAGE=reimage", "REIMAGE_TEST_CLOUD_PORT=18080")
	out, err := config.CombinedOutput()
	require.NoError(t, err, string(out))
	assert.Empty(t, string(out), "a warning")
}

// TestVersionsAgree: the stand-ins are what their tags say.
func TestVersionsAgree(t *testing.T) {
	t.Parallel()
	list := exec.CommandContext(t.Context(), "go", "mod", "edit", "-json")
	list.Dir = "standin"
	out, err := list.Output()
	require.NoError(t, err)
	var mod struct {
		Require []struct{ Path, Version string }
	}
	require.NoError(t, json.Unmarshal(out, &mod))
	versions := map[string]string{}
	for _, r := range mod.Require {
		versions[r.Path] = r.Version
	}
	services := load(t, file).Services
	server, ui := versions["go.temporal.io/server"], versions["github.com/temporalio/ui-server/v2"]
	assert.Equal(t, "temporalio/server:"+strings.TrimPrefix(server, "v"), services["temporal"].Image)
	assert.Equal(t, "temporalio/admin-tools:"+strings.TrimPrefix(server, "v"), services["schema"].Image)
	assert.Equal(t, services["schema"].Image, services["namespace"].Image)
	assert.Equal(t, "temporalio/ui:"+strings.TrimPrefix(ui, "v"), services["ui"].Image)
}

// TestBuildLeavesSecretsOut: what the build of the image copies stays in its layers.
func TestBuildLeavesSecretsOut(t *testing.T) {
	t.Parallel()
	text, err := os.ReadFile(filepath.Join(root, ".dockerignore"))
	require.NoError(t, err)
	lines := strings.Split(string(text), "\n")
	for _, secret := range []string{".env", "secrets", ".git"} {
		assert.Contains(t, lines, secret)
	}
}
