// Command runbook is the worker of a program that uses reimage and is not part of it. Its workflows have an activity of their
// own and the workflows of reimage as children. docs/embedding.md explains every step.
package main

import (
	"cmp"
	"fmt"
	"os"

	"go.temporal.io/sdk/client"
	"go.temporal.io/sdk/worker"

	"github.com/reimage/reimage/api"
)

func main() {
	if err := run(); err != nil {
		fmt.Fprintln(os.Stderr, "runbook:", err)
		os.Exit(1)
	}
}

func run() error {
	temporal, err := client.Dial(client.Options{
		HostPort:      os.Getenv("TEMPORAL_ADDRESS"),
		DataConverter: api.DataConverter(), // large plans are compressed
	})
	if err != nil {
		return err
	}
	defer temporal.Close()

	w := worker.New(temporal, cmp.Or(os.Getenv("RUNBOOK_TASK_QUEUE"), "runbook"), worker.Options{})
	w.RegisterWorkflow(RefreshServer)
	w.RegisterWorkflow(RefreshFleet)
	w.RegisterActivity(&Activities{Inventory: os.Getenv("RUNBOOK_INVENTORY"), Temporal: temporal})
	return w.Run(worker.InterruptCh())
}
