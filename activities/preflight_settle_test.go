package activities_test

import (
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/reimage/reimage/internal/emulator"
)

// TestPreflightOfADiskThatChanged: the disk that somebody agreed to lose is not there any more.
func TestPreflightOfADiskThatChanged(t *testing.T) {
	inLab(t, stopped(), func(l *lab) {
		in := l.question()
		agreed := l.before()
		in.Expect = &agreed
		assert.Empty(l, l.preflight(in).result.Refusals)

		const newDisk = "11111111-2222-4333-8444-555555555555"
		l.update(func(s *emulator.Server) { s.SystemVolumeID = newDisk })
		refusals := l.preflight(in).result.Refusals
		require.Len(l, refusals, 1)
		assert.Contains(l, refusals[0], "has changed since it was looked at: its system disk was "+agreed.VolumeID+" and is "+newDisk)

		in.Change.ImageID = l.server.ImageID
		looked := l.preflight(in).result
		assert.True(l, looked.AlreadyThere, "somebody else did what was asked for")
		assert.Empty(l, looked.Refusals)
		in.Change.EvenIfSameImage = true
		assert.Len(l, l.preflight(in).result.Refusals, 1)
	})
}

func TestPreflightOfAServerThatIsAlreadyThere(t *testing.T) {
	inLab(t, stopped(), func(l *lab) {
		in := l.question()
		assert.False(l, l.preflight(in).result.AlreadyThere)
		in.Change.ImageID = l.server.ImageID
		assert.True(l, l.preflight(in).result.AlreadyThere)
		in.Change.EvenIfSameImage = true
		assert.False(l, l.preflight(in).result.AlreadyThere, "the change insists")
		in.Change.EvenIfSameImage = false
		l.update(func(s *emulator.Server) { s.Status, s.Fault = "ERROR", "Failed to change the OS." })
		end := l.preflight(in)
		assert.False(l, end.result.AlreadyThere, "a failed server does not run the image")
		assert.Empty(l, end.result.Refusals)
		require.Len(l, end.result.Notes, 1)
		assert.Contains(l, end.result.Notes[0], "is in ERROR: the cloud's console shows why")
	})
}

// TestPreflightOfABrokenServerOnTheImage: it is not what was asked for, so it is refused and not skipped.
func TestPreflightOfABrokenServerOnTheImage(t *testing.T) {
	for name, breaks := range map[string]func(*emulator.Server){
		"no disk":    func(s *emulator.Server) { s.SystemVolumeID = "" },
		"rebuilding": func(s *emulator.Server) { s.TaskState = "rebuilding" },
		"odd status": func(s *emulator.Server) { s.Status, s.VMState = "SHELVED", "shelved" },
	} {
		t.Run(name, func(t *testing.T) {
			inLab(t, stopped(), func(l *lab) {
				in := l.question()
				in.Change.ImageID = l.server.ImageID
				l.update(breaks)
				looked := l.preflight(in).result
				assert.False(l, looked.AlreadyThere)
				assert.NotEmpty(l, looked.Refusals)
			})
		})
	}
}

// TestPreflightAsksAgain: what the cloud says once does not end the look at a server, be it a false 404 or an old view.
func TestPreflightAsksAgain(t *testing.T) {
	absent := func(op, code string) emulator.Fault {
		return emulator.Fault{Op: op, Kind: emulator.Refuse, Code: code, Status: 404, Times: 2}
	}
	for name, fault := range map[string]emulator.Fault{
		"no server":   absent(emulator.OpServer, "Ecs.0114"),
		"no disks":    absent(emulator.OpBlockDevice, "Ecs.0114"),
		"no image":    absent(emulator.OpImage, "IMG.0027"),
		"an old view": {Op: emulator.OpServer, Kind: emulator.OldView, Delay: time.Minute, Times: 2},
	} {
		t.Run(name, func(t *testing.T) {
			inLab(t, withFaults(stopped(), fault), func(l *lab) {
				disk := l.server.SystemVolumeID
				l.update(func(s *emulator.Server) { s.SystemVolumeID = "11111111-2222-4333-8444-555555555555" })
				time.Sleep(5 * time.Minute)
				l.update(func(s *emulator.Server) { s.SystemVolumeID = disk })
				in := l.question()
				in.Expect = new(l.before())
				end := l.preflight(in)
				require.NoError(l, end.err)
				assert.Empty(l, end.result.Refusals)
				assert.Equal(l, 2*testTiming().Poll, end.took)
			})
		})
		if fault.Kind != emulator.Refuse {
			continue
		}
		t.Run(name+", for good", func(t *testing.T) {
			fault.Times = -1
			inLab(t, withFaults(stopped(), fault), func(l *lab) {
				end := l.preflight(l.question())
				if end.err == nil {
					assert.NotEmpty(l, end.result.Refusals)
				}
			})
		})
	}
}
