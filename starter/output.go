package main

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"path"
	"time"

	"github.com/spf13/pflag"
	"go.temporal.io/sdk/client"

	"github.com/reimage/reimage/api"
	"github.com/reimage/reimage/internal/safetext"
	"github.com/reimage/reimage/rollout"
)

// outputFormat is how a command prints its result: text for people, or one JSON object. Progress
// always goes to standard error.
type outputFormat string

const (
	outputText outputFormat = "text"
	outputJSON outputFormat = "json"
)

func addOutputFlag(f *pflag.FlagSet, o *outputFormat) {
	*o = outputText
	f.VarP(o, "output", "o", "`format` of the result: text or json")
}

// addFormatFlag is addOutputFlag for commands around rollouts, where -o stands for a file.
func addFormatFlag(f *pflag.FlagSet, o *outputFormat) {
	*o = outputText
	f.Var(o, "output", "`format` of the result: text or json")
}

// String, Set and Type make it a flag.
func (o *outputFormat) String() string { return string(*o) }
func (o *outputFormat) Type() string   { return "format" }

func (o *outputFormat) Set(value string) error {
	switch outputFormat(value) {
	case outputText, outputJSON:
		*o = outputFormat(value)
		return nil
	}
	return errors.New("the output format is text or json")
}

func printJSON(io streams, value any) error {
	encoder := json.NewEncoder(io.out)
	encoder.SetIndent("", "  ")
	return encoder.Encode(value)
}

// oneObject runs a command whose standard output in JSON is one object, whatever happens: an error is one when
// nothing else was printed.
func (o outputFormat) oneObject(io streams, run func(streams) error) error {
	if o != outputJSON {
		return run(io)
	}
	var printed bytes.Buffer
	err := run(streams{in: io.in, out: &printed, err: io.err})
	if err != nil && printed.Len() == 0 {
		var object struct {
			Error string `json:"error"`
			// Problems are why a rollout cannot be planned, with the names of all servers.
			Problems []string `json:"problems,omitempty"`
		}
		object.Error = safetext.Lines(err.Error())
		if refused, ok := errors.AsType[*refusedPlan](err); ok {
			object.Problems = refused.problems()
		}
		_ = printJSON(streams{out: &printed}, object) // into memory
	}
	_, failed := printed.WriteTo(io.out)
	return errors.Join(err, failed)
}

// started reports a change that nobody waits for.
func (o outputFormat) started(io streams, run client.WorkflowRun) error {
	if o == outputJSON {
		return printJSON(io, struct {
			WorkflowID string `json:"workflow_id"`
			RunID      string `json:"run_id"`
		}{run.GetID(), run.GetRunID()})
	}
	fmt.Fprintf(io.out, "started: workflow %s (run %s)\n", run.GetID(), run.GetRunID())
	fmt.Fprintf(io.err, "next: reimage server status %s --wait\n", path.Base(run.GetID()))
	return nil
}

// told reports how a server ended, if that is known, or the error.
func (o outputFormat) told(io streams, r rollout.ServerResult, err error) error {
	switch {
	case err == nil:
		return o.finished(io, r)
	case r.End == "":
		return err
	}
	return errors.Join(o.result(io, r), err)
}

// finished reports how a server ended, and fails the command when the server did not end well.
func (o outputFormat) finished(io streams, r rollout.ServerResult) error {
	if err := o.result(io, r); err != nil {
		return err
	}
	switch r.End {
	case rollout.Done, rollout.Skipped:
		if r.PowerTrouble != "" {
			return &exitError{exitFailed, fmt.Errorf("%s was changed but not left as asked: %s", named(r), safetext.Line(r.PowerTrouble))}
		}
		return nil
	case rollout.NotStarted:
		return &exitError{exitUsage, fmt.Errorf("%s was not changed", named(r))}
	case rollout.FailedChanged:
		if r.After.Fingerprint == r.Before.Fingerprint {
			return &exitError{exitFailed, fmt.Errorf("%s ended as %s; whether its change may still come: reimage doctor --server %s", named(r), r.End, r.ServerID)}
		}
	}
	return &exitError{exitFailed, fmt.Errorf("%s ended as %s", named(r), r.End)}
}

func named(r rollout.ServerResult) string {
	if r.Name == "" {
		return r.ServerID
	}
	return fmt.Sprintf("%s (%s)", safetext.Line(r.Name), r.ServerID)
}

// result prints how a server ended.
func (o outputFormat) result(io streams, r rollout.ServerResult) error {
	if o == outputJSON {
		return printJSON(io, r)
	}
	printResult(io, r)
	return nil
}

func printResult(io streams, r rollout.ServerResult) {
	safetext.Fprintf(io.out, "%s (%s): %s: %s\n", r.Name, r.ServerID, r.End, r.Reason)
	if r.After.Exists {
		safetext.Fprintf(io.out, "  image        %s -> %s\n", r.Before.ImageID, r.After.ImageID)
		safetext.Fprintf(io.out, "  system disk  %s -> %s\n", r.Before.VolumeID, r.After.VolumeID)
		status := r.After.Status
		if r.Left != "" && r.Left != status {
			status += ", then left " + r.Left
		}
		safetext.Fprintf(io.out, "  status       %s -> %s\n", r.Before.Status, status)
	}
	if !r.After.Exists && r.Left != "" {
		safetext.Fprintf(io.out, "  left         %s\n", r.Left)
	}
	if r.JobID != "" {
		safetext.Fprintf(io.out, "  job          %s\n", r.JobID)
	}
	if r.PowerTrouble != "" {
		safetext.Fprintf(io.out, "  power        %s\n", r.PowerTrouble)
	}
	if !r.EndedAt.IsZero() {
		safetext.Fprintf(io.out, "  took         %s\n", r.EndedAt.Sub(r.StartedAt).Round(time.Second))
	}
}

// skipped is the result of a change that had nothing to do.
func skipped(serverID string, found api.CheckServerResult) rollout.ServerResult {
	now := time.Now().UTC()
	return rollout.ServerResult{
		End: rollout.Skipped, Reason: "it is on the image already (--even-if-same-image changes it all the same)",
		ServerID: serverID, Name: found.Name, Before: found.Before, After: found.Before, StartedAt: now, EndedAt: now,
	}
}
