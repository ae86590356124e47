package rollout

// Drift is a planned server that is no longer as it was when the plan was made. Without a server id it is the
// image, the key pair or a secret, and without a name too it is that the plan is for another project.
type Drift struct {
	ServerID string `json:"server_id"`
	Name     string `json:"name"`
	// What has changed, in one sentence.
	What string `json:"what"`
}
