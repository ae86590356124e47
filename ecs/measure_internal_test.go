package ecs

import (
	"fmt"
	"strings"
	"testing"

	"github.com/stretchr/testify/assert"

	"github.com/reimage/reimage/internal/allocs"
)

// TestLargeAnswersTakeBoundedMemory gives every decoder the worst answers that are short enough to be taken in.
func TestLargeAnswersTakeBoundedMemory(t *testing.T) {
	wide := func(head, item, tail string, size int) []byte {
		return []byte(head + strings.Repeat(item+",", (size-len(head)-len(tail))/(len(item)+1)-1) + item + tail)
	}
	most := func(head, tail string) []byte {
		return []byte(head + strings.Repeat("{},", maxValues/2-10) + "{}" + tail)
	}
	mostTags := func(tag string) []byte { // of servers that are servers
		one := `{"id":"616fb98f-46ca-475e-917e-2563e5a8cd19","status":"A","tags":[` + strings.Repeat(tag+",", maxListValues/largestPage-10) + tag + `]}`
		return []byte(`{"count":1000,"servers":[` + strings.Repeat(one+",", largestPage-1) + one + `]}`)
	}
	deep := func(levels, fill int) []byte {
		inner := `{"sub_jobs":[{"status":"FAIL","fail_reason":"` + strings.Repeat("x", fill) + `"}]}`
		return []byte(`{"status":"FAIL","entities":` + strings.Repeat(`{"sub_jobs":[{"status":"FAIL","entities":`, levels) + inner + strings.Repeat("}]}", levels) + "}")
	}
	var members strings.Builder
	for i := 0; members.Len() < maxBodyBytes-20; i++ {
		fmt.Fprintf(&members, `"%x":{},`, i)
	}
	for name, call := range map[string]func(){
		"job, wide": func() {
			_, _ = decodeJob(wide(`{"status":"FAIL","entities":{"sub_jobs":[`, `{}`, `]}}`, maxBodyBytes), "x")
		},
		"job, deep":     func() { _, _ = decodeJob(deep(3000, 100<<10), "x") },
		"job, less":     func() { _, _ = decodeJob(deep(9, maxBodyBytes/16), "x") },
		"job id":        func() { _, _ = decodeJobID(wide(`{"job_id":[`, `{}`, `]}`, maxBodyBytes)) },
		"server, tags":  func() { _, _ = decodeServer(wide(`{"server":{"status":"A","tags":[`, `1`, `]}}`, maxBodyBytes), "x") },
		"disks":         func() { _, _ = decodeSystemDisks(wide(`{"volumeAttachments":[`, `{}`, `]}`, maxBodyBytes)) },
		"images":        func() { _, _ = decodeImageList(wide(`{"images":[`, `{}`, `]}`, maxBodyBytes)) },
		"servers":       func() { _, _ = decodeServerPage(wide(`{"count":1,"servers":[`, `{}`, `]}`, maxListBytes)) },
		"named servers": func() { _, _ = decodeNamedServers(wide(`{"servers":[`, `{}`, `]}`, maxListBytes), []string{"x"}) },
		"server groups": func() {
			_, _ = decodeServerGroups(wide(`{"server_groups":[{"id":"a","members":[`, `1`, `]}]}`, maxListBytes))
		},
		"fault, wide":    func() { parseFault(wide(`{"internalError":[`, `{}`, `]}`, maxBodyBytes)) },
		"fault, members": func() { parseFault([]byte("{" + members.String() + `"":1}`)) },
		"fault, in fault": func() {
			parseFault(wide(`{"code":"Ecs.1000","message":"{\"internalError\":[`, `{}`, `]}"}`, maxBodyBytes))
		},
		"job, the most":              func() { _, _ = decodeJob(most(`{"status":"FAIL","entities":{"sub_jobs":[`, `]}}`), "x") },
		"servers, the most":          func() { _, _ = decodeServerPage(most(`{"count":1,"servers":[`, `]}`)) },
		"servers, the most tags":     func() { _, _ = decodeServerPage(mostTags(`"k=v"`)) },
		"servers, the most odd tags": func() { _, _ = decodeServerPage(mostTags(`{}`)) },
		"named servers, the most": func() {
			_, _ = decodeNamedServers(most(`{"servers":[`, `]}`), []string{"x"})
		},
		"fault, the most": func() { parseFault(most(`{"internalError":[`, `]}`)) },
	} {
		t.Run(name, func(t *testing.T) {
			assert.Less(t, allocs.Of(call), uint64(256<<20))
		})
	}
}

// TestMeasure: the bounds are far from every answer that was seen, and what stands in a text does not count.
func TestMeasure(t *testing.T) {
	list := func(n int) string { return "[" + strings.Repeat("0,", n-1) + "0]" }
	for raw, want := range map[string]bool{
		strings.Repeat("[", maxDepth) + strings.Repeat("]", maxDepth):     true,
		strings.Repeat("[", maxDepth+1) + strings.Repeat("]", maxDepth+1): false,
		list(maxValues):     true,
		list(maxValues + 1): false,
		`"` + strings.Repeat("[", maxDepth+1) + `\"` + list(maxValues+1) + `\\"`: true,
		`"\\"` + strings.Repeat("[", maxDepth+1):                                 false,
		``:                                                                       true,
		`]]]{"`:                                                                  true,
		`"\`:                                                                     true,
	} {
		assert.Equal(t, want, measured([]byte(raw), maxValues), "%.40s", raw)
	}
}
