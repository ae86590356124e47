package emulator

import (
	"bufio"
	"bytes"
	"errors"
	"io"
	"maps"
	"net/http"
	"net/url"
	"slices"
	"strings"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/reimage/reimage/ecs"
	"github.com/reimage/reimage/internal/allocs"
)

// onTheWire sends a request as net/http does and reads it as a server does. It is nil for what cannot be sent.
func onTheWire(r *http.Request, body []byte) *http.Request {
	sent := r.Clone(r.Context())
	sent.Body, sent.ContentLength = io.NopCloser(bytes.NewReader(body)), int64(len(body))
	var wire bytes.Buffer
	if sent.Write(&wire) != nil {
		return nil
	}
	arrived, got, err := readRequest(wire.Bytes())
	if err != nil || !bytes.Equal(body, got) {
		return nil
	}
	return arrived
}

func readRequest(raw []byte) (*http.Request, []byte, error) {
	r, err := http.ReadRequest(bufio.NewReader(bytes.NewReader(raw)))
	if err != nil {
		return nil, nil, err
	}
	for name, values := range r.Header {
		for _, value := range values {
			if !canBeSent(name, value) {
				return nil, nil, errors.New("http.Server answers 400 by itself")
			}
		}
	}
	body, err := io.ReadAll(io.LimitReader(r.Body, maxBody))
	return r, body, err
}

// message is everything of a request that a signature covers, told apart by what it means and not by how
// it is spelled. It is not made by the functions under test.
type message struct {
	method, path string
	query        url.Values
	headers      map[string]string
	body         string
}

func messageOf(r *http.Request, body []byte) message {
	m := message{r.Method, strings.TrimSuffix(r.URL.Path, "/"), r.URL.Query(), map[string]string{}, string(body)}
	for _, values := range m.query {
		slices.Sort(values)
	}
	_, signed, _ := strings.Cut(r.Header.Get("Authorization"), "SignedHeaders=")
	signed, _, _ = strings.Cut(signed, ",")
	for name := range strings.SplitSeq(signed, ";") {
		var values []string
		for _, value := range r.Header[http.CanonicalHeaderKey(name)] {
			values = append(values, strings.TrimSpace(value))
		}
		m.headers[name] = strings.Join(values, ",")
	}
	m.headers["host"] = r.Host
	return m
}

// FuzzSignature: whatever our client signs, the emulator accepts as it arrives; and nothing once a part that
// is signed means something else.
func FuzzSignature(f *testing.F) {
	f.Add("POST", "/v2/p/cloudservers/s/changeos", "", "X-Project-Id: p", []byte(`{"os-change":{}}`), uint(0), "GET")
	f.Add("GET", "/v1/p/jobs/../x%20y%3Fz=1%23f%252F", "b=2&a=1&b=1&c", "User-Agent: a", []byte(nil), uint(1), "/v1/p/jobs/x")
	f.Add("GET", "/v1/p/jobs/a%2Fb", "name=edge+0&tags=role%3Dedge", "X-A:  two  blanks \nX-A:\t b\nX-B:", []byte(nil), uint(2), "a=2")
	f.Add("GET", "//x//", "a=%zz", "X-A: \u00a0\nX-B: \u00e9", []byte("body"), uint(3), "X-A: c")
	f.Add("DELETE", "", "a;b", "Content-Type: text/plain\nX_Under: x", []byte{0, 255}, uint(4), "other")
	f.Add("PUT", "/\u00e9%ff~-._*+ ", "~-._*+ =&=&a=&a", "Range: 1", []byte(nil), uint(5), "0")
	f.Add("GET", "/a", "q", "X-Sdk-Date: 20200101T000000Z", []byte(nil), uint(6), "SDK-HMAC-SHA256 Access=a, SignedHeaders=b, Signature=c")
	f.Fuzz(func(t *testing.T, method, path, query, headers string, body []byte, part uint, other string) {
		address := &url.URL{Scheme: "https", Host: "ecs.example", RawQuery: query}
		if address.Path = path; !strings.HasPrefix(path, "/") && path != "" {
			address.Path = "/" + path
		}
		if plain, err := url.PathUnescape(address.Path); err == nil {
			address.Path, address.RawPath = plain, address.Path
		}
		request, err := http.NewRequest(method, "https://ecs.example", nil)
		if err != nil {
			return
		}
		request.URL = address
		request.Header.Set("User-Agent", "reimage")
		for line := range strings.SplitSeq(headers, "\n") {
			name, value, _ := strings.Cut(line, ":")
			if !owned[http.CanonicalHeaderKey(name)] && canBeSent(name, value) {
				request.Header.Add(name, value)
			}
		}
		keys := sdkKeys()
		client := ecs.AccessKey{ID: keys.accessKey, Secret: ecs.NewSecret(keys.secretKey)}
		if client.Authorize(request, body, sdkTime()) != nil {
			return
		}
		arrived := onTheWire(request, body)
		if arrived == nil {
			return
		}
		assertSpare(t, keys, arrived, body)
		require.Nil(t, keys.verify(arrived, body, sdkTime()), "%s %q %q", arrived.Method, arrived.RequestURI, arrived.Header)

		before, changed, changedBody := messageOf(arrived, body), arrived.Clone(t.Context()), body
		signed := slices.Sorted(maps.Keys(before.headers))
		switch part % 6 {
		case 0:
			changed.Method = other
		case 1:
			changed.URL.Path = other
		case 2:
			changed.URL.RawQuery = other
		case 3:
			changedBody = []byte(other)
		case 4:
			changed.Header.Set(signed[part/6%uint(len(signed))], other)
		case 5:
			changed.Header.Del(signed[part/6%uint(len(signed))])
		}
		if after := messageOf(changed, changedBody); !assert.ObjectsAreEqual(before, after) {
			assert.NotNil(t, keys.verify(changed, changedBody, sdkTime()), "%+v passes for %+v", after, before)
		}
		forged := arrived.Clone(t.Context())
		forged.Header.Set("Authorization", other)
		assert.True(t, other == arrived.Header.Get("Authorization") || keys.verify(forged, body, sdkTime()) != nil)
		keys.secretKey += "x"
		assert.NotNil(t, keys.verify(arrived, body, sdkTime()), "another key")
	})
}

// canBeSent is true for headers that net/http does not refuse, to send or to serve.
func canBeSent(name, value string) bool {
	odd := func(r rune) bool {
		return !strings.ContainsRune("!#$%&'*+-.^_`|~", r) && (r < '0' || r > '9') && (r < 'A' || r > 'Z') && (r < 'a' || r > 'z')
	}
	control := func(r rune) bool { return r < ' ' && r != '\t' || r == 0x7f }
	return name != "" && !strings.ContainsFunc(name, odd) && !strings.ContainsFunc(value, control)
}

// owned are the headers that net/http writes by itself, and those that speak of the signature.
var owned = map[string]bool{
	"Host": true, "Content-Length": true, "Transfer-Encoding": true, "Trailer": true, "User-Agent": true,
	"Authorization": true, "X-Sdk-Date": true, "X-Sdk-Content-Sha256": true,
}

// FuzzForgery lets anything arrive. Who has not got the key gets in only with what somebody signed who has; and
// signed by our client, what arrived is accepted.
func FuzzForgery(f *testing.F) {
	official := map[string]message{} // by signature
	for _, c := range capturedRequests(f) {
		f.Add([]byte(c.Request))
		r, body, err := readRequest([]byte(c.Request))
		require.NoError(f, err)
		official[signatureOf(r)] = messageOf(r, body)
	}
	f.Add([]byte("GET / HTTP/1.1\r\nHost: h\r\nAuthorization: SDK-HMAC-SHA256 Access=, SignedHeaders=, Signature=\r\n\r\n"))
	f.Fuzz(func(t *testing.T, raw []byte) {
		r, body, err := readRequest(raw)
		if err != nil {
			return
		}
		keys := sdkKeys()
		assertSpare(t, keys, r, body)
		if keys.verify(r, body, sdkTime()) == nil {
			want, known := official[signatureOf(r)]
			require.True(t, known, "nobody has signed this")
			got := messageOf(r, body)
			if _, signed := got.headers["host"]; !signed || !strings.Contains(r.Header.Get("Authorization"), "host;") {
				got.headers["host"] = want.headers["host"] // not signed
			}
			assert.Equal(t, want, got)
		}
		signed := &http.Request{Method: r.Method, URL: r.URL, Host: r.Host, Header: r.Header.Clone()}
		for name := range owned {
			signed.Header.Del(name)
		}
		client := ecs.AccessKey{ID: keys.accessKey, Secret: ecs.NewSecret(keys.secretKey)}
		if client.Authorize(signed, body, sdkTime()) == nil {
			assert.Nil(t, keys.verify(signed, body, sdkTime()))
		}
	})
}

// assertSpare checks that a request takes memory by its size, and not by its shape.
func assertSpare(t *testing.T, keys keyPair, r *http.Request, body []byte) {
	t.Helper()
	size := len(r.Method) + len(r.RequestURI) + len(r.Host) + len(body)
	for name, values := range r.Header {
		size += len(name) + len(strings.Join(values, ","))
	}
	assert.LessOrEqual(t, allocs.Of(func() { keys.verify(r, body, sdkTime()) }), uint64(1<<20+512*size))
}

func signatureOf(r *http.Request) string {
	_, signature, _ := strings.Cut(r.Header.Get("Authorization"), "Signature=")
	return signature
}
