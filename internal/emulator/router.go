package emulator

import (
	"encoding/json"
	"net/http"
	"net/url"
	"strings"
	"time"
)

// A route is one operation of the API.
type route struct {
	method, path string // path with {names}
	op           string // for faults; "" when the body decides
	public       bool   // needs no credentials
	do           func(*call) answer
}

func (r *route) String() string { return r.method + " " + r.path }

// version returns the first segment of the path, "v1".
func (r *route) version() string { return strings.SplitN(r.path, "/", 3)[1] }

// A call is one request after the gateway has let it in.
type call struct {
	route     *route
	version   string
	vars      map[string]string // what stands in place of the {names}
	query     url.Values
	body      []byte
	op        string
	targets   []string // ids of the servers it is about
	wall, now time.Time
	asOf      time.Time // the moment that a read shows; now, unless a fault says otherwise
	isCopy    bool      // a gateway delivers it once more
	requestID string
	session   string // of the metadata service

	lie   *Fault                     // what a read says about the health of members, nil for the truth
	fault *Fault                     // strikes the work that this call starts, nil for none
	aimed func(serverID string) bool // which of the servers it strikes; set with fault
}

// copyAt is the call when it arrives once more. The work that a copy starts is not struck by the fault of the first.
func (c *call) copyAt(at time.Time) *call {
	again := *c
	again.now, again.asOf, again.isCopy, again.fault = at, at, true, nil
	return &again
}

// faultOn returns the fault that strikes the work on one server of the call.
func (c *call) faultOn(m *machine) *Fault {
	if c.fault == nil || !c.aimed(m.ID) {
		return nil
	}
	return c.fault
}

func (e *Emulator) table() []route {
	const server = "/{project_id}/cloudservers/{server_id}"
	routes := []route{
		{method: "GET", path: "/v1" + server, op: OpServer, do: e.showServer},
		{method: "GET", path: "/v1" + server + "/block_device", op: OpBlockDevice, do: e.showBlockDevices},
		{method: "GET", path: "/v1/{project_id}/cloudservers/detail", op: OpServers, do: e.listServers},
		{method: "GET", path: "/v1/{project_id}/cloudservers/os-server-groups", op: OpServerGroups, do: e.listGroups},
		{method: "GET", path: "/v1/{project_id}/jobs/{job_id}", op: OpJob, do: e.showJob},
		{method: "POST", path: "/v1/{project_id}/cloudservers/action", do: e.power},
		{method: "POST", path: "/v2" + server + "/changeos", op: OpChangeOS, do: e.changeOS},
		{method: "POST", path: "/v2" + server + "/reinstallos", op: OpReinstallOS, do: e.reinstallOS},
		{method: "GET", path: "/v2/cloudimages", op: OpImage, do: e.listImages},
		{method: "GET", path: "/v2.1/{project_id}/os-keypairs", op: OpKeyPair, do: e.listKeyPairs},
		{method: "GET", path: "/v2.1/{project_id}/os-keypairs/{keypair_name}", op: OpKeyPair, do: e.showKeyPair},
		{method: "GET", path: "/v3/{project_id}/keypairs/{keypair_name}", op: OpAccountKeyPair, do: e.showAccountKeyPair},
		{method: "POST", path: "/v3/auth/tokens", op: OpToken, public: true, do: e.issueToken},
		{method: "GET", path: "/v3/projects", op: OpProject, do: e.listProjects},
		{method: "GET", path: "/v3/auth/domains", op: OpProject, do: e.listDomains},
		{method: "PUT", path: "/meta-data/latest/api/token", op: OpMetadata, public: true, do: e.openSession},
		{method: "GET", path: "/openstack/latest/securitykey", op: OpMetadata, public: true, do: e.showKeys},
	}
	if !e.options.Edition.V2Only {
		routes = append(routes,
			route{method: "POST", path: "/v1" + server + "/changeos", op: OpChangeOS, do: e.changeOS},
			route{method: "POST", path: "/v1" + server + "/reinstallos", op: OpReinstallOS, do: e.reinstallOS})
	}
	return append(routes, e.elbRoutes()...)
}

// match finds the route with the fewest {names} that fits, and what the names stand for. It looks at the path as sent,
// so an escaped slash belongs to its segment, and redirects nothing.
func (e *Emulator) match(r *http.Request) (*route, map[string]string) {
	var best *route
	var bestVars map[string]string
	segments := strings.Split(r.URL.EscapedPath(), "/")
	for i := range e.routes {
		candidate := &e.routes[i]
		if candidate.method != r.Method {
			continue
		}
		vars, ok := fit(strings.Split(candidate.path, "/"), segments)
		if ok && (best == nil || len(vars) < len(bestVars)) {
			best, bestVars = candidate, vars
		}
	}
	return best, bestVars
}

func fit(pattern, segments []string) (map[string]string, bool) {
	if len(pattern) != len(segments) {
		return nil, false
	}
	vars := map[string]string{}
	for i, p := range pattern {
		segment, err := url.PathUnescape(segments[i])
		if err != nil || segment == "" && i > 0 {
			return nil, false
		}
		switch {
		case strings.HasPrefix(p, "{"):
			vars[strings.Trim(p, "{}")] = segment
		case p != segment:
			return nil, false
		}
	}
	return vars, true
}

// identify tells what a call does and to which servers, for the faults.
func (e *Emulator) identify(c *call) (op string, targets []string) {
	if id, ok := c.vars["server_id"]; ok {
		return c.route.op, []string{id}
	}
	if isELB(c.route.op) {
		return c.route.op, e.elbTargets(c)
	}
	if c.route.op == OpJob {
		if j, ok := e.jobs[c.vars["job_id"]]; ok {
			return OpJob, j.servers()
		}
		return OpJob, nil
	}
	if c.route.op != "" {
		return c.route.op, nil
	}
	var body powerRequest
	if json.Unmarshal(c.body, &body) != nil {
		return "", nil
	}
	action, op := body.action()
	if action == nil {
		return "", nil
	}
	for _, s := range action.Servers {
		targets = append(targets, s.ID)
	}
	return op, targets
}
