package activities

import (
	"fmt"
	"strings"

	"github.com/reimage/reimage/ecs"
	"github.com/reimage/reimage/rollout"
)

// request turns what the operator asked for into the cloud's request: the only moment at which the
// secrets are read. They live in the request and nowhere else.
func (a *Activities) request(change rollout.Change) (ecs.ChangeOSRequest, error) {
	password, err := a.Secrets.Resolve(change.Login.PasswordFrom)
	if err != nil {
		return ecs.ChangeOSRequest{}, fmt.Errorf("password from %w", err)
	}
	userData, err := a.Secrets.Resolve(change.UserDataFrom)
	if err != nil {
		return ecs.ChangeOSRequest{}, fmt.Errorf("user data from %w", err)
	}
	request := ecs.ChangeOSRequest{
		API:            ecs.APIVersion(change.API),
		ImageID:        change.ImageID,
		KeyName:        change.Login.KeyPair,
		UserID:         change.Login.UserID,
		UserData:       userData,
		BYOL:           change.BYOL,
		Encrypted:      change.Encrypted,
		CMKID:          change.EncryptionKeyID,
		WithStopServer: change.WithStopServer,
		AutoPay:        change.AutoPay,
	}
	if !password.Empty() {
		// Editors and secret stores end files with a newline that nobody means to type at a login.
		request.AdminPass = ecs.NewSecret(strings.TrimRight(password.Reveal(), "\r\n"))
	}
	return request, request.Validate()
}
