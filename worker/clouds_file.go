package main

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"strings"

	"go.yaml.in/yaml/v3"
)

// cloudsFile is the clouds.yaml of the OpenStack tools, or the secure.yaml beside it.
type cloudsFile struct {
	Clouds map[string]struct {
		Auth   map[string]string `yaml:"auth"`
		Region string            `yaml:"region_name"`
	} `yaml:"clouds"`
}

// authVars are the variables that say the same as the entries of auth.
var authVars = map[string]string{
	"auth_url": "OS_AUTH_URL", "username": "OS_USERNAME", "password": "OS_PASSWORD", "token": "OS_TOKEN",
	"user_domain_name": "OS_USER_DOMAIN_NAME", "domain_name": "OS_DOMAIN_NAME",
	"project_id": "OS_PROJECT_ID", "project_name": "OS_PROJECT_NAME", "tenant_name": "OS_TENANT_NAME",
	"ak": "OS_ACCESS_KEY", "access_key": "OS_ACCESS_KEY", "sk": "OS_SECRET_KEY", "secret_key": "OS_SECRET_KEY",
	"security_token": "OS_SECURITY_TOKEN",
}

// withCloudsFile answers with the entry that OS_CLOUD names, in place of every variable of the cloud but those of
// reimage and HW_CLOUD: two accounts are never mixed.
func (s *settings) withCloudsFile() error {
	name := s.text("OS_CLOUD", "")
	if name == "" {
		return nil
	}
	entry, err := s.cloudsEntry(name)
	if err != nil {
		return fmt.Errorf("OS_CLOUD: %w", err)
	}
	env := s.env
	s.from, s.env = s.prefix+"OS_CLOUD="+name, func(variable string) (string, bool) {
		if strings.HasPrefix(variable, "REIMAGE_") || variable == "HW_CLOUD" {
			return env(variable)
		}
		value, ok := entry[variable]
		return value, ok
	}
	return nil
}

// cloudsEntry reads an entry as variables. What is in secure.yaml counts before what is in clouds.yaml.
func (s *settings) cloudsEntry(name string) (map[string]string, error) {
	path, text, err := s.findClouds()
	if err != nil {
		return nil, err
	}
	entry := map[string]string{}
	found, err := addEntry(entry, path, text, name)
	if err != nil {
		return nil, err
	}
	secure := filepath.Join(filepath.Dir(path), "secure.yaml")
	switch text, err := os.ReadFile(secure); {
	case errors.Is(err, fs.ErrNotExist):
	case err != nil:
		return nil, err
	default:
		also, err := addEntry(entry, secure, text, name)
		if err != nil {
			return nil, err
		}
		found = found || also
	}
	if !found {
		return nil, fmt.Errorf("%s has no cloud %q", path, name)
	}
	return entry, nil
}

// findClouds reads the first file there is.
func (s *settings) findClouds() (path string, text []byte, err error) {
	paths := []string{"clouds.yaml", filepath.Join(s.text("HOME", "/"), ".config", "openstack", "clouds.yaml"), "/etc/openstack/clouds.yaml"}
	if given := s.text("OS_CLIENT_CONFIG_FILE", ""); given != "" {
		paths = []string{given}
	}
	for _, path := range paths {
		text, err := os.ReadFile(path)
		if err == nil || !isAbsent(err) {
			return path, text, err
		}
	}
	return "", nil, fmt.Errorf("there is no %s", strings.Join(paths, ", nor "))
}

// addEntry adds the variables of one cloud. An error never repeats the text, which holds secrets.
func addEntry(entry map[string]string, path string, text []byte, name string) (found bool, err error) {
	var file cloudsFile
	if err := yaml.Unmarshal(text, &file); err != nil {
		return false, fmt.Errorf("%s is not a clouds.yaml that can be read", path)
	}
	cloud, found := file.Clouds[name]
	for key, value := range cloud.Auth {
		if variable, known := authVars[key]; known && value != "" {
			entry[variable] = value
		}
	}
	if cloud.Region != "" {
		entry["OS_REGION_NAME"] = cloud.Region
	}
	return found, nil
}
