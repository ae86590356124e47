package activities

import (
	"errors"
	"strings"
	"unicode/utf8"

	"go.temporal.io/sdk/temporal"

	"github.com/reimage/reimage/ecs"
	"github.com/reimage/reimage/rollout"
)

// withheld stands for a text that cannot be searched for secrets.
const withheld = "(the cloud's words are withheld: a secret could not be resolved)"

// longLine is the longest line of user data, in characters, that is taken for no secret by itself.
const longLine = 8

// scrub removes the change's secrets from what the cloud says of a job or a server: the cloud was sent
// them and may repeat them, whole or in part. Without references the worker's own credentials are removed
// all the same. The secrets are read anew, so one that was replaced since the request is not recognized.
func (s site) scrub(change rollout.Change, text string) string {
	if text == "" {
		return ""
	}
	secrets, err := s.sent(change)
	if err != nil {
		return withheld
	}
	return s.Cloud.Scrub(text, secrets...)
}

// sent are the secrets that the cloud is sent with the change, and the lines of the user data that may be some.
func (s site) sent(change rollout.Change) ([]ecs.Secret, error) {
	password, userData, err := s.resolve(change.Login.PasswordFrom, change.UserDataFrom)
	secrets := []ecs.Secret{password, userData}
	for line := range strings.Lines(userData.Reveal()) {
		if line = strings.TrimSpace(line); utf8.RuneCountInString(line) > longLine {
			secrets = append(secrets, ecs.NewSecret(line))
		}
	}
	return secrets, err
}

// scrubbed is the activity's error for a question about a server that was sent the change's secrets: the cloud may
// repeat them in a refusal, too, and an error gets into the history and the log.
func (s site) scrubbed(change rollout.Change, err error) error {
	app, ok := errors.AsType[*temporal.ApplicationError](err)
	if !ok {
		return err
	}
	text := withheld
	if secrets, err := s.sent(change); err == nil {
		text = s.Cloud.ScrubError(app.Message(), secrets...)
	}
	if text == app.Message() {
		return err
	}
	return temporal.NewApplicationErrorWithOptions(text, app.Type(), temporal.ApplicationErrorOptions{
		NonRetryable: app.NonRetryable(), NextRetryDelay: app.NextRetryDelay(), Category: app.Category(),
	})
}
