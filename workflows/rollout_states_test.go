package workflows_test

import (
	"context"
	"fmt"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/mock"
	"github.com/stretchr/testify/require"
	"go.temporal.io/sdk/interceptor"
	"go.temporal.io/sdk/worker"

	"github.com/reimage/reimage/activities/contract"
	"github.com/reimage/reimage/api"
	"github.com/reimage/reimage/rollout"
)

// reads lets the states be read: down says which servers are down, or why they cannot be read.
func (f *fleet) reads(down func() ([]contract.DownServer, error)) *[]contract.ReadStatesInput {
	asked := &[]contract.ReadStatesInput{}
	f.plan.Caps.CountOthers = true
	f.env.OnActivity(contract.ReadStates, mock.Anything, mock.Anything).Return(
		func(_ context.Context, in contract.ReadStatesInput) (contract.ReadStatesResult, error) {
			*asked = append(*asked, in)
			found, err := down()
			return contract.ReadStatesResult{Down: found}, err
		})
	return asked
}

// etcd is a rollout of two servers of a group of three, one at a time.
func etcd(t *testing.T) *fleet {
	f := newFleet(t, 2, 2, 2)
	for i := range f.plan.Servers {
		f.plan.Servers[i].Group = "etcd"
	}
	f.plan.Caps.Groups = []rollout.GroupCap{{Name: "etcd", Servers: 2, Cap: 1}}
	f.plan.Others = []rollout.OtherServer{{ID: "2b1f0f1e-7f0c-4f5e-9a34-000000000009", Name: "etcd-9", Group: "etcd", Status: rollout.StatusShutoff}}
	return f
}

// TestAMemberThatIsDownHoldsItsGroup: nothing starts before it runs, the rollout says so, and then it goes on by itself.
func TestAMemberThatIsDownHoldsItsGroup(t *testing.T) {
	f := etcd(t)
	asked := f.reads(func() ([]contract.DownServer, error) {
		if f.env.Now().Before(curtain.Add(5*time.Minute + 30*time.Second)) {
			return []contract.DownServer{{ID: f.plan.Others[0].ID, Status: rollout.StatusShutoff}}, nil
		}
		return nil, nil
	})
	var held rollout.Progress
	f.at(3*time.Minute+30*time.Second, func() { held = f.progress() })

	result := f.result()

	assert.True(t, held.NeedsHuman)
	assert.Equal(t, "wave wave-1: no room in group etcd for web-00, web-01, because of servers that are down: etcd-9 (SHUTOFF, not in the plan): start or repair what is down in the cloud's console (it is looked at again once a minute), or skip what waits", held.Why)
	assert.Equal(t, 1, held.SlotsHeldDown)
	assert.Equal(t, rollout.Completed, result.End)
	assert.Equal(t, curtain.Add(26*time.Minute), result.EndedAt, "six minutes, and two servers one after the other")
	require.Len(t, *asked, 7, "when the wave begins, and once a minute")
	assert.Equal(t, contract.ReadStatesInput{Project: project, ServerIDs: []string{f.plan.Servers[0].ID, f.plan.Servers[1].ID, f.plan.Others[0].ID}}, (*asked)[0])
}

// TestStatesAreReadWhenEachWaveBegins, by the list of the project when the servers are many.
func TestStatesAreReadWhenEachWaveBegins(t *testing.T) {
	f := newFleet(t, 101, 101, 1, 101)
	asked := f.reads(func() ([]contract.DownServer, error) { return nil, nil })
	assert.Equal(t, rollout.Completed, f.result().End)
	assert.Equal(t, []contract.ReadStatesInput{{Project: project}, {Project: project}}, *asked)
}

// TestStatesThatCannotBeRead hold the wave, and refused credentials pause the rollout.
func TestStatesThatCannotBeRead(t *testing.T) {
	f := newFleet(t, 1, 1, 1)
	trouble := []error{final(api.ErrRefused, "there is no such list"), final(api.ErrCredentials, "no such key")}
	asked := f.reads(func() ([]contract.DownServer, error) {
		if len(trouble) == 0 {
			return nil, nil
		}
		err := trouble[0]
		trouble = trouble[1:]
		return nil, err
	})
	var unread, paused rollout.Progress
	f.at(30*time.Second, func() { unread = f.progress() })
	f.at(10*time.Minute, func() {
		paused = f.progress()
		f.tell(rollout.Command{Kind: rollout.Resume})
	})

	result := f.result()

	assert.Equal(t, "wave wave-1: waits until the states of the servers can be read, which is tried once a minute: there is no such list", unread.Why)
	assert.Equal(t, "paused: no such key: mend that, then resume; 0 servers in flight", paused.Why)
	assert.True(t, paused.CredentialsRefused)
	assert.Equal(t, rollout.Completed, result.End)
	assert.Len(t, *asked, 3)
}

// TestAbortWhileStatesAreRead waits for no server.
func TestAbortWhileStatesAreRead(t *testing.T) {
	f := newFleet(t, 1, 1, 1)
	f.reads(func() ([]contract.DownServer, error) { return nil, fmt.Errorf("a cloud that is away") })
	f.at(10*time.Second, func() { f.tell(rollout.Command{Kind: rollout.Abort}) })
	result := f.result()
	assert.Equal(t, rollout.Aborted, result.End)
	assert.Equal(t, curtain.Add(10*time.Second), result.EndedAt)
}

// TestOptionsOfTheReading: trouble is shown while the next try is a minute away.
func TestOptionsOfTheReading(t *testing.T) {
	f := newFleet(t, 1, 1, 1)
	recorder := &optionsRecorder{}
	f.env.SetWorkerOptions(worker.Options{Interceptors: []interceptor.WorkerInterceptor{f.between, recorder}})
	f.reads(func() ([]contract.DownServer, error) { return nil, nil })
	f.run()
	options := recorder.of(t, contract.ReadStates)
	assert.Positive(t, options.HeartbeatTimeout)
	assert.Equal(t, 10*time.Minute, options.ScheduleToCloseTimeout)
	assert.Equal(t, "read which servers are down", options.Summary)
}

// TestAServerInErrorThatIsDoneHoldsNoSlot: it runs with its new disk, so the next one starts at once and not after a reading.
func TestAServerInErrorThatIsDoneHoldsNoSlot(t *testing.T) {
	f := newFleet(t, 2, 1, 2)
	f.plan.Servers[0].Status = rollout.StatusError
	f.reads(func() ([]contract.DownServer, error) {
		if f.env.Now().Before(curtain.Add(11 * time.Minute)) {
			return []contract.DownServer{{ID: f.plan.Servers[0].ID, Status: rollout.StatusError}}, nil
		}
		return nil, nil
	})
	var after rollout.Progress
	f.ends["web-00"] = rollout.ServerResult{End: rollout.Done, Before: seen(rollout.StatusError, oldImage, oldDisk), After: changed()}
	f.at(10*time.Minute+30*time.Second, func() { after = f.progress() })

	assert.Equal(t, rollout.Completed, f.result().End)
	assert.Equal(t, rollout.Counts{Servers: 2, Done: 1, InFlight: 1}, after.Counts)
	assert.Zero(t, after.SlotsHeldDown)
}
