package contract

import (
	"github.com/reimage/reimage/api"
	"github.com/reimage/reimage/rollout"
)

// Diagnose is the name under which the activity is registered.
const Diagnose = "Diagnose"

// DiagnoseInput asks what stands in the way of working on a project.
type DiagnoseInput struct {
	// Profile is a profile of the worker. Empty is its only one, or the one called default.
	Profile string `json:"profile,omitempty"`
	// ImageID and ServerID are looked at closely when they are given.
	ImageID  string `json:"image_id,omitempty"`
	ServerID string `json:"server_id,omitempty"`
	// KeyPair is looked up when it is given, as one of user KeyOwner, or of the worker's user without.
	KeyPair  string `json:"key_pair,omitempty"`
	KeyOwner string `json:"key_owner,omitempty"`
	// Secrets are references that the worker has to be able to read.
	Secrets []rollout.SecretRef `json:"secrets,omitempty"`
}

// WorkerQueue is the task queue on which one worker is asked for its own diagnosis.
func WorkerQueue(taskQueue, worker string) string { return taskQueue + "/" + worker }

// DiagnoseResult has a finding for each of api.DoctorChecks, in their order, for each worker that made them.
type DiagnoseResult struct {
	Findings []api.Finding `json:"findings"`
}
