package ecs_test

import (
	"net/http"
	"net/url"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/reimage/reimage/ecs"
)

// The expected signatures were made by the official signer.
func TestSignatureWithSignedHost(t *testing.T) {
	const (
		base = "https://ecs.eu-de.example.test/v1/5f0e8c31aa6b4f0e9d2b7c5a61d40e77"
		stop = `{"os-stop":{"type":"SOFT","servers":[{"id":"2b1f0f1e-7f0c-4f5e-9a34-6c1d6f0a9e11"}]}}`
	)
	key := ecs.AccessKey{ID: "AKEXAMPLE0000000TEST", Secret: ecs.NewSecret("sk-example-secret-not-real-000000000000")}
	now := time.Date(2026, 2, 10, 10, 15, 2, 0, time.FixedZone("CET", 3600))
	for name, test := range map[string]struct{ method, url, body, signature string }{
		"get":               {"GET", base + "/jobs/ff8080829a1c22e0019a33d0b7a40f5e", "", "d698ea7c4cd70bc066db7033f02a226266a28f2d005d976930ede5ef93a2cb9e"},
		"query":             {"GET", base + "/cloudservers/detail?tags=role%3Dedge&offset=1&limit=100&name=edge+0", "", "270a79d1e625a1f721369d15a4baa126ce4456f7f710308063ce409bc950b463"},
		"body":              {"POST", base + "/cloudservers/action", stop, "b76351cddad8f766351e17aeb376b5e6e4efffce980a1782836da9cac5f0d1fc"},
		"body, final break": {"POST", base + "/cloudservers/action", stop + "\n", "ecad8b172359456a8dc20928f711776fbfdc82756a33a54c5b10386a6103af49"},
	} {
		t.Run(name, func(t *testing.T) {
			req, err := http.NewRequest(test.method, test.url, strings.NewReader(test.body))
			require.NoError(t, err)
			req.Header.Set("Host", req.URL.Host)
			req.Header.Set("X-Project-Id", "5f0e8c31aa6b4f0e9d2b7c5a61d40e77")
			req.Header.Set("Content-Type", "application/json")
			req.Header["Under_Score"] = []string{"not signed"}
			require.NoError(t, key.Authorize(req, []byte(test.body), now))
			assert.Equal(t, "20260210T091502Z", req.Header.Get("X-Sdk-Date"))
			assert.Equal(t, "SDK-HMAC-SHA256 Access=AKEXAMPLE0000000TEST, SignedHeaders=host;x-project-id;x-sdk-date, Signature="+test.signature,
				req.Header.Get("Authorization"))
		})
	}
}

func TestAuthorizeRefusesUnusableKeys(t *testing.T) {
	req, err := http.NewRequest("GET", "https://e", nil)
	require.NoError(t, err)
	require.Error(t, ecs.AccessKey{}.Authorize(req, nil, time.Now()))
	require.Error(t, ecs.Token{Value: ecs.NewSecret("a\r\nb")}.Authorize(req, nil, time.Now()))
	assert.Empty(t, req.Header)
}

func TestAuthorizeRefusesWhatItWouldNotSign(t *testing.T) {
	key := ecs.AccessKey{ID: "id", Secret: ecs.NewSecret("sk")}
	for _, query := range []string{"a=%zz", "a=1;b=2", "a=1&b=%"} {
		req := &http.Request{Method: "GET", URL: &url.URL{Scheme: "https", Host: "e", RawQuery: query}, Header: http.Header{}}
		require.ErrorContains(t, key.Authorize(req, nil, time.Now()), "the query cannot be signed", query)
		assert.Empty(t, req.Header)
	}
}

// TestStatedHashOfTheBody: the gateway takes the header for the hash of the body, whatever the body is.
func TestStatedHashOfTheBody(t *testing.T) {
	key := ecs.AccessKey{ID: "id", Secret: ecs.NewSecret("sk")}
	const ofNothing = "e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855"
	for _, stated := range []string{ofNothing, "UNSIGNED-PAYLOAD"} {
		req := &http.Request{Method: "POST", URL: &url.URL{Scheme: "https", Host: "e"}, Header: http.Header{"X-Sdk-Content-Sha256": {stated}}}
		require.ErrorContains(t, key.Authorize(req, []byte("{}"), time.Now()), "the body cannot be signed: the header X-Sdk-Content-Sha256 states another hash")
		assert.Len(t, req.Header, 1)
		if stated == ofNothing {
			require.NoError(t, key.Authorize(req, nil, time.Now()))
		}
	}
}

// TestSignatureOfWhatArrives: the same request on the wire has the same signature, however it is put together.
func TestSignatureOfWhatArrives(t *testing.T) {
	sign := func(path, raw string, values ...string) string {
		req := &http.Request{Method: "GET", URL: &url.URL{Scheme: "https", Host: "e", Path: path, RawPath: raw}, Header: http.Header{"X-A": values}}
		require.NoError(t, ecs.AccessKey{ID: "id", Secret: ecs.NewSecret("sk")}.Authorize(req, nil, time.Unix(0, 0)))
		return req.Header.Get("Authorization")
	}
	assert.Equal(t, sign("/a/b", ""), sign("/a/b", "/a%2Fb"))
	assert.NotEqual(t, sign("/a/b", ""), sign("/a%2Fb", "/a%252Fb"))
	assert.Equal(t, sign("/a", "", "x", "y"), sign("/a", "", " x\t", "\ty "))
}
