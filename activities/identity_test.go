package activities_test

import (
	"context"
	"io"
	"net/http"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/reimage/reimage/activities/contract"
	"github.com/reimage/reimage/api"
	"github.com/reimage/reimage/ecs"
	"github.com/reimage/reimage/internal/emulator"
)

const tokens = "POST /v3/auth/tokens"

func goodLogin() ecs.Login {
	return ecs.Login{
		User: emulator.DefaultUserName, Domain: emulator.DefaultDomainName,
		Password: ecs.NewSecret(emulator.DefaultPassword), ProjectName: emulator.DefaultProjectName,
	}
}

func (l *lab) identity() *ecs.Identity {
	l.Helper()
	identity, err := ecs.NewIdentity(ecs.IdentityConfig{URL: "http://iam.emulated/v3", Dial: l.config.Dial})
	require.NoError(l, err)
	l.Cleanup(identity.Close)
	return identity
}

// signIn has the worker work as a user with a password.
func (l *lab) signIn(login ecs.Login) *ecs.UserToken {
	l.Helper()
	token, err := ecs.NewUserToken(l.identity(), login)
	require.NoError(l, err)
	config := l.config
	config.Credentials = token
	l.acts.Profiles[0].Cloud = l.client(config)
	return token
}

func (l *lab) asked(request string) int { return l.cloud.Ledger().Requests[request] }

// TestTokensAreRenewedInTime: in six hours of work with tokens of one hour no request is refused.
func TestTokensAreRenewedInTime(t *testing.T) {
	options := stopped()
	options.TokenLifetime = time.Hour
	inLab(t, options, func(l *lab) {
		l.signIn(goodLogin())
		l.answer = l.refusalsAreErrors()
		for range 6 * 60 {
			_, err := l.acts.Profiles[0].Cloud.Server(l.Context(), l.server.ID)
			require.NoError(l, err)
			time.Sleep(time.Minute)
		}
		assert.Equal(l, 12, l.asked(tokens), "one for every half hour")
	})
}

// refusalsAreErrors lets everything pass, and fails the test when a token was not accepted.
func (l *lab) refusalsAreErrors() func(http.ResponseWriter, *http.Request) bool {
	return func(w http.ResponseWriter, r *http.Request) bool {
		l.cloud.ServeHTTP(&statusWatch{ResponseWriter: w, test: l.T}, r)
		return true
	}
}

type statusWatch struct {
	http.ResponseWriter
	test *testing.T
}

func (s *statusWatch) WriteHeader(status int) {
	assert.NotEqual(s.test, http.StatusUnauthorized, status)
	s.ResponseWriter.WriteHeader(status)
}

// TestRevokedTokenIsRenewedOnce: many callers whose token is refused at once share one new token, and none of
// them notices.
func TestRevokedTokenIsRenewedOnce(t *testing.T) {
	inLab(t, stopped(), func(l *lab) {
		l.signIn(goodLogin())
		look := func() {
			_, err := l.acts.Profiles[0].Cloud.Server(l.Context(), l.server.ID)
			assert.NoError(l, err)
		}
		var callers sync.WaitGroup
		for range 20 {
			callers.Go(look)
		}
		callers.Wait()
		assert.Equal(l, 1, l.asked(tokens))

		time.Sleep(time.Minute)
		l.cloud.RevokeTokens()
		for range 20 {
			callers.Go(look)
		}
		callers.Wait()
		assert.Equal(l, 2, l.asked(tokens))
	})
}

// TestRefusedWriteIsNotRepeated: whoever sends a change looks before it is sent again, also after a refusal that
// has to do with credentials only.
func TestRefusedWriteIsNotRepeated(t *testing.T) {
	inLab(t, stopped(), func(l *lab) {
		l.signIn(goodLogin())
		cloud := l.acts.Profiles[0].Cloud
		_, err := cloud.Server(l.Context(), l.server.ID)
		require.NoError(l, err)
		time.Sleep(time.Minute)
		l.cloud.RevokeTokens()

		out := cloud.ChangeOS(l.Context(), l.server.ID, ecs.ChangeOSRequest{ImageID: l.target.ID})
		assert.Equal(l, ecs.Refused, out.Kind)
		assert.Equal(l, ecs.ClassAuth, out.Err.Class())
		assert.True(l, out.Renewed)
		assert.Equal(l, [2]int{1, 0}, [2]int{l.sent(), l.changes()})

		out = cloud.ChangeOS(l.Context(), l.server.ID, ecs.ChangeOSRequest{ImageID: l.target.ID})
		assert.Equal(l, ecs.Accepted, out.Kind, "the refused token was given up")
		assert.Equal(l, 2, l.asked(tokens))
	})
}

// TestTokenRevokedAfterTheLook: whoever looked with a token that was refused for the write looks again, with another
// one. Keys that are refused stay so.
func TestTokenRevokedAfterTheLook(t *testing.T) {
	refuse := func(op string) emulator.Fault {
		return emulator.Fault{Op: op, Kind: emulator.Refuse, Status: 401, Code: "APIGW.0307"}
	}
	for name, token := range map[string]bool{"token": true, "key": false} {
		t.Run("change "+name, func(t *testing.T) {
			inLab(t, withFaults(stopped(), refuse(emulator.OpChangeOS)), func(l *lab) {
				if !token {
					failsWith(l, l.submit(attempt{}).err, api.ErrCredentials, true)
					return
				}
				l.haveToken()
				c := l.persistSubmit(attempt{})
				require.NoError(l, c.err)
				assert.Equal(l, []string{api.ErrCredentials, ""}, c.kinds())
				assert.Less(l, c.took, testTiming().Settle, "a refusal leaves no doubt")
				assert.Equal(l, 1, l.changes())
			})
		})
		t.Run("stop "+name, func(t *testing.T) {
			inLab(t, withFaults(running(), refuse(emulator.OpStop)), func(l *lab) {
				if !token {
					failsWith(l, run(l, l.acts.StopIfNeeded, contract.StopIfNeededInput{ServerID: l.server.ID}, attempt{}).err, api.ErrCredentials, true)
					return
				}
				l.haveToken()
				c := persist(l, l.acts.StopIfNeeded, contract.StopIfNeededInput{ServerID: l.server.ID}, attempt{})
				require.NoError(l, c.err)
				assert.Equal(l, []string{api.ErrCredentials, ""}, c.kinds())
			})
		})
		t.Run("start "+name, func(t *testing.T) {
			inLab(t, withFaults(stopped(), refuse(emulator.OpStart)), func(l *lab) {
				if token {
					l.haveToken()
				}
				c := persist(l, l.acts.RestorePower, contract.RestorePowerInput{ServerID: l.server.ID, On: true}, attempt{})
				require.NoError(l, c.err, "nobody leaves it without its power for one refusal")
				assert.Equal(l, []string{api.ErrCredentials, ""}, c.kinds())
			})
		})
	}
}

// haveToken signs in, long enough ago for a refusal to mean that the token was revoked since.
func (l *lab) haveToken() {
	l.Helper()
	l.signIn(goodLogin())
	_, err := l.acts.Profiles[0].Cloud.Server(l.Context(), l.server.ID)
	require.NoError(l, err)
	time.Sleep(time.Minute)
}

// TestOldTokenServesWhileIdentityIsDown until its end.
func TestOldTokenServesWhileIdentityIsDown(t *testing.T) {
	options := stopped()
	options.TokenLifetime = time.Hour
	inLab(t, options, func(l *lab) {
		l.signIn(goodLogin())
		look := func() error {
			_, err := l.acts.Profiles[0].Cloud.Server(l.Context(), l.server.ID)
			return err
		}
		require.NoError(l, look())
		l.answer = func(w http.ResponseWriter, r *http.Request) bool {
			if strings.HasPrefix(r.URL.Path, "/v3/") {
				w.WriteHeader(http.StatusServiceUnavailable)
				return true
			}
			return false
		}
		time.Sleep(50 * time.Minute)
		require.NoError(l, look(), "half of the life is left for trouble")
		time.Sleep(10 * time.Minute)
		err := look()
		require.Error(l, err)
		assert.ErrorContains(l, err, "get a token for user")
		end := run(l, l.acts.Preflight, l.question(), attempt{})
		failsWith(l, end.err, api.ErrCloud, false)
	})
}

// instead has requests to such paths answered in the service's place until it is over, and counts them.
func (l *lab) instead(prefix string, answer http.HandlerFunc) (asked *atomic.Int32, over func()) {
	asked = &atomic.Int32{}
	var ended atomic.Bool
	l.answer = func(w http.ResponseWriter, r *http.Request) bool {
		if ended.Load() || !strings.HasPrefix(r.URL.Path, prefix) {
			return false
		}
		asked.Add(1)
		answer(w, r)
		return true
	}
	return asked, func() { ended.Store(true) }
}

// hang takes a request, and never answers it.
func hang(_ http.ResponseWriter, r *http.Request) {
	_, _ = io.Copy(io.Discard, r.Body)
	<-r.Context().Done()
}

// down is a service that says that it is not there.
func down(w http.ResponseWriter, _ *http.Request) { w.WriteHeader(http.StatusServiceUnavailable) }

// together has 20 callers look at once. It gives how long the last of them took.
func (l *lab) together() time.Duration {
	began := time.Now()
	var callers sync.WaitGroup
	for range 20 {
		callers.Go(func() { assert.NoError(l, l.look()) })
	}
	callers.Wait()
	return time.Since(began)
}

// servesWhileHanging: at half of the life of a grant of 24 hours, whoever grants the next one begins to hang. One
// caller at a time asks, and waits for a short time only; afterwards nobody does for ten seconds.
func (l *lab) servesWhileHanging(prefix, granted string) {
	l.Helper()
	require.NoError(l, l.look())
	time.Sleep(13 * time.Hour)
	before := l.asked(granted)
	hanging, over := l.instead(prefix, hang)
	assert.LessOrEqual(l, l.together(), 5*time.Second)
	assert.EqualValues(l, 1, hanging.Load())

	time.Sleep(5 * time.Second)
	assert.Less(l, l.together(), 2*time.Second, "the wait for a turn only")
	assert.EqualValues(l, 1, hanging.Load())

	time.Sleep(time.Hour)
	l.together()
	assert.EqualValues(l, 2, hanging.Load())

	over()
	time.Sleep(10 * time.Second)
	l.together()
	assert.Equal(l, before+1, l.asked(granted))
}

// TestOldTokenServesWhileIdentityHangs, which takes longer to notice than a refusal.
func TestOldTokenServesWhileIdentityHangs(t *testing.T) {
	inLab(t, stopped(), func(l *lab) {
		l.signIn(goodLogin())
		l.servesWhileHanging("/v3/", tokens)
	})
}

// TestRenewalLeavesTimeForTheRequest, also where a request may take less than a renewal.
func TestRenewalLeavesTimeForTheRequest(t *testing.T) {
	inLab(t, stopped(), func(l *lab) {
		l.config.RequestTimeout = 2 * time.Second
		l.signIn(goodLogin())
		require.NoError(l, l.look())
		time.Sleep(13 * time.Hour)
		l.instead("/v3/", hang)
		assert.Equal(l, time.Second, l.together())
	})
}

// TestFailedRenewalIsShared by all who come within ten seconds, and says when it was.
func TestFailedRenewalIsShared(t *testing.T) {
	inLab(t, stopped(), func(l *lab) {
		l.signIn(goodLogin())
		failed, over := l.instead("/v3/", down)
		require.ErrorContains(l, l.look(), "HTTP 503")
		said := time.Now().UTC().Format(time.RFC3339)
		for range 9 {
			require.ErrorContains(l, l.look(), "HTTP 503: the answer is empty: tried at "+said+", and not again before ")
			time.Sleep(time.Second)
		}
		assert.EqualValues(l, 1, failed.Load())
		end := run(l, l.acts.Preflight, l.question(), attempt{})
		failsWith(l, end.err, api.ErrCloud, false)

		over()
		time.Sleep(time.Second)
		assert.NoError(l, l.look())
	})
}

// TestRefusedSignInIsNotRepeated by everybody who waits for other credentials: clouds lock users for that.
func TestRefusedSignInIsNotRepeated(t *testing.T) {
	inLab(t, stopped(), func(l *lab) {
		login := goodLogin()
		login.Password = ecs.NewSecret(plantedPassword)
		l.signIn(login)
		var waiting sync.WaitGroup
		for range 50 {
			waiting.Go(func() {
				for range 20 { // two reads a minute
					assert.ErrorContains(l, l.look(), "HTTP 401")
					time.Sleep(30 * time.Second)
				}
			})
		}
		waiting.Wait()
		assert.Equal(l, 2, l.asked(tokens), "one for every five minutes")
	})
}

// TestSignInsResumeAfterRefusals: what was refused works five minutes after it at the latest.
func TestSignInsResumeAfterRefusals(t *testing.T) {
	inLab(t, stopped(), func(l *lab) {
		l.signIn(goodLogin())
		_, over := l.instead("/v3/", func(w http.ResponseWriter, _ *http.Request) { w.WriteHeader(http.StatusForbidden) })
		require.Error(l, l.look())
		over()
		time.Sleep(5*time.Minute - time.Second)
		end := run(l, l.acts.Preflight, l.question(), attempt{})
		failsWith(l, end.err, api.ErrCredentials, true)
		assert.ErrorContains(l, end.err, "and not again before ")
		time.Sleep(time.Second)
		assert.NoError(l, l.look())
	})
}

// TestCallerWhoLeavesSpoilsNothing: that nobody waited for the answer says nothing about the service.
func TestCallerWhoLeavesSpoilsNothing(t *testing.T) {
	inLab(t, stopped(), func(l *lab) {
		l.signIn(goodLogin())
		_, over := l.instead("/v3/", hang)
		ctx, cancel := context.WithTimeout(l.Context(), time.Second)
		defer cancel()
		_, err := l.acts.Profiles[0].Cloud.Server(ctx, l.server.ID)
		require.Error(l, err)
		over()
		assert.NoError(l, l.look())
	})
}

// TestWrongLogin says who was refused, and shows no password.
func TestWrongLogin(t *testing.T) {
	inLab(t, stopped(), func(l *lab) {
		login := goodLogin()
		login.Password = ecs.NewSecret(plantedPassword)
		token := l.signIn(login)
		end := run(l, l.acts.Preflight, l.question(), attempt{})
		failsWith(l, end.err, api.ErrCredentials, true)
		assert.ErrorContains(l, end.err, "get a token for user \""+emulator.DefaultUserName+"\" in project \""+emulator.DefaultProjectName+"\": HTTP 401")
		assert.Equal(l, 1, l.asked(tokens), "what is refused once is not asked for again by itself")
		_, err := token.ProjectID(l.Context())
		require.Error(l, err)
		l.showsNoSecret("the error", err.Error()+end.err.Error())
	})
}

// TestProjectByName finds the id behind the name of a project, with either kind of credentials.
func TestProjectByName(t *testing.T) {
	inLab(t, stopped(), func(l *lab) {
		id, err := l.signIn(goodLogin()).ProjectID(l.Context())
		require.NoError(l, err)
		assert.Equal(l, emulator.DefaultProjectID, id)

		id, err = l.identity().FindProject(l.config.Credentials, emulator.DefaultProjectName)(l.Context())
		require.NoError(l, err)
		assert.Equal(l, emulator.DefaultProjectID, id)

		_, err = l.identity().FindProject(l.config.Credentials, "nowhere")(l.Context())
		assert.ErrorContains(l, err, `project "nowhere"`)
		assert.ErrorContains(l, err, "set the id of the project")
	})
}
