package ecs_test

import (
	"context"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/reimage/reimage/ecs"
)

func readJob(t *testing.T, status int, body string) (ecs.Job, error) {
	t.Helper()
	cloud := newCloud(t, answering(status, body))
	return clientOf(t, cloud).Job(context.Background(), jobID)
}

func TestJobs(t *testing.T) {
	for name, test := range map[string]struct {
		body    string
		want    ecs.Job
		final   bool
		failure string
	}{
		"running": {
			`{"job_id":"` + jobID + `","job_type":"changeOs","begin_time":"2026-02-10T09:15:02.118Z","end_time":"","status":"RUNNING","entities":{"server_id":"s"}}`,
			ecs.Job{ID: jobID, Type: "changeOs", Status: "RUNNING", Begin: time.Date(2026, 2, 10, 9, 15, 2, 118e6, time.UTC), ServerID: "s"}, false, "",
		},
		"failed": {
			`{"job_id":"` + jobID + `","status":"FAIL","error_code":"Ecs.0202","fail_reason":"Failed to create the system disk.","entities":{"server_id":"s"}}`,
			ecs.Job{ID: jobID, Status: "FAIL", ErrorCode: "Ecs.0202", FailReason: "Failed to create the system disk.", ServerID: "s"},
			true, "Ecs.0202: Failed to create the system disk.",
		},
		"batch, partly failed": {
			`{"job_id":"` + jobID + `","status":"FAIL","error_code":"Ecs.0611","fail_reason":"Batch operation failed.","entities":{"sub_jobs_total":"2","sub_jobs":[
			  {"job_id":"a","status":"SUCCESS","error_code":null,"fail_reason":null,"entities":{"server_id":"s1"}},
			  {"job_id":"b","status":"FAIL","error_code":"Ecs.1000","fail_reason":"f","entities":{"server_id":"s2","errorcode_message":"m"}}]}}`,
			ecs.Job{ID: jobID, Status: "FAIL", ErrorCode: "Ecs.0611", FailReason: "Batch operation failed.", SubJobs: []ecs.Job{
				{ID: "a", Status: "SUCCESS", ServerID: "s1"},
				{ID: "b", Status: "FAIL", ErrorCode: "Ecs.1000", FailReason: "f", Message: "m", ServerID: "s2"},
			}},
			true, "Ecs.0611: Batch operation failed.; server s2: Ecs.1000: f: m",
		},
		"batch of one": {
			`{"status":"SUCCESS","entities":{"sub_jobs":[{"status":"SUCCESS","entities":{"server_id":"s1"}}]}}`,
			ecs.Job{ID: jobID, Status: "SUCCESS", ServerID: "s1", SubJobs: []ecs.Job{{Status: "SUCCESS", ServerID: "s1"}}}, true, "",
		},
		"no reason":      {`{"status":"FAIL"}`, ecs.Job{ID: jobID, Status: "FAIL"}, true, "the job failed without a reason"},
		"relayed reason": {`{"status":"FAIL","fail_reason":"{\"computeFault\":{\"message\":\"no host\",\"code\":500}}"}`, ecs.Job{ID: jobID, Status: "FAIL", FailReason: "no host"}, true, "no host"},
		"object reason":  {`{"status":"FAIL","entities":{"sub_jobs":[]},"fail_reason":{"a": 1}}`, ecs.Job{ID: jobID, Status: "FAIL", FailReason: `{"a":1}`}, true, `{"a":1}`},
		"control characters": {
			`{"status":"FAIL","error_code":"E\u001b[2J","entities":{"server_id":"s","sub_jobs":[{"status":"FAIL","entities":{"server_id":"a\nb"}},{"status":"RUNNING","entities":{"server_id":"c"}}]}}`,
			ecs.Job{ID: jobID, Status: "FAIL", ErrorCode: "E [2J", ServerID: "s", SubJobs: []ecs.Job{{Status: "FAIL", ServerID: "a\nb"}, {Status: "RUNNING", ServerID: "c"}}},
			true, "E [2J; server a b: the job failed without a reason",
		},
		"waits for payment":     {`{"status":"PENDING_PAYMENT"}`, ecs.Job{ID: jobID, Status: "PENDING_PAYMENT"}, false, ""},
		"unknown status":        {`{"status":"PAUSED","job_type":"new","extra":[1,2]}`, ecs.Job{ID: jobID, Type: "new", Status: "PAUSED"}, false, ""},
		"other case":            {`{"status":"success"}`, ecs.Job{ID: jobID, Status: "success"}, false, ""},
		"numeric status":        {`{"status":5}`, ecs.Job{ID: jobID, Status: "5"}, false, ""},
		"upper case name":       {`{"STATUS":"SUCCESS"}`, ecs.Job{ID: jobID, Status: "SUCCESS"}, true, ""},
		"no entities":           {`{"status":"RUNNING","entities":[]}`, ecs.Job{ID: jobID, Status: "RUNNING"}, false, ""},
		"odd entities":          {`{"status":"RUNNING","entities":{"sub_jobs":{"a":1},"server_id":{}}}`, ecs.Job{ID: jobID, Status: "RUNNING"}, false, ""},
		"times without a zone":  {`{"status":"SUCCESS","begin_time":"2026-02-10T09:15:02","end_time":"soon"}`, ecs.Job{ID: jobID, Status: "SUCCESS", Begin: time.Date(2026, 2, 10, 9, 15, 2, 0, time.UTC)}, true, ""},
		"code that is no error": {`{"status":"RUNNING","error_code":null,"code":null}`, ecs.Job{ID: jobID, Status: "RUNNING"}, false, ""},
	} {
		t.Run(name, func(t *testing.T) {
			got, err := readJob(t, 200, test.body)
			require.NoError(t, err)
			assert.Equal(t, test.want, got)
			assert.Equal(t, test.final, got.Final())
			assert.Equal(t, test.want.Status == "SUCCESS", got.Succeeded())
			assert.Equal(t, test.failure, got.Failure())
		})
	}
}

func TestForgottenJobs(t *testing.T) {
	for _, test := range []struct {
		status int
		body   string
		want   ecs.Class
	}{
		{400, `{"error":{"message":"Failed to query system tasks.","code":"Common.0011"}}`, ecs.ClassNotFound},
		{200, `{"code":"Common.0011","message":"job not found"}`, ecs.ClassNotFound},
		{404, `{"error":{"message":"m","code":"Ecs.9999"}}`, ecs.ClassNotFound},
		{404, ``, ecs.ClassNotFound},
		{404, `{"error_code":"APIGW.0101","error_msg":"m"}`, ecs.ClassPermanent},
		{404, `{"error_code":"APIG.0101","error_msg":"m"}`, ecs.ClassPermanent},
		{400, `{"error":{"code":"Common.0025","message":"m"}}`, ecs.ClassTransient},
		{400, `{"error":{"code":"Common.0018","message":"m"}}`, ecs.ClassPermanent},
		{202, `{"error":{"code":"Common.0024","message":"m"}}`, ecs.ClassThrottled},
		{200, `{}`, ecs.ClassUnclear},
		{200, `{"status":null,"error_code":null}`, ecs.ClassUnclear},
		{200, `{"status":"SUCCESS"`, ecs.ClassUnclear},
		{200, `{"job_id":"another","status":"SUCCESS"}`, ecs.ClassUnclear},
	} {
		_, err := readJob(t, test.status, test.body)
		failed := assertClass(t, test.want, err)
		assert.Contains(t, failed.Error(), "read job "+jobID)
	}
}
