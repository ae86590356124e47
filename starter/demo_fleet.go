package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"sync"
	"time"

	"go.temporal.io/api/enums/v1"

	"github.com/reimage/reimage/api"
	"github.com/reimage/reimage/internal/emulator"
	"github.com/reimage/reimage/internal/planview"
	"github.com/reimage/reimage/internal/progressview"
	"github.com/reimage/reimage/internal/report"
	"github.com/reimage/reimage/rollout"
	"github.com/reimage/reimage/rollout/document"
)

// The fleet of the demo: two of its servers fail, one with its old disk and one with a new one.
const (
	demoServers  = 24
	demoInFlight = 6
	demoRollout  = "demo-fleet"
	failsIntact  = "web-11"
	failsChanged = "web-20"
)

func demoFleet() []emulator.Server {
	zones := []string{"eu-emulated-1a", "eu-emulated-1b", "eu-emulated-1c"}
	fleet := make([]emulator.Server, demoServers)
	for i := range fleet {
		fleet[i] = emulator.Server{Name: fmt.Sprintf("web-%02d", i+1), Zone: zones[i%len(zones)], Tags: []string{"role=web"}}
	}
	return fleet
}

func demoFaults() []emulator.Fault {
	return []emulator.Fault{
		{Op: emulator.OpChangeOS, Server: failsIntact, Kind: emulator.JobFail, Variant: emulator.VariantIntact},
		{Op: emulator.OpChangeOS, Server: failsChanged, Kind: emulator.JobFail, Variant: emulator.VariantChanged},
	}
}

// demoDocument is what an operator would write in rollout.yaml.
func demoDocument() document.Rollout {
	tenth, quarter, all := rollout.Percent(1000), rollout.Percent(2500), rollout.Whole
	return document.Rollout{
		APIVersion: document.APIVersion, Kind: document.Kind, Metadata: document.Metadata{Name: demoRollout, Reason: "a demonstration"},
		Spec: document.Spec{
			Select: document.Selection{Tags: []string{"role=web"}, Expect: document.Expect{Count: new(demoServers)}},
			Image:  document.Image{Name: emulator.TargetImageName},
			Waves: []document.Wave{
				{Name: "canary", UpTo: &tenth, Bake: document.Duration(3 * time.Second)},
				{Name: "early", UpTo: &quarter}, {Name: "rest", UpTo: &all},
			},
			InFlight: document.Limit{Count: new(demoInFlight)},
			Budget:   document.Budget{Tolerate: document.Limit{Count: new(2)}},
		},
	}
}

// rollFleet plans and carries out the rollout, and kills the worker in the middle of it.
func (d *demo) rollFleet(ctx context.Context, io streams) (proof, error) {
	s := &session{client: d.temporal.Client, taskQueue: api.TaskQueue}
	plan, err := s.plan(ctx, io.err, demoDocument())
	if err != nil {
		return nil, err
	}
	fmt.Fprintln(d.story)
	if err := planview.Print(d.story, plan); err != nil {
		return nil, err
	}
	fmt.Fprintf(d.story, "\nTwo failures are built into this cloud: %s fails and keeps its old disk, %s gets a new one and does not\nboot. The worker is killed on the way, and another one takes over.\n\n", failsIntact, failsChanged)
	run, err := s.startRollout(ctx, plan, "the demo")
	if err != nil {
		return nil, err
	}
	watched := &demoDisplay{display: newDisplay(d.story)}
	killed := make(chan error, 1)
	go func() { killed <- d.killMidWave(ctx, run, watched) }()
	mostOut := d.watchOutOfService()

	p, err := run.watch(ctx, watched, true)
	if err := errors.Join(err, <-killed); err != nil {
		mostOut()
		return nil, err
	}
	e := fleetEvidence{
		End: p.End, Servers: p.Counts.Servers, Done: p.Counts.Done, Failed: p.Counts.Failed,
		MostOutOfService: mostOut(), InFlightCap: demoInFlight, WorkersKilled: len(d.workers) - 1,
	}
	if e.report, err = run.report(ctx); err != nil {
		return nil, err
	}
	return d.collectFleet(ctx, run, plan, e)
}

// killMidWave waits for the middle of the last wave, kills the worker without warning and starts another.
func (d *demo) killMidWave(ctx context.Context, run *rolloutRun, watched *demoDisplay) error {
	const middle = 10
	for {
		p, err := run.progress(ctx)
		if err == nil && p.Counts.Done >= middle && len(p.InFlight) > 0 {
			break
		}
		if err == nil && p.Phase == rollout.PhaseEnded {
			return errors.New("the rollout ended before the worker could be killed: lower --speed")
		}
		select {
		case <-ctx.Done():
			return ctx.Err()
		case <-time.After(stepInterval):
		}
	}
	first := d.workers[0]
	watched.notice(fmt.Sprintf("worker 1 (process %d) was killed with SIGKILL in the middle of the wave", first.PID()))
	if err := first.Kill(); err != nil {
		return err
	}
	story := d.story
	d.story = io.Discard // the picture is being drawn
	defer func() { d.story = story }()
	if err := d.startWorker(ctx); err != nil {
		return err
	}
	watched.notice(fmt.Sprintf("worker 1 was killed with SIGKILL; worker 2 (process %d) goes on", d.workers[1].PID())) // nothing is cut off at 80 columns
	return nil
}

// demoDisplay adds the demo's own doings to the picture of a rollout.
type demoDisplay struct {
	display
	mu   sync.Mutex
	said string
}

func (d *demoDisplay) notice(what string) {
	d.mu.Lock()
	defer d.mu.Unlock()
	d.said = what
}

func (d *demoDisplay) show(v progressview.View) error {
	d.mu.Lock()
	if d.said != "" {
		v.Notice = d.said
	}
	d.mu.Unlock()
	return d.display.show(v)
}

// watchOutOfService counts how many servers do not run at a time, and returns the most.
func (d *demo) watchOutOfService() func() int {
	stop, most := make(chan struct{}), make(chan int)
	go func() {
		worst := 0
		for {
			out := 0
			for _, server := range d.cloud.Servers() {
				if server.Status != rollout.StatusActive || server.TaskState != "" {
					out++
				}
			}
			worst = max(worst, out)
			select {
			case <-stop:
				most <- worst
				return
			case <-time.After(stepInterval):
			}
		}
	}()
	return func() int { close(stop); return <-most }
}

// fleetEvidence is what the demo of a fleet proves: read from the emulated cloud and from the histories, not
// from what reimage says of itself.
type fleetEvidence struct {
	End              rollout.RolloutEnd `json:"end"`
	Servers          int                `json:"servers"`
	Done             int                `json:"done"`
	Failed           int                `json:"failed"`
	OnNewImage       int                `json:"on_new_image"`
	ChangeOSAccepted int                `json:"changeos_accepted"`
	AcceptedTwice    int                `json:"accepted_twice"`
	MostOutOfService int                `json:"most_out_of_service"`
	InFlightCap      int                `json:"in_flight_cap"`
	WorkersKilled    int                `json:"workers_killed"`
	APICalls         int                `json:"api_calls"`
	RolloutEvents    int                `json:"rollout_history_events"`
	ServerEvents     float64            `json:"history_events_per_server"`
	Seconds          float64            `json:"seconds"`

	report report.Report
}

// proven is true when 22 servers have the new image on a new disk, the two that were to fail did, and no
// server was changed twice.
func (e fleetEvidence) proven() bool {
	return e.End == rollout.CompletedWithFailures && e.Done == e.Servers-2 && e.Failed == 2 && e.OnNewImage >= e.Done &&
		e.ChangeOSAccepted == e.Servers && e.AcceptedTwice == 0 && e.MostOutOfService <= e.InFlightCap && e.WorkersKilled == 1
}

func (e fleetEvidence) print(out io.Writer) {
	fmt.Fprintln(out)
	_ = e.report.Write(out, report.Text) // a terminal that is gone cannot be told
	fmt.Fprintf(out, `
Evidence, from the cloud's own ledger
  servers            %d, of them %d with the new image on a new system disk
  changeos accepted: %d, twice for one server: %d
  out of service     %d at most, allowed %d
  workers killed     %d in the middle; the next one finished the rollout
  API calls          %d
  history events     %d of the rollout, %.0f of each server
  took               %.0f seconds
`, e.Servers, e.OnNewImage, e.ChangeOSAccepted, e.AcceptedTwice, e.MostOutOfService, e.InFlightCap,
		e.WorkersKilled, e.APICalls, e.RolloutEvents, e.ServerEvents, e.Seconds)
}

func (d *demo) collectFleet(ctx context.Context, run *rolloutRun, plan rollout.Plan, e fleetEvidence) (fleetEvidence, error) {
	ledger := d.cloud.Ledger()
	total := 0
	for _, planned := range plan.Servers {
		now, _ := d.cloud.Server(planned.ID)
		if now.ImageID == plan.Change.ImageID && now.SystemVolumeID != planned.Before.VolumeID {
			e.OnNewImage++
		}
		accepted := ledger.Servers[planned.ID].ChangeOSAccepted
		e.ChangeOSAccepted += accepted
		if accepted > 1 {
			e.AcceptedTwice++
		}
		events, err := d.events(ctx, api.ChangeOSID(plan.Project, planned.ID))
		if err != nil {
			return e, err
		}
		total += events
	}
	for _, calls := range ledger.Requests {
		e.APICalls += calls
	}
	var err error
	e.ServerEvents = float64(total) / float64(len(plan.Servers))
	e.RolloutEvents, err = d.events(ctx, run.id())
	e.Seconds = time.Since(d.began).Seconds()
	return e, err
}

// events is the length of a workflow's history.
func (d *demo) events(ctx context.Context, workflowID string) (int, error) {
	n := 0
	history := d.temporal.Client.GetWorkflowHistory(ctx, workflowID, "", false, enums.HISTORY_EVENT_FILTER_TYPE_ALL_EVENT)
	for history.HasNext() {
		if _, err := history.Next(); err != nil {
			return n, err
		}
		n++
	}
	return n, nil
}
