package activities_test

import (
	"encoding/json"
	"fmt"
	"net/http"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/reimage/reimage/activities/contract"
	"github.com/reimage/reimage/internal/emulator"
	"github.com/reimage/reimage/internal/spelling"
	"github.com/reimage/reimage/rollout"
)

// TestErrorsRepeatNoSecret: the cloud was sent the secrets of a change, and may repeat them in whatever it refuses
// afterwards. An error gets into the history and the log (showsNoSecret).
func TestErrorsRepeatNoSecret(t *testing.T) {
	change := rollout.Change{Login: rollout.Login{PasswordFrom: "env:REIMAGE_SECRET_ROOT_PASSWORD"}}
	for name, ask := range map[string]func(l *lab) error{
		contract.PollJob: func(l *lab) error {
			return run(l, l.acts.PollJob, contract.PollJobInput{JobID: l.server.ID, Change: change, Deadline: time.Now().Add(time.Hour)}, attempt{}).err
		},
		contract.VerifyServer: func(l *lab) error {
			in := l.verification(time.Hour)
			in.Change.Login = change.Login
			return run(l, l.acts.VerifyServer, in, attempt{}).err
		},
		contract.SubmitChangeOS: func(l *lab) error {
			in := l.submission()
			in.Change.Login, in.Change.UserDataFrom = change.Login, ""
			return run(l, l.acts.SubmitChangeOS, in, attempt{}).err
		},
		// Of an attempt after the first, the cloud has been sent the secrets before it is looked at.
		contract.Preflight: func(l *lab) error {
			in := contract.PreflightInput{ServerID: l.server.ID, Change: l.submission().Change}
			in.Change.Login, in.Change.UserDataFrom = change.Login, ""
			return run(l, l.acts.Preflight, in, attempt{}).err
		},
		contract.StopIfNeeded: func(l *lab) error {
			return run(l, l.acts.StopIfNeeded, contract.StopIfNeededInput{ServerID: l.server.ID, Change: change}, attempt{}).err
		},
		contract.RestorePower: func(l *lab) error {
			return run(l, l.acts.RestorePower, contract.RestorePowerInput{ServerID: l.server.ID, Change: change, On: true}, attempt{}).err
		},
	} {
		for _, status := range []int{http.StatusBadRequest, http.StatusInternalServerError} {
			t.Run(fmt.Sprint(name, status), func(t *testing.T) {
				inLab(t, stopped(), func(l *lab) {
					l.answer = func(w http.ResponseWriter, _ *http.Request) bool {
						w.Header().Set("X-Request-Id", "8d2e4f6a800e5f8a4c3b2d4e6f9a1b7c")
						w.WriteHeader(status)
						text, _ := json.Marshal("adminPass rejected: " + spelt(plantedPassword))
						_, _ = fmt.Fprintf(w, `{"error":{"code":"Common.0021","message":%s}}`, text)
						return true
					}
					err := ask(l)
					require.Error(l, err)
					assert.ErrorContains(l, err, "Common.0021: a sub-job failed; the cloud's text is not kept")
					assert.ErrorContains(l, err, "(request 8d2e4f6a800e5f8a4c3b2d4e6f9a1b7c)")
					assert.NotContains(l, err.Error(), "rejected")
				})
			})
		}
	}
}

// spelt is a text in every spelling.
func spelt(text string) string {
	var all []string
	for _, name := range spelling.Names() {
		all = append(all, spelling.Of(name)(text))
	}
	return strings.Join(all, " ")
}

// TestPlansRepeatNoSecret: an earlier change of a server may have sent secrets that this plan knows nothing of, and the cloud
// says of the server why it is in ERROR since.
func TestPlansRepeatNoSecret(t *testing.T) {
	inLab(t, fleetSized(3), func(l *lab) {
		in := l.planOf(selectsEvery)
		sound := l.plan(in)
		l.update(func(s *emulator.Server) {
			s.Status, s.Fault = rollout.StatusError, "adminPass "+spelt(plantedPassword)+" rejected"
		})
		assert.Contains(l, strings.Join(l.makePlan(in).result.Problems, "\n"), "in ERROR")
		assert.Contains(l, l.drift(sound)[l.server.ID], "is in ERROR now")
	})
}
