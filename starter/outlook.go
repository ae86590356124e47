package main

import (
	"context"
	"maps"
	"slices"
	"time"

	"github.com/reimage/reimage/api"
	"github.com/reimage/reimage/internal/pending"
	"github.com/reimage/reimage/internal/progressview"
	"github.com/reimage/reimage/rollout"
)

// outlooker finds out whether the change of a failed server is still pending: the rollout itself does not learn of dismissals.
type outlooker struct {
	temporal pending.Temporal
	known    map[string]progressview.Outlook // by server id
	attempts map[string]int                  // of the servers that known is about
	readAt   time.Time
}

const (
	// outlookInterval is how long an answer is good for: Temporal's list serves few queries a second.
	outlookInterval = 30 * time.Second
	// outlookTimeout is for commands that ask once.
	outlookTimeout = 30 * time.Second
)

// of does not ask longer than the timeout: the next frame goes on. Without an answer, everything stays as it was.
func (o *outlooker) of(ctx context.Context, p rollout.Progress, timeout time.Duration) map[string]progressview.Outlook {
	attempts, locks := map[string]int{}, []string{}
	for _, server := range progressview.Unseen(p) {
		attempts[server.ID], locks = server.Attempts, append(locks, api.ChangeOSID(p.Project, server.ID))
	}
	isSame := maps.Equal(attempts, o.attempts)
	if len(attempts) == 0 || isSame && time.Since(o.readAt) < outlookInterval {
		return o.known
	}
	if !isSame {
		o.known = nil
	}
	o.readAt, o.attempts = time.Now(), attempts
	ctx, cancel := context.WithTimeout(ctx, timeout)
	defer cancel()
	earlier, err := pending.OfServers(ctx, o.temporal, locks)
	if err != nil {
		return o.known
	}
	o.known = map[string]progressview.Outlook{}
	for id := range attempts {
		if found, ok := earlier[api.ChangeOSID(p.Project, id)]; ok { // no run at all proves nothing
			o.known[id] = outlookOf(found)
		}
	}
	return o.known
}

func outlookOf(found pending.Changes) progressview.Outlook {
	switch {
	case found.Locked:
		return progressview.MayCome
	case len(found.Pending) == 0:
		return progressview.NothingComes
	}
	// A dismissal is refused while the cloud works on the job, but not for ever.
	if since := found.Pending[0].InProgressSince; !since.IsZero() && time.Since(since) < api.StuckAfter {
		return progressview.UnderWay
	}
	return progressview.MayCome
}

// stillPending are the servers whose earlier change may still come, if they are tried again now.
func (r *rolloutRun) stillPending(ctx context.Context, p rollout.Progress, servers []string) []rollout.ServerProgress {
	isMeant := func(s rollout.ServerProgress) bool {
		return len(servers) == 0 || slices.ContainsFunc(servers, func(ref string) bool { return ref == s.ID || ref == s.Name || rollout.MatchName(ref, s.Name) })
	}
	p.Failures = slices.DeleteFunc(slices.Clone(p.Failures), func(s rollout.ServerProgress) bool { return !isMeant(s) })
	of := r.outlooker().of(ctx, p, outlookTimeout)
	return slices.DeleteFunc(progressview.Unseen(p), func(s rollout.ServerProgress) bool { return of[s.ID] == progressview.NothingComes })
}

func (r *rolloutRun) outlooker() *outlooker { return &outlooker{temporal: r.session.client} }
