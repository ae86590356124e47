package buildinfo

import (
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"runtime/debug"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
)

func TestMerge(t *testing.T) {
	t.Parallel()
	vcs := func(modified string) []debug.BuildSetting {
		return []debug.BuildSetting{
			{Key: "vcs", Value: "git"}, {Key: "vcs.revision", Value: "19dfe68"},
			{Key: "vcs.time", Value: "2026-12-01T04:00:00Z"}, {Key: "vcs.modified", Value: modified},
		}
	}
	linked := Info{Version: "v0.1.0", Commit: "abc1234", Date: "2026-11-30T00:00:00Z"}
	for name, test := range map[string]struct {
		linked   Info
		recorded debug.BuildInfo
		want     string
	}{
		"nothing is known":    {want: "devel"},
		"no repository":       {recorded: debug.BuildInfo{Main: debug.Module{Version: "(devel)"}}, want: "devel"},
		"go install":          {recorded: debug.BuildInfo{Main: debug.Module{Version: "v0.1.0"}}, want: "v0.1.0"},
		"a repository":        {recorded: debug.BuildInfo{Settings: vcs("false")}, want: "devel, commit 19dfe68, 2026-12-01T04:00:00Z"},
		"a changed tree":      {recorded: debug.BuildInfo{Settings: vcs("true")}, want: "devel, commit 19dfe68-dirty, 2026-12-01T04:00:00Z"},
		"an image":            {linked: linked, want: "v0.1.0, commit abc1234, 2026-11-30T00:00:00Z"},
		"the linker is first": {linked: linked, recorded: debug.BuildInfo{Settings: vcs("true")}, want: "v0.1.0, commit abc1234, 2026-11-30T00:00:00Z"},
		"a version alone":     {linked: Info{Version: "v0.1.0"}, want: "v0.1.0"},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			assert.Equal(t, test.want, merge(test.linked, &test.recorded).String())
		})
	}
}

// TestLinkerFlagsOfTheImage links a small program with the flags of the Dockerfile. The linker ignores an -X whose
// variable does not exist, so a renamed variable would go unnoticed.
func TestLinkerFlagsOfTheImage(t *testing.T) {
	t.Parallel()
	dockerfile, err := os.ReadFile("../../Dockerfile")
	require.NoError(t, err)
	flags := regexp.MustCompile(`-ldflags "([^"]+)"`).FindSubmatch(dockerfile)
	require.NotNil(t, flags, "the Dockerfile has no -ldflags")
	expanded := os.Expand(string(flags[1]), func(name string) string {
		require.Regexp(t, `(?m)^ARG `+name+`=$`, string(dockerfile))
		return map[string]string{"VERSION": "v1.2.3", "COMMIT": "abc1234", "DATE": "2026-11-30T00:00:00Z"}[name]
	})

	program := filepath.Join(t.TempDir(), "show")
	out, err := exec.Command("go", "build", "-ldflags", expanded, "-o", program, "./testdata/show").CombinedOutput()
	require.NoError(t, err, string(out))
	out, err = exec.Command(program).CombinedOutput()
	require.NoError(t, err, string(out))
	assert.Equal(t, "v1.2.3, commit abc1234, 2026-11-30T00:00:00Z\n", string(out))
}
