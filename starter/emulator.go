package main

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"net"
	"net/http"
	"os"
	"strings"
	"time"

	"github.com/spf13/cobra"
	"github.com/spf13/pflag"

	"github.com/reimage/reimage/internal/emulator"
	"github.com/reimage/reimage/rollout/edition"
)

type emulatorOptions struct {
	listen   string
	servers  int
	seed     uint64
	speed    float64
	faults   string
	edition  string
	switches []string
	lag      time.Duration
	skew     time.Duration
	calls    int
	project  string
	within   string

	applications bool
	boot         time.Duration
	pools        []string
}

func (o *emulatorOptions) addFlags(f *pflag.FlagSet) {
	f.StringVar(&o.listen, "listen", "127.0.0.1:18080", "`address` to listen on; port 0 lets the kernel pick one")
	f.IntVar(&o.servers, "servers", 10, "`number` of servers in the emulated project")
	f.Uint64Var(&o.seed, "seed", 1, "`seed` of every id, duration and fault; the same seed gives the same cloud")
	f.Float64Var(&o.speed, "speed", 1, "emulated `seconds` that pass in a real one")
	f.StringVar(&o.faults, "faults", "", "YAML `file` of faults to inject (docs/emulator.md)")
	f.StringVar(&o.edition, "edition", edition.Any, "`cloud` whose published documents to follow: any, huaweicloud, otc, swiss-otc and others (docs/editions.md)")
	f.StringArrayVar(&o.switches, "edition-switch", nil, "`name=value` of one thing on which the documents differ, for instance busy_code=Ecs.0100; repeatable (docs/emulator.md)")
	f.IntVar(&o.calls, "calls-per-second", 0, "largest `number` of calls in any one second, beyond which they are answered with HTTP 429; 0 is no limit")
	f.StringVar(&o.project, "project", emulator.DefaultProjectID, "`id` of the project: emulators that serve the profiles of one worker need different ones")
	f.StringVar(&o.within, "enterprise-project", "", "`id` of the enterprise project in which the credentials have all their rights; lists that do not name it are refused")
	f.BoolVar(&o.applications, "applications", false, "run an application on every server, which answers GET /health on port 8080 of the server's address while the server is ACTIVE")
	f.DurationVar(&o.boot, "boot-time", 20*time.Second, "emulated `time` from ACTIVE to the first answer of an application")
	f.StringArrayVar(&o.pools, "pool", nil, "`tag`, such as role=web, of the servers that are members of a pool of a load balancer; repeatable")
	f.DurationVar(&o.lag, "lag", 0, "emulated `time` by which the server view stays behind the success of its job")
	f.DurationVar(&o.skew, "skew", 0, "`time` by which the cloud's clock is ahead of this machine's; below 0 it is behind")
}

// options are those of the emulated cloud.
func (o *emulatorOptions) options() (emulator.Options, error) {
	if o.speed <= 0 {
		return emulator.Options{}, fmt.Errorf("a speed of %g does not go forward: it has to be above 0", o.speed)
	}
	options := emulator.Options{
		ProjectID: o.project, Servers: o.servers, Seed: o.seed, Speed: o.speed, Timing: emulator.Timing{Lag: o.lag}, CallsPerSecond: o.calls,
		Skew: o.skew, EnterpriseProject: o.within, Applications: o.applications,
	}
	if o.boot < 0 {
		return options, fmt.Errorf("a boot time of %s is below 0", o.boot)
	}
	for _, tag := range o.pools {
		options.Pools = append(options.Pools, emulator.Pool{Tag: tag})
	}
	options.Timing.Boot.Median = max(o.boot, 1) // 0 would be the default
	var err error
	if options.Edition, err = emulator.NamedEdition(o.edition); err != nil {
		return options, err
	}
	for _, pair := range o.switches {
		name, value, ok := strings.Cut(pair, "=")
		if !ok {
			return options, fmt.Errorf("edition switch %q is not of the form name=value", pair)
		}
		if err := options.Edition.Set(name, value); err != nil {
			return options, err
		}
	}
	if o.faults == "" {
		return options, nil
	}
	file, err := os.Open(o.faults)
	if err != nil {
		return options, err
	}
	defer file.Close()
	if options.Faults, err = emulator.LoadFaults(file); err != nil {
		return options, fmt.Errorf("%s: %w", o.faults, err)
	}
	return options, nil
}

func newEmulatorCommand(io streams) *cobra.Command {
	var o emulatorOptions
	cmd := &cobra.Command{
		Use:   "emulator",
		Short: "Serve an emulated cloud to try things on",
		Long: `Serve the ECS, IMS, ELB and IAM APIs over real HTTP, with servers whose disks nobody
misses. Signatures are verified, jobs take their time, and faults can be injected.
GET /_emulator/ledger tells what was accepted for each server.
` + exitCodes,
		Args: takes(0, 0),
		RunE: func(cmd *cobra.Command, _ []string) error { return runEmulator(cmd.Context(), io, o) },
	}
	o.addFlags(cmd.Flags())
	return cmd
}

func runEmulator(ctx context.Context, io streams, o emulatorOptions) error {
	options, err := o.options()
	if err != nil {
		return err
	}
	cloud, err := emulator.New(options)
	if err != nil {
		return err
	}
	defer cloud.Close()
	listener, err := (&net.ListenConfig{}).Listen(ctx, "tcp", o.listen)
	if err != nil {
		return err
	}
	url := "http://" + listener.Addr().String()
	fmt.Fprintf(io.out, `Emulated cloud at %[1]s: %[2]d servers, %[3]g emulated seconds in a real one.

Settings for a worker:
  export HUAWEICLOUD_SDK_AK=%[4]s HUAWEICLOUD_SDK_SK=%[5]s HUAWEICLOUD_SDK_PROJECT_ID=%[6]s
  export REIMAGE_ECS_ENDPOINT=%[1]s REIMAGE_IMS_ENDPOINT=%[1]s REIMAGE_KPS_ENDPOINT=%[1]s REIMAGE_EDITION=%[11]s

Or, in place of the first line, a user and the name of the project:
  export HW_USER_NAME=%[7]s HW_USER_PASSWORD=%[8]s HW_DOMAIN_NAME=%[9]s HW_PROJECT_NAME=%[10]s REIMAGE_IAM_ENDPOINT=%[1]s

`, url, o.servers, o.speed, emulator.DefaultAccessKey, emulator.DefaultSecretKey, cmp.Or(o.project, emulator.DefaultProjectID),
		emulator.DefaultUserName, emulator.DefaultPassword, emulator.DefaultDomainName, emulator.DefaultProjectName, o.edition)
	for _, key := range cloud.KeyPairs() {
		fmt.Fprintf(io.out, "key     %s\n", key.Name)
	}
	for _, image := range cloud.Images() {
		fmt.Fprintf(io.out, "image   %s  %s  %s\n", image.ID, image.Name, image.Status)
	}
	for _, server := range cloud.Servers() {
		line := fmt.Sprintf("server  %s  %s  %s", server.ID, server.Name, server.Status)
		if address := cloud.ApplicationAddress(server.ID); address != "" {
			line += "  http://" + address + "/health"
		}
		fmt.Fprintln(io.out, line)
	}
	for _, pool := range cloud.Pools() {
		fmt.Fprintf(io.out, "pool    %s  %s  %d members\n", pool.ID, pool.Name, pool.Members)
	}
	server := &http.Server{Handler: cloud, ReadHeaderTimeout: 10 * time.Second}
	stop := context.AfterFunc(ctx, func() { _ = server.Close() })
	defer stop()
	if err := server.Serve(listener); !errors.Is(err, http.ErrServerClosed) {
		return err
	}
	return nil
}
