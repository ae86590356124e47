package emulator_test

import (
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/reimage/reimage/internal/emulator"
)

func TestStopAndStart(t *testing.T) {
	atTime(t, exact(running()), func(t *testing.T, c cloud) {
		id := c.only()
		stop := c.power("os-stop", id).jobID(t)
		s := c.show(id)
		assert.Equal(t, "ACTIVE", s.Status, "a server that is powering off reads ACTIVE")
		assert.Equal(t, "powering-off", s.task())
		time.Sleep(20 * time.Second)
		s = c.show(id)
		assert.Equal(t, "SHUTOFF", s.Status)
		assert.Equal(t, "stopped", s.VMState)
		assert.Nil(t, s.TaskState)
		assert.Equal(t, 4, s.PowerState)

		j := c.job(stop)
		assert.Equal(t, "SUCCESS", j.Status)
		assert.Equal(t, "serversAction", j.Type)
		require.Len(t, j.Entities.SubJobs, 1)
		assert.Equal(t, "serverActions", j.Entities.SubJobs[0].Type)
		assert.Equal(t, id, j.Entities.SubJobs[0].Entities.ServerID)

		c.power("os-start", id).jobID(t)
		assert.Equal(t, "SHUTOFF", c.show(id).Status, "a server that is powering on reads SHUTOFF")
		assert.Equal(t, "powering-on", *c.show(id).TaskState)
		time.Sleep(10 * time.Second)
		assert.Equal(t, "ACTIVE", c.show(id).Status)
		writes := c.Ledger().Servers[id].Writes
		require.Len(t, writes, 2)
		assert.Equal(t, "stop", writes[0].Op)
		assert.Equal(t, stop, writes[0].JobID)
		assert.Equal(t, "start", writes[1].Op)
	})
}

func TestReboot(t *testing.T) {
	for kind, status := range map[string]string{"SOFT": "REBOOT", "HARD": "HARD_REBOOT"} {
		atTime(t, exact(running()), func(t *testing.T, c cloud) {
			id := c.only()
			c.ask("POST", "/v1/{project}/cloudservers/action", `{"reboot":{"type":"`+kind+`","servers":[{"id":"`+id+`"}]}}`).jobID(t)
			assert.Equal(t, status, c.show(id).Status)
			time.Sleep(30 * time.Second)
			assert.Equal(t, "ACTIVE", c.show(id).Status)
		})
	}
}

func TestHardStopTakesOverFromAGuestThatDoesNotListen(t *testing.T) {
	o := exact(running())
	o.Fleet[0].IgnoresACPI = true
	atTime(t, o, func(t *testing.T, c cloud) {
		id := c.only()
		soft := c.power("os-stop", id).jobID(t)
		time.Sleep(250 * time.Second)
		assert.Equal(t, "ACTIVE", c.show(id).Status)
		hard := c.hardStop(id).jobID(t)
		time.Sleep(4 * time.Second)
		assert.Equal(t, "SHUTOFF", c.show(id).Status)
		assert.Equal(t, "SUCCESS", c.job(soft).Status)
		assert.Equal(t, "SUCCESS", c.job(hard).Status)
	})
	atTime(t, o, func(t *testing.T, c cloud) {
		id := c.only()
		c.power("os-stop", id).jobID(t)
		time.Sleep(300 * time.Second)
		assert.Equal(t, "SHUTOFF", c.show(id).Status, "the platform forces it in the end")
	})
	o.Edition.NoHardOverSoft = true
	atTime(t, o, func(t *testing.T, c cloud) {
		id := c.only()
		c.power("os-stop", id).jobID(t)
		assert.Equal(t, "Ecs.0603", c.hardStop(id).code())
	})
}

func TestRepeatedPowerAction(t *testing.T) {
	c := newCloud(t, running())
	assert.Equal(t, "Ecs.0100", c.power("os-start", c.only()).code())
	o := running()
	o.Edition.StartedIsSuccess = true
	atTime(t, o, func(t *testing.T, c cloud) {
		job := c.power("os-start", c.only()).jobID(t)
		assert.Equal(t, "SUCCESS", c.job(job).Status)
		assert.Equal(t, "ACTIVE", c.truth(c.only()).Status)
	})
}

func TestBatchFailsInPart(t *testing.T) {
	o := exact(emulator.Options{Fleet: []emulator.Server{{Name: "a"}, {Name: "b"}, {Name: "c"}}})
	o.Faults = []emulator.Fault{{Op: "stop", Server: "b", Kind: "job_fail"}}
	atTime(t, o, func(t *testing.T, c cloud) {
		all := c.Servers()
		job := c.ask("POST", "/v1/{project}/cloudservers/action",
			`{"os-stop":{"servers":[{"id":"`+all[0].ID+`"},{"id":"`+all[1].ID+`"},{"id":"`+all[2].ID+`"}]}}`).jobID(t)
		time.Sleep(20 * time.Second)
		j := c.job(job)
		assert.Equal(t, "FAIL", j.Status)
		assert.Equal(t, "Ecs.0611", *j.ErrorCode)
		require.Equal(t, 3, j.Entities.Total)
		assert.Equal(t, "SUCCESS", j.Entities.SubJobs[0].Status)
		assert.Nil(t, j.Entities.SubJobs[0].ErrorCode)
		assert.Equal(t, "FAIL", j.Entities.SubJobs[1].Status)
		assert.NotEmpty(t, j.Entities.SubJobs[1].Entities.Message)
		assert.Equal(t, "SHUTOFF", c.truth(all[0].ID).Status)
		assert.Equal(t, "ACTIVE", c.truth(all[1].ID).Status)
		for _, s := range all {
			assert.Len(t, c.Ledger().Servers[s.ID].Writes, 1)
		}
	})
}

func TestBatchIsRefusedAsAWhole(t *testing.T) {
	c := newCloud(t, emulator.Options{Fleet: []emulator.Server{{Name: "a"}, {Name: "b", Locked: true}}})
	all := c.Servers()
	r := c.ask("POST", "/v1/{project}/cloudservers/action", `{"os-stop":{"servers":[{"id":"`+all[0].ID+`"},{"id":"`+all[1].ID+`"}]}}`)
	assert.Equal(t, "Ecs.0605", r.code())
	assert.Empty(t, c.Ledger().Servers[all[0].ID].Writes)
	assert.Empty(t, c.truth(all[0].ID).TaskState)
}
