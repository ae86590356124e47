package activities

import (
	"context"
	"time"

	"github.com/reimage/reimage/rollout"
)

const (
	// crowd is from how many servers on one call for all of them is cheap enough to be made often.
	crowd = 50
	// rarely is how many polls a wait lets pass at most before the cloud is asked about the job itself, whatever
	// the server shows and however long others took: a job may have failed.
	rarely = 12
)

// watch waits for the end of one operation on one server with few calls, by this schedule:
//
//   - While nothing is known of such operations, the cloud is asked each Poll.
//   - Otherwise first when the soonest of them would be over, then each third of Poll until the slowest would be over,
//     and each Poll after that.
//   - When several activities of the worker look at the same time, one call reads all their servers. Then the cloud is
//     asked only about a job whose server has come to rest, each Poll while it stays so, about one that is late, and
//     rarely about any.
//   - While nothing is known and a crowd waits, its servers are read each third of Poll.
//   - When the answer says nothing of a server, the cloud is asked about its job each Poll.
type watch struct {
	site
	serverID string    // empty when it is not known: then there are no rounds
	foreseen bool      // it takes as long as others did; a stop takes as long as its guest does
	since    time.Time // when the operation began
	asked    time.Time // when the cloud was asked about it last
	others   int       // how many servers the last round asked for, this one included
	spoilt   bool      // its answer said nothing of this one
	shown    rollout.Observation
	worked   bool // it has shown something under way
	rested   bool // it shows what may be the end: nothing under way, and not the stop that a change begins with
}

func (s site) watch(serverID string, since time.Time) *watch {
	return &watch{site: s, serverID: serverID, since: since, asked: time.Now()}
}

func (w *watch) expected() (from, to time.Duration, known bool) {
	if !w.foreseen {
		return 0, 0, false
	}
	return w.durations.expected(w.Cloud.ProjectID())
}

// next waits until it is worth asking the cloud about the operation, and no longer than until. Zero is no limit.
func (w *watch) next(ctx context.Context, until time.Time) error {
	for {
		now := time.Now()
		wait := w.interval(now)
		left := until.Sub(now)
		last := !until.IsZero() && left <= wait
		if last {
			wait = max(0, left)
		}
		if last || w.serverID == "" {
			err := pause(ctx, wait)
			w.asked = time.Now()
			return err
		}
		if rest := wait - w.between(); rest > 0 {
			if err := pause(ctx, rest); err != nil {
				return err
			}
		}
		seen, r, err := w.glance(ctx, w.serverID)
		if err != nil {
			return err
		}
		w.others, w.spoilt = len(r.servers), seen == nil && !r.throttled && !r.none()
		if r.none() || w.spoilt || w.isNews(seen) || w.isLate(time.Now()) {
			w.asked = time.Now()
			return nil
		}
	}
}

// interval is how long to wait before the next look.
func (w *watch) interval(now time.Time) time.Duration {
	from, to, known := w.expected()
	elapsed := now.Sub(w.since)
	switch {
	case known && elapsed < from:
		return max(w.between(), min(from-elapsed, rarely*w.Timing.Poll))
	case w.spoilt: // each asks for himself
		return w.Timing.Poll
	case known && elapsed <= to, !known && w.others >= crowd:
		return w.between()
	case !known && w.others > 1: // all at the same moment
		return now.Truncate(w.Timing.Poll).Add(w.Timing.Poll).Sub(now)
	}
	return w.Timing.Poll
}

// isNews is true when the server shows something else than before, and nothing that is under way.
func (w *watch) isNews(seen *rollout.Observation) bool {
	if seen == nil {
		return false
	}
	atRest := seen.Idle() || !seen.Exists
	news := *seen != w.shown && atRest
	w.worked = w.worked || !atRest
	w.shown, w.rested = *seen, atRest && (w.worked || seen.Status != rollout.StatusShutoff)
	return news
}

// isLate is true when the job may be over although the server shows no news: its word may trail behind the server,
// and some editions show nothing of a change of OS, or of a job that has failed.
func (w *watch) isLate(now time.Time) bool {
	_, to, known := w.expected()
	silent := now.Sub(w.asked)
	if w.rested || known && now.Sub(w.since) > to {
		return silent >= w.Timing.Poll
	}
	return silent >= rarely*w.Timing.Poll
}
