package main

import (
	"context"
	"fmt"
	"net/http"
	"strings"

	"go.temporal.io/sdk/client"
	"go.temporal.io/sdk/temporal"

	"github.com/reimage/reimage/api"
	"github.com/reimage/reimage/rollout"
)

// Activities are what this program does itself.
type Activities struct {
	// Inventory is the URL of the configuration management, which knows every server by its id.
	Inventory string
	Temporal  client.Client
}

// Patch tells the configuration management which image the server gets, so that the new system is set up to fit. What it wrote
// on the system disk would be lost. Patching twice is the same as once: Temporal may retry it.
func (a *Activities) Patch(ctx context.Context, serverID, imageID string) error {
	return a.call(ctx, http.MethodPut, serverID, imageID)
}

// Verify checks that the application of the server serves on the new system. Temporal retries it until it does.
func (a *Activities) Verify(ctx context.Context, serverID, imageID string) error {
	return a.call(ctx, http.MethodGet, serverID, imageID)
}

func (a *Activities) call(ctx context.Context, method, serverID, imageID string) error {
	url := a.Inventory + "/servers/" + serverID + "/images/" + imageID
	request, err := http.NewRequestWithContext(ctx, method, url, nil)
	if err != nil {
		return temporal.NewNonRetryableApplicationError(err.Error(), "Misconfigured", err)
	}
	response, err := http.DefaultClient.Do(request)
	if err != nil {
		return err
	}
	defer response.Body.Close()
	if response.StatusCode >= http.StatusMultipleChoices {
		return fmt.Errorf("%s %s: %s", method, url, response.Status)
	}
	return nil
}

// NotDone names the servers of a rollout that were not changed, each with the reason. A rollout answers its queries also after its
// end.
func (a *Activities) NotDone(ctx context.Context, workflowID string) ([]string, error) {
	var notDone []string
	for page := (api.ServersPage{Limit: api.MaxServersPage}); ; {
		response, err := a.Temporal.QueryWorkflow(ctx, workflowID, "", api.ServersQuery, page)
		if err != nil {
			return nil, err
		}
		var servers api.ServersAnswer
		if err := response.Get(&servers); err != nil {
			return nil, err
		}
		for _, server := range servers.Servers {
			if server.End != rollout.Done {
				notDone = append(notDone, strings.TrimSpace(fmt.Sprintf("%s: %s: %s", server.Name, server.End, server.Reason)))
			}
		}
		if page.From = servers.Next; page.From == 0 {
			return notDone, nil
		}
	}
}
