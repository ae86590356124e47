package main

import (
	"context"
	"time"

	"github.com/spf13/cobra"

	"github.com/reimage/reimage/rollout"
)

// completionPatience is how long somebody who pressed Tab waits.
const completionPatience = 3 * time.Second

// completion completes one word from what Temporal knows. Whatever goes wrong, it offers nothing: an error
// message would end in the command line.
func completion(cmd *cobra.Command, offer func(context.Context, *session) ([]string, error)) ([]string, cobra.ShellCompDirective) {
	parent := cmd.Context()
	if parent == nil {
		parent = context.Background()
	}
	ctx, cancel := context.WithTimeout(parent, completionPatience)
	defer cancel()
	s, err := dial(ctx, "")
	if err != nil {
		return nil, cobra.ShellCompDirectiveNoFileComp
	}
	defer s.close()
	words, err := offer(ctx, s)
	if err != nil {
		return nil, cobra.ShellCompDirectiveNoFileComp
	}
	return words, cobra.ShellCompDirectiveNoFileComp
}

// completeRollouts completes the name of a rollout, and nothing after it.
func completeRollouts(query string) cobra.CompletionFunc {
	return func(cmd *cobra.Command, args []string, _ string) ([]string, cobra.ShellCompDirective) {
		if len(args) > 0 {
			return nil, cobra.ShellCompDirectiveNoFileComp
		}
		return completion(cmd, func(ctx context.Context, s *session) ([]string, error) { return s.names(ctx, query) })
	}
}

// completeServers completes the name of a running rollout, then the servers that the command can mean.
func completeServers(kind rollout.CommandKind) cobra.CompletionFunc {
	return func(cmd *cobra.Command, args []string, toComplete string) ([]string, cobra.ShellCompDirective) {
		if len(args) == 0 {
			return completeRollouts(runningRollouts)(cmd, args, toComplete)
		}
		return completion(cmd, func(ctx context.Context, s *session) ([]string, error) {
			run := &rolloutRun{session: s, name: args[0]}
			if kind != rollout.Skip {
				p, err := run.progress(ctx)
				return serverNames(p.Failures, rollout.ServerProgress.Failed), err
			}
			servers, err := run.servers(ctx)
			return serverNames(servers, func(s rollout.ServerProgress) bool {
				return s.State == rollout.Pending || s.State == rollout.Busy
			}), err
		})
	}
}

func serverNames(servers []rollout.ServerProgress, wanted func(rollout.ServerProgress) bool) []string {
	var names []string
	for _, s := range servers {
		if wanted(s) && s.Name != "" {
			names = append(names, s.Name)
		}
	}
	return names
}

// completeWaves completes the wave that waits for an approval, or bakes.
func completeWaves(cmd *cobra.Command, args []string, _ string) ([]string, cobra.ShellCompDirective) {
	if len(args) == 0 {
		return nil, cobra.ShellCompDirectiveNoFileComp
	}
	return completion(cmd, func(ctx context.Context, s *session) ([]string, error) {
		p, err := (&rolloutRun{session: s, name: args[0]}).progress(ctx)
		var waves []string
		for _, wave := range p.Waves {
			if wave.AwaitsApproval || !wave.BakeUntil.IsZero() {
				waves = append(waves, wave.Name)
			}
		}
		return waves, err
	})
}
