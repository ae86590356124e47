package ecs

import (
	"encoding/json"
	"errors"
	"fmt"
)

// maxDepth, maxValues and maxListValues bound what is made of an answer; its size alone does not. Decoded, {}, is a
// whole server: 16 MB of them filled 7 GB. And each list of sub-jobs copies what is inside of it: 300 KB nested
// without end filled 2 GB. A job is nested seven deep, and a list of a thousand servers has some 200,000 values.
const (
	maxDepth      = 32
	maxValues     = 1 << 17
	maxListValues = 1 << 18
)

// unmarshal reads the JSON of an answer.
func unmarshal(body []byte, answer any) error { return unmarshalUpTo(maxValues, body, answer) }

// unmarshalUpTo reads the JSON of an answer that may hold so many values.
func unmarshalUpTo(values int, body []byte, answer any) error {
	switch {
	case !measured(body, values):
		return fmt.Errorf("%w than can be read: more than %d values, or nested deeper than %d", errTooLarge, values, maxDepth)
	case json.Unmarshal(body, answer) != nil:
		return errors.New("the answer cannot be read")
	}
	return nil
}

// measured is true for JSON within maxDepth and with at most so many values. What is no JSON is left to the decoder.
func measured(raw []byte, most int) bool {
	depth, values, quoted := 0, 0, false
	for i := 0; i < len(raw); i++ {
		switch c := raw[i]; {
		case quoted && c == '\\':
			i++
		case c == '"':
			quoted = !quoted
		case quoted:
		case c == '{' || c == '[':
			depth++
			values++
		case c == '}' || c == ']':
			depth--
		case c == ',':
			values++
		}
		if depth > maxDepth || values > most {
			return false
		}
	}
	return true
}
