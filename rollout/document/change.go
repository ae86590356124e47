package document

import "github.com/reimage/reimage/rollout"

// APIAuto leaves the choice of the operation to reimage.
const APIAuto = "auto"

// Change is what is done to every server, with the image that the plan pins.
func (s Spec) Change(imageID string) rollout.Change {
	change := rollout.Change{
		ImageID:         imageID,
		API:             rollout.API(s.API),
		Login:           rollout.Login{KeyPair: s.Login.KeyPair, UserID: s.Login.KeyOwner, PasswordFrom: s.Login.PasswordFrom},
		UserDataFrom:    s.UserDataFrom,
		BYOL:            s.BYOL,
		EncryptionKeyID: s.Disk.EncryptWith,
		AutoPay:         s.AutoPay,
		WithStopServer:  s.Stop.Platform,
		AllowHardStop:   s.Stop.AllowHard,
		Power:           s.Power,
		EvenIfSameImage: s.Servers.AlreadyThere == RuleChange,
		Deadline:        s.ServerDeadline.Std(),
	}
	if s.API == "" || s.API == APIAuto {
		change.API = rollout.APIv2
	}
	if s.Disk.EncryptWith != "" {
		change.Encrypted = new(true)
	}
	return change
}
