package api_test

import (
	"fmt"
	"math/rand/v2"
	"strings"
	"testing"
	"time"

	"github.com/google/uuid"
	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
	"go.temporal.io/sdk/converter"
	"google.golang.org/protobuf/proto"

	"github.com/reimage/reimage/api"
	"github.com/reimage/reimage/rollout"
)

// maxPayload is what Temporal takes (limit.blobSize.error).
const maxPayload = 2 << 20

const compressedFrom = 64 << 10

// TestSmallPayloadsStayReadable in the Web UI, and are what any other client would write.
func TestSmallPayloadsStayReadable(t *testing.T) {
	for _, size := range []int{0, 1, 1000, compressedFrom - 3} {
		text := strings.Repeat("x", size) // two quotes are added
		got, err := api.DataConverter().ToPayload(text)
		require.NoError(t, err)
		want, err := converter.GetDefaultDataConverter().ToPayload(text)
		require.NoError(t, err)
		assert.True(t, proto.Equal(want, got), "%d bytes", size)
	}
}

func TestLargePayloadsAreCompressed(t *testing.T) {
	text := strings.Repeat("x", compressedFrom-2)
	payload, err := api.DataConverter().ToPayload(text)
	require.NoError(t, err)
	assert.Equal(t, "binary/zlib", string(payload.Metadata[converter.MetadataEncoding]))
	assert.Less(t, len(payload.Data), 1000)
	var back string
	require.NoError(t, api.DataConverter().FromPayload(payload, &back))
	assert.Equal(t, text, back)
}

// TestEachPayloadIsJudgedByItself: workflows take and return several.
func TestEachPayloadIsJudgedByItself(t *testing.T) {
	large := strings.Repeat("x", compressedFrom)
	payloads, err := api.DataConverter().ToPayloads("small", large, nil, []byte(large))
	require.NoError(t, err)
	var encodings []string
	for _, p := range payloads.Payloads {
		encodings = append(encodings, string(p.Metadata[converter.MetadataEncoding]))
	}
	assert.Equal(t, []string{"json/plain", "binary/zlib", "binary/null", "binary/zlib"}, encodings)
	var one, two string
	var none *string
	var four []byte
	require.NoError(t, api.DataConverter().FromPayloads(payloads, &one, &two, &none, &four))
	assert.Equal(t, []string{"small", large, large}, []string{one, two, string(four)})
	assert.Nil(t, none)
}

// TestWhatWasWrittenBeforeIsRead: histories outlive the programs that wrote them.
func TestWhatWasWrittenBeforeIsRead(t *testing.T) {
	plan := planOf(t, 1000)
	payload, err := converter.GetDefaultDataConverter().ToPayload(plan)
	require.NoError(t, err)
	require.Greater(t, len(payload.Data), compressedFrom)
	var back rollout.Plan
	require.NoError(t, api.DataConverter().FromPayload(payload, &back))
	assert.Equal(t, plan, back)
}

func TestBrokenPayloadIsAnError(t *testing.T) {
	payload, err := api.DataConverter().ToPayload(strings.Repeat("x", compressedFrom))
	require.NoError(t, err)
	payload.Data = payload.Data[:len(payload.Data)/2]
	var back string
	require.Error(t, api.DataConverter().FromPayload(payload, &back))
}

// TestPlanOfTenThousandServersFits into one payload, which it does not as it is.
func TestPlanOfTenThousandServersFits(t *testing.T) {
	plan := planOf(t, 10_000)
	plain, err := converter.GetDefaultDataConverter().ToPayload(plan)
	require.NoError(t, err)
	require.Greater(t, proto.Size(plain), maxPayload, "otherwise nobody would have to compress")
	payload, err := api.DataConverter().ToPayload(plan)
	require.NoError(t, err)
	t.Logf("%d bytes of JSON become %d", proto.Size(plain), proto.Size(payload))
	assert.Less(t, proto.Size(payload), maxPayload)
	var back rollout.Plan
	require.NoError(t, api.DataConverter().FromPayload(payload, &back))
	assert.NoError(t, back.Verify(), "the digest survives")
	assert.Equal(t, plan, back)
}

// planOf is a plan as real fleets give it: random ids everywhere, and a server group for every two servers.
func planOf(t *testing.T, servers int) rollout.Plan {
	t.Helper()
	random := rand.NewChaCha8([32]byte{7})
	id := func() string {
		drawn, err := uuid.NewRandomFromReader(random)
		require.NoError(t, err)
		return drawn.String()
	}
	image, group := id(), ""
	plan := rollout.Plan{Version: rollout.PlanVersion, Name: "march", Project: id(), MadeAt: time.Unix(1_780_000_000, 0).UTC()}
	for i := range servers {
		if i%2 == 0 {
			group = id()
			plan.Caps.Groups = append(plan.Caps.Groups, rollout.GroupCap{Name: group, Servers: 2, Cap: 1})
		}
		plan.Servers = append(plan.Servers, rollout.PlannedServer{
			ID: id(), Name: fmt.Sprintf("prod-web-%05d", i), Zone: fmt.Sprintf("eu-de-0%d", i%3+1), Group: group, Status: "ACTIVE",
			Before: rollout.Fingerprint{ImageID: image, VolumeID: id()}, ImageName: "base-2026-01", DiskGB: 40, DataDisks: 1,
		})
	}
	plan.Waves = []rollout.Wave{{Name: "all", End: len(plan.Servers)}}
	require.NoError(t, plan.Seal())
	return plan
}
