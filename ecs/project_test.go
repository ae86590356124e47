package ecs_test

import (
	"context"
	"errors"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/reimage/reimage/ecs"
)

// finding is a client of which only the name of the project is known.
func finding(t *testing.T, c *cloud, find func(context.Context) (string, error)) *ecs.Client {
	t.Helper()
	config := config(c.URL)
	config.ProjectID, config.FindProject = "", find
	return newClient(t, config)
}

// TestNoCallWithoutAProject: its address would be one of another call.
func TestNoCallWithoutAProject(t *testing.T) {
	cloud := newCloud(t, answering(200, `{"job_id":"1"}`))
	client := finding(t, cloud, func(context.Context) (string, error) { return projectID, nil })
	assert.Empty(t, client.ProjectID())
	out := client.ChangeOS(t.Context(), serverID, rootRequest())
	assert.Equal(t, ecs.NotSent, out.Kind)
	require.ErrorContains(t, out.Err, "the id of the project is not known yet")
	assert.Empty(t, cloud.seen())

	require.NoError(t, client.Patient(nil).Resolve(t.Context()), "a copy finds it for all")
	assert.Equal(t, projectID, client.ProjectID())
	assert.Equal(t, ecs.Accepted, client.ChangeOS(t.Context(), serverID, rootRequest()).Kind)
	assert.Contains(t, cloud.seen()[0].target, "/v2/"+projectID+"/cloudservers/")
}

// TestProjectThatCannotBeUsed never gets into an address, and is asked for again.
func TestProjectThatCannotBeUsed(t *testing.T) {
	answers := []struct {
		id  string
		err error
	}{{"../x", nil}, {"", errors.New("nobody knows")}, {projectID, nil}}
	client := finding(t, newCloud(t, answering(200, "")), func(context.Context) (string, error) {
		next := answers[0]
		answers = answers[1:]
		return next.id, next.err
	})
	require.ErrorContains(t, client.Resolve(t.Context()), `find the project: project id "../x" must be`)
	require.ErrorContains(t, client.Resolve(t.Context()), "find the project: nobody knows")
	assert.Empty(t, client.ProjectID())
	require.NoError(t, client.Resolve(t.Context()))
	require.NoError(t, client.Resolve(t.Context()), "it is asked for no more")
}
