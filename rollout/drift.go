package rollout

// Drift is a planned server that is no longer as it was when the plan was made.
type Drift struct {
	ServerID string `json:"server_id"`
	Name     string `json:"name"`
	// What has changed, in one sentence.
	What string `json:"what"`
}
