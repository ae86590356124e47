package ecs_test

import (
	"context"
	"net/http"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/reimage/reimage/ecs"
)

// TestOutcomeOfAnswers holds every answer that a change of OS may get against the promise that a
// refusal is proof and everything in doubt is unknown.
func TestOutcomeOfAnswers(t *testing.T) {
	type want struct {
		kind  ecs.OutcomeKind
		class ecs.Class
		code  string
	}
	for _, test := range []struct {
		name   string
		status int
		body   string
		want   want
	}{
		{"accepted", 200, `{"job_id":"` + jobID + `"}`, want{ecs.Accepted, "", ""}},
		{"accepted with 202", 202, `{"job_id":"` + jobID + `"}`, want{ecs.Accepted, "", ""}},
		{"more members", 200, `{"x":[1],"job_id":"` + jobID + `","error":null}`, want{ecs.Accepted, "", ""}},
		{"a job and a code", 202, `{"job_id":"` + jobID + `","error":{"code":"Common.0024"}}`, want{ecs.Accepted, "", ""}},

		{"ECS, wrong state", 400, `{"error":{"code":"Ecs.0100","message":"m"}}`, want{ecs.Refused, ecs.ClassState, "Ecs.0100"}},
		{"ECS, being operated", 400, `{"error":{"code":"Ecs.0114","message":"ECS is being operated"}}`, want{ecs.Refused, ecs.ClassNotFound, "Ecs.0114"}},
		{"ECS, password", 400, `{"error":{"message":"m","code":"Ecs.0011"}}`, want{ecs.Refused, ecs.ClassPermanent, "Ecs.0011"}},
		{"ECS, unknown code", 400, `{"error":{"code":"Ecs.9876","message":"m"}}`, want{ecs.Refused, ecs.ClassPermanent, "Ecs.9876"}},
		{"ECS, busy behind 501", 501, `{"error":{"code":"Ecs.0603","message":"m"}}`, want{ecs.Refused, ecs.ClassTransient, "Ecs.0603"}},
		{"ECS, busy behind 400", 400, `{"error":{"code":"Ecs.0603","message":"m"}}`, want{ecs.Refused, ecs.ClassTransient, "Ecs.0603"}},
		{"ECS, busy behind 500", 500, `{"error":{"code":"Ecs.0603","message":"m"}}`, want{ecs.Unknown, ecs.ClassTransient, "Ecs.0603"}},
		{"no such server", 404, `{"error":{"code":"Ecs.0114","message":"m"}}`, want{ecs.Refused, ecs.ClassNotFound, "Ecs.0114"}},
		{"gateway, wrong address", 404, `{"error_code":"APIGW.0101","error_msg":"m"}`, want{ecs.Refused, ecs.ClassPermanent, "APIGW.0101"}},
		{"gateway, signature", 401, `{"error_code":"APIGW.0301","error_msg":"Incorrect IAM authentication information: verify aksk signature fail","request_id":"a1b2"}`, want{ecs.Refused, ecs.ClassAuth, "APIGW.0301"}},
		{"gateway, older", 401, `{"error_code":"APIG.0307","error_msg":"m"}`, want{ecs.Refused, ecs.ClassAuth, "APIG.0307"}},
		{"gateway, bad request", 400, `{"error_code":"APIGW.0201","error_msg":"m"}`, want{ecs.Refused, ecs.ClassPermanent, "APIGW.0201"}},
		{"gateway, backend timeout", 504, `{"error_code":"APIGW.0201","error_msg":"m"}`, want{ecs.Unknown, ecs.ClassTransient, "APIGW.0201"}},
		{"Nova, numeric code", 400, `{"badRequest":{"message":"Invalid image","code":400}}`, want{ecs.Refused, ecs.ClassPermanent, "badRequest"}},
		{"Nova, string code", 400, `{"badRequest":{"message":"Invalid image","code":"400"}}`, want{ecs.Refused, ecs.ClassPermanent, "badRequest"}},
		{"Nova, not found", 404, `{"itemNotFound":{"code":404,"message":"Instance could not be found"}}`, want{ecs.Refused, ecs.ClassNotFound, "itemNotFound"}},
		{"Nova, conflict", 409, `{"conflictingRequest":{"code":409,"message":"m"}}`, want{ecs.Refused, ecs.ClassState, "conflictingRequest"}},
		{"Nova, server fault behind 400", 400, `{"computeFault":{"code":500,"message":"m"}}`, want{ecs.Unknown, ecs.ClassPermanent, "computeFault"}},
		{"Keystone", 401, `{"error":{"code":401,"message":"The request you have made requires authentication.","title":"Unauthorized"}}`, want{ecs.Refused, ecs.ClassAuth, "401"}},
		{"policy", 403, `{"forbidden":{"message":"Policy doesn't allow ecs:cloudServers:changeOS to be performed.","code":403}}`, want{ecs.Refused, ecs.ClassPermanent, "forbidden"}},
		{"errCode", 404, `{"errCode":"IMG.0027","errMsg":"cannot find image"}`, want{ecs.Refused, ecs.ClassNotFound, "IMG.0027"}},
		{"code without message", 403, `{"error_code":"Ecs.0005","error_msg":""}`, want{ecs.Refused, ecs.ClassPermanent, "Ecs.0005"}},
		{"error_message", 403, `{"error_code":"Ecs.0005","error_message":"no rights"}`, want{ecs.Refused, ecs.ClassPermanent, "Ecs.0005"}},
		{"encoded authorization", 403, `{"error_code":"Ecs.0005","error_msg":"denied","encoded_authorization_message":"Egpj"}`, want{ecs.Refused, ecs.ClassPermanent, "Ecs.0005"}},
		{"two faults", 400, `{"b":{"code":"B.2","message":"second"},"a":{"code":"A.1","message":"first"}}`, want{ecs.Refused, ecs.ClassPermanent, "A.1"}},
		{"empty 401", 401, ``, want{ecs.Refused, ecs.ClassAuth, ""}},
		{"page with 403", 403, `<html>no</html>`, want{ecs.Refused, ecs.ClassPermanent, ""}},
		{"page with 404", 404, `<html>no</html>`, want{ecs.Refused, ecs.ClassUnclear, ""}},

		{"relayed refusal", 400, `{"error":{"code":"Ecs.1000","message":"{\"badRequest\": {\"message\": \"its state is not STOPPED\", \"code\": 400}}"}}`, want{ecs.Refused, ecs.ClassPermanent, "Ecs.1000"}},
		{"relayed conflict", 400, `{"error":{"code":"Ecs.1001","message":"{\"conflictingRequest\": {\"message\": \"m\", \"code\": 409}}"}}`, want{ecs.Refused, ecs.ClassState, "Ecs.1001"}},
		{"relayed failure", 400, `{"error":{"code":"Ecs.1000","message":"{\"computeFault\": {\"message\": \"m\", \"code\": 500}}"}}`, want{ecs.Unknown, ecs.ClassTransient, "Ecs.1000"}},
		{"relayed timeout", 400, `{"error":{"code":"Ecs.1000","message":"{\"x\": {\"message\": \"m\", \"code\": 408}}"}}`, want{ecs.Unknown, ecs.ClassTransient, "Ecs.1000"}},
		{"relayed without a fault", 400, `{"error":{"code":"Ecs.1000","message":"Nova failed"}}`, want{ecs.Unknown, ecs.ClassUnclear, "Ecs.1000"}},

		{"failed to stop", 409, `{"error":{"message":"Failed to stop server","code":"Ecs.0219"}}`, want{ecs.Unknown, ecs.ClassUnclear, "Ecs.0219"}},
		{"empty 400", 400, ``, want{ecs.Unknown, ecs.ClassUnclear, ""}},
		{"page with 400", 400, `<html>bad</html>`, want{ecs.Unknown, ecs.ClassUnclear, ""}},
		{"hidden deep in a 400", 400, `{"error":{"reason":{"code":"Ecs.0005","message":"m"}}}`, want{ecs.Unknown, ecs.ClassPermanent, "Ecs.0005"}},
		{"hidden deep in a 404", 404, `{"a":{"b":{"code":"X","message":"m"}}}`, want{ecs.Refused, ecs.ClassUnclear, "X"}},
		{"hidden flow control", 400, `{"a":{"b":{"code":"Common.1503","message":"m"}}}`, want{ecs.Unknown, ecs.ClassThrottled, "Common.1503"}},
		{"hidden busy", 501, `{"a":{"b":{"code":"Ecs.0603","message":"m"}}}`, want{ecs.Unknown, ecs.ClassTransient, "Ecs.0603"}},
		{"hidden failure", 409, `{"a":{"b":{"code":"Ecs.0219","message":"m"}}}`, want{ecs.Unknown, ecs.ClassUnclear, "Ecs.0219"}},
		{"no fault of a success", 200, `{"server":{"fault":{"code":500,"message":"m"}}}`, want{ecs.Unknown, ecs.ClassUnclear, ""}},
		{"cut JSON with 400", 400, `{"error":{"code":"Ecs.01`, want{ecs.Unknown, ecs.ClassUnclear, ""}},
		{"request timeout", 408, `{"error":{"code":"Ecs.0005","message":"m"}}`, want{ecs.Unknown, ecs.ClassPermanent, "Ecs.0005"}},
		{"500", 500, `{"error":{"code":"Common.0001","message":"m"}}`, want{ecs.Unknown, ecs.ClassTransient, "Common.0001"}},
		{"500 list", 500, `[{"code":"X","message":"y"}]`, want{ecs.Unknown, ecs.ClassTransient, ""}},
		{"500 string", 500, `"boom"`, want{ecs.Unknown, ecs.ClassTransient, ""}},
		{"502 page", 502, `<html><head><title>502 Bad Gateway</title></head><body><center>nginx</center></body></html>`, want{ecs.Unknown, ecs.ClassTransient, ""}},
		{"503 text", 503, `upstream connect error`, want{ecs.Unknown, ecs.ClassTransient, ""}},
		{"501", 501, `{"error":{"code":"Ecs.0005","message":"m"}}`, want{ecs.Unknown, ecs.ClassPermanent, "Ecs.0005"}},
		{"302 empty", 302, ``, want{ecs.Unknown, ecs.ClassUnclear, ""}},
		{"307 page", 307, `<html>moved</html>`, want{ecs.Unknown, ecs.ClassUnclear, ""}},
		{"200 empty", 200, ``, want{ecs.Unknown, ecs.ClassUnclear, ""}},
		{"204", 204, ``, want{ecs.Unknown, ecs.ClassUnclear, ""}},
		{"captive portal", 200, `<html>hi</html>`, want{ecs.Unknown, ecs.ClassUnclear, ""}},
		{"no job", 200, `{}`, want{ecs.Unknown, ecs.ClassUnclear, ""}},
		{"null job", 200, `{"job_id":null}`, want{ecs.Unknown, ecs.ClassUnclear, ""}},
		{"empty job", 200, `{"job_id":""}`, want{ecs.Unknown, ecs.ClassUnclear, ""}},
		{"boolean job", 200, `{"job_id":true}`, want{ecs.Unknown, ecs.ClassUnclear, ""}},
		{"object job", 200, `{"job_id":{"id":"x"}}`, want{ecs.Unknown, ecs.ClassUnclear, ""}},
		{"hostile job", 200, `{"job_id":"../x"}`, want{ecs.Unknown, ecs.ClassUnclear, ""}},
		{"error behind 200", 200, `{"error":{"code":"Ecs.0114","message":"x"}}`, want{ecs.Unknown, ecs.ClassNotFound, "Ecs.0114"}},
		{"cut JSON", 200, `{"job_id":"70a5`, want{ecs.Unknown, ecs.ClassUnclear, ""}},
		{"trailing bytes", 200, `{"job_id":"70a5"} xx`, want{ecs.Unknown, ecs.ClassUnclear, ""}},
		{"order instead of job", 200, `{"order_id":"CS2407"}`, want{ecs.Unknown, ecs.ClassUnclear, ""}},
		{"flow limit behind 202", 202, `{"error":{"code":"Common.0024","message":"x"}}`, want{ecs.Unknown, ecs.ClassThrottled, "Common.0024"}},
		{"flow limit behind 400", 400, `{"error":{"code":"Common.0024","message":"x"}}`, want{ecs.Unknown, ecs.ClassThrottled, "Common.0024"}},

		{"gateway throttle", 429, `{"error_code":"APIGW.0308","error_msg":"m"}`, want{ecs.Throttled, ecs.ClassThrottled, "APIGW.0308"}},
		{"older gateway throttle, other status", 503, `{"error_code":"APIG.0308","error_msg":"m"}`, want{ecs.Throttled, ecs.ClassThrottled, "APIG.0308"}},
		{"flow control behind 503", 503, `{"error":{"code":"Common.1503","message":"m"}}`, want{ecs.Throttled, ecs.ClassThrottled, "Common.1503"}},
		{"429 empty", 429, ``, want{ecs.Throttled, ecs.ClassThrottled, ""}},
		{"429 page", 429, `<html>slow down</html>`, want{ecs.Throttled, ecs.ClassThrottled, ""}},
		{"429 with another code", 429, `{"error":{"code":"Ecs.1000","message":"m"}}`, want{ecs.Throttled, ecs.ClassThrottled, "Ecs.1000"}},
		{"0308 that is no gateway code", 500, `{"error":{"code":"0308","message":"m"}}`, want{ecs.Unknown, ecs.ClassTransient, "0308"}},
	} {
		t.Run(test.name, func(t *testing.T) {
			cloud := newCloud(t, answering(test.status, test.body, "Location", "/elsewhere"))
			out := clientOf(t, cloud).ChangeOS(context.Background(), serverID, rootRequest())

			assert.Len(t, cloud.seen(), 1, "sent once, whatever the answer")
			assert.Equal(t, test.want.kind, out.Kind, "%v", out.Err)
			if out.Kind == ecs.Accepted {
				assert.Nil(t, out.Err)
				assert.Equal(t, jobID, out.JobID)
				return
			}
			require.NotNil(t, out.Err)
			assert.Empty(t, out.JobID)
			assert.Equal(t, test.want.class, out.Err.Class(), "%v", out.Err)
			assert.Equal(t, test.want.code, out.Err.Code)
			assert.Equal(t, test.status, out.Err.Status)
			assert.Equal(t, "req-1", out.Err.RequestID)
			assert.Contains(t, out.Err.Error(), "change the OS of server "+serverID)
		})
	}
}

// TestDoubtfulCodes: with these, HTTP 400 is no proof that nothing was started.
func TestDoubtfulCodes(t *testing.T) {
	for _, code := range []string{
		"Ecs.0002", "Ecs.1000", "Ecs.1001", "Ecs.1100", "Ecs.1200", "Ecs.1002", "Ecs.1201", "Ecs.1300",
		"Ecs.0101", "Ecs.0102", "Ecs.0202", "Ecs.0203", "Ecs.0204", "Ecs.0208", "Ecs.0219", "Ecs.0402",
		"Ecs.0226", "Ecs.0227", "Ecs.0611", "Ecs.0615",
		"Common.0001", "Common.0020", "Common.0021", "Common.0022", "Common.0024", "Common.0999",
	} {
		cloud := newCloud(t, answering(400, `{"error":{"code":"`+code+`","message":"m"}}`))
		out := clientOf(t, cloud).ChangeOS(context.Background(), serverID, rootRequest())
		assert.Equal(t, ecs.Unknown, out.Kind, code)
	}
}

func TestNumericJobID(t *testing.T) {
	cloud := newCloud(t, answering(200, `{"job_id":12}`))
	out := clientOf(t, cloud).StartServers(context.Background(), []string{serverID})
	assert.Equal(t, ecs.Outcome{Kind: ecs.Accepted, JobID: "12"}, out)
}

func TestBusy(t *testing.T) {
	for body, busy := range map[string]bool{
		`{"error":{"code":"Ecs.0100","message":"m"}}`:                                                         true,
		`{"error":{"code":"Ecs.0603","message":"m"}}`:                                                         true,
		`{"conflictingRequest":{"code":409,"message":"m"}}`:                                                   true,
		`{"error":{"code":"Ecs.1000","message":"{\"conflictingRequest\":{\"code\":409,\"message\":\"m\"}}"}}`: true,
		`{"error":{"code":"Ecs.0605","message":"m"}}`:                                                         false,
		``: false,
	} {
		cloud := newCloud(t, answering(400, body))
		out := clientOf(t, cloud).ChangeOS(context.Background(), serverID, rootRequest())
		assert.Equal(t, busy, out.Err.Busy(), body)
	}
}

func TestInvalidRequestsAreNotSent(t *testing.T) {
	cloud := newCloud(t, answering(200, `{"job_id":"x"}`))
	client := clientOf(t, cloud)
	ctx := context.Background()
	hundredAndOne := make([]string, 101)
	for i := range hundredAndOne {
		hundredAndOne[i] = "616fb98f-46ca-475e-917e-2563e5a8" + string([]byte{'0' + byte(i/100), '0' + byte(i/10%10), '0' + byte(i%10), 'a'})
	}
	for name, out := range map[string]ecs.Outcome{
		"no server":      client.StopServers(ctx, nil, ecs.StopSoft),
		"too many":       client.StartServers(ctx, hundredAndOne),
		"no id":          client.StartServers(ctx, []string{"x"}),
		"twice":          client.StartServers(ctx, []string{serverID, serverID}),
		"no stop type":   client.StopServers(ctx, []string{serverID}, ""),
		"bad server id":  client.ChangeOS(ctx, "../../v1/x", rootRequest()),
		"bad image id":   client.ChangeOS(ctx, serverID, ecs.ChangeOSRequest{ImageID: "x"}),
		"bad API":        client.ChangeOS(ctx, serverID, ecs.ChangeOSRequest{API: "v3/..", ImageID: imageID}),
		"empty image id": client.ChangeOS(ctx, serverID, ecs.ChangeOSRequest{}),
	} {
		assert.Equal(t, ecs.Refused, out.Kind, name)
		require.NotNil(t, out.Err, name)
		assert.Equal(t, ecs.ClassInvalid, out.Err.Class(), name)
		assert.Contains(t, out.Err.Error(), "nothing was sent", name)
	}
	_, err := client.Server(ctx, "a/b")
	assertClass(t, ecs.ClassInvalid, err)
	_, err = client.SystemDisk(ctx, "")
	assertClass(t, ecs.ClassInvalid, err)
	_, err = client.Image(ctx, "?")
	assertClass(t, ecs.ClassInvalid, err)
	for _, id := range []string{"", "..", "a b", "a/b", "%2e", string(make([]byte, 65))} {
		_, err = client.Job(ctx, id)
		assertClass(t, ecs.ClassInvalid, err)
	}
	assert.Empty(t, cloud.seen())
	assert.Equal(t, ecs.Accepted, client.StartServers(ctx, hundredAndOne[:100]).Kind)
}

func assertClass(t *testing.T, want ecs.Class, err error) *ecs.Error {
	t.Helper()
	var cloud *ecs.Error
	require.ErrorAs(t, err, &cloud)
	assert.Equal(t, want, cloud.Class(), "%v", err)
	return cloud
}

func TestRetryAfter(t *testing.T) {
	const date = "Mon, 23 Nov 2026 19:28:06 GMT"
	for _, test := range []struct {
		name    string
		status  int
		headers []string
		body    string
		want    time.Duration
	}{
		{"seconds", 429, []string{"Retry-After", "37"}, ``, 37 * time.Second},
		{"seconds before text", 429, []string{"Retry-After", "5"}, `{"error_code":"APIGW.0308","error_msg":"limit:60,time:1 minute"}`, 5 * time.Second},
		{"date, by the cloud's clock", 503, []string{"Retry-After", "Mon, 23 Nov 2026 19:28:36 GMT", "Date", date}, ``, 30 * time.Second},
		{"past date", 503, []string{"Retry-After", "Mon, 23 Nov 2020 19:28:36 GMT", "Date", date}, ``, 0},
		{"negative", 429, []string{"Retry-After", "-3"}, ``, 0},
		{"nonsense", 429, []string{"Retry-After", "soon"}, ``, 0},
		{"too long", 429, []string{"Retry-After", "9223372036854775807"}, ``, time.Hour},
		{"window", 429, nil, `{"error_code":"APIGW.0308","error_msg":"The throttling threshold has been reached: policy user over ratelimit,limit:200,time:1 minute"}`, time.Minute},
		{"window in seconds", 429, nil, `{"error_code":"APIGW.0308","error_msg":"limit:5,time:10 second"}`, 10 * time.Second},
		{"window too long", 429, nil, `{"error_code":"APIGW.0308","error_msg":"limit:5,time:99999999999999999999 hour"}`, time.Hour},
		{"a text that is no throttle", 403, nil, `{"error":{"code":"Ecs.0005","message":"limit:5,time:10 second"}}`, 0},
		{"nothing", 429, nil, ``, 0},
	} {
		t.Run(test.name, func(t *testing.T) {
			cloud := newCloud(t, answering(test.status, test.body, test.headers...))
			_, err := clientOf(t, cloud).Server(context.Background(), serverID)
			var failed *ecs.Error
			require.ErrorAs(t, err, &failed)
			assert.Equal(t, test.want, failed.RetryAfter)
		})
	}
}

func TestClockSkew(t *testing.T) {
	now := time.Date(2026, 11, 23, 19, 28, 6, 0, time.UTC)
	for _, test := range []struct {
		name   string
		status int
		ahead  time.Duration
		want   time.Duration
		text   string
	}{
		{"ahead", 401, 12 * time.Minute, 12 * time.Minute, "12m0s ahead of"},
		{"behind", 401, -time.Hour, -time.Hour, "1h0m0s behind"},
		{"close", 401, 5 * time.Minute, 0, ""},
		{"not about the identity", 403, time.Hour, 0, ""},
	} {
		t.Run(test.name, func(t *testing.T) {
			cloud := newCloud(t, answering(test.status, ``, "Date", now.Add(-test.ahead).Format(http.TimeFormat)))
			c := config(cloud.URL)
			c.Now = func() time.Time { return now }
			_, err := newClient(t, c).Server(context.Background(), serverID)
			var failed *ecs.Error
			require.ErrorAs(t, err, &failed)
			assert.Equal(t, test.want, failed.ClockSkew)
			assert.Contains(t, failed.Error(), test.text)
		})
	}
}
