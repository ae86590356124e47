package ecs_test

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"maps"
	"net"
	"net/http"
	"slices"
	"strings"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
	"pgregory.net/rapid"

	"github.com/reimage/reimage/ecs"
	"github.com/reimage/reimage/internal/spelling"
)

const session = "temporary-session-token-000001"

// places are where an answer has room for a text.
var places = map[string]func(w http.ResponseWriter, text string){
	"message": inJSON(`{"error":{"code":"Ecs.0005","message":%s}}`),
	"no code": inJSON(`{"error":{"message":%s}}`),
	"gateway": inJSON(`{"error_code":"APIGW.0201","error_msg":%s}`),
	"code":    inJSON(`{"error":{"code":%s,"message":"m"}}`),
	"member":  inJSON(`{%s:{"code":400,"message":"m"}}`),
	"title":   inJSON(`{"error":{"code":400,"message":"m","title":%s}}`),
	"below":   inJSON(`{"a":{"b":{"code":"Ecs.0005","message":%s}}}`),
	"id":      inJSON(`{"error_code":"Ecs.0005","error_msg":"m","request_id":%s}`),
	"number":  inJSON(`{"error":{"code":"Ecs.0005","message":["x",%s]}}`),
	"page": func(w http.ResponseWriter, text string) {
		fmt.Fprintf(w, "<html><title>wrong: %s</title></html>", text)
	},
	"text":      func(w http.ResponseWriter, text string) { fmt.Fprint(w, "wrong: "+text) },
	"cut short": func(w http.ResponseWriter, text string) { fmt.Fprint(w, `{"error":{"message":"`+text) },
	"relayed": func(w http.ResponseWriter, text string) {
		inner, _ := json.Marshal(fmt.Sprintf(`{"badRequest":{"code":400,"message":%q}}`, text))
		fmt.Fprintf(w, `{"error":{"code":"Ecs.1000","message":%s}}`, inner)
	},
}

func inJSON(format string) func(http.ResponseWriter, string) {
	return func(w http.ResponseWriter, text string) {
		quoted, _ := json.Marshal(text)
		fmt.Fprintf(w, format, quoted)
	}
}

// TestAnswersTellNothingOfASecret: whatever an answer makes of the secret of its request, of another secret the error is the
// same. So the error holds neither of them, in no spelling whatsoever.
func TestAnswersTellNothingOfASecret(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		place := rapid.SampledFrom(slices.Sorted(maps.Keys(places))).Draw(t, "place")
		spell := drawSpelling(t)
		status := rapid.SampledFrom([]int{200, 202, 302, 400, 401, 403, 404, 409, 429, 500, 502}).Draw(t, "status")
		carry := rapid.SampledFrom(slices.Sorted(maps.Keys(carriers))).Draw(t, "carrier")
		size := rapid.IntRange(8, 26).Draw(t, "size")
		outcomes := map[string]string{}
		for _, name := range []string{"one", "other"} {
			secret := rapid.StringMatching(fmt.Sprintf(`[A-HJ-NP-RT-Z][0-9][!@^=+:/?][a-df-hj-np-rt-z0-9!@$%%^\-_=+\[{}\]:,./?]{%d}`, size-3)).Draw(t, name)
			outcomes[name] = outcomeOf(func(w http.ResponseWriter) {
				w.WriteHeader(status)
				places[place](w, "x"+spell(secret)+"x")
			}, carriers[carry], secret)
		}
		if outcomes["one"] != outcomes["other"] {
			t.Fatalf("%s\nis not\n%s", outcomes["one"], outcomes["other"])
		}
	})
}

// TestHeadersTellNothingOfASecret is the same for the id of the request, and for what is no answer in HTTP at all.
func TestHeadersTellNothingOfASecret(t *testing.T) {
	for _, name := range []string{"plain", "hex", "utf16 hex", "javascript lower"} {
		for _, secret := range []string{"Passw0rd:/?[x]ab", "Summer.2026"} {
			spelt := spelling.Of(name)(secret)
			header := strings.NewReplacer("\r", "", "\n", "", "\x00", "").Replace(spelt)
			for carrier, carry := range carriers {
				for _, answer := range []func(http.ResponseWriter){
					func(w http.ResponseWriter) {
						w.Header().Set("X-Request-Id", header)
						w.WriteHeader(400)
						inJSON(`{"error":{"code":%s,"message":"m"}}`)(w, spelt)
					},
					func(w http.ResponseWriter) { hijacked(w, spelt+"\r\n\r\n") },
					func(w http.ResponseWriter) { hijacked(w, "HTTP/1.1 "+spelt+"\r\n\r\n") },
					func(w http.ResponseWriter) { hijacked(w, "HTTP/1.1 400 Bad\r\n"+spelt+"\r\n\r\n") },
					func(w http.ResponseWriter) {
						hijacked(w, "HTTP/1.1 400 Bad\r\nTransfer-Encoding: chunked\r\n\r\n"+spelt+"\r\n\r\n")
					},
				} {
					printed := outcomeOf(answer, carry, secret)
					form, found := spelling.In(printed, secret)
					assert.False(t, found, "%s, %s: %s in %s", carrier, name, form, printed)
				}
			}
		}
	}
}

func hijacked(w http.ResponseWriter, text string) {
	conn, _, err := http.NewResponseController(w).Hijack()
	if err != nil {
		return
	}
	_, _ = io.WriteString(conn, text)
	_ = conn.Close()
}

// carriers are the requests that carry a secret.
var carriers = map[string]func(c ecs.Config, secret string) (printed string){
	"password": func(c ecs.Config, secret string) string {
		return changed(c, ecs.ChangeOSRequest{ImageID: imageID, AdminPass: ecs.NewSecret(secret)})
	},
	"user data": func(c ecs.Config, secret string) string {
		return changed(c, ecs.ChangeOSRequest{ImageID: imageID, UserData: ecs.NewSecret("#cloud-config\nchpasswd:\n  list: root:" + secret + "\n")})
	},
	"token": func(c ecs.Config, secret string) string {
		c.Credentials = ecs.Token{Value: ecs.NewSecret(secret)}
		return looked(c)
	},
	"token of other credentials": func(c ecs.Config, secret string) string {
		c.Credentials = wrapped{ecs.Token{Value: ecs.NewSecret(secret)}}
		return looked(c)
	},
	"temporary key": func(c ecs.Config, secret string) string {
		c.Credentials = ecs.AccessKey{ID: "AK", Secret: ecs.NewSecret("SK"), SecurityToken: ecs.NewSecret(secret)}
		return looked(c)
	},
	"sign-in": func(c ecs.Config, secret string) string {
		identity, err := ecs.NewIdentity(ecs.IdentityConfig{URL: "http://iam.example", Dial: c.Dial})
		if err != nil {
			panic(err)
		}
		defer identity.Close()
		user, err := ecs.NewUserToken(identity, ecs.Login{User: "u", Domain: "d", Password: ecs.NewSecret(secret), ProjectID: projectID})
		if err != nil {
			panic(err)
		}
		c.Credentials = user
		return looked(c)
	},
	"a server that was sent one": func(c ecs.Config, _ string) string {
		client := must(ecs.New(c)).WithoutText()
		defer client.Close()
		_, err := client.Server(context.Background(), serverID)
		_, ofJob := client.Job(context.Background(), jobID)
		return printed(err) + printed(ofJob)
	},
}

// wrapped hides everything but Authorize, as credentials of another package do.
type wrapped struct{ ecs.Credentials }

func changed(c ecs.Config, request ecs.ChangeOSRequest) string {
	client := must(ecs.New(c))
	defer client.Close()
	out := client.ChangeOS(context.Background(), serverID, request)
	if out.Err == nil {
		return string(out.Kind)
	}
	return string(out.Kind) + printed(out.Err)
}

func looked(c ecs.Config) string {
	client := must(ecs.New(c))
	defer client.Close()
	_, err := client.Server(context.Background(), serverID)
	return printed(err)
}

func must(client *ecs.Client, err error) *ecs.Client {
	if err != nil {
		panic(err)
	}
	return client
}

// printed is all that anybody gets to see of an error.
func printed(err error) string {
	text := fmt.Sprintf("%v %+v", err, err)
	if e, ok := errors.AsType[*ecs.Error](err); ok {
		text += fmt.Sprintf(" %q %q %q %v %v %v", e.Code, e.Message, e.RequestID, e.Class(), e.Cause(), e.Busy())
	}
	return text
}

// outcomeOf makes a call whose every request gets the same answer.
func outcomeOf(answer func(http.ResponseWriter), call func(ecs.Config, string) string, secret string) string {
	network := newPipeNet()
	server := &http.Server{Handler: http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		_, _ = io.Copy(io.Discard, r.Body)
		answer(w)
	})}
	go func() { _ = server.Serve(network) }()
	defer server.Close()
	c := config("http://ecs.example")
	c.Dial = network.Dial
	return call(c, secret)
}

// drawSpelling is one spelling, or one on top of another.
func drawSpelling(t *rapid.T) func(string) string {
	inner := spelling.Of(rapid.SampledFrom(spelling.Names()).Draw(t, "inner"))
	outer := spelling.Of(rapid.SampledFrom(spelling.Names()).Draw(t, "outer"))
	return func(text string) string { return outer(inner(text)) }
}

// TestWordsOfOurOwn: the text in the place of the cloud's.
func TestWordsOfOurOwn(t *testing.T) {
	const id = "8d2e4f6a800e5f8a4c3b2d4e6f9a1b7c"
	for _, test := range []struct {
		status     int
		body, says string
	}{
		{400, `{"error":{"code":"Ecs.0011","message":"Passw0rd is weak"}}`, "HTTP 400 Ecs.0011: the password is too weak; the cloud's text is not kept: it may repeat a secret; its support finds it by the request"},
		{400, `{"error":{"code":"Ecs.0011"}}`, "HTTP 400 Ecs.0011: the password is too weak"},
		{501, `{"error":{"code":"Ecs.0603","message":"busy"}}`, "HTTP 501 Ecs.0603: another operation runs on the server; the cloud's"},
		{429, `{"error_code":"APIGW.0308","error_msg":"limit:200,time:1 minute"}`, "HTTP 429 APIGW.0308: too many calls; the cloud's"},
		{409, `{"conflictingRequest":{"message":"no","code":409}}`, "HTTP 409 conflictingRequest: the cloud's text is not kept"},
		{400, `{"error":{"code":"Ecs.1000","message":"{\"badRequest\":{\"message\":\"no\",\"code\":400}}"}}`, "HTTP 400 Ecs.1000: OpenStack failed or refused: HTTP 400 badRequest; the cloud's"},
		{400, `{"error":{"code":"CBC.99003162","message":"no"}}`, "HTTP 400 CBC.99003162: the cloud's text is not kept"},
		{400, `{"error":{"code":"wrong","message":"no"}}`, "HTTP 400 (a code that is not kept): the cloud's text is not kept"},
		{502, `<html><title>Bad Gateway</title></html>`, "HTTP 502: the answer is a web page, not the service's; the cloud's text is not kept"},
		{500, ``, "HTTP 500: the answer is empty"},
		{500, `Passw0rd`, "HTTP 500: the answer is not the service's; the cloud's text is not kept"},
	} {
		cloud := newCloud(t, answering(test.status, test.body, "X-Request-Id", id))
		out := clientOf(t, cloud).ChangeOS(context.Background(), serverID, ecs.ChangeOSRequest{ImageID: imageID, AdminPass: ecs.NewSecret("Passw0rd")})
		require.NotNil(t, out.Err)
		assert.Contains(t, out.Err.Error(), "change the OS of server "+serverID+": "+test.says)
		assert.Contains(t, out.Err.Error(), "(request "+id+")")
		assert.NotContains(t, out.Err.Error(), "Passw0rd")

		kept := clientOf(t, cloud).ChangeOS(context.Background(), serverID, ecs.ChangeOSRequest{ImageID: imageID})
		assert.Equal(t, kept.Kind, out.Kind, "what is kept decides as before: %s", test.body)
		assert.NotContains(t, kept.Err.Error(), "the cloud's text is not kept")
	}
}

// TestJobsTellNothingOfASecret: the cloud says of a job why it failed, and may repeat what that was sent.
func TestJobsTellNothingOfASecret(t *testing.T) {
	const body = `{"job_id":"` + jobID + `","status":"FAIL","error_code":"Ecs.0202","fail_reason":"adminpass Passw0rd is bad","entities":{"sub_jobs":[
		{"job_id":"x","status":"FAIL","error_code":"Passw0rd","entities":{"server_id":"` + serverID + `","errorcode_message":"Passw0rd"}}]}}`
	client := clientOf(t, newCloud(t, answering(200, body)))
	job, err := client.WithoutText().Job(context.Background(), jobID)
	require.NoError(t, err)
	assert.Equal(t, "Ecs.0202: the system disk could not be created; the cloud's text is not kept: it may repeat a secret; its support finds it by the job; "+
		"(a code that is not kept): the cloud's text is not kept: it may repeat a secret; its support finds it by the job", job.Failure())
	assert.NotContains(t, fmt.Sprintf("%+v", job), "Passw0rd")
	job, err = client.Job(context.Background(), jobID)
	require.NoError(t, err)
	assert.Contains(t, job.Failure(), "adminpass Passw0rd is bad")

	job, err = clientOf(t, newCloud(t, answering(200, `{"job_id":"`+jobID+`","status":"Passw0rd!"}`))).WithoutText().Job(context.Background(), jobID)
	require.NoError(t, err)
	assert.NotContains(t, fmt.Sprintf("%+v", job), "Passw0rd")
	assert.False(t, job.Final())
}

func TestTransportErrorsHoldNoPassword(t *testing.T) {
	c := config("http://ecs.example")
	cause := &net.AddrError{Err: "proxyconnect tcp: http://user:" + hidden + "@proxy.example: refused", Addr: "x"}
	c.Dial = func(context.Context, string, string) (net.Conn, error) { return nil, cause }
	out := newClient(t, c).ChangeOS(context.Background(), serverID, rootRequest())
	assert.Equal(t, ecs.NotSent, out.Kind)
	assert.ErrorIs(t, out.Err, cause, "its identity stays")
	for _, printed := range []string{out.Err.Error(), fmt.Sprintf("%+v %#v", out.Err, out.Err), fmt.Sprintf("%+v %#v", out, out)} {
		assert.NotContains(t, printed, hidden)
	}
}

// TestSignaturesAreRemoved: a gateway repeats the one that it does not accept.
func TestSignaturesAreRemoved(t *testing.T) {
	cloud := newCloud(t, func(w http.ResponseWriter, r *http.Request) {
		w.WriteHeader(401)
		fmt.Fprintf(w, `{"error_code":"APIGW.0301","error_msg":"signature fail: %s"}`, r.Header.Get("Authorization"))
	})
	c := config(cloud.URL)
	c.Credentials = ecs.AccessKey{ID: "AK", Secret: ecs.NewSecret("SK")}
	_, err := newClient(t, c).Server(context.Background(), serverID)
	require.ErrorContains(t, err, "Signature=[redacted]")
}

func TestMessagesAreShortAndOnOneLine(t *testing.T) {
	body, err := json.Marshal(map[string]any{"error": map[string]string{"code": "Ecs.0005", "message": "a\x1b[31m\r\nb\u202e\t" + strings.Repeat("ü", 1000)}})
	require.NoError(t, err)
	refusedBy := func(body string) *ecs.Error {
		return clientOf(t, newCloud(t, answering(400, body))).ChangeOS(context.Background(), serverID, rootRequest()).Err
	}
	assert.Equal(t, "a [31m b "+strings.Repeat("ü", 291)+"...", refusedBy(string(body)).Message)
	page := refusedBy("<html>\n<head><title>\n502 Bad Gateway </title></head>" + strings.Repeat("<p>x", 1000))
	assert.Equal(t, `the answer is a web page titled "502 Bad Gateway", not the service's`, page.Message)
}
