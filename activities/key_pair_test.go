package activities_test

import (
	"net/http"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/reimage/reimage/activities/contract"
	"github.com/reimage/reimage/api"
	"github.com/reimage/reimage/internal/emulator"
	"github.com/reimage/reimage/rollout"
	"github.com/reimage/reimage/rollout/document"
	"github.com/reimage/reimage/rollout/edition"
)

// The requests that look up a key pair, as the ledger counts them.
const (
	keyPairReads        = "GET /v2.1/{project_id}/os-keypairs/{keypair_name}"
	keyPairLists        = "GET /v2.1/{project_id}/os-keypairs"
	accountKeyPairReads = "GET /v3/{project_id}/keypairs/{keypair_name}"

	otherUser = "7e25b1da389f4697a79df3a0e5bd494e"
)

// keyRing is a project with key pairs of all kinds.
func keyRing() emulator.Options {
	options := fleetOf(emulator.Server{Name: "one", Status: "SHUTOFF", Tags: []string{selectsEvery}})
	options.KeyPairs = []emulator.KeyPair{
		{Name: "fleet-key-01"}, {Name: "ops-key"}, {Name: "theirs", UserID: otherUser},
		{Name: "common", OfAccount: true}, {Name: "iced", OfAccount: true, Frozen: true},
	}
	return options
}

func withLogin(login document.Login) func(*document.Spec) {
	return func(s *document.Spec) { s.Login = login }
}

// TestKeyPairIsLookedUp: a plan, the first look at a server, and the doctor say the same of a key pair, before anything is
// touched. With the key pair service of the cloud more is known.
func TestKeyPairIsLookedUp(t *testing.T) {
	const unknownOf = `whether user ` + otherUser + ` has a key pair "`
	forbidden := emulator.Fault{Op: emulator.OpKeyPair, Kind: emulator.Refuse, Code: "Pdp.0001", Status: 403, Times: -1}
	noAPI := emulator.Fault{Op: emulator.OpKeyPair, Kind: emulator.Refuse, Code: "APIGW.0101", Status: 404, Times: -1}
	down := emulator.Fault{Op: emulator.OpKeyPair, Kind: emulator.BadGatewayHTML, Times: -1}
	kpsForbidden := emulator.Fault{Op: emulator.OpAccountKeyPair, Kind: emulator.Refuse, Code: "APIGW.0302", Status: 403, Times: -1}
	for name, test := range map[string]struct {
		login            rollout.Login
		kps              bool
		edition          string
		faults           []emulator.Fault
		missing, unknown string
	}{
		"there is one":              {login: rollout.Login{KeyPair: "fleet-key-01"}},
		"there is none":             {login: rollout.Login{KeyPair: "fleet-key"}, missing: `there is no key pair "fleet-key" of the worker's user; near: "fleet-key-01": correct login.keyPair (--key-pair), or name the user who has it in login.keyOwner (--key-owner)`},
		"none, and none in KPS":     {login: rollout.Login{KeyPair: "nothing-alike"}, kps: true, edition: "huaweicloud", missing: `there is no key pair "nothing-alike" of the worker's user: correct`},
		"none, and no KPS to ask":   {login: rollout.Login{KeyPair: "fleet-key"}, edition: "huaweicloud", unknown: `the worker's user has no such key pair, and whether there is a key pair "fleet-key" is not known until the cloud is asked for the change: the address of the key pair service is not known, set REIMAGE_KPS_ENDPOINT of the worker`},
		"none, and KPS is barred":   {login: rollout.Login{KeyPair: "common"}, kps: true, edition: "huaweicloud", faults: []emulator.Fault{kpsForbidden}, unknown: "the credentials need the action kps:SSHKeyPair:get in this project"},
		"of the account":            {login: rollout.Login{KeyPair: "common"}, kps: true},
		"of the account, frozen":    {login: rollout.Login{KeyPair: "iced"}, kps: true, missing: `key pair "iced" is frozen`},
		"another user's":            {login: rollout.Login{KeyPair: "theirs"}, kps: true, missing: `key pair "theirs" belongs to user ` + otherUser + `, and not to the worker's: name its owner in login.keyOwner (--key-owner)`},
		"another user's, unseen":    {login: rollout.Login{KeyPair: "theirs"}, missing: `there is no key pair "theirs" of the worker's user`},
		"of its owner":              {login: rollout.Login{KeyPair: "theirs", UserID: otherUser}, kps: true},
		"of its owner, unseen":      {login: rollout.Login{KeyPair: "theirs", UserID: otherUser}, unknown: unknownOf + `theirs" is not known`},
		"of a wrong owner":          {login: rollout.Login{KeyPair: "theirs", UserID: "0123456789abcdef0123456789abcdef"}, kps: true, missing: `belongs to user ` + otherUser + `, and not to user 0123456789abcdef0123456789abcdef`},
		"own, under another's name": {login: rollout.Login{KeyPair: "ops-key", UserID: otherUser}, unknown: `and those of user ` + otherUser + ` cannot be looked up`},
		"not permitted":             {login: rollout.Login{KeyPair: "ops-key"}, faults: []emulator.Fault{forbidden}, unknown: `the credentials need the action ecs:serverKeypairs:get in this project`},
		"not permitted, but in KPS": {login: rollout.Login{KeyPair: "common"}, kps: true, faults: []emulator.Fault{forbidden}},
		"a cloud without the call":  {login: rollout.Login{KeyPair: "ops-key"}, faults: []emulator.Fault{noAPI}, unknown: `whether there is a key pair "ops-key" is not known until the cloud is asked for the change: read key pair "ops-key": HTTP 404 APIGW.0101`},
		"trouble":                   {login: rollout.Login{KeyPair: "ops-key"}, faults: []emulator.Fault{down}, unknown: "HTTP 502"},
		"a name that is no path":    {login: rollout.Login{KeyPair: "a/b"}, unknown: "has slashes"},
		"a wrong no of the cloud":   {login: rollout.Login{KeyPair: "ops-key"}, faults: []emulator.Fault{{Op: emulator.OpKeyPair, Kind: emulator.Refuse, Code: "Ecs.0114", Status: 404}}},
		"a wrong no of KPS":         {login: rollout.Login{KeyPair: "common"}, kps: true, faults: []emulator.Fault{{Op: emulator.OpAccountKeyPair, Kind: emulator.Refuse, Code: "Ecs.0114", Status: 404}}},
		"no, and no list": {login: rollout.Login{KeyPair: "none"}, faults: []emulator.Fault{
			{Op: emulator.OpKeyPair, Kind: emulator.Refuse, Code: "Pdp.0001", Status: 403, After: 1},
		}, missing: `there is no key pair "none" of the worker's user: correct`},
	} {
		t.Run(name, func(t *testing.T) {
			each := func(t *testing.T, ask func(l *lab)) {
				t.Helper()
				inLab(t, withFaults(keyRing(), test.faults...), func(l *lab) {
					if test.kps {
						l.config.KPS = "http://kms.emulated"
					}
					l.acts.Profiles[0].Cloud = l.client(l.config)
					l.acts.Profiles[0].Edition = edition.Edition{Name: test.edition}
					ask(l)
					l.onlyRead()
				})
			}
			each(t, func(l *lab) {
				made := l.makePlan(l.planOf(selectsEvery, withLogin(document.Login{KeyPair: test.login.KeyPair, KeyOwner: test.login.UserID})))
				require.NoError(l, made.err)
				if test.missing != "" {
					require.Len(l, made.result.Problems, 1)
					assert.Contains(l, made.result.Problems[0], test.missing)
					return
				}
				require.NotNil(l, made.result.Plan, made.result.Problems)
				warnings := strings.Join(made.result.Plan.Warnings, "\n")
				assert.Equal(l, test.unknown != "", strings.Contains(warnings, "key pair"), warnings)
				assert.Contains(l, warnings, test.unknown)
			})
			each(t, func(l *lab) {
				in := contract.PreflightInput{ServerID: l.server.ID, Change: rollout.Change{ImageID: l.target.ID, Login: test.login}}
				end := run(l, l.acts.Preflight, in, attempt{})
				require.NoError(l, end.err)
				refusals, notes := strings.Join(end.result.Refusals, "\n"), strings.Join(end.result.Notes, "\n")
				assert.Equal(l, test.missing == "", refusals == "", refusals)
				assert.Contains(l, refusals, test.missing)
				assert.Equal(l, test.unknown != "", strings.Contains(notes, "key pair"), notes)
				assert.Contains(l, notes, test.unknown)
			})
			each(t, func(l *lab) {
				d := l.diagnose(contract.DiagnoseInput{KeyPair: test.login.KeyPair, KeyOwner: test.login.UserID})
				switch {
				case test.missing != "":
					assert.Contains(l, d.failed(api.CheckKeyPair).Seen, test.missing)
				case test.unknown != "":
					d.says(api.CheckKeyPair, api.CheckSkipped, test.unknown)
				default:
					d.says(api.CheckKeyPair, api.CheckOK, test.login.KeyPair+" is there")
				}
			})
		})
	}
}

// TestNoKeyPairIsLookedUp for a login without one, nor for a server that needs no change.
func TestNoKeyPairIsLookedUp(t *testing.T) {
	inLab(t, keyRing(), func(l *lab) {
		l.plan(l.planOf(selectsEvery))
		l.diagnose(contract.DiagnoseInput{}).says(api.CheckKeyPair, api.CheckSkipped, "name one with --key-pair")
		there := rollout.Change{ImageID: l.server.ImageID, Login: rollout.Login{KeyPair: "none-such"}}
		end := run(l, l.acts.Preflight, contract.PreflightInput{ServerID: l.server.ID, Change: there}, attempt{})
		require.NoError(l, end.err)
		assert.Empty(l, end.result.Refusals)
		assert.True(l, end.result.AlreadyThere)
		requests := l.cloud.Ledger().Requests
		assert.Zero(l, requests[keyPairReads]+requests[keyPairLists]+requests[accountKeyPairReads])
	})
}

// TestKeyPairIsReadOnceForAFleet, and one that is missing is asked for again by each server: it may be made meanwhile.
func TestKeyPairIsReadOnceForAFleet(t *testing.T) {
	inLab(t, keyRing(), func(l *lab) {
		look := func(name string) contract.PreflightResult {
			l.Helper()
			in := contract.PreflightInput{ServerID: l.server.ID, Change: rollout.Change{ImageID: l.target.ID, Login: rollout.Login{KeyPair: name}}}
			end := run(l, l.acts.Preflight, in, attempt{})
			require.NoError(l, end.err)
			return end.result
		}
		for range 3 {
			assert.Empty(l, look("ops-key").Refusals)
		}
		assert.Equal(l, 1, l.cloud.Ledger().Requests[keyPairReads])
		l.cloud.RemoveKeyPair("ops-key")
		time.Sleep(6 * time.Minute)
		assert.NotEmpty(l, look("ops-key").Refusals)
		assert.NotEmpty(l, look("ops-key").Refusals)
		assert.Equal(l, 3, l.cloud.Ledger().Requests[keyPairReads])
	})
}

// TestKeyPairThatIsDeletedAfterThePlan is drift, reported before anything is touched.
func TestKeyPairThatIsDeletedAfterThePlan(t *testing.T) {
	inLab(t, keyRing(), func(l *lab) {
		plan := l.plan(l.planOf(selectsEvery, withLogin(document.Login{KeyPair: "ops-key"})))
		check := func() []rollout.Drift {
			l.Helper()
			end := run(l, l.acts.CheckPlan, contract.CheckPlanInput{Plan: plan}, attempt{})
			require.NoError(l, end.err)
			return end.result.Drift
		}
		assert.Empty(l, check())
		l.cloud.RemoveKeyPair("ops-key")
		drift := check()
		require.Len(l, drift, 1)
		assert.Equal(l, api.CheckKeyPair, drift[0].Name)
		assert.Contains(l, drift[0].What, `there is no key pair "ops-key" of the worker's user`)
	})
}

// TestACloudThatKnowsNoKeyPairs: Nova says the same of a call that it does not have as of a key pair that it does not know.
func TestACloudThatKnowsNoKeyPairs(t *testing.T) {
	inLab(t, keyRing(), func(l *lab) {
		l.answer = func(w http.ResponseWriter, r *http.Request) bool {
			if !strings.Contains(r.URL.Path, "/os-keypairs") {
				return false
			}
			w.Header().Set("Content-Type", "application/json")
			w.WriteHeader(http.StatusNotFound)
			_, _ = w.Write([]byte(`{"itemNotFound":{"message":"The resource could not be found.","code":404}}`))
			return true
		}
		warnings := l.plan(l.planOf(selectsEvery, withLogin(document.Login{KeyPair: "ops-key"}))).Warnings
		assert.Contains(l, strings.Join(warnings, "\n"), "this cloud does not list key pairs: list key pairs: HTTP 404 itemNotFound")
	})
}
