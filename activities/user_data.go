package activities

import (
	"crypto/hmac"
	"crypto/pbkdf2"
	"crypto/sha256"
	"encoding/hex"
	"fmt"
	"sync"

	"github.com/reimage/reimage/ecs"
	"github.com/reimage/reimage/rollout"
	"github.com/reimage/reimage/rollout/userdata"
)

// pinRounds is the cost of one digest, about a third of a second of a processor, and so of one guess: plans and
// histories show the digest to people who may not read the user data (docs/configuration.md#pinned-user-data).
const pinRounds = 600_000

// pins computes the digests of user data that plans hold. It keeps what it has computed, because every server of a
// rollout asks for the same digest. The zero value is ready for use.
type pins struct {
	mutex sync.Mutex
	known map[[sha256.Size]byte]string
}

// maxPins bounds what is kept. A worker meets few contents.
const maxPins = 1000

// digest is the digest of the user data behind a reference, for one project: 32 characters in hex. It depends on
// nothing else but the workers' key, so that every worker gets the same.
func (p *pins) digest(key ecs.Secret, project string, from rollout.SecretRef, userData ecs.Secret) (string, error) {
	place := fmt.Sprintf("reimage user data, project %s, %s", project, from)
	content := hmac.New(sha256.New, []byte(key.Reveal()+"\n"+place))
	content.Write([]byte(userData.Reveal()))
	sum := content.Sum(nil)

	p.mutex.Lock() // servers that start together wait for one computation
	defer p.mutex.Unlock()
	id := [sha256.Size]byte(sum)
	if digest, ok := p.known[id]; ok {
		return digest, nil
	}
	slow, err := pbkdf2.Key(sha256.New, string(sum), []byte(place), pinRounds, 16)
	if err != nil {
		return "", fmt.Errorf("user data from %s: its digest cannot be computed: %w", from, err)
	}
	if p.known == nil || len(p.known) >= maxPins {
		p.known = map[[sha256.Size]byte]string{}
	}
	p.known[id] = hex.EncodeToString(slow)
	return p.known[id], nil
}

// userDataDigest is the digest with the worker's key.
func (a *Activities) userDataDigest(project string, from rollout.SecretRef, userData ecs.Secret) (string, error) {
	return a.pins.digest(a.Secrets.PinKey, project, from, userData)
}

// userDataWarnings say why the servers would not read the user data. What the cloud would not take, the request's rules
// refuse.
func userDataWarnings(from rollout.SecretRef, userData ecs.Secret, image rollout.InventoryImage) []string {
	document, err := ecs.UserDataText(userData)
	if err != nil || document == "" {
		return nil
	}
	reader := userdata.CloudInit
	if image.OSType == rollout.Windows {
		reader = userdata.CloudbaseInit
	}
	warnings := userdata.Warnings(document, reader)
	for i, what := range warnings {
		warnings[i] = fmt.Sprintf("user data from %s %s", from, what)
	}
	return warnings
}

// checkPin refuses user data that is not what a plan or an earlier look at the server has pinned. A change without a
// digest takes any. Like a secret that the worker cannot read, this is about the worker and no failure of the server: another
// worker may hold the planned content, and else the rollout pauses.
func (a *Activities) checkPin(project string, change rollout.Change, userData ecs.Secret) error {
	if change.UserDataDigest == "" {
		return nil
	}
	now, err := a.userDataDigest(project, change.UserDataFrom, userData)
	if err != nil || now == change.UserDataDigest {
		return err
	}
	err = fmt.Errorf("its content is not what was planned (digest %.8s, now %.8s), or this worker has another REIMAGE_PIN_KEY; no change was sent: put the planned content back, or plan again",
		change.UserDataDigest, now)
	return fmt.Errorf("user data from %w", &unreadableSecret{change.UserDataFrom, a.Secrets.Worker, err})
}
