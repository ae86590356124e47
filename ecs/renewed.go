package ecs

import (
	"context"
	"net/http"
	"sync"
	"time"
)

// freshGrant is how long a grant is not replaced because of a refusal: whatever refuses what has just been
// granted refuses the next one, too, and the identity service is not to be flooded.
const freshGrant = 10 * time.Second

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
// refuses them: tokens, and the temporary keys of an agency. Many callers share one renewal.
type renewed struct {
	fetch func(ctx context.Context) (grant, error)

	renewing chan struct{} // holds a value while somebody renews
	mu       sync.Mutex
	current  grant
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

func (r *renewed) grant(ctx context.Context, now time.Time) (grant, error) {
	if g := r.have(); g.fresh(now) {
		return g, nil
	}
	select {
	case r.renewing <- struct{}{}:
		defer func() { <-r.renewing }()
	case <-ctx.Done():
		return grant{}, ctx.Err()
	}
	have := r.have()
	if have.fresh(now) {
		return have, nil // somebody else has renewed it meanwhile
	}
	got, err := r.fetch(ctx)
	if err != nil {
		if have.valid(now) {
			return have, nil
		}
		return grant{}, err
	}
	r.mu.Lock()
	defer r.mu.Unlock()
	r.current = got
	return got, nil
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

func (r *renewed) secrets() []string {
	if known, ok := r.have().credentials.(interface{ secrets() []string }); ok {
		return known.secrets()
	}
	return nil
}
