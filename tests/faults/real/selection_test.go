package real

import (
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
)

// selection are the seeds that are played when no flag asks for others. They were searched among the first 300, each for
// what it adds (features) to those before it; TestSelection says what they have to bring between them.
func selection() []uint64 { return []uint64{242, 248, 230, 4, 11, 178, 125, 95, 282} }

// early is by when even a short rollout is certainly under way.
const early = 20 * time.Second

// features are what a schedule brings: what happens early to processes and connections, and how the cloud is and
// misbehaves.
func features(s Schedule) map[string]bool {
	all := map[string]bool{}
	var at time.Duration
	for _, trouble := range s.Troubles {
		if at += trouble.After; at > early {
			break
		}
		all[string(trouble.Kind)] = true
		if trouble.For > heartbeatTimeout {
			all[string(trouble.Kind)+" for longer than a heartbeat timeout"] = true
		}
		if trouble.For > s.Shape.Deadline {
			all[string(trouble.Kind)+" for longer than every timeout"] = true
		}
	}
	if s.Death != nil && s.Death.At < early {
		all["Temporal dies"] = true
	}
	if s.Cloud.Lag > 0 {
		all["the server view lags"] = true
	}
	for _, f := range s.Cloud.Faults {
		if f.At >= 0 { // weather strikes by chance
			all[string(f.Op)+" "+string(f.Kind)+f.Variant] = true
		}
	}
	return all
}

// heartbeatTimeout is after how much silence Temporal gives an attempt up.
const heartbeatTimeout = 20 * time.Second

// TestSelection holds the few rollouts of every test run to what the campaign is about.
func TestSelection(t *testing.T) {
	found := map[string]int{}
	for _, seed := range selection() {
		for feature := range features(Draw(seed)) {
			found[feature]++
		}
	}
	for feature, seeds := range map[string]int{
		string(Kill): 2, string(Absence): 1, string(Terminate): 2, string(Join): 1,
		string(CloudCut): 1, string(CloudSlow): 1, string(CloudHole): 1, string(TemporalSlow): 1, string(TemporalCut): 1,
		string(TemporalHole) + " for longer than a heartbeat timeout": 2,
		string(Freeze) + " for longer than a heartbeat timeout":       2, string(Freeze) + " for longer than every timeout": 1,
		"Temporal dies": 2, "the server view lags": 2,
		"changeos drop_after": 1, "changeos accept_late": 1, "changeos hang_after": 1, "changeos no_job_id": 1, "changeos throttle": 1,
		"changeos job_failintact": 2, "changeos job_stuck": 1, "changeos job_stuckpending_payment": 1, "changeos job_forgotten": 1,
		"changeos repeat": 1, "changeos repeat_late": 1,
		"changeos lag": 1, "changeos lag_start": 1, "changeos vanish": 1, "stop vanish": 1, "start vanish": 1,
	} {
		assert.GreaterOrEqual(t, found[feature], seeds, feature)
	}
}
