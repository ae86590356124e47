package workflows

import "go.temporal.io/sdk/workflow"

// The changes of workflow code after which a history that was begun before decides otherwise than a new one.
const (
	// credentialsPause: a server to which nothing happened but that the worker's credentials were refused waits, and
	// the rollout pauses. Before, it had failed.
	credentialsPause = "credentials-pause"
	// credentialsDoubt: a submit that took too long is in doubt, though its last trouble was refused credentials: they may
	// have been those of a look after a lost answer. Before, it counted as refused.
	credentialsDoubt = "credentials-doubt"
	// earlierProof: a change that came while its server was tried again is proof, also when it came after the look. Before,
	// such a server had failed.
	earlierProof = "earlier-proof"
	// foreignLook: a server whose workflow left no result, and that has a disk which no change of ours leaves, is neither
	// tried again nor rolled back. Before, a rollback took that disk.
	foreignLook = "foreign-look"
	// leftStopped: a server that an earlier change of any workflow left stopped is left as before that one. Before, only a
	// command for one server did so.
	leftStopped = "left-stopped"
	// powerWaits: a server that we stopped gets its power back when the credentials are mended, however long that takes.
	// Before, it had failed after a day.
	powerWaits = "power-waits"
)

// since is false in a history that was begun before the change.
func since(ctx workflow.Context, change string) bool {
	return workflow.GetVersion(ctx, change, workflow.DefaultVersion, 1) >= 1
}
