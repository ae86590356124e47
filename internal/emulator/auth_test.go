package emulator

import (
	"bufio"
	"bytes"
	"encoding/json"
	"io"
	"net/http"
	"net/http/httptest"
	"os"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
)

// captured is a request that the official Go SDK v0.1.207 sent, as it was on the wire.
type captured struct {
	Name    string `json:"name"`
	Request string `json:"request"`
}

func capturedRequests(t testing.TB) []captured {
	t.Helper()
	text, err := os.ReadFile("testdata/official_sdk_requests.json")
	require.NoError(t, err)
	var all []captured
	require.NoError(t, json.Unmarshal(text, &all))
	require.Len(t, all, 25)
	return all
}

func sdkKeys() keyPair {
	return keyPair{accessKey: "EXAMPLEAK00000000000", secretKey: "EXAMPLESK0000000000000000000000000000000"}
}

func sdkTime() time.Time { return time.Date(2026, 11, 23, 19, 28, 6, 0, time.UTC) }

// judge parses raw bytes as a server does and verifies them. It is false also for what net/http refuses.
func judge(raw string, at time.Time) bool {
	r, err := http.ReadRequest(bufio.NewReader(strings.NewReader(raw)))
	if err != nil {
		return false
	}
	body, err := io.ReadAll(r.Body)
	return err == nil && sdkKeys().verify(r, body, at) == nil
}

func TestOfficialRequestsAreAccepted(t *testing.T) {
	for _, c := range capturedRequests(t) {
		assert.True(t, judge(c.Request, sdkTime()), c.Name)
		assert.True(t, judge(c.Request, sdkTime().Add(15*time.Minute)), c.Name)
		assert.False(t, judge(c.Request, sdkTime().Add(15*time.Minute+time.Second)), c.Name)
		assert.True(t, judge(c.Request, sdkTime().Add(-15*time.Minute)), c.Name)
		assert.False(t, judge(c.Request, sdkTime().Add(-15*time.Minute-time.Second)), c.Name)
	}
}

// signedBytes marks the bytes of a request whose change must be noticed: method, target, Authorization, the values of
// the signed headers, and the body.
func signedBytes(raw string) []bool {
	marks := make([]bool, len(raw))
	mark := func(from, to int) {
		for i := from; i < to; i++ {
			marks[i] = true
		}
	}
	head := strings.Index(raw, "\r\n\r\n")
	mark(head+4, len(raw))
	line := 0
	_, names, _ := strings.Cut(raw, "SignedHeaders=")
	names, _, _ = strings.Cut(names, ",")
	for n := 0; line < head; n++ {
		end := line + strings.Index(raw[line:], "\r\n")
		name, _, _ := strings.Cut(raw[line:end], ": ")
		switch {
		case n == 0:
			mark(line, end-len(" HTTP/1.1"))
		case name == "Authorization", strings.Contains(";"+names+";", ";"+strings.ToLower(name)+";"):
			mark(line+len(name)+2, end)
		}
		line = end + 2
	}
	return marks
}

func TestEveryChangedByteIsNoticed(t *testing.T) {
	for _, c := range capturedRequests(t) {
		mutations := 0
		for i, signed := range signedBytes(c.Request) {
			if !signed {
				continue
			}
			for _, other := range []byte{c.Request[i] + 1, c.Request[i] ^ 0x20, 'x', ' '} {
				mutated := c.Request[:i] + string([]byte{other}) + c.Request[i+1:]
				if mutated == c.Request || sameMeaning(c.Request, mutated, i) {
					continue
				}
				mutations++
				assert.False(t, judge(mutated, sdkTime()), "%s: byte %d, %q instead of %q", c.Name, i, other, c.Request[i])
			}
		}
		assert.Greater(t, mutations, 300, c.Name)
	}
}

// sameMeaning tells whether the change is only another spelling of the same escape: %2F and %2f.
func sameMeaning(a, b string, at int) bool {
	from := max(at-2, 0)
	return strings.Contains(a[from:at], "%") && strings.EqualFold(a[at:at+1], b[at:at+1])
}

func TestTemporaryKeysNeedTheirToken(t *testing.T) {
	for _, c := range capturedRequests(t) {
		r, err := http.ReadRequest(bufio.NewReader(strings.NewReader(c.Request)))
		require.NoError(t, err)
		body, err := io.ReadAll(r.Body)
		require.NoError(t, err)
		pair := sdkKeys()
		pair.securityToken = "TEMP-TOKEN"
		carries := r.Header.Get("X-Security-Token") != ""
		assert.Equal(t, carries, pair.verify(r, body, sdkTime()) == nil, c.Name)
		pair.securityToken = "ANOTHER"
		assert.NotNil(t, pair.verify(r, body, sdkTime()), c.Name)
	}
}

func TestPublishedVectors(t *testing.T) {
	pair := keyPair{accessKey: "AKEXAMPLE0000000TEST", secretKey: "sk-example-secret-not-real-000000000000"}
	const stop = `{"os-stop":{"type":"SOFT","servers":[{"id":"2b1f0f1e-7f0c-4f5e-9a34-6c1d6f0a9e11"}]}}`
	const pid = "5f0e8c31aa6b4f0e9d2b7c5a61d40e77"
	for _, test := range []struct{ method, target, body, signature string }{
		{"GET", "/v1/" + pid + "/jobs/ff8080829a1c22e0019a33d0b7a40f5e", "", "d698ea7c4cd70bc066db7033f02a226266a28f2d005d976930ede5ef93a2cb9e"},
		{"GET", "/v1/" + pid + "/cloudservers/detail?tags=role%3Dedge&offset=1&limit=100&name=edge%200", "", "270a79d1e625a1f721369d15a4baa126ce4456f7f710308063ce409bc950b463"},
		{"GET", "/v1/" + pid + "/cloudservers/detail?name=edge+0&limit=100&offset=1&tags=role=edge", "", "270a79d1e625a1f721369d15a4baa126ce4456f7f710308063ce409bc950b463"},
		{"POST", "/v1/" + pid + "/cloudservers/action", stop, "b76351cddad8f766351e17aeb376b5e6e4efffce980a1782836da9cac5f0d1fc"},
		{"POST", "/v1/" + pid + "/cloudservers/action", stop + "\n", "ecad8b172359456a8dc20928f711776fbfdc82756a33a54c5b10386a6103af49"},
	} {
		r := httptest.NewRequest(test.method, test.target, bytes.NewReader([]byte(test.body)))
		r.Host = "ecs.eu-de.example.test"
		r.Header.Set("X-Project-Id", pid)
		r.Header.Set("X-Sdk-Date", "20260210T091502Z")
		r.Header.Set("Authorization", "SDK-HMAC-SHA256 Access=AKEXAMPLE0000000TEST, SignedHeaders=host;x-project-id;x-sdk-date, Signature="+test.signature)
		assert.Nil(t, pair.verify(r, []byte(test.body), time.Date(2026, 2, 10, 9, 15, 2, 0, time.UTC)), test.target)
	}
}

func TestWhyASignatureIsRefused(t *testing.T) {
	raw := capturedRequests(t)[8].Request
	for _, test := range []struct{ name, old, new, message string }{
		{"unknown key", "Access=EXAMPLEAK00000000000", "Access=NOBODY", "Incorrect IAM authentication information: ak NOBODY not exist"},
		{"wrong signature", "Signature=1", "Signature=2", "Incorrect IAM authentication information: verify aksk signature fail"},
		{"date not signed", ";x-sdk-date", "", "Incorrect IAM authentication information: x-sdk-date is missing, malformed or not signed"},
		{"no date", "X-Sdk-Date", "X-Sdk-Data", "Incorrect IAM authentication information: x-sdk-date is missing, malformed or not signed"},
		{"signed header absent", "X-Project-Id", "X-Project-Di", "Incorrect IAM authentication information: verify aksk signature fail"},
		{"malformed", ", Signature", ",Signature", "Incorrect IAM authentication information: Authorization format is incorrect"},
		{"stated hash of another body", "Content-Type", "X-Sdk-Content-Sha256: 00\r\nContent-Type", "Incorrect IAM authentication information: verify aksk signature fail"},
	} {
		require.Contains(t, raw, test.old, test.name)
		r, err := http.ReadRequest(bufio.NewReader(strings.NewReader(strings.Replace(raw, test.old, test.new, 1))))
		require.NoError(t, err)
		refused := sdkKeys().verify(r, nil, sdkTime())
		require.NotNil(t, refused, test.name)
		assert.Equal(t, 401, refused.status)
		assert.Equal(t, "APIGW.0301", refused.code)
		assert.Equal(t, test.message, refused.message, test.name)
	}
}

// TestSkewedClock: the cloud judges dates by its own clock, and tells it in every answer.
func TestSkewedClock(t *testing.T) {
	var raw string
	for _, c := range capturedRequests(t) {
		if c.Name == "ShowServer" {
			raw = c.Request
		}
	}
	for skew, status := range map[time.Duration]int{0: 404, 14 * time.Minute: 404, -14 * time.Minute: 404, 20 * time.Minute: 401, -20 * time.Minute: 401} {
		e, err := newAt(Options{
			ProjectID: "6af1c92eaf7e471fb35c82eecd4b7b5d", AccessKey: sdkKeys().accessKey, SecretKey: sdkKeys().secretKey, Skew: skew,
		}, sdkTime)
		require.NoError(t, err)
		r, err := http.ReadRequest(bufio.NewReader(strings.NewReader(raw)))
		require.NoError(t, err)
		w := httptest.NewRecorder()
		e.ServeHTTP(w, r)
		assert.Equal(t, status, w.Code, "%s: %s", skew, w.Body)
		assert.Equal(t, sdkTime().Add(skew).Format(http.TimeFormat), w.Header().Get("Date"))
	}
}

// TestOfficialRequestsAreServed puts the captured requests through the whole handler, at their date.
func TestOfficialRequestsAreServed(t *testing.T) {
	const pid, server, image = "6af1c92eaf7e471fb35c82eecd4b7b5d", "616fb98f-46ca-475e-917e-2563e5a8cd19", "e215580f-73ad-429d-b6f2-5433947433b0"
	want := map[string]int{
		"ChangeServerOsWithCloudInit (v2) with key pair only":              200,
		"ChangeServerOsWithoutCloudInit (v1)":                              200,
		"ReinstallServerWithCloudInit (v2)":                                200,
		"ReinstallServerWithoutCloudInit (v1)":                             200,
		"ShowServer":                                                       200,
		"ListServersDetails tags, limit, offset, not-tags, status":         200,
		"ims ListImages id, imagetype":                                     200,
		"custom headers through an invoker (X-Auth-Token, X-Client-Token)": 200,
		"ShowJob": 400,
		"ShowJob with a hostile job id (path escaping)":                                         404,
		"ChangeServerOsWithCloudInit (v2) with password, user_data, mode":                       400, // its password holds < and >
		"BatchStopServers SOFT, two servers":                                                    404, // the second one does not exist
		"BatchStopServers HARD":                                                                 400, // it is stopped
		"BatchStartServers":                                                                     200,
		"region without a project id: project look-up at IAM at build time, then ShowServer":    200,
		"global credentials without a domain id: domain look-up, then IAM KeystoneListProjects": 200,
	}
	served := 0
	for _, c := range capturedRequests(t) {
		status, ok := want[c.Name]
		if !ok {
			continue
		}
		served++
		e, err := newAt(Options{
			Fleet:  []Server{{ID: server, Name: "one", Status: "SHUTOFF", ImageID: image}},
			Images: []Image{{ID: image}}, KeyPairs: []KeyPair{{Name: "KeyPair-350b"}, {Name: "KeyPair-350b", UserID: "7e25b1da389f4697a79df3a0e5bd494e"}}, ProjectID: pid,
			AccessKey: sdkKeys().accessKey, SecretKey: sdkKeys().secretKey,
		}, sdkTime)
		require.NoError(t, err)
		r, err := http.ReadRequest(bufio.NewReader(strings.NewReader(c.Request)))
		require.NoError(t, err)
		w := httptest.NewRecorder()
		e.ServeHTTP(w, r)
		assert.Equal(t, status, w.Code, "%s: %s", c.Name, w.Body)
	}
	assert.Equal(t, len(want), served)
}
