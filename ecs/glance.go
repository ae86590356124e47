package ecs

import (
	"context"
	"errors"
	"net/http"
	"net/url"
	"time"
)

// Glance is what one small request shows of a project, and of the way to it.
type Glance struct {
	Servers int    // how many the project has
	First   Server // any of them; zero when there is none
	// Skew is how far the local clock is ahead of the cloud's, to a second; below zero it is behind. It is known
	// when Dated, also beside an error, and by the identity service's answer when that grants no credentials.
	Skew  time.Duration
	Dated bool
}

// Glance lists one server, once it has found the project. It is tried once, by a patient client too: it is for
// somebody who wants to know how things are now.
func (c *Client) Glance(ctx context.Context) (Glance, error) {
	g, err := c.glance(ctx)
	if e, ok := errors.AsType[*Error](err); ok {
		g.Skew, g.Dated = e.skew, e.dated
	}
	return g, err
}

func (c *Client) glance(ctx context.Context) (Glance, error) {
	var g Glance
	if err := c.Resolve(ctx); err != nil {
		return g, err
	}
	address := withQuery(c.cloudServer("v1", "detail"), c.narrowed(url.Values{"limit": {"1"}, "offset": {"1"}}))
	call := request{
		op: "list", resource: "servers", url: address, list: true, method: http.MethodGet, action: ActionListServers, enterprise: c.enterprise,
	}
	reply := c.ask(ctx, call)
	g.Skew, g.Dated = skewOf(reply.answer)
	page, err := decodeReply(reply, call, decodeServerPage)
	if err != nil {
		return g, err
	}
	g.Servers = page.count
	if len(page.servers) > 0 {
		g.First = page.servers[0]
	}
	return g, nil
}

// Endpoints are the base URLs of the server and the image service.
func (c *Client) Endpoints() (ecs, ims string) { return c.ecs.String(), c.ims.String() }
