package ecs

import "fmt"

// Ids end up in the path of a request that may destroy a disk. What is not an id never gets there.

// checkUUID accepts the 8-4-4-4-12 form that servers, images and keys of the KMS have.
func checkUUID(what, id string) error {
	if !isUUID(id) {
		return fmt.Errorf("%s %q is not a UUID", what, id)
	}
	return nil
}

func isUUID(id string) bool {
	if len(id) != 36 {
		return false
	}
	for i := range len(id) {
		dash := i == 8 || i == 13 || i == 18 || i == 23
		if dash != (id[i] == '-') || !dash && !isHex(id[i]) {
			return false
		}
	}
	return true
}

// checkToken accepts 1 to 64 letters, digits and dashes: projects, users and jobs. Job ids are 32 hex
// digits in the documents and UUIDs in examples of the SDK, so the form is not narrowed further.
func checkToken(what, id string) error {
	if !isToken(id) {
		return fmt.Errorf("%s %q must be 1 to 64 letters, digits and dashes", what, id)
	}
	return nil
}

func isToken(id string) bool {
	if id == "" || len(id) > 64 {
		return false
	}
	for i := range len(id) {
		if !isAlphanumeric(id[i]) && id[i] != '-' {
			return false
		}
	}
	return true
}

func isHex(c byte) bool {
	return isDigit(c) || 'a' <= c && c <= 'f' || 'A' <= c && c <= 'F'
}

func isAlphanumeric(c byte) bool { return isDigit(c) || isUpper(c) || isLower(c) }
func isDigit(c byte) bool        { return '0' <= c && c <= '9' }
func isUpper(c byte) bool        { return 'A' <= c && c <= 'Z' }
func isLower(c byte) bool        { return 'a' <= c && c <= 'z' }
