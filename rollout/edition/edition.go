// Package edition is the table of what the published documents of the clouds say differently about changing an OS.
// The worker refuses by it what a cloud cannot carry out, and the emulator behaves by it.
//
// The sources are the API references that docs/editions.md names. What no document of a cloud tells is taken as it is
// in the others: nothing is refused on a guess.
package edition

import (
	"fmt"
	"slices"
	"strings"

	"github.com/reimage/reimage/rollout"
)

// Edition is what one cloud documents.
type Edition = rollout.Edition

// Any is the name of the edition that restricts nothing and leaves every answer to the cloud.
const Any = "any"

// Switch is one restriction of an edition.
type Switch struct {
	Name string // as the emulator's --edition-switch calls it
	On   *bool
	// Meaning is one phrase for docs/editions.md.
	Meaning string
}

// Switches are the restrictions of the edition, in the order of the table. To set one is to change the edition.
func Switches(e *Edition) []Switch {
	return []Switch{
		{"strict_key_name", &e.StrictKeyName, "`keyname` is mandatory: there is no change without a key pair"},
		{"no_admin_pass", &e.NoAdminPass, "`adminpass` does not exist: no password can be set"},
		{"stopped_only", &e.StoppedOnly, "only a stopped server, or one whose change failed, can be changed"},
		{"no_mode", &e.NoMode, "`mode` does not exist: the platform does not stop a running server itself"},
		{"v2_only", &e.V2Only, "version 1, for images without Cloud-Init, is not published"},
		{"no_auto_pay", &e.NoAutoPay, "`isAutoPay` does not exist, and no job waits as `PENDING_PAYMENT`"},
		{"no_encryption", &e.NoEncryption, "`__system__encrypted` and `__system__cmkid` do not exist"},
		{"no_windows", &e.NoWindows, "no server can be changed to Windows"},
		{"refuse_other_byol", &e.RefuseOtherBYOL, "`BYOL` other than `\"true\"` is an error and not a no; reimage sends nothing else"},
		{"v1_needs_login", &e.V1NeedsLogin, "version 1 needs a password or a key pair; a published test passes without, so reimage does not refuse it"},
		{"throttle_with_503", &e.ThrottleWith503, "`Common.1503`, flow control, comes with status 503 and not 429; reimage goes by the code"},
	}
}

// Row is an edition, whose it is, and what of it nobody has written down.
type Row struct {
	Edition
	Cloud string
	// Untold are the names of the switches that no document of this cloud tells. They are off.
	Untold []string
	// regions and domains are those whose servers are this cloud's. A region counts before a domain.
	regions []string
	domains []string
}

// Named is the edition of that name.
func Named(name string) (Edition, error) {
	if name == "" || name == Any {
		return Edition{Name: Any}, nil
	}
	known := []string{Any}
	for _, row := range Rows() {
		if row.Name == name {
			return row.Edition, nil
		}
		known = append(known, row.Name)
	}
	return Edition{}, fmt.Errorf("edition %q is not known: it is one of %s", name, strings.Join(known, ", "))
}

// HasAccountKeyPairs is true for an edition with a key pair service (KPS), whose key pairs may be of a whole account. The
// compute API knows only those of the user who asks.
func HasAccountKeyPairs(e Edition) bool {
	return e.Name == "huaweicloud" || e.Name == "huaweicloud-eu" || e.Name == "huaweicloud-china"
}

// Of is the edition of the cloud that a host belongs to: "ecs.eu-de.otc.t-systems.com". Of an unknown one it is Any.
func Of(host string) Edition {
	host = strings.ToLower(host)
	found, longest := Edition{Name: Any}, 0
	for _, row := range Rows() {
		if slices.ContainsFunc(row.regions, func(region string) bool { return inRegion(host, region) }) {
			return row.Edition
		}
		for _, domain := range row.domains { // one of them ends in another
			if strings.HasSuffix(host, "."+domain) && len(domain) > longest {
				found, longest = row.Edition, len(domain)
			}
		}
	}
	return found
}

// inRegion looks for the region in SERVICE.REGION.DOMAIN. One that ends in a dash means all that begin with it, of
// myhuaweicloud.com: regions of other clouds may be called alike.
func inRegion(host, region string) bool {
	_, rest, _ := strings.Cut(host, ".")
	if strings.HasSuffix(region, "-") {
		return strings.HasPrefix(rest, region) && strings.HasSuffix(rest, ".myhuaweicloud.com")
	}
	return strings.HasPrefix(rest, region+".")
}
