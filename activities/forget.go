package activities

import (
	"github.com/reimage/reimage/api"
	"github.com/reimage/reimage/rollout"
)

// Forget is what to say when nothing comes of them any more.
func (e Earlier) Forget(project, serverID string) api.ForgetChangeInput {
	in := api.ForgetChangeInput{Project: project}
	for i, change := range e.Open {
		in.Runs = append(in.Runs, change.RunID)
		in.JobID, in.UnderWaySince, in.Change = change.JobID, change.UnderWaySince, change.Change
		switch {
		case i > 0:
		case change.Result != nil:
			in.Last = *change.Result
		default:
			in.Last = rollout.ServerResult{End: rollout.FailedChanged, ServerID: serverID, Name: change.Name, JobID: change.JobID, Before: change.Before}
		}
	}
	return in
}
