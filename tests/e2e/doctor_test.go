package e2e

import (
	"cmp"
	"encoding/json"
	"fmt"
	"maps"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
	"go.temporal.io/api/enums/v1"
	"go.temporal.io/api/workflow/v1"
	"go.temporal.io/api/workflowservice/v1"

	"github.com/reimage/reimage/activities/contract"
	"github.com/reimage/reimage/api"
	"github.com/reimage/reimage/internal/emulator"
	"github.com/reimage/reimage/internal/stack"
	"github.com/reimage/reimage/tests/harness"
)

// diagnosed is what reimage doctor found.
func diagnosed(t *testing.T, lab *harness.Lab, code int, args ...string) []api.Finding {
	t.Helper()
	ran := machine.CLI(t, append([]string{"doctor", "--output", "json", "--task-queue", lab.Queue}, args...)...)
	require.Equal(t, code, ran.Code)
	assert.NotContains(t, ran.Out, emulator.DefaultSecretKey)
	var result contract.DiagnoseResult
	require.NoError(t, json.Unmarshal([]byte(ran.Out), &result))
	return result.Findings
}

// doctored is what reimage doctor found with one worker, by check.
func doctored(t *testing.T, lab *harness.Lab, code int, args ...string) map[string]api.Finding {
	t.Helper()
	found := map[string]api.Finding{}
	for _, finding := range diagnosed(t, lab, code, args...) {
		found[finding.Check] = finding
	}
	return found
}

// ofWorker is what a worker found in a check, or the finding that it was not asked.
func ofWorker(findings []api.Finding, worker *stack.Worker, check string) api.Finding {
	for _, finding := range findings {
		if strings.HasPrefix(finding.Worker, strconv.Itoa(worker.PID())+"@") && finding.Check == check {
			return finding
		}
	}
	return api.Finding{}
}

// awaitPollers until Temporal has seen that each of the workers asks for work.
func awaitPollers(t *testing.T, lab *harness.Lab, workers ...*stack.Worker) {
	lab.Eventually("Temporal has seen every worker", func() bool {
		queue, err := lab.Temporal.Client.DescribeTaskQueue(t.Context(), lab.Queue, enums.TASK_QUEUE_TYPE_ACTIVITY)
		require.NoError(t, err)
		seen := map[string]bool{}
		for _, poller := range queue.GetPollers() {
			pid, _, _ := strings.Cut(poller.GetIdentity(), "@")
			seen[pid] = true
		}
		return !slices.ContainsFunc(workers, func(w *stack.Worker) bool { return !seen[strconv.Itoa(w.PID())] })
	})
}

// TestDoctor on a project where all is well: the text for people, and nothing touched.
func TestDoctor(t *testing.T) {
	t.Parallel()
	lab := machine.NewLab(t, emulator.Options{})
	found := doctored(t, lab, 1)
	assert.Equal(t, api.CheckFailed, found["worker"].Verdict)
	assert.Contains(t, found["worker"].Fix, "start reimage-worker")

	one, other := lab.StartWorker(nil), lab.StartWorker(nil)
	awaitPollers(t, lab, one, other)
	server := lab.Server("ACTIVE")
	ran := machine.CLI(t, "doctor", "--task-queue", lab.Queue, "--server", server.ID, "--image", lab.OtherImage(server).ID, "--key-pair", "fleet-key-01")
	assert.Equal(t, 0, ran.Code)
	words := strings.Join(strings.Fields(ran.Out), " ")
	assert.Regexp(t, fmt.Sprintf(` worker \d+@\S+, \d+@\S+ have made these checks for task queue %s `, lab.Queue), words)
	for _, worker := range []*stack.Worker{one, other} {
		assert.Regexp(t, fmt.Sprintf(`(?m)^worker %d@\S+$`, worker.PID()), ran.Out)
	}
	for _, says := range []string{"the cloud accepts them: access key of HUAWEICLOUD_SDK_AK", server.Name + " is ACTIVE and fits the image"} {
		assert.Equal(t, 2, strings.Count(words, says), "each worker says: %s", says)
	}
	assert.Contains(t, ran.Out, "\n35 checks: 31 ok, 0 failed, 4 skipped\n")
	missing := doctored(t, lab, 1, "--key-pair", "fleet-key")["key pair"]
	assert.Contains(t, missing.Seen, `there is no key pair "fleet-key" of the worker's user; near: "fleet-key-01"`)
	for _, account := range lab.Cloud.Ledger().Servers {
		assert.Empty(t, account.Writes)
	}

	var runs []*workflow.WorkflowExecutionInfo
	lab.Eventually("the run is listed", func() bool {
		listed, err := lab.Temporal.Client.ListWorkflow(t.Context(), &workflowservice.ListWorkflowExecutionsRequest{
			Query: "WorkflowType = '" + api.DoctorName + "' AND TaskQueue = '" + lab.Queue + "'",
		})
		require.NoError(t, err)
		runs = listed.GetExecutions()
		return len(runs) > 0
	})
	for _, run := range runs {
		lab.Replay(lab.Temporal.Client.GetWorkflow(t.Context(), run.GetExecution().GetWorkflowId(), run.GetExecution().GetRunId()))
	}
}

// TestDoctorLooksAtTheSecretsOfEveryWorker: one lacks what the other has. The one that was killed is listed as unverified, and fails
// nothing.
func TestDoctorLooksAtTheSecretsOfEveryWorker(t *testing.T) {
	t.Parallel()
	lab := machine.NewLab(t, emulator.Options{Servers: 1})
	bad := lab.StartWorker(nil)
	good := lab.StartWorker(map[string]string{"REIMAGE_SECRET_ROOT_PASSWORD": "Pl4nted-Passw0rd"})
	awaitPollers(t, lab, bad, good)
	lab.Secret("init.yaml", "#cloud-config\n")
	args := []string{"--secret", rootPassword, "--secret", "file:init.yaml"}

	ran := machine.CLI(t, append([]string{"doctor", "--task-queue", lab.Queue}, args...)...)
	assert.Equal(t, 1, ran.Code)
	assert.Regexp(t, fmt.Sprintf(`1 of 35 checks failed: secrets of %d@\S+\n`, bad.PID()), ran.ErrOut)
	assert.NotContains(t, ran.Out+ran.ErrOut, "Pl4nted")
	findings := diagnosed(t, lab, 1, args...)
	failed := ofWorker(findings, bad, api.CheckSecrets)
	assert.Equal(t, api.CheckFailed, failed.Verdict)
	assert.Regexp(t, fmt.Sprintf(`^%s: the worker's environment does not hold it \(worker %d@\S+\)$`, rootPassword, bad.PID()), failed.Seen)
	assert.Contains(t, failed.Fix, "mend it on this worker and restart that")
	read := ofWorker(findings, good, api.CheckSecrets)
	assert.Equal(t, api.CheckOK, read.Verdict)
	assert.Equal(t, "this worker can read: "+rootPassword+", file:init.yaml", read.Seen)
	assert.Equal(t, api.CheckOK, ofWorker(findings, bad, api.CheckCredentials).Verdict)

	require.NoError(t, bad.Kill())
	findings = diagnosed(t, lab, 0, args...)
	gone := ofWorker(findings, bad, api.CheckWorker)
	assert.Equal(t, api.CheckSkipped, gone.Verdict)
	assert.Regexp(t, fmt.Sprintf(`^unverified: %d@\S+ has not made the checks`, bad.PID()), gone.Seen)
	assert.Equal(t, api.CheckOK, ofWorker(findings, good, api.CheckSecrets).Verdict)
}

// asUser are the settings of a worker that signs in, to a project of that name.
func asUser(password, project string) map[string]string {
	return map[string]string{
		"HUAWEICLOUD_SDK_AK": "", "HUAWEICLOUD_SDK_SK": "", "HUAWEICLOUD_SDK_PROJECT_ID": "",
		"OS_USERNAME": emulator.DefaultUserName, "OS_PASSWORD": password, "OS_USER_DOMAIN_NAME": emulator.DefaultDomainName, "OS_PROJECT_NAME": project,
	}
}

// everyServer is a file with a rollout of every server.
func everyServer(t *testing.T, name string) string {
	t.Helper()
	path := filepath.Join(t.TempDir(), "rollout.yaml")
	require.NoError(t, os.WriteFile(path, fmt.Appendf(nil, `apiVersion: reimage/v1
kind: Rollout
metadata: {name: %s}
spec:
  select: {names: ['*']}
  image: {id: %s}
`, name, goodImage), 0o600))
	return path
}

// TestDoctorAndPlanNameWhatIsSetUpWrong: the same cause and the same remedy, whoever is asked.
func TestDoctorAndPlanNameWhatIsSetUpWrong(t *testing.T) {
	t.Parallel()
	for name, test := range map[string]struct {
		cloud emulator.Options
		env   map[string]string
		check string
		seen  string
		fix   string // which the plan says as well, unless it has words of its own
		plan  string
	}{
		"wrong key": {emulator.Options{}, map[string]string{"HUAWEICLOUD_SDK_SK": "not-the-secret-key-of-anybody-at-all"},
			api.CheckCredentials, "access key of HUAWEICLOUD_SDK_AK: ", "the secret key is not that of the access key", ""},
		"wrong password": {emulator.Options{}, asUser("not-the-password-of-anybody", emulator.DefaultProjectName),
			api.CheckCredentials, "user of OS_USERNAME: ", "check the user, password and account", ""},
		"wrong project name of a user": {emulator.Options{}, asUser(emulator.DefaultPassword, "nowhere"),
			api.CheckProject, `in project "nowhere"`, `check that project "nowhere" is one of this cloud and region that the user may use`, ""},
		"wrong project name of a key": {emulator.Options{}, map[string]string{"HUAWEICLOUD_SDK_PROJECT_ID": "", "HW_PROJECT_NAME": "nowhere"},
			api.CheckProject, `look up project "nowhere"`, "check the name and the region, or set the id of the project", ""},
		"wrong project": {emulator.Options{}, map[string]string{"HUAWEICLOUD_SDK_PROJECT_ID": "6af1c92eaf7e471fb35c82eecd4b7b5d"},
			api.CheckProject, "Ecs.0023", "the project is not that of the credentials: check its id, and the region", ""},
		"wrong region": {emulator.Options{Faults: []emulator.Fault{{Op: emulator.OpAny, Kind: emulator.Refuse, Code: "APIGW.0101", Status: 404, Times: -1}}}, nil,
			api.CheckCloud, "APIGW.0101", "check the region, and the domain or endpoint", ""},
		"missing permission": {emulator.Options{Faults: []emulator.Fault{{Op: emulator.OpServers, Kind: emulator.Refuse, Code: "Pdp.0001", Times: -1}}}, nil,
			api.CheckListServers, "Pdp.0001", "the credentials need the action ecs:cloudServers:list in this project", ""},
		"skewed clock": {emulator.Options{Skew: 20 * time.Minute}, nil,
			api.CheckClock, "behind the cloud's", "set the clock of the worker's machine right", "behind the cloud's: set it right there"},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			lab := machine.NewLab(t, test.cloud)
			env := map[string]string{"REIMAGE_IAM_ENDPOINT": lab.URL}
			maps.Copy(env, test.env)
			lab.StartWorker(env)
			found := doctored(t, lab, 1)
			for check, finding := range found {
				assert.Equal(t, check == test.check, finding.Verdict == api.CheckFailed, "%s: %s", check, finding.Seen)
			}
			assert.Contains(t, found[test.check].Seen, test.seen)
			assert.Contains(t, found[test.check].Fix, test.fix)

			document := everyServer(t, "ill")
			ran := machine.CLI(t, "plan", "-f", document, "--task-queue", lab.Queue)
			assert.Equal(t, 1, ran.Code)
			says := test.fix
			if test.plan != "" {
				says = test.plan
			}
			assert.Contains(t, ran.ErrOut, says)
			if test.check != api.CheckListServers { // a plan names by itself every permission that is missing
				assert.Contains(t, ran.ErrOut, "; find out why with: reimage doctor --task-queue "+lab.Queue)
			}
			assert.NotContains(t, ran.ErrOut, "not-the-")
			assert.LessOrEqual(t, lab.Cloud.Ledger().Requests["POST /v3/auth/tokens"], 1, "for the start, doctor and plan together")
		})
	}
}

// TestSlowPlanSaysWhy: whoever waits reads what is asked meanwhile and what went wrong, and a cloud that cannot be
// reached is told before long.
func TestSlowPlanSaysWhy(t *testing.T) {
	t.Parallel()
	document := everyServer(t, "slow")
	for name, test := range map[string]struct {
		cloud emulator.Options
		env   map[string]string
		says  []string
	}{
		"nobody listens": {emulator.Options{}, map[string]string{"REIMAGE_ECS_ENDPOINT": "http://127.0.0.1:1"},
			[]string{"reaches it: network, firewall, HTTPS_PROXY)", "; find out why with: reimage doctor --task-queue "}},
		"trouble that passes": {emulator.Options{Faults: []emulator.Fault{{Op: emulator.OpServers, Kind: emulator.ServerError, Times: 9}}}, nil,
			[]string{"\na worker tries again after: list servers: HTTP 5", "\n  image " + goodImage + " does not exist"}},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			lab := machine.NewLab(t, test.cloud)
			lab.StartWorker(test.env)
			ran := machine.CLI(t, "plan", "-f", document, "--task-queue", lab.Queue)
			assert.Equal(t, 1, ran.Code)
			assert.Contains(t, ran.ErrOut, "a worker is still asking the cloud: servers, again after: list servers: ")
			for _, says := range test.says {
				assert.Contains(t, ran.ErrOut, says)
			}
		})
	}
}

// TestOneProfileIsSetUpWrong: the worker serves the other one, and says which it is.
func TestOneProfileIsSetUpWrong(t *testing.T) {
	t.Parallel()
	lab := machine.NewLab(t, emulator.Options{})
	env := map[string]string{"REIMAGE_PROFILES": "web,edge"}
	for name, value := range asUser("not-the-password-of-anybody", emulator.DefaultProjectName) {
		env["WEB_"+name] = value
	}
	for profile, settings := range map[string]map[string]string{
		"WEB_":  {"REIMAGE_IAM_ENDPOINT": lab.URL},
		"EDGE_": {"HW_ACCESS_KEY": emulator.DefaultAccessKey, "HW_SECRET_KEY": emulator.DefaultSecretKey, "HW_PROJECT_ID": emulator.DefaultProjectID},
	} {
		maps.Copy(settings, map[string]string{"REIMAGE_ECS_ENDPOINT": lab.URL, "REIMAGE_IMS_ENDPOINT": lab.URL})
		for name, value := range settings {
			env[profile+name] = value
		}
	}
	lab.StartWorker(env)
	assert.Equal(t, api.CheckFailed, doctored(t, lab, 1, "--profile", "web")[api.CheckCredentials].Verdict)
	doctored(t, lab, 0, "--profile", "edge")
	assert.Equal(t, 1, lab.Cloud.Ledger().Requests["POST /v3/auth/tokens"])
}

// TestStartThatFailsSignsNobodyIn: whatever restarts a worker again and again would have the user locked.
func TestStartThatFailsSignsNobodyIn(t *testing.T) {
	t.Parallel()
	for name, failing := range map[string][2]string{"no Temporal": {"TEMPORAL_ADDRESS", "127.0.0.1:1"}, "a port in use": {"REIMAGE_LISTEN", ""}} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			lab := machine.NewLab(t, emulator.Options{})
			env := asUser("not-the-password-of-anybody", emulator.DefaultProjectName)
			env["REIMAGE_IAM_ENDPOINT"] = lab.URL
			env[failing[0]] = cmp.Or(failing[1], strings.TrimPrefix(lab.URL, "http://"))
			_, err := lab.TryWorker(env)
			require.ErrorContains(t, err, "the worker ended at once")
			assert.Empty(t, lab.Cloud.Ledger().Requests)
		})
	}
}
