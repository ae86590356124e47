package emulator_test

import (
	"encoding/json"
	"net/http"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/reimage/reimage/internal/emulator"
)

// balanced is a fleet of two web servers and a database behind a pool for each role.
func balanced(more ...func(*emulator.Pool)) emulator.Options {
	web := emulator.Pool{Tag: "role=web"}
	for _, change := range more {
		change(&web)
	}
	return exact(emulator.Options{
		Fleet: []emulator.Server{
			{Name: "web-01", Tags: []string{"role=web"}}, {Name: "web-02", Tags: []string{"role=web"}}, {Name: "db-01", Tags: []string{"role=db"}},
		},
		Pools: []emulator.Pool{web, {Tag: "role=db", Name: "db", Protocol: "TCP"}},
	})
}

type poolShown struct {
	ID                 string `json:"id"`
	Name               string `json:"name"`
	Algorithm          string `json:"lb_algorithm"`
	MonitorID          string `json:"healthmonitor_id"`
	LoadBalancers      []any  `json:"loadbalancers"`
	Listeners          []any  `json:"listeners"`
	Members            []any  `json:"members"`
	SessionPersistence *struct {
		Type    string `json:"type"`
		Timeout int    `json:"persistence_timeout"`
	} `json:"session_persistence"`
	Protected bool `json:"member_deletion_protection_enable"`
}

type memberShown struct {
	ID       string `json:"id"`
	Name     string `json:"name"`
	Address  string `json:"address"`
	Port     int    `json:"protocol_port"`
	Weight   int    `json:"weight"`
	Subnet   string `json:"subnet_cidr_id"`
	Instance string `json:"instance_id"`
	Type     string `json:"member_type"`
	Status   string `json:"operating_status"`
	Statuses []struct {
		Listener string `json:"listener_id"`
		Status   string `json:"operating_status"`
	} `json:"status"`
	Reason *struct {
		Code     string `json:"reason_code"`
		Response string `json:"healthcheck_response"`
	} `json:"reason"`
}

type elbPage struct {
	Pools     []poolShown   `json:"pools"`
	Members   []memberShown `json:"members"`
	Listeners []struct {
		ID        string `json:"id"`
		Pool      string `json:"default_pool_id"`
		Keepalive int    `json:"keepalive_timeout"`
		Member    int    `json:"member_timeout"`
	} `json:"listeners"`
	Page struct {
		Previous string `json:"previous_marker"`
		Next     string `json:"next_marker"`
		Count    int    `json:"current_count"`
	} `json:"page_info"`
	RequestID string `json:"request_id"`
}

const elb = "/v3/{project}/elb"

func (c cloud) elbList(path string) elbPage {
	c.t.Helper()
	r := c.ask("GET", elb+path, "")
	require.Equal(c.t, 200, r.status, r.text)
	var page elbPage
	require.NoError(c.t, json.Unmarshal([]byte(r.text), &page))
	require.NotEmpty(c.t, page.RequestID)
	return page
}

// called is the id of the server with that name.
func (c cloud) called(name string) string {
	c.t.Helper()
	for _, s := range c.Servers() {
		if s.Name == name {
			return s.ID
		}
	}
	c.t.Fatalf("no server %s", name)
	return ""
}

// poolOf is the only pool of a server, memberOf its member in there.
func (c cloud) poolOf(server string) poolShown {
	c.t.Helper()
	pools := c.elbList("/pools?member_device_id=" + c.called(server)).Pools
	require.Len(c.t, pools, 1)
	return pools[0]
}

func (c cloud) memberOf(server string) memberShown {
	c.t.Helper()
	members := c.elbList("/pools/" + c.poolOf(server).ID + "/members?instance_id=" + c.called(server)).Members
	require.Len(c.t, members, 1)
	return members[0]
}

func (c cloud) setWeight(server, weight string) reply {
	c.t.Helper()
	return c.ask("PUT", elb+"/pools/"+c.poolOf(server).ID+"/members/"+c.memberOf(server).ID, `{"member":{"weight":`+weight+`}}`)
}

func (c cloud) account(pool string) emulator.PoolLedger {
	c.t.Helper()
	for _, p := range c.Ledger().Pools {
		if p.Name == pool {
			return *p
		}
	}
	c.t.Fatalf("no pool %s", pool)
	return emulator.PoolLedger{}
}

func TestPoolsAreFoundByTheirMembers(t *testing.T) {
	c := newCloud(t, balanced(func(p *emulator.Pool) { p.SessionPersistence, p.Algorithm = "HTTP_COOKIE", emulator.LeastConnections }))
	pool := c.poolOf("web-01")
	assert.Equal(t, "pool-role-web", pool.Name)
	assert.Equal(t, emulator.LeastConnections, pool.Algorithm)
	assert.Equal(t, "HTTP_COOKIE", pool.SessionPersistence.Type)
	assert.Equal(t, 60, pool.SessionPersistence.Timeout)
	assert.Len(t, pool.Members, 2)
	assert.Len(t, pool.Listeners, 1)
	assert.NotEmpty(t, pool.MonitorID)

	web, db := c.called("web-01"), c.called("db-01")
	both := c.elbList("/pools?member_device_id=" + web + "&member_device_id=" + db)
	assert.Len(t, both.Pools, 2)
	assert.Len(t, c.elbList("/pools?member_address=10.20.0.6").Pools, 1)
	assert.Empty(t, c.elbList("/pools?member_device_id=none").Pools)
	assert.Empty(t, c.elbList("/pools?lb_algorithm=SOURCE_IP").Pools)

	listeners := c.elbList("/listeners?member_device_id=" + web + "&member_device_id=" + db).Listeners
	require.Len(t, listeners, 2)
	for _, l := range listeners {
		if l.Pool == pool.ID {
			assert.Equal(t, []int{60, 60}, []int{l.Keepalive, l.Member})
		} else {
			assert.Equal(t, []int{300, 0}, []int{l.Keepalive, l.Member})
		}
	}
	assert.Contains(t, c.ask("GET", elb+"/loadbalancers", "").text, `"provisioning_status":"ACTIVE"`)
	assert.Contains(t, c.ask("GET", elb+"/healthmonitors?id="+pool.MonitorID, "").text, `"delay":5,"timeout":3,"max_retries":3`)
	assert.Contains(t, c.ask("GET", elb+"/pools/"+pool.ID, "").text, `"name":"pool-role-web"`)

	member := c.memberOf("web-01")
	assert.Equal(t, "ONLINE", member.Status)
	assert.Equal(t, "instance", member.Type)
	assert.Equal(t, 8080, member.Port)
	assert.Equal(t, c.truth(web).IP, member.Address)
	assert.Len(t, c.elbList("/members?address="+member.Address).Members, 1)
	assert.Len(t, c.elbList("/members?pool_id="+pool.ID).Members, 2)
	assert.Len(t, c.elbList("/members?instance_id="+web).Members, 3, "this list has no such filter")
	assert.Len(t, c.elbList("/pools/"+pool.ID+"/members?instance_id="+web+"&instance_id="+c.called("web-02")).Members, 2)

	assert.Equal(t, 401, c.askWith("", strings.ReplaceAll(elb, "{project}", project)+"/pools").status)
	for path, code := range map[string]string{"/pools/none": "ELB.8904", "/pools/none/members": "ELB.8904", "/pools?limit=2001": "ELB.8902", "/pools?marker=none": "ELB.8902"} {
		r := c.ask("GET", elb+path, "")
		assert.Equal(t, code, r.code(), path)
		assert.Contains(t, r.text, `"error_msg"`)
		assert.Contains(t, r.text, `"request_id"`)
	}
}

func TestListsOfTheLoadBalancerArePaged(t *testing.T) {
	c := newCloud(t, emulator.Options{Servers: 20, Pools: []emulator.Pool{{Tag: "env=prod"}}})
	pool := c.elbList("/pools").Pools[0].ID
	seen := map[string]bool{}
	marker, pages := "", 0
	for {
		page := c.elbList("/pools/" + pool + "/members?limit=7&marker=" + marker)
		pages++
		for _, m := range page.Members {
			assert.False(t, seen[m.ID])
			seen[m.ID] = true
		}
		assert.Equal(t, len(page.Members), page.Page.Count)
		assert.Equal(t, page.Members[0].ID, page.Page.Previous)
		if page.Page.Next == "" {
			break
		}
		marker = page.Page.Next
	}
	assert.Equal(t, 3, pages)
	assert.Len(t, seen, 20)
	all := c.elbList("/pools/" + pool + "/members").Members
	back := c.elbList("/pools/" + pool + "/members?limit=7&page_reverse=true&marker=" + all[9].ID)
	assert.Equal(t, all[2:9], back.Members)
}

func TestWeightTakesEffectLater(t *testing.T) {
	atTime(t, balanced(), func(t *testing.T, c cloud) {
		r := c.setWeight("web-01", "0")
		require.Equal(t, 200, r.status, r.text)
		assert.Zero(t, c.memberOf("web-01").Weight, "is shown at once")
		assert.Equal(t, 2, c.account("pool-role-web").InService)
		time.Sleep(5*time.Second - 1)
		assert.Equal(t, 2, c.account("pool-role-web").MinInService)
		time.Sleep(1)
		account := c.account("pool-role-web")
		assert.Equal(t, 1, account.InService)
		assert.Equal(t, 1, account.MinInService)
		require.Equal(t, 200, c.setWeight("web-01", "1").status)
		time.Sleep(5 * time.Second)
		account = c.account("pool-role-web")
		assert.Equal(t, 2, account.InService)
		assert.Equal(t, 1, account.MinInService)
		require.Len(t, account.Changes, 2)
		assert.Equal(t, []int{1, 0, 0, 1}, []int{account.Changes[0].From, account.Changes[0].To, account.Changes[1].From, account.Changes[1].To})
		assert.Equal(t, c.called("web-01"), account.Changes[0].ServerID)
		assert.Equal(t, 5*time.Second, account.Changes[1].Time.Sub(account.Changes[0].Time))

		for _, bad := range []string{"101", "-1", `"x"`} {
			assert.Equal(t, "ELB.8902", c.setWeight("web-01", bad).code())
		}
		assert.Len(t, c.account("pool-role-web").Changes, 2)
		assert.Equal(t, 1, c.account("db").MinInService)
	})
}

// TestLowestNumberInService is found although nothing is asked while two changes overlap for a moment.
func TestLowestNumberInService(t *testing.T) {
	atTime(t, balanced(), func(t *testing.T, c cloud) {
		begin := c.Now()
		c.changeOS(c.called("web-01"), c.target(), `,"mode":"withStopServer"`).jobID(t)
		time.Sleep(115 * time.Second)
		c.changeOS(c.called("web-02"), c.target(), `,"mode":"withStopServer"`).jobID(t)
		time.Sleep(time.Hour)
		account := c.account("pool-role-web")
		assert.Equal(t, 2, account.InService)
		assert.Equal(t, 1, account.MinInService, "the first was back 5 seconds after the second was asked for, which took 20 to stop")

		c.changeOS(c.called("web-01"), c.named(emulator.CurrentImageName), `,"mode":"withStopServer"`).jobID(t)
		time.Sleep(95 * time.Second)
		second := c.Now()
		c.changeOS(c.called("web-02"), c.named(emulator.CurrentImageName), `,"mode":"withStopServer"`).jobID(t)
		time.Sleep(time.Hour)
		account = c.account("pool-role-web")
		assert.Equal(t, 0, account.MinInService, "they overlapped for 5 seconds, in which nothing was asked")
		assert.Equal(t, 20*time.Second, account.MinAt.Sub(second).Round(time.Second))
		assert.True(t, account.MinAt.After(begin))

		c.ResetLows()
		assert.Equal(t, 2, c.account("pool-role-web").MinInService)
	})
}

// TestLowestNumberCountsApplications: an ACTIVE server whose application has not booted or fails is not in service.
func TestLowestNumberCountsApplications(t *testing.T) {
	o := balanced()
	o.Faults = []emulator.Fault{{Op: "app", Server: "db-01", Kind: "app_dies_in_soak", Delay: time.Minute}}
	withApplications(t, o, func(t *testing.T, p prober) {
		begin := p.Now()
		p.power("os-stop", p.called("web-01")).jobID(t)
		time.Sleep(2 * time.Minute)
		account := p.account("db")
		assert.Equal(t, []int{0, 0}, []int{account.InService, account.MinInService})
		assert.Equal(t, time.Minute, account.MinAt.Sub(begin))

		p.power("os-start", p.called("web-01")).jobID(t)
		time.Sleep(15 * time.Second)
		require.Equal(t, "ACTIVE", p.truth(p.called("web-01")).Status)
		assert.Equal(t, 1, p.account("pool-role-web").InService, "it boots")
		time.Sleep(15 * time.Second)
		assert.Equal(t, 2, p.account("pool-role-web").InService)
	})
}

func TestWritesSayWhetherTheServerIsInService(t *testing.T) {
	atTime(t, balanced(), func(t *testing.T, c cloud) {
		web, other := c.called("web-01"), c.called("web-02")
		last := func(id string) emulator.Write {
			writes := c.Ledger().Servers[id].Writes
			return writes[len(writes)-1]
		}
		c.power("os-stop", web).jobID(t)
		assert.Equal(t, []string{"pool-role-web"}, last(web).InService)
		time.Sleep(time.Minute)
		c.power("os-start", web).jobID(t)
		assert.Empty(t, last(web).InService)

		require.Equal(t, 200, c.setWeight("web-02", "0").status)
		time.Sleep(5*time.Second + 59*time.Second)
		c.power("os-stop", other).jobID(t)
		assert.Empty(t, last(other).InService)
		assert.Equal(t, []string{"pool-role-web"}, last(other).StillConnected, "60 seconds of member_timeout are not over")
		time.Sleep(time.Minute)
		c.changeOS(other, c.target(), "").jobID(t)
		assert.Empty(t, last(other).StillConnected)
	})
}

func TestWeightZeroUnderSourceIP(t *testing.T) {
	for value, inService := range map[string]int{"honoured": 1, "ignored": 2} {
		o := balanced(func(p *emulator.Pool) { p.Algorithm = emulator.SourceIP })
		require.NoError(t, o.Edition.Set("weight_zero_source_ip", value))
		atTime(t, o, func(t *testing.T, c cloud) {
			require.Equal(t, 200, c.setWeight("web-01", "0").status)
			time.Sleep(time.Hour)
			assert.Equal(t, inService, c.account("pool-role-web").InService, value)
			assert.Zero(t, c.memberOf("web-01").Weight)
			require.Equal(t, 200, c.setWeight("web-01", "5").status)
			time.Sleep(time.Hour)
			assert.Equal(t, 2, c.account("pool-role-web").InService, value)
		})
	}
}

func TestMembersAreRemovedAndAdded(t *testing.T) {
	atTime(t, balanced(), func(t *testing.T, c cloud) {
		member, pool := c.memberOf("web-01"), c.poolOf("web-01").ID
		path := elb + "/pools/" + pool + "/members"
		body := `{"member":{"address":"` + member.Address + `","protocol_port":8080,"subnet_cidr_id":"` + member.Subnet + `","weight":7,"name":"again"}}`
		assert.Equal(t, "ELB.8907", c.ask("POST", path, body).code(), "it is there")

		r := c.ask("DELETE", path+"/"+member.ID, "")
		assert.Equal(t, 204, r.status)
		assert.Empty(t, r.text)
		assert.Equal(t, "ELB.8904", c.ask("DELETE", path+"/"+member.ID, "").code())
		assert.Empty(t, c.elbList("/pools?member_device_id="+c.called("web-01")).Pools)
		assert.Equal(t, 1, c.account("pool-role-web").MinInService)

		r = c.ask("POST", path, body)
		require.Equal(t, 201, r.status, r.text)
		added := c.memberOf("web-01")
		assert.NotEqual(t, member.ID, added.ID)
		assert.Equal(t, 7, added.Weight)
		assert.Equal(t, "again", added.Name)
		assert.Equal(t, "INITIAL", added.Status)
		assert.Equal(t, "ELB.8907", c.ask("POST", path, body).code())
		time.Sleep(15 * time.Second)
		assert.Equal(t, "ONLINE", c.memberOf("web-01").Status)
		assert.Equal(t, 2, c.account("pool-role-web").InService)

		ops := []string{}
		for _, change := range c.account("pool-role-web").Changes {
			ops = append(ops, change.Op)
		}
		assert.Equal(t, []string{emulator.OpELBMemberRemove, emulator.OpELBMemberAdd}, ops)

		for bad, code := range map[string]string{
			`{"member":{"address":"x","protocol_port":80}}`:                                                 "ELB.8902",
			`{"member":{"address":"10.20.0.4"}}`:                                                            "ELB.8902",
			`{"member":{"address":"10.20.0.4","protocol_port":80,"subnet_cidr_id":"other"}}`:                "ELB.8904",
			`{"member":{"address":"10.9.9.9","protocol_port":80,"subnet_cidr_id":"` + member.Subnet + `"}}`: "ELB.8902",
			`{"member":{"address":"10.20.0.4","protocol_port":80,"weight":101}}`:                            "ELB.8902",
			``: "ELB.8902",
		} {
			assert.Equal(t, code, c.ask("POST", path, bad).code(), bad)
		}
	})
}

func TestDeletionProtection(t *testing.T) {
	c := newCloud(t, balanced(func(p *emulator.Pool) { p.DeletionProtection = true }))
	pool := c.poolOf("web-01")
	assert.True(t, pool.Protected)
	assert.Equal(t, 409, c.ask("DELETE", elb+"/pools/"+pool.ID+"/members/"+c.memberOf("web-01").ID, "").status)
	assert.Len(t, c.poolOf("web-01").Members, 2)
}

func TestMembersByAddress(t *testing.T) {
	c := newCloud(t, balanced(func(p *emulator.Pool) { p.IPMembers = true }))
	web := c.truth(c.called("web-01"))
	assert.Empty(t, c.elbList("/pools?member_device_id="+web.ID).Pools)
	pools := c.elbList("/pools?member_address=" + web.IP).Pools
	require.Len(t, pools, 1)
	members := c.elbList("/pools/" + pools[0].ID + "/members?address=" + web.IP + "&member_type=ip").Members
	require.Len(t, members, 1)
	assert.Empty(t, members[0].Subnet)
	assert.Empty(t, members[0].Instance)
	assert.Equal(t, "ip", members[0].Type)
}

func TestMasterSlavePoolsAreAnotherResource(t *testing.T) {
	c := newCloud(t, balanced(func(p *emulator.Pool) { p.MasterSlave = true }))
	web := c.called("web-01")
	assert.Empty(t, c.elbList("/pools?member_device_id="+web).Pools)
	assert.Len(t, c.elbList("/listeners?member_device_id="+web).Listeners, 1)
	r := c.ask("GET", elb+"/master-slave-pools?member_device_id="+web, "")
	assert.Equal(t, 200, r.status)
	assert.Contains(t, r.text, `"role":"master"`)
	assert.Contains(t, r.text, `"role":"slave"`)
	assert.NotContains(t, r.text, `"weight"`)
}

// TestOperatingStatus follows the health as late as the monitor notices it.
func TestOperatingStatus(t *testing.T) {
	atTime(t, balanced(), func(t *testing.T, c cloud) {
		require.NoError(t, c.Update(c.called("web-01"), func(s *emulator.Server) { s.Status = "SHUTOFF" }))
		time.Sleep(15*time.Second - 1)
		assert.Equal(t, "ONLINE", c.memberOf("web-01").Status, "three probes, five seconds apart")
		time.Sleep(1)
		member := c.memberOf("web-01")
		assert.Equal(t, "OFFLINE", member.Status)
		assert.Equal(t, "OFFLINE", member.Statuses[0].Status)
		assert.Equal(t, "CONNECT_TIMEOUT", member.Reason.Code)
		require.NoError(t, c.Update(c.called("web-01"), func(s *emulator.Server) { s.Status = "ACTIVE" }))
		time.Sleep(10 * time.Second)
		require.NoError(t, c.Update(c.called("web-01"), func(s *emulator.Server) { s.Status = "SHUTOFF" }))
		time.Sleep(time.Hour)
		assert.Equal(t, "OFFLINE", c.memberOf("web-01").Status, "two good probes are too few")
		require.NoError(t, c.Delete(c.called("web-02")))
		time.Sleep(time.Minute)
		for _, m := range c.elbList("/members?operating_status=OFFLINE").Members {
			assert.Equal(t, "OFFLINE", m.Status)
		}
		assert.Len(t, c.elbList("/members?operating_status=OFFLINE").Members, 2)
	})
	without := newCloud(t, balanced(func(p *emulator.Pool) { p.NoMonitor = true }))
	assert.Equal(t, "NO_MONITOR", without.memberOf("web-01").Status)
	assert.Empty(t, without.poolOf("web-01").MonitorID)
	unbound := newCloud(t, balanced(func(p *emulator.Pool) { p.Unbound = true }))
	assert.Equal(t, "UNKNOWN", unbound.memberOf("web-01").Status)
	assert.Empty(t, unbound.elbList("/listeners?member_device_id="+unbound.called("web-01")).Listeners)
}

// TestOperatingStatusOfApplications: a TCP monitor is content with a connection.
func TestOperatingStatusOfApplications(t *testing.T) {
	o := balanced()
	o.Faults = []emulator.Fault{
		{Op: "app", Server: "web-01", Kind: "app_error"}, {Op: "app", Server: "web-02", Kind: "app_slow", Delay: 4 * time.Second},
		{Op: "app", Server: "db-01", Kind: "app_error"},
	}
	withApplications(t, o, func(t *testing.T, p prober) {
		failing, slow := p.memberOf("web-01"), p.memberOf("web-02")
		assert.Equal(t, "OFFLINE", failing.Status)
		assert.Equal(t, []string{"RESPONSE_MISMATCH", "500"}, []string{failing.Reason.Code, failing.Reason.Response})
		assert.Equal(t, "OFFLINE", slow.Status)
		assert.Equal(t, "RECV_RESPONSE_TIMEOUT", slow.Reason.Code)
		assert.Equal(t, "ONLINE", p.memberOf("db-01").Status)
		assert.Zero(t, p.account("db").InService, "but it answers no request")
		p.ClearFaults()
		assert.Equal(t, 2, p.account("pool-role-web").InService)
		time.Sleep(15 * time.Second)
		assert.Equal(t, "ONLINE", p.memberOf("web-01").Status)
	})
}

func TestOperatingStatusLies(t *testing.T) {
	atTime(t, balanced(), func(t *testing.T, c cloud) {
		require.NoError(t, c.AddFault(emulator.Fault{Op: "elb_members", Server: "web-01", Kind: "status_lies", Variant: "offline", Times: -1}))
		assert.Equal(t, "OFFLINE", c.memberOf("web-01").Status)
		assert.Equal(t, "ONLINE", c.memberOf("web-02").Status)
		c.ClearFaults()
		require.NoError(t, c.Update(c.called("web-01"), func(s *emulator.Server) { s.Status = "SHUTOFF" }))
		time.Sleep(time.Minute)
		require.NoError(t, c.AddFault(emulator.Fault{Op: "*", Kind: "status_lies", Times: 1}))
		assert.Equal(t, "ONLINE", c.memberOf("web-01").Status)
		assert.Equal(t, "OFFLINE", c.memberOf("web-01").Status)
		require.NoError(t, c.AddFault(emulator.Fault{Op: "elb_members", Kind: "status_lies", Variant: "flaps", Delay: 20 * time.Second, Times: -1}))
		seen := []string{}
		for range 3 {
			seen = append(seen, c.memberOf("web-02").Status)
			time.Sleep(10 * time.Second)
		}
		assert.Equal(t, []string{"ONLINE", "OFFLINE", "ONLINE"}, seen)
	})
}

func TestFaultsOfTheLoadBalancer(t *testing.T) {
	for _, test := range []struct {
		fault  emulator.Fault
		status int
		code   string
		booked int
	}{
		{emulator.Fault{Kind: "server_error"}, 500, "ELB.8906", 0},
		{emulator.Fault{Kind: "throttle"}, 429, "APIGW.0308", 0},
		{emulator.Fault{Kind: "refuse", Code: "ELB.9802"}, 403, "ELB.9802", 0},
		{emulator.Fault{Kind: "refuse_after", Code: "ELB.8906"}, 500, "ELB.8906", 1},
		{emulator.Fault{Kind: "repeat"}, 200, "", 2},
		{emulator.Fault{Kind: "bad_gateway_html"}, 502, "", 0},
		{emulator.Fault{Kind: "refuse", Code: "ELB.9802", Server: "web-02"}, 200, "", 1},
	} {
		c := newCloud(t, balanced())
		test.fault.Op = "elb_member_update"
		require.NoError(t, c.AddFault(test.fault))
		r := c.setWeight("web-01", "0")
		assert.Equal(t, test.status, r.status, test.fault.Kind)
		assert.Equal(t, test.code, r.code(), test.fault.Kind)
		assert.Len(t, c.account("pool-role-web").Changes, test.booked, test.fault.Kind)
		assert.Equal(t, map[string]int{"web-01": 1 - min(test.booked, 1)}, map[string]int{"web-01": c.memberOf("web-01").Weight}, test.fault.Kind)
	}
	inBubble(t, balanced(), func(t *testing.T, c cloud, client *http.Client) {
		require.NoError(t, c.AddFault(emulator.Fault{Op: "elb_member_add", Kind: "drop_after"}))
		path := elb + "/pools/" + c.poolOf("web-01").ID + "/members"
		_, err := send(client, "http://elb.test", "POST", path, `{"member":{"address":"10.20.0.4","protocol_port":9090}}`)
		require.Error(t, err)
		assert.Len(t, c.account("pool-role-web").Changes, 1)
		require.NoError(t, c.AddFault(emulator.Fault{Op: "elb_member_update", Kind: "accept_late", Delay: time.Minute}))
		_, err = send(client, "http://elb.test", "PUT", path+"/"+c.memberOf("web-02").ID, `{"member":{"weight":0}}`)
		require.Error(t, err)
		assert.Equal(t, 1, c.memberOf("web-02").Weight)
		time.Sleep(time.Minute)
		assert.Zero(t, c.memberOf("web-02").Weight)
	})
}

func TestPoolsAreChecked(t *testing.T) {
	_, err := emulator.New(emulator.Options{Servers: 3, Pools: []emulator.Pool{
		{Tag: "role=none"}, {Servers: []string{"nobody"}, Algorithm: "RANDOM"}, {Tag: "env=prod", MasterSlave: true}, {Tag: "env=prod", MonitorMaxRetries: 11},
		{Tag: "role=web", Name: "same"}, {Tag: "role=web", Name: "same"},
	}})
	for _, problem := range []string{
		`pools[0] (pool-role-none): no server has the tag "role=none"`, `server "nobody" is not known`,
		`algorithm "RANDOM" is not one of ROUND_ROBIN`, "a master-slave pool has 2 members, not 3", "retries of the monitor 11 is not between 1 and 10",
		"pools[5]: name same or id",
	} {
		assert.ErrorContains(t, err, problem)
	}
	_, err = emulator.New(emulator.Options{Edition: emulator.Edition{WeightZeroSourceIP: "maybe"}})
	assert.ErrorContains(t, err, `weight 0 under SOURCE_IP "maybe" is not one of honoured, ignored`)
	assert.ErrorContains(t, newCloud(t, balanced()).AddFault(emulator.Fault{Op: "elb_members", Kind: "status_lies", Variant: "flaps"}), "variant flaps needs a delay")
	assert.ErrorContains(t, newCloud(t, balanced()).AddFault(emulator.Fault{Op: "elb_pools", Kind: "job_fail"}), "kind job_fail does not apply to op elb_pools")
}
