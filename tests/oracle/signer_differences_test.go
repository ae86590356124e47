package oracle

import (
	"net/http"
	"testing"
	"time"

	"github.com/huaweicloud/huaweicloud-sdk-go-v3/services/ecs/v2/model"
	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/reimage/reimage/ecs"
	"github.com/reimage/reimage/internal/emulator"
)

// The tests of this file are what the two signers do not agree about, and who is right.

// list is a request that the emulator answers with HTTP 200 when its signature holds.
func list() message {
	return message{
		method: "GET", path: "/v1/" + emulator.DefaultProjectID + "/cloudservers/detail", query: map[string][]string{}, header: map[string]string{},
		key: emulator.DefaultAccessKey, secret: emulator.DefaultSecretKey, date: time.Now(),
	}
}

// inGateway runs the test with a way to send requests to the emulator, which tells their HTTP status.
func inGateway(t *testing.T, test func(t *testing.T, status func(*http.Request) int)) {
	t.Helper()
	inCloud(t, emulator.Options{}, func(t *testing.T, _ *emulator.Emulator, a account) {
		transport := &http.Transport{DialContext: a.dial}
		defer transport.CloseIdleConnections()
		test(t, func(req *http.Request) int {
			got, _ := send(t, transport, req)
			return got
		})
	})
}

// TestEmptyNamesInQueries: the SDK signs "=v" and sends "v", which is another query.
func TestEmptyNamesInQueries(t *testing.T) {
	inGateway(t, func(t *testing.T, status func(*http.Request) int) {
		m := list()
		m.query[""] = []string{"v"}
		theirs, ours := m.theirs(t), m.ours(t)
		assert.Equal(t, theirs.Header.Get("Authorization"), ours.Header.Get("Authorization"))
		assert.Equal(t, "v", theirs.URL.RawQuery)
		assert.Equal(t, "=v", ours.URL.RawQuery)
		assert.Equal(t, 401, status(theirs))
		assert.Equal(t, 200, status(ours))
	})
}

// TestBodiesThatAreNotJSON: by their Content-Type, the SDK leaves such bodies unsigned, and says so. Ours signs every body. The
// gateway takes both.
func TestBodiesThatAreNotJSON(t *testing.T) {
	inGateway(t, func(t *testing.T, status func(*http.Request) int) {
		m := list()
		m.body, m.header["Content-Type"] = "<a/>", "application/xml"
		theirs, ours := m.theirs(t), m.ours(t)
		assert.Equal(t, "UNSIGNED-PAYLOAD", theirs.Header.Get("X-Sdk-Content-Sha256"))
		assert.Empty(t, ours.Header.Get("X-Sdk-Content-Sha256"))
		assert.NotEqual(t, theirs.Header.Get("Authorization"), ours.Header.Get("Authorization"))
		assert.Equal(t, 200, status(theirs))
		assert.Equal(t, 200, status(ours))
	})
}

// TestStatedHashes: the header has the last word about the hash of the body. The SDK signs whatever it says; ours refuses a
// request whose body it would not sign.
func TestStatedHashes(t *testing.T) {
	inGateway(t, func(t *testing.T, status func(*http.Request) int) {
		m := list()
		const ofNothing = "e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855"
		m.header["X-Sdk-Content-Sha256"] = ofNothing
		theirs, ours := m.theirs(t), m.ours(t)
		assert.Equal(t, theirs.Header.Get("Authorization"), ours.Header.Get("Authorization"))
		assert.Equal(t, 200, status(theirs))

		m.body = "{}"
		assert.Equal(t, 401, status(m.theirs(t)))
		req, err := http.NewRequest(m.method, "http://"+host+m.path, nil)
		require.NoError(t, err)
		for _, stated := range []string{ofNothing, "UNSIGNED-PAYLOAD"} {
			req.Header.Set("X-Sdk-Content-Sha256", stated)
			err := ecs.AccessKey{ID: m.key, Secret: ecs.NewSecret(m.secret)}.Authorize(req, []byte(m.body), m.date)
			require.ErrorContains(t, err, "X-Sdk-Content-Sha256")
		}
	})
}

// TestRepeatedHeaders: the SDK knows one value for each spelling of a name, and signs every spelling with the values of all of
// them. Ours signs a name once with all its values, in their order.
func TestRepeatedHeaders(t *testing.T) {
	inGateway(t, func(t *testing.T, status func(*http.Request) int) {
		m := list()
		m.header["X-Tag"], m.header["x-tag"] = "one", "two"
		theirs := m.theirs(t)
		assert.Contains(t, theirs.Header.Get("Authorization"), "SignedHeaders=x-sdk-date;x-tag;x-tag,")
		assert.Equal(t, 401, status(theirs))

		ours := list().ours(t)
		ours.Header["X-Tag"] = []string{"two", "one"}
		m.sign(t, ours)
		assert.Contains(t, ours.Header.Get("Authorization"), "SignedHeaders=x-sdk-date;x-tag,")
		assert.Equal(t, 200, status(ours))
	})
}

// TestSignedAgain: the SDK signs the signature that is there already, and then replaces it. Ours leaves it out.
func TestSignedAgain(t *testing.T) {
	inGateway(t, func(t *testing.T, status func(*http.Request) int) {
		m := list()
		m.header["Authorization"] = "SDK-HMAC-SHA256 of yesterday"
		theirs, ours := m.theirs(t), m.ours(t)
		assert.Contains(t, theirs.Header.Get("Authorization"), "SignedHeaders=authorization;x-sdk-date,")
		assert.Contains(t, ours.Header.Get("Authorization"), "SignedHeaders=x-sdk-date,")
		assert.Equal(t, 401, status(theirs))
		assert.Equal(t, 200, status(ours))
	})
}

// TestUnusableKeys: the SDK signs with the line break that a file has left in a key. Ours says that it is there.
func TestUnusableKeys(t *testing.T) {
	inGateway(t, func(t *testing.T, status func(*http.Request) int) {
		m := list()
		m.secret += "\n"
		assert.Equal(t, 401, status(m.theirs(t)))
		req, err := http.NewRequest(m.method, "http://"+host+m.path, nil)
		require.NoError(t, err)
		err = ecs.AccessKey{ID: m.key, Secret: ecs.NewSecret(m.secret)}.Authorize(req, nil, m.date)
		require.ErrorContains(t, err, "secret access key contains a space, a line break")
		assert.NotContains(t, err.Error(), emulator.DefaultSecretKey)
	})
}

// TestBasePaths: the SDK loses the path of an endpoint. Ours keeps and signs it: that of a gateway, for instance.
func TestBasePaths(t *testing.T) {
	var paths []string
	a := serve(t, func(_ http.ResponseWriter, r *http.Request) { paths = append(paths, r.URL.Path) })
	const id = "616fb98f-46ca-475e-917e-2563e5a8cd19"
	a.base += "/gate"
	_, err := a.sdkECS(t).ShowServer(&model.ShowServerRequest{ServerId: id})
	require.NoError(t, err)
	_, err = a.ours(t).Server(t.Context(), id)
	require.Error(t, err, "the answer is empty")
	assert.Equal(t, []string{"/v1/" + a.project + "/cloudservers/" + id, "/gate/v1/" + a.project + "/cloudservers/" + id}, paths)
}

// TestIDsThatAreNone: the SDK puts them into the path as they are, so that a job may turn out to be a server. Ours sends nothing.
func TestIDsThatAreNone(t *testing.T) {
	var paths []string
	a := serve(t, func(_ http.ResponseWriter, r *http.Request) { paths = append(paths, r.URL.Path) })
	const id = "../cloudservers/{project_id}"
	_, err := a.sdkECS(t).ShowJob(&model.ShowJobRequest{JobId: id})
	require.NoError(t, err)
	_, err = a.ours(t).Job(t.Context(), id)
	require.ErrorContains(t, err, "nothing was sent")
	assert.Equal(t, []string{"/v1/" + a.project + "/jobs/../cloudservers/" + a.project}, paths)
}
