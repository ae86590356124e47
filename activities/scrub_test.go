package activities_test

import (
	"fmt"
	"net/http"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/reimage/reimage/activities"
	"github.com/reimage/reimage/internal/emulator"
	"github.com/reimage/reimage/rollout"
	"github.com/reimage/reimage/rollout/spec"
)

// TestErrorsRepeatNoSecret: the cloud was sent the secrets of a change, and may repeat them in whatever it refuses
// afterwards. An error gets into the history and the log (showsNoSecret).
func TestErrorsRepeatNoSecret(t *testing.T) {
	change := rollout.Change{Login: rollout.Login{PasswordFrom: "env:REIMAGE_SECRET_ROOT_PASSWORD"}}
	for name, ask := range map[string]func(l *lab) error{
		activities.PollJobName: func(l *lab) error {
			return run(l, l.acts.PollJob, activities.PollJobInput{JobID: l.server.ID, Change: change, Deadline: time.Now().Add(time.Hour)}, attempt{}).err
		},
		activities.VerifyServerName: func(l *lab) error {
			in := l.verification(time.Hour)
			in.Change.Login = change.Login
			return run(l, l.acts.VerifyServer, in, attempt{}).err
		},
		activities.SubmitChangeOSName: func(l *lab) error {
			in := l.submission()
			in.Change.Login, in.Change.UserDataFrom = change.Login, ""
			return run(l, l.acts.SubmitChangeOS, in, attempt{}).err
		},
		// Of an attempt after the first, the cloud has been sent the secrets before it is looked at.
		activities.PreflightName: func(l *lab) error {
			in := activities.PreflightInput{ServerID: l.server.ID, Change: l.submission().Change}
			in.Change.Login, in.Change.UserDataFrom = change.Login, ""
			return run(l, l.acts.Preflight, in, attempt{}).err
		},
		activities.StopIfNeededName: func(l *lab) error {
			return run(l, l.acts.StopIfNeeded, activities.StopIfNeededInput{ServerID: l.server.ID, Change: change}, attempt{}).err
		},
		activities.RestorePowerName: func(l *lab) error {
			return run(l, l.acts.RestorePower, activities.RestorePowerInput{ServerID: l.server.ID, Change: change, On: true}, attempt{}).err
		},
	} {
		for _, status := range []int{http.StatusBadRequest, http.StatusInternalServerError} {
			t.Run(fmt.Sprint(name, status), func(t *testing.T) {
				inLab(t, stopped(), func(l *lab) {
					l.answer = func(w http.ResponseWriter, _ *http.Request) bool {
						w.Header().Set("X-Request-Id", "what-the-support-asks-for")
						w.WriteHeader(status)
						_, _ = fmt.Fprintf(w, `{"error":{"code":"Common.0021","message":"sub-job failed: adminPass %s rejected%s%[1]s"}}`, plantedPassword, strings.Repeat(" and more", 28))
						return true
					}
					err := ask(l)
					require.Error(l, err)
					assert.ErrorContains(l, err, "sub-job failed: adminPass [redacted] rejected")
					assert.ErrorContains(l, err, "(request what-the-support-asks-for)", "at the end, however long it is")
				})
			})
		}
	}
}

// TestPlansRepeatNoSecret: an earlier rollout of the same document may have sent its secrets to a server that is in ERROR
// since, and of which the cloud says why.
func TestPlansRepeatNoSecret(t *testing.T) {
	inLab(t, fleetSized(3), func(l *lab) {
		spoil := func() {
			l.update(func(s *emulator.Server) {
				s.Status, s.Fault = rollout.StatusError, "adminPass "+plantedPassword+" rejected"
			})
		}
		in := l.planOf(selectsEvery, func(s *spec.Spec) { s.Login.PasswordFrom = "env:REIMAGE_SECRET_ROOT_PASSWORD" })
		sound := l.plan(in)
		spoil()
		assert.Contains(l, strings.Join(l.makePlan(in).result.Problems, "\n"), "adminPass [redacted] rejected")
		assert.Contains(l, l.drift(sound)[l.server.ID], "adminPass [redacted] rejected")
	})
}
