package emulator

import (
	"encoding/json"
	"fmt"
	"slices"
	"strconv"
	"time"
)

// How the API prints times.
const (
	jobTime      = "2006-01-02T15:04:05.000Z"   // jobs: milliseconds
	serverTime   = "2006-01-02T15:04:05Z"       // created, updated: no fraction
	launchedTime = "2006-01-02T15:04:05.000000" // OS-SRV-USG: microseconds, no zone letter
)

// orNull is null when it is empty.
type orNull string

func (s orNull) MarshalJSON() ([]byte, error) {
	if s == "" {
		return []byte("null"), nil
	}
	return json.Marshal(string(s))
}

type jobAccepted struct {
	JobID string `json:"job_id"`
}

// jobView has its members in the recorded order. error_code and fail_reason are absent while the job runs and null after
// success; end_time is "" while it runs.
type jobView struct {
	JobID      string      `json:"job_id"`
	JobType    string      `json:"job_type"`
	BeginTime  string      `json:"begin_time"`
	EndTime    string      `json:"end_time"`
	Status     string      `json:"status"`
	ErrorCode  *orNull     `json:"error_code,omitempty"`
	FailReason *orNull     `json:"fail_reason,omitempty"`
	Entities   jobEntities `json:"entities"`
}

type jobEntities struct {
	ServerID     string    `json:"server_id,omitempty"`
	ErrorMessage string    `json:"errorcode_message,omitempty"` // of a failed sub-job
	SubJobsTotal int       `json:"sub_jobs_total,omitempty"`
	SubJobs      []jobView `json:"sub_jobs,omitempty"`
}

func viewJob(j *job, now time.Time) jobView {
	end, code, reason := j.settled(now)
	v := jobView{
		JobID: j.id, JobType: j.kind, BeginTime: j.begin.Format(jobTime), Status: j.status(now),
		Entities: jobEntities{ServerID: j.server, SubJobsTotal: len(j.subs)},
	}
	for _, sub := range j.subs {
		s := viewJob(sub, now)
		if s.Status == "FAIL" {
			s.Entities.ErrorMessage = string(*s.FailReason)
		}
		v.Entities.SubJobs = append(v.Entities.SubJobs, s)
	}
	if !end.IsZero() {
		errorCode, failReason := orNull(code), orNull(reason)
		v.EndTime, v.ErrorCode, v.FailReason = end.Format(jobTime), &errorCode, &failReason
	}
	return v
}

type serverView struct {
	ID              string                   `json:"id"`
	Name            string                   `json:"name"`
	Description     string                   `json:"description"`
	Status          string                   `json:"status"`
	VMState         string                   `json:"OS-EXT-STS:vm_state"`
	TaskState       orNull                   `json:"OS-EXT-STS:task_state"`
	PowerState      int                      `json:"OS-EXT-STS:power_state"`
	Created         string                   `json:"created"`
	Updated         string                   `json:"updated"`
	Launched        string                   `json:"OS-SRV-USG:launched_at"`
	Terminated      orNull                   `json:"OS-SRV-USG:terminated_at"`
	Image           imageRef                 `json:"image"`
	Flavor          flavorView               `json:"flavor"`
	Addresses       map[string][]addressView `json:"addresses"`
	Metadata        map[string]string        `json:"metadata"`
	Tags            []string                 `json:"tags"`
	SysTags         []tagView                `json:"sys_tags"`
	EnterpriseID    string                   `json:"enterprise_project_id"`
	Locked          bool                     `json:"locked"`
	Fault           *faultView               `json:"fault"`
	Volumes         []volumeView             `json:"os-extended-volumes:volumes_attached"`
	SecurityGroups  []groupView              `json:"security_groups"`
	KeyName         orNull                   `json:"key_name"`
	TenantID        string                   `json:"tenant_id"`
	UserID          string                   `json:"user_id"`
	HostID          string                   `json:"hostId"`
	HostStatus      string                   `json:"host_status"`
	Progress        int                      `json:"progress"`
	ConfigDrive     string                   `json:"config_drive"`
	AccessIPv4      string                   `json:"accessIPv4"`
	AccessIPv6      string                   `json:"accessIPv6"`
	DiskConfig      string                   `json:"OS-DCF:diskConfig"`
	Zone            string                   `json:"OS-EXT-AZ:availability_zone"`
	InstanceName    string                   `json:"OS-EXT-SRV-ATTR:instance_name"`
	Hostname        string                   `json:"OS-EXT-SRV-ATTR:hostname"`
	RootDeviceName  string                   `json:"OS-EXT-SRV-ATTR:root_device_name"`
	LaunchIndex     int                      `json:"OS-EXT-SRV-ATTR:launch_index"`
	SchedulerHints  hintsView                `json:"os:scheduler_hints"`
	AutoTerminateAt string                   `json:"auto_terminate_time"`
}

type imageRef struct {
	ID string `json:"id"`
}

type flavorView struct {
	ID    string `json:"id"`
	Name  string `json:"name"`
	Disk  string `json:"disk"`
	VCPUs string `json:"vcpus"`
	RAM   string `json:"ram"`
}

type addressView struct {
	Version string `json:"version"`
	Addr    string `json:"addr"`
	Primary bool   `json:"primary"`
	MAC     string `json:"OS-EXT-IPS-MAC:mac_addr"`
	Type    string `json:"OS-EXT-IPS:type"`
	PortID  string `json:"OS-EXT-IPS:port_id"`
}

type tagView struct {
	Key   string `json:"key"`
	Value string `json:"value"`
}

type groupView struct {
	ID   string `json:"id"`
	Name string `json:"name"`
}

type hintsView struct {
	Group []string `json:"group,omitempty"` // ids of server groups
}

type faultView struct {
	Message string `json:"message"`
	Code    int    `json:"code"`
	Created string `json:"created,omitempty"`
}

// volumeView is a volume in the server detail, where the boot index is a string.
type volumeView struct {
	ID                  string `json:"id"`
	DeleteOnTermination string `json:"delete_on_termination"`
	BootIndex           orNull `json:"bootIndex"`
	Device              string `json:"device"`
}

func (e *Emulator) viewServer(v view) serverView {
	network := e.seed.uuid("network")
	s := serverView{
		ID: v.ID, Name: v.Name, Status: v.Status, VMState: v.VMState, TaskState: orNull(v.TaskState),
		PowerState: e.powerState(v.VMState),
		Created:    v.Created.Format(serverTime), Updated: v.Updated.Format(serverTime), Launched: v.Launched.Format(launchedTime),
		Image:  imageRef{v.ImageID},
		Flavor: flavorView{v.FlavorID, v.FlavorID, "0", strconv.Itoa(v.VCPUs), strconv.Itoa(v.RAMMB)},
		Addresses: map[string][]addressView{network: {{
			Version: "4", Addr: v.IP, Primary: true, MAC: e.macOf(v.ID), Type: "fixed", PortID: e.seed.uuid("port", v.ID),
		}}},
		Metadata:     metadataOf(v, network),
		Tags:         slices.Concat(v.Tags, platformTags()),
		SysTags:      []tagView{{"_sys_enterprise_project_id", e.enterpriseProject()}},
		EnterpriseID: e.enterpriseProject(), Locked: v.Locked, Volumes: []volumeView{},
		SecurityGroups: []groupView{{e.seed.uuid("security group"), "default"}},
		KeyName:        orNull(v.KeyName), TenantID: e.options.ProjectID, UserID: v.UserID,
		HostID: e.seed.hex("host", v.Zone), HostStatus: "UP", DiskConfig: "MANUAL", Zone: v.Zone,
		InstanceName: "instance-" + e.seed.hex("instance", v.ID)[:8], Hostname: v.Name, RootDeviceName: "/dev/vda",
	}
	if v.ServerGroup != "" {
		s.SchedulerHints.Group = []string{e.groupID(v.ServerGroup)}
	}
	if v.Fault != "" {
		s.Fault = &faultView{Message: v.Fault, Code: 500, Created: v.Updated.Format(serverTime)}
	}
	for _, a := range attachments(v) {
		index := orNull("")
		if a.boot {
			index = "0"
		}
		s.Volumes = append(s.Volumes, volumeView{a.volumeID, "false", index, a.device})
	}
	return s
}

func (e *Emulator) powerState(vmState string) int {
	switch vmState {
	case "active":
		return 1
	case "stopped":
		return e.options.Edition.PowerStateShutdown
	}
	return 0
}

func (e *Emulator) macOf(serverID string) string {
	d := e.seed.digest("mac", serverID)
	return fmt.Sprintf("fa:16:3e:%02x:%02x:%02x", d[0], d[1], d[2])
}

func metadataOf(v view, network string) map[string]string {
	metadata := map[string]string{
		"charging_mode": v.ChargingMode, "vpc_id": network, "EcmResStatus": "normal",
		"metering.image_id": v.installed.ID, "metering.imagetype": v.installed.Type, "image_name": v.installed.Name,
		"metering.resourcespeccode": v.FlavorID + ".linux", "metering.resourcetype": "1",
		"os_type": v.installed.OSType, "os_version": v.installed.OSVersion, "os_bit": "64",
		"virtual_env_type": "FusionCompute",
	}
	if v.Frozen {
		metadata["EcmResStatus"] = "freeze"
	}
	if v.LockSource != "" {
		metadata["lockSource"] = v.LockSource
	}
	return metadata
}

type attachment struct {
	volumeID, device string
	boot             bool
}

// attachments lists the boot volumes first, as /dev/vda onward.
func attachments(v view) []attachment {
	var all []attachment
	for _, id := range v.boot {
		all = append(all, attachment{volumeID: id, boot: true})
	}
	for _, id := range v.DataVolumeIDs {
		all = append(all, attachment{volumeID: id})
	}
	for i := range all {
		all[i].device = "/dev/vd" + string(rune('a'+i))
	}
	return all
}

// blockDeviceView is a volume in GET block_device, where the boot index is a number.
type blockDeviceView struct {
	ID         string `json:"id"`
	VolumeID   string `json:"volumeId"`
	ServerID   string `json:"serverId"`
	Device     string `json:"device"`
	Size       int    `json:"size"` // GB
	BootIndex  *int   `json:"bootIndex"`
	Bus        string `json:"bus"`
	PCIAddress string `json:"pciAddress"`
}

type quantityView struct {
	FreeSCSI int `json:"free_scsi"`
	FreeBlk  int `json:"free_blk"`
	FreeDisk int `json:"free_disk"`
}

type blockDevices struct {
	Attachable  quantityView      `json:"attachableQuantity"`
	Attachments []blockDeviceView `json:"volumeAttachments"`
}

// dataDiskGB is the size of every data disk; nothing depends on it.
const dataDiskGB = 100

func viewBlockDevices(v view) blockDevices {
	all := attachments(v)
	list := blockDevices{Attachable: quantityView{23, 23 - len(all), 23 - len(all)}, Attachments: []blockDeviceView{}}
	for i, a := range all {
		d := blockDeviceView{
			ID: a.volumeID, VolumeID: a.volumeID, ServerID: v.ID, Device: a.device, Size: dataDiskGB, Bus: "virtio",
			PCIAddress: fmt.Sprintf("0000:02:%02x.0", i+1),
		}
		if a.boot {
			zero := 0
			d.Size, d.BootIndex = v.SystemDiskGB, &zero
		}
		list.Attachments = append(list.Attachments, d)
	}
	return list
}
