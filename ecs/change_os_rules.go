package ecs

import (
	"errors"
	"fmt"
)

const (
	maxUserData = 32 << 10 // bytes, before encoding
	maxKeyName  = 255
)

// FieldError is one rule that a request breaks. It never holds the value of a secret.
type FieldError struct {
	Field   string // the field of ChangeOSRequest
	Problem string
}

func (e *FieldError) Error() string { return e.Field + ": " + e.Problem }

// Validate reports every rule of the change-OS pages that the request breaks, one *FieldError each.
func (r ChangeOSRequest) Validate() error {
	var v violations
	if r.version() != APIv1 && r.version() != APIv2 {
		v.add("API", "%q is neither v1 nor v2", r.API)
	}
	if !isUUID(r.ImageID) {
		v.add("ImageID", "%q is not a UUID", shown(r.ImageID))
	}
	v.login(r)
	v.userData(r)
	v.encryption(r)
	return errors.Join(v...)
}

type violations []error

func (v *violations) add(field, format string, args ...any) {
	*v = append(*v, &FieldError{Field: field, Problem: fmt.Sprintf(format, args...)})
}

func (v *violations) login(r ChangeOSRequest) {
	if !r.AdminPass.Empty() {
		for _, problem := range passwordProblems(r.AdminPass.Reveal()) {
			v.add("AdminPass", "%s", problem)
		}
		if r.KeyName != "" {
			v.add("AdminPass", "excludes KeyName: the cloud takes a password or a key pair")
		}
		if !r.UserData.Empty() {
			v.add("AdminPass", "excludes UserData: the cloud would accept both and not set the password")
		}
	}
	if r.KeyName != tidy(r.KeyName) || len(r.KeyName) > maxKeyName {
		v.add("KeyName", "is longer than %d bytes or contains line breaks or characters that do not print", maxKeyName)
	}
	if r.UserID != "" && !isToken(r.UserID) {
		v.add("UserID", "%q must be 1 to 64 letters, digits and dashes", shown(r.UserID))
	}
}

func (v *violations) userData(r ChangeOSRequest) {
	data := r.UserData.Reveal()
	if len(data) > maxUserData {
		v.add("UserData", "has %d bytes and at most %d are allowed: %s", len(data), maxUserData, packingAdvice(data))
	}
	if _, err := UserDataText(r.UserData); err != nil {
		v.add("UserData", "%s", err)
	}
	if data != "" && r.version() == APIv1 {
		v.add("UserData", "needs API v2: images of v1 have nothing that would read it")
	}
}

func (v *violations) encryption(r ChangeOSRequest) {
	encrypted := r.Encrypted != nil && *r.Encrypted
	switch {
	case encrypted && r.CMKID == "":
		v.add("CMKID", "is missing: an encrypted disk needs a key")
	case !encrypted && r.CMKID != "":
		v.add("CMKID", "goes with Encrypted true only")
	case r.CMKID != "" && !isUUID(r.CMKID):
		v.add("CMKID", "%q is not a UUID", shown(r.CMKID))
	}
}
