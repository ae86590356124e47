package activities

import (
	"errors"
	"fmt"
	"strings"

	"github.com/reimage/reimage/ecs"
	"github.com/reimage/reimage/rollout"
)

// request turns what the operator asked for into the cloud's request: the only moment at which the
// secrets are read. They live in the request and nowhere else.
func (a *Activities) request(project string, change rollout.Change) (ecs.ChangeOSRequest, error) {
	password, userData, err := a.resolve(change.Login.PasswordFrom, change.UserDataFrom)
	if err != nil {
		return ecs.ChangeOSRequest{}, err
	}
	request := ecs.ChangeOSRequest{
		API:            ecs.APIVersion(change.API),
		ImageID:        change.ImageID,
		AdminPass:      password,
		KeyName:        change.Login.KeyPair,
		UserID:         change.Login.UserID,
		UserData:       userData,
		BYOL:           change.BYOL,
		Encrypted:      change.Encrypted,
		CMKID:          change.EncryptionKeyID,
		WithStopServer: change.WithStopServer,
		AutoPay:        change.AutoPay,
	}
	return request, errors.Join(byReference(change, request.Validate()), a.checkPin(project, change, userData))
}

// byReference tells what is wrong with a secret by its reference: whoever wrote that knows no field of the request.
func byReference(change rollout.Change, err error) error {
	if several, ok := err.(interface{ Unwrap() []error }); ok {
		var told []error
		for _, one := range several.Unwrap() {
			told = append(told, byReference(change, one))
		}
		return errors.Join(told...)
	}
	switch wrong, ok := errors.AsType[*ecs.FieldError](err); {
	case ok && wrong.Field == "AdminPass":
		return fmt.Errorf("password from %s: it %s", change.Login.PasswordFrom, wrong.Problem)
	case ok && wrong.Field == "UserData":
		return fmt.Errorf("user data from %s: it %s", change.UserDataFrom, wrong.Problem)
	}
	return err
}

// requestFor is request, when the image is known.
func (a *Activities) requestFor(project string, change rollout.Change, image rollout.InventoryImage) (ecs.ChangeOSRequest, error) {
	request, err := a.request(project, change)
	if image.OSType == rollout.Windows {
		err = errors.Join(err, byReference(change, request.ValidateForWindows()))
	}
	return request, err
}

// resolve reads both secrets of a change and reports what is wrong with either.
func (a *Activities) resolve(passwordFrom, userDataFrom rollout.SecretRef) (password, userData ecs.Secret, err error) {
	password, wrongPassword := a.Secrets.Resolve(passwordFrom)
	if wrongPassword != nil {
		wrongPassword = fmt.Errorf("password from %w", wrongPassword)
	}
	userData, wrongUserData := a.Secrets.Resolve(userDataFrom)
	if wrongUserData != nil {
		wrongUserData = fmt.Errorf("user data from %w", wrongUserData)
	}
	// Editors and secret stores end files with a newline that nobody means to type at a login.
	password = ecs.NewSecret(strings.TrimRight(password.Reveal(), "\r\n"))
	return password, userData, errors.Join(wrongPassword, wrongUserData)
}
