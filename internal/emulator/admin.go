package emulator

import (
	"bytes"
	"net/http"
	"time"
)

// adminPrefix is where the admin surface begins. It needs no credentials and is not counted: it is for tests and people.
const adminPrefix = "/_emulator/"

type ruleView struct {
	Fault   Fault `json:"fault"`
	Matched int   `json:"matched"` // requests it matched so far
	Struck  int   `json:"struck"`
}

// serveAdmin serves
//
//	GET             health   time and size
//	GET             ledger   the account, see Ledger
//	GET             servers  the true state of every server
//	GET             applications  the application of every server
//	GET PUT DELETE  faults   the rules with their counters; PUT {"faults": [...]} replaces them all
func (e *Emulator) serveAdmin(w http.ResponseWriter, r *http.Request, body []byte) {
	var a answer
	switch r.Method + " " + r.URL.Path[len(adminPrefix):] {
	case "GET health":
		a = jsonAnswer(200, struct {
			Status  string    `json:"status"`
			Time    time.Time `json:"time"` // emulated
			Speed   float64   `json:"speed"`
			Servers int       `json:"servers"`
		}{"ok", e.Now(), e.options.Speed, len(e.Servers())})
	case "GET ledger":
		a = jsonAnswer(200, e.Ledger())
	case "GET servers":
		a = jsonAnswer(200, struct {
			Servers []Server `json:"servers"`
		}{e.Servers()})
	case "GET applications":
		a = jsonAnswer(200, struct {
			Applications []Application `json:"applications"`
		}{e.Applications()})
	case "GET faults":
		a = e.faultsAnswer()
	case "PUT faults":
		a = e.replaceFaults(body)
	case "DELETE faults":
		e.ClearFaults()
		a = e.faultsAnswer()
	default:
		a = adminError(404, "there is GET health, GET ledger, GET servers, GET applications, and GET, PUT, DELETE faults")
	}
	a.write(w, "admin")
}

func (e *Emulator) faultsAnswer() answer {
	e.mu.Lock()
	defer e.mu.Unlock()
	views := []ruleView{}
	for _, r := range e.rules {
		views = append(views, ruleView{r.Fault, r.matched, r.struck})
	}
	return jsonAnswer(200, struct {
		Faults []ruleView `json:"faults"`
	}{views})
}

func (e *Emulator) replaceFaults(body []byte) answer {
	faults, err := LoadFaults(bytes.NewReader(body))
	if err != nil {
		return adminError(400, err.Error())
	}
	if err := e.setFaults(faults); err != nil {
		return adminError(400, err.Error())
	}
	return e.faultsAnswer()
}

// setFaults replaces all rules, or none.
func (e *Emulator) setFaults(faults []Fault) error {
	e.mu.Lock()
	defer e.mu.Unlock()
	now, before := e.now(), e.rules
	e.advance(now)
	e.rules = nil
	if err := e.addFaults(faults); err != nil {
		e.rules = before
		return err
	}
	e.restrikeApplications(now, e.rules)
	return nil
}

func adminError(status int, message string) answer {
	return jsonAnswer(status, struct {
		Error string `json:"error"`
	}{message})
}
