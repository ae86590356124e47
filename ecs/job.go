package ecs

import (
	"context"
	"errors"
	"net/http"
	"strings"
	"time"
)

// Job is an operation that the cloud carries out by and by.
type Job struct {
	ID   string
	Type string // informative: the type of a change of OS is documented nowhere
	// Status is INIT, RUNNING, SUCCESS, FAIL, PENDING_PAYMENT, or one that is not known yet.
	Status     string
	ErrorCode  string
	FailReason string
	Begin, End time.Time // zero when absent or unreadable
	// ServerID is the server that the job, and every sub-job, is about; "" when there are several.
	ServerID string
	// SubJobs are the servers of a batch.
	SubJobs []Job
	// Message is what the cloud adds about a failed sub-job.
	Message string
}

// The statuses that end a job.
const (
	jobSuccess = "SUCCESS"
	jobFail    = "FAIL"
)

// Job reads a job. One the cloud does not know, or no longer knows, is an error of ClassNotFound:
// finished jobs are deleted after a day.
func (c *Client) Job(ctx context.Context, jobID string) (Job, error) {
	const op = "read"
	resource := "job " + shown(jobID)
	if err := checkToken("job id", jobID); err != nil {
		return Job{}, invalid(op, resource, err)
	}
	call := request{op: op, resource: resource, url: c.ecs.JoinPath("v1", c.ProjectID(), "jobs", jobID)}
	job, err := read(ctx, c, call, func(body []byte) (Job, error) { return decodeJob(body, jobID) })
	if c.withoutText {
		job.withholdText()
	}
	if failed, ok := errors.AsType[*Error](err); ok && forgotten(failed) {
		failed.class = ClassNotFound
	}
	return job, err
}

// forgotten tells a job that is gone from an address that is wrong. The documents name HTTP 400 with
// Common.0011 (see classOfCode), other clients go by 404 alone.
func forgotten(e *Error) bool {
	_, gateway := gatewayCode(e.Code)
	return e.Status == http.StatusNotFound && !gateway
}

// Final is true when the job is over. Every status but the two known ends is not, new ones included.
func (j Job) Final() bool { return j.Status == jobSuccess || j.Status == jobFail }

// Succeeded is the job's word, which is not proof: the server is.
func (j Job) Succeeded() bool { return j.Status == jobSuccess }

// Failure says in one sentence why the job failed, its failed sub-jobs included. It is "" for a job that
// did not.
func (j Job) Failure() string {
	if j.Status != jobFail {
		return ""
	}
	parts := []string{j.reason()}
	for _, sub := range j.SubJobs {
		if why := sub.Failure(); why != "" && why != parts[0] {
			if sub.ServerID != "" && sub.ServerID != j.ServerID {
				why = "server " + shown(sub.ServerID) + ": " + why
			}
			parts = append(parts, why)
		}
	}
	return cut(strings.Join(parts, "; "), maxMessage)
}

func (j Job) reason() string {
	var known []string
	for _, part := range []string{j.ErrorCode, j.FailReason, j.Message} {
		if part != "" && (len(known) == 0 || known[len(known)-1] != part) {
			known = append(known, part)
		}
	}
	if len(known) == 0 {
		return "the job failed without a reason"
	}
	return strings.Join(known, ": ")
}

type jobJSON struct {
	ID         text                 `json:"job_id"`
	Type       text                 `json:"job_type"`
	Status     text                 `json:"status"`
	ErrorCode  text                 `json:"error_code"`
	FailReason prose                `json:"fail_reason"`
	Begin      text                 `json:"begin_time"`
	End        text                 `json:"end_time"`
	Entities   object[entitiesJSON] `json:"entities"`
}

type entitiesJSON struct {
	ServerID text          `json:"server_id"`
	SubJobs  list[jobJSON] `json:"sub_jobs"`
	Message  prose         `json:"errorcode_message"`
}

// decodeJob reads a job. A success status may hide {"code", "message"}, a failed query.
func decodeJob(body []byte, jobID string) (Job, error) {
	var j jobJSON
	if err := unmarshal(body, &j); err != nil {
		return Job{}, err
	}
	switch {
	case j.Status == "":
		return Job{}, errors.New("the answer holds no job")
	case j.ID == "":
		j.ID = text(jobID)
	case !strings.EqualFold(string(j.ID), jobID):
		return Job{}, errors.New("the answer is about another job")
	}
	return j.job(), nil
}

func (j jobJSON) job() Job {
	job := Job{
		ID:         string(j.ID),
		Type:       string(j.Type),
		Status:     string(j.Status),
		ErrorCode:  cut(tidy(string(j.ErrorCode)), maxCode),
		FailReason: plainMessage(string(j.FailReason)),
		Begin:      jobTime(string(j.Begin)),
		End:        jobTime(string(j.End)),
		ServerID:   string(j.Entities.value.ServerID),
		Message:    plainMessage(string(j.Entities.value.Message)),
	}
	for _, sub := range j.Entities.value.SubJobs {
		job.SubJobs = append(job.SubJobs, sub.job())
	}
	if job.ServerID == "" {
		job.ServerID = soleServer(job.SubJobs)
	}
	return job
}

// soleServer is the server that all sub-jobs are about, "" when they differ.
func soleServer(jobs []Job) string {
	id := ""
	for _, job := range jobs {
		if id != "" && job.ServerID != id {
			return ""
		}
		id = job.ServerID
	}
	return id
}

// jobTime reads "2025-03-23T07:28:46.807Z", in UTC also when no zone is given.
func jobTime(value string) time.Time {
	for _, layout := range []string{time.RFC3339, "2006-01-02T15:04:05"} {
		if t, err := time.Parse(layout, value); err == nil {
			return t.UTC()
		}
	}
	return time.Time{}
}
