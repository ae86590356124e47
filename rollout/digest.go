package rollout

import (
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
)

// ErrEdited is what Verify returns for a plan that is not as the planner made it.
var ErrEdited = errors.New("the plan was edited or damaged after it was made: its digest does not fit; make a new plan instead of editing one")

// Seal gives the plan its digest.
func (p *Plan) Seal() error {
	digest, err := p.digest()
	p.Digest = digest
	return err
}

// Verify checks that the plan is of a version that can be carried out, has not been edited, and that its waves
// are made of its servers: who follows a wave reaches for them.
func (p Plan) Verify() error {
	if p.Version != PlanVersion {
		return fmt.Errorf("the plan has version %d and this program carries out version %d: make a new plan", p.Version, PlanVersion)
	}
	digest, err := p.digest()
	if err != nil {
		return err
	}
	if digest != p.Digest {
		return ErrEdited
	}
	last := 0
	for _, wave := range p.Waves {
		if wave.End < last || wave.End > len(p.Servers) {
			return fmt.Errorf("no planner made this plan: wave %q ends at server %d of %d: make a new plan", wave.Name, wave.End, len(p.Servers))
		}
		last = wave.End
	}
	if last != len(p.Servers) {
		return fmt.Errorf("no planner made this plan: its waves hold %d of %d servers: make a new plan", last, len(p.Servers))
	}
	return nil
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
