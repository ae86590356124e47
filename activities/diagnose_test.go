package activities_test

import (
	"context"
	"crypto/tls"
	"crypto/x509"
	"encoding/json"
	"fmt"
	"io"
	"log"
	"net"
	"net/http"
	"sync"
	"syscall"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/reimage/reimage/activities/contract"
	"github.com/reimage/reimage/api"
	"github.com/reimage/reimage/ecs"
	"github.com/reimage/reimage/internal/emulator"
	"github.com/reimage/reimage/internal/memnet"
	"github.com/reimage/reimage/internal/testcert"
	"github.com/reimage/reimage/rollout"
	"github.com/reimage/reimage/rollout/document"
)

// diagnosis is what Diagnose found, by check.
type diagnosis struct {
	*lab
	found map[string]api.Finding
}

// diagnose makes one attempt, and checks that it changed nothing, that every check has its finding in the order in
// which they are announced, and that no finding shows a secret.
func (l *lab) diagnose(in contract.DiagnoseInput) diagnosis {
	l.Helper()
	end := run(l, l.acts.Diagnose, in, attempt{})
	require.NoError(l, end.err)
	for _, account := range l.cloud.Ledger().Servers {
		assert.Empty(l, account.Writes)
	}
	for request := range l.cloud.Ledger().Requests {
		assert.Regexp(l, "^GET |^POST /v3/auth/tokens$|^PUT /meta-data/latest/api/token$", request)
	}
	var checks []string
	d := diagnosis{l, map[string]api.Finding{}}
	for _, f := range end.result.Findings {
		checks = append(checks, f.Check)
		d.found[f.Check] = f
		assert.NotEmpty(l, f.Seen, f.Check)
		assert.Equal(l, f.Verdict == api.CheckFailed, f.Fix != "", "%s: what fails has a remedy, and nothing else: %q", f.Check, f.Fix)
	}
	assert.Equal(l, api.DoctorChecks(), checks)
	text, err := json.Marshal(end.result)
	require.NoError(l, err)
	l.showsNoSecret("the diagnosis", string(text))
	assert.NotContains(l, string(text), emulator.DefaultPassword)
	return d
}

// failed requires that these checks have failed and no other one, and gives the first of them.
func (d diagnosis) failed(checks ...string) api.Finding {
	d.Helper()
	var failed []string
	for _, check := range api.DoctorChecks() {
		if d.found[check].Verdict == api.CheckFailed {
			failed = append(failed, check)
		}
	}
	require.Equal(d, checks, failed, "%v", d.found)
	return d.found[checks[0]]
}

// says requires a verdict and the sentence that goes with it.
func (d diagnosis) says(check string, verdict api.Verdict, seen string) {
	d.Helper()
	assert.Equal(d, verdict, d.found[check].Verdict, "%s: %s", check, d.found[check].Seen)
	assert.Contains(d, d.found[check].Seen, seen, check)
}

// skipsFrom requires that a check and all after it were skipped, because of the other one or of one that was
// skipped for its sake.
func (d diagnosis) skipsFrom(check, because string) {
	d.Helper()
	d.says(check, api.CheckSkipped, "not checked: first comes "+because)
	reached := false
	for _, later := range api.DoctorChecks() {
		reached = reached || later == check
		if reached {
			d.says(later, api.CheckSkipped, "not checked")
		}
	}
}

func TestDiagnoseAllIsWell(t *testing.T) {
	inLab(t, stopped(), func(l *lab) {
		d := l.diagnose(contract.DiagnoseInput{ServerID: l.server.ID, ImageID: l.target.ID})
		d.says(api.CheckProfile, api.CheckOK, "default: project "+emulator.DefaultProjectID+", edition any")
		d.says(api.CheckCloud, api.CheckOK, "http://ecs.emulated answers")
		d.says(api.CheckClock, api.CheckOK, "the worker's clock agrees with the cloud's, to two seconds")
		d.says(api.CheckCredentials, api.CheckOK, "accepts them")
		d.says(api.CheckProject, api.CheckOK, emulator.DefaultProjectID)
		d.says(api.CheckListServers, api.CheckOK, "permitted (ecs:cloudServers:list); the project has 1")
		d.says(api.CheckReadServer, api.CheckOK, "permitted (ecs:cloudServers:get)")
		d.says(api.CheckReadDisks, api.CheckOK, "permitted (ecs:cloudServers:listServerBlockDevices)")
		d.says(api.CheckQueryJobs, api.CheckOK, "permitted")
		d.says(api.CheckListGroups, api.CheckOK, "permitted (ecs:cloudServers:listServerGroups)")
		d.says(api.CheckListImages, api.CheckOK, "permitted (ims:images:list)")
		d.says(api.CheckImage, api.CheckOK, emulator.TargetImageName+" is active")
		d.says(api.CheckServer, api.CheckOK, "one is SHUTOFF and fits the image")
		d.says(api.CheckChanges, api.CheckSkipped, "not checked: would change a server; needs ecs:cloudServers:changeOS, ecs:cloudServers:stop and ecs:cloudServers:start")
	})
}

// TestDiagnoseWithoutNames takes any server of the project for the calls, and judges none.
func TestDiagnoseWithoutNames(t *testing.T) {
	options := stopped()
	options.Fleet[0].Locked = true
	inLab(t, options, func(l *lab) {
		d := l.diagnose(contract.DiagnoseInput{})
		d.says(api.CheckReadServer, api.CheckOK, "permitted")
		d.says(api.CheckReadDisks, api.CheckOK, "permitted")
		d.says(api.CheckImage, api.CheckSkipped, "name one with --image")
		d.says(api.CheckServer, api.CheckSkipped, "name one with --server")
	})
}

// TestDiagnoseAnEmptyProject has no server to read.
func TestDiagnoseAnEmptyProject(t *testing.T) {
	inLab(t, stopped(), func(l *lab) {
		l.answer = func(w http.ResponseWriter, r *http.Request) bool {
			empty := r.URL.Query().Get("limit") == "1"
			if empty {
				_, _ = w.Write([]byte(`{"count":0,"servers":[]}`))
			}
			return empty
		}
		d := l.diagnose(contract.DiagnoseInput{})
		d.says(api.CheckReadServer, api.CheckSkipped, "no server is known, name one with --server")
		d.says(api.CheckReadDisks, api.CheckSkipped, "not checked: first comes read a server")
		d.says(api.CheckQueryJobs, api.CheckOK, "permitted")
	})
}

func TestDiagnoseCredentials(t *testing.T) {
	key := ecs.AccessKey{ID: emulator.DefaultAccessKey, Secret: ecs.NewSecret(emulator.DefaultSecretKey)}
	for name, test := range map[string]struct {
		credentials ecs.Credentials
		seen, fix   string
	}{
		"wrong secret key": {ecs.AccessKey{ID: key.ID, Secret: ecs.NewSecret(plantedPassword)}, "verify aksk signature fail", "the secret key is not that of the access key"},
		"wrong access key": {ecs.AccessKey{ID: "ANOTHERACCESSKEY0000", Secret: key.Secret}, "not exist", "this cloud does not know the access key"},
		"an old token":     {ecs.Token{Value: ecs.NewSecret(plantedPassword)}, "APIGW.0307", "the token has ended, or is one of another region"},
	} {
		t.Run(name, func(t *testing.T) {
			inLab(t, stopped(), func(l *lab) {
				l.config.Credentials = test.credentials
				l.acts.Profiles[0].Cloud = l.client(l.config)
				d := l.diagnose(contract.DiagnoseInput{})
				failed := d.failed(api.CheckCredentials)
				assert.Contains(l, failed.Seen, test.seen)
				assert.Contains(l, failed.Fix, test.fix)
				assert.Contains(l, failed.Fix, "docs/configuration.md")
				d.says(api.CheckClock, api.CheckOK, "agrees with the cloud's")
				d.skipsFrom(api.CheckProject, api.CheckCredentials)
				assert.Equal(l, map[string]int{serverLists: 1}, l.cloud.Ledger().Requests, "nothing else is asked in vain")
			})
		})
	}
}

// TestDiagnoseASignIn names the user, the project, or both where the identity service does not say which one is wrong.
func TestDiagnoseASignIn(t *testing.T) {
	const login, usable = "check the user, password and account", " is one of this cloud and region that the user may use"
	const here = `project "` + emulator.DefaultProjectName + `"`
	refuse := func(status int, message string) func(http.ResponseWriter, *http.Request) bool {
		return func(w http.ResponseWriter, _ *http.Request) bool {
			w.WriteHeader(status)
			_, _ = fmt.Fprintf(w, `{"error":{"code":%d,"message":%q}}`, status, message)
			return true
		}
	}
	for name, test := range map[string]struct {
		change func(*ecs.Login)
		answer func(http.ResponseWriter, *http.Request) bool // in place of the emulator's
		check  string
		seen   string
		fix    string
	}{
		"wrong password":     {func(in *ecs.Login) { in.Password = ecs.NewSecret(plantedPassword) }, nil, api.CheckCredentials, "HTTP 401: the cloud's text is not kept", login},
		"wrong project":      {func(in *ecs.Login) { in.ProjectID = otherProject }, nil, api.CheckProject, "HTTP 401: the cloud's text is not kept", "check that project " + otherProject + usable},
		"wrong project name": {func(in *ecs.Login) { in.ProjectName = "eu-other" }, nil, api.CheckProject, "HTTP 401: the cloud's text is not kept", `check that project "eu-other"` + usable},
		"project not found":  {func(*ecs.Login) {}, refuse(404, "Could not find project."), api.CheckProject, "HTTP 404", "check that " + here + usable},
		"either of them":     {func(*ecs.Login) {}, refuse(401, "The user has no role in the project."), api.CheckCredentials, "HTTP 401: the cloud's text is not kept", login + ", and that " + here + usable},
		"no reason":          {func(*ecs.Login) {}, refuse(401, "Unauthorized."), api.CheckCredentials, "HTTP 401", login + ", and that " + here + usable},
	} {
		t.Run(name, func(t *testing.T) {
			inLab(t, stopped(), func(l *lab) {
				in := goodLogin()
				test.change(&in)
				l.signIn(in)
				l.answer = test.answer
				d := l.diagnose(contract.DiagnoseInput{})
				failed := d.failed(test.check)
				assert.Contains(l, failed.Seen, `get a token for user "operator" in project "`)
				assert.Contains(l, failed.Seen, test.seen)
				assert.NotContains(l, failed.Seen, failed.Fix)
				assert.Equal(l, test.fix+"; the worker reads its settings when it starts, so start it anew after a change (docs/configuration.md)", failed.Fix)
				d.says(api.CheckCloud, api.CheckOK, "whoever grants the credentials answers; http://ecs.emulated was not asked")
				d.says(api.CheckClock, api.CheckOK, "agrees with the cloud's") // by the answer of the identity service
				end := run(l, l.acts.Preflight, l.question(), attempt{})
				failsWith(l, end.err, api.ErrCredentials, true)
				assert.ErrorContains(l, end.err, "profile default: ")
				if test.check == api.CheckProject {
					d.says(api.CheckCredentials, api.CheckOK, "the identity service says nothing against them")
					d.skipsFrom(api.CheckListServers, api.CheckProject)
					return
				}
				d.skipsFrom(api.CheckProject, api.CheckCredentials)
			})
		})
	}
}

// TestDiagnoseTheClockByWhoeverAnswers: the identity service, when it grants nothing. A password is not spoilt by the
// clock, so both are wrong.
func TestDiagnoseTheClockByWhoeverAnswers(t *testing.T) {
	options := stopped()
	options.Skew = 20 * time.Minute
	inLab(t, options, func(l *lab) {
		login := goodLogin()
		login.Password = ecs.NewSecret(plantedPassword)
		l.signIn(login)
		d := l.diagnose(contract.DiagnoseInput{})
		assert.Equal(l, "the worker's clock is 20m0s behind the cloud's", d.failed(api.CheckClock, api.CheckCredentials).Seen)

		l.answer = func(w http.ResponseWriter, _ *http.Request) bool {
			w.Header()["Date"] = nil
			w.WriteHeader(http.StatusUnauthorized)
			return true
		}
		l.signIn(login)
		d = l.diagnose(contract.DiagnoseInput{})
		d.says(api.CheckClock, api.CheckSkipped, "no answer of the cloud had a date")
	})
}

func TestDiagnoseTheClock(t *testing.T) {
	for name, test := range map[string]struct {
		ahead  time.Duration // of the cloud
		seen   string
		failed bool
		worse  bool // so much that it is refused
	}{
		"within a date":    {-900 * time.Millisecond, "the worker's clock agrees with the cloud's, to two seconds", false, false},
		"a little off":     {2 * time.Second, "the worker's clock is 2s behind the cloud's", false, false},
		"worth mentioning": {-6 * time.Minute, "the worker's clock is 6m0s ahead of the cloud's", true, false},
		"behind":           {20 * time.Minute, "the worker's clock is 20m0s behind the cloud's", true, true},
		"ahead":            {-20 * time.Minute, "the worker's clock is 20m0s ahead of the cloud's", true, true},
	} {
		t.Run(name, func(t *testing.T) {
			options := stopped()
			options.Skew = test.ahead
			inLab(t, options, func(l *lab) {
				d := l.diagnose(contract.DiagnoseInput{})
				assert.Contains(l, d.found[api.CheckClock].Seen, test.seen)
				if !test.failed {
					d.says(api.CheckClock, api.CheckOK, test.seen)
					return
				}
				assert.Contains(l, d.failed(api.CheckClock).Fix, "set the clock of the worker's machine right")
				if test.worse {
					d.skipsFrom(api.CheckCredentials, api.CheckClock)
				} else {
					d.says(api.CheckListImages, api.CheckOK, "permitted")
				}
			})
		})
	}
}

// TestDiagnoseAWrongKeyWithAClockThatIsOff: the clock is not off enough for the refusal, so both are told.
func TestDiagnoseAWrongKeyWithAClockThatIsOff(t *testing.T) {
	options := stopped()
	options.Skew = 6 * time.Minute
	inLab(t, options, func(l *lab) {
		l.wrongKey()
		l.acts.Profiles[0].Cloud = l.client(l.config)
		d := l.diagnose(contract.DiagnoseInput{})
		d.failed(api.CheckClock, api.CheckCredentials)
		d.says(api.CheckClock, api.CheckFailed, "6m0s behind the cloud's")
		fix := d.found[api.CheckCredentials].Fix
		assert.Contains(l, fix, "the secret key is not that of the access key")
		assert.Contains(l, fix, "the clock of the machine that sent this is 6m0s behind the cloud's")
		d.skipsFrom(api.CheckProject, api.CheckCredentials)
	})
}

func (l *lab) wrongKey() {
	l.config.Credentials = ecs.AccessKey{ID: emulator.DefaultAccessKey, Secret: ecs.NewSecret(plantedPassword)}
}

func TestDiagnoseTheProject(t *testing.T) {
	inLab(t, stopped(), func(l *lab) {
		l.config.ProjectID = otherProject
		l.acts.Profiles[0].Cloud = l.client(l.config)
		d := l.diagnose(contract.DiagnoseInput{})
		failed := d.failed(api.CheckProject)
		assert.Contains(l, failed.Seen, "Ecs.0023")
		assert.Contains(l, failed.Fix, "check its id, and the region: every region has projects of its own")
		d.says(api.CheckProfile, api.CheckOK, "project "+otherProject+", edition any")
		d.says(api.CheckCredentials, api.CheckOK, "accepts them")
		d.skipsFrom(api.CheckListServers, api.CheckProject)
	})
}

// TestDiagnoseTheRegion: the name of the host is wrong, or nothing of the kind is there.
func TestDiagnoseTheRegion(t *testing.T) {
	noAPI := withFaults(stopped(), emulator.Fault{Op: emulator.OpServers, Kind: emulator.Refuse, Code: "APIGW.0101", Status: 404})
	inLab(t, noAPI, func(l *lab) {
		d := l.diagnose(contract.DiagnoseInput{})
		failed := d.failed(api.CheckCloud)
		assert.Contains(l, failed.Seen, "http://ecs.emulated: list servers: HTTP 404 APIGW.0101")
		assert.Contains(l, failed.Fix, "check the region, and the domain or endpoint")
		d.skipsFrom(api.CheckClock, api.CheckCloud)
	})
	inLab(t, stopped(), func(l *lab) {
		l.hostless()
		d := l.diagnose(contract.DiagnoseInput{})
		failed := d.failed(api.CheckCloud)
		assert.Contains(l, failed.Seen, "no such host")
		assert.Contains(l, failed.Fix, "check the region")
	})
}

// unreached gives the worker a cloud where nobody listens.
func (l *lab) unreached() {
	l.config.Dial = func(context.Context, string, string) (net.Conn, error) {
		return nil, &net.OpError{Op: "dial", Net: "tcp", Err: syscall.ECONNREFUSED}
	}
	l.acts.Profiles[0].Cloud = l.client(l.config)
}

// hostless gives the worker a cloud whose host has a name that nobody knows.
func (l *lab) hostless() {
	l.config.Dial = func(context.Context, string, string) (net.Conn, error) {
		return nil, &net.DNSError{Err: "no such host", Name: "ecs.eu-xx.emulated", IsNotFound: true}
	}
	l.acts.Profiles[0].Cloud = l.client(l.config)
}

// TestDiagnoseTheCertificate: nobody has seen the cloud when its certificate cannot be believed, and no answer has a date.
func TestDiagnoseTheCertificate(t *testing.T) {
	for name, test := range map[string]struct {
		prepare   func(*lab)
		seen, fix string
	}{
		"over":            {(*lab).outdated, "certificate has expired or is not yet valid: current time ", "set its clock right; if it is right, the certificate has to be renewed"},
		"of another host": {(*lab).misplaced, "certificate is valid for ecs.eu-de.emulated, not ecs.emulated", "has the certificate of another host: check the region"},
		"of a private CA": {(*lab).distrusted, "unknown authority", "name the file of its CA in SSL_CERT_FILE or OS_CACERT of the worker, or in cacert of its clouds.yaml"},
	} {
		t.Run(name, func(t *testing.T) {
			inLab(t, stopped(), func(l *lab) {
				test.prepare(l)
				l.acts.Profiles[0].Cloud = l.client(l.config)
				d := l.diagnose(contract.DiagnoseInput{})
				failed := d.failed(api.CheckCloud)
				assert.Contains(l, failed.Seen, "https://ecs.emulated: list servers: ")
				assert.Contains(l, failed.Seen, test.seen)
				assert.Contains(l, failed.Fix, test.fix)
				d.skipsFrom(api.CheckClock, api.CheckCloud)
			})
		})
	}
	t.Run("of the identity service", func(t *testing.T) {
		inLab(t, stopped(), func(l *lab) {
			l.secured("iam.emulated", time.Now().Add(-time.Hour))
			identity, err := ecs.NewIdentity(ecs.IdentityConfig{URL: "https://iam.emulated/v3", Dial: l.config.Dial, RootCAs: l.config.RootCAs})
			require.NoError(l, err)
			l.config.Credentials, err = ecs.NewUserToken(identity, goodLogin())
			require.NoError(l, err)
			l.acts.Profiles[0].Cloud = l.client(l.config)
			d := l.diagnose(contract.DiagnoseInput{})
			failed := d.failed(api.CheckCloud)
			assert.Contains(l, failed.Seen, `get a token for user "operator" in project "eu-emulated-1": `)
			assert.Contains(l, failed.Fix, "set its clock right")
		})
	})
}

func (l *lab) outdated()  { l.secured("ecs.emulated", time.Now().Add(-time.Hour)) }
func (l *lab) misplaced() { l.secured("ecs.eu-de.emulated", time.Now().Add(time.Hour)) }
func (l *lab) distrusted() {
	l.secured("ecs.emulated", time.Now().Add(time.Hour))
	l.config.RootCAs = x509.NewCertPool()
}

// secured puts the cloud behind TLS, with a certificate for the host until then.
func (l *lab) secured(host string, until time.Time) {
	certificate, roots := testcert.New(l, host, until.Add(-24*time.Hour), until)
	listener := memnet.Listen()
	server := &http.Server{Handler: l, ErrorLog: log.New(io.Discard, "", 0)} // handshakes fail on purpose
	go func() {
		_ = server.Serve(tls.NewListener(listener, &tls.Config{Certificates: []tls.Certificate{certificate}}))
	}()
	l.Cleanup(func() { _ = server.Close() })
	l.config.ECS, l.config.IMS, l.config.RootCAs, l.config.Dial = "https://ecs.emulated", "https://ims.emulated", roots, listener.Dial
}

// TestPlanNamesWhatIsSetUpWrong as the doctor does, and in time.
func TestPlanNamesWhatIsSetUpWrong(t *testing.T) {
	late := stopped()
	late.Skew = 20 * time.Minute
	skewed := stopped()
	skewed.Skew = 6 * time.Minute
	for name, test := range map[string]struct {
		options emulator.Options
		prepare func(*lab)
		kind    string
		says    string
	}{
		"region":           {stopped(), (*lab).hostless, api.ErrRefused, "no such host (nothing serves this call at that address: check the region"},
		"project":          {stopped(), func(l *lab) { l.config.ProjectID = otherProject }, api.ErrRefused, "profile default: list servers: HTTP 400 Ecs.0023"},
		"secret key":       {stopped(), (*lab).wrongKey, api.ErrCredentials, "the secret key is not that of the access key"},
		"key before clock": {skewed, (*lab).wrongKey, api.ErrCredentials, "the secret key is not that of the access key: set both anew; also, the clock of the machine that sent this is 6m0s behind"},
		"network":          {stopped(), (*lab).unreached, api.ErrRefused, "profile default: list servers: dial tcp: connection refused (see whether that is the right address, and whether the machine of the worker reaches it: network, firewall, HTTPS_PROXY)"},
		"certificate":      {stopped(), (*lab).outdated, api.ErrRefused, "set its clock right; if it is right, the certificate has to be renewed"},
		"host":             {stopped(), (*lab).misplaced, api.ErrRefused, "has the certificate of another host: check the region"},
		"authority":        {stopped(), (*lab).distrusted, api.ErrRefused, "name the file of its CA in SSL_CERT_FILE"},
		"clock":            {late, nil, api.ErrCredentials, "is 20m0s behind the cloud's: set it right there"},
	} {
		t.Run(name, func(t *testing.T) {
			inLab(t, test.options, func(l *lab) {
				if test.prepare != nil {
					test.prepare(l)
					l.acts.Profiles[0].Cloud = l.client(l.config)
				}
				end := l.makePlan(l.planOf("", func(s *document.Spec) {
					s.Select = document.Selection{Names: []string{"*"}}
					s.PerGroup = document.Group{ServerGroup: true, Count: new(1)}
				}))
				failed := failsWith(l, end.err, test.kind, true)
				assert.Contains(l, failed.Message(), test.says)
				l.showsNoSecret("the error", failed.Message())
				assert.Less(l, end.took, time.Minute)
			})
		})
	}
}

// TestDiagnosePermissions: each call by itself, with the action that is missing.
func TestDiagnosePermissions(t *testing.T) {
	for check, test := range map[string]struct{ op, fix string }{
		api.CheckListServers: {emulator.OpServers, "the credentials need the action ecs:cloudServers:list in this project"},
		api.CheckReadServer:  {emulator.OpServer, "the credentials need the action ecs:cloudServers:get in this project"},
		api.CheckReadDisks:   {emulator.OpBlockDevice, "the credentials need the action ecs:cloudServers:listServerBlockDevices in this project"},
		api.CheckQueryJobs:   {emulator.OpJob, "the credentials may not make this call in this project"},
		api.CheckListGroups:  {emulator.OpServerGroups, "the credentials need the action ecs:cloudServers:listServerGroups in this project; only rollouts with perGroup.serverGroup need it"},
		api.CheckListImages:  {emulator.OpImage, "the credentials need the action ims:images:list in this project"},
	} {
		t.Run(check, func(t *testing.T) {
			fault := emulator.Fault{Op: test.op, Kind: emulator.Refuse, Code: "Pdp.0001", Times: -1}
			inLab(t, withFaults(stopped(), fault), func(l *lab) {
				d := l.diagnose(contract.DiagnoseInput{ServerID: l.server.ID, ImageID: l.target.ID})
				failed := d.failed(check)
				assert.Contains(l, failed.Seen, "HTTP 403 Pdp.0001: The policy does not allow this operation.")
				assert.Contains(l, failed.Fix, test.fix)
				d.says(api.CheckProject, api.CheckOK, "")
			})
		})
	}
}

// TestDiagnoseTheJobQuery: what a cloud says of a job that there is not is published nowhere. An answer about the job
// shows that the credentials may ask.
func TestDiagnoseTheJobQuery(t *testing.T) {
	refuse := func(status int, code string) emulator.Fault {
		return emulator.Fault{Op: emulator.OpJob, Kind: emulator.Refuse, Code: code, Status: status}
	}
	for name, test := range map[string]struct {
		fault     emulator.Fault
		seen, fix string // no fix means permitted
	}{
		"unknown":              {refuse(400, "Common.0011"), "permitted", ""},
		"unknown, 404":         {refuse(404, "Common.0011"), "permitted", ""},
		"a sub-job":            {refuse(400, "Common.0021"), "permitted; of a job that there is not, the cloud says HTTP 400 Common.0021", ""},
		"a query that failed":  {refuse(400, "Common.0025"), "permitted; of a job that there is not, the cloud says HTTP 400 Common.0025", ""},
		"a parameter":          {refuse(400, "Ecs.0005"), "permitted; of a job that there is not, the cloud says HTTP 400 Ecs.0005", ""},
		"denied":               {refuse(403, "Ecs.0003"), "Ecs.0003", "no action of its own is published for it, so look for what denies it in their policies, or give them a role with access to ECS"},
		"the wrong project":    {refuse(400, "Common.0018"), "Common.0018", "check its id"},
		"an old token":         {refuse(401, "Common.0013"), "Common.0013", "the token has ended"},
		"another region":       {refuse(404, "APIGW.0101"), "APIGW.0101", "check the region"},
		"throttled":            {emulator.Fault{Op: emulator.OpJob, Kind: emulator.Throttle}, "HTTP 429", "wait a minute"},
		"an internal error":    {refuse(500, "Common.0001"), "HTTP 500", "ask the cloud's support"},
		"a page of the proxy":  {emulator.Fault{Op: emulator.OpJob, Kind: emulator.BadGatewayHTML, Status: 403}, "web page", "ask the cloud's support"},
		"a connection is lost": {emulator.Fault{Op: emulator.OpJob, Kind: emulator.DropBefore, Times: -1}, "read job", "firewall"},
	} {
		t.Run(name, func(t *testing.T) {
			inLab(t, withFaults(stopped(), test.fault), func(l *lab) {
				d := l.diagnose(contract.DiagnoseInput{})
				if test.fix == "" {
					assert.Equal(l, api.Finding{Check: api.CheckQueryJobs, Verdict: api.CheckOK, Seen: test.seen}, d.found[api.CheckQueryJobs])
					return
				}
				failed := d.failed(api.CheckQueryJobs)
				assert.Contains(l, failed.Seen, test.seen)
				assert.Contains(l, failed.Fix, test.fix)
			})
		})
	}
}

// TestDiagnoseACloudWithoutGroups: few rollouts need them, so that they are missing is no failure.
func TestDiagnoseACloudWithoutGroups(t *testing.T) {
	refuse := func(status int, code string) emulator.Fault {
		return emulator.Fault{Op: emulator.OpServerGroups, Kind: emulator.Refuse, Code: code, Status: status}
	}
	for name, test := range map[string]struct {
		fault  emulator.Fault
		seen   string
		failed bool
	}{
		"no such API":             {refuse(404, "APIGW.0101"), "HTTP 404 APIGW.0101", false},
		"a page":                  {emulator.Fault{Op: emulator.OpServerGroups, Kind: emulator.BadGatewayHTML, Status: 404}, "HTTP 404", false},
		"no such method":          {refuse(405, "Ecs.9999"), "HTTP 405", false},
		"not implemented":         {refuse(501, "Ecs.9999"), "HTTP 501", false},
		"taken for a server's id": {refuse(404, "Ecs.0114"), "HTTP 404 Ecs.0114", false},
		"taken for a bad id":      {refuse(400, "Ecs.0005"), "HTTP 400 Ecs.0005", false},
		"denied":                  {refuse(403, "Pdp.0001"), "HTTP 403 Pdp.0001", true},
		"an internal error":       {refuse(500, "Common.0001"), "HTTP 500 Common.0001", true},
		"throttled":               {emulator.Fault{Op: emulator.OpServerGroups, Kind: emulator.Throttle}, "HTTP 429", true},
	} {
		t.Run(name, func(t *testing.T) {
			inLab(t, withFaults(stopped(), test.fault), func(l *lab) {
				d := l.diagnose(contract.DiagnoseInput{})
				const use = "only rollouts with perGroup.serverGroup need it"
				if test.failed {
					failed := d.failed(api.CheckListGroups)
					assert.Contains(l, failed.Seen, test.seen)
					assert.Contains(l, failed.Fix, use)
					return
				}
				d.says(api.CheckListGroups, api.CheckSkipped, "this cloud does not seem to list groups: list server groups: "+test.seen)
				d.says(api.CheckListGroups, api.CheckSkipped, use)
				d.says(api.CheckListImages, api.CheckOK, "permitted")
			})
		})
	}
}

// TestDiagnoseTrouble: a cloud that does not answer as it should is no fault of the settings.
func TestDiagnoseTrouble(t *testing.T) {
	for name, test := range map[string]struct {
		fault     emulator.Fault
		seen, fix string
	}{
		"throttled": {emulator.Fault{Kind: emulator.Throttle}, "HTTP 429", "wait a minute and try again"},
		"500":       {emulator.Fault{Kind: emulator.ServerError}, "HTTP 500", "ask the cloud's support, and name the request"},
		"a page":    {emulator.Fault{Kind: emulator.BadGatewayHTML}, "HTTP 502", "ask the cloud's support"},
		"reset":     {emulator.Fault{Kind: emulator.DropBefore}, "http://ecs.emulated: list servers: ", "HTTPS_PROXY"},
		"silence":   {emulator.Fault{Kind: emulator.HangBefore}, "http://ecs.emulated: list servers: ", "firewall"},
		"barred":    {emulator.Fault{Kind: emulator.Refuse, Code: "APIGW.0401", Status: 403}, "APIGW.0401", "ask the cloud's support"},
	} {
		t.Run(name, func(t *testing.T) {
			test.fault.Op = emulator.OpServers
			inLab(t, withFaults(stopped(), test.fault), func(l *lab) {
				d := l.diagnose(contract.DiagnoseInput{})
				failed := d.failed(api.CheckCloud)
				assert.Contains(l, failed.Seen, test.seen)
				assert.Contains(l, failed.Fix, test.fix)
				d.skipsFrom(api.CheckClock, api.CheckCloud)
			})
		})
	}
}

// TestDiagnoseTakesNoLongerThanSomebodyWaits: what there was no time to ask is not called good, and what needs no
// question is told all the same.
func TestDiagnoseTakesNoLongerThanSomebodyWaits(t *testing.T) {
	slow := emulator.Fault{Op: emulator.OpAny, Kind: emulator.Latency, Delay: 28 * time.Second, Times: -1}
	inLab(t, withFaults(stopped(), slow), func(l *lab) {
		begun := time.Now()
		d := l.diagnose(contract.DiagnoseInput{ServerID: l.server.ID, ImageID: l.target.ID})
		assert.Equal(l, 100*time.Second, time.Since(begun))
		d.failed(api.CheckQueryJobs, api.CheckListGroups, api.CheckListImages)
		d.says(api.CheckListImages, api.CheckFailed, "not asked: the answers before took all of 1m40s")
		assert.Contains(l, d.found[api.CheckListImages].Fix, "a slow way to the cloud")
		d.says(api.CheckImage, api.CheckSkipped, "first comes list images")
		d.says(api.CheckServer, api.CheckOK, "one is SHUTOFF")

		l.remembers(l.changed(rollout.StatusShutoff, "job-1"))
		d = l.diagnose(contract.DiagnoseInput{ServerID: l.server.ID, ImageID: l.target.ID})
		d.says(api.CheckServer, api.CheckFailed, "not known what was sent to it: the answers took all of 1m40s")
		assert.NotContains(l, d.found[api.CheckServer].Fix, "Temporal", "which has told all")
	})
}

// TestDiagnoseABusyWorker: the calls of the checks wait behind those of everything else that the worker does. What
// was not asked for that reason says nothing about the network.
func TestDiagnoseABusyWorker(t *testing.T) {
	const noTurn = "it did not get its turn in time"
	busy := func(t *testing.T, readers int, test func(l *lab)) {
		inLab(t, stopped(), func(l *lab) {
			l.config.CallsPerSecond = 2
			cloud := l.client(l.config)
			l.acts.Profiles[0].Cloud = cloud
			ctx, cancel := context.WithCancel(l.Context())
			var reading sync.WaitGroup
			for range readers {
				reading.Go(func() {
					for ctx.Err() == nil {
						_, _ = cloud.Server(ctx, l.server.ID)
					}
				})
			}
			synctest.Wait()
			test(l)
			cancel()
			reading.Wait()
		})
	}
	t.Run("for the first call", func(t *testing.T) {
		busy(t, 150, func(l *lab) {
			d := l.diagnose(contract.DiagnoseInput{})
			failed := d.failed(api.CheckCloud)
			assert.Contains(l, failed.Seen, "http://ecs.emulated: list servers: "+noTurn)
			assert.Equal(l, "wait until less is under way, or allow more calls per second if the cloud bears them (docs/configuration.md#limits)", failed.Fix)
			d.skipsFrom(api.CheckClock, api.CheckCloud)
		})
	})
	t.Run("for a later one", func(t *testing.T) {
		busy(t, 60, func(l *lab) {
			d := l.diagnose(contract.DiagnoseInput{})
			failed := d.failed(api.CheckReadServer, api.CheckQueryJobs, api.CheckListGroups, api.CheckListImages)
			assert.Contains(l, failed.Seen, noTurn)
			assert.Contains(l, failed.Fix, "allow more calls per second")
			d.says(api.CheckListServers, api.CheckOK, "permitted")
			d.says(api.CheckQueryJobs, api.CheckFailed, "not asked: the answers before took all of 1m40s")
			d.says(api.CheckChanges, api.CheckSkipped, "would change a server")
		})
	})
}

func TestDiagnoseNames(t *testing.T) {
	inLab(t, stopped(), func(l *lab) {
		d := l.diagnose(contract.DiagnoseInput{ServerID: unknownID, ImageID: unknownID})
		assert.Contains(l, d.failed(api.CheckImage, api.CheckServer).Seen, "image "+unknownID+" does not exist in this region")
		d.says(api.CheckServer, api.CheckFailed, "server "+unknownID+" does not exist in project "+emulator.DefaultProjectID)
		d.says(api.CheckReadServer, api.CheckOK, "permitted")

		l.update(func(s *emulator.Server) { s.Locked, s.Frozen = true, true })
		d = l.diagnose(contract.DiagnoseInput{ServerID: l.server.ID})
		failed := d.failed(api.CheckServer)
		assert.Contains(l, failed.Seen, "is locked")
		assert.Contains(l, failed.Seen, "is frozen")

		d = l.diagnose(contract.DiagnoseInput{ServerID: "web-07", ImageID: "ubuntu"})
		d.failed(api.CheckReadServer, api.CheckImage)
		assert.Contains(l, d.found[api.CheckImage].Fix, "name it by its id")

		d = l.diagnose(contract.DiagnoseInput{Profile: "edge"})
		assert.Contains(l, d.failed(api.CheckProfile).Seen, `profile "edge" is not one of the workers'`)
		d.skipsFrom(api.CheckCloud, api.CheckProfile)
	})
}

// TestDiagnoseTheSecrets by their references, whatever the cloud says. What is wrong names the reference and the worker.
func TestDiagnoseTheSecrets(t *testing.T) {
	inLab(t, stopped(), func(l *lab) {
		l.acts.Secrets.Worker = "4711@build-07"
		d := l.diagnose(contract.DiagnoseInput{})
		d.says(api.CheckSecrets, api.CheckSkipped, "not checked: name a reference with --secret")

		d = l.diagnose(contract.DiagnoseInput{Secrets: []rollout.SecretRef{"env:REIMAGE_SECRET_ROOT_PASSWORD", "env:REIMAGE_SECRET_CLOUD_CONFIG"}})
		d.says(api.CheckSecrets, api.CheckOK, "this worker can read: env:REIMAGE_SECRET_ROOT_PASSWORD, env:REIMAGE_SECRET_CLOUD_CONFIG")
		for _, f := range d.found {
			assert.Equal(l, "4711@build-07", f.Worker, f.Check)
		}

		d = l.diagnose(contract.DiagnoseInput{Profile: "edge", Secrets: []rollout.SecretRef{
			"env:REIMAGE_SECRET_ROOT_PASSWORD", "env:REIMAGE_SECRET_GONE", "file:init.yaml", "env:HUAWEICLOUD_SDK_SK",
		}})
		failed := d.failed(api.CheckSecrets, api.CheckProfile)
		assert.Equal(l, "env:REIMAGE_SECRET_GONE: the worker's environment does not hold it (worker 4711@build-07); "+
			"file:init.yaml: the worker has no secrets folder (REIMAGE_SECRETS_DIR) (worker 4711@build-07); "+
			"env:HUAWEICLOUD_SDK_SK: only variables of the worker that begin with REIMAGE_SECRET_ are handed out: "+
			"use env:REIMAGE_SECRET_NAME, and give the worker that variable", failed.Seen)

		l.acts.Secrets.Dir = l.TempDir() + "/gone"
		d = l.diagnose(contract.DiagnoseInput{})
		assert.Contains(l, d.failed(api.CheckSecrets).Seen, "REIMAGE_SECRETS_DIR: there is no folder "+l.acts.Secrets.Dir)
	})
}

// TestDiagnoseWhetherTheImageFits says why not.
func TestDiagnoseWhetherTheImageFits(t *testing.T) {
	options := stopped()
	options.Images = []emulator.Image{{Name: "small", MinDiskGB: 40}, {Name: "large", MinDiskGB: 1000}, {Name: "queued", Status: "queued", MinDiskGB: 40}, {Name: "uefi", Firmware: "uefi", MinDiskGB: 40}}
	options.Fleet[0].SystemDiskGB = 40
	inLab(t, options, func(l *lab) {
		for name, check := range map[string]string{"large": api.CheckServer, "uefi": api.CheckServer, "queued": api.CheckImage} {
			d := l.diagnose(contract.DiagnoseInput{ServerID: l.server.ID, ImageID: l.image(name).ID})
			assert.Contains(l, d.failed(check).Seen, "image "+name)
		}
	})
}

// TestDiagnoseThatIsCancelled is no diagnosis.
func TestDiagnoseThatIsCancelled(t *testing.T) {
	inLab(t, withFaults(stopped(), emulator.Fault{Op: emulator.OpServers, Kind: emulator.HangBefore}), func(l *lab) {
		ctx, cancel := context.WithCancel(l.Context())
		defer cancel()
		l.after(5*time.Second, cancel)
		end := run(l, l.acts.Diagnose, contract.DiagnoseInput{}, attempt{ctx: ctx})
		require.ErrorContains(l, end.err, "context canceled")
		assert.Empty(l, end.result.Findings)
	})
}
