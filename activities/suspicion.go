package activities

import (
	"context"
	"time"

	"go.temporal.io/api/serviceerror"
	"go.temporal.io/sdk/activity"

	"github.com/reimage/reimage/rollout"
)

// SuspicionSignal tells a rollout that a server in flight may have failed. Its argument is a Suspicion.
const SuspicionSignal = "server-suspected"

// Suspicion names a server and says in words of our own what it shows.
type Suspicion struct {
	ServerID string `json:"server_id"`
	Reason   string `json:"reason"`
}

// suspicionTries is how often a signal is tried, a second apart. A suspicion only holds starts, so it is not worth keeping
// the verdict waiting.
const suspicionTries = 5

// suspect tells the rollout of the server, if there is one, that it may have failed. False asks for another try later.
func (s site) suspect(ctx context.Context, ref RolloutRef, serverID, reason string) (delivered bool) {
	if ref.WorkflowID == "" {
		return true
	}
	for try := 1; ; try++ {
		err := s.Temporal.SignalWorkflow(ctx, ref.WorkflowID, "", SuspicionSignal, Suspicion{serverID, reason})
		if err == nil || isA[*serviceerror.NotFound](err) { // a rollout that has ended starts nothing
			return true
		}
		if try == suspicionTries || pause(ctx, time.Second) != nil {
			activity.GetLogger(ctx).Warn("The suspicion could not be delivered to the rollout.", "ServerID", serverID, "Reason", err.Error())
			return false
		}
	}
}

// suspicion says why the server may have failed, nothing if it does not look so.
func (in VerifyServerInput) suspicion(server rollout.Observation) string {
	switch {
	case !server.Exists || server.Rebuilding():
		return ""
	case server.VolumeID == "":
		return "it shows no system disk"
	case server.Status == rollout.StatusError && (!in.WasInError || server.Fingerprint != in.Before):
		return "it is in ERROR"
	}
	return ""
}
