package main

import (
	"cmp"
	"errors"
	"fmt"
	"maps"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strings"

	"go.yaml.in/yaml/v3"
)

// cloudsFile is the clouds.yaml of the OpenStack tools, or their secure.yaml or clouds-public.yaml. Its entries are read
// one by one: what is wrong with one of them is nobody's business who uses another.
type cloudsFile struct {
	path     string
	Clouds   map[string]yaml.Node `yaml:"clouds"`
	Profiles map[string]yaml.Node `yaml:"public-clouds"`
}

// cloudsEntry is what counts in an entry of one of them. The ak and sk beside auth are keys of the object storage only.
type cloudsEntry struct {
	Profile string               `yaml:"profile"`
	Cloud   string               `yaml:"cloud"` // what the profile was called before
	Auth    map[string]yaml.Node `yaml:"auth"`
	Region  string               `yaml:"region_name"`
	Regions []yaml.Node          `yaml:"regions"`
	CACert  string               `yaml:"cacert"`
	// What the worker refuses.
	AuthType yaml.Node `yaml:"auth_type"`
	Verify   yaml.Node `yaml:"verify"`
	Insecure yaml.Node `yaml:"insecure"`
	Cert     yaml.Node `yaml:"cert"`
	Key      yaml.Node `yaml:"key"`
}

// entryKeys are the variables that say the same as the keys of an entry. All but the last two stand in its auth.
var entryKeys = []struct{ key, variable string }{
	{"auth_url", "OS_AUTH_URL"}, {"username", "OS_USERNAME"}, {"password", "OS_PASSWORD"}, {"token", "OS_TOKEN"},
	{"user_domain_name", "OS_USER_DOMAIN_NAME"}, {"user_domain_id", "OS_USER_DOMAIN_ID"},
	{"domain_name", "OS_DOMAIN_NAME"}, {"domain_id", "OS_DOMAIN_ID"},
	{"project_domain_name", "OS_PROJECT_DOMAIN_NAME"}, {"project_domain_id", "OS_PROJECT_DOMAIN_ID"},
	{"default_domain_name", "OS_DEFAULT_DOMAIN_NAME"}, {"default_domain_id", "OS_DEFAULT_DOMAIN_ID"},
	{"project_id", "OS_PROJECT_ID"}, {"project_name", "OS_PROJECT_NAME"}, {"tenant_id", "OS_TENANT_ID"}, {"tenant_name", "OS_TENANT_NAME"},
	{"ak", "OS_ACCESS_KEY"}, {"access_key", "OS_ACCESS_KEY_ID"}, {"sk", "OS_SECRET_KEY"}, {"secret_key", "OS_ACCESS_KEY_SECRET"},
	{"security_token", "OS_SECURITY_TOKEN"}, {"region_name", "OS_REGION_NAME"}, {"cacert", "OS_CACERT"},
}

// knownProfiles are those of the OpenStack SDK that are of these clouds.
var knownProfiles = map[string]map[string]string{
	"otc":       {"OS_AUTH_URL": "https://iam.{region_name}.otc.t-systems.com/v3", "OS_REGION_NAME": "eu-de"},
	"otc-swiss": {"OS_AUTH_URL": "https://iam-pub.{region_name}.sc.otc.t-systems.com/v3", "OS_REGION_NAME": "eu-ch2"},
}

// besideEntry are the variables that count beside an entry, with those of reimage: none of them names credentials or a
// cloud, and an entry has no key for them.
var besideEntry = []string{"HOME", "HW_ENTERPRISE_PROJECT_ID"}

// withCloudsFile answers with the entry that OS_CLOUD names, in place of every variable of the cloud but those of
// reimage: two accounts are never mixed, and no HW_CLOUD leads the token of the one into the cloud of the other.
func (s *settings) withCloudsFile() error {
	name := s.value("OS_CLOUD")
	if name == "" {
		return nil
	}
	entry, err := s.readClouds(name)
	if err != nil {
		return fmt.Errorf("OS_CLOUD: %w", err)
	}
	env := s.env
	s.entry, s.from, s.env = true, s.prefix+"OS_CLOUD="+name, func(variable string) (string, bool) {
		if strings.HasPrefix(variable, "REIMAGE_") || slices.Contains(besideEntry, variable) {
			return env(variable)
		}
		value, ok := entry[variable]
		return value, ok
	}
	return nil
}

// readClouds reads an entry as variables. What is in secure.yaml counts before what is in clouds.yaml, and both before
// the profile that they name.
func (s *settings) readClouds(name string) (map[string]string, error) {
	folders := []string{".", filepath.Join(s.text("HOME", "/"), ".config", "openstack"), "/etc/openstack"}
	file, err := s.readFirst("OS_CLIENT_CONFIG_FILE", "clouds.yaml", folders)
	if err != nil {
		return nil, err
	}
	if file.path == "" {
		return nil, fmt.Errorf("there is no clouds.yaml in %s", strings.Join(folders, ", nor in "))
	}
	folders = append([]string{filepath.Dir(file.path)}, folders...)
	secure, err := s.readFirst("OS_CLIENT_SECURE_FILE", "secure.yaml", folders)
	if err != nil {
		return nil, err
	}
	vars, profile := map[string]string{}, ""
	_, plain := file.Clouds[name]
	_, secret := secure.Clouds[name]
	if !plain && !secret {
		names := slices.Concat(slices.Collect(maps.Keys(file.Clouds)), slices.Collect(maps.Keys(secure.Clouds)))
		slices.Sort(names)
		names = slices.Compact(names)
		return nil, fmt.Errorf("%s has no cloud %q: it has %s", file.path, name, cmp.Or(strings.Join(names, ", "), "none"))
	}
	signsInBy := ""
	for _, f := range []cloudsFile{file, secure} {
		own := map[string]string{}
		named, refused, err := addEntry(own, f.Clouds, name)
		if err != nil {
			return nil, fmt.Errorf("cloud %q in %s %w", name, f.path, err)
		}
		for _, problem := range refused {
			s.wrong("OS_CLOUD: cloud %q in %s %s", name, f.path, problem)
		}
		kind := kindOf(own)
		if kind != "" && signsInBy != "" && kind != signsInBy {
			return nil, fmt.Errorf("cloud %q signs in by %s in %s, and by %s in %s, which may be another account: take one of them out", name, signsInBy, file.path, kind, f.path)
		}
		signsInBy = cmp.Or(kind, signsInBy)
		maps.Copy(vars, own)
		profile = cmp.Or(named, profile)
	}
	if profile != "" {
		public, err := s.readFirst("OS_CLIENT_VENDOR_FILE", "clouds-public.yaml", folders)
		if err != nil {
			return nil, err
		}
		refused, err := addProfile(vars, public, profile)
		if err != nil {
			return nil, fmt.Errorf("cloud %q in %s: %w", name, file.path, err)
		}
		for _, problem := range refused {
			s.wrong("OS_CLOUD: profile %q in %s, of cloud %q, %s", profile, public.path, name, problem)
		}
	}
	return vars, nil
}

// kindOf is what the variables of an entry sign in by, "" when they do not tell.
func kindOf(vars map[string]string) string {
	entry := settings{env: func(name string) (string, bool) { value, ok := vars[name]; return value, ok }}
	for _, kind := range kinds {
		if entry.has(openStack, kind) {
			return kind.name
		}
	}
	return ""
}

// addProfile adds what an entry leaves to its profile. The region of the entry's own auth_url is such that it does not.
func addProfile(vars map[string]string, public cloudsFile, name string) (refused []string, err error) {
	profile := map[string]string{}
	maps.Copy(profile, knownProfiles[name])
	if _, refused, err = addEntry(profile, public.Profiles, name); err != nil {
		return nil, fmt.Errorf("its profile %q in %s %w", name, public.path, err)
	}
	if len(profile) == 0 && vars["OS_AUTH_URL"] == "" {
		return nil, fmt.Errorf("its profile %q is not known, and there is none in a clouds-public.yaml: set auth_url and region_name", name)
	}
	vars["OS_REGION_NAME"] = cmp.Or(vars["OS_REGION_NAME"], regionIn(vars["OS_AUTH_URL"]), profile["OS_REGION_NAME"])
	for variable, value := range profile {
		vars[variable] = cmp.Or(vars[variable], value)
	}
	vars["OS_AUTH_URL"] = strings.ReplaceAll(vars["OS_AUTH_URL"], "{region_name}", vars["OS_REGION_NAME"])
	return refused, nil
}

// readFirst reads the file of a variable, or the first of that name in the folders. As for the tools, each file is looked
// for by itself. Of one that is in none, the path is empty.
func (s *settings) readFirst(variable, name string, folders []string) (cloudsFile, error) {
	if given := s.text(variable, ""); given != "" {
		text, err := os.ReadFile(given)
		switch {
		case err == nil:
			return parseClouds(given, text)
		case isAbsent(err):
			return cloudsFile{}, fmt.Errorf("there is no %s, which %s names", given, variable)
		}
		return cloudsFile{}, err
	}
	for _, folder := range folders {
		path := filepath.Join(folder, name)
		text, err := os.ReadFile(path)
		switch {
		case err == nil:
			return parseClouds(path, text)
		case !isAbsent(err):
			return cloudsFile{}, fmt.Errorf("%w: let the worker read it, or name another file in %s", err, variable)
		}
	}
	return cloudsFile{}, nil
}

// parseClouds reads a file. An error never repeats the text, which holds secrets.
func parseClouds(path string, text []byte) (cloudsFile, error) {
	file := cloudsFile{path: path}
	if err := yaml.Unmarshal(text, &file); err != nil {
		return cloudsFile{}, fmt.Errorf("%s is not a clouds.yaml that can be read%s", path, whereIn(err))
	}
	return file, nil
}

// line is where the parser stopped, or one of its neighbours. Nothing else of its errors is told: they repeat what is in the file.
var line = regexp.MustCompile(`\bline (\d+)`)

func whereIn(err error) string {
	if at := line.FindStringSubmatch(err.Error()); at != nil {
		return ", near line " + at[1]
	}
	return ""
}

// addEntry adds the variables of one entry, and returns the profile that it names, and what of it the worker refuses.
func addEntry(vars map[string]string, entries map[string]yaml.Node, name string) (profile string, refused []string, err error) {
	node, found := entries[name]
	if !found {
		return "", nil, nil
	}
	var entry cloudsEntry
	if err := node.Decode(&entry); err != nil {
		return "", nil, errors.New("cannot be read: its profile, region_name and cacert are text, its regions a list, and its auth has keys of its own")
	}
	for _, k := range entryKeys {
		var value string
		node, found := entry.Auth[k.key]
		if found && node.Decode(&value) != nil {
			return "", nil, fmt.Errorf("has a %s that is no text", k.key)
		}
		if value != "" {
			vars[k.variable] = value
		}
	}
	if region := cmp.Or(entry.Region, only(entry.Regions)); region != "" {
		vars["OS_REGION_NAME"] = region
	}
	if entry.CACert != "" {
		vars["OS_CACERT"] = entry.CACert
	}
	return cmp.Or(entry.Profile, entry.Cloud), entry.refused(), nil
}

// readable are the kinds of auth_type whose keys are read: what is signed in by is what the auth holds.
var readable = []string{"", "password", "v2password", "v3password", "token", "v2token", "v3token", "aksk"}

// refused is what would sign in as another user, or verify less, if the worker ignored it.
func (e cloudsEntry) refused() []string {
	var problems, keys []string
	for _, key := range slices.Sorted(maps.Keys(e.Auth)) {
		if !slices.ContainsFunc(entryKeys, func(known struct{ key, variable string }) bool { return known.key == key }) {
			keys = append(keys, key+" of auth")
		}
	}
	if kind := textOf(e.AuthType); !slices.Contains(readable, kind) {
		keys = append(keys, "auth_type "+kind)
	}
	for _, file := range []struct {
		key  string
		node yaml.Node
	}{{"cert", e.Cert}, {"key", e.Key}} {
		if textOf(file.node) != "" {
			keys = append(keys, file.key)
		}
	}
	if len(keys) > 0 {
		problems = append(problems, fmt.Sprintf("has what the worker does not support: %s: take that out, and sign in by username, password and user_domain_name, "+
			"by a token, or by ak and sk, all of auth", strings.Join(keys, ", ")))
	}
	const unverified = "has %s: %s, and the worker verifies every certificate: take it out, and " + nameTheCA
	if verify := textOf(e.Verify); verify != "" && !isOn(verify) {
		problems = append(problems, fmt.Sprintf(unverified, "verify", verify, "cacert"))
	}
	if insecure := textOf(e.Insecure); !isOff(insecure) {
		problems = append(problems, fmt.Sprintf(unverified, "insecure", insecure, "cacert"))
	}
	return problems
}

// textOf is the text of a key, "" for one that is not there or is null, and for what is no text "...": only text is shown.
func textOf(node yaml.Node) string {
	var text *string
	switch {
	case node.Kind == 0:
		return ""
	case node.Decode(&text) != nil:
		return "..."
	case text == nil:
		return ""
	}
	return *text
}

// only is the region of an entry that lists a single one.
func only(regions []yaml.Node) (name string) {
	if len(regions) != 1 || regions[0].Decode(&name) != nil {
		return ""
	}
	return name
}
