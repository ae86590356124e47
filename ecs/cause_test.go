package ecs_test

import (
	"context"
	"crypto/tls"
	"crypto/x509"
	"net"
	"net/http"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/reimage/reimage/ecs"
	"github.com/reimage/reimage/internal/testcert"
)

// TestCause: what is set up wrong, and what to do about it, behind every answer that says so.
func TestCause(t *testing.T) {
	for _, test := range []struct {
		name   string
		status int
		body   string
		cause  ecs.Cause
		says   string
	}{
		{"policy", 403, `{"error":{"code":"Pdp.0001","message":"denied"}}`, ecs.CausePermission, "need the action ecs:cloudServers:get"},
		{"policy of the server service", 403, `{"error":{"code":"Ecs.0110","message":"denied"}}`, ecs.CausePermission, "need the action ecs:cloudServers:get"},
		{"permission or account", 403, `{"error":{"code":"Ecs.0003","message":"denied"}}`, ecs.CausePermission, "or the account is frozen, or has no balance"},
		{"user not let in", 403, `{"error_code":"APIGW.0302","error_msg":"no"}`, ecs.CausePermission, "need the action ecs:cloudServers:get"},
		{"an unknown code", 403, `{"error":{"code":"Ecs.9999","message":"denied"}}`, ecs.CausePermission, "need the action ecs:cloudServers:get"},
		{"relayed", 400, `{"error":{"code":"Ecs.1000","message":"{\"forbidden\":{\"message\":\"no\",\"code\":403}}"}}`, ecs.CausePermission, "need the action"},
		{"an account restriction", 403, `{"error":{"code":"Ecs.0067","message":"no"}}`, "", ""},
		{"an address that is barred", 403, `{"error_code":"APIGW.0401","error_msg":"black list"}`, "", ""},
		{"a proxy", 403, `<html><title>Blocked</title></html>`, "", ""},
		{"secret key", 401, `{"error_code":"APIGW.0301","error_msg":"Incorrect IAM authentication information: verify aksk signature fail"}`, ecs.CauseCredentials, "the secret key is not that of the access key"},
		{"access key", 401, `{"error_code":"APIGW.0301","error_msg":"Incorrect IAM authentication information: ak AK1 not exist"}`, ecs.CauseCredentials, "this cloud does not know the access key"},
		{"no word of the gateway", 401, `{"error":{"code":401,"message":"the project does not exist","title":"Unauthorized"}}`, ecs.CauseCredentials, "the credentials are not accepted"},
		{"token", 401, `{"error_code":"APIGW.0307","error_msg":"The token must be updated."}`, ecs.CauseCredentials, "one of another region"},
		{"token of the server service", 401, `{"error":{"code":"Common.0013","message":"invalid"}}`, ecs.CauseCredentials, "the token has ended"},
		{"no word", 401, ``, ecs.CauseCredentials, "the credentials are not accepted"},
		{"project", 400, `{"error":{"code":"Ecs.0023","message":"no"}}`, ecs.CauseProject, "every region has projects of its own"},
		{"project of the token", 400, `{"error":{"code":"Common.0018","message":"no"}}`, ecs.CauseProject, "check its id"},
		{"no such API", 404, `{"error_code":"APIGW.0101","error_msg":"The API does not exist"}`, ecs.CauseRegion, "check the region"},
		{"region not opened", 403, `{"error_code":"APIG.0801","error_msg":"no"}`, ecs.CauseRegion, "check the region"},
		{"a page at the address", 404, `<html><title>Not Found</title></html>`, ecs.CauseRegion, "check the region, and the domain or endpoint"},
		{"no such server", 404, `{"error":{"code":"Ecs.0114","message":"no"}}`, "", ""},
		{"trouble", 503, `{}`, "", ""},
		{"busy", 400, `{"error":{"code":"Ecs.0100","message":"no"}}`, "", ""},
	} {
		t.Run(test.name, func(t *testing.T) {
			cloud := newCloud(t, answering(test.status, test.body))
			_, err := clientOf(t, cloud).Server(context.Background(), serverID)
			var failed *ecs.Error
			require.ErrorAs(t, err, &failed)
			assert.Equal(t, test.cause, failed.Cause())
			assert.Contains(t, failed.Remedy(), test.says)
			if test.cause == "" {
				assert.Empty(t, failed.Remedy())
				assert.Equal(t, failed.What(), failed.Error())
				return
			}
			assert.Contains(t, failed.Error(), "("+failed.Remedy()+") (request req-1)")
			assert.NotContains(t, failed.What(), failed.Remedy())
			assert.Contains(t, failed.What(), "read server "+serverID+": HTTP")
		})
	}
}

// TestRemedyForAKeyPair: to try again helps nobody.
func TestRemedyForAKeyPair(t *testing.T) {
	cloud := newCloud(t, answering(400, `{"error":{"code":"Ecs.0314","message":"The key pair does not exist."}}`))
	_, err := clientOf(t, cloud).Server(context.Background(), serverID)
	assert.ErrorContains(t, err, "correct login.keyPair or login.keyOwner (--key-pair, --key-owner); a rollout keeps those of its plan, so abort it and plan anew) (request req-1)")
}

// TestAdmitted: what an answer about a job that there is not says of the permission to ask for jobs.
func TestAdmitted(t *testing.T) {
	for _, test := range []struct {
		name     string
		status   int
		body     string
		admitted bool
	}{
		{"a job that is not known", 400, `{"error":{"code":"Common.0011","message":"no"}}`, true},
		{"a sub-job", 400, `{"error":{"code":"Common.0021","message":"no"}}`, true},
		{"a query that failed", 400, `{"code":"Common.0025","message":"no"}`, true},
		{"a parameter", 400, `{"error":{"code":"Ecs.0005","message":"no"}}`, true},
		{"the disk service", 400, `{"error":{"code":"Ecs.0025","message":"no"}}`, true},
		{"an unknown code", 409, `{"error":{"code":"Ecs.9999","message":"no"}}`, true},
		{"behind a success", 200, `{"code":"Common.0021","message":"no"}`, true},
		{"Nova's word", 404, `{"itemNotFound":{"message":"no","code":404}}`, true},
		{"Nova's word, relayed", 400, `{"error":{"code":"Ecs.1000","message":"{\"badRequest\":{\"message\":\"no\",\"code\":400}}"}}`, true},

		{"policy", 403, `{"error":{"code":"Pdp.0001","message":"denied"}}`, false},
		{"policy with another status", 400, `{"error":{"code":"Ecs.0110","message":"denied"}}`, false},
		{"permission, relayed", 400, `{"error":{"code":"Ecs.1000","message":"{\"forbidden\":{\"message\":\"no\",\"code\":403}}"}}`, false},
		{"an account restriction", 403, `{"error":{"code":"Ecs.0067","message":"no"}}`, false},
		{"token", 401, `{"error":{"code":"Common.0013","message":"invalid"}}`, false},
		{"401 with a code of another kind", 401, `{"error":{"code":"Ecs.0005","message":"no"}}`, false},
		{"project", 400, `{"error":{"code":"Common.0018","message":"no"}}`, false},
		{"who asks could not be found out", 400, `{"error":{"code":"Ecs.0004","message":"no"}}`, false},
		{"the identity service did not answer", 400, `{"error":{"code":"Ecs.1100","message":"no"}}`, false},
		{"no such API", 404, `{"error_code":"APIGW.0101","error_msg":"no"}`, false},
		{"an address that is barred", 403, `{"error_code":"APIGW.0401","error_msg":"black list"}`, false},
		{"a gateway that does not understand", 400, `{"error_code":"APIG.0602","error_msg":"no"}`, false},
		{"flow control", 429, `{"error":{"code":"Common.1503","message":"no"}}`, false},
		{"flow control behind a success", 202, `{"error":{"code":"Common.0024","message":"no"}}`, false},
		{"a timeout", 408, `{"error":{"code":"Ecs.9999","message":"no"}}`, false},
		{"an internal error", 500, `{"error":{"code":"Common.0001","message":"no"}}`, false},
		{"a page", 400, `<html><title>Blocked</title></html>`, false},
		{"text of something else", 404, `404 page not found`, false},
		{"without a code", 400, `{"message":"no"}`, false},
		{"a success without a job", 200, `{}`, false},
	} {
		t.Run(test.name, func(t *testing.T) {
			_, err := clientOf(t, newCloud(t, answering(test.status, test.body))).Job(context.Background(), jobID)
			var failed *ecs.Error
			require.ErrorAs(t, err, &failed)
			assert.Equal(t, test.admitted, failed.Admitted(), "%v", err)
		})
	}
	_, err := newClient(t, config("http://127.0.0.1:1")).Job(context.Background(), jobID)
	var failed *ecs.Error
	require.ErrorAs(t, err, &failed)
	assert.False(t, failed.Admitted(), "nobody answered: %v", err)
}

// TestUnpermitted: what every other server would be refused for, too, and what may be about this one alone.
func TestUnpermitted(t *testing.T) {
	for _, test := range []struct {
		status      int
		body        string
		unpermitted bool
	}{
		{403, `{"error":{"code":"Pdp.0001","message":"denied"}}`, true},
		{403, `{"error":{"code":"Ecs.0110","message":"denied"}}`, true},
		{403, `{"error":{"code":"Ecs.0003","message":"denied"}}`, true},
		{403, `{"error_code":"APIGW.0302","error_msg":"no"}`, true},
		{403, `{"forbidden":{"message":"Policy doesn't allow it to be performed.","code":403}}`, true},
		{403, `{"error":{"message":"denied"}}`, true},
		{403, `{}`, false},
		{403, `{"error_code":"IMG.9999","error_msg":"no"}`, false},
		{403, `{"forbidden":{"message":"Quota exceeded for volumes","code":403}}`, false},
		{403, `{"error":{"code":"EVS.5400","message":"quota is used up"}}`, false},
		{403, `{"error":{"code":"CBC.99003162","message":"balance is too low"}}`, false},
		{403, `{"error":{"code":"Ecs.0605","message":"locked"}}`, false},
		{403, `{"error":{"code":"Ecs.0030","message":"frozen"}}`, false},
		{403, `{"error":{"code":"Ecs.0067","message":"restricted"}}`, false},
		{403, `{"error":{"code":"Ecs.9999","message":"no"}}`, false},
		{400, `{"error":{"code":"Ecs.1000","message":"{\"forbidden\":{\"message\":\"no\",\"code\":403}}"}}`, false},
		{403, `<html><title>Blocked</title></html>`, false},
		{401, `{"error_code":"APIGW.0301","error_msg":"no"}`, false},
	} {
		_, err := clientOf(t, newCloud(t, answering(test.status, test.body))).Server(context.Background(), serverID)
		var failed *ecs.Error
		require.ErrorAs(t, err, &failed)
		assert.Equal(t, test.unpermitted, failed.Unpermitted(), test.body)
	}
}

// TestEveryCallNamesItsAction, writes included.
func TestEveryCallNamesItsAction(t *testing.T) {
	c := clientOf(t, newCloud(t, answering(403, `{"error":{"code":"Pdp.0001","message":"denied"}}`)))
	ctx := context.Background()
	for action, call := range map[string]func() error{
		ecs.ActionListServers: func() error { _, err := c.Servers(ctx, ecs.ServerQuery{}); return err },
		ecs.ActionReadServer:  func() error { _, err := c.Server(ctx, serverID); return err },
		ecs.ActionReadDisks:   func() error { _, err := c.SystemDisk(ctx, serverID); return err },
		ecs.ActionListGroups:  func() error { _, err := c.ServerGroups(ctx); return err },
		ecs.ActionListImages:  func() error { _, err := c.Image(ctx, imageID); return err },
		ecs.ActionStop:        func() error { return c.StopServers(ctx, []string{serverID}, ecs.StopSoft).Err },
		ecs.ActionStart:       func() error { return c.StartServers(ctx, []string{serverID}).Err },
		ecs.ActionChangeOS:    func() error { return c.ChangeOS(ctx, serverID, ecs.ChangeOSRequest{ImageID: imageID}).Err },
	} {
		assert.ErrorContains(t, call(), "the credentials need the action "+action+" in this project")
	}
	_, _, err := c.ServersByID(ctx, []string{serverID})
	assert.ErrorContains(t, err, ecs.ActionListServers)
	_, err = c.ImagesByName(ctx, "base")
	assert.ErrorContains(t, err, ecs.ActionListImages)
	_, err = c.Glance(ctx)
	assert.ErrorContains(t, err, ecs.ActionListServers)
	_, err = c.Job(ctx, jobID)
	assert.ErrorContains(t, err, "no action of its own is published for it, so look for what denies it in their policies, or give them a role with access to ECS", "it has none that is published")
}

// TestHostThatDoesNotExist has a wrong region in its name.
func TestHostThatDoesNotExist(t *testing.T) {
	c := config("http://ecs.eu-xx.example.test")
	c.Dial = func(context.Context, string, string) (net.Conn, error) {
		return nil, &net.DNSError{Err: "no such host", Name: "ecs.eu-xx.example.test", IsNotFound: true}
	}
	_, err := newClient(t, c).Server(context.Background(), serverID)
	var failed *ecs.Error
	require.ErrorAs(t, err, &failed)
	assert.Equal(t, ecs.CauseRegion, failed.Cause())
	assert.ErrorContains(t, err, "lookup ecs.eu-xx.example.test: no such host (nothing serves this call at that address: check the region")

	c.Dial = func(context.Context, string, string) (net.Conn, error) {
		return nil, &net.DNSError{Err: "server misbehaving", Name: "ecs.eu-xx.example.test", IsTemporary: true}
	}
	_, err = newClient(t, c).Server(context.Background(), serverID)
	require.ErrorAs(t, err, &failed)
	assert.Empty(t, failed.Cause(), "who cannot look it up knows nothing")
}

// TestCertificates: one that is not valid now speaks of the clock, one of another host of the region, and one of an
// authority that is not known of the file of its CA. No request goes out in any case.
func TestCertificates(t *testing.T) {
	const host = "ecs.eu-xx.example.test"
	now, day := time.Now(), 24*time.Hour
	for name, test := range map[string]struct {
		certified   string
		from, until time.Time
		known       bool // to the roots
		cause       ecs.Cause
		says        []string
	}{
		"good":                    {host, now.Add(-day), now.Add(day), true, "", nil},
		"over":                    {host, now.Add(-2 * day), now.Add(-day), true, ecs.CauseClock, []string{"current time ", "set its clock right; if it is right, the certificate has to be renewed"}},
		"not yet":                 {host, now.Add(day), now.Add(2 * day), true, ecs.CauseClock, []string{"current time ", "set its clock right"}},
		"another region":          {"*.eu-de.example.test", now.Add(-day), now.Add(day), true, ecs.CauseRegion, []string{"certificate is valid for *.eu-de.example.test, not " + host, "the certificate of another host: check the region, and the domain or endpoint"}},
		"of an unknown authority": {host, now.Add(-day), now.Add(day), false, ecs.CauseNetwork, []string{"unknown authority", "name the file of its CA in SSL_CERT_FILE or OS_CACERT of the worker"}},
	} {
		t.Run(name, func(t *testing.T) {
			certificate, roots := testcert.New(t, test.certified, test.from, test.until)
			cloud := unstartedCloud(t, answering(200, `{"job_id":"`+jobID+`"}`))
			cloud.TLS = &tls.Config{Certificates: []tls.Certificate{certificate}}
			cloud.StartTLS()
			c := config("https://" + host)
			if c.RootCAs = roots; !test.known {
				c.RootCAs = x509.NewCertPool()
			}
			c.Dial = func(ctx context.Context, network, _ string) (net.Conn, error) {
				return new(net.Dialer).DialContext(ctx, network, cloud.Listener.Addr().String())
			}
			out := newClient(t, c).ChangeOS(context.Background(), serverID, rootRequest())
			if test.says == nil {
				assert.Equal(t, ecs.Accepted, out.Kind, "%v", out.Err)
				return
			}
			_, err := newClient(t, c).Server(context.Background(), serverID)
			var read *ecs.Error
			require.ErrorAs(t, err, &read)
			for _, failed := range []*ecs.Error{read, out.Err} {
				assert.Equal(t, test.cause, failed.Cause())
				assert.Equal(t, test.cause == "", failed.Remedy() == "")
				for _, text := range test.says {
					assert.ErrorContains(t, failed, text)
				}
			}
			assert.Equal(t, ecs.NotSent, out.Kind)
			assert.Equal(t, ecs.ClassTransient, read.Class())
			assert.Empty(t, cloud.seen())
		})
	}
}

// TestClockBesideTheKey: clouds refuse signatures that are 15 minutes off, whatever the key. Below that the key is to
// blame, and the clock only worth a word.
func TestClockBesideTheKey(t *testing.T) {
	const wrongKey = `{"error_code":"APIGW.0301","error_msg":"Incorrect IAM authentication information: verify aksk signature fail"}`
	const key, right = "the secret key is not that of the access key", "set it right there"
	now := time.Date(2026, 11, 23, 19, 28, 6, 0, time.UTC)
	for _, test := range []struct {
		ahead        time.Duration
		cause        ecs.Cause
		says, spared []string
	}{
		{0, ecs.CauseCredentials, []string{key}, []string{"clock"}},
		{5 * time.Minute, ecs.CauseCredentials, []string{key}, []string{"clock"}},
		{6 * time.Minute, ecs.CauseCredentials, []string{key + ": set both anew; also, the clock of the machine that sent this is 6m0s ahead of the cloud's: " + right}, nil},
		{-13*time.Minute - 59*time.Second, ecs.CauseCredentials, []string{key, "is 13m59s behind the cloud's: " + right}, nil},
		{14 * time.Minute, ecs.CauseClock, []string{"is 14m0s ahead of the cloud's: " + right}, []string{"key:"}},
		{-20 * time.Minute, ecs.CauseClock, []string{"is 20m0s behind the cloud's: " + right}, []string{"key:"}},
	} {
		cloud := newCloud(t, answering(401, wrongKey, "Date", now.Add(-test.ahead).Format(http.TimeFormat)))
		c := config(cloud.URL)
		c.Now = func() time.Time { return now }
		_, err := newClient(t, c).Server(context.Background(), serverID)
		var failed *ecs.Error
		require.ErrorAs(t, err, &failed)
		assert.Equal(t, test.cause, failed.Cause(), test.ahead)
		assert.Equal(t, ecs.ClassAuth, failed.Class(), test.ahead)
		for _, text := range test.says {
			assert.Contains(t, failed.Remedy(), text, test.ahead)
		}
		for _, text := range test.spared {
			assert.NotContains(t, failed.Remedy(), text, test.ahead)
		}
	}
}

// TestClockOnlySpoilsSignatures: a token that is refused has another reason.
func TestClockOnlySpoilsSignatures(t *testing.T) {
	now := time.Date(2026, 11, 23, 19, 28, 6, 0, time.UTC)
	cloud := newCloud(t, answering(401, ``, "Date", now.Add(time.Hour).Format(http.TimeFormat)))
	c := config(cloud.URL)
	c.Now = func() time.Time { return now }
	for cause, credentials := range map[ecs.Cause]ecs.Credentials{
		ecs.CauseClock:       c.Credentials,
		ecs.CauseCredentials: ecs.Token{Value: ecs.NewSecret("a-ready-made-token")},
	} {
		c.Credentials = credentials
		_, err := newClient(t, c).Server(context.Background(), serverID)
		var failed *ecs.Error
		require.ErrorAs(t, err, &failed)
		assert.Equal(t, cause, failed.Cause())
	}
}

// TestGlance tells the way and the clock from one request, whether it succeeds or not.
func TestGlance(t *testing.T) {
	now := time.Date(2026, 11, 23, 19, 28, 6, 0, time.UTC)
	const one = `{"count":7,"servers":[{"id":"` + serverID + `","status":"ACTIVE","name":"web-01"}]}`
	for _, test := range []struct {
		name   string
		status int
		body   string
		date   string
		want   ecs.Glance
	}{
		{"servers", 200, one, now.Add(3 * time.Second).Format(http.TimeFormat), ecs.Glance{Servers: 7, First: ecs.Server{ID: serverID, Status: "ACTIVE", Name: "web-01"}, Skew: -3 * time.Second, Dated: true}},
		{"none", 200, `{"count":0,"servers":[]}`, now.Format(http.TimeFormat), ecs.Glance{Dated: true}},
		{"refused", 403, `{}`, now.Add(-time.Hour).Format(http.TimeFormat), ecs.Glance{Skew: time.Hour, Dated: true}},
		{"an answer without a date", 403, `{}`, "yesterday", ecs.Glance{}},
	} {
		t.Run(test.name, func(t *testing.T) {
			cloud := newCloud(t, answering(test.status, test.body, "Date", test.date))
			c := config(cloud.URL)
			c.Now = func() time.Time { return now }
			got, err := newClient(t, c).Patient(nil).Glance(context.Background())
			assert.Equal(t, test.status == 200, err == nil, "%v", err)
			assert.Equal(t, test.want, got)
			require.Len(t, cloud.seen(), 1)
			assert.Equal(t, "/v1/"+projectID+"/cloudservers/detail?limit=1&offset=1", cloud.seen()[0].target)
		})
	}
}
