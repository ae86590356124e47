package activities_test

import (
	"context"
	"errors"
	"net"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
	"go.temporal.io/sdk/temporal"

	"github.com/reimage/reimage/activities/contract"
	"github.com/reimage/reimage/api"
	"github.com/reimage/reimage/internal/emulator"
)

// TestErrorTypes: what the cloud answers to a question, and what Temporal is told.
func TestErrorTypes(t *testing.T) {
	refuse := func(code string, status int) emulator.Fault {
		return emulator.Fault{Kind: emulator.Refuse, Code: code, Status: status}
	}
	tests := []struct {
		name   string
		fault  emulator.Fault
		kind   string
		final  bool
		benign bool
		delay  time.Duration
	}{
		{"throttled", emulator.Fault{Kind: emulator.Throttle, RetryAfter: 42 * time.Second}, api.ErrThrottled, false, true, 42 * time.Second},
		{"throttled, window in the text", emulator.Fault{Kind: emulator.Throttle}, api.ErrThrottled, false, true, time.Minute},
		{"throttled without a word on when", emulator.Fault{Kind: emulator.Throttle1503}, api.ErrThrottled, false, true, 20 * time.Second},
		{"flow control with 503", emulator.Fault{Kind: emulator.Throttle1503, Status: 503}, api.ErrThrottled, false, true, 20 * time.Second},
		{"500", emulator.Fault{Kind: emulator.ServerError}, api.ErrCloud, false, false, 0},
		{"502 with a page", emulator.Fault{Kind: emulator.BadGatewayHTML}, api.ErrCloud, false, false, 0},
		{"silence", emulator.Fault{Kind: emulator.HangBefore}, api.ErrCloud, false, false, 0},
		{"reset", emulator.Fault{Kind: emulator.DropBefore}, api.ErrCloud, false, false, 0},
		{"cut answer", emulator.Fault{Kind: emulator.CutBody}, api.ErrCloud, false, false, 0},
		{"query failed", refuse("Ecs.0301", 400), api.ErrCloud, false, false, 0},
		{"a page with 404 is no server that is gone", emulator.Fault{Kind: emulator.BadGatewayHTML, Status: 404}, api.ErrCloud, false, false, 0},
		{"signature", refuse("APIGW.0301", 401), api.ErrCredentials, true, false, 0},
		{"token", refuse("APIGW.0307", 401), api.ErrCredentials, true, false, 0},
		{"no such API", refuse("APIGW.0101", 404), api.ErrRefused, true, false, 0},
		{"policy", refuse("Pdp.0001", 403), api.ErrCredentials, true, false, 0},
		{"a server that is frozen", refuse("Ecs.0030", 403), api.ErrRefused, true, false, 0},
		{"403 for a reason in no table", refuse("Ecs.9999", 403), api.ErrRefused, true, false, 0},
		{"another project", refuse("Ecs.0023", 400), api.ErrRefused, true, false, 0},
	}
	for _, test := range tests {
		t.Run(test.name, func(t *testing.T) {
			test.fault.Op = emulator.OpServer
			inLab(t, withFaults(stopped(), test.fault), func(l *lab) {
				end := run(l, l.acts.Preflight, l.question(), attempt{})
				failed := failsWith(l, end.err, test.kind, test.final)
				assert.Equal(l, test.delay, failed.NextRetryDelay())
				assert.Equal(l, test.benign, failed.Category() == temporal.ApplicationErrorCategoryBenign)
				assert.Contains(l, failed.Message(), "read server "+l.server.ID, "it says what was tried, on what")
				switch {
				case test.fault.Code == "Pdp.0001":
					assert.Contains(l, failed.Message(), "the credentials of profile default lack a permission: ")
					assert.Contains(l, failed.Message(), "need the action ecs:cloudServers:get")
				case test.kind == api.ErrCredentials:
					assert.Contains(l, failed.Message(), "the cloud refuses the credentials of profile default: ")
				}
			})
		})
	}
}

// TestInvalidIDsAreNeverSent: an id becomes part of an address.
func TestInvalidIDsAreNeverSent(t *testing.T) {
	inLab(t, stopped(), func(l *lab) {
		const id = "../../../v2/x"
		failsWith(l, run(l, l.acts.StopIfNeeded, contract.StopIfNeededInput{ServerID: id}, attempt{}).err, api.ErrInvalid, true)
		failsWith(l, run(l, l.acts.RestorePower, contract.RestorePowerInput{ServerID: id}, attempt{}).err, api.ErrInvalid, true)
		failsWith(l, run(l, l.acts.SubmitChangeOS, contract.SubmitChangeOSInput{ServerID: id}, attempt{}).err, api.ErrInvalid, true)
		failsWith(l, run(l, l.acts.VerifyServer, contract.VerifyServerInput{ServerID: id}, attempt{}).err, api.ErrInvalid, true)
		failsWith(l, run(l, l.acts.PollJob, contract.PollJobInput{JobID: id}, attempt{}).err, api.ErrInvalid, true)
		assert.Empty(l, l.cloud.Ledger().Requests)
	})
}

// TestCancelWins: a question that is cut short by a cancel is no trouble with the cloud.
func TestCancelWins(t *testing.T) {
	inLab(t, withFaults(stopped(), emulator.Fault{Op: emulator.OpServer, Kind: emulator.HangBefore}), func(l *lab) {
		ctx, cancel := context.WithCancel(l.Context())
		defer cancel()
		l.after(5*time.Second, cancel)
		end := run(l, l.acts.Preflight, l.question(), attempt{ctx: ctx})
		require.Error(l, end.err)
		assert.ErrorContains(l, end.err, "context canceled")
		assert.NotEqual(l, api.ErrCloud, kindOf(end.err))
		assert.Equal(l, 5*time.Second, end.took)
	})
}

// TestUnreachableCloudIsNotSent: a write of which no byte left is said to be not sent, and is clean.
func TestUnreachableCloudIsNotSent(t *testing.T) {
	inLab(t, stopped(), func(l *lab) {
		dial, dials := l.config.Dial, 0
		l.config.Dial = func(ctx context.Context, network, address string) (net.Conn, error) {
			if dials++; dials == 2 { // the first is for the look, the second for the request
				return nil, errors.New("connection refused")
			}
			return dial(ctx, network, address)
		}
		l.acts.Profiles[0].Cloud = l.client(l.config)
		c := l.persistSubmit(attempt{})
		require.NoError(l, c.err)
		assert.Equal(l, []string{api.ErrNotSent, ""}, c.kinds())
		assert.Zero(l, c.took, "no settling: nothing was sent")
		assert.Equal(l, 1, l.sent())
		assert.Equal(l, 1, l.changes())
	})
}

// TestErrorNames: the names are in the histories of running workflows and cannot change.
func TestErrorNames(t *testing.T) {
	assert.Equal(t, []string{
		"InvalidRequest", "Refused", "CredentialsRefused", "ServerVanished", "Throttled", "NotSent", "NotReady", "CloudTrouble", "InDoubt", "WorkerStopping", "Overdue",
		"ForeignDisk", "GivenUp",
	}, []string{
		api.ErrInvalid, api.ErrRefused, api.ErrCredentials, api.ErrVanished, api.ErrThrottled, api.ErrNotSent,
		api.ErrNotReady, api.ErrCloud, api.ErrInDoubt, api.ErrWorkerStopping, api.ErrOverdue,
		api.ErrForeignDisk, api.ErrGivenUp,
	})
}
