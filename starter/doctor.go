package main

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"
	"time"

	"github.com/google/uuid"
	"github.com/spf13/cobra"
	"github.com/spf13/pflag"
	"go.temporal.io/api/enums/v1"
	"go.temporal.io/api/serviceerror"
	"go.temporal.io/api/workflowservice/v1"

	"github.com/reimage/reimage/api"
	"github.com/reimage/reimage/internal/connect"
	"github.com/reimage/reimage/internal/doctorview"
	"github.com/reimage/reimage/internal/safetext"
	"github.com/reimage/reimage/rollout"
)

type doctorOptions struct {
	profile   string
	image     string
	server    string
	keyPair   string
	keyOwner  string
	secrets   []string
	output    outputFormat
	taskQueue string
}

func (o *doctorOptions) addFlags(f *pflag.FlagSet) {
	f.StringVar(&o.profile, "profile", "", "`name` of the workers' profile to check; their only one, or the one called default")
	f.StringVar(&o.image, "image", "", "`id` of an image to look at")
	f.StringVar(&o.server, "server", "", "`id` of a server to look at, and to hold against the image")
	f.StringVar(&o.keyPair, "key-pair", "", "`name` of a key pair to look up")
	f.StringVar(&o.keyOwner, "key-owner", "", "`id` of the user who owns the key pair; the workers' own user without")
	f.StringArrayVar(&o.secrets, "secret", nil, "`reference` (env:NAME or file:PATH) that every worker has to be able to read; may be repeated")
	addFormatFlag(f, &o.output)
	addTaskQueueFlag(f, &o.taskQueue)
}

func newDoctorCommand(io streams) *cobra.Command {
	var o doctorOptions
	cmd := &cobra.Command{
		Use:   "doctor",
		Short: "Check step by step what reimage needs, and say what to fix",
		Long: `Check step by step what reimage needs, and say what to fix: Temporal, the workers, and as
each worker sees them the secrets, the clock, the credentials, the project and the
permission for each call. Nothing is touched: what would change a server is not checked.
` + exitCodes,
		Example: `  reimage doctor
  reimage doctor --profile edge --server 2b1f0f1e-7f0c-4f5e-9a34-6c1d6f0a9e11 --image 7d3c9f60-3f0b-4a57-8a1d-0f4be2f1c9d2`,
		Args: takes(0, 0),
		RunE: func(cmd *cobra.Command, _ []string) error { return runDoctor(cmd.Context(), io, o) },
	}
	o.addFlags(cmd.Flags())
	return cmd
}

func runDoctor(ctx context.Context, io streams, o doctorOptions) error {
	if err := o.validate(); err != nil {
		return err
	}
	d := doctor{io: io, options: o}
	d.examine(ctx)
	if ctx.Err() != nil {
		return ctx.Err() // what was cut short is no finding
	}
	if err := d.print(); err != nil {
		return err
	}
	var failed []string
	several := doctorview.SeveralWorkers(d.findings)
	for _, f := range d.findings {
		if f.Verdict == api.CheckFailed {
			failed = append(failed, safetext.Line(checkName(f, several)))
		}
	}
	if len(failed) > 0 {
		return fmt.Errorf("%d of %d checks failed: %s", len(failed), len(d.findings), strings.Join(failed, ", "))
	}
	return nil
}

// checkName is a check, and with several workers the one that made it.
func checkName(f api.Finding, several bool) string {
	if several && f.Worker != "" {
		return f.Check + " of " + f.Worker
	}
	return f.Check
}

func (o doctorOptions) validate() error {
	var problems []error
	if o.server != "" {
		problems = append(problems, validServerID(o.server))
	}
	if o.image != "" && !rollout.IsUUID(o.image) {
		problems = append(problems, fmt.Errorf("image id %q is not a UUID (in lower case)", o.image))
	}
	if o.keyOwner != "" && o.keyPair == "" {
		problems = append(problems, errors.New("--key-owner says whose key pair it is: name that in --key-pair"))
	}
	for _, ref := range o.references() {
		if ref == "" {
			problems = append(problems, errors.New("--secret names no reference"))
		} else if err := ref.Validate(); err != nil {
			problems = append(problems, fmt.Errorf("--secret: %w", err))
		}
	}
	return errors.Join(problems...)
}

// references are the secrets that workers are asked for.
func (o doctorOptions) references() []rollout.SecretRef {
	var refs []rollout.SecretRef
	for _, secret := range o.secrets {
		refs = append(refs, rollout.SecretRef(secret))
	}
	return refs
}

// The checks of the command line itself. A worker makes the others.
const (
	checkTemporal  = "Temporal"
	checkNamespace = "namespace"
	checkWorker    = "worker"
)

// doctor makes one check after the other, and ends where the next one needs what has failed.
type doctor struct {
	io       streams
	options  doctorOptions
	findings []api.Finding
}

func (d *doctor) examine(ctx context.Context) {
	s, err := dial(ctx, d.options.taskQueue)
	if err != nil {
		d.failed(checkTemporal, err, "TEMPORAL_ADDRESS, TEMPORAL_TLS and TEMPORAL_API_KEY or a configuration file say how it is reached: docs/configuration.md")
		d.skipRest(checkTemporal)
		return
	}
	defer s.close()
	switch {
	case !d.temporal(ctx, s):
		d.skipRest(checkTemporal)
	case !d.namespace(ctx, s):
		d.skipRest(checkNamespace)
	case !d.worker(ctx, s):
		d.skipRest(checkWorker)
	}
}

func (d *doctor) ok(check, seen string) bool {
	d.findings = append(d.findings, api.Finding{Check: check, Verdict: api.CheckOK, Seen: seen})
	return true
}

func (d *doctor) failed(check string, err error, fix string) bool {
	d.findings = append(d.findings, api.Finding{Check: check, Verdict: api.CheckFailed, Seen: err.Error(), Fix: fix})
	return false
}

// skipRest is for the checks that there is nobody to make.
func (d *doctor) skipRest(because string) {
	for _, check := range append([]string{checkTemporal, checkNamespace, checkWorker}, api.DoctorChecks()...)[len(d.findings):] {
		finding := api.NotChecked(because)
		finding.Check = check
		d.findings = append(d.findings, finding)
	}
}

func (d *doctor) temporal(ctx context.Context, s *session) bool {
	ctx, cancel := context.WithTimeout(ctx, answerTimeout)
	defer cancel()
	address, _, err := connect.Where()
	if err != nil {
		return d.failed(checkTemporal, err, "mend the settings")
	}
	system, err := s.client.WorkflowService().GetSystemInfo(ctx, &workflowservice.GetSystemInfoRequest{})
	if err != nil {
		return d.failed(checkTemporal, fmt.Errorf("Temporal at %s: %w", address, err), "see whether it is well, and whether TEMPORAL_ADDRESS is its own")
	}
	return d.ok(checkTemporal, fmt.Sprintf("%s, server %s", address, system.GetServerVersion()))
}

func (d *doctor) namespace(ctx context.Context, s *session) bool {
	ctx, cancel := context.WithTimeout(ctx, answerTimeout)
	defer cancel()
	_, name, err := connect.Where()
	if err != nil {
		return d.failed(checkNamespace, err, "mend the settings")
	}
	described, err := s.client.WorkflowService().DescribeNamespace(ctx, &workflowservice.DescribeNamespaceRequest{Namespace: name})
	if _, unknown := errors.AsType[*serviceerror.NamespaceNotFound](err); unknown {
		return d.failed(checkNamespace, fmt.Errorf("there is no namespace %s", name),
			"set TEMPORAL_NAMESPACE, or create it with: temporal operator namespace create --namespace "+name)
	}
	if err != nil {
		return d.failed(checkNamespace, fmt.Errorf("namespace %s: %w", name, err), "see whether TEMPORAL_API_KEY or the certificate may use that namespace")
	}
	retention := described.GetConfig().GetWorkflowExecutionRetentionTtl().AsDuration()
	finding := api.Finding{Check: checkNamespace, Verdict: api.CheckOK, Seen: fmt.Sprintf("%s, keeps what has ended for %.0fh", name, retention.Hours())}
	if retention < orderLives { // no failure: whoever has no orders to pay is at no risk
		finding.Seen += ", and an unpaid order lives for 14 days: when its change is deleted before, nothing keeps reimage from sending a second change beside that order"
		finding.Fix = "temporal operator namespace update --namespace " + name + " --retention 14d"
	}
	d.findings = append(d.findings, finding)
	return true
}

// doctorTimeout is a little more than the time in which a worker ends its checks. One that does not know them is silent.
const doctorTimeout = 150 * time.Second

// worker has every worker that Temporal has seen of late make the other checks.
func (d *doctor) worker(ctx context.Context, s *session) bool {
	const start = "start reimage-worker; when it does not stay up, its first lines say why; REIMAGE_TASK_QUEUE and --task-queue have to agree"
	served, err := s.servedSoon(ctx)
	if err != nil {
		return d.failed(checkWorker, err, "see whether Temporal is well")
	}
	if !served {
		return d.failed(checkWorker, fmt.Errorf("no worker serves task queue %s", s.taskQueue), start)
	}
	workers, notListed := s.pollers(ctx, enums.TASK_QUEUE_TYPE_ACTIVITY)
	id := api.DoctorID(uuid.NewString())
	result, err := consult[api.DoctorResult](ctx, s, consultation{
		id: id, summary: "check what a worker needs", workflow: api.DoctorName,
		timeout: doctorTimeout, says: d.io.err,
	}, api.DoctorInput{
		Profile: d.options.profile, ImageID: d.options.image, ServerID: d.options.server,
		KeyPair: d.options.keyPair, KeyOwner: d.options.keyOwner,
		Secrets: d.options.references(), Workers: workers,
	})
	if err != nil {
		return d.failed(checkWorker, fmt.Errorf("no worker has made the checks: %w", err), "look at its log; a worker that is older than this command does not know them")
	}
	d.ok(checkWorker, s.checkedBy(ctx, id, result.Findings))
	if notListed != nil {
		d.findings = append(d.findings, api.Finding{
			Check: checkWorker, Verdict: api.CheckSkipped, Seen: "the workers could not be listed; one of them made the checks",
		})
	}
	d.findings = append(d.findings, result.Findings...)
	return true
}

// checkedBy says which workers have made the checks.
func (s *session) checkedBy(ctx context.Context, doctorID string, findings []api.Finding) string {
	var workers []string
	for _, f := range findings {
		if f.Worker != "" && f.Check != api.CheckWorker {
			workers = append(workers, f.Worker)
		}
	}
	slices.Sort(workers)
	switch workers = slices.Compact(workers); len(workers) {
	case 0:
		return s.servedBy(ctx, doctorID)
	case 1:
		return fmt.Sprintf("%s has made these checks for task queue %s", workers[0], s.taskQueue)
	}
	return fmt.Sprintf("%s have made these checks for task queue %s", strings.Join(workers, ", "), s.taskQueue)
}

// servedBy says which worker has made the checks, and who else has asked for work of late: each one has settings of its
// own. Of what Temporal does not tell nothing is said.
func (s *session) servedBy(ctx context.Context, doctorID string) string {
	var who string
	history := s.client.GetWorkflowHistory(ctx, doctorID, "", false, enums.HISTORY_EVENT_FILTER_TYPE_ALL_EVENT)
	for history.HasNext() {
		event, err := history.Next()
		if err != nil {
			break
		}
		if started := event.GetActivityTaskStartedEventAttributes(); started != nil {
			who = bare(started.GetIdentity())
		}
	}
	pollers, _ := s.pollers(ctx, enums.TASK_QUEUE_TYPE_ACTIVITY)
	switch {
	case who == "" && len(pollers) == 0:
		return "these checks were made for task queue " + s.taskQueue
	case who == "":
		return fmt.Sprintf("task queue %s is served by %s", s.taskQueue, strings.Join(pollers, ", "))
	}
	said := fmt.Sprintf("%s has made these checks for task queue %s", who, s.taskQueue)
	if others := slices.DeleteFunc(pollers, func(other string) bool { return other == who }); len(others) > 0 {
		said += fmt.Sprintf("; not checked, and seen within %s: %s", pollerAge, strings.Join(others, ", "))
	}
	return said
}

func (d *doctor) print() error {
	if d.options.output == outputJSON {
		return printJSON(d.io, api.DoctorResult{Findings: d.findings})
	}
	return doctorview.Print(d.io.out, d.findings)
}

// orderLives is how long the cloud keeps an unpaid order (ECS API reference, ecs_02_0901: querying a
// job, PENDING_PAYMENT).
const orderLives = 14 * 24 * time.Hour
