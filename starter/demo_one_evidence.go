package main

import (
	"context"
	"fmt"
	"io"
	"time"

	"go.temporal.io/api/enums/v1"

	"github.com/reimage/reimage/api"
	"github.com/reimage/reimage/rollout"
)

// evidence is what the demo proves: read from the emulated cloud and from the workflow's history, not
// from what reimage says of itself.
type evidence struct {
	Server           string            `json:"server"`
	ServerID         string            `json:"server_id"`
	End              rollout.ServerEnd `json:"end"`
	ImageBefore      string            `json:"image_before"`
	ImageAfter       string            `json:"image_after"`
	VolumeBefore     string            `json:"volume_before"`
	VolumeAfter      string            `json:"volume_after"`
	StatusAfter      string            `json:"status_after"`
	ChangeOSAccepted int               `json:"changeos_accepted"`
	WorkersKilled    int               `json:"workers_killed"`
	PollJobAttempts  int32             `json:"poll_job_attempts"`
	APICalls         int               `json:"api_calls"`
	HistoryEvents    int               `json:"history_events"`
	Seconds          float64           `json:"seconds"`
	imageWanted      string
}

// proven is true when the server has the new image on a new disk, and lost its old one exactly once.
func (e evidence) proven() bool {
	return e.End == rollout.Done && e.ImageAfter == e.imageWanted && e.VolumeAfter != e.VolumeBefore &&
		e.StatusAfter == rollout.StatusActive && e.ChangeOSAccepted == 1
}

func (e evidence) print(out io.Writer) {
	fmt.Fprintf(out, `
Evidence, from the cloud's own ledger
  image              %s -> %s
  system disk        %s -> %s
  status             %s
  changeos accepted: %d
  workers killed     %d (the job was polled by %s)
  API calls          %d
  history events     %d
  took               %.0f seconds
`, e.ImageBefore, e.ImageAfter, e.VolumeBefore, e.VolumeAfter, e.StatusAfter, e.ChangeOSAccepted,
		e.WorkersKilled, rollout.Count(int(e.PollJobAttempts), "worker"), e.APICalls, e.HistoryEvents, e.Seconds)
}

func (d *oneServer) collect(ctx context.Context, result rollout.ServerResult) (evidence, error) {
	now, _ := d.cloud.Server(d.server.ID)
	ledger := d.cloud.Ledger()
	e := evidence{
		Server: d.server.Name, ServerID: d.server.ID, End: result.End,
		ImageBefore: d.server.ImageID, ImageAfter: now.ImageID, imageWanted: d.image.ID,
		VolumeBefore: d.server.SystemVolumeID, VolumeAfter: now.SystemVolumeID, StatusAfter: now.Status,
		WorkersKilled: len(d.workers) - 1,
		Seconds:       time.Since(d.began).Seconds(),
	}
	if booked, ok := ledger.Servers[d.server.ID]; ok {
		e.ChangeOSAccepted = booked.ChangeOSAccepted
	}
	for _, calls := range ledger.Requests {
		e.APICalls += calls
	}
	return e, d.readHistory(ctx, &e)
}

// readHistory counts the events and the attempts at polling the job.
func (d *oneServer) readHistory(ctx context.Context, e *evidence) error {
	polls := map[int64]bool{}
	history := d.temporal.Client.GetWorkflowHistory(ctx, d.change.GetID(), d.change.GetRunID(), false, enums.HISTORY_EVENT_FILTER_TYPE_ALL_EVENT)
	for history.HasNext() {
		event, err := history.Next()
		if err != nil {
			return err
		}
		e.HistoryEvents++
		if event.GetActivityTaskScheduledEventAttributes().GetActivityType().GetName() == api.PollJobActivity {
			polls[event.GetEventId()] = true
		}
		if started := event.GetActivityTaskStartedEventAttributes(); polls[started.GetScheduledEventId()] {
			e.PollJobAttempts = started.GetAttempt()
		}
	}
	return nil
}
