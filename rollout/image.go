package rollout

import "fmt"

// What the image service says of images that decides something.
const (
	ImageActive = "active" // the only status of an image that can be used
	// SystemImage is the type of images that servers boot from. Images that do not say are taken for it.
	SystemImage = "FusionCompute"
	Windows     = "Windows"
)

// InventoryImage is an image as the image service shows it.
type InventoryImage struct {
	ID        string `json:"id"`
	Name      string `json:"name"`
	Status    string `json:"status"`
	OSType    string `json:"os_type,omitempty"`
	Type      string `json:"type,omitempty"` // gold (public), private, shared, market
	VirtEnv   string `json:"virt_env,omitempty"`
	Firmware  string `json:"firmware,omitempty"` // bios when empty
	MinDiskGB int    `json:"min_disk_gb,omitempty"`
	MinRAMMB  int    `json:"min_ram_mb,omitempty"`
	ARM       bool   `json:"arm,omitempty"`
	// Encrypted images make encrypted disks, with the KMS key EncryptionKeyID.
	Encrypted       bool   `json:"encrypted,omitempty"`
	EncryptionKeyID string `json:"encryption_key_id,omitempty"`
	// Whole images hold the data disks of a server, too.
	Whole bool `json:"whole,omitempty"`
	// NoInjection is true for __support_fc_inject "true": the documents say that the image lacks Cloud-Init, and a
	// widely used client takes it for the opposite.
	NoInjection bool `json:"no_injection,omitempty"`
	// PasswordLater is true for an image whose password can be set in the console afterwards.
	PasswordLater bool `json:"password_later,omitempty"`
}

// Objections are the reasons why no server gets the image by this change.
func (i InventoryImage) Objections(c Change, e Edition) []string {
	var found []string
	object := func(when bool, format string, args ...any) {
		if when {
			found = append(found, fmt.Sprintf("image %s (%s) ", i.Name, i.ID)+fmt.Sprintf(format, args...))
		}
	}
	windows := i.OSType == Windows
	object(i.Status != ImageActive, "has status %s and must be %s", i.Status, ImageActive)
	object(i.VirtEnv != "" && i.VirtEnv != SystemImage, "is of type %s: only %s images are system images for servers", i.VirtEnv, SystemImage)
	object(i.Whole, "is a full-server image, with data disks: a change of OS takes a system disk image, make one of the server")
	object(windows && e.NoWindows, "is a Windows image: the API of edition %s changes no server to Windows (docs/editions.md)", e.Name)
	object(windows && c.Login.KeyPair != "" && c.API == APIv1, "is a Windows image without Cloudbase-Init (API v1): it takes a password, not a key pair")
	object(windows && !c.givesLogin() && !i.PasswordLater,
		"is a Windows image, which keeps no password: nobody could log in; give a password or a key pair")
	object(i.Encrypted && i.EncryptionKeyID != "" && c.EncryptionKeyID != "" && c.EncryptionKeyID != i.EncryptionKeyID,
		"is encrypted with key %s, and so are its disks: key %s cannot be theirs; name none", i.EncryptionKeyID, c.EncryptionKeyID)
	return found
}

// Doubts are what nobody can tell of the image, and what somebody should know, before servers get it.
func (i InventoryImage) Doubts(c Change) []string {
	var found []string
	doubt := func(when bool, format string, args ...any) {
		if when {
			found = append(found, fmt.Sprintf("image %s ", i.Name)+fmt.Sprintf(format, args...))
		}
	}
	doubt(i.NoInjection && c.API != APIv1,
		`carries __support_fc_inject "true", by the documents a sign that it lacks Cloud-Init, which API v2 needs: try it on one server first`)
	doubt(i.Encrypted, "is encrypted, and so are the disks made from it: while its key %sis disabled none can be made", prefixedKey(i.EncryptionKeyID))
	public := i.Type == "gold" || i.Type == "market"
	doubt(public && i.OSType != Windows && !c.givesLogin() && !i.PasswordLater,
		"is public and no login is given: the documents allow that for private images only, and nobody may be able to log in")
	doubt(i.OSType == Windows && c.UserDataFrom != "" && c.Login == (Login{}),
		"is a Windows image and only user data is given: the documents know user data as a login for Linux only")
	return found
}

// givesLogin is true when the change itself says how to log in. User data is expected to.
func (c Change) givesLogin() bool {
	return c.Login.KeyPair != "" || c.Login.PasswordFrom != "" || c.UserDataFrom != ""
}

func prefixedKey(id string) string {
	if id == "" {
		return ""
	}
	return id + " "
}
