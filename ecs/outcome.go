package ecs

import (
	"context"
	"errors"
	"net/http"
)

// OutcomeKind is how a write ended.
type OutcomeKind string

// The five outcomes. Only Throttled and NotSent may be sent again without looking at the server.
const (
	Accepted  OutcomeKind = "accepted"  // the cloud named a job
	Refused   OutcomeKind = "refused"   // the answer proves that nothing was started
	Throttled OutcomeKind = "throttled" // turned away by flow control; nothing was started
	NotSent   OutcomeKind = "not sent"  // no byte was handed to the network, and none will be
	Unknown   OutcomeKind = "unknown"   // it may or may not have been accepted: look at the server
)

// Outcome is the end of a write.
type Outcome struct {
	Kind OutcomeKind
	// JobID names the job to follow, when Accepted.
	JobID string
	// Err is nil only when Accepted.
	Err *Error
	// Renewed is true when credentials were refused and given up: a later request is made with others.
	Renewed bool
}

// send makes a call that changes something. It is sent at most once.
func (c *Client) send(ctx context.Context, r request) Outcome {
	r.method = http.MethodPost
	r.check = writeCheckOf(ctx)
	reply := c.exchange(ctx, r)
	switch {
	case reply.err != nil && reply.begun:
		return Outcome{Kind: Unknown, Err: reply.failure(r)}
	case reply.err != nil:
		return Outcome{Kind: NotSent, Err: reply.failure(r)}
	case !reply.usable():
		renewed, err := c.renewedFor(reply, r), reply.failure(r)
		return Outcome{Kind: kindOf(err), Err: err, Renewed: renewed}
	}
	jobID, err := decodeJobID(reply.body)
	if err != nil {
		unclear := reply.unclear(r, err)
		return Outcome{Kind: kindOf(unclear), Err: unclear}
	}
	return Outcome{Kind: Accepted, JobID: jobID}
}

// refuse is the outcome of a request that this package does not send.
func refuse(op, resource string, err error) Outcome {
	return Outcome{Kind: Refused, Err: invalid(op, resource, err)}
}

// decodeJobID reads the one member by which an answer means "accepted". A status alone never does: the
// service lists HTTP 202 with an error code. What cannot be read to its end, or used as an id, is no proof.
func decodeJobID(body []byte) (string, error) {
	var accepted struct {
		JobID text `json:"job_id"`
	}
	if err := unmarshal(body, &accepted); err != nil {
		return "", err
	}
	switch id := string(accepted.JobID); {
	case id == "":
		return "", errors.New("the answer names no job")
	case !isToken(id):
		return "", errors.New("the answer names a job with an id that cannot be used")
	default:
		return id, nil
	}
}

// kindOf sorts an answer that is not an acceptance. Refused needs proof; without it, Unknown.
func kindOf(e *Error) OutcomeKind {
	switch {
	case e.Status == http.StatusTooManyRequests, turnedAway(e.Code) && !e.foreign:
		return Throttled
	case e.Code == "Ecs.0603" && e.Status == http.StatusNotImplemented && !e.foreign:
		return Refused // documented with this status: other commands run on the server
	case e.Status < 400 || e.Status > 499, e.Status == http.StatusRequestTimeout, e.doubt() != "":
		return Unknown
	}
	return Refused
}

// turnedAway is true for the codes of flow control in front of the service.
func turnedAway(code string) bool {
	number, gateway := gatewayCode(code)
	return code == "Common.1503" || gateway && number == "0308"
}

// doubt returns why an answer with a 4xx status does not prove that nothing was started, "" when it does.
func (e *Error) doubt() string {
	if e.Status == http.StatusBadRequest && (e.Code == "" || e.foreign) {
		return "HTTP 400 is also the status of failures behind the API, and there is no code of the service to tell"
	}
	switch e.Code {
	case "Ecs.0002", "Common.0022":
		return "the job could not be submitted, so its submission was tried"
	case "Common.0020", "Common.0021", "Common.0999":
		return "a task failed, so there was one"
	case "Common.0024":
		return "flow control, but also documented as accepted with a delay"
	case "Ecs.0101", "Ecs.0102":
		return "the system disk did not respond, so it was being worked on"
	case "Ecs.0202", "Ecs.0203", "Ecs.0204", "Ecs.0208", "Ecs.0219", "Ecs.0402":
		return "a step of the change failed, so the change had begun"
	case "Ecs.0226", "Ecs.0227", "Ecs.0611":
		return "the power action failed on the way, so it had begun"
	case "Ecs.0615", "Common.0001":
		return "an internal error, at any point"
	case "Ecs.1000", "Ecs.1001", "Ecs.1100", "Ecs.1200":
		if !e.relayed.refusal() {
			return "the service behind failed, and does not say that it declined"
		}
	case "Ecs.1002", "Ecs.1201", "Ecs.1300":
		return "the service behind timed out and may still do it"
	}
	if e.relayed.status != 0 && !e.relayed.refusal() {
		return "the service behind failed while it worked on the request"
	}
	return ""
}
