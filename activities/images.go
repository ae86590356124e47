package activities

import (
	"context"
	"sync"
	"time"

	"golang.org/x/sync/singleflight"

	"github.com/reimage/reimage/ecs"
)

// imageFresh is for how long an image counts as read. It decides only what is refused early: the cloud looks at
// the image again when it accepts the change.
const imageFresh = 5 * time.Minute

// images are read once for many servers: every server of a rollout asks for the same two.
type images struct {
	asking singleflight.Group

	mu    sync.Mutex
	known map[string]knownImage
}

type knownImage struct {
	ecs.Image
	at time.Time
}

// image reads an image, or takes the answer that others got a moment ago. Only an image that was found is kept.
func (s site) image(ctx context.Context, id string) (ecs.Image, error) {
	key := s.Cloud.ProjectID() + "/" + id
	if image, ok := s.images.fresh(key); ok {
		return image, nil
	}
	// Others wait for this answer too, so it does not end with the one who happened to ask first.
	answer := s.images.asking.DoChan(key, func() (any, error) {
		image, err := s.Cloud.Image(context.WithoutCancel(ctx), id)
		if err == nil {
			s.images.keep(key, image)
		}
		return image, err
	})
	select {
	case <-ctx.Done():
		return ecs.Image{}, ctx.Err()
	case got := <-answer:
		image, _ := got.Val.(ecs.Image)
		return image, got.Err
	}
}

func (i *images) fresh(key string) (ecs.Image, bool) {
	i.mu.Lock()
	defer i.mu.Unlock()
	image, ok := i.known[key]
	return image.Image, ok && time.Since(image.at) < imageFresh
}

func (i *images) keep(key string, image ecs.Image) {
	i.mu.Lock()
	defer i.mu.Unlock()
	if i.known == nil {
		i.known = map[string]knownImage{}
	}
	i.known[key] = knownImage{image, time.Now()}
}
