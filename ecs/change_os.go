package ecs

import (
	"context"
	"encoding/base64"
	"errors"
)

// APIVersion is the version of the change-OS call. No fact about an image tells reliably which one it
// needs, so it is a choice.
type APIVersion string

// The versions: v2 is for images with Cloud-Init or Cloudbase-Init, v1 for images without.
const (
	APIv2 APIVersion = "v2"
	APIv1 APIVersion = "v1"
)

// ChangeOSRequest says what to make of a server. Without password, key pair and user data, the image
// keeps the login it was made with.
type ChangeOSRequest struct {
	API     APIVersion // "" means v2
	ImageID string
	// KeyName is the key pair to log in with, UserID its owner; some editions want both together.
	KeyName, UserID string
	// AdminPass is the password of root or Administrator.
	AdminPass Secret
	// UserData is for Cloud-Init: text, or text packed with gzip, at most 32 KB. The client encodes it in base64.
	UserData Secret
	// BYOL uses the licence that comes with the image.
	BYOL bool
	// Encrypted says whether the new system disk is encrypted, with the key CMKID. Nil leaves it to the cloud.
	Encrypted *bool
	CMKID     string
	// WithStopServer lets the platform stop a running server by itself. Without it a late request meets
	// a running server and is refused.
	WithStopServer bool
	// AutoPay pays the order of a yearly/monthly server whose price changes. Nil leaves it to the cloud.
	AutoPay *bool
}

// changeOSBody is the body as the official SDK sends it, member for member.
type changeOSBody struct {
	Change changeOSJSON `json:"os-change"`
}

type changeOSJSON struct {
	AdminPass string        `json:"adminpass,omitempty"`
	KeyName   string        `json:"keyname,omitempty"`
	UserID    string        `json:"userid,omitempty"`
	ImageID   string        `json:"imageid"`
	Metadata  *metadataJSON `json:"metadata,omitempty"`
	Mode      string        `json:"mode,omitempty"`
	AutoPay   string        `json:"isAutoPay,omitempty"`
}

type metadataJSON struct {
	Encrypted string `json:"__system__encrypted,omitempty"`
	CMKID     string `json:"__system__cmkid,omitempty"`
	UserData  string `json:"user_data,omitempty"`
	BYOL      string `json:"BYOL,omitempty"`
}

// ChangeOS asks to replace the system disk of a server by one made from the image. What was on the disk
// is lost, and so are its snapshots. Accepted means that there is a job, not that it will succeed.
func (c *Client) ChangeOS(ctx context.Context, serverID string, req ChangeOSRequest) Outcome {
	const op = "change the OS of"
	resource := "server " + shown(serverID)
	if err := errors.Join(checkUUID("server id", serverID), req.Validate()); err != nil {
		return refuse(op, resource, err)
	}
	return c.send(ctx, request{
		op:       op,
		resource: resource,
		action:   ActionChangeOS,
		url:      c.cloudServer(string(req.version()), serverID, "changeos"),
		body:     encode(req.body()),
		private:  !req.AdminPass.Empty() || !req.UserData.Empty(),
		secrets:  []string{req.AdminPass.Reveal(), req.UserData.Reveal()},
	})
}

func (r ChangeOSRequest) version() APIVersion {
	if r.API == "" {
		return APIv2
	}
	return r.API
}

func (r ChangeOSRequest) body() changeOSBody {
	change := changeOSJSON{
		AdminPass: r.AdminPass.Reveal(),
		KeyName:   r.KeyName,
		UserID:    r.UserID,
		ImageID:   r.ImageID,
		AutoPay:   choice(r.AutoPay, "true", "false"),
	}
	if r.WithStopServer {
		change.Mode = "withStopServer"
	}
	metadata := metadataJSON{
		Encrypted: choice(r.Encrypted, "1", "0"),
		CMKID:     r.CMKID,
		UserData:  base64.StdEncoding.EncodeToString([]byte(r.UserData.Reveal())),
	}
	if r.BYOL {
		metadata.BYOL = "true" // any other value is "no" to one edition and an error to another
	}
	if metadata != (metadataJSON{}) {
		change.Metadata = &metadata
	}
	return changeOSBody{Change: change}
}

// choice spells an optional boolean the way the API does, as text; "" is left out.
func choice(b *bool, yes, no string) string {
	switch {
	case b == nil:
		return ""
	case *b:
		return yes
	default:
		return no
	}
}
