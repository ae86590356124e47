package ecs

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"sync"
	"time"
)

const (
	// freshGrant is how long a grant is not replaced because of a refusal: whatever refuses what has just been
	// granted refuses the next one, too, and the identity service is not to be flooded. Nor is it asked sooner after
	// a renewal that failed.
	freshGrant = 10 * time.Second
	// refusedPause is how long nobody signs in again after a refusal. The service locks a user after 3 to 10 refused
	// sign-ins within 15 to 60 minutes, as the account has set it (IAM API, UpdateLoginPolicyV5), and a lock would
	// outlast the mend. This makes 3 in 15 minutes.
	refusedPause = 5 * time.Minute
	// briefRenewal bounds a renewal while the old grant serves: a service may well hang for hours.
	briefRenewal = 5 * time.Second
)

// grant is proof of identity that is good for a while.
type grant struct {
	credentials Credentials
	at, expires time.Time
	projectID   string // of a token
}

// fresh is true in the first half of the life: the cloud advises to renew well before the end.
func (g grant) fresh(now time.Time) bool {
	return g.credentials != nil && now.Before(g.at.Add(g.expires.Sub(g.at)/2))
}

// valid leaves what a request may take.
func (g grant) valid(now time.Time) bool {
	return g.credentials != nil && now.Before(g.expires.Add(-defaultRequestTimeout))
}

// renewed are credentials that are granted for a while, and granted anew at half of their life or when the cloud
// refuses them: tokens, and the temporary keys of an agency. Many callers share one renewal, and its failure.
type renewed struct {
	fetch func(ctx context.Context) (grant, error)

	renewing chan struct{} // holds a value while somebody renews
	mu       sync.Mutex
	current  grant
	// failure is that of the last renewal, and answers everybody until that time.
	failure error
	until   time.Time
}

func newRenewed(fetch func(ctx context.Context) (grant, error)) *renewed {
	return &renewed{fetch: fetch, renewing: make(chan struct{}, 1)}
}

// Authorize puts what was granted on the request, and has it renewed first when that is due. Half of its life is
// left for trouble with that: then the old grant serves.
func (r *renewed) Authorize(req *http.Request, body []byte, now time.Time) error {
	g, err := r.grant(req.Context(), now)
	if err != nil {
		return err
	}
	return g.credentials.Authorize(req, body, now)
}

// grant asks for a new one when that is due, one caller at a time. Nobody waits for that while the old one serves.
func (r *renewed) grant(ctx context.Context, now time.Time) (grant, error) {
	if g, settled, err := r.settled(now); settled {
		return g, err
	}
	if old := r.have(); old.valid(now) {
		select {
		case r.renewing <- struct{}{}:
		default:
			return old, nil // somebody else is renewing it
		}
	} else if !enter(ctx, r.renewing) {
		return grant{}, ctx.Err()
	}
	defer leave(r.renewing)
	if g, settled, err := r.settled(now); settled {
		return g, err // somebody else has asked meanwhile
	}
	return r.renew(ctx, now)
}

// settled is what a request of that time gets when nobody is to be asked for it.
func (r *renewed) settled(now time.Time) (g grant, settled bool, failure error) {
	r.mu.Lock()
	defer r.mu.Unlock()
	switch {
	case r.current.fresh(now):
		return r.current, true, nil
	case !time.Now().Before(r.until):
		return grant{}, false, nil
	case r.current.valid(now):
		return r.current, true, nil
	}
	return grant{}, true, r.failure
}

// renew asks for a grant. When there is none, the old one serves.
func (r *renewed) renew(ctx context.Context, now time.Time) (grant, error) {
	asking := ctx
	if r.have().valid(now) {
		var cancel context.CancelFunc
		asking, cancel = briefly(ctx)
		defer cancel()
	}
	got, err := r.fetch(asking)
	r.mu.Lock()
	defer r.mu.Unlock()
	if err == nil {
		r.current, r.until = got, time.Time{}
		return got, nil
	}
	if ctx.Err() == nil { // otherwise it says that this caller waits no longer, and nothing about the service
		r.remember(err)
	}
	if r.current.valid(now) {
		return r.current, nil
	}
	return grant{}, err
}

// briefly leaves at least half of a request's time to the request.
func briefly(ctx context.Context) (context.Context, context.CancelFunc) {
	limit := briefRenewal
	if end, ok := ctx.Deadline(); ok {
		limit = min(limit, time.Until(end)/2)
	}
	return context.WithTimeout(ctx, limit)
}

// errRemembered marks a failure that is kept until some time.
var errRemembered = errors.New("not again before")

// remember keeps a failure for everybody who asks within the pause after it, and has it say so. What the credentials
// of the call remember by themselves is not kept twice.
func (r *renewed) remember(failure error) {
	if errors.Is(failure, errRemembered) {
		return
	}
	failed, pause := time.Now(), freshGrant
	r.failure = failure
	if e, ok := errors.AsType[*Error](failure); ok {
		if class, _ := classOfIdentity(e); class == ClassAuth {
			pause = refusedPause
		}
		kept := *e
		kept.Err = errors.Join(e.Err, fmt.Errorf("tried at %s, and %w %s",
			failed.UTC().Format(time.RFC3339), errRemembered, failed.Add(pause).UTC().Format(time.RFC3339)))
		r.failure = &kept
	}
	r.until = failed.Add(pause)
}

func (r *renewed) have() grant {
	r.mu.Lock()
	defer r.mu.Unlock()
	return r.current
}

// refused gives up the grant that the cloud refused on a request of that time. It tells whether asking again may
// help: not when the grant is fresh from the service.
func (r *renewed) refused(req *http.Request, sent time.Time) bool {
	r.mu.Lock()
	defer r.mu.Unlock()
	granted, ok := r.current.credentials.(interface{ isOn(req *http.Request) bool })
	switch {
	case !ok || !granted.isOn(req):
		return true // it was given up, or renewed, since
	case sent.Sub(r.current.at) < freshGrant:
		return false
	}
	r.current = grant{}
	return true
}
