package rollout

import (
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
)

// ErrEdited is what Verify returns for a plan that is not as the planner made it.
var ErrEdited = errors.New("the plan was edited or damaged after it was made: its digest does not fit")

// Seal gives the plan its digest.
func (p *Plan) Seal() error {
	digest, err := p.digest()
	p.Digest = digest
	return err
}

// Verify checks that the plan is of a version that can be carried out, has not been edited, and is one that the
// planner could have made: a digest is no proof of that.
func (p Plan) Verify() error {
	if p.Version != PlanVersion {
		return fmt.Errorf("the plan has version %d and this program carries out version %d", p.Version, PlanVersion)
	}
	digest, err := p.digest()
	if err != nil {
		return err
	}
	if digest != p.Digest {
		return ErrEdited
	}
	if wrong := p.unmade(); wrong != "" {
		return fmt.Errorf("no planner made this plan: %s", wrong)
	}
	return nil
}

// unmade says what is in the plan that no planner makes: a server or the name of a wave twice, or waves that
// reach past the servers or leave some out. It is "" for a plan that can be followed.
func (p Plan) unmade() string {
	servers, waves, last := make(map[string]bool, len(p.Servers)), make(map[string]bool, len(p.Waves)), 0
	for _, server := range p.Servers {
		if servers[server.ID] {
			return fmt.Sprintf("server %q is in it twice", server.ID)
		}
		servers[server.ID] = true
	}
	for _, wave := range p.Waves {
		switch {
		case waves[wave.Name]:
			return fmt.Sprintf("two waves are called %q", wave.Name)
		case wave.End < last || wave.End > len(p.Servers):
			return fmt.Sprintf("wave %q ends at server %d of %d", wave.Name, wave.End, len(p.Servers))
		}
		waves[wave.Name], last = true, wave.End
	}
	if last != len(p.Servers) {
		return fmt.Sprintf("its waves hold %d of %d servers", last, len(p.Servers))
	}
	return ""
}

func (p Plan) digest() (string, error) {
	p.Digest = ""
	canonical, err := json.Marshal(p)
	if err != nil {
		return "", fmt.Errorf("the plan cannot be written: %w", err)
	}
	sum := sha256.Sum256(canonical)
	return hex.EncodeToString(sum[:]), nil
}
