package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"slices"
	"sync"
	"time"

	"github.com/spf13/cobra"
	"go.temporal.io/api/serviceerror"
	"go.temporal.io/sdk/temporal"

	"github.com/reimage/reimage/api"
	"github.com/reimage/reimage/internal/progressview"
	"github.com/reimage/reimage/internal/timestamp"
	"github.com/reimage/reimage/rollout"
)

func newWatchCommand(io streams) *cobra.Command {
	var untilEnd bool
	cmd := &cobra.Command{
		Use:   "watch NAME",
		Short: "Watch a rollout until it ends or waits for a human",
		Long: `Watch a rollout: on a terminal as a picture that is drawn again and again, otherwise as
a line for each change. Ctrl-C stops watching and not the rollout.
NO_COLOR is honoured.
` + exitCodes,
		Args:              takes(1, 1),
		ValidArgsFunction: completeRollouts(allRollouts),
		RunE: func(cmd *cobra.Command, args []string) error {
			return runWatch(cmd.Context(), io, untilEnd, args[0])
		},
	}
	cmd.Flags().BoolVar(&untilEnd, "until-end", false, "keep watching while the rollout waits for a human")
	return cmd
}

func runWatch(ctx context.Context, io streams, untilEnd bool, name string) error {
	s, err := dial(ctx, "")
	if err != nil {
		return err
	}
	defer s.close()
	run, err := s.rollout(ctx, name, "")
	if err != nil {
		return err
	}
	p, err := run.watch(ctx, newDisplay(io.out), untilEnd)
	if err != nil {
		return err
	}
	return standing(p)
}

// display shows views one after the other.
type display interface {
	show(progressview.View) error
}

func newDisplay(out io.Writer) display {
	if s, ok := newScreen(out); ok {
		return s
	}
	return &lines{out: out}
}

func (s *screen) show(v progressview.View) error {
	columns, lines := s.room()
	return s.draw(progressview.Frame(v, progressview.Style{Width: columns, Height: lines, Colours: s.colours}))
}

// lines prints what is new since the view before.
type lines struct {
	out    io.Writer
	before progressview.View
}

func (l *lines) show(v progressview.View) error {
	news := slices.Concat(progressview.Changes(l.before.Progress, v.Progress, v.Now), progressview.Unpaid(l.before, v))
	for _, line := range news {
		if _, err := fmt.Fprintln(l.out, line); err != nil {
			return err
		}
	}
	if v.Notice != "" && v.Notice != l.before.Notice {
		if _, err := fmt.Fprintf(l.out, "%s  %s\n", timestamp.Clock(v.Now), v.Notice); err != nil {
			return err
		}
	}
	if next := v.Next(); !slices.Equal(next, l.before.Next()) {
		for _, command := range next {
			remark := ""
			if command.Remark != "" {
				remark = "\n      " + command.Remark
			}
			if _, err := fmt.Fprintf(l.out, "next: %s%s\n", command.Line, remark); err != nil {
				return err
			}
		}
	}
	l.before = v
	return nil
}

// watchInterval is how often a watched rollout is asked how it stands.
const watchInterval = 2 * time.Second

// watch shows the rollout until it has ended, or waits for a human unless untilEnd. It returns how the
// rollout stands then. Workers that are away are waited for, just as the rollout does.
func (r *rolloutRun) watch(ctx context.Context, d display, untilEnd bool) (rollout.Progress, error) {
	ended := r.ended(ctx)
	steps, outlooks := &stepper{run: r, known: map[string]api.Status{}}, r.outlooker()
	var view progressview.View
	if !r.running() {
		return r.last(ctx, d, outlooks, <-ended)
	}
	for {
		p, err := r.progress(ctx)
		view.Now, view.Notice = time.Now(), ""
		switch {
		case ctx.Err() != nil:
			return view.Progress, r.stoppedWatching()
		case err != nil:
			view.Notice = r.silent(ctx, err).Error()
		default:
			view.Progress = p
		}
		if err == nil {
			view.Status, view.Outlook = steps.of(ctx, p), outlooks.of(ctx, p, stepPatience)
		}
		if err := d.show(view); err != nil {
			return view.Progress, fmt.Errorf("rollout %s goes on, but it cannot be shown: %w", r.name, err)
		}
		if err == nil && p.NeedsHuman && p.Phase != rollout.PhaseEnded && !untilEnd { // at once: what is in flight may take long
			return p, nil
		}
		select {
		case <-ctx.Done():
			return view.Progress, r.stoppedWatching()
		case end := <-ended:
			return r.last(ctx, d, outlooks, end)
		case <-time.After(watchInterval):
		}
	}
}

func (r *rolloutRun) stoppedWatching() error {
	name := progressview.Word(r.name)
	return fmt.Errorf("stopped watching; rollout %s goes on. Watch it with: reimage watch %s; stop it with: reimage pause %s, or: reimage abort %s", r.name, name, name, name)
}

// end is how the workflow of a rollout closed.
type end struct {
	result api.RolloutResult
	err    error
}

// ended gives the end of the rollout when it comes. A connection that fails meanwhile is no end.
func (r *rolloutRun) ended(ctx context.Context) <-chan end {
	ended := make(chan end, 1)
	go func() {
		for {
			var e end
			e.result, e.err = r.result(ctx)
			if e.err == nil || isBroken(e.err) || ctx.Err() != nil {
				ended <- e
				return
			}
			select {
			case <-ctx.Done():
			case <-time.After(watchInterval):
			}
		}
	}()
	return ended
}

// isBroken tells a workflow that closed without a result from one whose result could not be fetched.
func isBroken(err error) bool {
	_, closed := errors.AsType[*temporal.WorkflowExecutionError](err)
	_, gone := errors.AsType[*serviceerror.NotFound](err)
	return closed || gone
}

// last shows the end. The workers may be gone by then: the result is known without them.
func (r *rolloutRun) last(ctx context.Context, d display, outlooks *outlooker, e end) (rollout.Progress, error) {
	if ctx.Err() != nil {
		return rollout.Progress{}, r.stoppedWatching()
	}
	if e.err != nil {
		return rollout.Progress{}, r.broken(e.err)
	}
	p, err := r.progress(ctx)
	if err != nil || p.Phase != rollout.PhaseEnded {
		p = r.fromResult(e.result)
	}
	return p, d.show(progressview.View{Progress: p, Outlook: outlooks.of(ctx, p, outlookTimeout), Now: time.Now(), Notice: missing(p)})
}

// fromResult is the progress of a rollout that has ended and whose workers do not answer: what its result
// tells, and nothing that may have changed since somebody last answered.
func (r *rolloutRun) fromResult(result api.RolloutResult) rollout.Progress {
	return rollout.Progress{
		Name: r.name, ImageName: result.ImageName, Phase: rollout.PhaseEnded, End: result.End, Why: "ended: " + string(result.End),
		Counts: result.Counts, Failed: result.Failed, Tolerated: result.Tolerated, StartedAt: result.StartedAt, EndedAt: result.EndedAt,
		Waves: []rollout.WaveProgress{},
	}
}

// missing says so when all that is known of a rollout is its result: every one has waves.
func missing(p rollout.Progress) string {
	if p.Phase != rollout.PhaseEnded || len(p.Waves) > 0 {
		return ""
	}
	return "no worker answers, so only the totals are known: start reimage-worker for the servers and the log"
}

// broken is the error for a rollout whose workflow did not end by itself.
func (r *rolloutRun) broken(err error) error {
	return &exitError{exitFailed, fmt.Errorf("the workflow of rollout %s did not end by itself: %s. No other server is started; servers in flight are finished by workflows of their own: reimage report %s names them, reimage server status ID tells of each", r.name, said(err), progressview.Word(r.name))}
}

// stepper finds out where the servers in flight are.
type stepper struct {
	run   *rolloutRun
	known map[string]api.Status // by server id
	from  int                   // whom to ask first
}

const (
	// askedAtOnce is how many servers are asked for their step in a round.
	askedAtOnce = 20
	// stepPatience is short: a picture without a step is better than none.
	stepPatience = 2 * time.Second
)

// of asks some servers in flight, the next ones each time, and gives what is known of all.
func (s *stepper) of(ctx context.Context, p rollout.Progress) map[string]api.Status {
	ctx, cancel := context.WithTimeout(ctx, stepPatience)
	defer cancel()
	var (
		asked sync.WaitGroup
		lock  sync.Mutex
		now   = make(map[string]api.Status, len(p.InFlight))
	)
	for _, server := range p.InFlight {
		if status, ok := s.known[server.ID]; ok {
			now[server.ID] = status
		}
	}
	for i := range min(askedAtOnce, len(p.InFlight)) {
		server := p.InFlight[(s.from+i)%len(p.InFlight)]
		asked.Go(func() {
			status, err := s.run.session.status(ctx, api.ChangeOSID(p.Project, server.ID), "")
			lock.Lock()
			defer lock.Unlock()
			if err == nil {
				now[server.ID] = status
			}
		})
	}
	asked.Wait()
	s.known, s.from = now, s.from+askedAtOnce
	return now
}
