package ecs

import (
	"bytes"
	"encoding/json"
	"maps"
	"slices"
	"strconv"
	"strings"
)

// fault is what the body of a failed call says.
type fault struct {
	code, message, requestID string
	relayed                  relayedFault
	foreign                  bool // not the JSON of a service, or in no shape of its
}

// maxRelays bounds how often a fault may hold another one as text. One level was seen.
const maxRelays = 3

// parseFault reads every shape that the services and the gateway in front of them answer with. Of
// bodies that fit several, the same one always wins.
func parseFault(body []byte) fault {
	members, ok := parseObject(body)
	if !ok {
		return fault{message: summarize(body), foreign: true}
	}
	f := fault{requestID: str(members["request_id"])}
	found := faultIn(members, &f)
	f.unfold(maxRelays)
	if !found {
		f.message, f.foreign = summarize(body), true
	}
	return f
}

// lookBelow looks for the known shapes at any depth, as the official SDK does. No service is known to hide them so, so that what it
// finds is for people, and for the sake of its code: the fault stays foreign.
func (f *fault) lookBelow(body []byte) {
	members, _ := parseObject(body)
	below := fault{requestID: f.requestID, foreign: true}
	if faultBelow(members, &below) {
		below.unfold(maxRelays)
		*f = below
	}
}

func faultBelow(members map[string]json.RawMessage, f *fault) bool {
	for _, name := range slices.Sorted(maps.Keys(members)) {
		if inner, ok := parseObject(members[name]); ok && (faultIn(inner, f) || faultBelow(inner, f)) {
			return true
		}
	}
	return false
}

// faultIn looks for the known shapes, the most specific first.
func faultIn(members map[string]json.RawMessage, f *fault) bool {
	// The gateway, IMS and ELB: {"error_code", "error_msg"}, {"errCode", "errMsg"}.
	if f.take(members, "error_code", "error_msg", "error_message") || f.take(members, "errCode", "errMsg") {
		return true
	}
	// ECS: {"error": {"code", "message", "details": [...]}}. Keystone: the same with a numeric code and a title.
	if inner, ok := parseObject(members["error"]); ok && f.takeError(inner) {
		return true
	}
	// Batches: {"internalError": [{"error_code", "error_message"}]}.
	if f.takeFirst(members["internalError"], "error_code", "error_message") {
		return true
	}
	// Networks: {"NeutronError": {"type", "message"}}.
	if inner, ok := parseObject(members["NeutronError"]); ok && f.take(inner, "type", "message") {
		return true
	}
	// A failed job query: {"code", "message"}.
	if f.take(members, "code", "message") {
		return true
	}
	if f.message = str(members["error"]); f.message != "" {
		return true
	}
	// Nova and Cinder: {"badRequest": {"message", "code": 400}}, the name being the kind of the fault.
	for _, kind := range slices.Sorted(maps.Keys(members)) {
		if inner, ok := parseObject(members[kind]); ok && f.takeKind(kind, inner) {
			return true
		}
	}
	return false
}

// take reads a code and the first message there is. Either is enough.
func (f *fault) take(members map[string]json.RawMessage, code string, messages ...string) bool {
	f.code = str(members[code])
	for _, name := range messages {
		if f.message == "" {
			f.message = str(members[name])
		}
	}
	return f.code != "" || f.message != ""
}

func (f *fault) takeFirst(list json.RawMessage, code, message string) bool {
	var items []json.RawMessage
	if json.Unmarshal(list, &items) != nil {
		return false
	}
	for _, item := range items {
		if members, ok := parseObject(item); ok && f.take(members, code, message) {
			return true
		}
	}
	return false
}

func (f *fault) takeError(inner map[string]json.RawMessage) bool {
	if !f.take(inner, "code", "message") && !f.takeFirst(inner["details"], "code", "message") {
		return false
	}
	if status, ok := httpStatus(f.code); ok {
		f.relayed = relayedFault{kind: str(inner["title"]), status: status}
	}
	return true
}

func (f *fault) takeKind(kind string, inner map[string]json.RawMessage) bool {
	if !f.take(inner, "code", "message") {
		return false
	}
	if status, ok := httpStatus(f.code); ok {
		f.relayed = relayedFault{kind: kind, status: status}
		f.code = kind
	}
	return true
}

// unfold reads a message that is itself the JSON of another fault: ECS hands on Nova's answers so,
// under the code Ecs.1000. The outer code stays, the inner one says what happened.
func (f *fault) unfold(levels int) {
	members, ok := parseObject([]byte(f.message))
	if !ok || levels == 0 {
		return
	}
	var inner fault
	if !faultIn(members, &inner) {
		return
	}
	inner.unfold(levels - 1)
	if f.code == "" {
		f.code = inner.code
	}
	if inner.relayed.status != 0 {
		f.relayed = inner.relayed
	}
	f.message = inner.message
	if f.message == "" {
		f.message = inner.code
	}
}

// plainMessage is the text for people in a message that may be the JSON of another fault.
func plainMessage(message string) string {
	f := fault{message: message}
	f.unfold(maxRelays)
	return cut(tidy(f.message), maxMessage)
}

// httpStatus reads a code that is nothing but the HTTP status of an error.
func httpStatus(code string) (int, bool) {
	status, err := strconv.Atoi(code)
	return status, err == nil && len(code) == 3 && status >= 400 && status <= 599
}

// parseObject reads the members of a JSON object.
func parseObject(raw []byte) (map[string]json.RawMessage, bool) {
	if trimmed := bytes.TrimSpace(raw); len(trimmed) == 0 || trimmed[0] != '{' || !measured(raw, maxValues) {
		return nil, false
	}
	var members map[string]json.RawMessage
	return members, json.Unmarshal(raw, &members) == nil
}

// str is the text of a string or number, otherwise "".
func str(raw json.RawMessage) string {
	var t text
	_ = t.UnmarshalJSON(raw) // never fails
	return string(t)
}

// summarize says in few words what a body is that is no answer of a service.
func summarize(body []byte) string {
	trimmed := strings.TrimSpace(string(body))
	shape := shapeOf(trimmed)
	switch shape {
	case aWebPage:
		return strings.Replace(shape, ",", pageTitle(trimmed)+",", 1)
	case notTheService:
		return shape + ": " + trimmed
	}
	return shape
}

// What a body is that is no answer of a service, without any text of its own.
const (
	emptyAnswer   = "the answer is empty"
	aWebPage      = "the answer is a web page, not the service's"
	notTheService = "the answer is not the service's"
)

func shapeOf(trimmed string) string {
	switch {
	case trimmed == "":
		return emptyAnswer
	case strings.HasPrefix(trimmed, "<"):
		return aWebPage
	}
	return notTheService
}

func pageTitle(page string) string {
	_, rest, opened := strings.Cut(page, "<title>")
	title, _, closed := strings.Cut(rest, "</title>")
	if title = strings.TrimSpace(title); !opened || !closed || title == "" {
		return ""
	}
	return ` titled "` + title + `"`
}
