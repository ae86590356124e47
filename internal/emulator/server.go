package emulator

import (
	"strings"
	"time"
)

// Server is the true state of one server. Its JSON form is the admin surface's, not the cloud's; see render.go for that.
type Server struct {
	ID   string `json:"id"`
	Name string `json:"name"`

	Status    string `json:"status"`     // follows from the two states below; ECS status table
	VMState   string `json:"vm_state"`   // active, stopped, error, building
	TaskState string `json:"task_state"` // "" is null: nothing is going on

	ImageID        string   `json:"image_id"`         // what the system disk was made from
	SystemVolumeID string   `json:"system_volume_id"` // "" when the server has no system disk
	SystemDiskGB   int      `json:"system_disk_gb"`
	DataVolumeIDs  []string `json:"data_volume_ids"`

	FlavorID string   `json:"flavor_id"`
	VCPUs    int      `json:"vcpus"`
	RAMMB    int      `json:"ram_mb"`
	ARM      bool     `json:"arm"`
	Firmware string   `json:"firmware"` // bios or uefi
	Zone     string   `json:"zone"`
	IP       string   `json:"ip"`
	Tags     []string `json:"tags"` // "key=value" or "key"
	// ServerGroup is the name of the anti-affinity group it belongs to. The group is made of the servers
	// that name it.
	ServerGroup string `json:"server_group,omitempty"`

	Locked       bool   `json:"locked"`
	LockSource   string `json:"lock_source,omitempty"`
	ChargingMode string `json:"charging_mode"` // "0" pay per use, "1" yearly/monthly, "2" spot
	Frozen       bool   `json:"frozen"`
	Fault        string `json:"fault,omitempty"` // text of the API's fault object, "" is null
	IgnoresACPI  bool   `json:"ignores_acpi"`    // a SOFT stop waits for Timing.GuestTimeout

	// The login and first-boot script of the last accepted change that succeeded.
	KeyName        string `json:"key_name"`
	UserID         string `json:"user_id"`
	PasswordSHA256 string `json:"password_sha256,omitempty"`
	UserDataSHA256 string `json:"user_data_sha256,omitempty"` // of the decoded bytes

	// The rest of that change, as sent.
	BYOL       bool   `json:"byol"`
	Encrypted  bool   `json:"encrypted"`
	KMSKeyID   string `json:"kms_key_id,omitempty"`
	APIVersion string `json:"api_version,omitempty"` // "v1" or "v2"

	Created  time.Time `json:"created"`
	Updated  time.Time `json:"updated"`
	Launched time.Time `json:"launched"`
}

func (s Server) clone() Server {
	s.DataVolumeIDs = append([]string(nil), s.DataVolumeIDs...)
	s.Tags = append([]string(nil), s.Tags...)
	return s
}

// Charging modes as metadata.charging_mode spells them.
const (
	payPerUse = "0"
	prepaid   = "1"
	spot      = "2"
)

// statusOf derives the status from the two states. Source: ECS status table. A server that is powering off still reads
// ACTIVE, one that is powering on still reads SHUTOFF.
func statusOf(vmState, taskState string) string {
	rebuilding := taskState == "rebuilding" || strings.HasPrefix(taskState, "rebuild_")
	switch vmState {
	case "building":
		return "BUILD"
	case "active":
		switch {
		case rebuilding:
			return "REBUILD"
		case taskState == "rebooting", taskState == "reboot_pending", taskState == "reboot_started":
			return "REBOOT"
		case taskState == "rebooting_hard":
			return "HARD_REBOOT"
		case taskState == "powering-off", taskState == "deleting", taskState == "":
			return "ACTIVE"
		}
	case "stopped":
		switch {
		case rebuilding:
			return "REBUILD"
		case taskState == "powering-on", taskState == "deleting", taskState == "":
			return "SHUTOFF"
		}
	case "error":
		switch {
		case rebuilding:
			return "REBUILD"
		case taskState == "deleting", taskState == "":
			return "ERROR"
		}
	}
	return "UNKNOWN"
}

// vmStateOf returns the vm_state of a resting server with that status, "" for a status no server rests in.
func vmStateOf(status string) string {
	switch status {
	case "ACTIVE":
		return "active"
	case "SHUTOFF":
		return "stopped"
	case "ERROR":
		return "error"
	case "BUILD":
		return "building"
	}
	return ""
}
