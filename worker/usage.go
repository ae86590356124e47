package main

import (
	"context"
	"fmt"
	"io"
	"slices"
)

// usage names the variables that most workers need. docs/configuration.md has all of them.
const usage = `reimage-worker carries out changes of OS. It is the only process with cloud credentials,
and serves a task queue of Temporal until it gets SIGTERM or SIGINT.

Usage: reimage-worker

It takes no arguments. Everything is said by variables of its environment; these are
the main ones:

The credentials, of the first line that has any
  OS_CLOUD                                 entry of clouds.yaml
  HUAWEICLOUD_SDK_AK, HUAWEICLOUD_SDK_SK   access key and secret key
  HW_USER_NAME, HW_USER_PASSWORD, HW_DOMAIN_NAME
                                           user, password and account
  OS_TOKEN                                 token
  HUAWEICLOUD_SDK_CREDENTIALS_FILE         credentials file of the official SDK
  REIMAGE_METADATA_ENDPOINT                the agency of the server it runs on; not needed there

The cloud
  HUAWEICLOUD_SDK_PROJECT_ID, or HW_PROJECT_NAME
                                           project
  HW_REGION_NAME, HW_CLOUD                 region, and domain of the endpoints
  REIMAGE_ECS_ENDPOINT, REIMAGE_IMS_ENDPOINT
                                           in place of region and domain
  SSL_CERT_FILE, OS_CACERT                 file of the cloud's own CA: of all, or of a profile
  HW_ENTERPRISE_PROJECT_ID                 where the rights are in an enterprise project only
  REIMAGE_PROFILES                         names, when there are several projects

Temporal
  TEMPORAL_ADDRESS, TEMPORAL_NAMESPACE, TEMPORAL_API_KEY
                                           where it is; localhost:7233 without
  REIMAGE_TASK_QUEUE                       task queue; reimage without

The worker
  REIMAGE_SECRETS_DIR                      folder of the secrets that rollouts may refer to
  REIMAGE_PIN_KEY                          secret key of the digests that pin user data
  REIMAGE_PROBES                           off: connect to no server, for health checks
  REIMAGE_LISTEN                           where /healthz and /readyz are; 127.0.0.1:8088 without
  REIMAGE_LOG_LEVEL                        debug, info, warn or error

All of them, and their other names: docs/configuration.md. What a worker sees of its
cloud, step by step: reimage doctor.

Exit codes
  0  stopped by a signal, or this help
  1  anything else: the last line says what
`

// start answers whoever asks for help, and otherwise serves. An argument that means nothing would be a mistake unnoticed.
func start(ctx context.Context, args []string, out io.Writer, env func(string) (string, bool)) error {
	switch {
	case slices.ContainsFunc(args, func(arg string) bool { return arg == "-h" || arg == "--help" || arg == "-help" || arg == "help" }):
		_, err := io.WriteString(out, usage)
		return err
	case len(args) > 0:
		return fmt.Errorf("%q means nothing here: the worker takes no arguments, only variables of its environment; see: reimage-worker --help", args[0])
	}
	return run(ctx, env)
}
