package ecs

import (
	"context"
	"errors"
	"fmt"
	"net/url"
)

// StopType is how a server is stopped.
type StopType string

// The ways to stop. SOFT asks the guest; the platform forces it after the image's shutdown timeout of
// 60 to 300 seconds. HARD cuts the power.
const (
	StopSoft StopType = "SOFT"
	StopHard StopType = "HARD"
)

// maxBatch is the largest batch sent. The documents speak of 1,000 servers, per call or per minute.
const maxBatch = 100

type serverRef struct {
	ID string `json:"id"`
}

type stopBody struct {
	Stop stopJSON `json:"os-stop"`
}

type stopJSON struct {
	Servers []serverRef `json:"servers"`
	Type    StopType    `json:"type"`
}

type startBody struct {
	Start startJSON `json:"os-start"`
}

type startJSON struct {
	Servers []serverRef `json:"servers"`
}

// StopServers asks to stop 1 to 100 servers. The job has one sub-job for each.
func (c *Client) StopServers(ctx context.Context, serverIDs []string, how StopType) Outcome {
	const op = "stop"
	resource := serversShown(serverIDs)
	err := checkBatch(serverIDs)
	if how != StopSoft && how != StopHard {
		err = errors.Join(err, fmt.Errorf("the type of the stop is %q and must be SOFT or HARD", how))
	}
	if err != nil {
		return refuse(op, resource, err)
	}
	body := stopBody{Stop: stopJSON{Servers: serverRefs(serverIDs), Type: how}}
	return c.send(ctx, request{op: op, resource: resource, action: ActionStop, url: c.powerAction(), body: encode(body)})
}

// StartServers asks to start 1 to 100 servers. The job has one sub-job for each.
func (c *Client) StartServers(ctx context.Context, serverIDs []string) Outcome {
	const op = "start"
	resource := serversShown(serverIDs)
	if err := checkBatch(serverIDs); err != nil {
		return refuse(op, resource, err)
	}
	body := startBody{Start: startJSON{Servers: serverRefs(serverIDs)}}
	return c.send(ctx, request{op: op, resource: resource, action: ActionStart, url: c.powerAction(), body: encode(body)})
}

func (c *Client) powerAction() *url.URL {
	return c.ecs.JoinPath("v1", c.ProjectID(), "cloudservers", "action")
}

// checkBatch refuses an empty list above all: nobody says what the cloud makes of it.
func checkBatch(serverIDs []string) error {
	var wrong []error
	if len(serverIDs) == 0 || len(serverIDs) > maxBatch {
		wrong = append(wrong, fmt.Errorf("%d servers were given and 1 to %d can be sent at once", len(serverIDs), maxBatch))
	}
	seen := map[string]bool{}
	for _, id := range serverIDs {
		if err := checkUUID("server id", id); err != nil {
			wrong = append(wrong, err)
		} else if seen[id] {
			wrong = append(wrong, fmt.Errorf("server id %q is given twice", id))
		}
		seen[id] = true
	}
	return errors.Join(wrong...)
}

func serverRefs(serverIDs []string) []serverRef {
	refs := make([]serverRef, len(serverIDs))
	for i, id := range serverIDs {
		refs[i].ID = id
	}
	return refs
}

func serversShown(serverIDs []string) string {
	switch len(serverIDs) {
	case 0:
		return "no server"
	case 1:
		return "server " + shown(serverIDs[0])
	default:
		return fmt.Sprintf("%d servers, the first being %s", len(serverIDs), shown(serverIDs[0]))
	}
}
