package rollout

import (
	"errors"
	"fmt"
	"time"
)

// Change is what an operator asks for one server: which image, which login, and how to leave it.
// It travels through workflow histories, so it carries references to secrets and never a secret.
type Change struct {
	// ImageID is the image the new system disk is made from.
	ImageID string `json:"image_id"`
	// API is the change OS operation: v2 for images with Cloud-Init, v1 for the others. Empty means v2.
	API API `json:"api,omitempty"`
	// Login is how the new system is entered. The zero value keeps the credentials of the image.
	Login Login `json:"login,omitzero"`
	// UserDataFrom names the Cloud-Init user data (at most 32 KB of text or gzip, v2 only).
	UserDataFrom SecretRef `json:"user_data_from,omitempty"`
	// UserDataDigest pins the content behind UserDataFrom: another content is refused. Empty takes any. Only a worker can
	// compute it (docs/configuration.md#pinned-user-data).
	UserDataDigest string `json:"user_data_digest,omitempty"`
	// BYOL uses the licence that comes with the image.
	BYOL bool `json:"byol,omitempty"`
	// Encrypted says whether the new system disk is encrypted. Nil leaves it to the cloud.
	Encrypted *bool `json:"encrypted,omitempty"`
	// EncryptionKeyID is the KMS key; it accompanies Encrypted true and nothing else.
	EncryptionKeyID string `json:"encryption_key_id,omitempty"`
	// AutoPay pays the price difference of a yearly/monthly server without asking. Nil sends nothing.
	AutoPay *bool `json:"auto_pay,omitempty"`
	// WithStopServer lets the platform stop the running server itself (mode withStopServer). It gives
	// up the fence that a late duplicate would meet: docs/never-twice.md.
	WithStopServer bool `json:"with_stop_server,omitempty"`
	// AllowHardStop cuts the power when the guest does not shut down in time.
	AllowHardStop bool `json:"allow_hard_stop,omitempty"`
	// Power is the state the server is left in. Empty means as before.
	Power Power `json:"power,omitempty"`
	// EvenIfSameImage changes a server that is on the image already.
	EvenIfSameImage bool `json:"even_if_same_image,omitempty"`
	// Deadline bounds the wait for the cloud's job. Zero means DefaultDeadline.
	Deadline time.Duration `json:"deadline,omitempty"`
}

// Secrets are the references of the change.
func (c Change) Secrets() []SecretRef {
	var refs []SecretRef
	for _, ref := range []SecretRef{c.Login.PasswordFrom, c.UserDataFrom} {
		if ref != "" {
			refs = append(refs, ref)
		}
	}
	return refs
}

// HasSecrets is true when the change sends the cloud a secret: a password, or user data, which may hold some.
func (c Change) HasSecrets() bool { return len(c.Secrets()) > 0 }

// DefaultDeadline is how long a job may run before reimage stops waiting and judges the server
// itself. Published durations reach 20 minutes; jobs beyond an hour need a human.
const DefaultDeadline = time.Hour

// API is the version of the change OS operation.
type API string

// The two versions. The cloud offers no reliable fact to choose between them.
const (
	APIv1 API = "v1"
	APIv2 API = "v2"
)

// Login is how the new system is entered: with a key pair or with a password, never both.
type Login struct {
	KeyPair      string    `json:"key_pair,omitempty"`
	UserID       string    `json:"user_id,omitempty"` // the owner of the key pair
	PasswordFrom SecretRef `json:"password_from,omitempty"`
}

// Power is the state a server is left in.
type Power string

// The power states one can ask for.
const (
	PowerAsBefore Power = "as-before"
	PowerOn       Power = "on"
	PowerOff      Power = "off"
)

// WaitDeadline is the Deadline in force.
func (c Change) WaitDeadline() time.Duration {
	if c.Deadline == 0 {
		return DefaultDeadline
	}
	return c.Deadline
}

// Validate names everything that is wrong with the change. What only the secrets themselves can tell
// (a weak password, user data too long) is found by Preflight on the worker.
func (c Change) Validate() error { return c.validate(SecretRef.Validate) }

// ValidateForm is Validate for the code of workflows, without what a worker hands out. It must not become stricter: what a
// workflow began with has to be valid whenever its history is replayed. Preflight has Validate.
func (c Change) ValidateForm() error { return c.validate(SecretRef.validateForm) }

func (c Change) validate(reference func(SecretRef) error) error {
	var wrong []error
	reject := func(format string, args ...any) { wrong = append(wrong, fmt.Errorf(format, args...)) }

	if !IsUUID(c.ImageID) {
		reject("image id %q is not a UUID (in lower case)", c.ImageID)
	}
	switch c.API {
	case "", APIv1, APIv2:
	default:
		reject("API version %q is neither v1 nor v2", c.API)
	}
	if c.API == APIv1 && c.UserDataFrom != "" {
		reject("user data needs API v2: v1 is for images without Cloud-Init")
	}
	if c.Login.KeyPair != "" && c.Login.PasswordFrom != "" {
		reject("a key pair and a password exclude each other: choose one login")
	}
	if c.Login.PasswordFrom != "" && c.UserDataFrom != "" {
		reject("a password together with user data is accepted by the cloud but not applied: set the password in the user data or use a key pair")
	}
	if c.UserDataDigest != "" && c.UserDataFrom == "" {
		reject("a digest of user data is given without user data")
	}
	if c.Login.UserID != "" && c.Login.KeyPair == "" {
		reject("a key pair owner is given without a key pair")
	}
	for _, named := range []struct {
		what string
		ref  SecretRef
	}{{"password", c.Login.PasswordFrom}, {"user data", c.UserDataFrom}} {
		if err := reference(named.ref); err != nil {
			reject("%s: %w", named.what, err)
		}
	}
	encrypted := c.Encrypted != nil && *c.Encrypted
	if encrypted != (c.EncryptionKeyID != "") {
		reject("an encrypted system disk and its KMS key go together: give both or neither")
	}
	switch c.Power {
	case "", PowerAsBefore, PowerOn, PowerOff:
	default:
		reject("power %q is none of as-before, on, off", c.Power)
	}
	if c.Deadline < 0 || c.Deadline > 24*time.Hour {
		reject("deadline %s is not between 0 and 24h: the cloud forgets finished jobs after a day", c.Deadline)
	}
	return errors.Join(wrong...)
}

// IsUUID tells whether an id has the form the cloud gives to servers, images and volumes, in lower case: ids
// are locks, and a lock has one spelling.
func IsUUID(id string) bool {
	if len(id) != 36 {
		return false
	}
	for i, c := range []byte(id) {
		switch i {
		case 8, 13, 18, 23:
			if c != '-' {
				return false
			}
		default:
			hex := c >= '0' && c <= '9' || c >= 'a' && c <= 'f'
			if !hex {
				return false
			}
		}
	}
	return true
}
