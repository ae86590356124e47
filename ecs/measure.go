package ecs

import (
	"encoding/json"
	"errors"
)

// maxDepth and maxValues bound what is made of an answer; its size alone does not. Decoded, {}, is a whole
// server: 16 MB of them filled 7 GB. And each list of sub-jobs copies what is inside of it: 300 KB nested
// without end filled 2 GB. A job is nested seven deep, and a list of a hundred servers has some 20,000 values.
const (
	maxDepth  = 32
	maxValues = 1 << 17
)

// unmarshal reads the JSON of an answer.
func unmarshal(body []byte, answer any) error {
	if !measured(body) || json.Unmarshal(body, answer) != nil {
		return errors.New("the answer cannot be read")
	}
	return nil
}

// measured is true for JSON within maxDepth and maxValues. What is no JSON is left to the decoder.
func measured(raw []byte) bool {
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
		if depth > maxDepth || values > maxValues {
			return false
		}
	}
	return true
}
