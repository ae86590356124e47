package workflows

import (
	"fmt"
	"strings"
	"time"

	"go.temporal.io/sdk/workflow"
)

// shownServers bounds the lists in the Web UI.
const shownServers = 20

// maxDetails is what the server takes (limit.userMetadataDetailsSize: 20,000 bytes).
const maxDetails = 19_000

// show writes the current details for the Web UI, Markdown of some kilobytes.
func (r *rolloutRun) show(ctx workflow.Context) {
	p := r.engine.Progress()
	var text strings.Builder
	line := func(format string, args ...any) { text.WriteString(fmt.Sprintf(format, args...)) }
	line("**%s** to image %s: %s\n\n%s\n\n", p.Name, p.ImageName, p.Phase, p.Why)
	line("failures %d of %d tolerated, slots %d of %d\n\n", p.Failed, p.Tolerated, p.Slots, p.SlotsCap)
	line("| wave | servers | done | failed | in flight | pending |\n|---|---|---|---|---|---|\n")
	for _, wave := range p.Waves {
		c := wave.Counts
		line("| %s | %d | %d | %d | %d | %d |\n", wave.Name, c.Servers, c.Done, c.Failed, c.InFlight+c.Soaking, c.Pending)
	}
	if len(p.Failures) > 0 {
		line("\nFailed:\n")
		for _, server := range p.Failures[:min(len(p.Failures), shownServers)] {
			line("- %s: %s: %s\n", server.Name, server.End, server.Reason)
		}
	}
	line("\n")
	for _, entry := range p.Log {
		line("- %s %s %s\n", entry.At.UTC().Format(time.RFC3339), entry.By, entry.What)
	}
	details := text.String()
	workflow.SetCurrentDetails(ctx, strings.ToValidUTF8(details[:min(len(details), maxDetails)], ""))
}
