package emulator_test

import (
	"errors"
	"net/http"
	"net/http/httptest"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/reimage/reimage/internal/emulator"
	"github.com/reimage/reimage/rollout/edition"
)

const changePath = "/v2/{project}/cloudservers/{id}/changeos"

// sendChange asks for a change over real HTTP.
func sendChange(c cloud, client *http.Client, base string) (reply, error) {
	id := c.only()
	return send(client, base, "POST", strings.ReplaceAll(changePath, "{id}", id), `{"os-change":{"imageid":"`+c.target()+`"}}`)
}

// under returns options with one stopped server, exact durations and one fault on changeos.
func under(f emulator.Fault) emulator.Options {
	o := exact(stopped())
	if f.Op == "" {
		f.Op = "changeos"
	}
	o.Faults = []emulator.Fault{f}
	return o
}

func TestFaultsOfTheConnection(t *testing.T) {
	for _, test := range []struct {
		fault    emulator.Fault
		timeout  bool // the client gives up at its deadline
		accepted int
	}{
		{emulator.Fault{Kind: "drop_before"}, false, 0},
		{emulator.Fault{Kind: "drop_after"}, false, 1},
		{emulator.Fault{Kind: "hang_before"}, true, 0},
		{emulator.Fault{Kind: "hang_after"}, true, 1},
		{emulator.Fault{Kind: "cut_body"}, false, 1},
		{emulator.Fault{Kind: "latency", Delay: 40 * time.Second}, true, 1},
	} {
		t.Run(string(test.fault.Kind), func(t *testing.T) {
			inBubble(t, under(test.fault), func(t *testing.T, c cloud, client *http.Client) {
				begin := time.Now()
				_, err := sendChange(c, client, "http://ecs.test")
				require.Error(t, err)
				assert.Equal(t, test.timeout, time.Since(begin) == 30*time.Second, "%v after %v", err, time.Since(begin))
				assert.Equal(t, test.accepted, c.Ledger().Servers[c.only()].ChangeOSAccepted)
				assert.Equal(t, 1, c.Ledger().Requests["POST /v2/{project_id}/cloudservers/{server_id}/changeos"], "the client did not repeat it")
				time.Sleep(2 * time.Minute)
				assert.Equal(t, test.accepted == 1, c.truth(c.only()).Status == "ACTIVE", "an accepted change is carried out")
			})
		})
	}
}

func TestShortLatencyOnlyDelays(t *testing.T) {
	o := under(emulator.Fault{Kind: "latency", Delay: 20 * time.Second})
	o.Speed = 2
	inBubble(t, o, func(t *testing.T, c cloud, client *http.Client) {
		begin := time.Now()
		r, err := sendChange(c, client, "http://ecs.test")
		require.NoError(t, err)
		r.jobID(t)
		assert.Equal(t, 10*time.Second, time.Since(begin), "delays are in emulated time")
	})
}

// TestConnectionsEndOnTheWire looks at what TCP makes of the faults.
func TestConnectionsEndOnTheWire(t *testing.T) {
	for kind, check := range map[emulator.FaultKind]func(*testing.T, reply, error){
		"drop_before": func(t *testing.T, _ reply, err error) { assert.True(t, errors.Is(err, syscall.ECONNRESET), "%v", err) },
		"drop_after":  func(t *testing.T, _ reply, err error) { assert.True(t, errors.Is(err, syscall.ECONNRESET), "%v", err) },
		"cut_body": func(t *testing.T, r reply, err error) {
			require.Error(t, err)
			assert.Equal(t, 200, r.status)
			assert.True(t, strings.HasPrefix(r.text, `{"job_id":"ff8`), r.text)
		},
	} {
		t.Run(string(kind), func(t *testing.T) {
			c := newCloud(t, under(emulator.Fault{Kind: kind}))
			server := httptest.NewServer(c)
			defer server.Close()
			r, err := sendChange(c, server.Client(), server.URL)
			check(t, r, err)
		})
	}
}

func TestFaultsWithoutHijacking(t *testing.T) {
	c := newCloud(t, under(emulator.Fault{Kind: "drop_after"}))
	assert.PanicsWithValue(t, http.ErrAbortHandler, func() { c.changeOS(c.only(), c.target(), "") })
	assert.Equal(t, 1, c.Ledger().Servers[c.only()].ChangeOSAccepted)
}

func TestFaultsOfTheAnswer(t *testing.T) {
	for _, test := range []struct {
		fault      emulator.Fault
		edition    emulator.Edition
		status     int
		code       string
		contains   string
		retryAfter string
		accepted   int
	}{
		{fault: emulator.Fault{Kind: "throttle"}, status: 429, code: "APIGW.0308", contains: "The throttling threshold has been reached"},
		{fault: emulator.Fault{Kind: "throttle", RetryAfter: 1500 * time.Millisecond}, status: 429, code: "APIGW.0308", retryAfter: "2"},
		{fault: emulator.Fault{Kind: "throttle_1503"}, status: 429, code: "Common.1503"},
		{fault: emulator.Fault{Kind: "throttle_1503"}, edition: documented(edition.Edition{ThrottleWith503: true}), status: 503, code: "Common.1503"},
		{fault: emulator.Fault{Kind: "server_error"}, status: 500, code: "Common.0001"},
		{fault: emulator.Fault{Kind: "bad_gateway_html"}, status: 502, contains: "<html>"},
		{fault: emulator.Fault{Kind: "bad_gateway_html", Status: 504}, status: 504, contains: "<html>"},
		{fault: emulator.Fault{Kind: "bad_gateway_after"}, status: 502, contains: "<html>", accepted: 1},
		{fault: emulator.Fault{Kind: "flow_202"}, status: 202, code: "Common.0024"},
		{fault: emulator.Fault{Kind: "no_job_id"}, status: 200, contains: "{}", accepted: 1},
		{fault: emulator.Fault{Kind: "refuse", Code: "Ecs.0073", Status: 409, Message: "being backed up"}, status: 409, code: "Ecs.0073", contains: "being backed up"},
		{fault: emulator.Fault{Kind: "refuse", Code: "Ecs.0603"}, status: 501, code: "Ecs.0603"},
		{fault: emulator.Fault{Kind: "refuse_after", Code: "Ecs.9999", Status: 409}, status: 409, code: "Ecs.9999", accepted: 1},
	} {
		t.Run(string(test.fault.Kind), func(t *testing.T) {
			o := under(test.fault)
			o.Edition = test.edition
			inBubble(t, o, func(t *testing.T, c cloud, client *http.Client) {
				r, err := sendChange(c, client, "http://ecs.test")
				require.NoError(t, err)
				assert.Equal(t, test.status, r.status)
				assert.Equal(t, test.code, r.code())
				assert.Contains(t, r.text, test.contains)
				assert.Equal(t, test.retryAfter, r.header.Get("Retry-After"))
				assert.Equal(t, test.contains == "<html>", r.header.Get("Content-Type") == "text/html")
				assert.Equal(t, test.accepted, c.Ledger().Servers[c.only()].ChangeOSAccepted)
				assert.Equal(t, test.accepted == 1, c.truth(c.only()).Status == "REBUILD")

				if test.accepted == 0 {
					again, err := sendChange(c, client, "http://ecs.test")
					require.NoError(t, err)
					again.jobID(t)
				}
			})
		})
	}
}

func TestRefusalsOfTheCloudItselfStand(t *testing.T) {
	for _, fault := range []emulator.Fault{{Kind: "no_job_id"}, {Kind: "refuse_after", Code: "Ecs.9999"}} {
		c := newCloud(t, under(fault))
		require.NoError(t, c.Update(c.only(), func(s *emulator.Server) { s.Locked = true }))
		assert.Equal(t, "Ecs.0605", c.changeOS(c.only(), c.target(), "").code())
	}
}

func TestAcceptLateIsJudgedWhenItArrives(t *testing.T) {
	late := emulator.Fault{Kind: "accept_late", Delay: 90 * time.Second}
	inBubble(t, under(late), func(t *testing.T, c cloud, client *http.Client) {
		_, err := sendChange(c, client, "http://ecs.test")
		require.Error(t, err)
		time.Sleep(89 * time.Second)
		assert.Zero(t, c.Ledger().Servers[c.only()].ChangeOSAccepted)
		assert.Equal(t, "SHUTOFF", c.show(c.only()).Status)
		arrives := time.Now().Add(time.Second).UTC()
		time.Sleep(30 * time.Second)
		account := c.Ledger().Servers[c.only()]
		require.Equal(t, 1, account.ChangeOSAccepted)
		assert.Equal(t, arrives, account.Writes[0].Time, "booked when it was accepted, not when somebody looked")
		time.Sleep(71 * time.Second)
		assert.Equal(t, "ACTIVE", c.show(c.only()).Status)
	})
	inBubble(t, under(late), func(t *testing.T, c cloud, client *http.Client) {
		_, err := sendChange(c, client, "http://ecs.test")
		require.Error(t, err)
		c.changeOS(c.only(), c.target(), "").jobID(t)
		time.Sleep(5 * time.Minute)
		assert.Equal(t, 1, c.Ledger().Servers[c.only()].ChangeOSAccepted, "the late one meets a running change and is refused")
	})
	late.Delay = 30 * time.Second
	inBubble(t, under(late), func(t *testing.T, c cloud, client *http.Client) {
		_, err := sendChange(c, client, "http://ecs.test")
		require.Error(t, err)
		require.NoError(t, c.Delete(c.only()))
		time.Sleep(time.Minute)
		assert.Empty(t, c.Servers())
	})
}

func TestStuckJobs(t *testing.T) {
	atTime(t, under(emulator.Fault{Kind: "job_stuck"}), func(t *testing.T, c cloud) {
		id := c.only()
		job := c.changeOS(id, c.target(), "").jobID(t)
		time.Sleep(48 * time.Hour)
		assert.Equal(t, "RUNNING", c.job(job).Status)
		assert.Equal(t, "rebuilding", c.show(id).task())
		assert.Equal(t, "Ecs.0603", c.changeOS(id, c.target(), "").code())
	})
	atTime(t, under(emulator.Fault{Kind: "job_stuck_done"}), func(t *testing.T, c cloud) {
		id := c.only()
		job := c.changeOS(id, c.target(), "").jobID(t)
		time.Sleep(48 * time.Hour)
		assert.Equal(t, "RUNNING", c.job(job).Status)
		assert.Equal(t, "ACTIVE", c.show(id).Status)
		assert.Equal(t, c.target(), c.show(id).Image.ID)
		assert.Empty(t, c.OpenChange(id), "its work is done")
		c.power("os-stop", id).jobID(t)
	})
	atTime(t, under(emulator.Fault{Kind: "job_stuck", Variant: "pending_payment"}), func(t *testing.T, c cloud) {
		id := c.only()
		before := c.show(id)
		job := c.changeOS(id, c.target(), "").jobID(t)
		time.Sleep(48 * time.Hour)
		assert.Equal(t, "PENDING_PAYMENT", c.job(job).Status)
		assert.Equal(t, before, c.show(id), "what is not paid is not done")
		assert.Equal(t, 1, c.Ledger().Servers[id].ChangeOSAccepted)
		c.power("os-start", id).jobID(t)
	})
	atTime(t, under(emulator.Fault{Kind: "job_stuck", Variant: "pending_payment"}), func(t *testing.T, c cloud) {
		id := c.only()
		job := c.changeOS(id, c.target(), "").jobID(t)
		c.changeOS(id, c.target(), "").jobID(t)
		writes := c.Ledger().Servers[id].Writes
		assert.Empty(t, writes[0].Beside)
		assert.Equal(t, job, writes[1].Beside, "the cloud takes it for another order")
	})
	atTime(t, under(emulator.Fault{Kind: "job_stuck", Variant: "pending_payment", Delay: time.Hour, Times: 1}), func(t *testing.T, c cloud) {
		id := c.only()
		before := c.show(id)
		job := c.changeOS(id, c.target(), "").jobID(t)
		assert.Equal(t, job, c.OpenChange(id))
		require.NoError(t, c.CancelOrder(job))
		assert.Empty(t, c.OpenChange(id))
		time.Sleep(48 * time.Hour)
		assert.Equal(t, "PENDING_PAYMENT", c.job(job).Status, "nobody can see it of the job")
		assert.Equal(t, before, c.show(id))
		other := c.changeOS(id, c.target(), "").jobID(t)
		assert.Empty(t, c.Ledger().Servers[id].Writes[1].Beside, "nothing comes of the first")
		assert.EqualError(t, c.CancelOrder(other), "emulator: job "+other+" waits for no payment")
	})
	o := exact(running())
	o.Faults = []emulator.Fault{{Op: "stop", Kind: "job_stuck"}}
	atTime(t, o, func(t *testing.T, c cloud) {
		id := c.only()
		soft := c.power("os-stop", id).jobID(t)
		time.Sleep(time.Hour)
		assert.Equal(t, "powering-off", c.show(id).task())
		hard := c.hardStop(id).jobID(t)
		time.Sleep(time.Minute)
		assert.Equal(t, "SHUTOFF", c.show(id).Status)
		assert.Equal(t, "SUCCESS", c.job(hard).Status)
		assert.Equal(t, "RUNNING", c.job(soft).Status, "a stuck job stays stuck")
	})
}

// TestPaymentOfAFee: an image that costs extra needs an order where a server is paid by year or month, which somebody has to
// pay unless the request does.
func TestPaymentOfAFee(t *testing.T) {
	const prepaid, autoPay = "1", `,"isAutoPay":"true"`
	for name, test := range map[string]struct {
		charging, more string
		has, gets      bool // a fee
		edition        edition.Edition
		waits          bool
	}{
		"it is paid by hand":              {charging: prepaid, gets: true, waits: true},
		"it is not to be paid":            {charging: prepaid, gets: true, more: `,"isAutoPay":"false"`, waits: true},
		"the request pays":                {charging: prepaid, gets: true, more: autoPay},
		"the image before cost the same":  {charging: prepaid, gets: true, has: true},
		"it costs nothing":                {charging: prepaid, has: true},
		"it is paid by use":               {gets: true},
		"an edition that knows no orders": {charging: prepaid, gets: true, edition: edition.Edition{NoAutoPay: true}},
	} {
		t.Run(name, func(t *testing.T) {
			o := exact(emulator.Options{
				Images: []emulator.Image{{Name: "before", Fee: test.has}, {Name: "after", Fee: test.gets}},
				Fleet:  []emulator.Server{{Name: "one", Status: "SHUTOFF", ChargingMode: test.charging}},
			})
			o.Edition.Edition = test.edition
			atTime(t, o, func(t *testing.T, c cloud) {
				id := c.only()
				job := c.changeOS(id, c.Images()[1].ID, test.more).jobID(t)
				time.Sleep(48 * time.Hour)
				if test.waits {
					assert.Equal(t, "PENDING_PAYMENT", c.job(job).Status)
					assert.Equal(t, job, c.OpenChange(id))
					require.NoError(t, c.CancelOrder(job))
					assert.Empty(t, c.OpenChange(id))
				} else {
					assert.Equal(t, c.Images()[1].ID, c.show(id).Image.ID)
				}
			})
		})
	}
}

func TestForgottenJob(t *testing.T) {
	atTime(t, under(emulator.Fault{Kind: "job_forgotten"}), func(t *testing.T, c cloud) {
		job := c.changeOS(c.only(), c.target(), "").jobID(t)
		assert.Equal(t, "Common.0011", c.ask("GET", "/v1/{project}/jobs/"+job, "").code())
		time.Sleep(100 * time.Second)
		assert.Equal(t, "ACTIVE", c.show(c.only()).Status)
		assert.Equal(t, "Common.0011", c.ask("GET", "/v1/{project}/jobs/"+job, "").code())
	})
	atTime(t, under(emulator.Fault{Op: "job", Server: "one", Kind: "job_forgotten"}), func(t *testing.T, c cloud) {
		job := c.changeOS(c.only(), c.target(), "").jobID(t)
		assert.Equal(t, "Common.0011", c.ask("GET", "/v1/{project}/jobs/"+job, "").code())
		assert.Equal(t, "INIT", c.job(job).Status, "just the one query")
	})
}

func TestViewLagsBehind(t *testing.T) {
	lagging := under(emulator.Fault{Kind: "lag", Delay: 30 * time.Second})
	always := exact(stopped())
	always.Timing.Lag = 30 * time.Second
	for name, o := range map[string]emulator.Options{"fault": lagging, "timing": always} {
		t.Run(name, func(t *testing.T) {
			atTime(t, o, func(t *testing.T, c cloud) {
				id := c.only()
				job := c.changeOS(id, c.target(), "").jobID(t)
				time.Sleep(100 * time.Second)
				assert.Equal(t, "SUCCESS", c.job(job).Status)
				assert.Equal(t, "REBUILD", c.show(id).Status)
				assert.NotEqual(t, c.target(), c.show(id).Image.ID)
				assert.Equal(t, "ACTIVE", c.truth(id).Status)
				time.Sleep(30 * time.Second)
				assert.Equal(t, "ACTIVE", c.show(id).Status)
				assert.Equal(t, c.target(), c.show(id).Image.ID)
			})
		})
	}
	atTime(t, under(emulator.Fault{Kind: "lag_start", Delay: 45 * time.Second}), func(t *testing.T, c cloud) {
		id := c.only()
		before := c.show(id)
		c.changeOS(id, c.target(), "").jobID(t)
		time.Sleep(45*time.Second - 1)
		assert.Equal(t, before, c.show(id))
		assert.Equal(t, "Ecs.0603", c.changeOS(id, c.target(), "").code(), "writes meet the truth, not the view")
		time.Sleep(1)
		assert.Equal(t, "REBUILD", c.show(id).Status)
	})
}

// TestViewLeads: the server is at rest while its job still runs, also one that fails.
func TestViewLeads(t *testing.T) {
	for status, o := range map[string]emulator.Options{"SUCCESS": exact(stopped()), "FAIL": under(emulator.Fault{Kind: "job_fail"})} {
		o.Timing.Lead = emulator.Span{Median: 10 * time.Second, Spread: 5 * time.Second}
		atTime(t, o, func(t *testing.T, c cloud) {
			id := c.only()
			job := c.changeOS(id, c.target(), "").jobID(t)
			require.NotNil(t, c.show(id).TaskState)
			for c.show(id).TaskState != nil {
				time.Sleep(time.Second)
			}
			time.Sleep(3 * time.Second)
			assert.Equal(t, "RUNNING", c.job(job).Status)
			time.Sleep(12 * time.Second)
			assert.Equal(t, status, c.job(job).Status)
		})
	}
}

func TestVolumeGap(t *testing.T) {
	for variant, volumes := range map[string]int{"": 0, "none": 0, "two": 2} {
		atTime(t, under(emulator.Fault{Kind: "volume_gap", Variant: variant}), func(t *testing.T, c cloud) {
			id := c.only()
			before := c.truth(id).SystemVolumeID
			c.changeOS(id, c.target(), "").jobID(t)
			assert.Equal(t, []string{before}, c.show(id).bootVolumes())
			for _, at := range []time.Duration{35 * time.Second, 15 * time.Second} {
				time.Sleep(at)
				assert.Len(t, c.show(id).bootVolumes(), volumes)
				devices := c.ask("GET", "/v1/{project}/cloudservers/"+id+"/block_device", "").text
				assert.Equal(t, volumes, strings.Count(devices, `"bootIndex":0`))
			}
			time.Sleep(15 * time.Second)
			assert.Equal(t, []string{c.truth(id).SystemVolumeID}, c.show(id).bootVolumes())
			assert.NotEqual(t, before, c.truth(id).SystemVolumeID)
		})
	}
}

func TestVanishedServer(t *testing.T) {
	atTime(t, under(emulator.Fault{Kind: "vanish"}), func(t *testing.T, c cloud) {
		id := c.only()
		job := c.changeOS(id, c.target(), "").jobID(t)
		time.Sleep(50 * time.Second)
		assert.Equal(t, 404, c.ask("GET", "/v1/{project}/cloudservers/"+id, "").status)
		assert.Empty(t, c.Servers())
		assert.Equal(t, "FAIL", c.job(job).Status)
		assert.Equal(t, "Ecs.0614", *c.job(job).ErrorCode)
		assert.Equal(t, 1, c.Ledger().Servers[id].ChangeOSAccepted, "the account outlives the server")
		assert.Error(t, c.Update(id, func(*emulator.Server) {}))
	})
}

func TestWhenARuleStrikes(t *testing.T) {
	struck := func(c cloud, n int, path string) string {
		var marks strings.Builder
		for range n {
			if c.ask("GET", path, "").status == 500 {
				marks.WriteByte('x')
			} else {
				marks.WriteByte('.')
			}
		}
		return marks.String()
	}
	const list = "/v1/{project}/cloudservers/detail"
	for _, test := range []struct {
		fault emulator.Fault
		want  string
	}{
		{emulator.Fault{Op: "servers"}, "x....."},
		{emulator.Fault{Op: "servers", After: 2, Times: 3}, "..xxx."},
		{emulator.Fault{Op: "*", Times: -1}, "xxxxxx"},
		{emulator.Fault{Op: "server", Times: -1}, "......"},
		{emulator.Fault{Op: "servers", Server: "one", Times: -1}, "......"},
	} {
		test.fault.Kind = "server_error"
		c := newCloud(t, stopped())
		require.NoError(t, c.AddFault(test.fault))
		assert.Equal(t, test.want, struck(c, 6, list), "%+v", test.fault)
	}

	c := newCloud(t, emulator.Options{Fleet: []emulator.Server{{Name: "a"}, {Name: "b"}}})
	require.NoError(t, c.AddFault(emulator.Fault{Op: "server", Server: "b", Kind: "server_error", Times: -1}))
	assert.Equal(t, "..", struck(c, 2, "/v1/{project}/cloudservers/"+c.Servers()[0].ID))
	assert.Equal(t, "xx", struck(c, 2, "/v1/{project}/cloudservers/"+c.Servers()[1].ID))
	c.ClearFaults()
	assert.Equal(t, "..", struck(c, 2, "/v1/{project}/cloudservers/"+c.Servers()[1].ID))

	// Two rules: the first one that is due strikes, the next one takes over.
	c = newCloud(t, stopped())
	require.NoError(t, c.AddFault(emulator.Fault{Op: "servers", Kind: "throttle"}))
	require.NoError(t, c.AddFault(emulator.Fault{Op: "servers", Kind: "server_error"}))
	assert.Equal(t, 429, c.ask("GET", list, "").status)
	assert.Equal(t, 500, c.ask("GET", list, "").status)
	assert.Equal(t, 200, c.ask("GET", list, "").status)
}

func TestProbabilityIsAFunctionOfTheMatch(t *testing.T) {
	pattern := func(seed uint64, between func(c cloud)) string {
		o := stopped()
		o.Seed = seed
		o.Faults = []emulator.Fault{{Op: "servers", Kind: "server_error", Times: -1, Probability: 0.5}}
		c := newCloud(t, o)
		var marks strings.Builder
		for range 64 {
			between(c)
			if c.ask("GET", "/v1/{project}/cloudservers/detail", "").status == 500 {
				marks.WriteByte('x')
			} else {
				marks.WriteByte('.')
			}
		}
		return marks.String()
	}
	nothing := func(cloud) {}
	first := pattern(1, nothing)
	assert.Equal(t, first, pattern(1, func(c cloud) { c.show(c.only()) }), "unrelated requests do not shift it")
	assert.NotEqual(t, first, pattern(2, nothing))
	assert.Greater(t, strings.Count(first, "x"), 16)
	assert.Less(t, strings.Count(first, "x"), 48)
}

func TestFaultsDoNotStrikeWhatTheGatewayRefuses(t *testing.T) {
	c := newCloud(t, under(emulator.Fault{Op: "*", Kind: "server_error"}))
	r := httptest.NewRequest("GET", "/v1/"+project+"/jobs/x", nil)
	assert.Equal(t, 401, c.do(r).status)
	assert.Equal(t, 500, c.ask("GET", "/v1/{project}/jobs/x", "").status)
}

// TestRepeat: the gateway delivers the request twice and shows the second answer, which is that the server is busy.
func TestRepeat(t *testing.T) {
	for code, status := range map[string]int{"Ecs.0603": 501, "Ecs.0100": 400} {
		options := under(emulator.Fault{Kind: "repeat"})
		options.Edition.BusyCode = code
		atTime(t, options, func(t *testing.T, c cloud) {
			answered := c.changeOS(c.only(), c.target(), "")
			assert.Equal(t, code, answered.code())
			assert.Equal(t, status, answered.status)
			assert.Equal(t, 1, c.Ledger().Servers[c.only()].ChangeOSAccepted)
		})
	}
}

// TestRepeatLate: the copy is judged when it arrives. Only a server at rest and stopped accepts it.
func TestRepeatLate(t *testing.T) {
	for name, test := range map[string]struct {
		faults  []emulator.Fault
		delay   time.Duration
		changes int
	}{
		"while the change runs":           {nil, 30 * time.Second, 1},
		"once the server runs":            {nil, 5 * time.Minute, 1},
		"after the job has failed intact": {[]emulator.Fault{{Op: "changeos", Kind: "job_fail"}}, 5 * time.Minute, 2},
	} {
		t.Run(name, func(t *testing.T) {
			options := under(emulator.Fault{Kind: "repeat_late", Delay: test.delay})
			options.Faults = append(options.Faults, test.faults...)
			atTime(t, options, func(t *testing.T, c cloud) {
				c.changeOS(c.only(), c.target(), "").jobID(t)
				time.Sleep(test.delay + time.Second)
				account := c.Ledger().Servers[c.only()]
				require.Equal(t, test.changes, account.ChangeOSAccepted)
				assert.False(t, account.Writes[0].Copy)
				if test.changes > 1 {
					assert.True(t, account.Writes[1].Copy)
					time.Sleep(5 * time.Minute)
					assert.Equal(t, "ACTIVE", c.show(c.only()).Status, "the copy is not struck by the fault of the first")
				}
			})
		})
	}
}

// TestOldView: a read shows what newer reads have shown otherwise.
func TestOldView(t *testing.T) {
	old := emulator.Fault{Op: "server", Kind: "old_view", Delay: 30 * time.Second, After: 1}
	atTime(t, emulator.Options{Servers: 1, Faults: []emulator.Fault{old}}, func(t *testing.T, c cloud) {
		require.NoError(t, c.Update(c.only(), func(s *emulator.Server) { s.Status = "SHUTOFF" }))
		time.Sleep(time.Minute)
		require.NoError(t, c.Update(c.only(), func(s *emulator.Server) { s.Status = "ACTIVE" }))
		time.Sleep(20 * time.Second)
		assert.Equal(t, "ACTIVE", c.show(c.only()).Status)
		assert.Equal(t, "SHUTOFF", c.show(c.only()).Status, "as it was 30 s ago")
		assert.Equal(t, "ACTIVE", c.show(c.only()).Status)
	})
}
