package contract

// FindHolder is the name under which the activity is registered.
const FindHolder = "FindHolder"

// FindHolderInput names the workflow that locks a server.
type FindHolderInput struct {
	WorkflowID string `json:"workflow_id"`
}

// FindHolderResult says who holds the server.
type FindHolderResult struct {
	Holder string `json:"holder"`
}
