package ecs

import (
	"context"
	"errors"
	"sync/atomic"
)

// project is the project of a client and of all its copies: known from the start, or found when it is needed first.
type project struct {
	id   atomic.Pointer[string]
	find func(ctx context.Context) (string, error)
}

func newProject(config Config) *project {
	p := &project{find: config.FindProject}
	if config.ProjectID != "" {
		p.id.Store(&config.ProjectID)
	}
	return p
}

// ProjectID is the project that the client serves, "" until Resolve has found it.
func (c *Client) ProjectID() string {
	if c.project == nil { // a client of another service
		return ""
	}
	if id := c.project.id.Load(); id != nil {
		return *id
	}
	return ""
}

// Resolve finds the project, where the configuration leaves that to FindProject. Before it went well once, the client
// makes no call. Its errors are an *Error, of ClassAuth where the cloud does not let the client have the project: a
// project that is not found is no server that is not found.
func (c *Client) Resolve(ctx context.Context) error {
	if c.ProjectID() != "" {
		return nil
	}
	id, err := c.project.find(ctx)
	if err == nil {
		err = checkToken("project id", id)
	}
	if err == nil {
		c.project.id.Store(&id)
		return nil
	}
	e := &Error{Op: "find", Resource: "the project", Err: err}
	if refusal, ok := errors.AsType[*Error](err); ok {
		e.notGranted(refusal, refusal.What())
	}
	return e
}

// notGranted makes e the error of something that was not done, because the identity service grants nothing.
func (e *Error) notGranted(refusal *Error, text string) {
	e.class, e.RetryAfter = classOfIdentity(refusal)
	e.cause, e.remedy = refusal.Cause(), refusal.Remedy()
	e.skew, e.dated = refusal.skew, refusal.dated
	e.Err = &cleanError{text: text, err: refusal}
}

// errNoProject is for a call that was made without Resolve.
var errNoProject = errors.New("the id of the project is not known yet")
