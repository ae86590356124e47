package main

import (
	"bytes"
	"os"
	"regexp"
	"strings"
	"testing"

	"github.com/spf13/cobra"
	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/reimage/reimage/internal/buildinfo"
)

func runCommand(t *testing.T, args ...string) (code int, out, errOut string) {
	t.Helper()
	t.Setenv("TEMPORAL_ADDRESS", "127.0.0.1:1")
	t.Setenv("TEMPORAL_CONFIG_FILE", t.TempDir()+"/none.toml")
	var o, e bytes.Buffer
	code = execute(t.Context(), streams{in: strings.NewReader(""), out: &o, err: &e}, args)
	return code, o.String(), e.String()
}

// TestHelpTellsTheExitCodes keeps every command that does something documented.
func TestHelpTellsTheExitCodes(t *testing.T) {
	var walk func(*cobra.Command)
	walk = func(cmd *cobra.Command) {
		if cmd.Name() != "version" {
			assert.Contains(t, cmd.Long, "EXIT STATUS", cmd.CommandPath())
		}
		assert.NotEmpty(t, cmd.Short, cmd.CommandPath())
		for _, sub := range cmd.Commands() {
			walk(sub)
		}
	}
	walk(newRootCommand(streams{}))
}

// TestCommandsAreDocumented keeps the manual complete.
func TestCommandsAreDocumented(t *testing.T) {
	manual, err := os.ReadFile("../docs/commands.md")
	require.NoError(t, err)
	for _, cmd := range newRootCommand(streams{}).Commands() {
		assert.Contains(t, string(manual), "`"+cmd.Name(), cmd.Name())
		for _, sub := range cmd.Commands() {
			assert.Contains(t, string(manual), "`"+cmd.Name()+" "+sub.Name(), sub.CommandPath())
		}
	}
}

// TestExitCodesAreToldTwice, in the help and in the manual, and with the same codes. Everything else links to these.
func TestExitCodesAreToldTwice(t *testing.T) {
	manual := readText(t, "../docs/commands.md")
	_, table, _ := strings.Cut(manual, "## Exit codes")
	var codes []string
	for _, row := range regexp.MustCompile(`(?m)^\| (\d+) \|`).FindAllStringSubmatch(table, -1) {
		codes = append(codes, row[1])
	}
	var told []string
	for _, row := range regexp.MustCompile(`(?m)^  (\d+) `).FindAllStringSubmatch(exitCodes, -1) {
		told = append(told, row[1])
	}
	assert.Equal(t, []string{"0", "1", "2", "3", "4", "5", "130"}, told)
	assert.Equal(t, told, codes)
	for _, text := range []string{manual, strings.Join(strings.Fields(exitCodes), " ")} {
		assert.Contains(t, text, "rolled back on some servers only, or the workflow did not end by itself")
	}
	for _, other := range []string{"../README.md", "../docs/rollout.md"} {
		assert.NotContains(t, readText(t, other), "130", other)
	}
}

func TestVersion(t *testing.T) {
	code, out, _ := runCommand(t, "version")
	assert.Zero(t, code)
	assert.Contains(t, out, "reimage "+buildinfo.Read().String()+" (go")
	assert.Contains(t, out, "Temporal SDK 1.50.0")
}

// TestErrorsAreClean, whatever is in them: no error steers the terminal.
func TestErrorsAreClean(t *testing.T) {
	_, _, errOut := runCommand(t, "\x1b[2Jplan")
	assert.Contains(t, errOut, "unknown command")
	assert.NotContains(t, errOut, "\x1b")
}

// TestBadUsage is refused before anybody is asked.
func TestBadUsage(t *testing.T) {
	const id = "2b1f0f1e-7f0c-4f5e-9a34-6c1d6f0a9e11"
	tests := map[string][]string{
		"no image is given":                 {"server", id},
		"reimage server --help":             {"server", id, "--image", id, "--imagee", "x"},
		"unknown command":                   {"servers"},
		"missing; usage: reimage server ID": {"server", "--image", id},
		"--wait and --detach exclude":       {"server", id, "--image", id, "--wait", "--detach"},
		"text or json":                      {"server", id, "--image", id, "--output", "xml"},
		`power "sideways" is none of`:       {"server", id, "--image", id, "--power", "sideways"},
		`API version "v3" is neither`:       {"server", id, "--image", id, "--api", "v3"},
		"deadline 48h0m0s":                  {"server", id, "--image", id, "--deadline", "48h"},
		"key pair owner is given without":   {"server", id, "--image", id, "--key-owner", "u"},
		`server id "web-07" is not a UUID`:  {"server", "web-07", "--image", id},
		`server id "web-08" is not`:         {"server", "cancel", "web-08"},
		"Temporal at 127.0.0.1:1":           {"server", id, "--image", id},
		`server id "web-09" is not a UUID`:  {"doctor", "--server", "web-09"},
		`image id "ubuntu" is not a UUID`:   {"doctor", "--image", "ubuntu"},
		`--secret: the reference must be env:REIMAGE_SECRET_NAME or file:PATH`: {"doctor", "--secret", "hunter2"},
		`only variables of the worker that begin with REIMAGE_SECRET_`:         {"doctor", "--secret", "env:HUAWEICLOUD_SDK_SK"},
		`--secret names no reference`:                                          {"doctor", "--secret", "file:init.yaml", "--secret="},
		`"web-10" is too much`:                                                 {"doctor", "web-10"},
		"no such file":                                                         {"emulator", "--faults", "/no/such/file"},
		"speed":                                                                {"emulator", "--speed", "-1"},
		"lag":                                                                  {"emulator", "--lag", "-1s"},
		`edition "mars" is not known`:                                          {"emulator", "--edition", "mars"},
		"is not of the form name=value":                                        {"emulator", "--edition-switch", "v2_only"},
		`switch "v3" is not known`:                                             {"emulator", "--edition-switch", "v3=true"},
		`"maybe" is neither true nor false`:                                    {"emulator", "--edition-switch", "v2_only=maybe"},
		`busy code "Ecs.1" is not one of`:                                      {"emulator", "--edition-switch", "busy_code=Ecs.1"},
		"neither beside this one nor on the":                                   {"demo"},
		`unknown command "frobnicate"`:                                         {"help", "frobnicate"},
		`"now" is no part of any command`:                                      {"help", "server", "status", "now"},
		`"tcsh" for "reimage completion"`:                                      {"completion", "tcsh"},
		`"more" for "reimage completion zsh`:                                   {"completion", "zsh", "more"},
	}
	for says, args := range tests {
		t.Run(strings.Join(args, " "), func(t *testing.T) {
			t.Setenv("PATH", "")
			code, out, errOut := runCommand(t, args...)
			assert.Equal(t, exitUsage, code)
			assert.Empty(t, out)
			assert.Contains(t, errOut, says)
		})
	}
}

// TestServersAreGivenByTheirIDs where it is about one: names are refused with a way to the id, by every command, and
// before anybody is asked.
func TestServersAreGivenByTheirIDs(t *testing.T) {
	const id, image = "2b1f0f1e-7f0c-4f5e-9a34-6c1d6f0a9e11", "7d3c9f60-3f0b-4a57-8a1d-0f4be2f1c9d2"
	for _, command := range [][]string{{"server", "--image", image}, {"server", "status"}, {"server", "cancel"}, {"doctor", "--server"}} {
		code, _, errOut := runCommand(t, append(command, "web-07")...)
		assert.Equal(t, exitUsage, code)
		assert.Contains(t, errOut, `server id "web-07" is not a UUID (in lower case), and names are not accepted here`)
		assert.Contains(t, errOut, "The id is in the cloud's console, in plan.json, and in reimage report NAME --format csv")

		_, _, errOut = runCommand(t, append(command, strings.ToUpper(id))...)
		assert.Contains(t, errOut, "is not a UUID in lower case: write "+id)
	}
}

// TestHelp is no error where it helps.
func TestHelp(t *testing.T) {
	for says, args := range map[string][]string{
		"Usage:\n  reimage [command]":         {"help"},
		"Usage:\n  reimage plan -f FILE":      {"help", "plan"},
		"Usage:\n  reimage server status":     {"help", "server", "status"},
		"Usage:\n  reimage completion":        {"completion"},
		"bash completion V2 for reimage":      {"completion", "bash"},
		"Usage:\n  reimage completion fish":   {"help", "completion", "fish"},
		"Usage:\n  reimage server ID --image": {"server", "--help"},
		"#compdef reimage":                    {"completion", "zsh"},
	} {
		code, out, errOut := runCommand(t, args...)
		assert.Equal(t, exitDone, code, args)
		assert.Contains(t, out, says)
		assert.Empty(t, errOut)
	}
}
