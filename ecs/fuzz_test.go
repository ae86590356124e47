package ecs

import (
	"bytes"
	"encoding/json"
	"fmt"
	"net/http"
	"strings"
	"testing"
	"time"
	"unicode"
	"unicode/utf8"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/reimage/reimage/internal/allocs"
)

// FuzzFault: the body of an error may be anything. What becomes of it is one short printable line, and proof of nothing that it
// does not say. Where a secret was sent, that line is one of our own, but for codes and ids.
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
			f.Add(status, []byte(seed), "5", status%2 == 0)
		}
	}
	f.Add(400, []byte("{\"code\":\"my\nlong pass\",\"message\":\"my \u0000long\npass\"}"), "my	long	pass", true)
	f.Fuzz(func(t *testing.T, status int, body []byte, head string, private bool) {
		header := http.Header{"Retry-After": {head}, "Date": {head}, "X-Request-Id": {head}}
		signed := &http.Request{Header: http.Header{signatureDate: {"20260210T091502Z"}}}
		build := func() *Error {
			r := reply{answer: answer{status: status, header: header, body: body, at: time.Unix(0, 0)}, req: signed, withhold: private}
			return r.failure(request{op: "read", resource: "server x"})
		}
		var e *Error
		assert.LessOrEqual(t, allocs.Of(func() { e = build() }), uint64(1<<20+512*len(body)+4096*len(head)))
		for range 3 {
			assert.Equal(t, e, build(), "the same answer is always the same error")
		}
		assertLine(t, e.Error(), 800)
		if private {
			assert.True(t, e.Code == "" || e.Code == withheldCode || isCode(e.Code), e.Code)
			assert.True(t, e.RequestID == "" || isRequestID(e.RequestID), e.RequestID)
			assert.Equal(t, e.ownWords(body), strings.TrimSuffix(strings.TrimSuffix(strings.TrimSuffix(e.Message, "; its support finds it by the request"), withheldText), "; "))
		}
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

// assertLine checks a text that people are shown.
func assertLine(t *testing.T, text string, most int) {
	t.Helper()
	assert.True(t, utf8.ValidString(text), "%q", text)
	assert.LessOrEqual(t, utf8.RuneCountInString(text), most, "%q", text)
	assert.False(t, strings.ContainsFunc(text, func(r rune) bool { return !unicode.IsPrint(r) }), "%q", text)
}

// assertBlanks checks that the blanks of an answer mean nothing.
func assertBlanks[T any](t *testing.T, body []byte, read func([]byte) (T, error)) {
	t.Helper()
	want, err := read(body)
	if err != nil {
		assert.Zero(t, want, "an answer that cannot be read says nothing")
		return
	}
	var spread bytes.Buffer
	require.NoError(t, json.Indent(&spread, body, "\r", "\t "))
	got, err := read(spread.Bytes())
	require.NoError(t, err)
	assert.Equal(t, want, got)
}

// assertSpare checks that an answer takes memory by its size, and not by its shape.
func assertSpare(t *testing.T, body []byte, call func()) {
	t.Helper()
	assert.LessOrEqual(t, allocs.Of(call), uint64(1<<20+2048*len(body)))
}

const fuzzServerID = "616fb98f-46ca-475e-917e-2563e5a8cd19"

// FuzzServer: a server has an id and a status, and is the same in every kind of answer.
func FuzzServer(f *testing.F) {
	for _, seed := range []string{
		`{}`, `{"server":{"id":"` + fuzzServerID + `","status":"ACTIVE","locked":"true","tags":[1,null],"flavor":{"ram":"4096"},"fault":{"message":{"a":[]}}}}`,
		`{"server":{"status":"ACTIVE","os-extended-volumes:volumes_attached":[{"id":"v","bootIndex":0},{"id":"w","bootIndex":"0"}]}}`, `{"server":[[[`,
		`{"server":{"status":"X","metadata":{"charging_mode":1e9},"image":""}}`,
		`{"server":{"status":"ERROR","fault":{"message":"{\"badRequest\":{\"message\":\"\\u001b[2J\",\"code\":400}}"}}}`,
	} {
		f.Add([]byte(seed))
	}
	f.Fuzz(func(t *testing.T, body []byte) {
		read := func(body []byte) (Server, error) { return decodeServer(body, fuzzServerID) }
		assertBlanks(t, body, read)
		var server Server
		var err error
		assertSpare(t, body, func() { server, err = read(body) })
		if err != nil {
			return
		}
		assert.NotEmpty(t, server.Status)
		assert.True(t, strings.EqualFold(server.ID, fuzzServerID), server.ID)
		if volume := server.SystemVolumeID(); volume != "" {
			assert.Contains(t, volumeIDs(server), volume)
		}
		members, _ := parseObject(body)
		entry, ok := parseObject(members["server"])
		if id := str(entry["id"]); !ok || len(members) != 1 || !strings.EqualFold(id, fuzzServerID) {
			return
		}
		page, err := decodeServerPage(fmt.Appendf(nil, `{"count":1,"servers":[%s]}`, members["server"]))
		require.NoError(t, err)
		assert.Equal(t, []Server{server}, page.servers)
		named, err := decodeNamedServers(fmt.Appendf(nil, `{"servers":[%s]}`, members["server"]), []string{fuzzServerID})
		require.NoError(t, err)
		assert.Equal(t, namedServers{found: []Server{server}}, named)
	})
}

// FuzzServerMember: one odd member cannot hide the state of a server.
func FuzzServerMember(f *testing.F) {
	names := []string{
		"name", "OS-EXT-STS:vm_state", "OS-EXT-STS:task_state", "image", "key_name", "OS-EXT-AZ:availability_zone", "locked", "fault", "metadata", "flavor",
		"os-extended-volumes:volumes_attached", "OS-EXT-SRV-ATTR:root_device_name", "tags", "host_status", "a member of tomorrow",
	}
	for i := range names {
		for _, value := range []string{`null`, `""`, `"x"`, `7`, `-1e99`, `true`, `[]`, `{}`, `[[],{},null,1]`, `{"id":[],"ram":{},"message":1,"code":null}`, `{"charging_mode":{"a":1},"os_type":[1]}`} {
			f.Add(uint(i), []byte(value))
		}
	}
	f.Fuzz(func(t *testing.T, i uint, value []byte) {
		if !json.Valid(value) || !measured(fmt.Appendf(nil, `{"":{"":0,"":0,"":%s}}`, value), maxValues) {
			return
		}
		name := names[i%uint(len(names))]
		server, err := decodeServer(fmt.Appendf(nil, `{"server":{"id":%q,%q:%s,"status":"ACTIVE"}}`, fuzzServerID, name, value), fuzzServerID)
		require.NoError(t, err)
		assert.Equal(t, "ACTIVE", server.Status)
		assert.Equal(t, fuzzServerID, server.ID)
		if name != "os-extended-volumes:volumes_attached" {
			assert.Empty(t, server.Volumes)
			assert.Empty(t, server.SystemVolumeID())
		}
	})
}

// FuzzServerPage: a page is whole or no page.
func FuzzServerPage(f *testing.F) {
	const id = fuzzServerID
	for _, seed := range []string{
		`{}`, `{"count":1,"servers":[{"id":"` + id + `","status":"ACTIVE"}]}`, `{"count":"2","servers":[{"id":"` + id + `"},7,null]}`,
		`{"count":1e9,"servers":null}`, `{"count":-1,"servers":[]}`, `{"count":null,"servers":[[]]}`, `{"count":1,"servers":[{"id":"../x","status":"A"}]}`,
		`{"servers":[{"id":"` + id + `","fault":{"message":"m","code":404}}]}`, `{"servers":[{"id":"` + id + `","fault":{"code":"Ecs.0301"}}]}`,
	} {
		f.Add([]byte(seed))
	}
	f.Fuzz(func(t *testing.T, body []byte) {
		assertBlanks(t, body, decodeServerPage)
		var page serverPage
		assertSpare(t, body, func() { page, _ = decodeServerPage(body) })
		assert.GreaterOrEqual(t, page.count, 0)
		for _, server := range page.servers {
			assert.True(t, isUUID(server.ID))
			assert.NotEmpty(t, server.Status)
		}
		read := func(body []byte) (namedServers, error) { return decodeNamedServers(body, []string{id}) }
		assertBlanks(t, body, read)
		named, err := read(body)
		if err != nil {
			return
		}
		assert.Equal(t, 1, len(named.found)+len(named.missing), "every id gets one answer")
	})
}

// FuzzServerGroups: what is listed can be used.
func FuzzServerGroups(f *testing.F) {
	for _, seed := range []string{
		`{}`, `{"server_groups":[{"id":"318b44a7-f7a6-4c0b-8107-e8bd618b28dd","policies":["anti-affinity"],"members":["616fb98f-46ca-475e-917e-2563e5a8cd19",1]}]}`,
		`{"server_groups":[{"id":"a/b"}]}`, `{"server_groups":null}`, `{"server_groups":[{"id":1,"members":{"a":1}}]}`,
	} {
		f.Add([]byte(seed))
	}
	f.Fuzz(func(t *testing.T, body []byte) {
		assertBlanks(t, body, decodeServerGroups)
		var groups []ServerGroup
		assertSpare(t, body, func() { groups, _ = decodeServerGroups(body) })
		for _, group := range groups {
			assert.True(t, isToken(group.ID))
			for _, member := range group.Members {
				assert.True(t, isUUID(member))
			}
		}
	})
}

// FuzzDisks: every disk with boot index 0 is named, however the index is spelled, and no other.
func FuzzDisks(f *testing.F) {
	for _, seed := range []string{
		`{}`, `{"volumeAttachments":[{"volumeId":"v","bootIndex":0,"size":40},{"id":"w","bootIndex":"1"}]}`, `{"volumeAttachments":null}`,
		`{"volumeAttachments":[{"id":"v","volumeId":"","bootIndex":"0"},{"id":"w","bootIndex":0,"size":1e99},{"bootIndex":-1},7,null,{}]}`,
		`{"volumeAttachments":[{"bootIndex":0}]}`, `{"volumeAttachments":[{"bootIndex":[0],"volumeId":{"a":1}}]}`, `{"volumeAttachments":{"bootIndex":0}}`,
	} {
		f.Add([]byte(seed))
	}
	f.Fuzz(func(t *testing.T, body []byte) {
		assertBlanks(t, body, decodeSystemDisks)
		var disks []Disk
		var err error
		assertSpare(t, body, func() { disks, err = decodeSystemDisks(body) })
		if err != nil {
			assert.Empty(t, disks)
			return
		}
		members, _ := parseObject(body)
		var listed []json.RawMessage
		require.NoError(t, json.Unmarshal(members["volumeAttachments"], &listed), "no list is no answer")
		assert.LessOrEqual(t, len(disks), len(listed))
		for _, disk := range disks {
			assert.NotEmpty(t, disk.VolumeID, "a disk without an id would be taken for a lost one")
		}
	})
}

// FuzzImages: an answer about other images is no answer about this one.
func FuzzImages(f *testing.F) {
	const id = fuzzServerID
	for _, seed := range []string{
		`{}`, `{"images":[]}`, `{"images":[{"id":"` + id + `","name":"a","status":"active","min_disk":40,"min_ram":"1024","__isregistered":"true"}]}`,
		`{"images":[{"id":"x"}]}`, `{"images":[{"id":"` + id + `","min_disk":-1,"min_ram":1e99,"tags":{},"__support_fc_inject":true},null,7]}`, `{"images":null}`,
		`{"images":[{"id":"` + id + `","name":"\u001b[2J","status":[]}]}`,
	} {
		f.Add([]byte(seed))
	}
	f.Fuzz(func(t *testing.T, body []byte) {
		read := func(body []byte) ([]Image, error) { return decodeImages(body, id) }
		assertBlanks(t, body, read)
		var images []Image
		assertSpare(t, body, func() { images, _ = read(body) })
		for _, image := range images {
			assert.True(t, strings.EqualFold(image.ID, id), image.ID)
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

// FuzzJob: a job has a status, and its failure is one short printable line.
func FuzzJob(f *testing.F) {
	const id = "70a599e0-31e7-49b7-b260-868f441e862b"
	for _, seed := range []string{
		`{}`, `{"status":"FAIL","entities":{"sub_jobs":[{"status":"FAIL","entities":{"errorcode_message":"m","sub_jobs":[{"status":"FAIL"}]}}],"sub_jobs_total":"1"}}`,
		`{"status":"FAIL","fail_reason":{"a":1}}`, `{"status":"SUCCESS","begin_time":"2025-03-23T07:28:46.807Z","end_time":7}`, `{"status":5,"entities":[]}`,
		`{"status":"FAIL","error_code":"E\u001b[2J","entities":{"server_id":"s","sub_jobs":[{"status":"FAIL","entities":{"server_id":"a\nb"}},{"status":"FAIL","entities":{"server_id":"c"}}]}}`,
	} {
		f.Add([]byte(seed))
	}
	f.Fuzz(func(t *testing.T, body []byte) {
		read := func(body []byte) (Job, error) { return decodeJob(body, id) }
		assertBlanks(t, body, read)
		assertBlanks(t, body, decodeJobID)
		if jobID, err := decodeJobID(body); err == nil {
			assert.True(t, isToken(jobID), jobID)
		}
		var job Job
		var err error
		assertSpare(t, body, func() { job, err = read(body) })
		if err != nil {
			return
		}
		assert.True(t, strings.EqualFold(job.ID, id), job.ID)
		assert.NotEmpty(t, job.Status)
		assert.Equal(t, job.Status == "FAIL", job.Failure() != "")
		assertLine(t, job.Failure(), maxMessage+len(ellipsis))
		if job.Final() {
			assert.Contains(t, []string{"SUCCESS", "FAIL"}, job.Status)
		}
	})
}
