package emulator

import (
	"slices"
	"time"
)

// PoolLedger is the account of one pool.
type PoolLedger struct {
	Name    string         `json:"name"`
	Changes []MemberChange `json:"changes"` // accepted, in order
	// InService is how many members are in service now: the effective weight is above 0, the server is ACTIVE, and its
	// application, when applications are on, answers 200. MinInService is the lowest number so far, first at MinAt.
	InService    int       `json:"in_service"`
	MinInService int       `json:"min_in_service"`
	MinAt        time.Time `json:"min_at"` // emulated
}

// MemberChange is one accepted write to a member of a pool.
type MemberChange struct {
	Time     time.Time `json:"time"` // emulated
	Op       string    `json:"op"`   // elb_member_update, elb_member_add, elb_member_remove
	MemberID string    `json:"member_id"`
	ServerID string    `json:"server_id,omitempty"`
	Address  string    `json:"address"`
	// From and To are the weights before and after. Requests follow Timing.WeightEffect later.
	From int `json:"from"`
	To   int `json:"to"`
	// Copy is true for a request that a gateway delivered once more.
	Copy bool `json:"copy,omitempty"`
}

func (l *PoolLedger) observe(now time.Time, inService int) {
	l.InService = inService
	if l.MinAt.IsZero() || inService < l.MinInService {
		l.MinInService, l.MinAt = inService, now
	}
}

func (l *PoolLedger) clone() *PoolLedger {
	c := *l
	c.Changes = slices.Clone(l.Changes)
	return &c
}

// bookMember must be called in the critical section that changes the member.
func (e *Emulator) bookMember(c *call, p *pool, m *member, from, to int) {
	p.account.Changes = append(p.account.Changes, MemberChange{
		Time: c.now, Op: c.op, MemberID: m.id, ServerID: m.serverID, Address: m.address, From: from, To: to, Copy: c.isCopy,
	})
}

// ResetLows begins the lowest numbers of members in service anew, for instance once a test has prepared its fleet.
func (e *Emulator) ResetLows() {
	e.mu.Lock()
	defer e.mu.Unlock()
	now := e.now()
	e.advance(now)
	for _, p := range e.pools {
		p.account.MinAt = time.Time{}
	}
	e.observePools(now)
}
