package emulator

import (
	"encoding/json"
	"fmt"
	"net/http"
	"strconv"
)

// An answer is a complete HTTP response, not yet sent.
type answer struct {
	status int
	header http.Header // besides the ones that every answer has; nil for none
	body   []byte
}

const contentJSON = "application/json;charset=UTF-8"

// jsonAnswer panics when the value cannot be encoded: every value it is given is one of this package's types.
func jsonAnswer(status int, value any) answer {
	body, err := json.Marshal(value)
	if err != nil {
		panic(fmt.Sprintf("emulator: %v", err))
	}
	return answer{status: status, body: body}
}

func (a answer) accepted() bool { return a.status >= 200 && a.status < 300 }

// writeHead sends the headers that the gateway puts on everything.
func (a answer) writeHead(w http.ResponseWriter, requestID string) {
	h := w.Header()
	h.Set("Content-Type", contentJSON)
	h.Set("Server", "api-gateway")
	h.Set("X-Request-Id", requestID)
	h.Set("Strict-Transport-Security", "max-age=31536000; includeSubdomains;")
	h.Set("X-Frame-Options", "SAMEORIGIN")
	h.Set("Content-Length", strconv.Itoa(len(a.body)))
	for name, values := range a.header {
		h[name] = values
	}
	w.WriteHeader(a.status)
}

func (a answer) write(w http.ResponseWriter, requestID string) {
	a.writeHead(w, requestID)
	// A client that has gone away is no concern of the cloud's.
	_, _ = w.Write(a.body)
}
