package activities_test

import (
	"context"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/reimage/reimage/activities"
	"github.com/reimage/reimage/activities/contract"
	"github.com/reimage/reimage/api"
	"github.com/reimage/reimage/internal/emulator"
	"github.com/reimage/reimage/rollout"
	"github.com/reimage/reimage/rollout/document"
	"github.com/reimage/reimage/rollout/edition"
)

// The requests that a plan is made of, as the ledger counts them.
const (
	serverLists  = "GET /v1/{project_id}/cloudservers/detail"
	imageReads   = "GET /v2/cloudimages"
	diskReads    = "GET /v1/{project_id}/cloudservers/{server_id}/block_device"
	groupReads   = "GET /v1/{project_id}/cloudservers/os-server-groups"
	serverReads  = "GET /v1/{project_id}/cloudservers/{server_id}"
	jobReads     = "GET /v1/{project_id}/jobs/{job_id}"
	largeImage   = "base-2026-02-large" // needs 100 GB
	selectsWeb   = "role=web"
	selectsEvery = "env=prod"
)

// planOf asks for a plan that gives all servers of the tag the target image, after the changes.
func (l *lab) planOf(tag string, changes ...func(*document.Spec)) contract.MakePlanInput {
	doc := document.Rollout{
		APIVersion: document.APIVersion, Kind: document.Kind, Metadata: document.Metadata{Name: "march"},
		Spec: document.Spec{Select: document.Selection{Tags: []string{tag}}, Image: document.Image{ID: l.target.ID}},
	}
	for _, change := range changes {
		change(&doc.Spec)
	}
	return contract.MakePlanInput{Document: doc}
}

// makePlan makes one attempt, and checks that it changed nothing.
func (l *lab) makePlan(in contract.MakePlanInput) ended[contract.MakePlanResult] {
	l.Helper()
	end := run(l, l.acts.MakePlan, in, attempt{number: 6}) // the last one that waits for a worker with the secrets
	l.onlyRead()
	return end
}

func (l *lab) onlyRead() {
	l.Helper()
	for request := range l.cloud.Ledger().Requests {
		assert.Regexp(l, "^GET |^POST /v3/auth/tokens$|^PUT /meta-data/latest/api/token$", request)
	}
}

// plan makes a plan that has to succeed.
func (l *lab) plan(in contract.MakePlanInput) rollout.Plan {
	l.Helper()
	end := l.makePlan(in)
	require.NoError(l, end.err)
	require.Empty(l, end.result.Problems)
	require.NotNil(l, end.result.Plan)
	require.NoError(l, end.result.Plan.Verify(), "the digest has to survive the way through Temporal")
	return *end.result.Plan
}

// problems makes a plan that has to fail.
func (l *lab) problems(in contract.MakePlanInput) string {
	l.Helper()
	end := l.makePlan(in)
	require.NoError(l, end.err)
	require.NotEmpty(l, end.result.Problems)
	assert.Nil(l, end.result.Plan)
	return strings.Join(end.result.Problems, "\n")
}

func fleetSized(n int) emulator.Options { return emulator.Options{Servers: n} }

func TestMakePlan(t *testing.T) {
	inLab(t, fleetSized(120), func(l *lab) {
		plan := l.plan(l.planOf(selectsWeb, func(s *document.Spec) { s.Image = document.Image{Name: emulator.TargetImageName} }))
		assert.Equal(l, "profile "+activities.DefaultProfile+", project "+emulator.DefaultProjectID, plan.Cloud())
		assert.Equal(l, l.target.ID, plan.Change.ImageID, "the name is pinned to an id")
		assert.Len(l, plan.Servers, 60)
		for _, planned := range plan.Servers {
			truth, _ := l.cloud.Server(planned.ID)
			assert.Equal(l, rollout.PlannedServer{
				ID: truth.ID, Name: truth.Name, Zone: truth.Zone, Status: "ACTIVE", ImageName: emulator.CurrentImageName, DiskGB: 40,
				Before: rollout.Fingerprint{ImageID: truth.ImageID, VolumeID: truth.SystemVolumeID},
			}, planned)
		}
		assert.Equal(l, map[string]int{serverLists: 1, imageReads: 2, diskReads: 60, serverReads: 1, jobReads: 1}, l.cloud.Ledger().Requests)
	})
}

// TestMakePlanOfALargeFleet reads no size that the plan does not depend on.
func TestMakePlanOfALargeFleet(t *testing.T) {
	inLab(t, fleetSized(500), func(l *lab) {
		plan := l.plan(l.planOf(selectsWeb))
		assert.Greater(l, len(plan.Servers), 200)
		assert.Equal(l, map[string]int{serverLists: 1, imageReads: 2, diskReads: 1, serverReads: 1, jobReads: 1}, l.cloud.Ledger().Requests)
	})
}

func TestMakePlanShowsWhatItReads(t *testing.T) {
	inLab(t, fleetSized(3), func(l *lab) {
		end := l.makePlan(l.planOf(selectsEvery, func(s *document.Spec) {
			s.Image.ID = l.image(largeImage).ID
			s.PerGroup.ServerGroup, s.PerGroup.Count = true, new(1)
		}))
		require.NoError(l, end.err)
		var read []string
		for _, beat := range end.beats {
			read = append(read, readBeat(l, &beat).Reading)
		}
		assert.Subset(l, []string{"", "servers", "images", "server groups", "system disks", "permissions"}, read)
		assert.NotEmpty(l, read)
	})
}

// TestMakePlanShowsWhyItWaits: a cloud that throttles keeps whoever plans for minutes.
func TestMakePlanShowsWhyItWaits(t *testing.T) {
	throttles := emulator.Fault{Op: emulator.OpServers, Kind: emulator.Throttle, Times: 2}
	inLab(t, withFaults(fleetSized(3), throttles), func(l *lab) {
		end := l.makePlan(l.planOf(selectsEvery))
		require.NoError(l, end.err)
		var troubles []string
		for _, beat := range end.beats {
			troubles = append(troubles, readBeat(l, &beat).Trouble)
		}
		assert.Contains(l, strings.Join(troubles, "\n"), "HTTP 429 APIGW.0308")
	})
}

// TestMakePlanOfNamedServers: ids alone are looked up and no fleet is listed.
func TestMakePlanOfNamedServers(t *testing.T) {
	inLab(t, fleetSized(250), func(l *lab) {
		var ids []string
		for _, s := range l.cloud.Servers()[:120] {
			ids = append(ids, s.ID)
		}
		byID := func(ids ...string) func(*document.Spec) {
			return func(s *document.Spec) { s.Select = document.Selection{IDs: ids} }
		}
		assert.Len(l, l.plan(l.planOf("", byID(ids...))).Servers, 120)
		assert.Equal(l, map[string]int{serverLists: 2, imageReads: 2, diskReads: 120, serverReads: 1, jobReads: 1}, l.cloud.Ledger().Requests, "a hundred ids a request")

		plan := l.plan(l.planOf("", byID(ids[0]), func(s *document.Spec) { s.Select.Names = []string{"db-*"} }))
		assert.Greater(l, len(plan.Servers), 40, "names are found in the whole fleet")

		assert.Contains(l, l.problems(l.planOf("", byID(ids[0], unknownID))), "no server has the id "+unknownID)
	})
}

// TestMakePlanOfABadDocument: whoever starts the workflow need not have used the command line.
func TestMakePlanOfABadDocument(t *testing.T) {
	inLab(t, fleetSized(3), func(l *lab) {
		says := l.problems(l.planOf("", func(s *document.Spec) {
			s.Select = document.Selection{IDs: []string{"not-an-id"}}
			s.Image = document.Image{}
		}))
		assert.Contains(l, says, "not-an-id")
		assert.Contains(l, says, "spec.image")
		assert.Empty(l, l.cloud.Ledger().Requests)
	})
}

// TestMakePlanMeasuresDisks only where the present image does not prove that the new one fits.
func TestMakePlanMeasuresDisks(t *testing.T) {
	options := fleetSized(0)
	for i := range 40 {
		options.Fleet = append(options.Fleet, emulator.Server{Name: fmt.Sprintf("web-%02d", i), Tags: []string{selectsWeb}, SystemDiskGB: 40 + 60*(i%2)})
	}
	options.Fleet = append(options.Fleet, emulator.Server{Name: "db-01", Tags: []string{"role=db"}})
	inLab(t, options, func(l *lab) {
		large := func(s *document.Spec) { s.Image.ID = l.image(largeImage).ID }
		says := l.problems(l.planOf(selectsWeb, large))
		assert.Contains(l, says, "20 servers with too small a system disk")
		assert.Equal(l, 40, l.cloud.Ledger().Requests[diskReads], "one for each planned server, none for the others")

		plan := l.plan(l.planOf(selectsWeb, large, func(s *document.Spec) { s.Servers.Unfit = document.RuleSkip }))
		assert.Len(l, plan.Servers, 20)
		assert.Len(l, plan.Skipped, 20)
		for _, s := range plan.Servers {
			assert.Equal(l, 100, s.DiskGB)
		}
	})
}

// TestMakePlanWithoutThePresentImage: nothing is known of a disk whose image is gone.
func TestMakePlanWithoutThePresentImage(t *testing.T) {
	inLab(t, running(), func(l *lab) {
		l.update(func(s *emulator.Server) { s.ImageID, s.Tags = unknownID, []string{selectsWeb} })
		plan := l.plan(l.planOf(selectsWeb))
		require.Len(l, plan.Servers, 1)
		assert.Equal(l, 40, plan.Servers[0].DiskGB)
		assert.Empty(l, plan.Servers[0].ImageName)
		assert.Equal(l, 1, l.cloud.Ledger().Requests[diskReads])
	})
}

func TestMakePlanReadsServerGroups(t *testing.T) {
	inLab(t, fleetSized(24), func(l *lab) {
		plan := l.plan(l.planOf("role=db", func(s *document.Spec) { s.PerGroup.ServerGroup, s.PerGroup.Count = true, new(1) }))
		groups := map[string]int{}
		for _, s := range plan.Servers {
			groups[s.Group]++
		}
		assert.Len(l, groups, 2)
		assert.NotContains(l, groups, "")
		assert.Equal(l, 1, l.cloud.Ledger().Requests[groupReads])
	})
}

// TestMakePlanFindsTheDisk: an edition may leave the boot index out of the list.
func TestMakePlanFindsTheDisk(t *testing.T) {
	options := emulator.Options{}
	for range 12 {
		options.Fleet = append(options.Fleet, emulator.Server{SystemDiskGB: 120, Tags: []string{selectsEvery}})
	}
	inLab(t, options, func(l *lab) {
		l.answer = func(w http.ResponseWriter, r *http.Request) bool {
			if !strings.HasSuffix(r.URL.Path, "/cloudservers/detail") {
				return false
			}
			full := httptest.NewRecorder()
			l.cloud.ServeHTTP(full, r)
			without := strings.NewReplacer(`"bootIndex":"0"`, `"bootIndex":null`, `"OS-EXT-SRV-ATTR:root_device_name"`, `"x"`)
			_, _ = io.WriteString(w, without.Replace(full.Body.String()))
			return true
		}
		plan := l.plan(l.planOf(selectsEvery, func(s *document.Spec) { s.Image.ID = l.image(largeImage).ID }))
		assert.Len(l, plan.Servers, 12)
		for _, s := range plan.Servers {
			truth, _ := l.cloud.Server(s.ID)
			assert.Equal(l, truth.SystemVolumeID, s.Before.VolumeID)
			assert.Equal(l, 120, s.DiskGB)
		}
		assert.Equal(l, 12, l.cloud.Ledger().Requests[diskReads], "nothing is measured twice")
	})
}

// TestMakePlanNamesEveryServer that is in the way, for whoever needs more than ten names.
func TestMakePlanNamesEveryServer(t *testing.T) {
	inLab(t, fleetSized(12), func(l *lab) {
		var all []string
		for _, server := range l.cloud.Servers() {
			require.NoError(l, l.cloud.Update(server.ID, func(s *emulator.Server) { s.Locked = true }))
			all = append(all, server.Name)
		}
		made := l.makePlan(l.planOf(selectsEvery, func(s *document.Spec) { s.Login.PasswordFrom = "env:REIMAGE_SECRET_NOT_THERE" })).result
		require.Len(l, made.Problems, 2)
		require.Len(l, made.Whole, 2)
		assert.Contains(l, made.Problems[0], "and 2 more; unlock first")
		for _, name := range all {
			assert.Contains(l, made.Whole[0], name)
		}
		assert.NotContains(l, made.Whole[0], "more")
		assert.Equal(l, made.Problems[1], made.Whole[1])

		assert.Empty(l, l.makePlan(l.planOf("role=nobody")).result.Whole)
	})
}

func TestMakePlanWithALostDisk(t *testing.T) {
	deleted := emulator.Fault{Op: emulator.OpBlockDevice, Kind: emulator.Refuse, Code: "Ecs.0114", Status: 404} // since it was listed
	for _, options := range []emulator.Options{fleetSized(12), withFaults(fleetSized(12), deleted)} {
		inLab(t, options, func(l *lab) {
			l.update(func(s *emulator.Server) { s.SystemVolumeID = "" })
			assert.Contains(l, l.problems(l.planOf(selectsEvery)), l.server.Name+" (status ACTIVE)")
		})
	}
}

// TestMakePlanChecksTheSecrets: a rollout must not find out at its first server, nor an operator one by one.
func TestMakePlanChecksTheSecrets(t *testing.T) {
	inLab(t, fleetSized(12), func(l *lab) {
		missing := func(s *document.Spec) { s.Login.PasswordFrom = "env:REIMAGE_SECRET_NOT_THERE" }
		weak := func(s *document.Spec) { s.Login.PasswordFrom = "env:REIMAGE_SECRET_WEAK" }
		nobody := func(s *document.Spec) { s.Select.Tags = []string{"role=nobody"} }
		l.acts.Secrets.LookupEnv = func(name string) (string, bool) { return "pass7", name == "REIMAGE_SECRET_WEAK" }

		says := l.problems(l.planOf(selectsWeb, missing))
		assert.Contains(l, says, "password from env:REIMAGE_SECRET_NOT_THERE: the worker's environment does not hold it")
		says = l.problems(l.planOf(selectsWeb, weak))
		assert.Contains(l, says, "password from env:REIMAGE_SECRET_WEAK: it must have 8 to 26 characters")
		assert.NotContains(l, says, "pass7")
		says = l.problems(l.planOf(selectsWeb, missing, nobody))
		assert.Contains(l, says, "the selection is empty")
		assert.Contains(l, says, "env:REIMAGE_SECRET_NOT_THERE")
	})
}

// TestMakePlanTellsAllAtOnce: what speaks against the servers too, when there is more against the rollout.
func TestMakePlanTellsAllAtOnce(t *testing.T) {
	inLab(t, fleetSized(12), func(l *lab) {
		l.acts.Secrets.LookupEnv = func(name string) (string, bool) { return "pass7", name == "REIMAGE_SECRET_WEAK" }
		says := l.problems(l.planOf(selectsEvery, func(s *document.Spec) {
			s.Image.ID = l.image(largeImage).ID
			s.Select.Expect.Count = new(13)
			s.Login.PasswordFrom = "env:REIMAGE_SECRET_WEAK"
		}))
		assert.Contains(l, says, "the selection comes to 12 servers and exactly 13 is expected")
		assert.Contains(l, says, "12 servers with too small a system disk")
		assert.Contains(l, says, "password from env:REIMAGE_SECRET_WEAK: it must have 8 to 26 characters")
	})
	// What is not there for want of a permission hides what depends on it, and no more.
	denied := func(op string) emulator.Options {
		return withFaults(fleetSized(12), emulator.Fault{Op: op, Kind: emulator.Refuse, Code: "Pdp.0001", Times: -1})
	}
	for op, want := range map[string]struct{ says, hides string }{
		emulator.OpServerGroups: {"12 servers with too small a system disk", ""},
		emulator.OpBlockDevice:  {"exactly 13 is expected", "too small a system disk"},
		emulator.OpServers:      {"env:REIMAGE_SECRET_NOT_THERE", "exactly 13 is expected"},
		emulator.OpImage:        {"env:REIMAGE_SECRET_NOT_THERE", "does not exist"},
	} {
		t.Run(op, func(t *testing.T) {
			inLab(t, denied(op), func(l *lab) {
				says := l.problems(l.planOf(selectsEvery, func(s *document.Spec) {
					s.Image.ID = l.image(largeImage).ID
					s.Select.Expect.Count = new(13)
					s.Login.PasswordFrom = "env:REIMAGE_SECRET_NOT_THERE"
					s.PerGroup.ServerGroup, s.PerGroup.Count = true, new(1)
				}))
				assert.Contains(l, says, "lack a permission")
				assert.Contains(l, says, want.says)
				if want.hides != "" {
					assert.NotContains(l, says, want.hides)
				}
			})
		})
	}
}

// TestMakePlanIsRefusedInSpiteOfTrouble: what is known already is told, whatever becomes of the rest.
func TestMakePlanIsRefusedInSpiteOfTrouble(t *testing.T) {
	inLab(t, withFaults(fleetSized(12), emulator.Fault{Op: emulator.OpBlockDevice, Kind: emulator.ServerError, Times: -1}), func(l *lab) {
		says := l.problems(l.planOf(selectsEvery, func(s *document.Spec) { s.Select.Expect.Count = new(13) }))
		assert.Contains(l, says, "the selection comes to 12 servers and exactly 13 is expected")
	})
}

// TestMakePlanKnowsWhichRollbackIsRefused by the look that comes before it, and says so in the same words.
func TestMakePlanKnowsWhichRollbackIsRefused(t *testing.T) {
	options := stopped()
	options.Images = []emulator.Image{{Name: "windows-2022", OSType: rollout.Windows, MinDiskGB: 40}, {Name: emulator.TargetImageName, MinDiskGB: 40}}
	options.Fleet[0].Tags, options.Fleet[0].SystemDiskGB = []string{selectsWeb}, 40
	inLab(t, options, func(l *lab) {
		huaweicloud, err := edition.Named("huaweicloud")
		require.NoError(l, err)
		l.acts.Profiles[0].Edition = huaweicloud
		windows := l.image("windows-2022").ID
		l.update(func(s *emulator.Server) { s.ImageID = windows })
		plan := l.plan(l.planOf(selectsWeb, func(s *document.Spec) {
			s.Servers.Stopped, s.Budget.OnBreach = document.RuleChange, rollout.BreachRollback
		}))

		back := l.question()
		back.Change = plan.Change
		back.Change.ImageID, back.Change.EvenIfSameImage = plan.Servers[0].Before.ImageID, true
		refusals := l.preflight(back).result.Refusals
		require.Len(l, refusals, 2, "the edition, and no login: %v", refusals)
		assert.Contains(l, plan.Warnings, "1 server cannot be rolled back (one): "+strings.Join(refusals, "; "))
	})
}

// TestMakePlanForTheEdition of the profile, with the facts that the image service serves.
func TestMakePlanForTheEdition(t *testing.T) {
	options := fleetSized(12)
	options.Images = []emulator.Image{{Name: emulator.CurrentImageName}, {Name: emulator.TargetImageName, FCInject: "true"}}
	inLab(t, options, func(l *lab) {
		key := func(s *document.Spec) { s.Login.KeyPair = "fleet-key-01" }
		assert.Contains(l, l.problems(l.planOf(selectsWeb, key)), "api: auto cannot tell what image "+emulator.TargetImageName)

		otc, err := edition.Named("otc")
		require.NoError(l, err)
		l.acts.Profiles[0].Edition = otc
		says := l.problems(l.planOf(selectsWeb, func(s *document.Spec) { s.API, s.AutoPay = "v1", new(true) }))
		assert.Equal(l, 3, strings.Count(says, "the API of edition otc"), says)
		assert.Contains(l, l.plan(l.planOf(selectsWeb, key)).Warnings, "api v2: the API of edition otc has no other version")
	})
}

// TestMakePlanWhileServersChange: a server that is being changed comes with one of the cloud's own.
func TestMakePlanWhileServersChange(t *testing.T) {
	options := stopped()
	options.Fleet = append(options.Fleet, emulator.Server{Name: "two"})
	inLab(t, options, func(l *lab) {
		require.NoError(l, run(l, l.acts.SubmitChangeOS, l.submission(), attempt{}).err)
		time.Sleep(30 * time.Second)
		end := run(l, l.acts.MakePlan, l.planOf("", func(s *document.Spec) {
			s.Select = document.Selection{Names: []string{"*"}}
			s.Servers.Unfit = document.RuleSkip
		}), attempt{})
		require.NoError(l, end.err)
		require.NotNil(l, end.result.Plan, end.result.Problems)
		require.Len(l, end.result.Plan.Servers, 1)
		assert.Equal(l, "two", end.result.Plan.Servers[0].Name)
		require.Len(l, end.result.Plan.Skipped, 1, "and not the temporary server")
		assert.Equal(l, l.server.ID, end.result.Plan.Skipped[0].ID)
	})
}

// TestMakePlanLeavesOutDeletedServers: for a while the cloud may still show a server that was deleted.
func TestMakePlanLeavesOutDeletedServers(t *testing.T) {
	inLab(t, fleetSized(3), func(l *lab) {
		l.answer = func(w http.ResponseWriter, r *http.Request) bool {
			if strings.HasSuffix(r.URL.Path, "/cloudservers/detail") {
				fmt.Fprintf(w, `{"count":1,"servers":[{"id":%q,"status":"DELETED","tags":["env=prod"]}]}`, l.server.ID)
				return true
			}
			return false
		}
		assert.Contains(l, l.problems(l.planOf(selectsEvery)), "the selection is empty")
	})
}

func TestMakePlanUnderThrottling(t *testing.T) {
	throttle := emulator.Fault{Op: emulator.OpAny, Kind: emulator.Throttle, Probability: 0.05, Times: -1}
	trouble := emulator.Fault{Op: emulator.OpAny, Kind: emulator.BadGatewayHTML, Probability: 0.05, Times: -1}
	inLab(t, withFaults(fleetSized(3000), throttle, trouble), func(l *lab) {
		everyID := func(s *document.Spec) {
			s.Select = document.Selection{}
			for _, server := range l.cloud.Servers() {
				s.Select.IDs = append(s.Select.IDs, server.ID)
			}
		}
		assert.Len(l, l.plan(l.planOf(selectsEvery)).Servers, 3000)
		assert.Len(l, l.plan(l.planOf("", everyID)).Servers, 3000)
		assert.Greater(l, l.cloud.Ledger().Requests[serverLists], 3+30, "there was something to be patient with")
	})
}

// TestMakePlanGivesUp: patience has an end, and then Temporal waits, for as long as the cloud asks.
func TestMakePlanGivesUp(t *testing.T) {
	tests := map[string]struct {
		fault emulator.Fault
		kind  string
		final bool
		delay time.Duration
	}{
		"throttled for long": {emulator.Fault{Op: emulator.OpServers, Kind: emulator.Throttle, Times: -1, RetryAfter: 5 * time.Minute}, api.ErrThrottled, false, 5 * time.Minute},
		"trouble":            {emulator.Fault{Op: emulator.OpImage, Kind: emulator.ServerError, Times: -1}, api.ErrCloud, false, 0},
		"groups refused":     {emulator.Fault{Op: emulator.OpServerGroups, Kind: emulator.Refuse, Status: 403, Code: "Ecs.0067"}, api.ErrRefused, true, 0},
		"present image":      {emulator.Fault{Op: emulator.OpImage, Kind: emulator.Refuse, Status: 401, Code: "APIGW.0301", After: 1}, api.ErrCredentials, true, 0},
		"credentials":        {emulator.Fault{Op: emulator.OpServers, Kind: emulator.Refuse, Status: 401, Code: "APIGW.0301"}, api.ErrCredentials, true, 0},
	}
	for name, test := range tests {
		t.Run(name, func(t *testing.T) {
			inLab(t, withFaults(fleetSized(12), test.fault), func(l *lab) {
				end := l.makePlan(l.planOf(selectsEvery, func(s *document.Spec) { s.PerGroup.ServerGroup, s.PerGroup.Count = true, new(1) }))
				assert.Equal(l, test.delay, failsWith(l, end.err, test.kind, test.final).NextRetryDelay())
			})
		})
	}
}

// TestMakePlanWhilePagesShift: servers that go while the list is read move others to pages that were read already.
func TestMakePlanWhilePagesShift(t *testing.T) {
	for name, goes := range map[string]int{"once": 1, "all the time": 99} {
		t.Run(name, func(t *testing.T) {
			inLab(t, fleetSized(2450), func(l *lab) {
				gone := 0
				l.answer = func(_ http.ResponseWriter, r *http.Request) bool {
					if r.URL.Query().Get("offset") == "3" && gone < goes {
						gone++
						assert.NoError(l, l.cloud.Delete(l.cloud.Servers()[0].ID))
					}
					return false
				}
				plan := l.plan(l.planOf(selectsEvery))
				assert.Equal(l, 7, l.cloud.Ledger().Requests[serverLists], "it is read twice, and one server is asked for")
				planned := map[string]bool{}
				for _, s := range plan.Servers {
					planned[s.ID] = true
				}
				for _, s := range l.cloud.Servers() {
					assert.True(l, planned[s.ID], s.Name)
				}
				assert.Len(l, planned, 2449, "and, of those that went, at most the one that went last")
			})
		})
	}
}

// TestMakePlanWhileAChangeShiftsPages: the temporary server of a change comes between two pages. Every server of the
// project is found once, and that one is not adopted.
func TestMakePlanWhileAChangeShiftsPages(t *testing.T) {
	options := fleetSized(2450)
	inLab(t, options, func(l *lab) {
		l.update(func(s *emulator.Server) { s.Status, s.VMState = "SHUTOFF", "stopped" })
		require.NoError(l, run(l, l.acts.SubmitChangeOS, l.submission(), attempt{}).err)
		shifted := false
		l.answer = func(_ http.ResponseWriter, r *http.Request) bool {
			if r.URL.Query().Get("offset") == "2" && !shifted {
				shifted = true
				time.Sleep(20 * time.Second)
			}
			return false
		}
		end := run(l, l.acts.MakePlan, l.planOf("", func(s *document.Spec) {
			s.Select = document.Selection{Names: []string{"*"}}
			s.Servers.Unfit = document.RuleSkip
		}), attempt{})
		require.NoError(l, end.err)
		require.NotNil(l, end.result.Plan, end.result.Problems)
		assert.Equal(l, 6, l.cloud.Ledger().Requests[serverLists], "the list is read again")
		planned := map[string]bool{}
		for _, s := range end.result.Plan.Servers {
			_, ours := l.cloud.Server(s.ID)
			assert.True(l, ours && !planned[s.ID], s.Name)
			planned[s.ID] = true
		}
		assert.Len(l, planned, 2449)
		require.Len(l, end.result.Plan.Skipped, 1)
		assert.Equal(l, l.server.ID, end.result.Plan.Skipped[0].ID)
	})
}

// TestMakePlanOfTenThousandServers also counts what that costs.
func TestMakePlanOfTenThousandServers(t *testing.T) {
	inLab(t, fleetSized(10_000), func(l *lab) {
		plan := l.plan(l.planOf(selectsEvery))
		assert.Len(l, plan.Servers, 10_000)
		assert.Equal(l, map[string]int{serverLists: 12, imageReads: 2, diskReads: 1, serverReads: 1, jobReads: 1}, l.cloud.Ledger().Requests)

		end := l.checkPlan(plan)
		require.NoError(l, end.err)
		assert.Empty(l, end.result.Drift)
		assert.Equal(l, map[string]int{serverLists: 12 + 100, imageReads: 3, diskReads: 1, serverReads: 1, jobReads: 1}, l.cloud.Ledger().Requests)
	})
}

// TestMakePlanIsHandedOver: a worker that stops does not wait until it has read ten thousand servers.
func TestMakePlanIsHandedOver(t *testing.T) {
	throttle := emulator.Fault{Op: emulator.OpServers, Kind: emulator.Throttle, Times: -1, RetryAfter: time.Minute}
	for name, give := range map[string]func() (attempt, func()){
		"stop": func() (attempt, func()) {
			stop := make(chan struct{})
			return attempt{stop: stop}, func() { close(stop) }
		},
		"cancel": func() (attempt, func()) {
			ctx, cancel := context.WithCancel(context.Background())
			return attempt{ctx: ctx}, cancel
		},
	} {
		t.Run(name, func(t *testing.T) {
			inLab(t, withFaults(fleetSized(12), throttle), func(l *lab) {
				a, end := give()
				l.after(90*time.Second, end)
				ended := run(l, l.acts.MakePlan, l.planOf(selectsEvery), a)
				assert.Equal(l, 90*time.Second, ended.took)
				if name == "stop" {
					failsWith(l, ended.err, api.ErrWorkerStopping, false)
				} else {
					require.ErrorContains(l, ended.err, "canceled")
				}
			})
		})
	}
}
