package main

import (
	"context"
	"encoding/json"
	"fmt"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
	"go.temporal.io/api/workflowservice/v1"
	"google.golang.org/protobuf/types/known/durationpb"

	"github.com/reimage/reimage/api"
)

func TestDoctor(t *testing.T) {
	f := newFleet(t, "patient", 1)
	f.found = []api.Finding{{Check: api.CheckCloud, Verdict: api.CheckOK, Seen: "it answers"}}

	ran := f.cli("doctor", "--task-queue", f.queue, "--profile", "edge", "--image", testImage, "--server", oldImage,
		"--key-pair", "fleet-key", "--key-owner", "svc", "--secret", "env:REIMAGE_SECRET_ROOT", "--secret", "file:init.yaml")
	assert.Equal(t, exitDone, ran.code)
	assert.Empty(t, ran.err)
	assert.Regexp(t, `(?m)^ok       Temporal +`+temporalServer.Address+`, server [0-9.]+$`, ran.out)
	words := strings.Join(strings.Fields(ran.out), " ")
	assert.Regexp(t, ` ok worker task queue `+f.queue+` is served by \d+@[^@ ]+ ok `, words, "these checks are no activity's")
	assert.Contains(t, words, "asked for {Profile:edge ImageID:"+testImage+" ServerID:"+oldImage+" KeyPair:fleet-key KeyOwner:svc Secrets:[env:REIMAGE_SECRET_ROOT file:init.yaml] Workers:[")
	assert.Contains(t, ran.out, "\n5 checks: 5 ok, 0 failed, 0 skipped\n")

	f.found = append(f.found,
		api.Finding{Check: api.CheckClock, Verdict: api.CheckFailed, Seen: "20m ahead", Fix: "set it right"},
		api.Finding{Check: api.CheckCredentials, Verdict: api.CheckSkipped, Seen: "not checked"})
	ran = f.cli("doctor", "--task-queue", f.queue)
	assert.Equal(t, exitUsage, ran.code)
	assert.Contains(t, ran.out, "FAILED   clock")
	assert.Contains(t, ran.out, "-> set it right")
	assert.Equal(t, "reimage: 1 of 7 checks failed: clock\n", ran.err)

	ran = f.cli("doctor", "--task-queue", f.queue, "--output", "json")
	assert.Equal(t, exitUsage, ran.code)
	var printed api.DoctorResult
	require.NoError(t, json.Unmarshal([]byte(ran.out), &printed))
	assert.Equal(t, f.found[1], printed.Findings[5])
}

// TestDoctorOfTheRetention: a namespace that keeps the histories for less than an order lives is told with what that
// risks and with the command that mends it, and is no failure.
func TestDoctorOfTheRetention(t *testing.T) {
	f := newFleet(t, "kept", 1)
	for namespace, days := range map[string]int{"shy-of-an-order": 13, "as-long-as-an-order": 14} {
		_, err := temporalServer.Client.WorkflowService().RegisterNamespace(t.Context(), &workflowservice.RegisterNamespaceRequest{
			Namespace: namespace, WorkflowExecutionRetentionPeriod: durationpb.New(time.Duration(days) * 24 * time.Hour),
		})
		require.NoError(t, err)
		t.Setenv("TEMPORAL_NAMESPACE", namespace)
		var printed api.DoctorResult
		require.NoError(t, json.Unmarshal([]byte(f.cli("doctor", "--task-queue", f.queue, "--output", "json").out), &printed))
		want := api.Finding{Check: checkNamespace, Verdict: api.CheckOK, Seen: fmt.Sprintf("%s, keeps what has ended for %dh", namespace, 24*days)}
		if days < 14 {
			want.Seen += ", and an unpaid order lives for 14 days: when its change is deleted before, nothing keeps reimage from sending a second change beside that order"
			want.Fix = "temporal operator namespace update --namespace " + namespace + " --retention 14d"
		}
		assert.Equal(t, want, printed.Findings[1])
	}
}

// TestDoctorWithoutHelp: whoever is missing is named, and every check that needs them is skipped and says so.
func TestDoctorWithoutHelp(t *testing.T) {
	f := newFleet(t, "alone", 1)
	findings := func(ran ran) map[string]api.Finding {
		t.Helper()
		assert.Equal(t, exitUsage, ran.code)
		assert.Equal(t, 1, strings.Count(ran.err, "\n"), ran.err)
		var printed api.DoctorResult
		require.NoError(t, json.Unmarshal([]byte(ran.out), &printed))
		found := map[string]api.Finding{}
		for _, finding := range printed.Findings {
			found[finding.Check] = finding
		}
		assert.Len(t, found, 3+len(api.DoctorChecks()))
		return found
	}
	skipped := func(found map[string]api.Finding, because string, checks ...string) {
		t.Helper()
		for _, check := range append(checks, api.DoctorChecks()...) {
			assert.Equal(t, api.Finding{Check: check, Verdict: api.CheckSkipped, Seen: "not checked: first comes " + because}, found[check])
		}
	}

	found := findings(f.cli("doctor", "--task-queue", f.queue, "--output", "json"))
	assert.Equal(t, "no worker has made the checks: out of order", found[checkWorker].Seen)
	assert.Contains(t, found[checkWorker].Fix, "look at its log")
	skipped(found, checkWorker)

	found = findings(f.cli("doctor", "--task-queue", "nobody-"+f.queue, "--output", "json"))
	assert.Equal(t, api.CheckOK, found[checkNamespace].Verdict)
	assert.Equal(t, "no worker serves task queue nobody-"+f.queue, found[checkWorker].Seen)
	assert.Contains(t, found[checkWorker].Fix, "start reimage-worker")
	skipped(found, checkWorker)

	t.Setenv("TEMPORAL_NAMESPACE", "nowhere")
	found = findings(f.cli("doctor", "--task-queue", f.queue, "--output", "json"))
	assert.Equal(t, api.CheckOK, found[checkTemporal].Verdict)
	assert.Equal(t, "there is no namespace nowhere", found[checkNamespace].Seen)
	assert.Contains(t, found[checkNamespace].Fix, "temporal operator namespace create --namespace nowhere")
	skipped(found, checkNamespace, checkWorker)

	t.Setenv("TEMPORAL_ADDRESS", "127.0.0.1:1")
	ran := f.cli("doctor", "--task-queue", f.queue)
	for line := range strings.Lines(ran.out) {
		assert.LessOrEqual(t, len(line), 121)
	}
	found = findings(f.cli("doctor", "--task-queue", f.queue, "--output", "json"))
	assert.Contains(t, found[checkTemporal].Seen, "Temporal at 127.0.0.1:1 (namespace nowhere) cannot be reached")
	assert.Contains(t, found[checkTemporal].Fix, "TEMPORAL_ADDRESS")
	skipped(found, checkTemporal, checkNamespace, checkWorker)
}

// TestDoctorInterrupted finds nothing.
func TestDoctorInterrupted(t *testing.T) {
	f := newFleet(t, "hasty", 1)
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	ran := f.cliWith(ctx, "", "doctor", "--task-queue", f.queue)
	assert.Equal(t, exitInterrupted, ran.code)
	assert.Empty(t, ran.out)
}

// TestChecksHaveNamesOfTheirOwn: findings are told apart by them.
func TestChecksHaveNamesOfTheirOwn(t *testing.T) {
	seen := map[string]bool{}
	for _, check := range append([]string{checkTemporal, checkNamespace, checkWorker}, api.DoctorChecks()...) {
		assert.False(t, seen[check], check)
		seen[check] = true
	}
}
