package oracle

import (
	"flag"
	"fmt"
	"io"
	"math/rand/v2"
	"net/http"
	"net/url"
	"reflect"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/huaweicloud/huaweicloud-sdk-go-v3/core/auth/signer"
	"github.com/huaweicloud/huaweicloud-sdk-go-v3/core/auth/signer/algorithm"
	"github.com/huaweicloud/huaweicloud-sdk-go-v3/core/request"
	"github.com/stretchr/testify/require"

	"github.com/reimage/reimage/ecs"
	"github.com/reimage/reimage/internal/emulator"
)

var (
	requests  = flag.Int("requests", 100_000, "how many random requests both sign")
	firstSeed = flag.Uint64("seed", 1, "the seed of the first one; each has its own, one above the last")
)

// A message is a request before it is signed.
type message struct {
	method, path       string // the path is not escaped
	query              map[string][]string
	header             map[string]string // besides X-Sdk-Date
	body               string
	key, secret, token string
	date               time.Time
}

// theirs is the request as the SDK puts it on the wire, with the Authorization of the SDK's signer.
func (m message) theirs(t require.TestingT) *http.Request {
	builder := request.NewHttpRequestBuilder().WithEndpoint("https://"+host).WithMethod(m.method).WithPath(m.path).WithBody("", m.body)
	for name, values := range m.query {
		builder.AddQueryParam(name, reflect.ValueOf(values))
	}
	for name, value := range m.header {
		builder.AddHeaderParam(name, value)
	}
	if m.token != "" {
		builder.AddHeaderParam("X-Security-Token", m.token)
	}
	unsigned := builder.AddHeaderParam("X-Sdk-Date", m.date.UTC().Format("20060102T150405Z")).Build()
	official, err := signer.GetSigner(algorithm.HmacSHA256)
	require.NoError(t, err)
	added, err := official.Sign(unsigned, m.key, m.secret)
	require.NoError(t, err)
	for name, value := range added {
		unsigned.AddHeaderParam(name, value)
	}
	req, err := unsigned.ConvertRequest()
	require.NoError(t, err)
	return req
}

// ours is the same request, put together and signed as our client does it.
func (m message) ours(t require.TestingT) *http.Request {
	req, err := http.NewRequest(m.method, "https://"+host, strings.NewReader(m.body))
	require.NoError(t, err)
	req.URL.Path, req.URL.RawQuery = m.path, url.Values(m.query).Encode()
	for name, value := range m.header {
		req.Header.Set(name, value)
	}
	m.sign(t, req)
	return req
}

func (m message) sign(t require.TestingT, req *http.Request) {
	key := ecs.AccessKey{ID: m.key, Secret: ecs.NewSecret(m.secret), SecurityToken: ecs.NewSecret(m.token)}
	require.NoError(t, key.Authorize(req, []byte(m.body), m.date))
}

// arrived is what a server reads of a request that somebody signed: without the signature.
func arrived(t require.TestingT, sent *http.Request) *http.Request {
	address, err := url.ParseRequestURI(sent.URL.RequestURI())
	require.NoError(t, err)
	header := sent.Header.Clone()
	header.Del("Authorization")
	return &http.Request{Method: sent.Method, URL: address, Header: header}
}

// TestSignersAgree: both sign the same request alike, and ours signs alike what the SDK puts on the wire, which is what the
// cloud's gateway signs again.
func TestSignersAgree(t *testing.T) {
	for i := range *requests {
		seed := *firstSeed + uint64(i)
		m := drawMessage(seed)
		official := m.theirs(t)
		want := official.Header.Get("Authorization")
		wire := arrived(t, official)
		m.sign(t, wire)
		for what, got := range map[string]string{
			"the request":               m.ours(t).Header.Get("Authorization"),
			"what the SDK sends for it": wire.Header.Get("Authorization"),
		} {
			if got != want {
				t.Fatalf("seed %d: of %s\nthe SDK has %s\n    we have %s\n%#v\nto repeat it: go test -run TestSignersAgree -args -requests 1 -seed %d", seed, what, want, got, m, seed)
			}
		}
	}
}

// TestEmulatorVerifiesBothSigners sends random requests over real HTTP. A signature that does not hold is HTTP 401.
func TestEmulatorVerifiesBothSigners(t *testing.T) {
	inCloud(t, emulator.Options{}, func(t *testing.T, _ *emulator.Emulator, a account) {
		transport := &http.Transport{DialContext: a.dial}
		defer transport.CloseIdleConnections()
		for i := range min(*requests, 2_000) {
			seed := *firstSeed + uint64(i)
			m := drawMessage(seed)
			m.method, m.path = "GET", "/v1/"+a.project+"/jobs/x"+strings.ReplaceAll(m.path, "/", "")
			m.key, m.secret, m.token, m.date = a.key, a.secret, "", time.Now()
			for who, req := range map[string]*http.Request{"the SDK": m.theirs(t), "us": m.ours(t)} {
				status, answer := send(t, transport, req)
				require.Equal(t, 400, status, "seed %d: signed by %s: %s\n%#v", seed, who, answer, m)
				require.Contains(t, answer, "Common.0011", "seed %d", seed)
			}
		}
	})
}

// send sends a request to the emulator, whatever its scheme.
func send(t require.TestingT, transport *http.Transport, req *http.Request) (status int, answer string) {
	req.URL.Scheme = "http"
	response, err := transport.RoundTrip(req)
	require.NoError(t, err)
	defer func() { _ = response.Body.Close() }()
	body, err := io.ReadAll(response.Body)
	require.NoError(t, err)
	return response.StatusCode, string(body)
}

const (
	upper = "ABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789"
	// printable is every ASCII character that a key may hold.
	printable = "!\"#$%&'()*+,-./0123456789:;<=>?@ABCDEFGHIJKLMNOPQRSTUVWXYZ[\\]^_`abcdefghijklmnopqrstuvwxyz{|}~"
)

// odd are the pieces that texts are made of: what has a meaning in a URL, what has to be escaped, what only looks escaped, what
// is not ASCII or not even UTF-8.
func odd() []string {
	return []string{
		"a", "Z", "0", "detail", "616fb98f-46ca-475e-917e-2563e5a8cd19", "-", "_", ".", "~", "..", " ", "+", "%", "%2F", "%2f", "%20", "%zz",
		"?", "#", "&", "=", "==", ";", ":", "@", "!", "$", "'", "(", ")", "*", ",", "\\", "|", "^", "`", "\"", "<", ">", "[", "]", "{", "}",
		"{project_id}", "é", "ß", "日本", "🖥", "\u00a0", "\u200b", "\x7f", "\x01", "\n", "\r", "\t", "\xff", "\xc3",
	}
}

type draws struct{ *rand.Rand }

func (d draws) text(pieces []string, most int) string {
	var text strings.Builder
	for range d.IntN(most + 1) {
		text.WriteString(pieces[d.IntN(len(pieces))])
	}
	return text.String()
}

func (d draws) key(alphabet string, length int) string {
	key := make([]byte, length)
	for i := range key {
		key[i] = alphabet[d.IntN(len(alphabet))]
	}
	return string(key)
}

// drawMessage makes a request of a seed. What the signers are known to disagree about is left to tests of its own: an empty
// name in a query, a repeated header, a body that is not JSON by its Content-Type.
func drawMessage(seed uint64) message {
	d := draws{rand.New(rand.NewPCG(seed, 0x516e))}
	pieces := odd()
	m := message{
		method: []string{"GET", "POST", "PUT", "DELETE", "PATCH", "HEAD"}[d.IntN(6)],
		query:  map[string][]string{},
		header: map[string]string{"User-Agent": d.key(printable, 10)},
		body:   d.text(append(pieces, `{"os-start":{"servers":[]}}`, "\n", "\x00"), 8),
		key:    d.key(upper, 20), secret: d.key(printable, 40),
		date: time.Unix(d.Int64N(4_000_000_000), 0),
	}
	for range 1 + d.IntN(5) {
		m.path += "/" + d.text(pieces, 4)
	}
	for range d.IntN(5) {
		name := "q" + d.text(pieces, 2)
		if d.IntN(2) == 0 {
			name = d.text(pieces, 1) + "q"
		}
		for range 1 + d.IntN(3) {
			m.query[name] = append(m.query[name], d.text(pieces, 3))
		}
	}
	d.drawHeader(m.header)
	if d.IntN(3) == 0 {
		m.token = d.key(printable, 1+d.IntN(300))
	}
	return m
}

// drawHeader adds headers with values as they may be on the wire, outer blanks included.
func (d draws) drawHeader(header map[string]string) {
	values := slices.DeleteFunc(append(odd(), "  ", "\t"), func(piece string) bool {
		return piece != "\t" && strings.ContainsAny(piece, "\x01\n\r\x7f")
	})
	for i := range d.IntN(4) {
		name := fmt.Sprintf("x-%d%s", i, d.key("-abcXYZ_", d.IntN(6)))
		header[name] = d.text(values, 4)
	}
	if d.IntN(2) == 0 {
		header["Content-Type"] = []string{"application/json", "application/json;charset=UTF-8"}[d.IntN(2)]
	}
	if d.IntN(4) == 0 {
		header["Host"] = host
	}
	if d.IntN(2) == 0 {
		header["X-Project-Id"] = emulator.DefaultProjectID
	}
}
