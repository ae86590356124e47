package contract

// ReadStates is the name under which the activity is registered.
const ReadStates = "ReadStates"

// ReadStatesInput asks which servers are down. Without ids all servers of the project are meant.
type ReadStatesInput struct {
	Project   string   `json:"project"`
	ServerIDs []string `json:"server_ids,omitempty"`
}

// DownServer is a server that does not serve, and its status.
type DownServer struct {
	ID     string `json:"id"`
	Status string `json:"status"`
}

// ReadStatesResult lists the servers that are down. Servers that are not in it run, or do not exist.
type ReadStatesResult struct {
	Down []DownServer `json:"down,omitempty"`
}
