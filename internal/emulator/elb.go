package emulator

import (
	"net/http"
	"net/netip"
	"net/url"
	"slices"
	"strconv"
	"strings"
	"time"
)

// maxPoolPage is the largest page of the lists of the load balancer service, and the default.
const maxPoolPage = 2000

// elbRoutes are those of ELB v3 that the emulator serves.
func (e *Emulator) elbRoutes() []route {
	const elb, member = "/v3/{project_id}/elb", "/pools/{pool_id}/members/{member_id}"
	return []route{
		{method: "GET", path: elb + "/pools", op: OpELBPools, do: e.listPools},
		{method: "GET", path: elb + "/pools/{pool_id}", op: OpELBPools, do: e.showPool},
		{method: "GET", path: elb + "/pools/{pool_id}/members", op: OpELBMembers, do: e.listMembers},
		{method: "GET", path: elb + member, op: OpELBMembers, do: e.showMember},
		{method: "GET", path: elb + "/members", op: OpELBMembers, do: e.listAllMembers},
		{method: "PUT", path: elb + member, op: OpELBMemberUpdate, do: e.updateMember},
		{method: "POST", path: elb + "/pools/{pool_id}/members", op: OpELBMemberAdd, do: e.addMember},
		{method: "DELETE", path: elb + member, op: OpELBMemberRemove, do: e.removeMember},
		{method: "GET", path: elb + "/listeners", op: OpELBListeners, do: e.listListeners},
		{method: "GET", path: elb + "/loadbalancers", op: OpELBLoadBalancers, do: e.listLoadBalancers},
		{method: "GET", path: elb + "/healthmonitors", op: OpELBHealthMonitors, do: e.listHealthMonitors},
		{method: "GET", path: elb + "/master-slave-pools", op: OpELBMasterSlavePools, do: e.listMasterSlavePools},
	}
}

// elbTargets are the servers that a call of the load balancer service is about.
func (e *Emulator) elbTargets(c *call) []string {
	var targets []string
	for _, p := range e.pools {
		if id, named := c.vars["pool_id"]; named && id != p.ID {
			continue
		}
		for _, m := range p.members {
			if id, named := c.vars["member_id"]; !named || id == m.id {
				targets = append(targets, m.serverID)
			}
		}
	}
	if c.op == OpELBMemberAdd {
		targets = nil
		var body memberRequest
		if decode(c.body, &body) == nil {
			targets = append(targets, e.serverAt(body.Member.Address))
		}
	}
	return targets
}

func refuseELB(code, detail string) *refusal { return refuse(code, detail).asGateway() }

func refusePool(id string) *refusal   { return refuseELB("ELB.8904", "pool "+id) }
func refuseMember(id string) *refusal { return refuseELB("ELB.8904", "member "+id) }

// among is true when the query does not name the filter, or gives the value as one of its values.
func among(query url.Values, filter string, values ...string) bool {
	return !query.Has(filter) || slices.ContainsFunc(query[filter], func(wanted string) bool { return slices.Contains(values, wanted) })
}

// pageInfo names the ends of a page. next_marker is absent on the last page.
type pageInfo struct {
	Previous string `json:"previous_marker"`
	Next     string `json:"next_marker,omitempty"`
	Count    int    `json:"current_count"`
}

// pageOf cuts the page that the query asks for out of views that are sorted by id.
func pageOf[T interface{ id() string }](c *call, all []T) ([]T, pageInfo, *refusal) {
	limit, ok := numberOf(c.query.Get("limit"), maxPoolPage, 0)
	if !ok || limit > maxPoolPage {
		return nil, pageInfo{}, refuseELB("ELB.8902", "limit must be a number from 0 to 2000")
	}
	isReverse := c.query.Get("page_reverse") == "true"
	begin, end := 0, len(all)
	if marker := c.query.Get("marker"); marker != "" {
		at := slices.IndexFunc(all, func(v T) bool { return v.id() == marker })
		switch {
		case at < 0:
			return nil, pageInfo{}, refuseELB("ELB.8902", "marker "+marker)
		case isReverse:
			end = at
		default:
			begin = at + 1
		}
	}
	isMore := end-begin > limit
	if isReverse {
		begin = max(begin, end-limit)
	} else {
		end = min(end, begin+limit)
	}
	page := all[begin:end]
	info := pageInfo{Count: len(page)}
	if len(page) > 0 {
		info.Previous = page[0].id()
		if isMore || isReverse {
			info.Next = page[len(page)-1].id()
		}
	}
	return page, info, nil
}

// memberRequest is the body of POST and PUT members. What is absent stays as it is.
type memberRequest struct {
	Member struct {
		Address  string  `json:"address"`
		Port     *int    `json:"protocol_port"`
		SubnetID string  `json:"subnet_cidr_id"`
		Weight   *int    `json:"weight"`
		Name     *string `json:"name"`
		Zone     string  `json:"availability_zone"`
	} `json:"member"`
}

func (r memberRequest) validate() *refusal {
	if w := r.Member.Weight; w != nil && (*w < 0 || *w > maxWeight) {
		return refuseELB("ELB.8902", "weight must be between 0 and 100")
	}
	if port := r.Member.Port; port != nil && (*port < 1 || *port > 65535) {
		return refuseELB("ELB.8902", "protocol_port must be between 1 and 65535")
	}
	return nil
}

func decodeMember(body []byte) (memberRequest, *refusal) {
	var r memberRequest
	if decode(body, &r) != nil {
		return r, refuseELB("ELB.8902", "the body is no JSON object with a member")
	}
	return r, r.validate()
}

// updateMember is PUT pools/{pool_id}/members/{member_id}.
func (e *Emulator) updateMember(c *call) answer {
	p, m, r := e.memberOf(c)
	if r != nil {
		return r.answer(c.requestID)
	}
	body, r := decodeMember(c.body)
	if r != nil {
		return r.answer(c.requestID)
	}
	if body.Member.Port != nil && *body.Member.Port != m.port {
		if p.isTaken(m.address, *body.Member.Port, m.subnetID) {
			return refuseELB("ELB.8907", "the pool has a member with this address and port").answer(c.requestID)
		}
		m.port = *body.Member.Port
	}
	if body.Member.Name != nil {
		m.name = *body.Member.Name
	}
	if w := body.Member.Weight; w != nil {
		e.bookMember(c, p, m, m.weight, *w)
		m.weight = *w
		m.pending = append(m.pending, weightChange{c.now.Add(e.options.Timing.WeightEffect), *w})
	}
	m.updated = c.now
	return e.memberAnswer(c, 200, p, m)
}

// addMember is POST pools/{pool_id}/members. It is not idempotent: a second member with the address is a conflict.
func (e *Emulator) addMember(c *call) answer {
	p := e.pool(c.vars["pool_id"])
	if p == nil {
		return refusePool(c.vars["pool_id"]).answer(c.requestID)
	}
	body, r := decodeMember(c.body)
	if r == nil {
		r = e.judgeNewMember(p, body)
	}
	if r != nil {
		return r.answer(c.requestID)
	}
	m := &member{
		serverID: e.serverAt(body.Member.Address), address: body.Member.Address, port: *body.Member.Port, subnetID: body.Member.SubnetID,
		zone: body.Member.Zone, created: c.now, updated: c.now, weight: 1,
	}
	if body.Member.Name != nil {
		m.name = *body.Member.Name
	}
	if body.Member.Weight != nil {
		m.weight = *body.Member.Weight
	}
	m.setEffective(c.now, 0)
	m.pending = []weightChange{{c.now.Add(e.options.Timing.WeightEffect), m.weight}}
	p.add(e.seed, m)
	e.bookMember(c, p, m, 0, m.weight)
	return e.memberAnswer(c, 201, p, m)
}

func (e *Emulator) judgeNewMember(p *pool, body memberRequest) *refusal {
	m := body.Member
	switch _, err := netip.ParseAddr(m.Address); {
	case err != nil:
		return refuseELB("ELB.8902", "address is no IP address")
	case m.Port == nil:
		return refuseELB("ELB.8902", "protocol_port is missing")
	case m.SubnetID != "" && m.SubnetID != e.seed.uuid("subnet"):
		return refuseELB("ELB.8904", "subnet "+m.SubnetID)
	case m.SubnetID != "" && e.serverAt(m.Address) == "":
		return refuseELB("ELB.8902", "no server has the address "+m.Address)
	case p.isTaken(m.Address, *m.Port, m.SubnetID):
		return refuseELB("ELB.8907", "the pool has a member with this address and port")
	}
	return nil
}

func (p *pool) isTaken(address string, port int, subnetID string) bool {
	return slices.ContainsFunc(p.members, func(m *member) bool { return m.address == address && m.port == port && m.subnetID == subnetID })
}

// removeMember is DELETE pools/{pool_id}/members/{member_id}. Guess: the code under deletion protection.
func (e *Emulator) removeMember(c *call) answer {
	p, m, r := e.memberOf(c)
	if r == nil && p.DeletionProtection {
		r = refuseELB("ELB.8907", "member_deletion_protection_enable of pool "+p.ID)
	}
	if r != nil {
		return r.answer(c.requestID)
	}
	p.members = slices.DeleteFunc(p.members, func(other *member) bool { return other == m })
	e.bookMember(c, p, m, m.weight, 0)
	return answer{status: 204, header: http.Header{"Content-Type": nil, "Content-Length": nil}}
}

func (e *Emulator) memberOf(c *call) (*pool, *member, *refusal) {
	p := e.pool(c.vars["pool_id"])
	if p == nil {
		return nil, nil, refusePool(c.vars["pool_id"])
	}
	m := p.member(c.vars["member_id"])
	if m == nil {
		return nil, nil, refuseMember(c.vars["member_id"])
	}
	return p, m, nil
}

// serverAt is the id of the server with that address, "" when there is none.
func (e *Emulator) serverAt(address string) string {
	for _, m := range e.machines {
		if m.IP == address {
			return m.ID
		}
	}
	return ""
}

// A poolItem is anything that the lists of the load balancer service hold.
type poolItem struct {
	itemID string
	view   any
}

func (i poolItem) id() string { return i.itemID }

// listELB answers one page of the items under the given name, sorted by id.
func (e *Emulator) listELB(c *call, name string, items []poolItem) answer {
	if r := e.judgeEnterprise(c); r != nil {
		return r.asGateway().answer(c.requestID)
	}
	slices.SortFunc(items, func(a, b poolItem) int { return strings.Compare(a.itemID, b.itemID) })
	page, info, r := pageOf(c, items)
	if r != nil {
		return r.answer(c.requestID)
	}
	views := make([]any, len(page))
	for i, item := range page {
		views[i] = item.view
	}
	return jsonAnswer(200, map[string]any{name: views, "page_info": info, "request_id": c.requestID})
}

// listPools is GET pools.
func (e *Emulator) listPools(c *call) answer {
	var items []poolItem
	for _, p := range e.pools {
		if !p.MasterSlave && p.fits(c.query, e) {
			items = append(items, poolItem{p.ID, e.viewPool(p)})
		}
	}
	return e.listELB(c, "pools", items)
}

// fits tells whether the filters of the query let the pool through. Unknown filters are ignored.
func (p *pool) fits(q url.Values, e *Emulator) bool {
	return among(q, "id", p.ID) && among(q, "name", p.Name) && among(q, "loadbalancer_id", p.loadBalancerID) &&
		among(q, "listener_id", p.listenerID) && among(q, "lb_algorithm", p.Algorithm) && among(q, "protocol", p.Protocol) &&
		among(q, "healthmonitor_id", p.monitorID) && among(q, "vpc_id", e.vpcID()) && among(q, "type", "instance") &&
		p.hasMember(q)
}

// hasMember tells whether the filters by member let the pool through. A member of type ip has no device.
func (p *pool) hasMember(q url.Values) bool {
	for filter, of := range map[string]func(*member) string{
		"member_device_id": (*member).instanceID, "member_instance_id": (*member).instanceID,
		"member_address": func(m *member) string { return m.address },
	} {
		if q.Has(filter) && !slices.ContainsFunc(p.members, func(m *member) bool { return among(q, filter, of(m)) }) {
			return false
		}
	}
	return true
}

func (m *member) instanceID() string {
	if m.subnetID == "" {
		return ""
	}
	return m.serverID
}

// showPool is GET pools/{pool_id}.
func (e *Emulator) showPool(c *call) answer {
	p := e.pool(c.vars["pool_id"])
	if p == nil {
		return refusePool(c.vars["pool_id"]).answer(c.requestID)
	}
	return jsonAnswer(200, map[string]any{"pool": e.viewPool(p), "request_id": c.requestID})
}

// listMembers is GET pools/{pool_id}/members.
func (e *Emulator) listMembers(c *call) answer {
	p := e.pool(c.vars["pool_id"])
	if p == nil {
		return refusePool(c.vars["pool_id"]).answer(c.requestID)
	}
	var items []poolItem
	for _, m := range p.members {
		if v := e.viewMember(c, p, m); v.fits(c.query) && among(c.query, "instance_id", v.InstanceID) && among(c.query, "member_type", v.Type) &&
			among(c.query, "availability_zone", v.Zone) {
			items = append(items, poolItem{m.id, v})
		}
	}
	return e.listELB(c, "members", items)
}

// listAllMembers is GET members: of the whole project. It has no filter by server.
func (e *Emulator) listAllMembers(c *call) answer {
	var items []poolItem
	for _, p := range e.pools {
		if p.MasterSlave || !among(c.query, "pool_id", p.ID) || !among(c.query, "loadbalancer_id", p.loadBalancerID) {
			continue
		}
		for _, m := range p.members {
			if v := e.viewMember(c, p, m); v.fits(c.query) {
				items = append(items, poolItem{m.id, v})
			}
		}
	}
	return e.listELB(c, "members", items)
}

func (v memberView) fits(q url.Values) bool {
	return among(q, "id", v.ID) && among(q, "name", v.Name) && among(q, "address", v.Address) && among(q, "weight", strconv.Itoa(v.Weight)) &&
		among(q, "protocol_port", strconv.Itoa(v.Port)) && among(q, "operating_status", v.OperatingStatus) &&
		among(q, "subnet_cidr_id", v.SubnetID) && among(q, "ip_version", v.IPVersion)
}

// showMember is GET pools/{pool_id}/members/{member_id}.
func (e *Emulator) showMember(c *call) answer {
	p, m, r := e.memberOf(c)
	if r != nil {
		return r.answer(c.requestID)
	}
	return e.memberAnswer(c, 200, p, m)
}

func (e *Emulator) memberAnswer(c *call, status int, p *pool, m *member) answer {
	return jsonAnswer(status, map[string]any{"member": e.viewMember(c, p, m), "request_id": c.requestID})
}

// listListeners is GET listeners. Each listener has one pool; those of master-slave pools are listed, too.
func (e *Emulator) listListeners(c *call) answer {
	var items []poolItem
	for _, p := range e.pools {
		q := c.query
		if p.listenerID != "" && p.hasMember(q) && among(q, "id", p.listenerID) && among(q, "loadbalancer_id", p.loadBalancerID) &&
			among(q, "default_pool_id", p.ID) && among(q, "protocol", p.Protocol) {
			items = append(items, poolItem{p.listenerID, e.viewListener(p)})
		}
	}
	return e.listELB(c, "listeners", items)
}

// listLoadBalancers is GET loadbalancers.
func (e *Emulator) listLoadBalancers(c *call) answer {
	var items []poolItem
	for _, v := range e.viewLoadBalancers() {
		if among(c.query, "id", v.ID) && among(c.query, "name", v.Name) {
			items = append(items, poolItem{v.ID, v})
		}
	}
	return e.listELB(c, "loadbalancers", items)
}

// listHealthMonitors is GET healthmonitors.
func (e *Emulator) listHealthMonitors(c *call) answer {
	var items []poolItem
	for _, p := range e.pools {
		if p.monitorID != "" && !p.MasterSlave && among(c.query, "id", p.monitorID) {
			items = append(items, poolItem{p.monitorID, e.viewHealthMonitor(p)})
		}
	}
	return e.listELB(c, "healthmonitors", items)
}

// listMasterSlavePools is GET master-slave-pools.
func (e *Emulator) listMasterSlavePools(c *call) answer {
	var items []poolItem
	for _, p := range e.pools {
		if p.MasterSlave && p.fits(c.query, e) {
			items = append(items, poolItem{p.ID, e.viewMasterSlavePool(c, p)})
		}
	}
	return e.listELB(c, "pools", items)
}

func (e *Emulator) vpcID() string { return e.seed.uuid("network") }

// elbTime is how the load balancer service prints times.
func elbTime(t time.Time) string { return t.Format(serverTime) }
