package main

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"syscall"

	"gopkg.in/ini.v1"
)

// basicVars are the variables that say the same as the keys of the section [basic].
var basicVars = map[string]string{
	"ak": "HUAWEICLOUD_SDK_AK", "sk": "HUAWEICLOUD_SDK_SK", "security_token": "HUAWEICLOUD_SDK_SECURITY_TOKEN",
	"project_id": "HUAWEICLOUD_SDK_PROJECT_ID", "iam_endpoint": "HUAWEICLOUD_SDK_IAM_ENDPOINT",
}

// withCredentialsFile answers with the credentials file of the official SDK, and with the variables where it has
// nothing. As in that SDK's chain the file counts only when no variable names credentials, and its project goes
// with its keys. The parser is the SDK's, so that a file means the same to both.
func (s *settings) withCredentialsFile() error {
	if s.from != "" || s.owner() != nil {
		return nil
	}
	path := s.text("HUAWEICLOUD_SDK_CREDENTIALS_FILE", "")
	byDefault := path == "" && s.prefix == ""
	if byDefault {
		path = filepath.Join(s.text("HOME", "/"), ".huaweicloud", "credentials")
	}
	if path == "" {
		return nil // a file that no profile names belongs to none
	}
	entry, err := readCredentialsFile(path)
	switch {
	case byDefault && isAbsent(err):
		return nil
	case byDefault && isUnreadable(err):
		return fmt.Errorf("the credentials file, which is looked for below HOME: %w: let the worker read it, set HOME to another folder, "+
			"or HUAWEICLOUD_SDK_CREDENTIALS_FILE to another file", err)
	case err != nil && !byDefault:
		return fmt.Errorf("HUAWEICLOUD_SDK_CREDENTIALS_FILE: %w", err)
	case err != nil:
		return err
	}
	env := s.env
	s.from, s.env = path, func(variable string) (string, bool) {
		if value, ok := entry[variable]; ok {
			return value, ok
		}
		return env(variable)
	}
	return nil
}

// isAbsent is true when there is no such file, also because what should be a folder on the way to it is none: a user
// without a home may have HOME=/dev/null.
func isAbsent(err error) bool {
	return errors.Is(err, fs.ErrNotExist) || errors.Is(err, syscall.ENOTDIR)
}

// isUnreadable is true when the file could not be read, whatever is in it.
func isUnreadable(err error) bool {
	_, ok := errors.AsType[*fs.PathError](err)
	return ok
}

// readCredentialsFile reads the section [basic] as variables. An error never repeats the text, which holds secrets.
func readCredentialsFile(path string) (map[string]string, error) {
	text, err := os.ReadFile(path)
	if err != nil {
		return nil, err
	}
	file, err := ini.Load(text)
	if err != nil {
		return nil, fmt.Errorf("%s is not a credentials file that can be read: it has a section [basic] with lines such as ak = ...", path)
	}
	entry := map[string]string{}
	for key, variable := range basicVars {
		if value := file.Section("basic").Key(key).String(); value != "" {
			entry[variable] = value
		}
	}
	if entry["HUAWEICLOUD_SDK_AK"] == "" || entry["HUAWEICLOUD_SDK_SK"] == "" {
		return nil, fmt.Errorf("%s needs both ak and sk in its section [basic]: complete it, or set other credentials in its place", path)
	}
	return entry, nil
}
