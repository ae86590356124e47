package ecs

import (
	"bytes"
	"encoding/json"
	"math"
	"strconv"
	"strings"
)

// The services change the types of members between editions and versions: "0" and 0, "" in place of an
// object, null in place of anything. The types below take what they can and are zero otherwise; none
// of them ever fails, so one odd member cannot hide the state of a server.

// text takes a string or a number.
type text string

func (t *text) UnmarshalJSON(raw []byte) error {
	*t = ""
	if len(raw) == 0 {
		return nil
	}
	switch c := raw[0]; {
	case c == '"':
		var s string
		if json.Unmarshal(raw, &s) == nil {
			*t = text(s)
		}
	case c == '-' || isDigit(c):
		*t = text(raw)
	}
	return nil
}

// prose takes text for people: a string, a number, or any other value as its JSON.
type prose string

func (p *prose) UnmarshalJSON(raw []byte) error {
	var t text
	_ = t.UnmarshalJSON(raw) // never fails
	*p = prose(t)
	if len(raw) > 0 && (raw[0] == '{' || raw[0] == '[') {
		var compact bytes.Buffer
		if json.Compact(&compact, raw) == nil {
			*p = prose(compact.String())
		}
	}
	return nil
}

// number takes a number or a string holding one, and drops what follows the point.
type number int

func (n *number) UnmarshalJSON(raw []byte) error {
	*n = 0
	var t text
	_ = t.UnmarshalJSON(raw) // never fails
	if f, err := strconv.ParseFloat(strings.TrimSpace(string(t)), 64); err == nil && math.Abs(f) <= math.MaxInt32 {
		*n = number(f)
	}
	return nil
}

// flag takes true, "true", "True", 1 or "1".
type flag bool

func (f *flag) UnmarshalJSON(raw []byte) error {
	var t text
	_ = t.UnmarshalJSON(raw) // never fails
	*f = flag(string(raw) == "true" || strings.EqualFold(string(t), "true") || t == "1")
	return nil
}

// object takes an object, whose members are lenient themselves.
type object[T any] struct{ value T }

func (o *object[T]) UnmarshalJSON(raw []byte) error {
	var value T
	if len(raw) > 0 && raw[0] == '{' && json.Unmarshal(raw, &value) == nil {
		o.value = value
	} else {
		o.value = *new(T)
	}
	return nil
}

// list takes an array and leaves out the elements that do not fit.
type list[T any] []T

func (l *list[T]) UnmarshalJSON(raw []byte) error {
	*l = nil
	var elements []json.RawMessage
	if json.Unmarshal(raw, &elements) != nil {
		return nil
	}
	for _, element := range elements {
		var value T
		if !isNull(element) && decodeElement(element, &value) == nil {
			*l = append(*l, value)
		}
	}
	return nil
}

// decodeElement is json.Unmarshal for JSON that has been read before: what decodes itself needs no decoder, which
// would be most of what a long list takes from the heap.
func decodeElement(raw []byte, value any) error {
	if own, ok := value.(json.Unmarshaler); ok {
		return own.UnmarshalJSON(raw)
	}
	return json.Unmarshal(raw, value)
}

func isNull(raw []byte) bool { return string(bytes.TrimSpace(raw)) == "null" }

// hasList tells an empty list, or null in its place, from an answer about something else.
func hasList(body []byte, member string) bool {
	members, _ := parseObject(body)
	raw := members[member]
	return isNull(raw) || bytes.HasPrefix(raw, []byte("["))
}
