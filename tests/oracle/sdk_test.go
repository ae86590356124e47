// Package oracle holds the project against the official Go SDK of the cloud, unmodified: what the SDK sends the emulator
// has to take, what the client sends has to be what the SDK sends, and what the SDK makes of an answer is the least that
// the client has to make of it. Where the SDK is known to be wrong, a test says so and shows both sides.
//
// It is a module of its own: the SDK is large, and nothing else here needs it.
package oracle

import (
	"context"
	"net"
	"net/http"
	"net/http/httptest"
	"testing"
	"testing/synctest"

	"github.com/huaweicloud/huaweicloud-sdk-go-v3/core"
	"github.com/huaweicloud/huaweicloud-sdk-go-v3/core/auth"
	"github.com/huaweicloud/huaweicloud-sdk-go-v3/core/auth/basic"
	"github.com/huaweicloud/huaweicloud-sdk-go-v3/core/config"
	sdkecs "github.com/huaweicloud/huaweicloud-sdk-go-v3/services/ecs/v2"
	sdkelb "github.com/huaweicloud/huaweicloud-sdk-go-v3/services/elb/v3"
	sdkims "github.com/huaweicloud/huaweicloud-sdk-go-v3/services/ims/v2"
	"github.com/stretchr/testify/require"

	"github.com/reimage/reimage/ecs"
	"github.com/reimage/reimage/internal/emulator"
	"github.com/reimage/reimage/internal/memnet"
)

const (
	host = "cloud.emulated"
	// userAgent keeps the SDK from noting an id of its own in the home directory, and officialAgent is what it sends.
	userAgent     = "reimage-oracle"
	officialAgent = "huaweicloud-usdk-go/3.0; " + userAgent
)

// An account is where to send requests, and as whom.
type account struct {
	base, project, enterprise, key, secret, token string
	dial                                          func(ctx context.Context, network, address string) (net.Conn, error) // nil means TCP
}

func emulated(base string) account {
	return account{base: base, project: emulator.DefaultProjectID, key: emulator.DefaultAccessKey, secret: emulator.DefaultSecretKey}
}

// credentials of the SDK.
func (a account) credentials(t *testing.T) *basic.Credentials {
	t.Helper()
	c, err := basic.NewCredentialsBuilder().WithAk(a.key).WithSk(a.secret).WithSecurityToken(a.token).WithProjectId(a.project).
		WithIamEndpointOverride(a.base).SafeBuild()
	require.NoError(t, err)
	return c
}

// client builds a client of the SDK for one service. The transport is given only so that the test can close it.
func (a account) client(t *testing.T, builder *core.HcHttpClientBuilder, as auth.ICredential) *core.HcHttpClient {
	t.Helper()
	transport := &http.Transport{DialContext: a.dial}
	t.Cleanup(transport.CloseIdleConnections)
	client, err := builder.WithEndpoint(a.base).WithCredential(as).
		WithHttpConfig(config.DefaultHttpConfig().WithHttpTransport(transport).WithUserAgent(userAgent)).SafeBuild()
	require.NoError(t, err)
	return client
}

func (a account) sdkECS(t *testing.T) *sdkecs.EcsClient {
	t.Helper()
	return sdkecs.NewEcsClient(a.client(t, sdkecs.EcsClientBuilder(), a.credentials(t)))
}

func (a account) sdkIMS(t *testing.T) *sdkims.ImsClient {
	t.Helper()
	return sdkims.NewImsClient(a.client(t, sdkims.ImsClientBuilder(), a.credentials(t)))
}

func (a account) sdkELB(t *testing.T) *sdkelb.ElbClient {
	t.Helper()
	return sdkelb.NewElbClient(a.client(t, sdkelb.ElbClientBuilder(), a.credentials(t)))
}

// ours is the project's own client.
func (a account) ours(t *testing.T) *ecs.Client {
	t.Helper()
	client, err := ecs.New(ecs.Config{
		ProjectID: a.project, EnterpriseProject: a.enterprise, ECS: a.base, IMS: a.base, KPS: a.base, Dial: a.dial, UserAgent: officialAgent,
		Credentials: ecs.AccessKey{ID: a.key, Secret: ecs.NewSecret(a.secret), SecurityToken: ecs.NewSecret(a.token)},
	})
	require.NoError(t, err)
	t.Cleanup(client.Close)
	return client
}

// serve is an account at a handler, over TCP.
func serve(t *testing.T, handler http.HandlerFunc) account {
	t.Helper()
	server := httptest.NewServer(handler)
	t.Cleanup(server.Close)
	return emulated(server.URL)
}

// serveInBubble is an account at a handler, over connections in memory: for tests at simulated time.
func serveInBubble(t *testing.T, handler http.Handler) account {
	t.Helper()
	listener := memnet.Listen()
	server := &http.Server{Handler: handler}
	go func() { _ = server.Serve(listener) }()
	t.Cleanup(func() { _ = server.Close() })
	a := emulated("http://" + host)
	a.dial = listener.Dial
	return a
}

// inCloud runs the test at simulated time, with an account at an emulator.
func inCloud(t *testing.T, options emulator.Options, test func(t *testing.T, cloud *emulator.Emulator, a account)) {
	t.Helper()
	synctest.Test(t, func(t *testing.T) {
		cloud, err := emulator.New(options)
		require.NoError(t, err)
		test(t, cloud, serveInBubble(t, cloud))
	})
}

// value is what an optional member of the SDK's models holds, the zero value when it is absent.
func value[T any](optional *T) T {
	var none T
	if optional == nil {
		return none
	}
	return *optional
}
