package oracle

import (
	"context"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
	"time"

	"github.com/huaweicloud/huaweicloud-sdk-go-v3/core/sdkerr"
	"github.com/huaweicloud/huaweicloud-sdk-go-v3/services/ecs/v2/model"
	ims "github.com/huaweicloud/huaweicloud-sdk-go-v3/services/ims/v2/model"
	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/reimage/reimage/ecs"
)

// TestSuccessesThatAreNone: to the SDK there is no error in these answers, and no job either. To ours nothing is known: whoever
// takes that for a refusal sends the change again.
func TestSuccessesThatAreNone(t *testing.T) {
	for _, test := range []failing{
		{200, ``, nil},
		{200, `{}`, nil},
		{200, `{"job_id":null}`, nil},
		{200, `{"order_id":"CS2407"}`, nil},
		{200, `{"error":{"code":"Ecs.0114","message":"x"}}`, nil},
		{202, `{"error":{"code":"Common.0024","message":"The flow limit has been exceeded."}}`, nil},
		{204, ``, nil},
		{302, ``, http.Header{"Location": {"https://login.example/"}}},
	} {
		t.Run(fmt.Sprint(test.status, test.body), func(t *testing.T) {
			a := serve(t, test.ServeHTTP)
			response, err := changeWithSDK(t, a)
			require.NoError(t, err)
			assert.Nil(t, response.JobId)

			outcome := change(t, a)
			assert.Equal(t, ecs.Unknown, outcome.Kind)
			require.NotNil(t, outcome.Err)
			assert.Equal(t, test.status, outcome.Err.Status)
			assert.Equal(t, "req-1", outcome.Err.RequestID)
		})
	}
}

// TestAcceptances: which answers name a job. The SDK is stricter about its type, and laxer about what follows.
func TestAcceptances(t *testing.T) {
	for _, test := range []struct {
		body         string
		theirs, ours bool
	}{
		{`{"job_id":"` + jobID + `"}`, true, true},
		{`{"job_id":12}`, false, true},
		{`{"job_id":"` + jobID + `"} xx`, true, false},
		{`{"job_id":"70a5`, false, false},
		{`{"job_id":"../x"}`, true, false},
		{`<html>hi</html>`, false, false},
	} {
		t.Run(test.body, func(t *testing.T) {
			a := serve(t, failing{200, test.body, nil}.ServeHTTP)
			response, err := changeWithSDK(t, a)
			assert.Equal(t, test.theirs, err == nil && value(response.JobId) != "", "the SDK: %v", err)
			want := ecs.Unknown
			if test.ours {
				want = ecs.Accepted
			}
			assert.Equal(t, want, change(t, a).Kind, "ours")
		})
	}
}

// TestWaitsThatTheCloudAsksFor: the SDK drops the header.
func TestWaitsThatTheCloudAsksFor(t *testing.T) {
	a := serve(t, failing{429, `{"error_code":"APIGW.0308","error_msg":"throttled"}`, http.Header{"Retry-After": {"37"}}}.ServeHTTP)
	_, err := changeWithSDK(t, a)
	assert.NotContains(t, err.Error(), "37")
	outcome := change(t, a)
	assert.Equal(t, ecs.Throttled, outcome.Kind)
	assert.Equal(t, 37*time.Second, outcome.Err.RetryAfter)
}

// TestLostAnswers: the SDK has one kind of error for a request that cannot have arrived and for one that may have been obeyed.
func TestLostAnswers(t *testing.T) {
	for name, test := range map[string]struct {
		cloud http.HandlerFunc // nil is none
		kind  ecs.OutcomeKind
	}{
		"nobody is there": {nil, ecs.NotSent},
		"no answer": {func(_ http.ResponseWriter, r *http.Request) {
			_, _ = io.Copy(io.Discard, r.Body)
			panic(http.ErrAbortHandler)
		}, ecs.Unknown},
		"half an answer": {func(w http.ResponseWriter, r *http.Request) {
			_, _ = io.Copy(io.Discard, r.Body)
			w.Header().Set("Content-Length", "100")
			_, _ = io.WriteString(w, `{"job_id":"`)
			panic(http.ErrAbortHandler)
		}, ecs.Unknown},
		"a page that has moved": {failing{302, `<html>moved</html>`, http.Header{"Location": {"https://login.example/"}}}.ServeHTTP, ecs.Unknown},
	} {
		t.Run(name, func(t *testing.T) {
			server := httptest.NewServer(test.cloud)
			t.Cleanup(server.Close)
			if test.cloud == nil {
				server.Close()
			}
			a := emulated(server.URL)
			_, err := changeWithSDK(t, a)
			require.Error(t, err)
			outcome := change(t, a)
			assert.Equal(t, test.kind, outcome.Kind, outcome.Err)
		})
	}
}

// TestCutAnswers: with half of a body the SDK loses the status, too. That of HTTP 429 is the proof that nothing was done.
func TestCutAnswers(t *testing.T) {
	a := serve(t, func(w http.ResponseWriter, r *http.Request) {
		_, _ = io.Copy(io.Discard, r.Body)
		w.Header().Set("Content-Length", "100")
		w.WriteHeader(429)
		_, _ = io.WriteString(w, `{"error_code":"APIGW.0308"`)
	})
	_, err := changeWithSDK(t, a)
	var failed *sdkerr.ServiceResponseError
	require.ErrorAs(t, err, &failed)
	assert.Zero(t, failed.StatusCode)
	outcome := change(t, a)
	assert.Equal(t, ecs.Throttled, outcome.Kind)
	assert.Equal(t, 429, outcome.Err.Status)
	assert.Empty(t, outcome.Err.Code, "half of a fault may be taken for another one")
}

// TestWritesOnUsedConnections: the cloud closes an idle connection just when the next write is on it. The SDK then does not know
// what became of the write; ours opens a connection for each.
func TestWritesOnUsedConnections(t *testing.T) {
	used := map[string]bool{}
	a := serve(t, func(w http.ResponseWriter, r *http.Request) {
		_, _ = io.Copy(io.Discard, r.Body)
		if used[r.RemoteAddr] {
			panic(http.ErrAbortHandler)
		}
		used[r.RemoteAddr] = true
		_, _ = io.WriteString(w, `{"job_id":"`+jobID+`"}`)
	})
	sdk, client := a.sdkECS(t), a.ours(t)
	start := &model.BatchStartServersRequest{Body: &model.BatchStartServersRequestBody{
		OsStart: &model.BatchStartServersOption{Servers: []model.ServerId{{Id: serverID}}},
	}}
	_, err := sdk.BatchStartServers(start)
	require.NoError(t, err)
	_, err = sdk.BatchStartServers(start)
	require.ErrorIs(t, err, io.EOF)
	for range 2 {
		assert.Equal(t, ecs.Accepted, client.StartServers(context.Background(), []string{serverID}).Kind)
	}
}

// TestMembersOfOtherTypes than documented: one of them, and the SDK reads nothing of the whole answer.
func TestMembersOfOtherTypes(t *testing.T) {
	ctx := context.Background()
	for _, test := range []struct{ name, body string }{
		{"job", `{"status":"FAIL","error_code":"Ecs.0202","entities":{"sub_jobs_total":"1","sub_jobs":[{"status":"FAIL"}]}}`},
		{"job", `{"status":"FAIL","error_code":"Ecs.0202","fail_reason":{"a":1}}`},
		{"job", `{"status":"FAIL","error_code":"Ecs.0202","entities":[]}`},
		{"server", `{"server":{"status":"ACTIVE","image":""}}`},
		{"server", `{"server":{"status":"ACTIVE","metadata":{"n":1}}}`},
		{"server", `{"server":{"status":"ACTIVE","locked":"false"}}`},
		{"server", `{"server":{"status":"ACTIVE","OS-EXT-STS:power_state":"1"}}`},
		{"image", `{"images":[{"id":"` + imageID + `","status":"active","size":2147483648}]}`},
	} {
		t.Run(test.body, func(t *testing.T) {
			a := serve(t, failing{200, test.body, nil}.ServeHTTP)
			switch test.name {
			case "job":
				_, err := a.sdkECS(t).ShowJob(&model.ShowJobRequest{JobId: jobID})
				require.Error(t, err)
				job, err := a.ours(t).Job(ctx, jobID)
				require.NoError(t, err)
				assert.Equal(t, "FAIL", job.Status)
				assert.Equal(t, "Ecs.0202", job.ErrorCode)
			case "server":
				_, err := a.sdkECS(t).ShowServer(&model.ShowServerRequest{ServerId: serverID})
				require.Error(t, err)
				server, err := a.ours(t).Server(ctx, serverID)
				require.NoError(t, err)
				assert.Equal(t, "ACTIVE", server.Status)
				assert.False(t, server.Locked)
			case "image":
				_, err := a.sdkIMS(t).ListImages(&ims.ListImagesRequest{Id: optional(imageID)})
				require.Error(t, err)
				image, err := a.ours(t).Image(ctx, imageID)
				require.NoError(t, err)
				assert.Equal(t, "active", image.Status)
			}
		})
	}
}

// TestAnswersWithoutAnswer: the SDK hands out a job without a status, and no server at all. Ours has an error.
func TestAnswersWithoutAnswer(t *testing.T) {
	a := serve(t, failing{200, `{"code":"Common.0011","message":"job not found"}`, nil}.ServeHTTP)
	job, err := a.sdkECS(t).ShowJob(&model.ShowJobRequest{JobId: jobID})
	require.NoError(t, err)
	assert.Nil(t, job.Status)
	_, err = a.ours(t).Job(context.Background(), jobID)
	require.ErrorContains(t, err, "Common.0011: job not found")

	a = serve(t, failing{200, `{}`, nil}.ServeHTTP)
	shown, err := a.sdkECS(t).ShowServer(&model.ShowServerRequest{ServerId: serverID})
	require.NoError(t, err)
	assert.Nil(t, shown.Server)
	_, err = a.ours(t).Server(context.Background(), serverID)
	require.ErrorContains(t, err, "the answer holds no server")
}

// TestJobsReadAgain: an invoker of the SDK keeps what the last answer said and this one does not.
func TestJobsReadAgain(t *testing.T) {
	answers := []string{`{"status":"FAIL","error_code":"Ecs.0001","fail_reason":"old"}`, `{"status":"SUCCESS"}`}
	asked := 0
	a := serve(t, func(w http.ResponseWriter, _ *http.Request) {
		_, _ = io.WriteString(w, answers[asked%2])
		asked++
	})
	again := a.sdkECS(t).ShowJobInvoker(&model.ShowJobRequest{JobId: jobID})
	_, err := again.Invoke()
	require.NoError(t, err)
	job, err := again.Invoke()
	require.NoError(t, err)
	assert.Equal(t, "SUCCESS", job.Status.Value())
	assert.Equal(t, "Ecs.0001", value(job.ErrorCode), "of the answer before")

	client := a.ours(t)
	_, err = client.Job(context.Background(), jobID)
	require.NoError(t, err)
	fresh, err := client.Job(context.Background(), jobID)
	require.NoError(t, err)
	assert.True(t, fresh.Succeeded())
	assert.Empty(t, fresh.ErrorCode)
	assert.Empty(t, fresh.FailReason)
}

// TestSecretsInPrint: the SDK prints passwords and secret keys, and repeats what the cloud repeats of them.
func TestSecretsInPrint(t *testing.T) {
	const password = "Sup3r_Secret"
	request := ecs.ChangeOSRequest{ImageID: imageID, AdminPass: ecs.NewSecret(password)}
	theirs := &model.ChangeServerOsWithCloudInitRequest{ServerId: serverID, Body: &model.ChangeServerOsWithCloudInitRequestBody{OsChange: official(request)}}
	a := serve(t, failing{400, `{"error":{"code":"Ecs.0011","message":"bad password ` + password + `"}}`, nil}.ServeHTTP)
	_, err := a.sdkECS(t).ChangeServerOsWithCloudInit(theirs)
	require.Error(t, err)
	for _, text := range []string{fmt.Sprint(theirs), err.Error()} {
		assert.Contains(t, text, password)
	}
	assert.Contains(t, fmt.Sprintf("%+v", *a.credentials(t)), a.secret)

	outcome := a.ours(t).ChangeOS(context.Background(), serverID, request)
	key := ecs.AccessKey{ID: a.key, Secret: ecs.NewSecret(a.secret)}
	for _, text := range []string{fmt.Sprintf("%+v", request), fmt.Sprintf("%+v", outcome), outcome.Err.Error(), fmt.Sprintf("%#v", key)} {
		assert.NotContains(t, text, password)
		assert.NotContains(t, text, a.secret)
	}
	assert.Contains(t, outcome.Err.Error(), "HTTP 400 Ecs.0011: the password is too weak; the cloud's text is not kept")
}

// TestNestedWithoutEnd: ours reads to a depth of 32, far below which no fault was ever seen; the SDK reads on. The status is the
// same to both.
func TestNestedWithoutEnd(t *testing.T) {
	body := strings.Repeat(`{"e":`, 9_000) + `{"code":"Ecs.0005","message":"invalid"}` + strings.Repeat("}", 9_000)
	a := serve(t, failing{400, body, nil}.ServeHTTP)
	_, err := changeWithSDK(t, a)
	assert.Equal(t, verdict{400, "Ecs.0005", "invalid", "req-1"}, theirVerdict(t, err))
	outcome := change(t, a)
	assert.Equal(t, ecs.Unknown, outcome.Kind)
	assert.Equal(t, 400, outcome.Err.Status)
	assert.Equal(t, "req-1", outcome.Err.RequestID)
	assert.Empty(t, outcome.Err.Code)
	assert.Less(t, len(outcome.Err.Error()), 600)
}

// TestTwoFaultsInOneAnswer: which one the SDK reports changes from call to call. Ours always reports the same.
func TestTwoFaultsInOneAnswer(t *testing.T) {
	a := serve(t, failing{400, `{"a":{"code":"A.1","message":"first"},"b":{"code":"B.2","message":"second"}}`, nil}.ServeHTTP)
	_, err := changeWithSDK(t, a)
	assert.Contains(t, []string{"A.1", "B.2"}, theirVerdict(t, err).code)
	for range 20 {
		assert.Equal(t, "A.1", change(t, a).Err.Code)
	}
}
