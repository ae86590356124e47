package workflows

// Carry is what one run of a Rollout workflow hands to the next.
type Carry struct{}
