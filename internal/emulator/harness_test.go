package emulator_test

import (
	"context"
	"encoding/json"
	"io"
	"net"
	"net/http"
	"net/http/httptest"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/reimage/reimage/internal/emulator"
)

const project = emulator.DefaultProjectID

// A cloud is an emulator with a client that asks it without a network in between.
type cloud struct {
	*emulator.Emulator
	t *testing.T
}

func newCloud(t *testing.T, options emulator.Options) cloud {
	t.Helper()
	e, err := emulator.New(options)
	require.NoError(t, err)
	return cloud{e, t}
}

// A reply is a decoded answer.
type reply struct {
	status int
	header http.Header
	text   string
}

func (r reply) code() string {
	var body struct {
		Error struct {
			Code json.RawMessage `json:"code"`
		} `json:"error"`
		GatewayCode string `json:"error_code"`
	}
	_ = json.Unmarshal([]byte(r.text), &body)
	if body.GatewayCode != "" {
		return body.GatewayCode
	}
	return strings.Trim(string(body.Error.Code), `"`)
}

func (r reply) jobID(t *testing.T) string {
	t.Helper()
	require.Equal(t, 200, r.status, r.text)
	var body struct {
		JobID string `json:"job_id"`
	}
	require.NoError(t, json.Unmarshal([]byte(r.text), &body))
	require.Regexp(t, "^ff80808[0-9a-f]{25}$", body.JobID)
	return body.JobID
}

// request builds a request with a valid token.
func request(method, path, body string) *http.Request {
	r := httptest.NewRequest(method, path, strings.NewReader(body))
	r.Header.Set("X-Auth-Token", emulator.DefaultToken)
	return r
}

func (c cloud) do(r *http.Request) reply {
	w := httptest.NewRecorder()
	c.ServeHTTP(w, r)
	return reply{w.Code, w.Header(), w.Body.String()}
}

func (c cloud) ask(method, path, body string) reply {
	return c.do(request(method, strings.ReplaceAll(path, "{project}", project), body))
}

func (c cloud) changeOS(serverID, imageID, more string) reply {
	return c.ask("POST", "/v2/{project}/cloudservers/"+serverID+"/changeos", `{"os-change":{"imageid":"`+imageID+`"`+more+`}}`)
}

func (c cloud) power(action, serverID string) reply {
	return c.ask("POST", "/v1/{project}/cloudservers/action", `{"`+action+`":{"type":"SOFT","servers":[{"id":"`+serverID+`"}]}}`)
}

func (c cloud) hardStop(serverID string) reply {
	return c.ask("POST", "/v1/{project}/cloudservers/action", `{"os-stop":{"type":"HARD","servers":[{"id":"`+serverID+`"}]}}`)
}

// job is what a client sees of a job.
type job struct {
	Status    string  `json:"status"`
	Type      string  `json:"job_type"`
	Begin     string  `json:"begin_time"`
	End       string  `json:"end_time"`
	ErrorCode *string `json:"error_code"`
	Reason    *string `json:"fail_reason"`
	Entities  struct {
		ServerID string `json:"server_id"`
		Message  string `json:"errorcode_message"`
		Total    int    `json:"sub_jobs_total"`
		SubJobs  []job  `json:"sub_jobs"`
	} `json:"entities"`
}

func (c cloud) job(id string) job {
	c.t.Helper()
	r := c.ask("GET", "/v1/{project}/jobs/"+id, "")
	require.Equal(c.t, 200, r.status, r.text)
	var j job
	require.NoError(c.t, json.Unmarshal([]byte(r.text), &j))
	return j
}

// shown is what a client sees of a server.
type shown struct {
	ID         string  `json:"id"`
	Name       string  `json:"name"`
	Status     string  `json:"status"`
	VMState    string  `json:"OS-EXT-STS:vm_state"`
	TaskState  *string `json:"OS-EXT-STS:task_state"`
	PowerState int     `json:"OS-EXT-STS:power_state"`
	Launched   string  `json:"OS-SRV-USG:launched_at"`
	Image      struct {
		ID string `json:"id"`
	} `json:"image"`
	Metadata map[string]string `json:"metadata"`
	Tags     []string          `json:"tags"`
	KeyName  *string           `json:"key_name"`
	Locked   bool              `json:"locked"`
	Fault    *struct {
		Message string `json:"message"`
	} `json:"fault"`
	Volumes []struct {
		ID        string  `json:"id"`
		BootIndex *string `json:"bootIndex"`
	} `json:"os-extended-volumes:volumes_attached"`
}

func (s shown) task() string {
	if s.TaskState == nil {
		return ""
	}
	return *s.TaskState
}

func (s shown) bootVolumes() []string {
	var ids []string
	for _, v := range s.Volumes {
		if v.BootIndex != nil && *v.BootIndex == "0" {
			ids = append(ids, v.ID)
		}
	}
	return ids
}

func (c cloud) show(id string) shown {
	c.t.Helper()
	r := c.ask("GET", "/v1/{project}/cloudservers/"+id, "")
	require.Equal(c.t, 200, r.status, r.text)
	var body struct {
		Server shown `json:"server"`
	}
	require.NoError(c.t, json.Unmarshal([]byte(r.text), &body))
	return body.Server
}

// truth returns the server as it really is.
func (c cloud) truth(id string) emulator.Server {
	c.t.Helper()
	s, ok := c.Server(id)
	require.True(c.t, ok)
	return s
}

// named returns the id of an image.
func (c cloud) named(image string) string {
	c.t.Helper()
	for _, i := range c.Images() {
		if i.Name == image {
			return i.ID
		}
	}
	c.t.Fatalf("no image %s", image)
	return ""
}

func (c cloud) target() string { return c.named(emulator.TargetImageName) }

// stopped is an options value with one stopped server.
func stopped() emulator.Options {
	return emulator.Options{Fleet: []emulator.Server{{Name: "one", Status: "SHUTOFF"}}}
}

func running() emulator.Options {
	return emulator.Options{Fleet: []emulator.Server{{Name: "one"}}}
}

// only returns the id of the only server.
func (c cloud) only() string {
	c.t.Helper()
	servers := c.Servers()
	require.Len(c.t, servers, 1)
	return servers[0].ID
}

// pipes is a listener whose connections are in memory, so that they may live in a synctest bubble.
type pipes struct {
	connections chan net.Conn
	closed      chan struct{}
	once        sync.Once
}

func (p *pipes) Accept() (net.Conn, error) {
	select {
	case c := <-p.connections:
		return c, nil
	case <-p.closed:
		return nil, net.ErrClosed
	}
}

func (p *pipes) Close() error {
	p.once.Do(func() { close(p.closed) })
	return nil
}

func (p *pipes) Addr() net.Addr { return &net.UnixAddr{Name: "memory"} }

func (p *pipes) dial(ctx context.Context, _, _ string) (net.Conn, error) {
	client, server := net.Pipe()
	select {
	case p.connections <- server:
		return client, nil
	case <-p.closed:
		return nil, net.ErrClosed
	case <-ctx.Done():
		return nil, ctx.Err()
	}
}

// inBubble runs the test at simulated time, with a client that talks real HTTP to the emulator.
func inBubble(t *testing.T, options emulator.Options, test func(t *testing.T, c cloud, client *http.Client)) {
	t.Helper()
	synctest.Test(t, func(t *testing.T) {
		c := newCloud(t, options)
		listener := &pipes{connections: make(chan net.Conn), closed: make(chan struct{})}
		server := &http.Server{Handler: c}
		go func() { _ = server.Serve(listener) }()
		transport := &http.Transport{DialContext: listener.dial, DisableKeepAlives: true}
		defer func() {
			transport.CloseIdleConnections()
			_ = server.Close()
		}()
		test(t, c, &http.Client{Transport: transport, Timeout: 30 * time.Second})
	})
}

// atTime runs the test at simulated time.
func atTime(t *testing.T, options emulator.Options, test func(t *testing.T, c cloud)) {
	t.Helper()
	synctest.Test(t, func(t *testing.T) { test(t, newCloud(t, options)) })
}

// send sends a request over real HTTP and reads the whole answer.
func send(client *http.Client, base, method, path, body string) (reply, error) {
	r, err := http.NewRequest(method, base+strings.ReplaceAll(path, "{project}", project), strings.NewReader(body))
	if err != nil {
		return reply{}, err
	}
	r.Header.Set("X-Auth-Token", emulator.DefaultToken)
	response, err := client.Do(r)
	if err != nil {
		return reply{}, err
	}
	defer func() { _ = response.Body.Close() }()
	text, err := io.ReadAll(response.Body)
	return reply{response.StatusCode, response.Header, string(text)}, err
}
