package emulator

import (
	"slices"
	"strconv"
	"strings"
	"time"
)

type idRef struct {
	ID string `json:"id"`
}

// refs is the list with the id, empty for "".
func refs(ids ...string) []idRef {
	all := []idRef{}
	for _, id := range ids {
		if id != "" {
			all = append(all, idRef{id})
		}
	}
	return all
}

type poolView struct {
	ID                 string           `json:"id"`
	Name               string           `json:"name"`
	Description        string           `json:"description"`
	ProjectID          string           `json:"project_id"`
	EnterpriseID       string           `json:"enterprise_project_id"`
	AdminStateUp       bool             `json:"admin_state_up"`
	Protocol           string           `json:"protocol"`
	Algorithm          string           `json:"lb_algorithm"`
	LoadBalancers      []idRef          `json:"loadbalancers"`
	Listeners          []idRef          `json:"listeners"`
	Members            []idRef          `json:"members"`
	MonitorID          string           `json:"healthmonitor_id"` // "" for none
	SessionPersistence *persistenceView `json:"session_persistence"`
	SlowStart          *slowStartView   `json:"slow_start"`
	DeletionProtection bool             `json:"member_deletion_protection_enable"`
	ProtectionStatus   string           `json:"protection_status"`
	VPCID              string           `json:"vpc_id"`
	Type               string           `json:"type"`
	IPVersion          string           `json:"ip_version"`
	Created            string           `json:"created_at"`
	Updated            string           `json:"updated_at"`
}

type persistenceView struct {
	Type       string `json:"type"`
	CookieName string `json:"cookie_name,omitempty"`
	Timeout    int    `json:"persistence_timeout"` // minutes
}

type slowStartView struct {
	Enable   bool `json:"enable"`
	Duration int  `json:"duration"` // seconds
}

func (p *pool) persistence() *persistenceView {
	if p.SessionPersistence == "" {
		return nil
	}
	return &persistenceView{Type: p.SessionPersistence, Timeout: p.PersistenceTimeout}
}

func (e *Emulator) viewPool(p *pool) poolView {
	v := poolView{
		ID: p.ID, Name: p.Name, ProjectID: e.options.ProjectID, EnterpriseID: e.enterpriseProject(), AdminStateUp: true, Protocol: p.Protocol,
		Algorithm: p.Algorithm, LoadBalancers: refs(p.loadBalancerID), Listeners: refs(p.listenerID), Members: []idRef{},
		MonitorID: p.monitorID, SessionPersistence: p.persistence(), DeletionProtection: p.DeletionProtection,
		ProtectionStatus: "nonProtection", VPCID: e.vpcID(), Type: "instance", IPVersion: "dualstack",
		Created: elbTime(e.started), Updated: elbTime(e.started),
	}
	if p.SlowStart > 0 {
		v.SlowStart = &slowStartView{true, int(p.SlowStart / time.Second)}
	}
	for _, m := range p.members {
		v.Members = append(v.Members, idRef{m.id})
	}
	return v
}

type memberView struct {
	ID              string             `json:"id"`
	Name            string             `json:"name"`
	ProjectID       string             `json:"project_id"`
	AdminStateUp    bool               `json:"admin_state_up"`
	SubnetID        string             `json:"subnet_cidr_id"` // "" for a member of type ip
	Port            int                `json:"protocol_port"`
	Weight          int                `json:"weight"`
	Address         string             `json:"address"`
	IPVersion       string             `json:"ip_version"`
	OperatingStatus string             `json:"operating_status"`
	Status          []memberStatusView `json:"status"` // of each listener
	Reason          *reasonView        `json:"reason,omitempty"`
	Type            string             `json:"member_type"` // instance or ip
	InstanceID      string             `json:"instance_id"`
	Zone            string             `json:"availability_zone"`
	Created         string             `json:"created_at"`
	Updated         string             `json:"updated_at"`
}

type memberStatusView struct {
	ListenerID      string      `json:"listener_id"`
	OperatingStatus string      `json:"operating_status"`
	Reason          *reasonView `json:"reason,omitempty"`
}

type reasonView struct {
	Code     string `json:"reason_code"`
	Expected string `json:"expected_response"`
	Response string `json:"healthcheck_response"`
}

func (e *Emulator) viewMember(c *call, p *pool, m *member) memberView {
	v := memberView{
		ID: m.id, Name: m.name, ProjectID: e.options.ProjectID, AdminStateUp: m.serverID == "" || e.byID[m.serverID] != nil,
		SubnetID: m.subnetID, Port: m.port, Weight: m.weight, Address: m.address, IPVersion: "v4", Status: []memberStatusView{},
		Type: "instance", InstanceID: m.instanceID(), Zone: m.zone, Created: elbTime(m.created), Updated: elbTime(m.updated),
	}
	if m.subnetID == "" {
		v.Type = "ip"
	}
	v.OperatingStatus = e.operatingStatus(c, p, m)
	if v.OperatingStatus == "OFFLINE" {
		v.Reason = e.reasonOf(p, m, c.now)
	}
	if p.listenerID != "" {
		v.Status = append(v.Status, memberStatusView{p.listenerID, v.OperatingStatus, v.Reason})
	}
	return v
}

// operatingStatus is what the health monitor says, or what a fault of the read says.
func (e *Emulator) operatingStatus(c *call, p *pool, m *member) string {
	switch {
	case p.listenerID == "":
		return "UNKNOWN"
	case p.monitorID == "":
		return "NO_MONITOR"
	case c.lie != nil && e.isAimedAt(*c.lie, m.serverID):
		return c.lie.operatingStatus(c.now.Sub(e.started))
	case !m.isJudged:
		return "INITIAL"
	case m.isOnline:
		return "ONLINE"
	}
	return "OFFLINE"
}

// operatingStatus of the fault goes by the emulated time since the start.
func (f Fault) operatingStatus(since time.Duration) string {
	isOdd := f.Delay > 0 && int(since/max(f.Delay/2, 1))%2 == 1
	if f.Variant == VariantOffline || f.Variant == VariantFlaps && isOdd {
		return "OFFLINE"
	}
	return "ONLINE"
}

// reasonOf is why a probe of the member fails. Guess: the codes for the failures.
func (e *Emulator) reasonOf(p *pool, m *member, now time.Time) *reasonView {
	server := e.byID[m.serverID]
	if server == nil || server.app == nil {
		return &reasonView{Code: "CONNECT_TIMEOUT"}
	}
	switch state := server.app.state(now); state {
	case ApplicationSlow:
		return &reasonView{Code: "RECV_RESPONSE_TIMEOUT"}
	case ApplicationFailing:
		status, _ := server.app.failure()
		return &reasonView{Code: "RESPONSE_MISMATCH", Expected: "200", Response: strconv.Itoa(status)}
	}
	return &reasonView{Code: "CONNECT_REFUSED"}
}

type listenerView struct {
	ID               string  `json:"id"`
	Name             string  `json:"name"`
	Description      string  `json:"description"`
	ProjectID        string  `json:"project_id"`
	EnterpriseID     string  `json:"enterprise_project_id"`
	AdminStateUp     bool    `json:"admin_state_up"`
	Protocol         string  `json:"protocol"`
	Port             int     `json:"protocol_port"`
	DefaultPoolID    string  `json:"default_pool_id"`
	LoadBalancers    []idRef `json:"loadbalancers"`
	ConnectionLimit  int     `json:"connection_limit"` // -1 is none
	KeepaliveTimeout int     `json:"keepalive_timeout"`
	ClientTimeout    int     `json:"client_timeout"`
	MemberTimeout    int     `json:"member_timeout"`
	Created          string  `json:"created_at"`
	Updated          string  `json:"updated_at"`
}

func (e *Emulator) viewListener(p *pool) listenerView {
	port := 80
	if p.Protocol == "HTTPS" {
		port = 443
	}
	return listenerView{
		ID: p.listenerID, Name: p.Name + "-listener", ProjectID: e.options.ProjectID, EnterpriseID: e.enterpriseProject(), AdminStateUp: true,
		Protocol: p.Protocol, Port: port, DefaultPoolID: p.ID, LoadBalancers: refs(p.loadBalancerID), ConnectionLimit: -1,
		KeepaliveTimeout: p.KeepaliveTimeout, ClientTimeout: 60, MemberTimeout: p.MemberTimeout,
		Created: elbTime(e.started), Updated: elbTime(e.started),
	}
}

type loadBalancerView struct {
	ID                 string  `json:"id"`
	Name               string  `json:"name"`
	ProjectID          string  `json:"project_id"`
	EnterpriseID       string  `json:"enterprise_project_id"`
	AdminStateUp       bool    `json:"admin_state_up"`
	ProvisioningStatus string  `json:"provisioning_status"`
	OperatingStatus    string  `json:"operating_status"`
	VPCID              string  `json:"vpc_id"`
	Pools              []idRef `json:"pools"`
	Listeners          []idRef `json:"listeners"`
	Created            string  `json:"created_at"`
	Updated            string  `json:"updated_at"`
}

// viewLoadBalancers are those that the pools name, in their order.
func (e *Emulator) viewLoadBalancers() []loadBalancerView {
	var all []loadBalancerView
	for _, p := range e.pools {
		if p.loadBalancerID == "" {
			continue
		}
		at := slices.IndexFunc(all, func(v loadBalancerView) bool { return v.ID == p.loadBalancerID })
		if at < 0 {
			at = len(all)
			all = append(all, loadBalancerView{
				ID: p.loadBalancerID, Name: p.LoadBalancer, ProjectID: e.options.ProjectID, EnterpriseID: e.enterpriseProject(), AdminStateUp: true,
				ProvisioningStatus: "ACTIVE", OperatingStatus: "ONLINE", VPCID: e.vpcID(), Created: elbTime(e.started), Updated: elbTime(e.started),
			})
		}
		all[at].Pools = append(all[at].Pools, idRef{p.ID})
		all[at].Listeners = append(all[at].Listeners, idRef{p.listenerID})
	}
	return all
}

type healthMonitorView struct {
	ID             string  `json:"id"`
	Name           string  `json:"name"`
	ProjectID      string  `json:"project_id"`
	AdminStateUp   bool    `json:"admin_state_up"`
	Type           string  `json:"type"` // HTTP or TCP
	Delay          int     `json:"delay"`
	Timeout        int     `json:"timeout"`
	MaxRetries     int     `json:"max_retries"`
	MaxRetriesDown int     `json:"max_retries_down"`
	MonitorPort    orNull  `json:"monitor_port"`
	URLPath        string  `json:"url_path"`
	HTTPMethod     string  `json:"http_method"`
	ExpectedCodes  string  `json:"expected_codes"`
	DomainName     string  `json:"domain_name"`
	Pools          []idRef `json:"pools"`
}

func (e *Emulator) viewHealthMonitor(p *pool) healthMonitorView {
	v := healthMonitorView{
		ID: p.monitorID, Name: p.Name + "-monitor", ProjectID: e.options.ProjectID, AdminStateUp: true, Type: "TCP",
		Delay: int(p.MonitorInterval / time.Second), Timeout: int(p.MonitorTimeout / time.Second),
		MaxRetries: p.MonitorMaxRetries, MaxRetriesDown: p.MonitorMaxRetries, Pools: []idRef{{p.ID}},
	}
	if p.isHTTP() {
		v.Type, v.URLPath, v.HTTPMethod, v.ExpectedCodes = "HTTP", "/health", "GET", "200"
	}
	return v
}

type masterSlavePoolView struct {
	ID                 string                  `json:"id"`
	Name               string                  `json:"name"`
	Description        string                  `json:"description"`
	ProjectID          string                  `json:"project_id"`
	EnterpriseID       string                  `json:"enterprise_project_id"`
	Protocol           string                  `json:"protocol"`
	Algorithm          string                  `json:"lb_algorithm"`
	LoadBalancers      []idRef                 `json:"loadbalancers"`
	Listeners          []idRef                 `json:"listeners"`
	Members            []masterSlaveMemberView `json:"members"`
	Monitor            *healthMonitorView      `json:"healthmonitor"`
	SessionPersistence *persistenceView        `json:"session_persistence"`
	VPCID              string                  `json:"vpc_id"`
	Type               string                  `json:"type"`
	IPVersion          string                  `json:"ip_version"`
	Created            string                  `json:"created_at"`
	Updated            string                  `json:"updated_at"`
}

// masterSlaveMemberView has a role and no weight.
type masterSlaveMemberView struct {
	ID              string             `json:"id"`
	Name            string             `json:"name"`
	AdminStateUp    bool               `json:"admin_state_up"`
	SubnetID        string             `json:"subnet_cidr_id"`
	Port            int                `json:"protocol_port"`
	Address         string             `json:"address"`
	IPVersion       string             `json:"ip_version"`
	OperatingStatus string             `json:"operating_status"`
	Status          []memberStatusView `json:"status"`
	Reason          *reasonView        `json:"reason,omitempty"`
	Type            string             `json:"member_type"`
	InstanceID      string             `json:"instance_id"`
	Role            string             `json:"role"` // master or slave
}

func (e *Emulator) viewMasterSlavePool(c *call, p *pool) masterSlavePoolView {
	v := masterSlavePoolView{
		ID: p.ID, Name: p.Name, ProjectID: e.options.ProjectID, EnterpriseID: e.enterpriseProject(), Protocol: p.Protocol, Algorithm: p.Algorithm,
		LoadBalancers: refs(p.loadBalancerID), Listeners: refs(p.listenerID), SessionPersistence: p.persistence(), VPCID: e.vpcID(),
		Type: "instance", IPVersion: "dualstack", Created: elbTime(e.started), Updated: elbTime(e.started),
	}
	if p.monitorID != "" {
		monitor := e.viewHealthMonitor(p)
		v.Monitor = &monitor
	}
	for _, m := range p.members {
		shown := e.viewMember(c, p, m)
		v.Members = append(v.Members, masterSlaveMemberView{
			ID: shown.ID, Name: shown.Name, AdminStateUp: shown.AdminStateUp, SubnetID: shown.SubnetID, Port: shown.Port, Address: shown.Address,
			IPVersion: shown.IPVersion, OperatingStatus: shown.OperatingStatus, Status: shown.Status, Reason: shown.Reason,
			Type: shown.Type, InstanceID: shown.InstanceID, Role: m.role,
		})
	}
	slices.SortFunc(v.Members, func(a, b masterSlaveMemberView) int { return strings.Compare(a.Role, b.Role) })
	return v
}
