package ecs

import (
	"context"
	"errors"
	"net/http"
	"net/url"
	"slices"
	"strconv"
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
	// Encrypted images make encrypted disks, with their own key: CMKID.
	Encrypted bool
	CMKID     string
	// Whole is a full-server image. It needs its backup, and holds data disks.
	Whole bool
	// NoInjection is __support_fc_inject "true". What it means is contradicted: the documents of the image service say
	// that the image lacks Cloud-Init, the official Terraform provider takes it for having it.
	NoInjection bool
	// PasswordLater is true when the console can set a password afterwards.
	PasswordLater bool
}

// Image reads an image. The service answers an unknown id with an empty list: ClassNotFound.
func (c *Client) Image(ctx context.Context, imageID string) (Image, error) {
	const op = "read"
	resource := "image " + shown(imageID)
	if err := checkUUID("image id", imageID); err != nil {
		return Image{}, invalid(op, resource, err)
	}
	found, err := c.listImages(func(c *Client) ([]Image, error) {
		call := request{op: op, resource: resource, action: ActionListImages, enterprise: c.enterprise, url: c.cloudImages(url.Values{"id": {imageID}})}
		return read(ctx, c, call, func(body []byte) ([]Image, error) { return decodeImages(body, imageID) })
	})
	if err != nil {
		return Image{}, err
	}
	if len(found) == 0 {
		return Image{}, &Error{Op: op, Resource: resource, Status: http.StatusOK, Message: "no such image", class: ClassNotFound}
	}
	return found[0], nil
}

// imagesPage is the largest page that the image service is known to give: its default.
const imagesPage = 500

// ImagesByName reads every image of exactly that name, in any status. There may be none, and more than one.
func (c *Client) ImagesByName(ctx context.Context, name string) ([]Image, error) {
	const op = "list"
	resource := "images named " + strconv.Quote(shown(name))
	if name == "" || name != tidy(name) {
		return nil, invalid(op, resource, errors.New("the name is empty or contains line breaks or characters that do not print"))
	}
	return c.listImages(func(c *Client) ([]Image, error) {
		pages := markedPages[Image]{
			size:   imagesPage,
			decode: decodeImageList,
			id:     func(i Image) string { return i.ID },
			call: func(page url.Values) request {
				page.Set("name", name)
				return request{op: op, resource: resource, action: ActionListImages, enterprise: c.enterprise, url: c.cloudImages(page)}
			},
		}
		all, err := pages.read(ctx, c)
		// An edition that takes the name for a pattern, or ignores it, lists others too.
		return slices.DeleteFunc(all, func(i Image) bool { return i.Name != name || !isUUID(i.ID) }), err
	})
}

func (c *Client) cloudImages(query url.Values) *url.URL {
	return withQuery(c.ims.JoinPath("v2", "cloudimages"), c.narrowed(query))
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
	CMKID          text   `json:"__system__cmkid"`
	Whole          flag   `json:"__whole_image"`
	FCInject       flag   `json:"__support_fc_inject"`
	Features       prose  `json:"__os_feature_list"` // JSON, as text
}

// decodeImages returns the images of that id. A list of others only is an error and not "unknown": then
// the service did not look for this one.
func decodeImages(body []byte, imageID string) ([]Image, error) {
	all, err := decodeImageList(body)
	if err != nil {
		return nil, err
	}
	var found []Image
	for _, i := range all {
		if strings.EqualFold(i.ID, imageID) {
			found = append(found, i)
		}
	}
	if len(found) == 0 && len(all) > 0 {
		return nil, errors.New("the answer is about other images")
	}
	return found, nil
}

func decodeImageList(body []byte) ([]Image, error) {
	var answer struct {
		Images list[imageJSON] `json:"images"`
	}
	if err := unmarshal(body, &answer); err != nil {
		return nil, err
	}
	if !hasList(body, "images") {
		return nil, errors.New("the answer lists no images")
	}
	var images []Image
	for _, i := range answer.Images {
		images = append(images, i.image())
	}
	return images, nil
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
		CMKID:          string(i.CMKID),
		Whole:          bool(i.Whole),
		NoInjection:    bool(i.FCInject),
		PasswordLater:  i.passwordLater(),
	}
}

func (i imageJSON) passwordLater() bool {
	var features struct {
		Reset flag `json:"onekey_resetpasswd"`
	}
	// Features that cannot be read are none: then an operator is asked for a login.
	return unmarshal([]byte(i.Features), &features) == nil && bool(features.Reset)
}
