package ecs_test

import (
	"context"
	"encoding/base64"
	"encoding/json"
	"fmt"
	"html"
	"net"
	"net/http"
	"net/url"
	"strings"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/reimage/reimage/ecs"
)

const (
	password = "Passw0rd:/?[x]"
	userData = "#cloud-config\nchpasswd:\n  list: \"root:h\u00fcnter2-verysecret\"\n"
	secret   = "SKSKSKSKSKSKSKSKSKSKSKSKSK"
	session  = "temporary-session-token-000001"
)

// TestCloudThatRepeatsSecrets lets the cloud repeat what it was sent, in many spellings and places.
func TestCloudThatRepeatsSecrets(t *testing.T) {
	encoded := base64.StdEncoding.EncodeToString([]byte(userData))
	quoted, err := json.Marshal(userData)
	require.NoError(t, err)
	for name, test := range map[string]struct {
		request ecs.ChangeOSRequest
		repeats []string
	}{
		"credentials": {ecs.ChangeOSRequest{ImageID: imageID}, []string{secret, session, secret + session}},
		"password": {ecs.ChangeOSRequest{ImageID: imageID, AdminPass: ecs.NewSecret(password)}, []string{
			password, password + password, url.QueryEscape(password), strings.Repeat("x", 260) + password,
			base64.StdEncoding.EncodeToString([]byte(password)), secret + password,
		}},
		"shortest password": {ecs.ChangeOSRequest{ImageID: imageID, AdminPass: ecs.NewSecret("Pw0!Pw1?")}, []string{"Pw0!Pw1?", url.QueryEscape("Pw0!Pw1?")}},
		"user data": {ecs.ChangeOSRequest{ImageID: imageID, UserData: ecs.NewSecret(userData)}, []string{
			userData, strings.TrimSpace(userData), userData[10:45], string(quoted), html.EscapeString(userData),
			encoded, encoded[5:40], strings.TrimRight(encoded, "="), encoded + session, strings.Repeat("x", 260) + encoded,
		}},
	} {
		for _, value := range test.repeats {
			for _, body := range bodiesWith(t, value) {
				err := refusedBy(t, body, test.request)
				printed := fmt.Sprintf("%v %+v %#v %s %s %s", err, err, err, err.Code, err.RequestID, err.Message)
				if piece, leaked := pieceIn(printed, strings.TrimLeft(value, "x")); leaked {
					t.Errorf("%s: %q is still in %q", name, piece, printed)
				}
			}
		}
	}
}

// bodiesWith puts a value wherever an answer has room for it.
func bodiesWith(t *testing.T, value string) []string {
	t.Helper()
	asText, err := json.Marshal("wrong: " + value + " (end)")
	require.NoError(t, err)
	nested, err := json.Marshal(fmt.Sprintf(`{"badRequest":{"code":400,"message":%s}}`, asText))
	require.NoError(t, err)
	return []string{
		fmt.Sprintf(`{"error":{"code":"Ecs.0005","message":%s}}`, asText),
		fmt.Sprintf(`{"error":{"code":"Ecs.1000","message":%s}}`, nested),
		fmt.Sprintf(`{"error":{"code":%s,"message":"m"},"request_id":%s}`, asText, asText),
		fmt.Sprintf(`<html><title>wrong: %s</title></html>`, value),
		fmt.Sprintf(`{"error":{"message":%s`, asText),
		"text " + value,
	}
}

// pieceIn looks for 12 bytes in a row of the secret, or for all of a shorter one.
func pieceIn(text, value string) (string, bool) {
	size := min(12, len(value))
	for i := 0; i+size <= len(value); i++ {
		if piece := value[i : i+size]; strings.Contains(text, piece) {
			return piece, true
		}
	}
	return "", false
}

func refusedBy(t *testing.T, body string, request ecs.ChangeOSRequest) *ecs.Error {
	t.Helper()
	network := newPipeNet()
	server := &http.Server{Handler: answering(400, body)}
	go func() { _ = server.Serve(network) }()
	defer server.Close()
	c := config("http://ecs.example")
	c.Dial = network.Dial
	c.Credentials = ecs.AccessKey{ID: "AK", Secret: ecs.NewSecret(secret), SecurityToken: ecs.NewSecret(session)}
	client, err := ecs.New(c)
	require.NoError(t, err)
	out := client.ChangeOS(context.Background(), serverID, request)
	require.NotNil(t, out.Err)
	return out.Err
}

// TestSecretsWithOtherBlanks: what is left once the blanks of an answer are tidied is no secret either.
func TestSecretsWithOtherBlanks(t *testing.T) {
	const data = "the dog is Rex"
	for _, blank := range []string{"\n", "  ", "\t", "\u00a0", "\x00", "\u202e "} {
		for _, body := range bodiesWith(t, strings.ReplaceAll(data, " ", blank)) {
			err := refusedBy(t, body, ecs.ChangeOSRequest{ImageID: imageID, UserData: ecs.NewSecret(data)})
			assert.NotContains(t, fmt.Sprintf("%v %s", err, err.Code), data, "%q", blank)
		}
	}
}

func TestTransportErrorsHoldNoSecret(t *testing.T) {
	for _, text := range []string{
		"proxyconnect tcp: http://user:" + hidden + "@proxy.example: refused",
		"dial with token " + session,
	} {
		c := config("http://ecs.example")
		c.Credentials = ecs.Token{Value: ecs.NewSecret(session)}
		cause := &net.AddrError{Err: text, Addr: "x"}
		c.Dial = func(context.Context, string, string) (net.Conn, error) { return nil, cause }
		out := newClient(t, c).ChangeOS(context.Background(), serverID, rootRequest())
		assert.Equal(t, ecs.NotSent, out.Kind)
		assert.ErrorIs(t, out.Err, cause, "its identity stays")
		for _, printed := range []string{out.Err.Error(), fmt.Sprintf("%+v %#v", out.Err, out.Err), fmt.Sprintf("%+v %#v", out, out)} {
			assert.NotContains(t, printed, hidden)
			assert.NotContains(t, printed, session)
		}
	}
}

func TestTokenOfOtherCredentialsIsRemoved(t *testing.T) {
	cloud := newCloud(t, func(w http.ResponseWriter, r *http.Request) {
		w.WriteHeader(401)
		fmt.Fprintf(w, `{"error":{"message":"token %s expired"}}`, r.Header.Get("X-Auth-Token"))
	})
	c := config(cloud.URL)
	c.Credentials = wrapped{ecs.Token{Value: ecs.NewSecret(session)}}
	_, err := newClient(t, c).Server(context.Background(), serverID)
	require.ErrorContains(t, err, "token [redacted] expired")
}

// wrapped hides everything but Authorize, as credentials of another package do.
type wrapped struct{ ecs.Credentials }

func TestMessagesAreShortAndOnOneLine(t *testing.T) {
	body, err := json.Marshal(map[string]any{"error": map[string]string{"code": "Ecs.0005", "message": "a\x1b[31m\r\nb\u202e\t" + strings.Repeat("ü", 1000)}})
	require.NoError(t, err)
	failed := refusedBy(t, string(body), rootRequest())
	assert.Equal(t, "a [31m b "+strings.Repeat("ü", 291)+"...", failed.Message)

	page := refusedBy(t, "<html>\n<head><title>\n502 Bad Gateway </title></head>"+strings.Repeat("<p>x", 1000), rootRequest())
	assert.Equal(t, `the answer is a web page titled "502 Bad Gateway", not the service's`, page.Message)
}
