package oracle

import (
	"context"
	"io"
	"net/http"
	"strings"
	"testing"

	"github.com/huaweicloud/huaweicloud-sdk-go-v3/core/sdkerr"
	"github.com/huaweicloud/huaweicloud-sdk-go-v3/services/ecs/v2/model"
	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/reimage/reimage/ecs"
)

// A verdict is what a client makes of the answer to a change of an operating system.
type verdict struct {
	status                   int
	code, message, requestID string
}

// A failing cloud gives one answer to everything.
type failing struct {
	status int
	body   string
	header http.Header // besides X-Request-Id
}

func (f failing) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	_, _ = io.Copy(io.Discard, r.Body)
	w.Header().Set("X-Request-Id", "req-1")
	w.Header().Set("Content-Type", "application/json")
	for name, values := range f.header {
		w.Header()[name] = values
	}
	w.WriteHeader(f.status)
	_, _ = io.WriteString(w, f.body)
}

func changeWithSDK(t *testing.T, a account) (*model.ChangeServerOsWithCloudInitResponse, error) {
	t.Helper()
	return a.sdkECS(t).ChangeServerOsWithCloudInit(&model.ChangeServerOsWithCloudInitRequest{
		ServerId: serverID, Body: &model.ChangeServerOsWithCloudInitRequestBody{OsChange: official(ecs.ChangeOSRequest{ImageID: imageID})},
	})
}

func change(t *testing.T, a account) ecs.Outcome {
	t.Helper()
	return a.ours(t).ChangeOS(context.Background(), serverID, ecs.ChangeOSRequest{ImageID: imageID})
}

// theirVerdict fails the test when the SDK sees no failure.
func theirVerdict(t *testing.T, err error) verdict {
	t.Helper()
	var failed *sdkerr.ServiceResponseError
	require.ErrorAs(t, err, &failed)
	return verdict{failed.StatusCode, failed.ErrorCode, failed.ErrorMessage, failed.RequestId}
}

func ourVerdict(t *testing.T, outcome ecs.Outcome) verdict {
	t.Helper()
	require.NotNil(t, outcome.Err)
	return verdict{outcome.Err.Status, outcome.Err.Code, outcome.Err.Message, outcome.Err.RequestID}
}

// TestErrorsThatBothRead: of these answers the SDK finds code and message, and ours finds the same.
func TestErrorsThatBothRead(t *testing.T) {
	for _, test := range []struct {
		name string
		failing
		want verdict
	}{
		{"wrapped", failing{400, `{"error":{"code":"Ecs.0114","message":"ECS is being operated"}}`, nil},
			verdict{400, "Ecs.0114", "ECS is being operated", "req-1"}},
		{"wrapped, the other way round", failing{409, `{"error":{"message":"Failed to stop server","code":"Ecs.0219"}}`, nil},
			verdict{409, "Ecs.0219", "Failed to stop server", "req-1"}},
		{"with details", failing{400, `{"error":{"code":"Ecs.0100","message":"state","details":[{"code":"Ecs.0005","message":"more"}]}}`, nil},
			verdict{400, "Ecs.0100", "state", "req-1"}},
		{"gateway", failing{401, `{"error_code":"APIGW.0301","error_msg":"Incorrect IAM authentication information","request_id":"a1b2"}`, nil},
			verdict{401, "APIGW.0301", "Incorrect IAM authentication information", "req-1"}},
		{"top level", failing{400, `{"code":"Common.0025","message":"query failed"}`, nil},
			verdict{400, "Common.0025", "query failed", "req-1"}},
		{"encoded authorization message", failing{403, `{"error_code":"Ecs.0005","error_msg":"denied","encoded_authorization_message":"Egpj"}`, nil},
			verdict{403, "Ecs.0005", "denied", "req-1"}},
		{"encoded authorization message, wrapped", failing{403, `{"error":{"code":"Pdp.0001","message":"denied","encoded_authorization_message":"Egpj"}}`, nil},
			verdict{403, "Pdp.0001", "denied", "req-1"}},
		{"wrapped twice", failing{400, `{"error":{"reason":{"code":"Ecs.0005","message":"invalid"}}}`, nil},
			verdict{400, "Ecs.0005", "invalid", "req-1"}},
		{"gateway, wrapped", failing{403, `{"result":{"error_code":"APIGW.0302","error_msg":"denied"}}`, nil},
			verdict{403, "APIGW.0302", "denied", "req-1"}},
		{"wrapped ten times", failing{400, strings.Repeat(`{"e":`, 10) + `{"code":"Ecs.0005","message":"invalid"}` + strings.Repeat("}", 10), nil},
			verdict{400, "Ecs.0005", "invalid", "req-1"}},
		{"code without message, and both inside", failing{400, `{"error_code":"","error":{"code":"Ecs.0005","message":"invalid"}}`, nil},
			verdict{400, "Ecs.0005", "invalid", "req-1"}},
		{"in capitals", failing{400, `{"error":{"code":"Ecs.0005","message":"ÜNGÜLTIG \u00e9"}}`, nil},
			verdict{400, "Ecs.0005", "ÜNGÜLTIG é", "req-1"}},
	} {
		t.Run(test.name, func(t *testing.T) {
			a := serve(t, test.ServeHTTP)
			_, err := changeWithSDK(t, a)
			assert.Equal(t, test.want, theirVerdict(t, err), "the SDK")
			assert.Equal(t, test.want, ourVerdict(t, change(t, a)), "ours")
		})
	}
}

// TestErrorsThatTheSDKMisreads: the SDK has no code or the raw body for a message, no id of the request, or no status. Ours has
// them.
func TestErrorsThatTheSDKMisreads(t *testing.T) {
	noHeader := http.Header{"X-Request-Id": nil}
	for _, test := range []struct {
		name string
		failing
		theirs, ours verdict // "<body>" is the raw body
	}{
		{"the request id is in the body", failing{429, `{"error_code":"APIGW.0308","error_msg":"throttled","request_id":"a1b2"}`, noHeader},
			verdict{429, "APIGW.0308", "throttled", ""}, verdict{429, "APIGW.0308", "throttled", "a1b2"}},
		{"Nova", failing{400, `{"badRequest":{"message":"Invalid image","code":400}}`, nil},
			verdict{400, "", "<body>", "req-1"}, verdict{400, "badRequest", "Invalid image", "req-1"}},
		{"Nova, code as text", failing{400, `{"badRequest":{"message":"Invalid image","code":"400"}}`, nil},
			verdict{400, "400", "Invalid image", "req-1"}, verdict{400, "badRequest", "Invalid image", "req-1"}},
		{"Nova, unknown server", failing{404, `{"itemNotFound":{"code":404,"message":"Instance could not be found"}}`, nil},
			verdict{404, "", "<body>", "req-1"}, verdict{404, "itemNotFound", "Instance could not be found", "req-1"}},
		{"Nova, policy", failing{403, `{"forbidden":{"message":"Policy doesn't allow it.","code":403}}`, nil},
			verdict{403, "", "<body>", "req-1"}, verdict{403, "forbidden", "Policy doesn't allow it.", "req-1"}},
		{"Nova, relayed", failing{400, `{"error":{"code":"Ecs.1000","message":"{\"badRequest\":{\"message\":\"not STOPPED\",\"code\":400}}"}}`, nil},
			verdict{400, "Ecs.1000", `{"badRequest":{"message":"not STOPPED","code":400}}`, "req-1"}, verdict{400, "Ecs.1000", "not STOPPED", "req-1"}},
		{"IAM", failing{401, `{"error":{"code":401,"message":"The request requires authentication.","title":"Unauthorized"}}`, nil},
			verdict{401, "", "<body>", "req-1"}, verdict{401, "401", "The request requires authentication.", "req-1"}},
		{"errCode", failing{404, `{"errCode":"IMG.0027","errMsg":"cannot find image"}`, nil},
			verdict{404, "", "<body>", "req-1"}, verdict{404, "IMG.0027", "cannot find image", "req-1"}},
		{"code without message", failing{403, `{"error_code":"Ecs.0005","error_msg":""}`, nil},
			verdict{403, "", "<body>", "req-1"}, verdict{403, "Ecs.0005", "", "req-1"}},
		{"message without code", failing{403, `{"error_code":"","error_msg":"no rights"}`, nil},
			verdict{403, "", "<body>", "req-1"}, verdict{403, "", "no rights", "req-1"}},
		{"error_message", failing{403, `{"error_code":"Ecs.0005","error_message":"no rights"}`, nil},
			verdict{403, "", "<body>", "req-1"}, verdict{403, "Ecs.0005", "no rights", "req-1"}},
		{"numeric code of the gateway", failing{403, `{"error_code":403,"error_msg":"no rights"}`, nil},
			verdict{403, "", "<body>", "req-1"}, verdict{403, "403", "no rights", "req-1"}},
		{"only details", failing{400, `{"error":{"details":[{"code":"Ecs.0005","message":"invalid"}]}}`, nil},
			verdict{400, "", "<body>", "req-1"}, verdict{400, "Ecs.0005", "invalid", "req-1"}},
		{"text", failing{503, `upstream connect error`, nil},
			verdict{503, "", "<body>", "req-1"}, verdict{503, "", "the answer is not the service's: <body>", "req-1"}},
		{"page", failing{502, `<html><head><title>502 Bad Gateway</title></head><body>nginx</body></html>`, nil},
			verdict{502, "", "<body>", "req-1"}, verdict{502, "", `the answer is a web page titled "502 Bad Gateway", not the service's`, "req-1"}},
		{"nothing", failing{429, ``, nil},
			verdict{429, "", "", "req-1"}, verdict{429, "", "the answer is empty", "req-1"}},
		{"half of it", failing{400, `{"error":{"code":"Ecs.01`, nil},
			verdict{400, "", "<body>", "req-1"}, verdict{400, "", "the answer is not the service's: <body>", "req-1"}},
		{"text in JSON", failing{500, `"boom"`, nil},
			verdict{500, "", "<body>", "req-1"}, verdict{500, "", "the answer is not the service's: <body>", "req-1"}},
		{"list", failing{500, `[{"code":"X","message":"y"}]`, nil},
			verdict{500, "", "<body>", "req-1"}, verdict{500, "", "the answer is not the service's: <body>", "req-1"}},
	} {
		t.Run(test.name, func(t *testing.T) {
			a := serve(t, test.ServeHTTP)
			_, err := changeWithSDK(t, a)
			theirs, ours := theirVerdict(t, err), ourVerdict(t, change(t, a))
			for _, want := range []*verdict{&test.theirs, &test.ours} {
				want.message = strings.ReplaceAll(want.message, "<body>", test.body)
			}
			assert.Equal(t, test.theirs, theirs, "the SDK")
			assert.Equal(t, test.ours, ours, "ours")
		})
	}
}
