package activities_test

import (
	"bytes"
	"encoding/base64"
	"io"
	"net/http"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/reimage/reimage/activities/contract"
	"github.com/reimage/reimage/api"
	"github.com/reimage/reimage/internal/emulator"
	"github.com/reimage/reimage/internal/spelling"
	"github.com/reimage/reimage/rollout"
)

// TestRequestOnTheWire: what the operator asked for, and what the cloud is sent.
func TestRequestOnTheWire(t *testing.T) {
	yes, no := true, false
	const key = "0a1b2c3d-4e5f-4a6b-8c7d-9e0f1a2b3c4d"
	tests := []struct {
		name   string
		change rollout.Change // without the image
		path   string         // of the version, v2 by default
		body   string         // without the image
	}{
		{"nothing but an image", rollout.Change{}, "/v2/", `{}`},
		{"v1", rollout.Change{API: rollout.APIv1}, "/v1/", `{}`},
		{"key pair", rollout.Change{Login: rollout.Login{KeyPair: "fleet-key-01", UserID: "9c0b6a54c1e34c0e8f0e1f27a0b5d3aa"}}, "/v2/", `{"keyname":"fleet-key-01","userid":"9c0b6a54c1e34c0e8f0e1f27a0b5d3aa"}`},
		{"password", rollout.Change{Login: rollout.Login{PasswordFrom: "env:REIMAGE_SECRET_ROOT_PASSWORD"}}, "/v2/", `{"adminpass":"` + plantedPassword + `"}`},
		{"password from a file that ends with a newline", rollout.Change{Login: rollout.Login{PasswordFrom: "env:REIMAGE_SECRET_ROOT_PASSWORD_LINE"}}, "/v2/", `{"adminpass":"` + plantedPassword + `"}`},
		{"user data, newline and all", rollout.Change{UserDataFrom: "env:REIMAGE_SECRET_CLOUD_CONFIG"}, "/v2/", `{"metadata":{"user_data":"` + base64.StdEncoding.EncodeToString([]byte(plantedUserData)) + `"}}`},
		{"licence", rollout.Change{BYOL: true}, "/v2/", `{"metadata":{"BYOL":"true"}}`},
		{"encrypted", rollout.Change{Encrypted: &yes, EncryptionKeyID: key}, "/v2/", `{"metadata":{"__system__encrypted":"1","__system__cmkid":"` + key + `"}}`},
		{"plain", rollout.Change{Encrypted: &no}, "/v2/", `{"metadata":{"__system__encrypted":"0"}}`},
		{"paid", rollout.Change{AutoPay: &yes}, "/v2/", `{"isAutoPay":"true"}`},
		{"not paid", rollout.Change{AutoPay: &no}, "/v2/", `{"isAutoPay":"false"}`},
		{"platform stop", rollout.Change{WithStopServer: true}, "/v2/", `{"mode":"withStopServer"}`},
		{"what is not for the cloud", rollout.Change{AllowHardStop: true, Power: rollout.PowerOff, EvenIfSameImage: true, Deadline: 1}, "/v2/", `{}`},
	}
	for _, test := range tests {
		t.Run(test.name, func(t *testing.T) {
			options := stopped()
			options.KeyPairs = []emulator.KeyPair{{Name: "fleet-key-01", UserID: "9c0b6a54c1e34c0e8f0e1f27a0b5d3aa"}}
			inLab(t, options, func(l *lab) {
				var path, body string
				l.answer = func(_ http.ResponseWriter, r *http.Request) bool {
					if r.Method == http.MethodPost {
						sent, err := io.ReadAll(r.Body)
						assert.NoError(l, err)
						path, body = r.URL.Path, string(sent)
						r.Body = io.NopCloser(bytes.NewReader(sent))
					}
					return false
				}
				in := l.submission()
				in.Change = test.change
				in.Change.ImageID = l.target.ID
				require.NoError(l, run(l, l.acts.SubmitChangeOS, in, attempt{}).err)
				assert.True(l, strings.HasPrefix(path, test.path), path)
				want := strings.Replace(`{"os-change":`+test.body+`}`, `:{`, `:{"imageid":"`+l.target.ID+`",`, 1)
				assert.JSONEq(l, strings.Replace(want, `,}`, `}`, 1), body)
			})
		})
	}
}

// TestRequestRefusedByOurOwnRules: what only the secrets can tell is wrong is found before anything is
// sent, and said without them.
func TestRequestRefusedByOurOwnRules(t *testing.T) {
	tests := []struct {
		name   string
		change func(*rollout.Change)
		says   string
	}{
		{"weak password", func(c *rollout.Change) { c.Login.PasswordFrom = "env:REIMAGE_SECRET_WEAK" }, "password from env:REIMAGE_SECRET_WEAK: it must have 8 to 26 characters"},
		{"user data too long", func(c *rollout.Change) { c.UserDataFrom = "env:REIMAGE_SECRET_LONG" }, "user data from env:REIMAGE_SECRET_LONG: it has 32769 bytes"},
		{"binary user data", func(c *rollout.Change) { c.UserDataFrom = "env:REIMAGE_SECRET_BINARY" }, "user data from env:REIMAGE_SECRET_BINARY: it must be text"},
		{"half a gzip", func(c *rollout.Change) { c.UserDataFrom = "env:REIMAGE_SECRET_HALF" }, "user data from env:REIMAGE_SECRET_HALF: it is gzip that does not unpack"},
	}
	secrets := map[string]string{
		"REIMAGE_SECRET_WEAK": "pass7", "REIMAGE_SECRET_LONG": strings.Repeat("x", 32<<10+1), "REIMAGE_SECRET_BINARY": "\x00pass7", "REIMAGE_SECRET_HALF": "\x1f\x8b\x00pass7",
	}
	for _, test := range tests {
		t.Run(test.name, func(t *testing.T) {
			inLab(t, stopped(), func(l *lab) {
				l.acts.Secrets.LookupEnv = func(name string) (string, bool) {
					value, ok := secrets[name]
					return value, ok
				}
				in := l.question()
				test.change(&in.Change)
				looked := l.preflight(in)
				require.NoError(l, looked.err)
				require.NotEmpty(l, looked.result.Refusals)
				assert.Contains(l, strings.Join(looked.result.Refusals, "\n"), test.says)
				assert.NotContains(l, strings.Join(looked.result.Refusals, "\n"), "pass7")

				submit := contract.SubmitChangeOSInput{ServerID: l.server.ID, Change: in.Change, Before: l.before()}
				failed := failsWith(l, run(l, l.acts.SubmitChangeOS, submit, attempt{}).err, api.ErrInvalid, true)
				assert.Contains(l, failed.Message(), test.says)
				assert.NotContains(l, failed.Message(), "pass7")
				assert.Zero(l, l.sent())
			})
		})
	}
}

// TestEmptySecretsAreHandedBack: a secret that is empty on this worker may be whole on another one. Nothing is sent.
func TestEmptySecretsAreHandedBack(t *testing.T) {
	for name, value := range map[string]string{"empty": "", "a line break": "\r\n"} {
		for reference, change := range map[string]func(*rollout.Change){
			"password":  func(c *rollout.Change) { c.Login.PasswordFrom = "env:REIMAGE_SECRET_VOID" },
			"user data": func(c *rollout.Change) { c.UserDataFrom = "env:REIMAGE_SECRET_VOID" },
		} {
			t.Run(reference+" of "+name, func(t *testing.T) {
				inLab(t, stopped(), func(l *lab) {
					l.acts.Secrets.LookupEnv = func(string) (string, bool) { return value, true }
					in := l.question()
					change(&in.Change)
					submit := contract.SubmitChangeOSInput{ServerID: l.server.ID, Change: in.Change, Before: l.before()}
					for _, err := range []error{l.preflight(in).err, run(l, l.acts.SubmitChangeOS, submit, attempt{}).err} {
						failed := failsWith(l, err, api.ErrSecret, false)
						assert.Contains(l, failed.Message(), reference+" from env:REIMAGE_SECRET_VOID: it is empty on the worker")
					}
					assert.Zero(l, l.sent())
				})
			})
		}
	}
}

// TestSecretsOnTheWayBack: a cloud that repeats the request, in any spelling, in its answers and its jobs. Whatever is run here looks
// for the secrets in its result, error, heartbeats and log.
func TestSecretsOnTheWayBack(t *testing.T) {
	for _, name := range spelling.Names() {
		for reference, change := range map[string]rollout.Change{
			"password":  {Login: rollout.Login{PasswordFrom: "env:REIMAGE_SECRET_ROOT_PASSWORD"}},
			"user data": {UserDataFrom: "env:REIMAGE_SECRET_CLOUD_CONFIG"},
		} {
			t.Run(name+"/"+reference, func(t *testing.T) {
				refuse := emulator.Fault{Op: emulator.OpChangeOS, Kind: emulator.Refuse, Code: "Ecs.0005", Status: 400, Echo: name}
				page := emulator.Fault{Op: emulator.OpChangeOS, Kind: emulator.BadGatewayHTML, Echo: name}
				job := emulator.Fault{Op: emulator.OpChangeOS, Kind: emulator.JobFail, Echo: name}
				inLab(t, withFaults(stopped(), refuse, page, job), func(l *lab) {
					in := l.submission()
					in.Change.Login, in.Change.UserDataFrom = change.Login, change.UserDataFrom
					refused := failsWith(l, run(l, l.acts.SubmitChangeOS, in, attempt{}).err, api.ErrRefused, true)
					assert.Contains(l, refused.Message(), "Ecs.0005: a parameter of the request is invalid; the cloud's text is not kept")
					doubt := failsWith(l, run(l, l.acts.SubmitChangeOS, in, attempt{}).err, api.ErrInDoubt, false)
					assert.Contains(l, doubt.Message(), "HTTP 502: the answer is a web page, not the service's")

					sent := run(l, l.acts.SubmitChangeOS, in, attempt{})
					require.NoError(l, sent.err)
					end := run(l, l.acts.PollJob, contract.PollJobInput{JobID: sent.result.JobID, ServerID: l.server.ID, Change: in.Change, Deadline: time.Now().Add(time.Hour)}, attempt{})
					require.NoError(l, end.err)
					assert.Equal(l, "failed", string(end.result.End))
					assert.Contains(l, end.result.Reason, "Ecs.0202: the system disk could not be created; the cloud's text is not kept")
				})
			})
		}
	}
}

// TestTextOfChangesWithoutSecrets: where there is nothing to repeat, the cloud says itself what is wrong.
func TestTextOfChangesWithoutSecrets(t *testing.T) {
	refuse := emulator.Fault{Op: emulator.OpChangeOS, Kind: emulator.Refuse, Code: "Ecs.0005", Status: 400, Message: "flavor s6 is sold out"}
	job := emulator.Fault{Op: emulator.OpChangeOS, Kind: emulator.JobFail, Message: "no capacity in this zone"}
	inLab(t, withFaults(stopped(), refuse, job), func(l *lab) {
		in := l.submission()
		in.Change.Login, in.Change.UserDataFrom = rollout.Login{}, ""
		refused := failsWith(l, run(l, l.acts.SubmitChangeOS, in, attempt{}).err, api.ErrRefused, true)
		assert.Contains(l, refused.Message(), "Ecs.0005: flavor s6 is sold out")
		sent := run(l, l.acts.SubmitChangeOS, in, attempt{})
		require.NoError(l, sent.err)
		end := run(l, l.acts.PollJob, contract.PollJobInput{JobID: sent.result.JobID, ServerID: l.server.ID, Change: in.Change, Deadline: time.Now().Add(time.Hour)}, attempt{})
		assert.Equal(l, "Ecs.0202: no capacity in this zone", end.result.Reason)
	})
}
