package ecs

import (
	"os"
	"strings"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
)

// TestBodyWithEveryField skips the rules: the captured request has a password that they refuse.
func TestBodyWithEveryField(t *testing.T) {
	raw, err := os.ReadFile("testdata/official-sdk/changeos-v2-password.http")
	require.NoError(t, err)
	_, want, found := strings.Cut(string(raw), "\n\n")
	require.True(t, found)

	yes := true
	request := ChangeOSRequest{
		AdminPass:      NewSecret("Secr3t!<&>pass"),
		UserID:         "7e25b1da389f4697a79df3a0e5bd494e",
		ImageID:        "e215580f-73ad-429d-b6f2-5433947433b0",
		Encrypted:      &yes,
		CMKID:          "83cfa9e2-1234-1234-1234-123456789012",
		UserData:       NewSecret("hello"),
		BYOL:           true,
		WithStopServer: true,
		AutoPay:        &yes,
	}
	assert.Equal(t, want, string(encode(request.body())))
}

func TestBodyLeavesOutWhatIsNotAsked(t *testing.T) {
	no := false
	assert.Equal(t, `{"os-change":{"imageid":"i"}}`+"\n", string(encode(ChangeOSRequest{ImageID: "i"}.body())))
	assert.Equal(t, `{"os-change":{"imageid":"i","metadata":{"__system__encrypted":"0"},"isAutoPay":"false"}}`+"\n",
		string(encode(ChangeOSRequest{ImageID: "i", Encrypted: &no, AutoPay: &no}.body())))
}
