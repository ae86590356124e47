package emulator

import (
	"maps"
	"slices"
	"sync/atomic"
	"time"
)

// Ledger is the account of what the emulator accepted and what arrived. Deleted servers stay in it.
type Ledger struct {
	Servers map[string]*ServerLedger `json:"servers"`         // by server id; every server has an entry from the start
	Pools   map[string]*PoolLedger   `json:"pools,omitempty"` // by pool id
	// Requests counts everything that arrived, also refused requests, by "METHOD /path/with/{names}". What fits no route
	// counts as "unmatched"; the admin surface does not count.
	Requests map[string]int `json:"requests"`
	// Throttled counts the calls beyond Options.CallsPerSecond.
	Throttled int `json:"throttled,omitempty"`
	// Faults counts the faults that struck, by kind.
	Faults map[FaultKind]int `json:"faults,omitempty"`
}

// ServerLedger is the account of one server.
type ServerLedger struct {
	Name              string  `json:"name"`
	ChangeOSAccepted  int     `json:"changeos_accepted"`
	ReinstallAccepted int     `json:"reinstallos_accepted"`
	Writes            []Write `json:"writes"` // every accepted write, in order
	// Application is nil when applications are off.
	Application *ApplicationLedger `json:"application,omitempty"`
}

// ApplicationLedger is the account of the application of one server.
type ApplicationLedger struct {
	Address     string `json:"address"`     // "127.20.0.4:8080"
	Connections int    `json:"connections"` // accepted
	// Answers counts the answered requests by the state at their arrival; not_found counts other paths than /health.
	Answers map[ApplicationState]int `json:"answers"`
	// ListenError is why it does not listen although its state says so: another program holds its address.
	ListenError string `json:"listen_error,omitempty"`

	connections *atomic.Int64 // what Connections is copied from
}

func (a *ApplicationLedger) clone() *ApplicationLedger {
	if a == nil {
		return nil
	}
	c := *a
	c.Answers, c.Connections, c.connections = maps.Clone(a.Answers), int(a.connections.Load()), nil
	return &c
}

// Write is one accepted write to one server.
type Write struct {
	Time    time.Time `json:"time"` // emulated
	Op      string    `json:"op"`   // changeos, reinstallos, stop, start, reboot
	JobID   string    `json:"job_id"`
	ImageID string    `json:"image_id,omitempty"`
	// Beside is the job of an earlier change of the server which was not over when this one was accepted.
	Beside string `json:"beside,omitempty"`
	// Ended is when its job was over. Zero while it is not. Failed is true when it ended in FAIL.
	Ended  time.Time `json:"ended,omitzero"`
	Failed bool      `json:"failed,omitempty"`
	// Copy is true for a request that a gateway delivered once more.
	Copy bool `json:"copy,omitempty"`
	// InService are the names of the pools in which the server got requests and answered them when a write that stops
	// it was accepted. StillConnected are those in which connections of before its weight was 0 may have been open.
	InService      []string `json:"in_service,omitempty"`
	StillConnected []string `json:"still_connected,omitempty"`
}

// book must be called in the critical section that changes the server's state.
func (e *Emulator) book(m *machine, w Write) {
	s := e.ledger.Servers[m.ID]
	if w.Op != OpStart {
		w.InService, w.StillConnected = e.inService(m.ID, w.Time), e.stillConnected(m.ID, w.Time)
	}
	s.Writes = append(s.Writes, w)
	switch w.Op {
	case OpChangeOS:
		s.ChangeOSAccepted++
	case OpReinstallOS:
		s.ReinstallAccepted++
	}
}

// addEnd adds how the job of the write has ended by now.
func (e *Emulator) addEnd(w *Write) {
	if j := e.jobs[w.JobID]; j != nil {
		end, code, _ := j.settled(e.now())
		w.Ended, w.Failed = end, code != ""
	}
}

// Ledger returns a copy of the account as of now.
func (e *Emulator) Ledger() Ledger {
	e.mu.Lock()
	defer e.mu.Unlock()
	e.advance(e.now())
	servers := make(map[string]*ServerLedger, len(e.ledger.Servers))
	for id, s := range e.ledger.Servers {
		c := *s
		c.Writes = slices.Clone(s.Writes)
		c.Application = s.Application.clone()
		for i := range c.Writes {
			e.addEnd(&c.Writes[i])
		}
		servers[id] = &c
	}
	var pools map[string]*PoolLedger // nil without pools
	if len(e.ledger.Pools) > 0 {
		pools = make(map[string]*PoolLedger, len(e.ledger.Pools))
	}
	for id, p := range e.ledger.Pools {
		pools[id] = p.clone()
	}
	return Ledger{
		Servers: servers, Pools: pools, Requests: maps.Clone(e.ledger.Requests), Throttled: e.ledger.Throttled, Faults: maps.Clone(e.ledger.Faults),
	}
}
