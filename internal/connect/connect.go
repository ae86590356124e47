// Package connect is how every process of reimage reaches Temporal: by the TEMPORAL_* variables and
// the configuration file that the temporal command line reads too.
package connect

import (
	"cmp"
	"context"
	"fmt"
	"time"

	"go.temporal.io/sdk/client"
	"go.temporal.io/sdk/contrib/envconfig"
	"go.temporal.io/sdk/log"

	"github.com/reimage/reimage/api"
)

// dialTimeout is long enough for a slow handshake and short enough for somebody who waits at a prompt.
const dialTimeout = 10 * time.Second

// Temporal connects and checks that the server answers. The error says where it was looked for and
// what to set.
func Temporal(ctx context.Context, logger log.Logger) (client.Client, error) {
	options, err := options()
	if err != nil {
		return nil, err
	}
	options.Logger = logger
	options.DataConverter = api.DataConverter()
	ctx, cancel := context.WithTimeout(ctx, dialTimeout)
	defer cancel()
	c, err := client.DialContext(ctx, options)
	if err != nil {
		return nil, fmt.Errorf("Temporal at %s (namespace %s) cannot be reached: %w; start it, or set TEMPORAL_ADDRESS and TEMPORAL_NAMESPACE",
			options.HostPort, options.Namespace, err)
	}
	return c, nil
}

// Where is the address and the namespace at which Temporal is looked for.
func Where() (address, namespace string, err error) {
	options, err := options()
	return options.HostPort, options.Namespace, err
}

// options are the settings, with the defaults filled in.
func options() (client.Options, error) {
	options, err := envconfig.LoadDefaultClientOptions()
	if err != nil {
		return options, fmt.Errorf("the Temporal settings cannot be used: %w", err)
	}
	options.HostPort = cmp.Or(options.HostPort, client.DefaultHostPort)
	options.Namespace = cmp.Or(options.Namespace, client.DefaultNamespace)
	return options, nil
}
