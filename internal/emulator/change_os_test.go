package emulator_test

import (
	"encoding/base64"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/reimage/reimage/internal/emulator"
	"github.com/reimage/reimage/rollout/edition"
)

// exact makes every duration known: stop 20s, start 10s, change 100s.
func exact(o emulator.Options) emulator.Options {
	o.Timing.Stop = emulator.Span{Median: 20 * time.Second}
	o.Timing.Start = emulator.Span{Median: 10 * time.Second}
	o.Timing.ChangeOS = emulator.Span{Median: 100 * time.Second}
	return o
}

func TestChangeOfAStoppedServer(t *testing.T) {
	options := exact(stopped())
	options.KeyPairs = []emulator.KeyPair{{Name: "ops-key", UserID: "u1"}}
	atTime(t, options, func(t *testing.T, c cloud) {
		id, target := c.only(), c.target()
		before := c.truth(id)
		script := "#cloud-config\n"
		answer := c.changeOS(id, target, `,"keyname":"ops-key","userid":"u1","metadata":{"user_data":"`+
			base64.StdEncoding.EncodeToString([]byte(script))+`","BYOL":"true"}`)
		job := answer.jobID(t)
		assert.Equal(t, "INIT", c.job(job).Status)

		steps := []struct {
			at        time.Duration
			status    string
			task      string
			image     string
			newVolume bool
		}{
			{0, "REBUILD", "rebuilding", before.ImageID, false},
			{25 * time.Second, "REBUILD", "rebuild_block_device_mapping", before.ImageID, false},
			{50 * time.Second, "REBUILD", "rebuild_block_device_mapping", before.ImageID, true},
			{65 * time.Second, "REBUILD", "rebuild_spawning", before.ImageID, true},
			{99 * time.Second, "REBUILD", "rebuild_spawning", before.ImageID, true},
		}
		begin := time.Now()
		for _, step := range steps {
			time.Sleep(step.at - time.Since(begin))
			s := c.show(id)
			assert.Equal(t, step.status, s.Status, step.at)
			assert.Equal(t, step.task, s.task(), step.at)
			assert.Equal(t, step.image, s.Image.ID, step.at)
			assert.Equal(t, step.newVolume, !slices.Equal([]string{before.SystemVolumeID}, s.bootVolumes()), step.at)
		}
		running := c.job(job)
		assert.Equal(t, "RUNNING", running.Status)
		assert.Empty(t, running.End)
		assert.Nil(t, running.ErrorCode)

		time.Sleep(time.Second)
		after := c.show(id)
		assert.Equal(t, "ACTIVE", after.Status)
		assert.Nil(t, after.TaskState)
		assert.Equal(t, target, after.Image.ID)
		assert.Equal(t, target, after.Metadata["metering.image_id"])
		assert.Equal(t, emulator.TargetImageName, after.Metadata["image_name"])
		assert.Equal(t, "ops-key", *after.KeyName)
		assert.Equal(t, "2000-01-01T00:01:40.000000", after.Launched)
		done := c.job(job)
		assert.Equal(t, "SUCCESS", done.Status)
		assert.Equal(t, "changeOs", done.Type)
		assert.Equal(t, id, done.Entities.ServerID)
		assert.Equal(t, "2000-01-01T00:00:00.000Z", done.Begin)
		assert.Equal(t, "2000-01-01T00:01:40.000Z", done.End)

		account := c.Ledger().Servers[id]
		assert.Equal(t, 1, account.ChangeOSAccepted)
		require.Len(t, account.Writes, 1)
		assert.Equal(t, emulator.Write{Time: begin.UTC(), Op: "changeos", JobID: job, ImageID: target, Ended: begin.UTC().Add(100 * time.Second)}, account.Writes[0])
		truth := c.truth(id)
		assert.Len(t, truth.UserDataSHA256, 64)
		assert.True(t, truth.BYOL)
		assert.Equal(t, "u1", truth.UserID)
	})
}

func TestModeStopsARunningServerFirst(t *testing.T) {
	atTime(t, exact(running()), func(t *testing.T, c cloud) {
		id := c.only()
		assert.Equal(t, "Ecs.0100", c.changeOS(id, c.target(), "").code())
		job := c.changeOS(id, c.target(), `,"mode":"withStopServer"`).jobID(t)
		s := c.show(id)
		assert.Equal(t, "ACTIVE", s.Status)
		assert.Equal(t, "powering-off", s.task())
		assert.Equal(t, "Ecs.0603", c.hardStop(id).code(), "nothing takes over the stop of a change")
		time.Sleep(20 * time.Second)
		assert.Equal(t, "REBUILD", c.show(id).Status)
		time.Sleep(100*time.Second - time.Millisecond)
		assert.Equal(t, "RUNNING", c.job(job).Status)
		time.Sleep(time.Millisecond)
		assert.Equal(t, "SUCCESS", c.job(job).Status)
		assert.Equal(t, "ACTIVE", c.show(id).Status)
	})
}

func TestEditionsDecideAboutRunningServers(t *testing.T) {
	for name, restriction := range map[string]edition.Edition{"stopped only": {StoppedOnly: true}, "no mode": {NoMode: true}} {
		t.Run(name, func(t *testing.T) {
			o := running()
			o.Edition = documented(restriction)
			c := newCloud(t, o)
			assert.Equal(t, "Ecs.0100", c.changeOS(c.only(), c.target(), `,"mode":"withStopServer"`).code())
		})
	}
}

func TestSecondChangeIsBusy(t *testing.T) {
	for code, status := range map[string]int{"Ecs.0603": 501, "Ecs.0100": 400} {
		atTime(t, emulator.Options{Fleet: stopped().Fleet, Edition: emulator.Edition{BusyCode: code}}, func(t *testing.T, c cloud) {
			id := c.only()
			c.changeOS(id, c.target(), "").jobID(t)
			second := c.changeOS(id, c.target(), "")
			assert.Equal(t, status, second.status)
			assert.Equal(t, code, second.code())
			assert.Equal(t, 1, c.Ledger().Servers[id].ChangeOSAccepted)
		})
	}
}

func TestFailedChangeAndTheNextOne(t *testing.T) {
	for _, test := range []struct {
		variant, status, code string
		newVolume, lost       bool
	}{
		{"intact", "SHUTOFF", "Ecs.0202", false, false},
		{"changed", "ERROR", "Ecs.0203", true, false},
		{"lost", "ERROR", "Ecs.0219", true, true},
	} {
		t.Run(test.variant, func(t *testing.T) {
			o := exact(stopped())
			o.Faults = []emulator.Fault{{Op: "changeos", Kind: "job_fail", Variant: test.variant}}
			atTime(t, o, func(t *testing.T, c cloud) {
				id := c.only()
				before := c.truth(id)
				job := c.changeOS(id, c.target(), "").jobID(t)
				time.Sleep(100 * time.Second)
				failed := c.job(job)
				assert.Equal(t, "FAIL", failed.Status)
				assert.Equal(t, test.code, *failed.ErrorCode)
				after := c.truth(id)
				assert.Equal(t, test.status, after.Status)
				assert.Empty(t, after.TaskState)
				assert.Equal(t, before.ImageID, after.ImageID)
				assert.Equal(t, test.newVolume, after.SystemVolumeID != before.SystemVolumeID)
				assert.Equal(t, test.lost, after.SystemVolumeID == "")
				if test.lost {
					assert.Empty(t, c.show(id).Volumes)
					assert.Equal(t, "Ecs.0105", c.changeOS(id, c.target(), "").code())
					return
				}
				c.changeOS(id, c.target(), "").jobID(t)
				time.Sleep(100 * time.Second)
				assert.Equal(t, "ACTIVE", c.show(id).Status)
				assert.Empty(t, c.truth(id).Fault)
				assert.Equal(t, 2, c.Ledger().Servers[id].ChangeOSAccepted)
			})
		})
	}
}

func TestPasswordIsKeptAsHashAndNotAppliedBesideUserData(t *testing.T) {
	const password = "Corr3ct-Horse"
	atTime(t, stopped(), func(t *testing.T, c cloud) {
		id := c.only()
		c.changeOS(id, c.target(), `,"adminpass":"`+password+`"`).jobID(t)
		time.Sleep(5 * time.Minute)
		assert.Len(t, c.truth(id).PasswordSHA256, 64)
		assert.Nil(t, c.show(id).KeyName)

		require.NoError(t, c.Update(id, func(s *emulator.Server) { s.Status = "SHUTOFF" }))
		c.changeOS(id, c.target(), `,"adminpass":"`+password+`","metadata":{"user_data":"aGk="}`).jobID(t)
		time.Sleep(5 * time.Minute)
		assert.Empty(t, c.truth(id).PasswordSHA256)
		for _, path := range []string{"/_emulator/servers", "/_emulator/ledger", "/_emulator/faults", "/v1/{project}/cloudservers/detail"} {
			text := c.ask("GET", path, "").text
			assert.NotContains(t, text, password)
			assert.NotContains(t, text, "aGk=")
		}
	})
}

func TestDiskGrowsToTheImage(t *testing.T) {
	atTime(t, stopped(), func(t *testing.T, c cloud) {
		id := c.only()
		c.changeOS(id, c.named("base-2026-02-large"), "").jobID(t)
		time.Sleep(5 * time.Minute)
		assert.Equal(t, 100, c.truth(id).SystemDiskGB)
		text := c.ask("GET", "/v1/{project}/cloudservers/"+id+"/block_device", "").text
		assert.Contains(t, text, `"size":100,"bootIndex":0`)
	})
}

func TestReinstallKeepsTheImageAndReplacesTheDisk(t *testing.T) {
	for _, version := range []string{"v1", "v2"} {
		atTime(t, stopped(), func(t *testing.T, c cloud) {
			id := c.only()
			before := c.truth(id)
			c.ask("POST", "/"+version+"/{project}/cloudservers/"+id+"/reinstallos", `{"os-reinstall":{"keyname":"ops-key"}}`).jobID(t)
			time.Sleep(5 * time.Minute)
			after := c.truth(id)
			assert.Equal(t, before.ImageID, after.ImageID)
			assert.NotEqual(t, before.SystemVolumeID, after.SystemVolumeID)
			assert.Equal(t, version, after.APIVersion)
			account := c.Ledger().Servers[id]
			assert.Equal(t, 1, account.ReinstallAccepted)
			assert.Zero(t, account.ChangeOSAccepted)
		})
	}
}

func TestRebuildViewShutoffHidesTheChange(t *testing.T) {
	o := exact(stopped())
	o.Edition = emulator.Edition{RebuildView: "shutoff", PowerStateShutdown: 3}
	atTime(t, o, func(t *testing.T, c cloud) {
		id := c.only()
		c.changeOS(id, c.target(), "").jobID(t)
		for range 9 {
			time.Sleep(10 * time.Second)
			s := c.show(id)
			assert.Equal(t, "SHUTOFF", s.Status)
			assert.Nil(t, s.TaskState)
			assert.Equal(t, 3, s.PowerState)
			assert.Equal(t, "REBUILD", c.truth(id).Status)
		}
		time.Sleep(10 * time.Second)
		assert.Equal(t, "ACTIVE", c.show(id).Status)
	})
}

func TestTemporaryServerIsListedDuringTheChangeOnly(t *testing.T) {
	for _, hidden := range []bool{false, true} {
		o := exact(stopped())
		o.Edition.NoTemporary = hidden
		atTime(t, o, func(t *testing.T, c cloud) {
			id := c.only()
			count := func() int {
				return strings.Count(c.ask("GET", "/v1/{project}/cloudservers/detail?name=one", "").text, `"name":"one`)
			}
			c.changeOS(id, c.target(), "").jobID(t)
			assert.Equal(t, 1, count())
			time.Sleep(50 * time.Second)
			if hidden {
				assert.Equal(t, 1, count())
			} else {
				assert.Equal(t, 2, count())
			}
			assert.Len(t, c.Servers(), 1)
			time.Sleep(50 * time.Second)
			assert.Equal(t, 1, count())
		})
	}
}

// TestTemporaryServersOfAnotherKind: their names and their status are published nowhere.
func TestTemporaryServersOfAnotherKind(t *testing.T) {
	o := exact(stopped())
	require.NoError(t, o.Edition.Set("temporary_name", "moves-*-2"))
	require.NoError(t, o.Edition.Set("temporary_status", "ACTIVE"))
	atTime(t, o, func(t *testing.T, c cloud) {
		c.changeOS(c.only(), c.target(), "").jobID(t)
		time.Sleep(50 * time.Second)
		found := c.list("name=moves-one-2").Servers
		require.Len(t, found, 1)
		temporary := c.show(found[0].ID)
		assert.Equal(t, "ACTIVE", temporary.Status)
		assert.Nil(t, temporary.TaskState)
		assert.Contains(t, c.ask("GET", "/v1/{project}/cloudservers/"+temporary.ID+"/block_device", "").text, `"bootIndex":0`)
		time.Sleep(50 * time.Second)
		assert.Empty(t, c.list("name=moves").Servers)
	})
}

func TestJobShapeWithSubJobs(t *testing.T) {
	o := exact(stopped())
	o.Edition = emulator.Edition{JobShape: "sub_jobs", JobType: "changeOsV2"}
	o.Faults = []emulator.Fault{{Op: "changeos", Kind: "job_fail", Code: "Ecs.0204", Message: "no capacity"}}
	atTime(t, o, func(t *testing.T, c cloud) {
		job := c.changeOS(c.only(), c.target(), "").jobID(t)
		time.Sleep(100 * time.Second)
		j := c.job(job)
		assert.Equal(t, "changeOsV2", j.Type)
		assert.Equal(t, "FAIL", j.Status)
		assert.Equal(t, "Ecs.0204", *j.ErrorCode)
		require.Equal(t, 1, j.Entities.Total)
		assert.Equal(t, c.only(), j.Entities.SubJobs[0].Entities.ServerID)
		assert.Equal(t, "no capacity", j.Entities.SubJobs[0].Entities.Message)
	})
}

func TestJobsAreForgottenAfterRetention(t *testing.T) {
	for unknown, status := range map[string]int{"400": 400, "404": 404} {
		o := exact(stopped())
		o.Timing.JobRetention = time.Hour
		o.Edition.UnknownJob = unknown
		atTime(t, o, func(t *testing.T, c cloud) {
			job := c.changeOS(c.only(), c.target(), "").jobID(t)
			time.Sleep(100*time.Second + time.Hour)
			assert.Equal(t, "SUCCESS", c.job(job).Status)
			time.Sleep(time.Millisecond)
			r := c.ask("GET", "/v1/{project}/jobs/"+job, "")
			assert.Equal(t, status, r.status)
			assert.Equal(t, "Common.0011", r.code())
		})
	}
}

func TestSpeedRunsEmulatedTimeFaster(t *testing.T) {
	o := exact(stopped())
	o.Speed = 50
	atTime(t, o, func(t *testing.T, c cloud) {
		job := c.changeOS(c.only(), c.target(), "").jobID(t)
		time.Sleep(1900 * time.Millisecond)
		assert.Equal(t, "RUNNING", c.job(job).Status)
		time.Sleep(100 * time.Millisecond)
		assert.Equal(t, "SUCCESS", c.job(job).Status)
		assert.Equal(t, "2000-01-01T00:01:40.000Z", c.job(job).End)
	})
}

func TestDrawnDurationsStayInTheirSpan(t *testing.T) {
	atTime(t, emulator.Options{Servers: 40, Seed: 7}, func(t *testing.T, c cloud) {
		for _, s := range c.Servers() {
			require.NoError(t, c.Update(s.ID, func(s *emulator.Server) { s.Status = "SHUTOFF" }))
			c.changeOS(s.ID, c.target(), "").jobID(t)
		}
		finished := func() int {
			n := 0
			for _, s := range c.Servers() {
				if s.Status == "ACTIVE" {
					n++
				}
			}
			return n
		}
		time.Sleep(60*time.Second - time.Millisecond)
		assert.Zero(t, finished())
		time.Sleep(30 * time.Second)
		assert.Greater(t, finished(), 5)
		assert.Less(t, finished(), 35)
		time.Sleep(30*time.Second + time.Millisecond)
		assert.Equal(t, 40, finished())
	})
}
