package api

import "github.com/reimage/reimage/rollout/change"

// ErrInvalidInput is the type of the error with which a workflow refuses its input. It has done nothing then.
const ErrInvalidInput = "InvalidInput"

// The types of the errors that activities return: package change has what each of them means. Workflows decide by these
// names, never by text.
const (
	ErrInvalid        = string(change.Invalid)
	ErrRefused        = string(change.Refused)
	ErrCredentials    = string(change.Credentials)
	ErrSecret         = string(change.SecretUnreadable)
	ErrProbesRefused  = string(change.ProbesRefused)
	ErrVanished       = string(change.Vanished)
	ErrForeignDisk    = string(change.DiskReplaced)
	ErrGivenUp        = string(change.GivenUp)
	ErrThrottled      = string(change.Throttled)
	ErrNotSent        = string(change.NotSent)
	ErrNotReady       = string(change.NotReady)
	ErrCloud          = string(change.CloudTrouble)
	ErrInDoubt        = string(change.InDoubt)
	ErrWorkerStopping = string(change.WorkerStopping)
	ErrOverdue        = string(change.Overdue)
	ErrRecalled       = string(change.Recalled)
	ErrReset          = string(change.Reset)
)

// IsOfWorker is true for an error that is about what the worker lacks, and not about the server: the rollout pauses, and the server
// waits for its turn.
func IsOfWorker(kind string) bool { return change.ErrorType(kind).OfWorker() }
