package activities_test

import (
	"context"
	"net"
	"net/http"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
	"go.temporal.io/sdk/temporal"

	"github.com/reimage/reimage/activities"
	"github.com/reimage/reimage/activities/contract"
	"github.com/reimage/reimage/api"
	"github.com/reimage/reimage/ecs"
	"github.com/reimage/reimage/internal/emulator"
	"github.com/reimage/reimage/rollout/document"
)

const projects = "GET /v3/projects"

// named is a profile of which the settings only name the project, with the lab's key or as a user.
func (l *lab) named(profile string, login *ecs.Login) activities.Profile {
	l.Helper()
	config := l.config
	config.ProjectID, config.FindProject = "", l.identity().FindProject(config.Credentials, emulator.DefaultProjectName)
	if login != nil {
		user, err := ecs.NewUserToken(l.identity(), *login)
		require.NoError(l, err)
		config.Credentials, config.FindProject = user, user.ProjectID
	}
	return activities.Profile{Name: profile, Cloud: l.client(config)}
}

// known is a profile of another project.
func (l *lab) known(profile string) activities.Profile {
	l.Helper()
	config := l.config
	config.ProjectID = otherProject
	return activities.Profile{Name: profile, Cloud: l.client(config)}
}

func (l *lab) planned(profile string) ended[contract.MakePlanResult] {
	l.Helper()
	return l.makePlan(l.planOf("", func(s *document.Spec) { s.Select, s.Profile = document.Selection{IDs: []string{l.server.ID}}, profile }))
}

// TestProjectIsFoundOnce, by the first of many who need it.
func TestProjectIsFoundOnce(t *testing.T) {
	login := goodLogin()
	for name, as := range map[string]*ecs.Login{"key": nil, "user": &login} {
		t.Run(name, func(t *testing.T) {
			inLab(t, stopped(), func(l *lab) {
				l.acts.Profiles = []activities.Profile{l.named("web", as)}
				var callers sync.WaitGroup
				for range 20 {
					callers.Go(func() { assert.NoError(l, l.acts.Open(l.Context(), "web")) })
				}
				callers.Wait()
				plan := l.planned("web")
				require.NoError(l, plan.err)
				require.NotNil(l, plan.result.Plan, plan.result.Problems)
				assert.Equal(l, emulator.DefaultProjectID, plan.result.Plan.Project)
				assert.Empty(l, l.checkPlan(*plan.result.Plan).result.Drift)
				require.NoError(l, l.submit(attempt{}).err)
				assert.Equal(l, 1, l.asked(projects)+l.asked(tokens))
			})
		})
	}
}

// TestProjectThatIsNotFound is named by whoever is asked, with the profile, the cause and the remedy. The service is
// not asked more often for that, and once it is mended the profile works without a start of the worker.
func TestProjectThatIsNotFound(t *testing.T) {
	refuse := func(status int, body string) http.HandlerFunc {
		return func(w http.ResponseWriter, _ *http.Request) {
			w.WriteHeader(status)
			_, _ = w.Write([]byte(body))
		}
	}
	login := goodLogin()
	login.Password = ecs.NewSecret(plantedPassword)
	right := goodLogin()
	nowhere := right
	nowhere.ProjectName = "nowhere"
	const mayNotList = "the credentials may not list projects (GET /v3/projects): grant them that in the identity service, or set the id of the project in place of its name"
	for name, test := range map[string]struct {
		login  *ecs.Login
		answer http.HandlerFunc
		check  string
		kind   string
		says   []string
		fix    string
		pause  time.Duration // until it is asked again
	}{
		"password": {&login, nil, api.CheckCredentials, api.ErrCredentials,
			[]string{"the cloud refuses the credentials of profile web: find the project of profile web: get a token for user", "HTTP 401: the cloud's text is not kept"}, "check the user, password and account", 5 * time.Minute},
		"project of a user": {&nowhere, nil, api.CheckProject, api.ErrCredentials,
			[]string{"identity: ): find the project of profile web: get a token for user", `in project "nowhere"`, "HTTP 401: the cloud's text is not kept"}, "is one of this cloud and region that the user may use", 5 * time.Minute},
		"project of a key": {nil, refuse(200, `{"projects": []}`), api.CheckProject, api.ErrCredentials,
			[]string{"(type: MakePlan, scheduledEventID: 0, startedEventID: 0, identity: ): find the project of profile web: look up project \"eu-emulated-1\"", "the credentials reach 0 projects of that name"}, "check the name and the region", 5 * time.Minute},
		"permission": {nil, refuse(403, `{"error_code":"Pdp.0001","error_msg":"denied by policy"}`), api.CheckProject, api.ErrCredentials,
			[]string{"credentials of profile web", "look up project", "Pdp.0001"}, mayNotList, 5 * time.Minute},
		"permission, in the words of the service": {nil, refuse(403, `{"error":{"code":403,"message":"You have no right to do this action","title":"Forbidden"}}`), api.CheckProject, api.ErrCredentials,
			[]string{"credentials of profile web", "look up project", "You have no right", mayNotList}, mayNotList, 5 * time.Minute},
		"a service that is down": {&right, down, api.CheckCloud, api.ErrCloud,
			[]string{"find the project of profile web: get a token for user", "HTTP 503"}, "network", 10 * time.Second},
	} {
		t.Run(name, func(t *testing.T) {
			inLab(t, stopped(), func(l *lab) {
				l.acts.Profiles = []activities.Profile{l.named("web", test.login), l.known("edge")}
				over := func() {}
				if test.answer != nil {
					_, over = l.instead("/v3/", test.answer)
				}
				began := time.Now()
				plan := l.planned("web")
				failsWith(l, plan.err, test.kind, true)
				for _, says := range test.says {
					assert.ErrorContains(l, plan.err, says)
				}
				assert.Less(l, time.Since(began), time.Second, "somebody waits")

				d := l.diagnose(contract.DiagnoseInput{Profile: "web"})
				d.says(api.CheckProfile, api.CheckOK, "web; which project it is, is not known")
				failed := d.failed(test.check)
				assert.Contains(l, failed.Seen, "and not again before "+began.Add(test.pause).UTC().Format(time.RFC3339))
				assert.Contains(l, failed.Fix, test.fix)
				look := l.question()
				look.Project, look.Profile = "", "web"
				failsWith(l, run(l, l.acts.Preflight, look, attempt{}).err, test.kind, test.kind == api.ErrCredentials)
				l.showsNoSecret("doctor and plan", failed.Seen+failed.Fix+plan.err.Error())

				over()
				time.Sleep(test.pause - time.Second)
				require.Error(l, l.acts.Open(l.Context(), "web"))
				if test.login == &login || test.login == &nowhere {
					assert.Equal(l, 1, l.asked(tokens), "clouds lock users")
					return
				}
				assert.Zero(l, l.asked(tokens)+l.asked(projects))
				time.Sleep(time.Second)
				require.NoError(l, l.acts.Open(l.Context(), "web"))
				assert.NotNil(l, l.planned("web").result.Plan)
			})
		})
	}
}

// TestWorkAwaitsItsProject: a worker that cannot find out a project does not say that nobody serves it. What is under
// way waits, what comes next is not begun, and all of it goes on afterwards.
func TestWorkAwaitsItsProject(t *testing.T) {
	inLab(t, stopped(), func(l *lab) {
		id := l.server.ID
		right := goodLogin()
		l.acts.Profiles = []activities.Profile{l.named("web", &right)}
		plan := l.planned("web")
		require.NotNil(l, plan.result.Plan, plan.result.Problems)

		l.acts.Profiles = []activities.Profile{l.named("web", &right), l.known("edge")} // another worker
		refused, over := l.instead("/v3/", func(w http.ResponseWriter, _ *http.Request) { w.WriteHeader(http.StatusUnauthorized) })
		submission := l.submission()
		submission.Project = emulator.DefaultProjectID
		for name, err := range map[string]error{
			"stop":    run(l, l.acts.StopIfNeeded, contract.StopIfNeededInput{Project: emulator.DefaultProjectID, ServerID: id}, attempt{}).err,
			"submit":  run(l, l.acts.SubmitChangeOS, submission, attempt{}).err,
			"poll":    run(l, l.acts.PollJob, contract.PollJobInput{Project: emulator.DefaultProjectID, JobID: "1"}, attempt{}).err,
			"verify":  run(l, l.acts.VerifyServer, contract.VerifyServerInput{Project: emulator.DefaultProjectID, ServerID: id}, attempt{}).err,
			"restore": run(l, l.acts.RestorePower, contract.RestorePowerInput{Project: emulator.DefaultProjectID, ServerID: id, On: true}, attempt{}).err,
		} {
			failsWith(l, err, api.ErrCredentials, false)
			assert.ErrorContains(l, err, "the cloud refuses the credentials of profile web: find the project of profile web: ", name)
		}
		look := l.question()
		look.Project = emulator.DefaultProjectID
		failsWith(l, run(l, l.acts.Preflight, look, attempt{}).err, api.ErrCredentials, true)
		failsWith(l, l.checkPlan(*plan.result.Plan).err, api.ErrCredentials, true)
		assert.EqualValues(l, 1, refused.Load(), "one sign-in for all of them")

		over()
		time.Sleep(5 * time.Minute)
		require.NoError(l, run(l, l.acts.SubmitChangeOS, submission, attempt{}).err)
		assert.Equal(l, 1, l.changes())
		submission.Project = "0a1b2c3d4e5f60718293a4b5c6d7e8f9"
		failsWith(l, run(l, l.acts.SubmitChangeOS, submission, attempt{}).err, api.ErrNotReady, false)
	})
}

// TestOneProfileDoesNotHoldUpAnother, not even while its identity service hangs.
func TestOneProfileDoesNotHoldUpAnother(t *testing.T) {
	inLab(t, stopped(), func(l *lab) {
		right := goodLogin()
		good := activities.Profile{Name: "good", Cloud: l.client(l.config)}
		l.acts.Profiles = []activities.Profile{l.named("bad", &right), good}
		asked, _ := l.instead("/v3/", hang)
		ctx, cancel := context.WithCancel(l.Context())
		defer cancel()
		go func() { _ = l.acts.Open(ctx, "bad") }()
		time.Sleep(time.Second)

		began := time.Now()
		require.NotNil(l, l.planned("good").result.Plan)
		in := l.submission()
		in.Project = emulator.DefaultProjectID
		require.NoError(l, run(l, l.acts.SubmitChangeOS, in, attempt{}).err)
		assert.Less(l, time.Since(began), 2*time.Second)
		assert.EqualValues(l, 1, asked.Load())
	})
}

// TestTwoProfilesOfOneProject are found out late where only its name is known. Nobody chooses one of them any more;
// what is under way goes on.
func TestTwoProfilesOfOneProject(t *testing.T) {
	inLab(t, stopped(), func(l *lab) {
		right := goodLogin()
		l.acts.Profiles = []activities.Profile{l.named("web", nil), l.named("user", &right)}
		plan := l.planned("web")
		require.NotNil(l, plan.result.Plan, "the other one is not known yet")
		const twins = "profiles user and web are of the same project, " + emulator.DefaultProjectID + ": leave one of them out"
		assert.Equal(l, []string{twins}, l.planned("user").result.Problems)
		look := l.question()
		look.Project, look.Profile = "", "user"
		assert.Equal(l, []string{twins}, l.preflight(look).result.Refusals)
		assert.Equal(l, twins, l.diagnose(contract.DiagnoseInput{Profile: "user"}).failed(api.CheckProfile).Seen)
		assert.Contains(l, l.planned("web").result.Problems[0], "profiles web and user are of the same project")

		assert.Empty(l, l.checkPlan(*plan.result.Plan).result.Drift)
		in := l.submission()
		in.Project = emulator.DefaultProjectID
		require.NoError(l, run(l, l.acts.SubmitChangeOS, in, attempt{}).err)
	})
}

// TestPlanTellsOfAClockThatIsOff while the cloud still bears it.
func TestPlanTellsOfAClockThatIsOff(t *testing.T) {
	for skew, says := range map[time.Duration]string{
		4 * time.Minute: "", 6 * time.Minute: "6m0s behind the cloud's", -6 * time.Minute: "6m0s ahead of the cloud's",
	} {
		options := fleetSized(3)
		options.Skew = skew
		inLab(t, options, func(l *lab) {
			warnings := strings.Join(l.plan(l.planOf(selectsEvery)).Warnings, "\n")
			if says == "" {
				assert.NotContains(l, warnings, "clock")
				return
			}
			assert.Contains(l, warnings, "the worker's clock is "+says+": set it right (NTP), signatures that are 15 minutes off are refused")
		})
	}
}

// TestSkewedClockIsNoWrongProject: the first request is then that for the project.
func TestSkewedClockIsNoWrongProject(t *testing.T) {
	options := stopped()
	options.Skew = 20 * time.Minute
	inLab(t, options, func(l *lab) {
		l.acts.Profiles = []activities.Profile{l.named("web", nil)}
		assert.Equal(l, "the worker's clock is 20m0s behind the cloud's", l.diagnose(contract.DiagnoseInput{}).failed(api.CheckClock).Seen)
	})
}

// TestServerWithoutMetadata: a plan of a worker that nobody gave credentials ends at once, and says so.
func TestServerWithoutMetadata(t *testing.T) {
	inLab(t, stopped(), func(l *lab) {
		nobody := func(context.Context, string, string) (net.Conn, error) { return nil, syscall.EHOSTUNREACH }
		l.workWithKeysFrom(ecs.MetadataConfig{Dial: nobody})
		plan := l.planned("")
		failsWith(l, plan.err, api.ErrRefused, true)
		assert.ErrorContains(l, plan.err, "give it an agency, or set the credentials to use")
		d := l.diagnose(contract.DiagnoseInput{})
		assert.Contains(l, d.failed(api.CheckCredentials).Fix, "give it an agency")
		d.says(api.CheckCloud, api.CheckSkipped, "http://ecs.emulated was not asked: nobody answers where the credentials come from")
		d.skipsFrom(api.CheckProject, api.CheckCredentials)
	})
}

// TestMetadataStumbles: that passes, and is no reason to give the server an agency that it has.
func TestMetadataStumbles(t *testing.T) {
	for name, answer := range map[string]http.HandlerFunc{
		"down":      down,
		"broken":    func(w http.ResponseWriter, _ *http.Request) { w.WriteHeader(http.StatusInternalServerError) },
		"throttled": func(w http.ResponseWriter, _ *http.Request) { w.WriteHeader(http.StatusTooManyRequests) },
		"hangs":     hang,
	} {
		t.Run(name, func(t *testing.T) {
			for _, prefix := range []string{"/", "/openstack/"} {
				inLab(t, stopped(), func(l *lab) {
					l.workOnAServer()
					_, over := l.instead(prefix, answer)
					l.unblamed(run(l, l.acts.StopIfNeeded, contract.StopIfNeededInput{ServerID: l.server.ID}, attempt{}).err)
					time.Sleep(time.Minute)
					l.unblamed(l.planned("").err)
					assert.NotContains(l, l.diagnose(contract.DiagnoseInput{}).failed(api.CheckCloud).Fix, "agency")
					over()
					time.Sleep(time.Minute)
					require.NoError(l, l.look())
				})
			}
		})
	}
}

// unblamed is the error of trouble that passes.
func (l *lab) unblamed(err error) {
	l.Helper()
	require.Error(l, err)
	assert.NotContains(l, err.Error(), "give it an agency")
	var app *temporal.ApplicationError
	require.ErrorAs(l, err, &app)
	assert.NotEqual(l, api.ErrRefused, app.Type())
	assert.False(l, app.NonRetryable(), err.Error())
}

// TestAgencyAndProjectFailAsOne: what is remembered of the keys is not remembered once more of the project.
func TestAgencyAndProjectFailAsOne(t *testing.T) {
	options := stopped()
	options.NoAgency = true
	inLab(t, options, func(l *lab) {
		agency := l.workOnAServer()
		config := l.config
		config.Credentials = agency
		config.ProjectID, config.FindProject = "", l.identity().FindProject(agency, emulator.DefaultProjectName)
		l.acts.Profiles = []activities.Profile{{Name: "web", Cloud: l.client(config)}}
		require.Error(l, agency.Check(l.Context()))
		for range 5 {
			time.Sleep(time.Minute - time.Second)
			err := l.acts.Open(l.Context(), "web")
			require.Error(l, err)
			assert.Equal(l, 1, strings.Count(err.Error(), "and not again before"), err.Error())
		}
		assert.Equal(l, 1, l.asked(keys))
		time.Sleep(time.Minute)
		require.Error(l, l.acts.Open(l.Context(), "web"))
		assert.Equal(l, 2, l.asked(keys))
	})
}
