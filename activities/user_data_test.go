package activities_test

import (
	"bytes"
	"compress/gzip"
	"crypto/sha256"
	"encoding/base64"
	"encoding/hex"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/reimage/reimage/api"
	"github.com/reimage/reimage/ecs"
	"github.com/reimage/reimage/rollout/document"
)

const userDataRef = "env:REIMAGE_SECRET_CLOUD_CONFIG"

// secrets sets the worker's variables.
func (l *lab) secrets(values map[string]string) {
	l.acts.Secrets.LookupEnv = func(name string) (string, bool) {
		value, ok := values[name]
		return value, ok
	}
}

// TestUserDataIsPinnedByThePlan: the plan holds a digest of it, by which apply notices another content.
func TestUserDataIsPinnedByThePlan(t *testing.T) {
	inLab(t, fleetSized(12), func(l *lab) {
		in := l.planOf(selectsWeb, func(s *document.Spec) { s.UserDataFrom = userDataRef })
		plan := l.plan(in)
		assert.Regexp(l, "^[0-9a-f]{32}$", plan.Change.UserDataDigest)
		sum := sha256.Sum256([]byte(plantedUserData))
		assert.NotContains(l, hex.EncodeToString(sum[:]), plan.Change.UserDataDigest, "a plain hash is guessed fast")
		assert.Equal(l, plan.Change.UserDataDigest, l.plan(in).Change.UserDataDigest, "the same content has the same digest")
		assert.Empty(l, l.drift(plan))

		edited := plantedUserData + "# planted-user-data-7531, edited\n"
		l.secrets(map[string]string{"REIMAGE_SECRET_CLOUD_CONFIG": edited})
		drift := l.drift(plan)
		require.Contains(l, drift, "", "it is about no server")
		assert.Contains(l, drift[""], "user data from "+userDataRef+": its content is not what was planned (digest "+plan.Change.UserDataDigest[:8])
		assert.Contains(l, drift[""], "plan again")
		l.showsNoSecret("the drift", drift[""])
		assert.NotEqual(l, plan.Change.UserDataDigest, l.plan(in).Change.UserDataDigest)

		l.secrets(nil)
		assert.Contains(l, l.drift(plan)[""], "user data from "+userDataRef+": the worker's environment does not hold it")
	})
}

// TestPinWithTheWorkersKey: without the key the digest cannot be computed, and a worker with another key reports that.
func TestPinWithTheWorkersKey(t *testing.T) {
	inLab(t, fleetSized(12), func(l *lab) {
		in := l.planOf(selectsWeb, func(s *document.Spec) { s.UserDataFrom = userDataRef })
		without := l.plan(in).Change.UserDataDigest
		l.acts.Secrets.PinKey = ecs.NewSecret("0123456789abcdef0123456789abcdef")
		plan := l.plan(in)
		assert.NotEqual(l, without, plan.Change.UserDataDigest)
		assert.Empty(l, l.drift(plan))
		l.acts.Secrets.PinKey = ecs.Secret{}
		assert.Contains(l, l.drift(plan)[""], "or this worker has another REIMAGE_PIN_KEY")
	})
}

// TestPlanThatPinsNoUserData is one of a worker that knew no digests.
func TestPlanThatPinsNoUserData(t *testing.T) {
	inLab(t, fleetSized(12), func(l *lab) {
		plan := l.plan(l.planOf(selectsWeb, func(s *document.Spec) { s.UserDataFrom = userDataRef }))
		plan.Change.UserDataDigest = ""
		require.NoError(l, plan.Seal())
		assert.Contains(l, l.drift(plan)[""], "does not pin the user data from "+userDataRef)
	})
}

// TestPasswordIsNotPinned: a digest would let it be guessed.
func TestPasswordIsNotPinned(t *testing.T) {
	inLab(t, fleetSized(12), func(l *lab) {
		plan := l.plan(l.planOf(selectsWeb, func(s *document.Spec) { s.Login.PasswordFrom = "env:REIMAGE_SECRET_ROOT_PASSWORD" }))
		assert.Empty(l, plan.Change.UserDataDigest)
		l.secrets(map[string]string{"REIMAGE_SECRET_ROOT_PASSWORD": "another-Pw-9"})
		assert.Empty(l, l.drift(plan))
		l.secrets(map[string]string{"REIMAGE_SECRET_ROOT_PASSWORD": "weak"})
		assert.Contains(l, l.drift(plan)[""], "password from env:REIMAGE_SECRET_ROOT_PASSWORD: it ", "apply reads it all the same")
	})
}

// TestPinnedUserDataAtTheServer: another content is refused before the server is touched, and once more before the
// change is sent.
func TestPinnedUserDataAtTheServer(t *testing.T) {
	inLab(t, stopped(), func(l *lab) {
		in := l.question()
		in.Change.UserDataFrom = userDataRef
		looked := l.preflight(in)
		require.NoError(l, looked.err)
		require.Empty(l, looked.result.Refusals)
		digest := looked.result.UserDataDigest
		require.Len(l, digest, 32)

		in.Change.UserDataDigest = digest
		again := l.preflight(in)
		require.NoError(l, again.err)
		assert.Empty(l, again.result.Refusals)
		assert.Equal(l, digest, again.result.UserDataDigest)

		l.secrets(map[string]string{"REIMAGE_SECRET_CLOUD_CONFIG": "#!/bin/sh\necho another\n"})
		says := "user data from " + userDataRef + ": its content is not what was planned (digest " + digest[:8]
		handed := failsWith(l, l.preflight(in).err, api.ErrSecret, false)
		assert.Contains(l, handed.Message(), says, "another worker may hold the planned content")

		submit := l.submission()
		submit.Change.UserDataDigest = digest
		failed := failsWith(l, run(l, l.acts.SubmitChangeOS, submit, attempt{}).err, api.ErrSecret, false)
		assert.Contains(l, failed.Message(), says)
		assert.Contains(l, failed.Message(), "no change was sent")
		assert.Zero(l, l.sent())

		l.secrets(map[string]string{"REIMAGE_SECRET_CLOUD_CONFIG": plantedUserData})
		require.NoError(l, run(l, l.acts.SubmitChangeOS, submit, attempt{}).err)
		assert.Equal(l, 1, l.changes())
	})
}

// TestNoWorkerHoldsThePlannedContent: after the last attempt it is final, and of a kind that pauses the rollout.
func TestNoWorkerHoldsThePlannedContent(t *testing.T) {
	inLab(t, stopped(), func(l *lab) {
		in := l.question()
		in.Change.UserDataFrom, in.Change.UserDataDigest = userDataRef, strings.Repeat("0", 32)
		end := run(l, l.acts.Preflight, in, attempt{number: 6})
		failed := failsWith(l, end.err, api.ErrSecret, true)
		assert.Contains(l, failed.Message(), "put the planned content back, or plan again")
		assert.True(l, api.IsOfWorker(api.ErrSecret))
		assert.Zero(l, l.sent())
	})
}

// TestEveryReasonBesideAnotherContent: the pin hides no other fault of the secrets.
func TestEveryReasonBesideAnotherContent(t *testing.T) {
	inLab(t, stopped(), func(l *lab) {
		in := l.question()
		in.Change.UserDataFrom, in.Change.UserDataDigest = userDataRef, strings.Repeat("0", 32)
		l.secrets(map[string]string{"REIMAGE_SECRET_CLOUD_CONFIG": strings.Repeat("x", 32<<10+1)})
		refusals := failsWith(l, l.preflight(in).err, api.ErrSecret, false).Message()
		assert.Contains(l, refusals, "it has 32769 bytes")
		assert.Contains(l, refusals, "its content is not what was planned (digest 00000000")
	})
}

// TestUserDataThatNothingReads: plan and look say what the user data looks like, by the reader of the image.
func TestUserDataThatNothingReads(t *testing.T) {
	encoded := base64.StdEncoding.EncodeToString([]byte(plantedUserData))
	const says = "user data from " + userDataRef + " looks like base64 of a cloud-config"
	inLab(t, fleetSized(12), func(l *lab) {
		l.secrets(map[string]string{"REIMAGE_SECRET_CLOUD_CONFIG": encoded})
		plan := l.plan(l.planOf(selectsWeb, func(s *document.Spec) { s.UserDataFrom = userDataRef }))
		warnings := strings.Join(plan.Warnings, "\n")
		assert.Contains(l, warnings, says)
		l.showsNoSecret("the plan", warnings)

		in := l.question()
		in.Change.UserDataFrom = userDataRef
		looked := l.preflight(in)
		require.NoError(l, looked.err)
		assert.Empty(l, looked.result.Refusals, "it is a warning: images may have another reader")
		assert.Contains(l, strings.Join(looked.result.Notes, "\n"), says)

		l.secrets(map[string]string{"REIMAGE_SECRET_CLOUD_CONFIG": plantedUserData})
		assert.NotContains(l, strings.Join(l.plan(l.planOf(selectsWeb, func(s *document.Spec) { s.UserDataFrom = userDataRef })).Warnings, "\n"), "user data from")
		assert.Empty(l, l.preflight(in).result.Notes)
	})
	inLab(t, gallery(), func(l *lab) {
		in := l.question()
		in.Change.ImageID, in.Change.UserDataFrom = imageNamed("windows"), userDataRef
		l.secrets(map[string]string{"REIMAGE_SECRET_CLOUD_CONFIG": "#!/bin/sh\necho planted-user-data-7531\n"})
		notes := strings.Join(l.preflight(in).result.Notes, "\n")
		assert.Contains(l, notes, "user data from "+userDataRef+" is a script for a shell of Linux, and the image is a Windows image")
	})
}

// TestPackedUserData reaches the cloud as it is, encoded once, and is held against the same rules as text.
func TestPackedUserData(t *testing.T) {
	packed := func(text string) string {
		var out bytes.Buffer
		writer := gzip.NewWriter(&out)
		_, err := writer.Write([]byte(text))
		require.NoError(t, err)
		require.NoError(t, writer.Close())
		return out.String()
	}
	inLab(t, stopped(), func(l *lab) {
		in := l.question()
		in.Change.UserDataFrom = userDataRef
		l.secrets(map[string]string{"REIMAGE_SECRET_CLOUD_CONFIG": packed("runcmd: [echo planted-user-data-7531]\n")})
		looked := l.preflight(in)
		require.NoError(l, looked.err)
		assert.Contains(l, strings.Join(looked.result.Notes, "\n"), "is YAML without a header")

		data := packed(plantedUserData)
		l.secrets(map[string]string{"REIMAGE_SECRET_CLOUD_CONFIG": data})
		looked = l.preflight(in)
		require.NoError(l, looked.err)
		assert.Empty(l, looked.result.Notes)
		require.NoError(l, run(l, l.acts.SubmitChangeOS, l.submission(), attempt{}).err)
		time.Sleep(time.Hour)
		after, _ := l.cloud.Server(l.server.ID)
		sum := sha256.Sum256([]byte(data))
		assert.Equal(l, hex.EncodeToString(sum[:]), after.UserDataSHA256)
	})
}
