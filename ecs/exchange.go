package ecs

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/http/httptrace"
	"net/url"
	"strings"
	"time"
)

// request is one call of the API.
type request struct {
	op, resource string // "stop", "server 2b1f..." for errors
	method       string
	url          *url.URL
	body         []byte
	private      bool     // the request or its answer holds a secret
	secrets      []string // the values in the body, none of which is a code
	list         bool     // the answer holds many servers, so it may be larger
	action       string   // of the identity service, that the credentials need for it
	enterprise   string   // the enterprise project that a list is narrowed to
	scope        string   // the project that a token is asked for
	check        WriteCheck
}

func (r request) write() bool { return r.method != http.MethodGet }

// api is what a limit of the gateway is about: the method and the path, whatever ids are in it. The path is parted
// at the slashes; a part with digits is an id, or the version with its one or two.
func (r request) api() string {
	parts := strings.Split(r.url.Path, "/")
	for i, part := range parts {
		if len(part) > len("v2.1") && strings.ContainsAny(part, "0123456789") {
			parts[i] = "*"
		}
	}
	return r.method + " " + strings.Join(parts, "/")
}

// limit is the size in bytes of the largest answer that is read.
func (r request) limit() int64 {
	if r.list {
		return maxListBytes
	}
	return maxBodyBytes
}

// answer is what the cloud sent back.
type answer struct {
	status int
	header http.Header
	body   []byte
	broken error // the body was cut, too large or encoded: body is not what was meant
	at     time.Time
}

// reply is how an exchange ended: with an answer, or with an error in its place.
type reply struct {
	answer
	err  error
	req  *http.Request // what was sent, or was to be sent
	sent time.Time
	// begun is true when the network was handed at least one byte of the request. If it was not, the
	// request cannot arrive any more.
	begun bool
	// withhold is true when the answer may repeat a secret.
	withhold bool
}

// exchange waits for the client's turn, sends the request once and reads the answer. The time of a write begins
// with the call: what justifies a write gets old while it waits. That of a read begins with its turn.
func (c *Client) exchange(ctx context.Context, r request) reply {
	start := c.now()
	if r.write() {
		var cancel context.CancelFunc
		ctx, cancel = context.WithTimeout(ctx, c.timeout)
		defer cancel()
	}
	if err := c.awaitTurn(ctx, r); err != nil {
		return reply{err: err, sent: start}
	}
	beginBy, err := r.allowed(ctx)
	if err != nil {
		return reply{err: err, sent: start}
	}
	sent := c.now()
	if !r.write() {
		start = sent
	}
	watch := &delivery{now: c.now, deadline: start.Add(c.timeout), beginBy: beginBy}
	if earlier, ok := ctx.Deadline(); ok && earlier.Before(watch.deadline) {
		watch.deadline = earlier
	}
	ctx, cancel := context.WithTimeout(ctx, c.timeout)
	defer cancel()

	req, err := c.httpRequest(ctx, r, sent)
	if err != nil {
		return reply{err: err, req: req, sent: sent}
	}
	withhold := c.withholds(r, req)
	// Not before: what it is authorized by may have to be asked for, and those bytes are not of this request.
	req = req.WithContext(httptrace.WithClientTrace(ctx, watch.trace()))
	via := c.transport.reads
	if r.write() {
		via = c.transport.writes
	}
	response, err := via.RoundTrip(req)
	if err != nil {
		return reply{err: err, req: req, sent: sent, begun: watch.finish(), withhold: withhold}
	}
	a := readAnswer(response, r.limit())
	a.at = c.now()
	watch.finish()
	answered := reply{answer: a, req: req, sent: sent, begun: true, withhold: withhold}
	c.heed(answered, r)
	return answered
}

// awaitTurn waits until the call may be sent. The identity service is asked too seldom for that.
func (c *Client) awaitTurn(ctx context.Context, r request) error {
	if c.turns == nil {
		return nil
	}
	if r.write() {
		return c.turns.wait(ctx, r.api(), urgent)
	}
	return c.turns.wait(ctx, r.api(), c.reads)
}

// heed slows the client down when the answer asks for it. Flow control may hide behind a success: HTTP 202.
func (c *Client) heed(r reply, call request) {
	if c.turns == nil || r.usable() && r.status != http.StatusAccepted {
		return
	}
	if e := r.failure(call); e.Class() == ClassThrottled {
		c.turns.throttled(call.api(), r.sent, e.RetryAfter, quotaIn(parseFault(r.body).message))
	}
}

// notAuthorized begins the error of a request that was not sent because there was no proof of identity for it.
const notAuthorized = "cannot authorize the request"

// httpRequest builds and authorizes the request. It returns the request even with an error.
func (c *Client) httpRequest(ctx context.Context, r request, now time.Time) (*http.Request, error) {
	req, err := http.NewRequestWithContext(ctx, r.method, r.url.String(), nil)
	if err != nil {
		return nil, err
	}
	req.Header.Set("User-Agent", c.userAgent)
	if c.project != nil {
		id := c.ProjectID()
		if id == "" {
			return req, errNoProject // which the address lacks, too
		}
		req.Header.Set("X-Project-Id", id)
	}
	req.Header.Set("Content-Type", "application/json")
	if r.write() {
		req.Header.Set("Content-Type", "application/json;charset=UTF-8")
	}
	if len(r.body) > 0 { // without one, net/http says that its length is 0
		// Not through http.NewRequest: it would add GetBody, with which the transport can send again.
		req.Body = io.NopCloser(bytes.NewReader(r.body))
		req.ContentLength = int64(len(r.body))
	}
	if err := c.credentials.Authorize(req, r.body, now); err != nil {
		return req, fmt.Errorf(notAuthorized+": %w", err)
	}
	return req, nil
}

// errTooLarge is the cause when an answer is more than this package reads. Asking again does not make it less.
var errTooLarge = errors.New("the answer is larger")

// errEncoded is the cause when an answer is not plain.
var errEncoded = errors.New("the answer is encoded although that was not asked for")

func readAnswer(response *http.Response, limit int64) answer {
	defer response.Body.Close()
	a := answer{status: response.StatusCode, header: response.Header}
	if a.status == http.StatusSwitchingProtocols {
		return a // its body is the bare connection and has no end
	}
	a.body, a.broken = io.ReadAll(io.LimitReader(response.Body, limit+1))
	switch encoding := response.Header.Get("Content-Encoding"); {
	case a.broken != nil:
	case int64(len(a.body)) > limit:
		a.broken = fmt.Errorf("%w than %d MB", errTooLarge, limit>>20)
	case encoding != "" && encoding != "identity":
		a.broken = errEncoded
	}
	if a.broken != nil {
		a.body = nil
	}
	return a
}

// read makes a call that changes nothing, and decodes its answer. A patient client asks again.
func read[T any](ctx context.Context, c *Client, r request, decode func(body []byte) (T, error)) (T, error) {
	value, _, err := readAt(ctx, c, r, decode)
	return value, err
}

// readAt also tells when the call was sent: what it shows is no older.
func readAt[T any](ctx context.Context, c *Client, r request, decode func(body []byte) (T, error)) (T, time.Time, error) {
	for try := 1; ; try++ {
		value, sent, err := readOnce(ctx, c, r, decode)
		if err == nil || !c.askAgain(ctx, err, try) {
			return value, sent, err
		}
	}
}

func readOnce[T any](ctx context.Context, c *Client, r request, decode func(body []byte) (T, error)) (T, time.Time, error) {
	r.method = http.MethodGet
	reply := c.ask(ctx, r)
	value, err := decodeReply(reply, r, decode)
	return value, reply.sent, err
}

// ask makes a call that changes nothing, and makes it again with renewed credentials.
func (c *Client) ask(ctx context.Context, r request) reply {
	reply := c.exchange(ctx, r)
	if !reply.usable() && c.renewedFor(reply, r) {
		reply = c.exchange(ctx, r)
	}
	return reply
}

func decodeReply[T any](reply reply, r request, decode func(body []byte) (T, error)) (T, error) {
	var none T
	if !reply.usable() {
		return none, reply.failure(r)
	}
	value, err := decode(reply.body)
	if err != nil {
		return none, reply.unclear(r, err)
	}
	return value, nil
}

// renewedFor gives up credentials that the cloud refused. It tells whether there are others by now. Only a read
// is then sent again: a write that was refused is for its caller, who looks first.
func (c *Client) renewedFor(reply reply, r request) bool {
	if reply.err != nil || reply.failure(r).Class() != ClassAuth {
		return false
	}
	renewed, ok := c.credentials.(interface {
		refused(req *http.Request, sent time.Time) bool
	})
	return ok && renewed.refused(reply.req, reply.sent)
}

// usable is true when the answer says success and is all there. That it makes sense is not said.
func (r reply) usable() bool {
	return r.err == nil && r.broken == nil && r.status >= 200 && r.status <= 299
}

// invalid is the error for a request that this package itself refuses to send.
func invalid(op, resource string, err error) *Error {
	return &Error{Op: op, Resource: resource, Message: "nothing was sent", Err: err, class: ClassInvalid}
}

// cloudServer is the address of a server, or of something below it.
func (c *Client) cloudServer(version, serverID string, below ...string) *url.URL {
	return c.ecs.JoinPath(append([]string{version, c.ProjectID(), "cloudservers", serverID}, below...)...)
}

// withQuery writes the query as the official SDK does: sorted, and a space as %20.
func withQuery(address *url.URL, query url.Values) *url.URL {
	address.RawQuery = strings.ReplaceAll(query.Encode(), "+", "%20")
	return address
}

// encode writes a body as the official SDK does: the order of the fields, no escapes for HTML, a final
// line feed. The bytes are signed.
func encode[T stopBody | startBody | changeOSBody | tokenBody](body T) []byte {
	var buffer bytes.Buffer
	encoder := json.NewEncoder(&buffer)
	encoder.SetEscapeHTML(false)
	_ = encoder.Encode(body) // structs of strings always have a JSON form
	return buffer.Bytes()
}

// shown is an id as it appears in errors, where it need not be one.
func shown(id string) string { return cut(tidy(id), 64) }
