package ecs

import (
	"context"
	"encoding/json"
	"errors"
	"net/http"
	"net/url"
	"strings"
)

// Image is an image of the image service, as far as it decides whether a server can take it.
type Image struct {
	ID, Name string
	Status   string // "active" is the only usable one
	OSType   string // Linux, Windows, Other
	// Type is "gold" (public), "private", "shared" or "market".
	Type string
	// VirtualEnvType is "FusionCompute" for system images of servers; "Ironic", "DataImage", "IsoImage".
	VirtualEnvType string
	Firmware       string // "bios" or "uefi"
	MinDiskGB      int
	MinRAMMB       int
	ARM            bool
	Encrypted      bool
}

// Image reads an image. The service answers an unknown id with an empty list: ClassNotFound.
func (c *Client) Image(ctx context.Context, imageID string) (Image, error) {
	const op = "read"
	resource := "image " + shown(imageID)
	if err := checkUUID("image id", imageID); err != nil {
		return Image{}, invalid(op, resource, err)
	}
	address := c.ims.JoinPath("v2", "cloudimages")
	address.RawQuery = url.Values{"id": {imageID}}.Encode()
	call := request{op: op, resource: resource, url: address}
	found, err := read(ctx, c, call, func(body []byte) ([]Image, error) { return decodeImages(body, imageID) })
	if err != nil {
		return Image{}, err
	}
	if len(found) == 0 {
		return Image{}, &Error{Op: op, Resource: resource, Status: http.StatusOK, Message: "no such image", class: ClassNotFound}
	}
	return found[0], nil
}

type imageJSON struct {
	ID             text   `json:"id"`
	Name           text   `json:"name"`
	Status         text   `json:"status"`
	OSType         text   `json:"__os_type"`
	Type           text   `json:"__imagetype"`
	VirtualEnvType text   `json:"virtual_env_type"`
	Firmware       text   `json:"hw_firmware_type"`
	MinDisk        number `json:"min_disk"`
	MinRAM         number `json:"min_ram"`
	ARM            flag   `json:"__support_arm"`
	Encrypted      flag   `json:"__system__encrypted"`
}

// decodeImages returns the images of that id. A list of others only is an error and not "unknown": then
// the service did not look for this one.
func decodeImages(body []byte, imageID string) ([]Image, error) {
	var answer struct {
		Images list[imageJSON] `json:"images"`
	}
	if err := json.Unmarshal(body, &answer); err != nil {
		return nil, errors.New("the answer cannot be read")
	}
	if !hasList(body, "images") {
		return nil, errors.New("the answer lists no images")
	}
	var found []Image
	for _, i := range answer.Images {
		if strings.EqualFold(string(i.ID), imageID) {
			found = append(found, i.image())
		}
	}
	if len(found) == 0 && len(answer.Images) > 0 {
		return nil, errors.New("the answer is about other images")
	}
	return found, nil
}

func (i imageJSON) image() Image {
	return Image{
		ID:             string(i.ID),
		Name:           string(i.Name),
		Status:         string(i.Status),
		OSType:         string(i.OSType),
		Type:           string(i.Type),
		VirtualEnvType: string(i.VirtualEnvType),
		Firmware:       string(i.Firmware),
		MinDiskGB:      int(i.MinDisk),
		MinRAMMB:       int(i.MinRAM),
		ARM:            bool(i.ARM),
		Encrypted:      bool(i.Encrypted),
	}
}
