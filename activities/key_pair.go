package activities

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strconv"
	"strings"

	"github.com/reimage/reimage/api"
	"github.com/reimage/reimage/ecs"
	"github.com/reimage/reimage/rollout"
	"github.com/reimage/reimage/rollout/edition"
	"github.com/reimage/reimage/rollout/spec"
)

// keyPairFinding is what a look-up of a key pair has shown. The zero value is a key pair that the change can use.
type keyPairFinding struct {
	missing string // why the cloud will refuse the change
	unknown string // why it is not known whether it will
}

// asError lets a finding be remembered only when it is good: a key pair may be made, or the right to ask be granted.
func (f keyPairFinding) asError() error {
	if f != (keyPairFinding{}) {
		return errors.New(f.missing + f.unknown)
	}
	return nil
}

// keyPair looks up the key pair of a login, or takes what others found a moment ago.
func (s site) keyPair(ctx context.Context, login rollout.Login) keyPairFinding {
	key := s.Cloud.ProjectID() + "/" + login.UserID + "/" + login.KeyPair
	finding, err := s.keyPairs.get(ctx, key, func(ctx context.Context) (keyPairFinding, error) {
		finding := s.lookUpKeyPair(ctx, login)
		return finding, finding.asError()
	})
	if err != nil && finding == (keyPairFinding{}) {
		finding.unknown = notLookedUp(login, err) // the context has ended
	}
	return finding
}

func notLookedUp(login rollout.Login, err error) string {
	what := err.Error()
	if cloud, ok := errors.AsType[*ecs.Error](err); ok && cloud.Cause() != ecs.CausePermission { // the remedy for that one is worth it
		what = cloud.What()
	}
	return fmt.Sprintf("whether there is a key pair %s is not known until the cloud is asked for the change: %s", strconv.Quote(login.KeyPair), what)
}

// lookUpKeyPair asks the compute API, which knows the key pairs of the credentials' user, and then the key pair service of
// clouds that have one, which knows those of the account. Nothing is refused that may be there and cannot be seen.
func (s site) lookUpKeyPair(ctx context.Context, login rollout.Login) keyPairFinding {
	own, near, err := s.ownKeyPair(ctx, login.KeyPair)
	if err == nil && (login.UserID == "" || own.UserID == "" || strings.EqualFold(own.UserID, login.UserID)) {
		return keyPairFinding{}
	}
	account, accountErr := s.accountKeyPair(ctx, login.KeyPair)
	switch {
	case accountErr == nil:
		return judgeAccountKeyPair(account, login)
	case err == nil: // and of another user than it is asked for
		return keyPairFinding{unknown: fmt.Sprintf("key pair %s is one of the worker's user %s, and those of user %s cannot be looked up", strconv.Quote(login.KeyPair), own.UserID, login.UserID)}
	case !isNotFound(err):
		return keyPairFinding{unknown: notLookedUp(login, err)}
	case !isNotFound(accountErr) && edition.HasAccountKeyPairs(s.Edition):
		return keyPairFinding{unknown: "the worker's user has no such key pair, and " + notLookedUp(login, accountErr)}
	case login.UserID != "":
		return keyPairFinding{unknown: fmt.Sprintf("whether user %s has a key pair %s is not known: only that user can look it up", login.UserID, strconv.Quote(login.KeyPair))}
	}
	return keyPairFinding{missing: noKeyPair(login.KeyPair, near)}
}

func noKeyPair(name string, near []string) string {
	text := fmt.Sprintf("there is no key pair %s of the worker's user", strconv.Quote(name))
	for i, other := range near {
		near[i] = strconv.Quote(other)
	}
	if len(near) > 0 {
		text += "; near: " + strings.Join(near, ", ")
	}
	return text + ": correct login.keyPair (--key-pair), or name the user who has it in login.keyOwner (--key-owner)"
}

// ownKeyPair asks for a key pair of the credentials' user. What is not found is looked for in the list, too, because one
// answer may be wrong; where the list cannot be had, it is asked for again. The names near it come with a pair that is missing.
func (s site) ownKeyPair(ctx context.Context, name string) (pair ecs.KeyPair, near []string, err error) {
	pair, err = s.Cloud.KeyPair(ctx, name)
	if !isNotFound(err) {
		return pair, nil, err
	}
	names, listErr := s.Cloud.KeyPairNames(ctx)
	switch {
	case listErr == nil && !slices.Contains(names, name):
		return pair, spec.Near(name, names), err
	case isNotFound(listErr): // so it is the call that the cloud does not have
		return pair, nil, s.noSuchCall(listErr)
	}
	pair, err = s.Cloud.KeyPair(ctx, name)
	return pair, nil, err
}

// noSuchCall keeps the text of an error and not its class: what is missing is the call, and not what was asked for.
func (s site) noSuchCall(err error) error {
	if cloud, ok := errors.AsType[*ecs.Error](err); ok {
		return errors.New("this cloud does not list key pairs: " + cloud.What())
	}
	return err
}

// accountKeyPair asks the key pair service, and once more for one that it does not know.
func (s site) accountKeyPair(ctx context.Context, name string) (ecs.KeyPair, error) {
	pair, err := s.Cloud.AccountKeyPair(ctx, name)
	if isNotFound(err) {
		pair, err = s.Cloud.AccountKeyPair(ctx, name)
	}
	if errors.Is(err, ecs.ErrNoKPS) {
		err = fmt.Errorf("%w, set REIMAGE_KPS_ENDPOINT of the worker", ecs.ErrNoKPS)
	}
	return pair, err
}

// judgeAccountKeyPair is about one that the key pair service knows. One that belongs to a user is of use to that user only.
func judgeAccountKeyPair(pair ecs.KeyPair, login rollout.Login) keyPairFinding {
	name := strconv.Quote(login.KeyPair)
	switch {
	case pair.Frozen:
		return keyPairFinding{missing: "key pair " + name + " is frozen: settle that first, or name another one"}
	case pair.OfAccount || pair.UserID == "" || strings.EqualFold(pair.UserID, login.UserID):
		return keyPairFinding{}
	case login.UserID == "":
		return keyPairFinding{missing: fmt.Sprintf("key pair %s belongs to user %s, and not to the worker's: name its owner in login.keyOwner (--key-owner)", name, pair.UserID)}
	}
	return keyPairFinding{missing: fmt.Sprintf("key pair %s belongs to user %s, and not to user %s, whom login.keyOwner (--key-owner) names", name, pair.UserID, login.UserID)}
}

// keyPair adds what is known of the key pair of a change that will be made.
func (p *preflight) keyPair(ctx context.Context, s site) {
	login := p.in.Change.Login
	if login.KeyPair == "" || p.result.AlreadyThere {
		return
	}
	finding := s.keyPair(ctx, login)
	if finding.missing != "" {
		p.refuse("%s", finding.missing)
	}
	if finding.unknown != "" {
		p.note("%s", finding.unknown)
	}
}

// keyPairOf looks up the key pair of a plan. That it is missing is a reason against the plan.
func (g *gathering) keyPairOf(ctx context.Context, login rollout.Login) {
	if login.KeyPair == "" {
		return
	}
	g.reading(ctx, "the key pair")
	finding := g.lookUpKeyPair(ctx, login)
	g.KeyPairUnknown = finding.unknown
	if finding.missing != "" {
		g.lacks = append(g.lacks, finding.missing)
	}
}

// keyPair is the check of the doctor.
func (d *diagnosis) keyPair(ctx context.Context) api.Finding {
	login := rollout.Login{KeyPair: d.in.KeyPair, UserID: d.in.KeyOwner}
	if login.KeyPair == "" {
		return skipped("not checked: name one with --key-pair")
	}
	switch finding := d.lookUpKeyPair(ctx, login); {
	case finding.missing != "":
		return api.Finding{Verdict: api.CheckFailed, Seen: finding.missing, Fix: "name one that there is, with --key-owner if it is another user's"}
	case finding.unknown != "":
		return skipped(finding.unknown)
	}
	return fine("%s is there", login.KeyPair)
}
