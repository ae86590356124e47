package ecs

import (
	"context"
	"errors"
	"net/netip"
	"slices"
	"strings"
	"time"
)

// Server is a server as the cloud shows it. Statuses are passed on as they are, unknown ones included.
type Server struct {
	ID, Name string
	// Status is derived by the cloud from VMState and TaskState: ACTIVE, SHUTOFF, REBUILD, ERROR, ...
	Status, VMState string
	// TaskState is the operation under way, "" when there is none.
	TaskState string
	ImageID   string
	KeyName   string
	Zone      string
	Locked    bool
	// LockSource is who locked it: "ORDER", for instance.
	LockSource string
	// ChargingMode is "0" pay-per-use, "1" yearly/monthly, "2" spot.
	ChargingMode string
	// ResourceStatus is "normal" or "freeze" (metadata EcmResStatus).
	ResourceStatus string
	OSType         string
	Flavor         Flavor
	Volumes        []Volume
	RootDevice     string // "/dev/vda"
	// Addresses are IPv4 before IPv6, the primary one first.
	Addresses  []Address
	Tags       []string // "key=value" or "key"
	HostStatus string   // UP, UNKNOWN, DOWN, MAINTENANCE
	// Created is when the cloud made it, and Updated when it last worked on it, as it says: "2026-02-10T09:11:31Z".
	Created, Updated string
	// AsOf is when the question was sent, after it got its turn: what the answer shows is no older. Only Server sets it.
	AsOf time.Time
}

// Flavor is the size of a server.
type Flavor struct {
	ID    string
	RAMMB int
}

// Address is one at which a server is reached.
type Address struct {
	IP netip.Addr
	// Floating is true for a public one, which its network translates.
	Floating bool
}

// Volume is an attached disk. BootIndex is "0" for the system disk.
type Volume struct {
	ID, BootIndex, Device string
}

// Server reads a server.
func (c *Client) Server(ctx context.Context, serverID string) (Server, error) {
	const op = "read"
	resource := "server " + shown(serverID)
	if err := checkUUID("server id", serverID); err != nil {
		return Server{}, invalid(op, resource, err)
	}
	call := request{op: op, resource: resource, action: ActionReadServer, url: c.cloudServer("v1", serverID)}
	server, sent, err := readAt(ctx, c, call, func(body []byte) (Server, error) { return decodeServer(body, serverID) })
	if err == nil {
		server.AsOf = sent
	}
	return server, err
}

// SystemVolumeID is the disk the server boots from: the volume with boot index 0, or else the one on
// the root device. It is "" when there is none, and when there are two, as may be in the moment in which
// the cloud swaps them: then neither is the answer.
func (s Server) SystemVolumeID() string {
	isRoot := func(v Volume) bool { return v.BootIndex == "0" }
	if !slices.ContainsFunc(s.Volumes, isRoot) && s.RootDevice != "" {
		isRoot = func(v Volume) bool { return v.Device == s.RootDevice }
	}
	id := ""
	for _, volume := range s.Volumes {
		if !isRoot(volume) {
			continue
		}
		if id != "" && id != volume.ID {
			return ""
		}
		id = volume.ID
	}
	return id
}

// Spot is true for a server that the cloud may take back. Their OS cannot be changed.
func (s Server) Spot() bool { return s.ChargingMode == "2" }

// Prepaid is true for a server paid by the year or month.
func (s Server) Prepaid() bool { return s.ChargingMode == "1" }

// Frozen is true for a server that the account may not use, for instance over an unpaid bill.
func (s Server) Frozen() bool { return strings.EqualFold(s.ResourceStatus, "freeze") }

// serverJSON is what is read of a server. Its user data is left out on purpose: it can hold a hash of
// the administrator's password. So is the text of its fault: it may repeat a secret of whatever request made it. Of the metadata
// only the keys that decide something are read.
type serverJSON struct {
	ID        text `json:"id"`
	Name      text `json:"name"`
	Status    text `json:"status"`
	VMState   text `json:"OS-EXT-STS:vm_state"`
	TaskState text `json:"OS-EXT-STS:task_state"`
	Image     object[struct {
		ID text `json:"id"`
	}] `json:"image"`
	KeyName text `json:"key_name"`
	Zone    text `json:"OS-EXT-AZ:availability_zone"`
	Locked  flag `json:"locked"`
	Fault   object[struct {
		Message prose `json:"message"`
		Code    text  `json:"code"`
	}] `json:"fault"`
	Metadata object[struct {
		ChargingMode   text `json:"charging_mode"`
		ResourceStatus text `json:"EcmResStatus"`
		LockSource     text `json:"lockSource"`
		OSType         text `json:"os_type"`
	}] `json:"metadata"`
	Flavor object[struct {
		ID  text   `json:"id"`
		RAM number `json:"ram"`
	}] `json:"flavor"`
	Volumes list[struct {
		ID        text `json:"id"`
		BootIndex text `json:"bootIndex"`
		Device    text `json:"device"`
	}] `json:"os-extended-volumes:volumes_attached"`
	RootDevice text                                 `json:"OS-EXT-SRV-ATTR:root_device_name"`
	Addresses  object[map[string]list[addressJSON]] `json:"addresses"`
	Tags       list[text]                           `json:"tags"`
	HostStatus text                                 `json:"host_status"`
	Created    text                                 `json:"created"`
	Updated    text                                 `json:"updated"`
}

type addressJSON struct {
	Addr    text `json:"addr"`
	Type    text `json:"OS-EXT-IPS:type"` // fixed or floating
	Primary flag `json:"primary"`
}

// decodeServer reads {"server": {...}}. An answer without a server is an error: an empty server would
// look like one that has lost its disk.
func decodeServer(body []byte, serverID string) (Server, error) {
	var answer struct {
		Server object[serverJSON] `json:"server"`
	}
	if err := unmarshal(body, &answer); err != nil {
		return Server{}, err
	}
	s := answer.Server.value
	switch {
	case s.Status == "":
		return Server{}, errors.New("the answer holds no server")
	case s.ID == "":
		s.ID = text(serverID)
	case !strings.EqualFold(string(s.ID), serverID):
		return Server{}, errors.New("the answer is about another server")
	}
	return s.server(), nil
}

func (s serverJSON) server() Server {
	server := Server{
		ID:             string(s.ID),
		Name:           string(s.Name),
		Status:         string(s.Status),
		VMState:        string(s.VMState),
		TaskState:      string(s.TaskState),
		ImageID:        string(s.Image.value.ID),
		KeyName:        string(s.KeyName),
		Zone:           string(s.Zone),
		Locked:         bool(s.Locked),
		LockSource:     string(s.Metadata.value.LockSource),
		ChargingMode:   string(s.Metadata.value.ChargingMode),
		ResourceStatus: string(s.Metadata.value.ResourceStatus),
		OSType:         string(s.Metadata.value.OSType),
		Flavor:         Flavor{ID: string(s.Flavor.value.ID), RAMMB: int(s.Flavor.value.RAM)},
		RootDevice:     string(s.RootDevice),
		HostStatus:     string(s.HostStatus),
		Created:        string(s.Created),
		Updated:        string(s.Updated),
	}
	for _, v := range s.Volumes {
		server.Volumes = append(server.Volumes, Volume{ID: string(v.ID), BootIndex: string(v.BootIndex), Device: string(v.Device)})
	}
	for _, tag := range s.Tags {
		server.Tags = append(server.Tags, string(tag))
	}
	server.Addresses = addresses(s.Addresses.value)
	return server
}

// addresses are sorted, because the cloud lists them by network, in any order.
func addresses(networks map[string]list[addressJSON]) []Address {
	var found []Address
	primary := map[netip.Addr]bool{}
	for _, network := range networks {
		for _, a := range network {
			ip, err := netip.ParseAddr(string(a.Addr))
			if err != nil {
				continue
			}
			primary[ip] = primary[ip] || bool(a.Primary)
			found = append(found, Address{IP: ip, Floating: strings.EqualFold(string(a.Type), "floating")})
		}
	}
	slices.SortFunc(found, func(a, b Address) int {
		if primary[a.IP] != primary[b.IP] && a.IP.Is4() == b.IP.Is4() {
			if primary[a.IP] {
				return -1
			}
			return 1
		}
		return a.IP.Compare(b.IP) // shorter addresses first
	})
	return found
}
