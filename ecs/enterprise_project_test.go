package ecs_test

import (
	"context"
	"net/http"
	"net/url"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/reimage/reimage/ecs"
)

// TestListsAreNarrowed: every list of servers and images names the enterprise project, and no other call does.
func TestListsAreNarrowed(t *testing.T) {
	const enterprise = "1f3d5b7a-9c2e-4f60-8a1b-3c5d7e9f1a2b"
	cloud := newCloud(t, answering(500, `{}`))
	c := config(cloud.URL)
	c.EnterpriseProject = enterprise
	client := newClient(t, c)
	ctx := context.Background()
	for name, test := range map[string]struct {
		call     func()
		narrowed bool
	}{
		"servers":        {func() { _, _ = client.Servers(ctx, ecs.ServerQuery{}) }, true},
		"servers by id":  {func() { _, _, _ = client.ServersByID(ctx, []string{serverID}) }, true},
		"glance":         {func() { _, _ = client.Glance(ctx) }, true},
		"image":          {func() { _, _ = client.Image(ctx, imageID) }, true},
		"images by name": {func() { _, _ = client.ImagesByName(ctx, "base") }, true},
		"server":         {func() { _, _ = client.Server(ctx, serverID) }, false},
		"disks":          {func() { _, _ = client.SystemDisk(ctx, serverID) }, false},
		"job":            {func() { _, _ = client.Job(ctx, jobID) }, false},
		"groups":         {func() { _, _ = client.ServerGroups(ctx) }, false},
	} {
		before := len(cloud.seen())
		test.call()
		require.Len(t, cloud.seen(), before+1, name)
		sent, err := url.Parse(cloud.seen()[before].target)
		require.NoError(t, err)
		assert.Equal(t, test.narrowed, sent.Query().Get("enterprise_project_id") == enterprise, name)
		assert.Equal(t, test.narrowed, sent.Query().Has("enterprise_project_id"), name)
	}
}

// TestImagesOutsideOfTheEnterpriseProject: public images may be in none, so what is not in it is asked for without it. Only
// credentials that may not ask so have seen all; trouble with asking is no image that does not exist.
func TestImagesOutsideOfTheEnterpriseProject(t *testing.T) {
	const one = `{"images":[{"id":"` + imageID + `","name":"base","status":"active"}]}`
	for name, test := range map[string]struct {
		within, without string
		status          int // without it
		class           ecs.Class
		calls           int
	}{
		"in it":          {one, "", 500, "", 1},
		"beside it":      {`{"images":[]}`, one, 200, "", 2},
		"nowhere":        {`{"images":[]}`, `{"images":[]}`, 200, ecs.ClassNotFound, 2},
		"not to be seen": {`{"images":[]}`, `{"error_code":"Pdp.0001","error_msg":"denied"}`, 403, ecs.ClassNotFound, 2},
		"trouble":        {`{"images":[]}`, `{}`, 500, ecs.ClassTransient, 2},
	} {
		t.Run(name, func(t *testing.T) {
			cloud := newCloud(t, func(w http.ResponseWriter, r *http.Request) {
				if r.URL.Query().Has("enterprise_project_id") {
					answering(200, test.within)(w, r)
					return
				}
				answering(test.status, test.without)(w, r)
			})
			c := config(cloud.URL)
			c.EnterpriseProject = ecs.AllEnterpriseProjects
			client := newClient(t, c)
			image, err := client.Image(context.Background(), imageID)
			assert.Len(t, cloud.seen(), test.calls)
			named, namedErr := client.ImagesByName(context.Background(), "base")
			if test.class == "" {
				require.NoError(t, err)
				require.NoError(t, namedErr)
				assert.Equal(t, "base", image.Name)
				assert.Len(t, named, 1)
				return
			}
			var failed *ecs.Error
			require.ErrorAs(t, err, &failed)
			assert.Equal(t, test.class, failed.Class())
			assert.Equal(t, test.class == ecs.ClassNotFound, namedErr == nil, "no image of a name is no error")
		})
	}
}

func TestEnterpriseProjectsThatAreNone(t *testing.T) {
	for _, id := range []string{"", "0", "all_granted_eps", "1f3d5b7a-9c2e-4f60-8a1b-3c5d7e9f1a2b"} {
		assert.NoError(t, ecs.CheckEnterpriseProject(id), id)
	}
	c := config("http://ecs.example")
	c.EnterpriseProject = "default"
	_, err := ecs.New(c)
	assert.EqualError(t, err, `enterprise project "default" is not a UUID, 0 (the default one) or all_granted_eps`)
}

// TestRemedyOfAnEnterpriseProject: the action may be granted, but not where it was asked for.
func TestRemedyOfAnEnterpriseProject(t *testing.T) {
	cloud := newCloud(t, answering(403, `{"error":{"code":"Pdp.0001","message":"denied"}}`))
	c := config(cloud.URL)
	_, err := newClient(t, c).Servers(context.Background(), ecs.ServerQuery{})
	require.ErrorContains(t, err, "(the credentials need the action ecs:cloudServers:list in this project; if they have it in an enterprise project, "+
		"set HW_ENTERPRISE_PROJECT_ID of the worker to its id, or to all_granted_eps)")
	c.EnterpriseProject = "0"
	_, err = newClient(t, c).Image(context.Background(), imageID)
	require.ErrorContains(t, err, "(the credentials need the action ims:images:list in this project, or in enterprise project 0, which HW_ENTERPRISE_PROJECT_ID of the worker names)")
	_, err = newClient(t, c).Server(context.Background(), serverID)
	assert.ErrorContains(t, err, "(the credentials need the action ecs:cloudServers:get in this project)")
}
