package emulator

import (
	"fmt"
	"slices"
)

// Servers returns the true state of every server now, by name.
func (e *Emulator) Servers() []Server {
	e.mu.Lock()
	defer e.mu.Unlock()
	e.advance(e.now())
	servers := make([]Server, len(e.machines))
	for i, m := range e.machines {
		servers[i] = m.Server.clone()
	}
	return servers
}

// Server returns the true state of one server now; false when it does not exist.
func (e *Emulator) Server(id string) (Server, bool) {
	e.mu.Lock()
	defer e.mu.Unlock()
	e.advance(e.now())
	m, ok := e.byID[id]
	if !ok {
		return Server{}, false
	}
	return m.Server.clone(), true
}

// KeyPairs returns the key pairs that exist.
func (e *Emulator) KeyPairs() []KeyPair { return slices.Clone(e.keyPairs) }

// Images returns all images.
func (e *Emulator) Images() []Image {
	e.mu.Lock()
	defer e.mu.Unlock()
	return slices.Clone(e.images)
}

// Update changes a server by hand: lock it, freeze it, switch it off. When only Status changes, the states behind it
// follow; when only they change, Status does. Work that is going on goes on, and later has the last word. The API shows
// the change at once, past any lag. The change must not call the emulator and cannot give the server another id.
func (e *Emulator) Update(id string, change func(*Server)) error {
	e.mu.Lock()
	defer e.mu.Unlock()
	now := e.now()
	e.advance(now)
	m, ok := e.byID[id]
	if !ok {
		return fmt.Errorf("emulator: server %s does not exist", id)
	}
	after := m.Server.clone()
	change(&after)
	if after.ID != id {
		return fmt.Errorf("emulator: server %s cannot change its id", id)
	}
	if after.VMState == m.VMState && after.TaskState == m.TaskState {
		if after.Status != m.Status {
			after.VMState, after.TaskState = vmStateOf(after.Status), ""
		}
	} else if after.Status == m.Status {
		after.Status = statusOf(after.VMState, after.TaskState)
	}
	if after.ImageID != m.ImageID {
		m.installed = e.imageOrUnknown(after.ImageID)
	}
	after.Updated = now
	m.remember(now)
	m.Server, m.stale = after.clone(), nil
	e.ledger.Servers[id].Name = after.Name
	m.followApplication(now)
	e.changed(now)
	return nil
}

// Delete removes a server. A job that works on it fails.
func (e *Emulator) Delete(id string) error {
	e.mu.Lock()
	defer e.mu.Unlock()
	now := e.now()
	e.advance(now)
	m, ok := e.byID[id]
	if !ok {
		return fmt.Errorf("emulator: server %s does not exist", id)
	}
	m.vanish(now)
	e.dropGone()
	e.changed(now)
	return nil
}

// OpenChange is the job of the server's latest change that may still do something. Empty when none may.
func (e *Emulator) OpenChange(id string) string {
	e.mu.Lock()
	defer e.mu.Unlock()
	e.advance(e.now())
	m, ok := e.byID[id]
	if !ok {
		return ""
	}
	return e.open(m, e.now())
}

// CancelOrder cancels the unpaid order of the change with that job, as in the cloud's console. The job stays as it is.
func (e *Emulator) CancelOrder(jobID string) error {
	e.mu.Lock()
	defer e.mu.Unlock()
	e.advance(e.now())
	j, ok := e.jobs[jobID]
	if !ok || !j.unpaid {
		return fmt.Errorf("emulator: job %s waits for no payment", jobID)
	}
	for _, part := range append([]*job{j}, j.subs...) {
		part.idle = true
	}
	return nil
}
