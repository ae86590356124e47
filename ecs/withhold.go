package ecs

import (
	"context"
	"encoding/hex"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"regexp"
	"slices"
	"strings"
	"syscall"
)

// An answer can repeat the request that it refuses, in any spelling: no search for a secret in it is complete. So of the answer
// to a request that carried a secret only what cannot hold one is kept: the HTTP status, a code and a request id of the usual
// forms, and words of our own.

// withheldText says so in an error.
const withheldText = "the cloud's text is not kept: it may repeat a secret"

// withheldCode stands for a code of an unusual form.
const withheldCode = "(a code that is not kept)"

// WithoutText is the same client for calls about a server that was sent a secret. What the cloud writes about the server or
// its job may repeat that secret later, so none of it is kept.
func (c *Client) WithoutText() *Client {
	reserved := *c
	reserved.withoutText = true
	return &reserved
}

// withholds is true for a call whose answer may repeat a secret: of its body, or a token of its headers. A signature is none.
func (c *Client) withholds(call request, req *http.Request) bool {
	return c.withoutText || call.private || carriesToken(req)
}

func carriesToken(req *http.Request) bool {
	if req == nil {
		return false
	}
	for _, name := range []string{"X-Auth-Token", "X-Security-Token", "X-Metadata-Token"} {
		if req.Header.Get(name) != "" {
			return true
		}
	}
	authorization := req.Header.Get("Authorization")
	return authorization != "" && !strings.HasPrefix(authorization, signatureScheme+" ")
}

// withhold puts words of our own in the place of the cloud's.
func (e *Error) withhold(f fault, body []byte, secrets []string) {
	e.withheld, e.terms = true, termsIn(f.message)
	if e.Code != "" && (!isCode(e.Code) || slices.Contains(secrets, e.Code)) {
		e.Code = withheldCode // which is in no table, and as good as any other unknown code
	}
	if !isCode(e.relayed.kind) {
		e.relayed.kind = ""
	}
	if !isRequestID(e.RequestID) {
		e.RequestID = ""
	}
	e.Message = e.ownWords(body)
	switch {
	case f.message == "" || f.message == emptyAnswer:
	case e.RequestID != "":
		e.Message = joined(e.Message, withheldText+"; its support finds it by the request")
	default:
		e.Message = joined(e.Message, withheldText)
	}
}

func (e *Error) ownWords(body []byte) string {
	meaning := meaningOf(e.Code)
	switch {
	case relays(e.Code) && e.relayed.status != 0:
		return strings.TrimSpace(fmt.Sprintf("%s: HTTP %d %s", meaning, e.relayed.status, e.relayed.kind))
	case meaning == "" && e.foreign:
		return shapeOf(strings.TrimSpace(string(body)))
	}
	return meaning
}

// withholdText is withhold for a job: what it says of its failure, and a status that is no word.
func (j *Job) withholdText() {
	wrote := j.FailReason != "" || j.Message != ""
	j.Message, j.FailReason = "", ""
	if j.ErrorCode != "" && !isCode(j.ErrorCode) {
		wrote, j.ErrorCode = true, withheldCode
	}
	if !statusForm.MatchString(j.Status) {
		j.Status = "in a status that is not kept"
	}
	j.FailReason = meaningOf(j.ErrorCode)
	if wrote {
		j.FailReason = joined(j.FailReason, withheldText+"; its support finds it by the job")
	}
	for i := range j.SubJobs {
		j.SubJobs[i].withholdText()
	}
}

func joined(words, more string) string {
	if words == "" {
		return more
	}
	return words + "; " + more
}

// silence says in words of our own why there is no answer: the errors of net/http quote what came in the place of one.
func silence(err error) string {
	if errno, ok := errors.AsType[syscall.Errno](err); ok {
		return "the connection broke: " + errno.Error()
	}
	timeout, ok := errors.AsType[net.Error](err)
	switch {
	case ok && timeout.Timeout(), errors.Is(err, context.DeadlineExceeded):
		return "no answer came in time"
	case errors.Is(err, context.Canceled):
		return "the call was cancelled before an answer came"
	case errors.Is(err, io.EOF), errors.Is(err, io.ErrUnexpectedEOF):
		return "the connection was closed before the answer was there"
	}
	for _, own := range []error{errTooLate, errGivenUp, errTooLarge, errEncoded} {
		if errors.Is(err, own) {
			return own.Error()
		}
	}
	return "what came back is no answer in HTTP"
}

var (
	// codeForm names the services: Summer.2026 is a password.
	codeForm      = regexp.MustCompile(`^(Ecs|Common|APIGW|APIG|Pdp|IMG|IMS|IAM|EVS|VPC|KPS|KMS|DEW|CBC|CSB)\.[0-9]{3,8}$`)
	requestIDForm = regexp.MustCompile(`^(req-)?[0-9A-Fa-f-]{16,64}$`)
	// statusForm is more than a password may be: that needs characters of three kinds.
	statusForm = regexp.MustCompile(`^[A-Z_]{1,40}$`)
)

// isCode is true for the code of a service, an HTTP status, and the name of a fault of Nova or Keystone.
func isCode(code string) bool {
	if _, ok := httpStatus(code); ok || codeForm.MatchString(code) {
		return true
	}
	switch code {
	case
		"badMediaType", "badMethod", "badRequest", "buildInProgress", "cinderFault", "computeFault", "conflictingRequest", "forbidden", "identityFault",
		"itemNotFound", "notImplemented", "overLimit", "resizeNotAllowed", "serverCapacityUnavailable", "serviceUnavailable", "unauthorized",
		"Bad Request", "Conflict", "Forbidden", "Not Found", "Unauthorized":
		return true
	}
	return false
}

// isRequestID is true for a UUID and for 32 hexadecimal digits, unless these spell a text.
func isRequestID(id string) bool {
	if !requestIDForm.MatchString(id) {
		return false
	}
	digits := strings.ReplaceAll(strings.TrimPrefix(id, "req-"), "-", "")
	spelt, err := hex.DecodeString(digits)
	isText := func(b byte) bool { return b == 0 || b == '\n' || b == '\r' || b == '\t' || (b >= ' ' && b <= '~') }
	return err == nil && slices.ContainsFunc(spelt, func(b byte) bool { return !isText(b) })
}

// termsIn are the words that decide what an error means and are found in the cloud's text.
func termsIn(text string) (found []string) {
	text = strings.ToLower(text)
	for _, term := range []string{termUser, termPassword, termProject, termSignature, termNoKey, termPolicy} {
		if strings.Contains(text, term) {
			found = append(found, term)
		}
	}
	return found
}
