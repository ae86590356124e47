package main

import (
	"context"
	"slices"
	"sync"
	"time"

	"golang.org/x/sync/errgroup"

	"github.com/reimage/reimage/activities"
	"github.com/reimage/reimage/api"
	"github.com/reimage/reimage/internal/progressview"
	"github.com/reimage/reimage/rollout"
)

// outlooker finds out what may still come to failed servers whose change was not seen to its end: the rollout itself does
// not learn what somebody says. Each frame asks about those that were not asked about for a while.
type outlooker struct {
	ask   func(ctx context.Context, project, serverID string) (progressview.Outlook, error)
	known map[string]heardOutlook // by server id
}

// heardOutlook is what was heard last.
type heardOutlook struct {
	of      progressview.Outlook
	attempt int // of the server, that it is about
	asked   time.Time
}

const (
	// outlookInterval is how long a server is not asked about again, and outlooksAtOnce how many are at a time: the looks
	// of servers share Temporal's list with whoever watches.
	outlookInterval = 30 * time.Second
	outlooksAtOnce  = 5
	// outlookPatience is for whoever looks once, and would order what somebody has said already.
	outlookPatience = 30 * time.Second
)

func newOutlooker(ask func(ctx context.Context, project, serverID string) (progressview.Outlook, error)) *outlooker {
	return &outlooker{ask: ask, known: map[string]heardOutlook{}}
}

// of does not ask longer than patience: the next frame goes on. What Temporal does not tell stays as it was.
func (o *outlooker) of(ctx context.Context, p rollout.Progress, patience time.Duration) map[string]progressview.Outlook {
	ctx, cancel := context.WithTimeout(ctx, patience)
	defer cancel()
	unseen := progressview.Unseen(p)
	var (
		lock   sync.Mutex
		asking errgroup.Group
		due    []rollout.ServerProgress
	)
	for _, server := range unseen {
		known := o.known[server.ID]
		if known.attempt != server.Attempts {
			known = heardOutlook{attempt: server.Attempts}
			o.known[server.ID] = known
		}
		if known.of != progressview.NothingComes && time.Since(known.asked) >= outlookInterval {
			due = append(due, server)
		}
	}
	// Whoever was not told in time comes after those who were not asked yet.
	slices.SortStableFunc(due, func(a, b rollout.ServerProgress) int { return o.known[a.ID].asked.Compare(o.known[b.ID].asked) })
	asking.SetLimit(outlooksAtOnce)
	for _, server := range due {
		asking.Go(func() error {
			if ctx.Err() != nil {
				return nil
			}
			note := func(change func(*heardOutlook)) {
				lock.Lock()
				defer lock.Unlock()
				known := o.known[server.ID]
				change(&known)
				o.known[server.ID] = known
			}
			note(func(known *heardOutlook) { known.asked = time.Now() })
			if heard, err := o.ask(ctx, p.Project, server.ID); err == nil {
				note(func(known *heardOutlook) { known.of = heard })
			}
			return nil
		})
	}
	_ = asking.Wait() // it has none
	all := map[string]progressview.Outlook{}
	for _, server := range unseen {
		all[server.ID] = o.known[server.ID].of
	}
	return all
}

// outlook reads what the histories of a server tell of what may still come to it.
func (r *rolloutRun) outlook(ctx context.Context, project, serverID string) (progressview.Outlook, error) {
	lock := api.ChangeOSID(project, serverID)
	earlier, err := activities.SentTo(ctx, r.session.client, lock, "")
	if err != nil || earlier.Held {
		return progressview.MayCome, err
	}
	if len(earlier.Open) > 0 {
		// A word is refused while the cloud works on the job, but not for ever.
		if since := earlier.Open[0].UnderWaySince; !since.IsZero() && time.Since(since) < api.StuckAfter {
			return progressview.UnderWay, nil
		}
		return progressview.MayCome, nil
	}
	// No history at all tells nothing.
	_, err = r.session.client.DescribeWorkflowExecution(ctx, lock, "")
	if err != nil {
		return progressview.MayCome, err
	}
	return progressview.NothingComes, nil
}

// triedInVain are the servers whose earlier change may still come, if they are tried again now.
func (r *rolloutRun) triedInVain(ctx context.Context, p rollout.Progress, servers []string) []rollout.ServerProgress {
	meant := func(s rollout.ServerProgress) bool {
		isMeant := func(ref string) bool { return ref == s.ID || ref == s.Name || rollout.MatchName(ref, s.Name) }
		return len(servers) == 0 || slices.ContainsFunc(servers, isMeant)
	}
	p.Failures = slices.DeleteFunc(slices.Clone(p.Failures), func(s rollout.ServerProgress) bool { return !meant(s) })
	of := newOutlooker(r.outlook).of(ctx, p, outlookPatience)
	return slices.DeleteFunc(progressview.Unseen(p), func(s rollout.ServerProgress) bool { return of[s.ID] == progressview.NothingComes })
}
