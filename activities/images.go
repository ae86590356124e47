package activities

import (
	"context"

	"github.com/reimage/reimage/ecs"
)

// image reads an image, or takes the answer that others got a moment ago. Only an image that was found is kept.
func (s site) image(ctx context.Context, id string) (ecs.Image, error) {
	return s.images.get(ctx, s.Cloud.ProjectID()+"/"+id, func(ctx context.Context) (ecs.Image, error) { return s.Cloud.Image(ctx, id) })
}
