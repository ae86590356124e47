// Package connect is how every process of reimage reaches Temporal: by the TEMPORAL_* variables and
// the configuration file that the temporal command line reads too.
package connect

import (
	"context"
	"fmt"
	"time"

	"go.temporal.io/sdk/client"
	"go.temporal.io/sdk/log"

	"github.com/reimage/reimage/api"
)

// dialTimeout is long enough for a slow handshake and short enough for somebody who waits at a prompt.
const dialTimeout = 10 * time.Second

// Temporal connects and checks that the server answers. The error says where it was looked for and
// what to set.
func Temporal(ctx context.Context, logger log.Logger) (client.Client, error) {
	s, err := load()
	if err != nil {
		return nil, err
	}
	options := s.options
	options.Logger = logger
	options.DataConverter = api.DataConverter()
	dialCtx, cancel := context.WithTimeout(ctx, dialTimeout)
	defer cancel()
	c, err := client.DialContext(dialCtx, options)
	if err == nil {
		return c, nil
	}
	cause, remedy := s.diagnose(ctx, err)
	return nil, fmt.Errorf("Temporal at %s (namespace %s) cannot be reached: %w; %s", options.HostPort, options.Namespace, cause, remedy)
}

// Where is the address and the namespace at which Temporal is looked for.
func Where() (address, namespace string, err error) {
	s, err := load()
	return s.options.HostPort, s.options.Namespace, err
}
