package contract

import "github.com/reimage/reimage/rollout"

// Preflight is the name under which the activity is registered.
const Preflight = "Preflight"

// PreflightInput asks whether a server can be changed.
type PreflightInput struct {
	// Project is the project the caller means. Without it the profile chooses.
	Project string `json:"project,omitempty"`
	// Profile is a profile of the worker. Empty is its only one, or its default.
	Profile  string         `json:"profile,omitempty"`
	ServerID string         `json:"server_id"`
	Change   rollout.Change `json:"change"`
	// Expect is the system disk that the operator was shown and agreed to lose. Nil accepts any.
	Expect *rollout.Fingerprint `json:"expect,omitempty"`
	// HealthyBefore are checks that a running server has to pass now. Empty asks for none.
	HealthyBefore []rollout.HealthCheck `json:"healthy_before,omitempty"`
	// OriginalRunID is the run as which the workflow began. In a workflow that was reset since, the server is not to be changed.
	OriginalRunID string `json:"original_run_id,omitempty"`
}

// PreflightResult is what the cloud shows of the server and the image, with every reason against the
// change at once. With Refusals, nothing may be touched.
type PreflightResult struct {
	Project string              `json:"project"`
	Name    string              `json:"name,omitempty"`
	Before  rollout.Observation `json:"before"`
	// PresentImageName is empty when the image the server runs no longer exists.
	PresentImageName string `json:"present_image_name,omitempty"`
	ImageName        string `json:"image_name,omitempty"`
	// SystemDiskGB and DataDisks tell what is lost and what is kept.
	SystemDiskGB int `json:"system_disk_gb,omitempty"`
	DataDisks    int `json:"data_disks"`
	// AlreadyThere is true when the server is on the image, sound and at rest, and the change does not insist.
	AlreadyThere bool `json:"already_there,omitempty"`
	// Prepaid is true for a server paid by the year or month, whose change may wait for a payment.
	Prepaid bool `json:"prepaid,omitempty"`
	// UserDataDigest pins the user data of the change, as read now. Empty without any.
	UserDataDigest string `json:"user_data_digest,omitempty"`
	// AsBefore is the status that the server had before an earlier change, which has left it stopped. Empty without one.
	AsBefore string   `json:"as_before,omitempty"`
	Refusals []string `json:"refusals,omitempty"`
	Notes    []string `json:"notes,omitempty"`
}
