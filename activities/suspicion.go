package activities

import (
	"context"
	"time"

	"go.temporal.io/api/serviceerror"
	"go.temporal.io/sdk/activity"

	"github.com/reimage/reimage/api"
)

// suspicionTries is how often a signal is tried, a second apart. A suspicion only holds starts, so it is not worth keeping
// the verdict waiting.
const suspicionTries = 5

// suspect tells the rollout of the server, if there is one, that it may have failed. False asks for another try later.
func (s site) suspect(ctx context.Context, ref api.RolloutRef, serverID, reason string) (delivered bool) {
	if ref.WorkflowID == "" {
		return true
	}
	for try := 1; ; try++ {
		err := s.Temporal.SignalWorkflow(ctx, ref.WorkflowID, "", api.SuspicionSignal, api.Suspicion{ServerID: serverID, Reason: reason})
		if err == nil || isA[*serviceerror.NotFound](err) { // a rollout that has ended starts nothing
			return true
		}
		if try == suspicionTries || pause(ctx, time.Second) != nil {
			activity.GetLogger(ctx).Warn("The suspicion could not be delivered to the rollout.", "ServerID", serverID, "Reason", err.Error())
			return false
		}
	}
}
