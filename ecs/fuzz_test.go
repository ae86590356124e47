package ecs

import (
	"net/http"
	"testing"
	"time"
	"unicode/utf8"

	"github.com/stretchr/testify/assert"
)

// The body of an error may be anything.
func FuzzFault(f *testing.F) {
	for _, seed := range []string{
		``, `null`, `{}`, `[]`, `"x"`, `7`, `<html><title>x</title>`, `<title>`, `{"error":{"code":"Ecs.0100","message":"m","details":[{"code":"c"}]}}`,
		`{"error_code":1,"error_msg":{"a":1},"request_id":[]}`, `{"badRequest":{"message":"m","code":400}}`, `{"errCode":"a","errMsg":"b"}`,
		`{"error":{"code":"Ecs.1000","message":"{\"badRequest\":{\"message\":\"{}\",\"code\":400}}"}}`, `{"NeutronError":{"type":"t","message":"m","detail":""}}`,
		`{"error":{},"internalError":[{"id":"i","error_code":"c","error_message":"m"}]}`, `{"error":{"message":"m","code":401,"title":"Unauthorized"}}`,
		`{"code":"c","message":"m"}`, `{"a":{"code":"A.1","message":"first"},"b":{"code":"B.2","message":"second"}}`, `{"error":"x"}`, `{"error":{"code":"E`,
		"{\"error\":{\"message\":\"\xff\\ud800secret-secret-secret\"}}", `limit:1,time:99999999999999999999 minute`,
	} {
		for _, status := range []int{200, 302, 400, 401, 404, 408, 429, 501, 503} {
			f.Add(status, []byte(seed), "5")
		}
	}
	const hidden = "secret-secret-secret"
	f.Fuzz(func(t *testing.T, status int, body []byte, after string) {
		header := http.Header{"Retry-After": {after}, "Date": {after}}
		build := func() *Error {
			r := reply{answer: answer{status: status, header: header, body: body, at: time.Unix(0, 0)}, scrub: &scrubber{secrets: []string{hidden}}}
			return r.failure(request{op: "read", resource: "server x"})
		}
		e := build()
		for range 3 {
			assert.Equal(t, e, build(), "the same answer is always the same error")
		}
		assert.NotContains(t, e.Error(), hidden)
		assert.True(t, utf8.ValidString(e.Error()))
		assert.Less(t, utf8.RuneCountInString(e.Error()), 800)
		assert.NotContains(t, e.Error(), "\n")
		assert.GreaterOrEqual(t, e.RetryAfter, time.Duration(0))
		assert.LessOrEqual(t, e.RetryAfter, maxRetryAfter)
		assert.NotEmpty(t, e.Class())
		switch kind := kindOf(e); {
		case kind == Accepted:
			t.Error("an error is never an acceptance")
		case kind == Refused && (status < 400 || status > 499) && status != http.StatusNotImplemented:
			t.Errorf("HTTP %d proves no refusal", status)
		case kind == Refused && status == http.StatusBadRequest && e.Code == "":
			t.Error("HTTP 400 without a code proves no refusal")
		}
	})
}

func FuzzServer(f *testing.F) {
	const id = "616fb98f-46ca-475e-917e-2563e5a8cd19"
	for _, seed := range []string{
		`{}`, `{"server":{"id":"` + id + `","status":"ACTIVE","locked":"true","tags":[1,null],"flavor":{"ram":"4096"},"fault":{"message":{"a":[]}}}}`,
		`{"server":{"status":"ACTIVE","os-extended-volumes:volumes_attached":[{"id":"v","bootIndex":0},{"id":"w","bootIndex":"0"}]}}`, `{"server":[[[`,
		`{"server":{"status":"X","metadata":{"charging_mode":1e9},"image":""}}`,
	} {
		f.Add([]byte(seed))
	}
	f.Fuzz(func(t *testing.T, body []byte) {
		server, err := decodeServer(body, id)
		if err != nil {
			assert.Zero(t, server)
			return
		}
		assert.NotEmpty(t, server.Status)
		assert.Len(t, server.ID, len(id))
		if volume := server.SystemVolumeID(); volume != "" {
			assert.Contains(t, volumeIDs(server), volume)
		}
	})
}

func FuzzServerPage(f *testing.F) {
	const id = "616fb98f-46ca-475e-917e-2563e5a8cd19"
	for _, seed := range []string{
		`{}`, `{"count":1,"servers":[{"id":"` + id + `","status":"ACTIVE"}]}`, `{"count":"2","servers":[{"id":"` + id + `"},7,null]}`,
		`{"count":1e9,"servers":null}`, `{"count":-1,"servers":[]}`, `{"count":null,"servers":[[]]}`, `{"count":1,"servers":[{"id":"../x","status":"A"}]}`,
		`{"servers":[{"id":"` + id + `","fault":{"message":"m","code":404}}]}`, `{"servers":[{"id":"` + id + `","fault":{"code":"Ecs.0301"}}]}`,
	} {
		f.Add([]byte(seed))
	}
	f.Fuzz(func(t *testing.T, body []byte) {
		page, err := decodeServerPage(body)
		if err != nil {
			assert.Zero(t, page)
		}
		assert.GreaterOrEqual(t, page.count, 0)
		for _, server := range page.servers {
			assert.True(t, isUUID(server.ID))
			assert.NotEmpty(t, server.Status)
		}
		named, err := decodeNamedServers(body, []string{id})
		if err != nil {
			assert.Zero(t, named)
			return
		}
		assert.Equal(t, 1, len(named.found)+len(named.missing), "every id gets one answer")
	})
}

func FuzzServerGroups(f *testing.F) {
	for _, seed := range []string{
		`{}`, `{"server_groups":[{"id":"318b44a7-f7a6-4c0b-8107-e8bd618b28dd","policies":["anti-affinity"],"members":["616fb98f-46ca-475e-917e-2563e5a8cd19",1]}]}`,
		`{"server_groups":[{"id":"a/b"}]}`, `{"server_groups":null}`, `{"server_groups":[{"id":1,"members":{"a":1}}]}`,
	} {
		f.Add([]byte(seed))
	}
	f.Fuzz(func(t *testing.T, body []byte) {
		groups, err := decodeServerGroups(body)
		if err != nil {
			assert.Empty(t, groups)
		}
		for _, group := range groups {
			assert.True(t, isToken(group.ID))
			for _, member := range group.Members {
				assert.True(t, isUUID(member))
			}
		}
	})
}

func volumeIDs(server Server) []string {
	var ids []string
	for _, volume := range server.Volumes {
		ids = append(ids, volume.ID)
	}
	return ids
}

func FuzzJob(f *testing.F) {
	const id = "70a599e0-31e7-49b7-b260-868f441e862b"
	for _, seed := range []string{
		`{}`, `{"status":"FAIL","entities":{"sub_jobs":[{"status":"FAIL","entities":{"errorcode_message":"m","sub_jobs":[{"status":"FAIL"}]}}],"sub_jobs_total":"1"}}`,
		`{"status":"FAIL","fail_reason":{"a":1}}`, `{"status":"SUCCESS","begin_time":"2025-03-23T07:28:46.807Z","end_time":7}`, `{"status":5,"entities":[]}`,
	} {
		f.Add([]byte(seed))
	}
	f.Fuzz(func(t *testing.T, body []byte) {
		job, err := decodeJob(body, id)
		if err != nil {
			assert.Zero(t, job)
			return
		}
		assert.NotEmpty(t, job.Status)
		assert.Equal(t, job.Status == "FAIL", job.Failure() != "")
		assert.True(t, utf8.ValidString(job.Failure()))
		if job.Final() {
			assert.Contains(t, []string{"SUCCESS", "FAIL"}, job.Status)
		}
		if _, err := decodeJobID(body); err == nil {
			assert.Contains(t, string(body), "{")
		}
	})
}
