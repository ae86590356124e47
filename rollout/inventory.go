package rollout

import "time"

// Inventory is what the cloud shows when a plan is made: the servers that were asked for and the images
// they run and shall run. A worker gathers it; the planner reads nothing else.
type Inventory struct {
	Project string            `json:"project"`
	Profile string            `json:"profile,omitempty"` // what the worker calls the project
	Edition Edition           `json:"edition,omitzero"`  // of the cloud
	Servers []InventoryServer `json:"servers"`
	Images  []InventoryImage  `json:"images"`
	// Unproven is what nobody knows whether the credentials may do it, because it cannot be found out by looking.
	Unproven []string `json:"unproven,omitempty"`
	// KeyPairUnknown says why it is not known whether the key pair of the change can be used. Empty when it is.
	KeyPairUnknown string `json:"key_pair_unknown,omitempty"`
	// ClockOff is how far the worker's clock is off: "6m0s ahead of the cloud's". Empty when that is not worth mentioning.
	ClockOff string `json:"clock_off,omitempty"`
	// UserData is what a worker found behind the reference to user data.
	UserData InventoryUserData `json:"user_data,omitzero"`
	// HealthUnknown says why servers were not probed. Empty when they were, or when no plan asks for it.
	HealthUnknown string `json:"health_unknown,omitempty"`
	// HoldersUnknown says why it is not known which servers somebody changes. Empty when it is.
	HoldersUnknown string `json:"holders_unknown,omitempty"`
}

// InventoryUserData is what may be shown of user data: never the content.
type InventoryUserData struct {
	// Digest pins the content (Change.UserDataDigest).
	Digest string `json:"digest,omitempty"`
	// Warnings say why the image would not read it, with the reference and without the content.
	Warnings []string `json:"warnings,omitempty"`
}

// MayComeRemedy is what to do about a server with an earlier change that may still come. The id of the server follows.
const MayComeRemedy = "wait for its end (unpaid: pay or cancel its order in the cloud's console); when nothing more comes of it: reimage server forget"

// InventoryServer is a server as the cloud shows it.
type InventoryServer struct {
	ID          string      `json:"id"`
	Name        string      `json:"name"`
	Observation Observation `json:"observation"`
	Zone        string      `json:"zone,omitempty"`
	Tags        []string    `json:"tags,omitempty"` // "key=value" or "key"
	// Groups are the ids of the server groups it belongs to.
	Groups    []string `json:"groups,omitempty"`
	Locked    bool     `json:"locked,omitempty"`
	LockedBy  string   `json:"locked_by,omitempty"`
	Frozen    bool     `json:"frozen,omitempty"`
	Spot      bool     `json:"spot,omitempty"`
	Prepaid   bool     `json:"prepaid,omitempty"`
	RAMMB     int      `json:"ram_mb,omitempty"`
	DiskGB    int      `json:"disk_gb,omitempty"` // of the system disk; zero when it is not known
	DataDisks int      `json:"data_disks,omitempty"`
	// CreatedAt is when the cloud made it, by the worker's clock. Zero when that is not told.
	CreatedAt time.Time `json:"created_at,omitzero"`
	// HeldBy says who changes it at this moment: "held by rollout web since 2026-11-25T17:48:00Z". What the cloud shows of
	// a change differs.
	HeldBy string `json:"held_by,omitempty"`
	// Unfinished says why an earlier change may still come: "its job 3e5f... is PENDING_PAYMENT". Empty for none.
	Unfinished string `json:"unfinished,omitempty"`
	// LeftStopped is true when it ran before an earlier change that has left it stopped.
	LeftStopped bool `json:"left_stopped,omitempty"`
	// Unhealthy names the health checks that it did not pass. Empty also when it was not probed.
	Unhealthy string `json:"unhealthy,omitempty"`
}
