package emulator

import (
	"cmp"
	"errors"
	"fmt"
	"net/http"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/reimage/reimage/internal/spelling"
)

// A rule is a fault with its counters.
type rule struct {
	Fault
	number  int // its place in the order of all rules ever added; part of every draw
	matched int
	struck  int
}

// AddFault adds a rule behind the ones that are there.
func (e *Emulator) AddFault(f Fault) error {
	if err := f.validate(); err != nil {
		return fmt.Errorf("fault: %w", err)
	}
	e.mu.Lock()
	defer e.mu.Unlock()
	if err := e.aimed(f); err != nil {
		return fmt.Errorf("fault: %w", err)
	}
	now := e.now()
	e.advance(now)
	e.addFault(f)
	e.restrikeApplications(now, e.rules[len(e.rules)-1:])
	return nil
}

// addFaults adds all of the rules or none, and says everything that is wrong with their servers.
func (e *Emulator) addFaults(faults []Fault) error {
	var problems []error
	for i, f := range faults {
		if err := e.aimed(f); err != nil {
			problems = append(problems, fmt.Errorf("faults[%d]: %w", i, err))
		}
	}
	if err := errors.Join(problems...); err != nil {
		return err
	}
	for _, f := range faults {
		e.addFault(f)
	}
	return nil
}

// aimed refuses a rule for a server that there has never been, or for an application that there is not: it would never
// strike. No server comes later.
func (e *Emulator) aimed(f Fault) error {
	return errors.Join(e.checkServerOf(f), e.checkApplicationFault(f))
}

func (e *Emulator) checkServerOf(f Fault) error {
	if f.Server == "" {
		return nil
	}
	for id := range e.ledger.Servers {
		if e.isAimedAt(f, id) {
			return nil
		}
	}
	return fmt.Errorf("server %q is not known; known are %s (GET %sservers has them all)", f.Server, list(e.namesLike(f.Server)), adminPrefix)
}

// namesLike are a few servers, those first whose names begin most like the given one.
func (e *Emulator) namesLike(name string) []string {
	alike := func(m *machine) int {
		n := 0
		for n < min(len(name), len(m.Name)) && name[n] == m.Name[n] {
			n++
		}
		return n
	}
	machines := slices.Clone(e.machines)
	slices.SortStableFunc(machines, func(a, b *machine) int { return cmp.Compare(alike(b), alike(a)) })
	var names []string
	for _, m := range machines[:min(5, len(machines))] {
		names = append(names, m.Name)
	}
	return names
}

func (e *Emulator) addFault(f Fault) {
	e.rules = append(e.rules, &rule{Fault: f, number: e.ruled})
	e.ruled++
}

// ClearFaults removes every rule. Work that a fault has struck already stays struck.
func (e *Emulator) ClearFaults() {
	e.mu.Lock()
	defer e.mu.Unlock()
	now := e.now()
	e.advance(now)
	e.rules = nil
	e.restrikeApplications(now, nil)
}

// strike returns the faults that hit the call, nil for none: one of the connection or the answer, and, unless that
// one has nothing carried out, one of the work that the call starts.
func (e *Emulator) strike(c *call) (delivery, work *Fault) {
	delivery = e.firstDue(c, func(k FaultKind) bool { return !k.hitsWork(c.op) })
	if delivery == nil || delivery.Kind.phase() == phaseAfter || delivery.Kind == AcceptLate {
		work = e.firstDue(c, func(k FaultKind) bool { return k.hitsWork(c.op) })
	}
	return delivery, work
}

// hitsWork is true for the faults of the work. A job that is forgotten can also be just a query that is answered so.
func (k FaultKind) hitsWork(op string) bool {
	return k.phase() == phaseWork && (k != JobForgotten || op != OpJob)
}

// firstDue returns the first fault of these kinds that is due. Rules behind it do not count the call.
func (e *Emulator) firstDue(c *call, of func(FaultKind) bool) *Fault {
	hit := e.firstRule(e.rules, func(f Fault) bool { return of(f.Kind) && e.matches(f, c) })
	if hit == nil {
		return nil
	}
	f := hit.Fault
	f.repeat(c)
	return &f
}

// firstRule returns the first rule that hits and is due, and counts it.
func (e *Emulator) firstRule(rules []*rule, hits func(Fault) bool) *rule {
	for _, r := range rules {
		if !hits(r.Fault) {
			continue
		}
		r.matched++
		due := r.matched > r.After && (r.Times < 0 || r.struck < max(r.Times, 1))
		if !due || r.Probability > 0 && e.seed.fraction("fault", strconv.Itoa(r.number), strconv.Itoa(r.matched)) >= r.Probability {
			continue
		}
		r.struck++
		e.ledger.Faults[r.Kind]++
		return r
	}
	return nil
}

// repeat has the text of the fault repeat what the call was sent with. In which spelling a service does that is a guess.
func (f *Fault) repeat(c *call) {
	if spell := spelling.Of(f.Echo); spell != nil {
		f.Message = strings.TrimSpace(f.Message + " " + spell(string(c.body)))
	}
}

func (e *Emulator) matches(f Fault, c *call) bool {
	if f.Op != OpAny && f.Op != c.op || !f.Kind.appliesTo(c.op) {
		return false
	}
	return f.Server == "" || slices.ContainsFunc(c.targets, func(id string) bool { return e.isAimedAt(f, id) })
}

func (e *Emulator) isAimedAt(f Fault, serverID string) bool {
	if f.Server == "" || f.Server == serverID {
		return true
	}
	account, ok := e.ledger.Servers[serverID]
	return ok && account.Name == f.Server
}

// insteadOf returns what a fault of the answer says, in most cases in place of carrying out the call.
func (e *Emulator) insteadOf(f Fault, c *call) answer {
	var r *refusal
	switch f.Kind {
	case Throttle:
		r = refuseGateway("APIGW.0308", "")
	case Throttle1503:
		r = refuse("Common.1503", "")
		if e.options.Edition.ThrottleWith503 {
			r.status = http.StatusServiceUnavailable
		}
	case Flow202:
		r = refuse("Common.0024", "")
	case BadGatewayHTML:
		return badGateway(f)
	case Refuse, RefuseAfter:
		r = refuse(f.Code, "")
	default:
		r = refuse("Common.0001", "")
		if isELB(c.op) {
			r = refuse("ELB.8906", "")
		}
	}
	if isELB(c.op) {
		r = r.asGateway()
	}
	if f.Status != 0 {
		r.status = f.Status
	}
	if f.Code != "" {
		r.code = f.Code
	}
	if f.Message != "" {
		r.message = f.Message
	}
	a := r.answer(c.requestID)
	if f.RetryAfter > 0 {
		a.header = http.Header{"Retry-After": {strconv.Itoa(int((f.RetryAfter + time.Second - 1) / time.Second))}}
	}
	return a
}

// badGateway is the page that the gateway front end now and then sends.
func badGateway(f Fault) answer {
	status, why := http.StatusBadGateway, "The backend server is unreachable."
	if f.Status != 0 {
		status = f.Status
	}
	if f.Echo != "" {
		why = f.Message
	}
	return answer{
		status: status,
		header: http.Header{"Content-Type": {"text/html"}},
		body: []byte("<html>\r\n<head><title>502 Bad Gateway</title></head>\r\n<body>\r\n<center><h1>502 Bad Gateway</h1></center>\r\n" +
			"<p>" + why + "</p>\r\n</body>\r\n</html>\r\n"),
	}
}

// afterwards returns what a fault makes of the answer to a call that was carried out.
func (e *Emulator) afterwards(f Fault, a answer, c *call) answer {
	switch {
	case f.Kind == RefuseAfter && a.accepted():
		return e.insteadOf(f, c)
	case f.Kind == BadGatewayAfter:
		return badGateway(f)
	case f.Kind == NoJobID && a.accepted():
		a.body = []byte("{}")
	}
	return a
}
