package ecs_test

import (
	"bufio"
	"context"
	"io"
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/reimage/reimage/ecs"
)

// The files in testdata/official-sdk are what the official SDK sent for the same inputs.

var capturedAt = time.Date(2026, 11, 23, 19, 28, 6, 0, time.UTC)

func TestClientSendsWhatTheOfficialSDKSends(t *testing.T) {
	ctx := context.Background()
	for name, call := range map[string]func(*ecs.Client){
		"changeos-v2-key": func(c *ecs.Client) {
			c.ChangeOS(ctx, serverID, ecs.ChangeOSRequest{ImageID: imageID, KeyName: "KeyPair-350b", UserID: "7e25b1da389f4697a79df3a0e5bd494e"})
		},
		"changeos-v1": func(c *ecs.Client) {
			c.ChangeOS(ctx, serverID, ecs.ChangeOSRequest{API: ecs.APIv1, ImageID: imageID, AdminPass: ecs.NewSecret("Secr3tpass!"), WithStopServer: true})
		},
		"stop-soft":                 func(c *ecs.Client) { c.StopServers(ctx, []string{serverID, otherID}, ecs.StopSoft) },
		"stop-hard":                 func(c *ecs.Client) { c.StopServers(ctx, []string{serverID}, ecs.StopHard) },
		"start":                     func(c *ecs.Client) { c.StartServers(ctx, []string{serverID}) },
		"show-job":                  func(c *ecs.Client) { _, _ = c.Job(ctx, jobID) },
		"show-server":               func(c *ecs.Client) { _, _ = c.Server(ctx, serverID) },
		"show-server-temporary-key": func(c *ecs.Client) { _, _ = c.Server(ctx, serverID) },
	} {
		t.Run(name, func(t *testing.T) {
			want, wantBody := captured(t, name)
			cloud := newCloud(t, answering(200, `{}`))
			c := config(cloud.URL)
			c.Credentials = capturedKey(want)
			c.UserAgent = want.Header.Get("User-Agent")
			c.Now = func() time.Time { return capturedAt }
			call(newClient(t, c))

			require.Len(t, cloud.seen(), 1)
			got := cloud.seen()[0]
			assert.Equal(t, want.Method, got.method)
			assert.Equal(t, want.RequestURI, got.target)
			assert.Equal(t, wantBody, got.body)
			for name := range want.Header {
				if name != "Accept-Encoding" { // ours wants answers as they are
					assert.Equal(t, want.Header.Get(name), got.header.Get(name), name)
				}
			}
			assert.Empty(t, got.header.Get("Accept-Encoding"))
		})
	}
}

// TestSignerAgreesWithEveryCapture signs the captured requests again, also those the client never sends.
func TestSignerAgreesWithEveryCapture(t *testing.T) {
	files, err := filepath.Glob("testdata/official-sdk/*.http")
	require.NoError(t, err)
	require.GreaterOrEqual(t, len(files), 12)
	for _, file := range files {
		name := strings.TrimSuffix(filepath.Base(file), ".http")
		t.Run(name, func(t *testing.T) {
			want, body := captured(t, name)
			req, err := http.NewRequest(want.Method, "http://ecs.example"+want.RequestURI, nil)
			require.NoError(t, err)
			for _, header := range []string{"Content-Type", "User-Agent", "X-Project-Id"} {
				req.Header.Set(header, want.Header.Get(header))
			}
			require.NoError(t, capturedKey(want).Authorize(req, []byte(body), capturedAt))
			assert.Equal(t, want.Header.Get("Authorization"), req.Header.Get("Authorization"))
		})
	}
}

// captured reads a request from testdata.
func captured(t *testing.T, name string) (*http.Request, string) {
	t.Helper()
	raw, err := os.ReadFile(filepath.Join("testdata", "official-sdk", name+".http"))
	require.NoError(t, err)
	head, body, _ := strings.Cut(string(raw), "\n\n")
	head = strings.ReplaceAll(strings.TrimSpace(head), "\n", "\r\n")
	req, err := http.ReadRequest(bufio.NewReader(io.MultiReader(strings.NewReader(head), strings.NewReader("\r\n\r\n"))))
	require.NoError(t, err)
	return req, body
}

func capturedKey(want *http.Request) ecs.AccessKey {
	return ecs.AccessKey{
		ID:            "EXAMPLEAK00000000000",
		Secret:        ecs.NewSecret("EXAMPLESK0000000000000000000000000000000"),
		SecurityToken: ecs.NewSecret(want.Header.Get("X-Security-Token")),
	}
}

func TestBasePathIsKeptAndSigned(t *testing.T) {
	cloud := newCloud(t, answering(200, `{}`))
	c := config(cloud.URL + "/gate way/ecs/")
	c.UserAgent = "agent"
	c.Now = func() time.Time { return capturedAt }
	_, _ = newClient(t, c).Server(context.Background(), serverID)

	require.Len(t, cloud.seen(), 1)
	got := cloud.seen()[0]
	assert.Equal(t, "/gate%20way/ecs/v1/"+projectID+"/cloudservers/"+serverID, got.target)
	req, err := http.NewRequest("GET", "http://ecs.example"+got.target, nil)
	require.NoError(t, err)
	req.Header.Set("User-Agent", "agent")
	req.Header.Set("X-Project-Id", projectID)
	require.NoError(t, c.Credentials.Authorize(req, nil, capturedAt))
	assert.Equal(t, req.Header.Get("Authorization"), got.header.Get("Authorization"))
}

func TestTokenIsSent(t *testing.T) {
	cloud := newCloud(t, answering(200, `{}`))
	c := config(cloud.URL)
	c.Credentials = ecs.Token{Value: ecs.NewSecret("MIIToken")}
	_, _ = newClient(t, c).Image(context.Background(), imageID)

	require.Len(t, cloud.seen(), 1)
	got := cloud.seen()[0]
	assert.Equal(t, "/v2/cloudimages?id="+imageID, got.target)
	assert.Equal(t, "MIIToken", got.header.Get("X-Auth-Token"))
	assert.Empty(t, got.header.Get("Authorization"))
	assert.Equal(t, "application/json", got.header.Get("Content-Type"))
}
