package main

import (
	"bufio"
	"cmp"
	"context"
	"errors"
	"fmt"
	"os"
	"strings"
	"time"

	"github.com/spf13/cobra"
	"github.com/spf13/pflag"
	"go.temporal.io/sdk/client"

	"github.com/reimage/reimage/api"
	"github.com/reimage/reimage/internal/safetext"
	"github.com/reimage/reimage/rollout"
)

type serverOptions struct {
	change    rollout.Change
	encrypt   string
	autoPay   bool
	yes       bool
	wait      bool
	detach    bool
	output    outputFormat
	profile   string
	taskQueue string
}

func (o *serverOptions) addFlags(f *pflag.FlagSet) {
	f.StringVar(&o.change.ImageID, "image", "", "`id` of the image to change to (required)")
	f.StringVar((*string)(&o.change.API), "api", string(rollout.APIv2), "change OS `version`: v2 for images with Cloud-Init, v1 for images without")
	f.StringVar(&o.change.Login.KeyPair, "key-pair", "", "`name` of the key pair to log in with")
	f.StringVar(&o.change.Login.UserID, "key-owner", "", "`id` of the user who owns the key pair")
	f.StringVar((*string)(&o.change.Login.PasswordFrom), "password-from", "", "`reference` to the new password, as the worker sees it: env:REIMAGE_SECRET_NAME or file:PATH")
	f.StringVar((*string)(&o.change.UserDataFrom), "user-data-from", "", "`reference` to the Cloud-Init user data, as the worker sees it: env:REIMAGE_SECRET_NAME or file:PATH")
	f.BoolVar(&o.change.BYOL, "byol", false, "use the licence that comes with the image")
	f.StringVar(&o.encrypt, "encrypt-with", "", "`id` of the KMS key to encrypt the new system disk with")
	f.BoolVar(&o.autoPay, "auto-pay", false, "pay a price difference of a yearly or monthly server without asking")
	f.BoolVar(&o.change.WithStopServer, "platform-stop", false, "let the cloud stop the running server (mode withStopServer); gives up a fence, see docs/never-twice.md")
	f.BoolVar(&o.change.AllowHardStop, "allow-hard-stop", false, "cut the power when the guest does not shut down in time")
	f.StringVar((*string)(&o.change.Power), "power", string(rollout.PowerAsBefore), "`state` to leave the server in: as-before, on, off")
	f.BoolVar(&o.change.EvenIfSameImage, "even-if-same-image", false, "change a server that is on the image already")
	f.DurationVar(&o.change.Deadline, "deadline", rollout.DefaultDeadline, "`time` to wait for the cloud's job before the server itself is judged")
	f.BoolVarP(&o.yes, "yes", "y", false, "do not ask for consent")
	f.BoolVar(&o.wait, "wait", true, "wait for the end and show the steps")
	f.BoolVar(&o.detach, "detach", false, "return as soon as the change is started")
	f.StringVar(&o.profile, "profile", "", "`name` of the workers' profile that the server is in; their only one, or the one called default")
	addOutputFlag(f, &o.output)
	addTaskQueueFlag(f, &o.taskQueue)
}

func addTaskQueueFlag(f *pflag.FlagSet, queue *string) {
	f.StringVar(queue, "task-queue", defaultTaskQueue(), "`name` of the task queue of the workers")
}

func defaultTaskQueue() string { return cmp.Or(os.Getenv("REIMAGE_TASK_QUEUE"), api.TaskQueue) }

func newServerCommand(io streams) *cobra.Command {
	var o serverOptions
	cmd := &cobra.Command{
		Use:   "server ID --image ID",
		Short: "Change the operating system of one server",
		Long: `Change the operating system of one server, given by its id. Its system disk and
everything on it is destroyed; its id, addresses and data disks stay.

The server is looked at first, by a worker, and every reason against the change is
named before anything is touched. Ctrl-C stops watching and not the change: see
"reimage server status" and "reimage server cancel".
` + exitCodes,
		Example: `  reimage server 2b1f0f1e-7f0c-4f5e-9a34-6c1d6f0a9e11 --image 7d3c9f60-3f0b-4a57-8a1d-0f4be2f1c9d2 --key-pair fleet-key
  reimage server 2b1f0f1e-... --image 7d3c9f60-... --password-from file:root-password --yes --output json`,
		Args: takes(1, 1),
		RunE: func(cmd *cobra.Command, args []string) error {
			o.change.AutoPay = nil
			if cmd.Flags().Changed("auto-pay") {
				o.change.AutoPay = &o.autoPay
			}
			return o.output.oneObject(io, func(io streams) error {
				if o.detach && cmd.Flags().Changed("wait") {
					return errWaitAndDetach
				}
				return runServer(cmd.Context(), io, o, args[0])
			})
		},
	}
	o.addFlags(cmd.Flags())
	cmd.AddCommand(newServerStatusCommand(io), newServerCancelCommand(io), newServerForgetCommand(io))
	return cmd
}

func runServer(ctx context.Context, io streams, o serverOptions, serverID string) error {
	if o.change.ImageID == "" {
		return errors.New("no image is given: reimage server ID --image ID")
	}
	if o.encrypt != "" {
		encrypted := true
		o.change.Encrypted, o.change.EncryptionKeyID = &encrypted, o.encrypt
	}
	if err := errors.Join(validServerID(serverID), o.change.Validate()); err != nil {
		return err
	}
	s, err := dial(ctx, o.taskQueue)
	if err != nil {
		return err
	}
	defer s.close()

	found, err := s.check(ctx, io.err, api.CheckServerInput{
		Profile: o.profile, ServerID: serverID, Change: o.change,
	})
	if err != nil {
		return err
	}
	if err := refusal(found); err != nil {
		return err
	}
	run, err := s.begin(ctx, io, o, serverID, found)
	if err != nil || run == nil {
		return err
	}
	if o.detach || !o.wait {
		return o.output.started(io, run)
	}
	return s.follow(ctx, io, o.output, run)
}

// begin asks for consent and starts the change. Without a run there is nothing to wait for.
func (s *session) begin(ctx context.Context, io streams, o serverOptions, serverID string, found api.CheckServerResult) (client.WorkflowRun, error) {
	if err := s.requireFree(ctx, serverID, found); err != nil {
		return nil, err
	}
	if found.AlreadyThere {
		for _, note := range found.Notes {
			safetext.Fprintf(io.err, "note: %s\n", note)
		}
		return nil, o.output.finished(io, skipped(serverID, found))
	}
	fmt.Fprint(io.err, loss(serverID, found))
	if !o.yes {
		if err := consent(ctx, io, "to destroy this system disk"); err != nil {
			return nil, err
		}
	}
	return s.start(ctx, serverID, o.change, found)
}

// validServerID checks the form of an id before anybody is asked about it.
func validServerID(id string) error {
	switch lower := strings.ToLower(id); {
	case rollout.IsUUID(id):
		return nil
	case rollout.IsUUID(lower):
		return fmt.Errorf("server id %q is not a UUID in lower case: write %s", id, lower)
	}
	return fmt.Errorf("server id %q is not a UUID (in lower case), and names are not accepted here: several servers may have the same one. "+
		"The id is in the cloud's console, in plan.json, and in reimage report NAME --format csv; to select servers by name, "+
		"write a rollout (spec.select.names)", id)
}

// refusal says everything that stands against the change.
func refusal(found api.CheckServerResult) error {
	if found.AlreadyThere || len(found.Refusals) == 0 {
		return nil
	}
	return fmt.Errorf("nothing was touched:%s", indented(found.Refusals))
}

// loss names what will be lost and what is kept.
func loss(serverID string, found api.CheckServerResult) string {
	var text strings.Builder
	safetext.Fprintf(&text, "%s (%s, %s)\n", found.Name, serverID, found.Before.Status)
	safetext.Fprintf(&text, "  ! re-image (system disk lost): image %s -> %s\n", cmp.Or(found.PresentImageName, found.Before.ImageID), found.ImageName)
	safetext.Fprintf(&text, "  lost: the system disk of %s and everything on it (volume %s, %d GB, and all its snapshots)\n", found.Name, found.Before.VolumeID, found.SystemDiskGB)
	safetext.Fprintf(&text, "  kept: the server's id and addresses, and %s\n", rollout.Count(found.DataDisks, "data disk"))
	for _, note := range found.Notes {
		safetext.Fprintf(&text, "  note: %s\n", note)
	}
	return text.String()
}

var errNoConsent = errors.New("no consent was given, nothing was touched; --yes consents without a question")

// consent takes nothing but a whole yes: "Type yes to destroy this system disk: ".
func consent(ctx context.Context, io streams, to string) error {
	safetext.Fprintf(io.err, "Type yes %s: ", to)
	answer := make(chan string, 1)
	go func() {
		line, _ := bufio.NewReader(io.in).ReadString('\n') // no answer is no consent
		answer <- line
	}()
	var line string
	select {
	case <-ctx.Done():
	case line = <-answer:
	}
	if !strings.HasSuffix(line, "\n") { // whoever did not end the line did not begin the next one
		fmt.Fprintln(io.err)
	}
	if strings.TrimSpace(line) != "yes" {
		return errNoConsent
	}
	return nil
}

// checkTimeout is a little more than the worker's own limit for looking at a server.
const checkTimeout = 6 * time.Minute
