package connect

import (
	"cmp"
	"errors"
	"fmt"
	"net"
	"os"
	"slices"
	"strconv"
	"strings"

	"go.temporal.io/sdk/client"
	"go.temporal.io/sdk/contrib/envconfig"
)

// settings are the client options with the defaults filled in, and what they were made from.
type settings struct {
	options client.Options
	profile envconfig.ClientConfigProfile
	// where names the profile and the file that it is from.
	where string
}

// load reads the variables and the configuration file. Its error names everything that is wrong.
func load() (settings, error) {
	file := cmp.Or(os.Getenv("TEMPORAL_CONFIG_FILE"), envconfig.DefaultConfigFilePath())
	name := cmp.Or(os.Getenv("TEMPORAL_PROFILE"), envconfig.DefaultConfigFileProfile)
	s := settings{where: fmt.Sprintf("profile %s in %s", name, file)}
	problems := variableProblems()
	profile, err := envconfig.LoadClientConfigProfile(envconfig.LoadClientConfigProfileOptions{ConfigFileStrict: true})
	switch {
	case err != nil:
		problems = append(problems, fileProblem(file, err))
	case len(problems) == 0: // otherwise the settings are not those that were meant
		problems = append(problems, s.use(profile)...)
	}
	if len(problems) > 0 {
		return s, fmt.Errorf("the Temporal settings cannot be used:\n%w", errors.Join(problems...))
	}
	return s, nil
}

// use makes client options of a profile.
func (s *settings) use(profile envconfig.ClientConfigProfile) (problems []error) {
	s.profile = profile
	if problem := addressProblem(profile.Address); problem != "" {
		problems = append(problems, fmt.Errorf("%s: %s", s.source("TEMPORAL_ADDRESS", "address"), problem))
	}
	options, err := profile.ToClientOptions(envconfig.ToClientOptionsRequest{})
	if err != nil {
		problems = append(problems, fmt.Errorf("%s: %w", s.tlsSource(), err))
	}
	s.options = options
	s.options.HostPort = cmp.Or(options.HostPort, client.DefaultHostPort)
	s.options.Namespace = cmp.Or(options.Namespace, client.DefaultNamespace)
	return problems
}

// source names the variable or the field that a setting is from.
func (s *settings) source(variable, field string) string {
	if _, set := os.LookupEnv(variable); set {
		return variable
	}
	return field + " of " + s.where
}

// tlsSource names what says how TLS is used.
func (s *settings) tlsSource() string {
	var set []string
	for _, name := range variables {
		value, found := os.LookupEnv(name)
		// One of the others turns TLS on even when it is empty.
		if (strings.HasPrefix(name, "TEMPORAL_TLS_") && found) || (name == "TEMPORAL_TLS" && value != "") {
			set = append(set, name)
		}
	}
	if len(set) == 0 {
		return "tls of " + s.where
	}
	return strings.Join(set, ", ")
}

// variables are those that say how Temporal is reached.
var variables = []string{
	"TEMPORAL_CONFIG_FILE", "TEMPORAL_PROFILE", "TEMPORAL_ADDRESS", "TEMPORAL_NAMESPACE", "TEMPORAL_API_KEY", "TEMPORAL_CLIENT_AUTHORITY",
	"TEMPORAL_TLS", "TEMPORAL_TLS_CLIENT_CERT_PATH", "TEMPORAL_TLS_CLIENT_CERT_DATA", "TEMPORAL_TLS_CLIENT_KEY_PATH",
	"TEMPORAL_TLS_CLIENT_KEY_DATA", "TEMPORAL_TLS_SERVER_CA_CERT_PATH", "TEMPORAL_TLS_SERVER_CA_CERT_DATA", "TEMPORAL_TLS_SERVER_NAME",
	"TEMPORAL_TLS_DISABLE_HOST_VERIFICATION", "REIMAGE_TASK_QUEUE",
}

// variableProblems are those of the variables themselves. No value is repeated: one of them is a key.
func variableProblems() (problems []error) {
	for _, name := range variables {
		value := os.Getenv(name)
		isFlag := name == "TEMPORAL_TLS" || name == "TEMPORAL_TLS_DISABLE_HOST_VERIFICATION"
		switch {
		case isQuoted(value):
			problems = append(problems, fmt.Errorf("%s has quotes around its value, and they are part of it: remove them (docker run --env-file keeps quotes)", name))
		case strings.TrimSpace(value) != value && !strings.HasSuffix(name, "_DATA"):
			problems = append(problems, fmt.Errorf("%s has a blank or a line end at the start or end of its value: remove it (files from Windows have CR at line ends)", name))
		case isFlag && value != "" && !slices.Contains([]string{"1", "0", "true", "false"}, strings.ToLower(value)):
			problems = append(problems, fmt.Errorf("%s is neither true nor false", name))
		}
	}
	return problems
}

func isQuoted(value string) bool {
	return len(value) >= 2 && strings.ContainsRune(`"'`, rune(value[0])) && value[0] == value[len(value)-1]
}

// fileProblem adds the name of the file to an error of the library, which has none.
func fileProblem(file string, err error) error {
	if strings.Contains(err.Error(), "unrecognized") {
		return fmt.Errorf("%s: %w: a profile has address, namespace, api_key, tls, codec, grpc_meta and authority", file, err)
	}
	return fmt.Errorf("%s: %w", file, err)
}

// temporalPort is the port of Temporal's frontend.
const temporalPort = "7233"

// addressProblem says what is wrong with an address, and how it is written.
func addressProblem(address string) string {
	if address == "" {
		return ""
	}
	target := withoutResolver(address)
	if isQuoted(target) {
		return "has quotes within its value: remove them"
	}
	if scheme, rest, found := strings.Cut(target, "://"); found {
		rest, _, _ = strings.Cut(rest, "/")
		remedy := "write " + withPort(rest)
		if strings.EqualFold(scheme, "https") {
			remedy += ", and set TEMPORAL_TLS=true"
		}
		return fmt.Sprintf("%q is a URL, and HOST:PORT is expected: %s", address, remedy)
	}
	host, port, err := net.SplitHostPort(target)
	switch {
	case err != nil && strings.Contains(err.Error(), "too many colons"):
		return fmt.Sprintf("%q: an IPv6 address stands in brackets, as in [::1]:%s", address, temporalPort)
	case err != nil && strings.Contains(err.Error(), "missing port"):
		return fmt.Sprintf("%q has no port: write %s", address, withPort(target))
	case err != nil:
		return fmt.Sprintf("%q is not HOST:PORT: %v", address, err)
	case strings.ContainsAny(host, " \t/?#@\"'"):
		return fmt.Sprintf("%q is not HOST:PORT: the host is no name", address)
	}
	if n, err := strconv.Atoi(port); err != nil || n < 1 || n > 65535 {
		return fmt.Sprintf("%q: %q is not a port, which is a number from 1 to 65535; Temporal's is %s", address, port, temporalPort)
	}
	return ""
}

// withoutResolver is the address without the name of the resolver that gRPC is to use.
func withoutResolver(address string) string {
	for _, resolver := range []string{"dns:///", "passthrough:///"} {
		if rest, found := strings.CutPrefix(address, resolver); found {
			return rest
		}
	}
	return address
}

func withPort(host string) string {
	if _, _, err := net.SplitHostPort(host); err == nil {
		return host
	}
	return net.JoinHostPort(strings.Trim(host, "[]"), temporalPort)
}
