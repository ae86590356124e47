package ecs

import (
	"slices"
	"strings"
)

const (
	minPassword = 8
	maxPassword = 26
	// passwordSpecials are the special characters that every edition of the API takes. Newer ones take ~#* too.
	passwordSpecials = "!@$%^-_=+[{}]:,./?"
	minClasses       = 3
)

// passwordProblems names each rule of the change-OS pages that the password breaks, without giving the
// password away.
func passwordProblems(password string) []string {
	var upper, lower, digit, special, other bool
	for _, r := range password {
		switch {
		case 'A' <= r && r <= 'Z':
			upper = true
		case 'a' <= r && r <= 'z':
			lower = true
		case '0' <= r && r <= '9':
			digit = true
		case strings.ContainsRune(passwordSpecials, r):
			special = true
		default:
			other = true
		}
	}
	var problems []string
	if len(password) < minPassword || len(password) > maxPassword {
		problems = append(problems, "must have 8 to 26 characters")
	}
	if count(upper, lower, digit, special) < minClasses {
		problems = append(problems, "must mix at least three of upper case, lower case, digits and special characters")
	}
	if other {
		problems = append(problems, "may only contain letters, digits and "+passwordSpecials)
	}
	return problems
}

const administrator = "administrator" // of Windows

// ValidateForWindows reports the rule that the password breaks if the image is a Windows image: it may hold neither
// the name of its user backwards, nor more than two characters in a row of it.
func (r ChangeOSRequest) ValidateForWindows() error {
	password := strings.ToLower(r.AdminPass.Reveal())
	backwards := []byte(administrator)
	slices.Reverse(backwards)
	bad := strings.Contains(password, string(backwards))
	for i := range len(administrator) - 2 {
		bad = bad || strings.Contains(password, administrator[i:i+3])
	}
	if !bad {
		return nil
	}
	return &FieldError{Field: "AdminPass", Problem: "may, with a Windows image, hold neither three characters in a row of Administrator, nor that backwards"}
}

func count(flags ...bool) int {
	n := 0
	for _, flag := range flags {
		if flag {
			n++
		}
	}
	return n
}
