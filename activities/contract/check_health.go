package contract

import (
	"time"

	"github.com/reimage/reimage/rollout"
)

// CheckHealth is the name under which the activity is registered.
const CheckHealth = "CheckHealth"

// CheckHealthInput says what makes a server healthy.
type CheckHealthInput struct {
	Project  string                `json:"project"`
	ServerID string                `json:"server_id"`
	Checks   []rollout.HealthCheck `json:"checks"`
	// Change tells whether the server was sent secrets, which the cloud may repeat.
	Change rollout.Change `json:"change"`
	// Disk is the proven system disk. A server that has another one by now is not healthy.
	Disk string `json:"disk"`
	// Since is when the step began: all times of the checks count from it.
	Since time.Time `json:"since"`
	// Soak is for how long a server that has passed the checks has to stay healthy. Zero is for the checks themselves.
	Soak time.Duration `json:"soak,omitempty"`
}

// CheckHealthResult is how the checks ended.
type CheckHealthResult struct {
	Healthy bool `json:"healthy,omitempty"`
	// Reason names the checks that did not pass, with their last answers.
	Reason string `json:"reason,omitempty"`
}
