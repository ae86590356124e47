package api

// ErrInvalidInput is the type of the error with which a workflow refuses its input. It has done nothing then.
const ErrInvalidInput = "InvalidInput"

// The closed list of error types that activities return. Workflows decide by these names, never by text.
const (
	ErrInvalid        = "InvalidRequest"     // our own check refused it; nothing was sent
	ErrRefused        = "Refused"            // the cloud refused, and nothing was started
	ErrCredentials    = "CredentialsRefused" // the cloud does not accept the worker's credentials, or they lack a permission
	ErrSecret         = "SecretUnreadable"   // the worker cannot read a secret that the change refers to; nothing was sent
	ErrVanished       = "ServerVanished"     // the cloud does not know the server
	ErrForeignDisk    = "ForeignDisk"        // somebody else replaced the system disk; nothing was sent
	ErrUnproven       = "RefusedUnproven"    // of earlier workers: the cloud refused for a reason that is in no table; the server has to tell
	ErrGivenUp        = "GivenUp"            // nothing was accepted for so long that it is tried no more
	ErrThrottled      = "Throttled"          // asked to slow down; nothing was started
	ErrNotSent        = "NotSent"            // the request never left this machine
	ErrNotReady       = "NotReady"           // the server is busy; nothing was started
	ErrCloud          = "CloudTrouble"       // the cloud failed to answer a question; ask again
	ErrInDoubt        = "InDoubt"            // a write may or may not have been accepted
	ErrWorkerStopping = "WorkerStopping"     // handed back so that another worker carries on
	ErrOverdue        = "Overdue"            // the server did not reach the state in time
	ErrRecalled       = "Recalled"           // the rollout of the server takes it back; nothing was sent
	ErrReset          = "WorkflowReset"      // the workflow was reset: this run touches nothing
)

// IsOfWorker is true for an error that is about what the worker lacks, and not about the server: the rollout pauses, and the server
// waits for its turn.
func IsOfWorker(kind string) bool { return kind == ErrCredentials || kind == ErrSecret }
