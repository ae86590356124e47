package rollout

import "fmt"

// Edition is what one cloud documents of its API, as far as clouds differ in it (docs/editions.md; package edition has
// the table). Every switch is a restriction, so the zero value has none. The last three are for the emulator: reimage
// gets along with both.
type Edition struct {
	Name            string `json:"name,omitempty"`
	StrictKeyName   bool   `json:"strict_key_name,omitempty"` // there is no change without a key pair
	NoAdminPass     bool   `json:"no_admin_pass,omitempty"`   // no password can be set
	StoppedOnly     bool   `json:"stopped_only,omitempty"`    // the platform does not change a running server,
	NoMode          bool   `json:"no_mode,omitempty"`         // or cannot be asked to stop it
	V2Only          bool   `json:"v2_only,omitempty"`
	NoAutoPay       bool   `json:"no_auto_pay,omitempty"`
	NoEncryption    bool   `json:"no_encryption,omitempty"` // no key for the new disk can be named
	NoWindows       bool   `json:"no_windows,omitempty"`
	RefuseOtherBYOL bool   `json:"refuse_other_byol,omitempty"`
	V1NeedsLogin    bool   `json:"v1_needs_login,omitempty"`
	ThrottleWith503 bool   `json:"throttle_with_503,omitempty"`
}

// Objections are the reasons why the edition cannot carry out the change, each with what to write instead in a
// document, or on the command line.
func (e Edition) Objections(c Change) []string {
	var found []string
	object := func(when bool, format string, args ...any) {
		if when {
			found = append(found, fmt.Sprintf("the API of edition %s ", e.Name)+fmt.Sprintf(format, args...)+" (docs/editions.md)")
		}
	}
	object(e.NoAdminPass && c.Login.PasswordFrom != "", "sets no passwords: log in with a key pair, login.keyPair or --key-pair")
	object(e.StrictKeyName && c.Login.KeyPair == "" && (c.Login.PasswordFrom == "" || !e.NoAdminPass),
		"demands a key pair: write login.keyPair, or --key-pair")
	object((e.NoMode || e.StoppedOnly) && c.WithStopServer,
		"does not stop a running server: leave out stop.platform, or --platform-stop, and reimage stops it")
	object(e.V2Only && c.API == APIv1, "has no version 1: write api: v2, or --api v2, with an image that has Cloud-Init")
	object(e.NoAutoPay && c.AutoPay != nil, "pays nothing: leave out autoPay, or --auto-pay")
	object(e.NoEncryption && c.Encrypted != nil, "takes no key for the disk: leave out disk.encryptWith, or --encrypt-with")
	return found
}
