package activities_test

import (
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/reimage/reimage/api"
	"github.com/reimage/reimage/internal/emulator"
)

// heartbeatTimeout is how long a killed worker goes unnoticed.
const heartbeatTimeout = 20 * time.Second

// submitFault is one fault of the change, and what comes of it.
type submitFault struct {
	name    string
	fault   emulator.Fault // its Op is changeos
	kinds   []string       // how the attempts end when the cloud shows that it rebuilds
	settles bool           // nothing may be accepted before the settle time has passed
	soonest time.Duration  // the pause before the change is accepted, when it does not settle
	refused bool           // nothing is ever accepted
}

func submitFaults() []submitFault {
	doubt := []string{api.ErrInDoubt, ""}
	first := []string{""}
	fault := func(kind emulator.FaultKind) emulator.Fault { return emulator.Fault{Kind: kind} }
	return []submitFault{
		{name: "none", fault: emulator.Fault{Kind: emulator.Latency, Delay: time.Nanosecond}, kinds: first},
		{name: "reset before", fault: fault(emulator.DropBefore), kinds: doubt, settles: true},
		{name: "reset after", fault: fault(emulator.DropAfter), kinds: doubt},
		{name: "silence before", fault: fault(emulator.HangBefore), kinds: doubt, settles: true},
		{name: "silence after", fault: fault(emulator.HangAfter), kinds: doubt},
		{name: "cut answer", fault: fault(emulator.CutBody), kinds: doubt},
		{name: "slow answer", fault: emulator.Fault{Kind: emulator.Latency, Delay: 20 * time.Second}, kinds: first},
		{name: "too slow an answer", fault: emulator.Fault{Kind: emulator.Latency, Delay: 40 * time.Second}, kinds: doubt},
		{name: "accepted late", fault: emulator.Fault{Kind: emulator.AcceptLate, Delay: 29 * time.Second}, kinds: doubt, soonest: 29 * time.Second},
		{
			name: "throttled", fault: emulator.Fault{Kind: emulator.Throttle, RetryAfter: 7 * time.Second},
			kinds: []string{api.ErrThrottled, ""}, soonest: 7 * time.Second,
		},
		{name: "throttled, window in the text", fault: fault(emulator.Throttle), kinds: []string{api.ErrThrottled, ""}, soonest: time.Minute},
		{
			name: "throttled by the service", fault: fault(emulator.Throttle1503),
			kinds: []string{api.ErrThrottled, ""}, soonest: 20 * time.Second,
		},
		{
			name: "throttled by the service with 503", fault: emulator.Fault{Kind: emulator.Throttle1503, Status: 503},
			kinds: []string{api.ErrThrottled, ""}, soonest: 20 * time.Second,
		},
		{name: "delivered twice", fault: fault(emulator.Repeat), kinds: doubt},
		{name: "a copy arrives late", fault: emulator.Fault{Kind: emulator.RepeatLate, Delay: 20 * time.Second}, kinds: first},
		{name: "error 500", fault: fault(emulator.ServerError), kinds: doubt, settles: true},
		{name: "page before", fault: fault(emulator.BadGatewayHTML), kinds: doubt, settles: true},
		{name: "page after", fault: fault(emulator.BadGatewayAfter), kinds: doubt},
		{name: "202 with an error code", fault: fault(emulator.Flow202), kinds: doubt, settles: true},
		{name: "no job id", fault: fault(emulator.NoJobID), kinds: doubt},
		{
			name: "busy, 501", fault: emulator.Fault{Kind: emulator.Refuse, Code: "Ecs.0603"},
			kinds: doubt, settles: true,
		},
		{
			name: "busy, 400", fault: emulator.Fault{Kind: emulator.Refuse, Code: "Ecs.0100"},
			kinds: doubt, settles: true,
		},
		{
			name: "disk in backup", fault: emulator.Fault{Kind: emulator.Refuse, Code: "Ecs.0073"},
			kinds: []string{api.ErrNotReady, ""}, soonest: time.Minute,
		},
		{
			name: "locked", fault: emulator.Fault{Kind: emulator.Refuse, Code: "Ecs.0605", Times: -1},
			kinds: []string{api.ErrRefused}, refused: true,
		},
		{
			name: "signature refused", fault: emulator.Fault{Kind: emulator.Refuse, Code: "APIGW.0301", Status: 401, Times: -1},
			kinds: []string{api.ErrCredentials}, refused: true,
		},
		{
			name: "a permission withdrawn", fault: emulator.Fault{Kind: emulator.Refuse, Code: "Ecs.0110", Status: 403, Times: -1},
			kinds: []string{api.ErrCredentials}, refused: true,
		},
		{
			name: "an account restriction", fault: emulator.Fault{Kind: emulator.Refuse, Code: "Ecs.0067", Status: 403, Times: -1},
			kinds: []string{api.ErrRefused}, refused: true,
		},
		{
			name: "403 for a reason in no table", fault: emulator.Fault{Kind: emulator.Refuse, Code: "Ecs.9999", Status: 403, Times: -1},
			kinds: []string{api.ErrRefused}, refused: true,
		},
		{
			name: "a step failed", fault: emulator.Fault{Kind: emulator.Refuse, Code: "Ecs.0202", Status: 400},
			kinds: doubt, settles: true,
		},
		{name: "a step failed, after", fault: emulator.Fault{Kind: emulator.RefuseAfter, Code: "Ecs.0202", Status: 400}, kinds: doubt},
		{name: "job fails, changed", fault: emulator.Fault{Kind: emulator.JobFail, Variant: emulator.VariantChanged}, kinds: first},
		{name: "job fails, lost", fault: emulator.Fault{Kind: emulator.JobFail, Variant: emulator.VariantLost}, kinds: first},
		{name: "job stuck", fault: fault(emulator.JobStuck), kinds: first},
		{name: "job stuck, done", fault: fault(emulator.JobStuckDone), kinds: first},
		{name: "job forgotten", fault: fault(emulator.JobForgotten), kinds: first},
		{name: "lag", fault: emulator.Fault{Kind: emulator.Lag, Delay: 90 * time.Second}, kinds: first},
		{name: "lag at the start", fault: emulator.Fault{Kind: emulator.LagStart, Delay: 90 * time.Second}, kinds: first},
		{name: "volume gap", fault: fault(emulator.VolumeGap), kinds: first},
		{name: "two volumes", fault: emulator.Fault{Kind: emulator.VolumeGap, Variant: emulator.VariantTwo}, kinds: first},
		{name: "vanishes", fault: fault(emulator.Vanish), kinds: first},
	}
}

func (f submitFault) options(view string) emulator.Options {
	fault := f.fault
	fault.Op = emulator.OpChangeOS
	options := withFaults(stopped(), fault)
	options.Edition.RebuildView = view
	return options
}

// TestSubmitUnderFaults: whatever goes wrong with the request, one change is accepted, and a request that
// may be on its way is given its time.
func TestSubmitUnderFaults(t *testing.T) {
	for _, test := range submitFaults() {
		t.Run(test.name, func(t *testing.T) {
			inLab(t, test.options("rebuild"), func(l *lab) {
				begun := time.Now()
				c := l.persistSubmit(attempt{})
				assert.Equal(l, test.kinds, c.kinds())
				if test.refused {
					require.Error(l, c.err)
					assert.Zero(l, l.changes())
					return
				}
				require.NoError(l, c.err)
				accepted := l.writes(emulator.OpChangeOS)
				require.Len(l, accepted, 1)
				waited := accepted[0].Time.Sub(begun)
				if test.settles {
					assert.GreaterOrEqual(l, waited, testTiming().Settle)
					return
				}
				assert.InDelta(l, test.soonest, waited, float64(time.Second), "and after a throttled call, the client goes slower")
			})
		})
	}
}

// TestSubmitUnderFaultsInTheDark: the same with a cloud that shows nothing of a rebuild until the disk
// is swapped.
func TestSubmitUnderFaultsInTheDark(t *testing.T) {
	for _, test := range submitFaults() {
		if test.refused {
			continue
		}
		t.Run(test.name, func(t *testing.T) {
			inLab(t, test.options("shutoff"), func(l *lab) {
				require.NoError(l, l.persistSubmit(attempt{}).err)
				assert.Equal(l, 1, l.changes())
				time.Sleep(time.Hour)
				assert.Equal(l, 1, l.changes(), "nothing comes late")
			})
		})
	}
}

// TestSubmitByKilledWorkers: the worker is killed as soon as the request is over, so that nobody knows its
// outcome and only the first heartbeat was delivered. The next worker gets one change accepted in all.
//
// A job that fails with the old disk in place is not among the faults. It leaves no trace on the server,
// so a killed worker's successor asks a second time; the first change destroyed nothing.
func TestSubmitByKilledWorkers(t *testing.T) {
	for _, view := range []string{"rebuild", "shutoff"} {
		for _, test := range submitFaults() {
			if test.refused {
				continue
			}
			t.Run(view+"/"+test.name, func(t *testing.T) {
				inLab(t, test.options(view), func(l *lab) {
					killed := l.submit(attempt{})
					time.Sleep(heartbeatTimeout)
					c := l.persistSubmit(attempt{number: 2, details: killed.first()})
					assert.Equal(l, 1, l.changes())
					if view == "shutoff" && test.fault.Kind == emulator.JobStuck {
						// Stuck and invisible: only the cloud's "busy" tells, for as long as anybody asks.
						failsWith(l, c.err, api.ErrInDoubt, false)
						return
					}
					require.NoError(l, c.err)
					time.Sleep(time.Hour)
					assert.Equal(l, 1, l.changes(), "nothing comes late")
				})
			})
		}
	}
}
