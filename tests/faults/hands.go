package faults

import (
	"errors"
	"fmt"
	"slices"
	"time"

	"github.com/reimage/reimage/api"
	"github.com/reimage/reimage/internal/emulator"
	"github.com/reimage/reimage/rollout"
)

// Deed is something that is done by hand beside the rollout.
type Deed string

// The deeds. A server is touched only while the cloud does nothing with it: else it would refuse.
const (
	PowerOff  Deed = "power off"
	PowerOn   Deed = "power on"
	Reinstall Deed = "another system disk" // from an image that the rollout knows nothing of
	Delete    Deed = "delete"
	Cancel    Deed = "cancel" // the workflow of the server, or that of the rollout
)

// Copied is not drawn: a gateway delivered a change once more, and the cloud accepted it.
const Copied Deed = "a late copy was accepted"

// Repair is not drawn: the operator mends a server in ERROR.
const Repair Deed = "repair"

// Deeds are all that are drawn.
func Deeds() []Deed { return []Deed{PowerOff, PowerOn, Reinstall, Delete, Cancel} }

// Hand is one deed.
type Hand struct {
	Deed
	Server string // its name; empty for the rollout
	After  time.Duration
	// Before is the activity that is about to work on the server then. Empty goes by After.
	Before string
}

// Touch is a deed that was done to a server.
type Touch struct {
	Deed
	At   time.Time
	Disk string // the one that it has got
}

// foreignImage is the one of another system disk.
const foreignImage = "f0e1d2c3-b4a5-4687-9a0b-1c2d3e4f5a6b"

// lend does what is due by hand. Nobody does anything to a server once the rollout has ended: what was said of it
// then would be held against what it became.
func (w *world) lend() {
	for _, hand := range w.due(func(h Hand) bool { return h.Before == "" && time.Since(w.began) >= h.After }) {
		w.do(hand)
	}
}

// lendBefore does what is due by hand when an activity is about to work on a server that is in flight.
func (w *world) lendBefore(activity, server string) {
	if !slices.ContainsFunc(w.inFlight(), func(id string) bool { return w.names[id] == server }) {
		return
	}
	for _, hand := range w.due(func(h Hand) bool { return h.Before == activity && h.Server == server }) {
		w.doTo(hand)
	}
}

// due takes the hands that are.
func (w *world) due(is func(Hand) bool) (all []Hand) {
	w.mu.Lock()
	defer w.mu.Unlock()
	w.hands = slices.DeleteFunc(w.hands, func(h Hand) bool {
		if is(h) {
			all = append(all, h)
			return true
		}
		return false
	})
	return all
}

func (w *world) do(hand Hand) {
	var p rollout.Progress
	if err := w.query(api.ProgressQuery, &p); err != nil || p.Phase == rollout.PhaseEnded {
		return
	}
	if hand.Server == "" {
		w.done(Cancel, "", Touch{})
		w.env.CancelWorkflowByID(api.RolloutID(w.plan.Name), "")
		w.saw(Event{At: w.env.Now(), What: Commanded, Command: rollout.Command{Kind: rollout.Abort, By: "a cancel"}})
		return
	}
	w.doTo(hand)
}

func (w *world) doTo(hand Hand) {
	for _, server := range w.cloud.Servers() {
		if server.Name == hand.Server {
			w.touch(hand.Deed, server)
		}
	}
}

// touch does something to a server that exists, if that can be done to it now.
func (w *world) touch(deed Deed, server emulator.Server) bool {
	t := Touch{Deed: deed, At: w.cloud.Now()}
	idle, err := server.TaskState == "", errCannot
	switch {
	case deed == Cancel && slices.Contains(w.inFlight(), server.ID):
		w.env.CancelWorkflowByID(api.ChangeOSID(w.plan.Project, server.ID), "")
		err = nil
	case deed == PowerOff && idle && server.Status == rollout.StatusActive:
		err = w.cloud.Update(server.ID, func(s *emulator.Server) { s.Status = rollout.StatusShutoff })
	case deed == PowerOn && idle && server.Status == rollout.StatusShutoff:
		err = w.cloud.Update(server.ID, func(s *emulator.Server) { s.Status = rollout.StatusActive })
	case deed == Repair && idle && server.Status == rollout.StatusError && server.SystemVolumeID != "":
		err = w.cloud.Update(server.ID, func(s *emulator.Server) { s.Status = rollout.StatusActive })
	case deed == Reinstall && idle && server.SystemVolumeID != "":
		t.Disk = fmt.Sprintf("f0e1d2c3-0000-4000-8000-%012d", t.At.UnixMilli())
		err = w.cloud.Update(server.ID, func(s *emulator.Server) { s.SystemVolumeID, s.ImageID = t.Disk, foreignImage })
	case deed == Delete && idle:
		err = w.cloud.Delete(server.ID)
	}
	if err == nil { // else it may have gone this very moment
		w.done(deed, server.ID, t)
	}
	return err == nil
}

var errCannot = errors.New("that cannot be done to it now")

func (w *world) done(deed Deed, server string, t Touch) {
	w.mu.Lock()
	defer w.mu.Unlock()
	w.deeds[deed]++
	if server != "" {
		w.touched[server] = append(w.touched[server], t)
	}
}

func (w *world) did(deed Deed) bool {
	w.mu.Lock()
	defer w.mu.Unlock()
	return w.deeds[deed] > 0
}

// inFlight are the servers whose workflows run, as seen from outside.
func (w *world) inFlight() (ids []string) {
	w.mu.Lock()
	defer w.mu.Unlock()
	for _, e := range w.story {
		switch e.What {
		case Started:
			ids = append(ids, e.Server)
		case Heard:
			ids = slices.DeleteFunc(ids, func(id string) bool { return id == e.Server })
		}
	}
	return ids
}

// startDown starts, by hand, every server that is down and holds a slot that is not the rollout's. It is false when there is
// none that can be started.
func (w *world) startDown(servers []rollout.ServerProgress) (started bool) {
	held := map[string]bool{}
	for _, s := range servers {
		held[s.ID] = s.DownStatus != "" && s.State != rollout.InFlight
	}
	for _, other := range w.plan.Untouched() {
		held[other.ID] = true
	}
	for _, server := range w.cloud.Servers() {
		deed := PowerOn
		if server.Status == rollout.StatusError {
			deed = Repair
		}
		if held[server.ID] && w.touch(deed, server) {
			started = true
		}
	}
	return started
}
