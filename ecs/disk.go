package ecs

import (
	"cmp"
	"context"
	"errors"
)

// ErrNoSystemDisk is inside the error of SystemDisk when the server has none: a change of OS may have
// failed half way.
var ErrNoSystemDisk = errors.New("the server has no system disk")

// ErrTwoSystemDisks is inside the error of SystemDisk while the cloud swaps them.
var ErrTwoSystemDisks = errors.New("the server shows two system disks, as while the cloud swaps them")

// Disk is an attached disk.
type Disk struct {
	VolumeID string
	SizeGB   int
}

// SystemDisk reads the disk that the server boots from, and its size, which Server does not show.
// Without one the error holds ErrNoSystemDisk and has ClassState.
func (c *Client) SystemDisk(ctx context.Context, serverID string) (Disk, error) {
	const op = "read the system disk of"
	resource := "server " + shown(serverID)
	if err := checkUUID("server id", serverID); err != nil {
		return Disk{}, invalid(op, resource, err)
	}
	call := request{op: op, resource: resource, action: ActionReadDisks, url: c.cloudServer("v1", serverID, "block_device")}
	found, err := read(ctx, c, call, decodeSystemDisks)
	switch {
	case err != nil:
		return Disk{}, err
	case len(found) == 0:
		return Disk{}, &Error{Op: op, Resource: resource, Err: ErrNoSystemDisk, class: ClassState}
	case len(found) > 1:
		return Disk{}, &Error{Op: op, Resource: resource, Err: ErrTwoSystemDisks, class: ClassState}
	}
	return found[0], nil
}

// decodeSystemDisks returns the disks with boot index 0. The index is a number here, and a string in the
// view of the server.
func decodeSystemDisks(body []byte) ([]Disk, error) {
	var answer struct {
		Attachments list[struct {
			ID        text   `json:"id"`
			VolumeID  text   `json:"volumeId"`
			BootIndex text   `json:"bootIndex"`
			Size      number `json:"size"`
		}] `json:"volumeAttachments"`
	}
	if err := unmarshal(body, &answer); err != nil {
		return nil, err
	}
	if !hasList(body, "volumeAttachments") {
		return nil, errors.New("the answer lists no disks") // which is no evidence of a lost one
	}
	var disks []Disk
	for _, a := range answer.Attachments {
		if a.BootIndex == "0" {
			volume := string(cmp.Or(a.VolumeID, a.ID)) // the id of an attachment is that of its volume
			if volume == "" {
				return nil, errors.New("the answer does not name the system disk") // which is there
			}
			disks = append(disks, Disk{VolumeID: volume, SizeGB: int(a.Size)})
		}
	}
	return disks, nil
}
