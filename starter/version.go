package main

import (
	"fmt"
	"runtime"

	"github.com/spf13/cobra"
	"go.temporal.io/sdk/temporal"

	"github.com/reimage/reimage/internal/buildinfo"
)

func newVersionCommand(io streams) *cobra.Command {
	return &cobra.Command{
		Use:   "version",
		Short: "Print the version",
		Args:  takes(0, 0),
		RunE: func(*cobra.Command, []string) error {
			fmt.Fprintf(io.out, "reimage %s (%s, Temporal SDK %s)\n", buildinfo.Read(), runtime.Version(), temporal.SDKVersion)
			return nil
		},
	}
}
