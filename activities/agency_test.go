package activities_test

import (
	"context"
	"net"
	"net/http"
	"strings"
	"sync"
	"syscall"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/reimage/reimage/activities/contract"
	"github.com/reimage/reimage/api"
	"github.com/reimage/reimage/ecs"
)

const (
	sessions = "PUT /meta-data/latest/api/token"
	keys     = "GET /openstack/latest/securitykey"
)

// workOnAServer has the worker work with the keys of the agency of the server it runs on.
func (l *lab) workOnAServer() *ecs.Agency {
	l.Helper()
	return l.workWithKeysFrom(ecs.MetadataConfig{Dial: l.config.Dial})
}

func (l *lab) workWithKeysFrom(metadata ecs.MetadataConfig) *ecs.Agency {
	l.Helper()
	agency, err := ecs.NewAgency(metadata)
	require.NoError(l, err)
	l.Cleanup(agency.Close)
	config := l.config
	config.Credentials = agency
	l.acts.Profiles[0].Cloud = l.client(config)
	return agency
}

func (l *lab) look() error {
	_, err := l.acts.Profiles[0].Cloud.Server(l.Context(), l.server.ID)
	return err
}

// TestAgencyKeysAreRenewedInTime: in six hours of work with keys of one hour no request is refused.
func TestAgencyKeysAreRenewedInTime(t *testing.T) {
	options := stopped()
	options.TokenLifetime = time.Hour
	inLab(t, options, func(l *lab) {
		l.workOnAServer()
		l.answer = l.refusalsAreErrors()
		for range 6 * 60 {
			require.NoError(l, l.look())
			time.Sleep(time.Minute)
		}
		// New ones come when a quarter is left. At half of their life the old ones are shown again.
		assert.Equal(l, 16, l.asked(keys))
	})
}

// TestAgencyChangesAServer: the whole way through the signature check, with the security token.
func TestAgencyChangesAServer(t *testing.T) {
	for name, noSession := range map[string]bool{"with a session": false, "without": true} {
		t.Run(name, func(t *testing.T) {
			options := stopped()
			options.Edition.NoMetadataSession = noSession
			inLab(t, options, func(l *lab) {
				l.workOnAServer()
				out := l.acts.Profiles[0].Cloud.ChangeOS(l.Context(), l.server.ID, ecs.ChangeOSRequest{ImageID: l.target.ID})
				require.Equal(l, ecs.Accepted, out.Kind, out.Err)
				assert.Equal(l, [2]int{1, 1}, [2]int{l.asked(sessions), l.asked(keys)})
			})
		})
	}
}

// TestAskingForKeysIsNoChange: with nobody at the address of the server service nothing of a change was sent, whatever was
// sent to the metadata service for it.
func TestAskingForKeysIsNoChange(t *testing.T) {
	inLab(t, stopped(), func(l *lab) {
		agency := l.workOnAServer()
		config := l.config
		config.Credentials = agency
		config.Dial = func(context.Context, string, string) (net.Conn, error) { return nil, syscall.EHOSTUNREACH }
		out := l.client(config).ChangeOS(l.Context(), l.server.ID, ecs.ChangeOSRequest{ImageID: l.target.ID})
		assert.Equal(l, ecs.NotSent, out.Kind, out.Err)
		assert.Equal(l, 1, l.asked(keys))
	})
}

// TestRevokedAgencyKeysAreRenewedOnce: many callers share the first keys and the next ones.
func TestRevokedAgencyKeysAreRenewedOnce(t *testing.T) {
	inLab(t, stopped(), func(l *lab) {
		l.workOnAServer()
		var callers sync.WaitGroup
		together := func() {
			for range 20 {
				callers.Go(func() { assert.NoError(l, l.look()) })
			}
			callers.Wait()
		}
		together()
		assert.Equal(l, 1, l.asked(keys))
		time.Sleep(time.Minute)
		l.cloud.RevokeTokens()
		together()
		assert.Equal(l, 2, l.asked(keys))
	})
}

// TestOldAgencyKeysServeWhileMetadataIsDown until their end.
func TestOldAgencyKeysServeWhileMetadataIsDown(t *testing.T) {
	options := stopped()
	options.TokenLifetime = time.Hour
	inLab(t, options, func(l *lab) {
		l.workOnAServer()
		require.NoError(l, l.look())
		l.answer = func(w http.ResponseWriter, r *http.Request) bool {
			down := strings.HasPrefix(r.URL.Path, "/openstack/")
			if down {
				w.WriteHeader(http.StatusServiceUnavailable)
			}
			return down
		}
		time.Sleep(50 * time.Minute)
		require.NoError(l, l.look(), "half of the life is left for trouble")
		time.Sleep(10 * time.Minute)
		require.ErrorContains(l, l.look(), "get the keys of this server's agency: HTTP 503")
		end := run(l, l.acts.Preflight, l.question(), attempt{})
		failsWith(l, end.err, api.ErrCloud, false)
	})
}

// TestOldAgencyKeysServeWhileMetadataHangs, at either of its two questions.
func TestOldAgencyKeysServeWhileMetadataHangs(t *testing.T) {
	for name, prefix := range map[string]string{"no session": "/meta-data/", "no keys": "/openstack/"} {
		t.Run(name, func(t *testing.T) {
			inLab(t, stopped(), func(l *lab) {
				l.workOnAServer()
				l.servesWhileHanging(prefix, keys)
			})
		})
	}
}

// TestServerWithoutAnAgency says so, as credentials that are refused.
func TestServerWithoutAnAgency(t *testing.T) {
	options := stopped()
	options.NoAgency = true
	inLab(t, options, func(l *lab) {
		agency := l.workOnAServer()
		require.ErrorContains(l, agency.Check(l.Context()), "HTTP 401: the answer is not the service's; the cloud's text is not kept: it may repeat a secret")
		end := run(l, l.acts.Preflight, l.question(), attempt{})
		failsWith(l, end.err, api.ErrCredentials, true)
		d := l.diagnose(contract.DiagnoseInput{})
		assert.Contains(l, d.failed(api.CheckCredentials).Fix, "give it an agency")
		d.says(api.CheckCloud, api.CheckOK, "whoever grants the credentials answers; http://ecs.emulated was not asked")
	})
}

// TestKeysThatCannotBeUsed are named, and never shown.
func TestKeysThatCannotBeUsed(t *testing.T) {
	for says, body := range map[string]string{
		"cannot be read":                    `{"credential":`,
		"access key id is empty":            `{}`,
		"security token is empty":           `{"credential":{"access":"a","secret":"planted-secret","expires_at":"2100-01-01T00:00:00.000000Z"}}`,
		"does not say until when":           `{"credential":{"access":"a","secret":"planted-secret","securitytoken":"planted-token","expires_at":"soon"}}`,
		"are valid no more":                 `{"credential":{"access":"a","secret":"planted-secret","securitytoken":"planted-token","expires_at":"1999-12-31T23:59:59.000000Z"}}`,
		"secret access key contains a spac": `{"credential":{"access":"a","secret":"planted secret","securitytoken":"planted-token","expires_at":"2100-01-01T00:00:00.000000Z"}}`,
	} {
		t.Run(says, func(t *testing.T) {
			inLab(t, stopped(), func(l *lab) {
				l.answer = func(w http.ResponseWriter, r *http.Request) bool {
					mine := strings.HasPrefix(r.URL.Path, "/openstack/")
					if mine {
						_, _ = w.Write([]byte(body))
					}
					return mine
				}
				err := l.workOnAServer().Check(l.Context())
				require.ErrorContains(l, err, says)
				assert.NotContains(l, err.Error(), "planted")
			})
		})
	}
}

// TestNoMetadataService: a machine outside of the cloud knows after seconds, whether somebody refuses or nobody answers.
func TestNoMetadataService(t *testing.T) {
	for name, silent := range map[string]bool{"refused": false, "silent": true} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				agency, err := ecs.NewAgency(ecs.MetadataConfig{Dial: func(_ context.Context, _, address string) (net.Conn, error) {
					assert.Equal(t, "169.254.169.254:80", address)
					if silent {
						time.Sleep(time.Minute) // net/http lets it, and waits no longer than the request may take
					}
					return nil, &net.OpError{Op: "dial", Net: "tcp", Err: net.UnknownNetworkError("refused")}
				}})
				require.NoError(t, err)
				began := time.Now()
				require.ErrorContains(t, agency.Check(t.Context()), "open a session of the metadata service")
				assert.LessOrEqual(t, time.Since(began), 3*time.Second)
				time.Sleep(time.Minute)
			})
		})
	}
}

// TestAgencyAddress is refused when it is none.
func TestAgencyAddress(t *testing.T) {
	_, err := ecs.NewAgency(ecs.MetadataConfig{URL: "169.254.169.254"})
	assert.ErrorContains(t, err, "base URL of the metadata service")
}
