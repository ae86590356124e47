package main

import (
	"cmp"
	"slices"
	"strings"

	"github.com/reimage/reimage/ecs"
)

// part is what a variable can say about a cloud.
type part int

const (
	accessKeyPart part = iota
	secretKeyPart
	securityTokenPart
	userPart
	passwordPart
	accountPart // of the user: by its id where the name of the variable ends in _ID, otherwise by its name
	tokenPart
	projectIDPart
	projectNamePart
	regionPart
	cloudPart    // the domain of the services; the OpenStack tools have only the address of one for it
	identityPart // the address of the identity service
	caPart       // a file of certificates to trust besides the system's
	insecurePart // true verifies no certificate, which the worker refuses
	enterprisePart
)

// family is the variables of one tool. They belong to one account: no key of one family is used with the secret of
// another. Where the tool knows several names of one thing, they stand in the order in which it asks for them.
type family map[part][]string

// families are the official SDK's, that of Terraform's provider for Huawei Cloud, and that of the OpenStack tools, which
// OTC users have, in the order in which they are asked.
var families = []family{
	{
		accessKeyPart:     {"HUAWEICLOUD_SDK_AK"},
		secretKeyPart:     {"HUAWEICLOUD_SDK_SK"},
		securityTokenPart: {"HUAWEICLOUD_SDK_SECURITY_TOKEN"},
		projectIDPart:     {"HUAWEICLOUD_SDK_PROJECT_ID"},
		regionPart:        {"HW_REGION_NAME"}, // it has none of its own: README.md puts the provider's beside it
		cloudPart:         {"HW_CLOUD"},
		identityPart:      {"HUAWEICLOUD_SDK_IAM_ENDPOINT"},
		enterprisePart:    {"HW_ENTERPRISE_PROJECT_ID"},
	},
	{
		accessKeyPart:     {"HW_ACCESS_KEY"},
		secretKeyPart:     {"HW_SECRET_KEY"},
		securityTokenPart: {"HW_SECURITY_TOKEN"},
		userPart:          {"HW_USER_NAME"},
		passwordPart:      {"HW_USER_PASSWORD"},
		accountPart:       {"HW_DOMAIN_NAME", "HW_DOMAIN_ID"},
		tokenPart:         {"HW_AUTH_TOKEN"},
		projectIDPart:     {"HW_PROJECT_ID"},
		projectNamePart:   {"HW_PROJECT_NAME"},
		regionPart:        {"HW_REGION_NAME"},
		cloudPart:         {"HW_CLOUD"},
		identityPart:      {"HW_AUTH_URL"},
		insecurePart:      {"HW_INSECURE"},
		enterprisePart:    {"HW_ENTERPRISE_PROJECT_ID"},
	},
	openStack,
}

// openStack is the family of the OpenStack tools, in whose names the entries of clouds.yaml are read, too.
var openStack = family{
	accessKeyPart:     {"OS_ACCESS_KEY", "OS_ACCESS_KEY_ID", "OS_AK"},
	secretKeyPart:     {"OS_SECRET_KEY", "OS_ACCESS_KEY_SECRET", "OS_SK"},
	securityTokenPart: {"OS_SECURITY_TOKEN"},
	userPart:          {"OS_USERNAME"},
	passwordPart:      {"OS_PASSWORD"},
	accountPart: {
		"OS_USER_DOMAIN_NAME", "OS_USER_DOMAIN_ID", "OS_DOMAIN_NAME", "OS_DOMAIN_ID", "OS_PROJECT_DOMAIN_NAME", "OS_PROJECT_DOMAIN_ID",
		"OS_DEFAULT_DOMAIN_NAME", "OS_DEFAULT_DOMAIN_ID",
	},
	tokenPart:       {"OS_TOKEN", "OS_AUTH_TOKEN"},
	projectIDPart:   {"OS_PROJECT_ID", "OS_TENANT_ID"},
	projectNamePart: {"OS_PROJECT_NAME", "OS_TENANT_NAME"},
	regionPart:      {"OS_REGION_NAME", "OS_REGION"},
	identityPart:    {"OS_AUTH_URL"},
	caPart:          {"OS_CACERT"},
	insecurePart:    {"OS_INSECURE"},
}

// kinds are the kinds of credentials, in the order in which they are looked for, each by the parts that name it. An
// account alone does not: it goes with access keys, too.
var kinds = []kind{
	{"an access key", []part{accessKeyPart, secretKeyPart, securityTokenPart}},
	{"a user", []part{userPart, passwordPart}},
	{"a token", []part{tokenPart}},
}

type kind struct {
	name  string
	parts []part
}

// has is true for a family that names such credentials, or any part of them.
func (s *settings) has(f family, k kind) bool {
	return slices.ContainsFunc(k.parts, func(p part) bool { return s.of(f, p) != "" })
}

// owner is the first family that names credentials, or any part of them, and nil when none does.
func (s *settings) owner() family {
	for _, kind := range kinds {
		for _, f := range families {
			if s.has(f, kind) {
				return f
			}
		}
	}
	return nil
}

// Where no variable names credentials, these lead a tool to some that the worker cannot read.
var unread = []string{"HW_SHARED_CONFIG_FILE", "HUAWEICLOUD_SDK_ID_TOKEN_FILE", "OS_APPLICATION_CREDENTIAL_ID", "OS_APPLICATION_CREDENTIAL_NAME"}

// With these, Terraform's provider acts in another account than that of its credentials.
var assumed = []string{"HW_ASSUME_ROLE_AGENCY_NAME", "HW_ASSUME_ROLE_IDP_ID", "OS_AGENCY_NAME"}

// elsewhere complains of what leads a tool into another account than the worker would work in. The official SDK assumes
// nothing, so beside its keys nothing is meant for the worker.
func (s *settings) elsewhere() {
	own := s.owner()
	if own == nil && cmp.Or(s.value("HUAWEICLOUD_SDK_CREDENTIALS_FILE"), s.value("REIMAGE_METADATA_ENDPOINT")) != "" {
		return // which somebody has chosen
	}
	for _, name := range unread {
		if own == nil && s.value(name) != "" {
			s.wrong("%s leads to credentials that the worker cannot read, and those that it finds without may be of another account: unset it, and %s, "+
				"or HUAWEICLOUD_SDK_CREDENTIALS_FILE to the SDK's file, or REIMAGE_METADATA_ENDPOINT to %s for the agency of this server", name, setCredentials, ecs.MetadataURL)
		}
	}
	for _, name := range assumed {
		if s.value(name) != "" && s.value("HUAWEICLOUD_SDK_AK") == "" {
			s.wrong("%s has Terraform act in another account, and the worker would work in that of its credentials: unset it if that is meant, or give the worker credentials of the other account", name)
		}
	}
}

// of is what a family says about a part.
func (s *settings) of(f family, p part) string {
	return s.value(s.nameIn(f, p))
}

// nameIn is the variable of a family that says it.
func (s *settings) nameIn(f family, p part) string {
	for _, name := range f[p] {
		if s.value(name) != "" {
			return name
		}
	}
	return ""
}

// name is the variable that says it: that of the credentials' own family, or else the first that is set.
func (s *settings) name(p part) string {
	for _, f := range append([]family{s.own}, families...) {
		if name := s.nameIn(f, p); name != "" {
			return name
		}
	}
	return ""
}

// first is the value of that variable.
func (s *settings) first(p part) string {
	return s.value(s.name(p))
}

// project is the id or the name of the project, both from one family.
func (s *settings) project() (id, name string) {
	for _, f := range append([]family{s.own}, families...) {
		if id, name = s.of(f, projectIDPart), s.of(f, projectNamePart); id != "" || name != "" {
			return id, name
		}
	}
	return "", ""
}

// agree complains where two names of one thing say different things: nobody knows which of them was left over.
func (s *settings) agree(f family) {
	for _, kind := range kinds {
		for _, p := range kind.parts {
			name := s.nameIn(f, p)
			for _, other := range f[p] {
				if value := s.value(other); value != "" && value != s.value(name) {
					s.wrong("%s and %s differ, and mean the same: unset the one that was left over", s.say(name), s.say(other))
				}
			}
		}
	}
}

// incomplete says which parts of credentials are there, and which are missing.
func (s *settings) incomplete(what string, needed ...part) {
	var set, missing []string
	for _, p := range append(needed, securityTokenPart) {
		if name := s.nameIn(s.own, p); name != "" {
			set = append(set, s.say(name))
		}
	}
	for _, p := range needed {
		if s.of(s.own, p) == "" {
			missing = append(missing, "no "+s.say(s.own[p]...))
		}
	}
	s.wrong("%s go together, and nothing is added to them from the names of another tool: there is %s, and %s: set what is missing, or unset what was left over",
		what, strings.Join(set, " and "), strings.Join(missing, ", and "))
}

// say names variables to whoever has to set them: "HW_REGION_NAME or OS_REGION_NAME". Where an entry of clouds.yaml
// answers in their place, it names what belongs in there: "region_name of OS_CLOUD=otc". Those of reimage count beside it.
func (s *settings) say(names ...string) string {
	if !s.entry || len(names) == 1 && strings.HasPrefix(names[0], "REIMAGE_") {
		return strings.Join(names, " or ")
	}
	var keys []string
	for _, k := range entryKeys {
		if slices.Contains(names, k.variable) {
			keys = append(keys, k.key)
		}
	}
	if len(keys) == 0 {
		return strings.Join(names, " or ")
	}
	return strings.Join(keys, " or ") + " of " + s.from
}

// all are the variables of every family that say it.
func all(p part) []string {
	var names []string
	for _, f := range families {
		names = append(names, f[p]...)
	}
	return slices.Compact(names) // the first two share some
}
