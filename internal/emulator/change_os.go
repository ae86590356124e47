package emulator

import (
	"strconv"
	"strings"
	"time"
)

// A change is an accepted change or reinstallation of the operating system.
type change struct {
	image          Image
	version        string // "v1" or "v2"
	keyName        string
	userID         string
	passwordSHA256 string
	userDataSHA256 string
	byol           bool
	encrypted      bool
	kmsKeyID       string
	autoPay        bool
}

// Parts of the time from REBUILD to ACTIVE at which a change of OS gets somewhere. No document tells; what matters is
// the order: the new volume id shows long before the new image id.
const (
	temporaryFrom = 0.10
	mappingFrom   = 0.20 // rebuild_block_device_mapping; a change that fails intact fails here
	gapFrom       = 0.30
	swapAt        = 0.45 // the old system disk is gone, the new one is attached
	lostAt        = 0.50 // a change that loses the disk, or the server, does so here
	spawningFrom  = 0.60
	brokenAt      = 0.80 // a change that fails with the new disk in place fails here
	temporaryTo   = 0.90
)

// beginChange schedules the life of a change: stop when running, swap the disk, boot.
func (e *Emulator) beginChange(m *machine, now time.Time, ch change) {
	o, t := m.running, e.options.Timing
	begin := now
	resting := m.VMState
	if resting == "active" {
		resting = "stopped"
		begin = now.Add(e.stopDuration(m, false))
		m.schedule(now, func(at time.Time) { m.enter(at, "active", "powering-off") })
	}
	total := e.seed.duration(t.ChangeOS, "change", m.ID, m.number())
	when := func(part float64) time.Time { return begin.Add(time.Duration(part * float64(total))) }

	m.schedule(begin, func(at time.Time) { m.enter(at, resting, "rebuilding") })
	if o.struckBy(JobStuck) {
		return
	}
	m.schedule(when(temporaryFrom), func(time.Time) { m.temporary = true })
	m.schedule(when(mappingFrom), func(at time.Time) { m.enter(at, resting, "rebuild_block_device_mapping") })

	newVolume := e.seed.uuid("volume", m.ID, strconv.Itoa(m.volumes+1))
	if o.struckBy(VolumeGap) {
		shown := []string{}
		if o.fault.Variant == VariantTwo {
			shown = []string{m.SystemVolumeID, newVolume}
		}
		m.schedule(when(gapFrom), func(time.Time) { m.gap = &bootGap{shown} })
		m.schedule(when(spawningFrom), func(time.Time) { m.gap = nil })
	}
	m.schedule(when(swapAt), func(at time.Time) {
		m.volumes++
		m.SystemVolumeID = newVolume
		m.SystemDiskGB = max(m.SystemDiskGB, ch.image.MinDiskGB)
		m.Updated = at
	})
	m.schedule(when(spawningFrom), func(at time.Time) { m.enter(at, resting, "rebuild_spawning") })
	m.schedule(when(temporaryTo), func(time.Time) { m.temporary = false })
	m.schedule(when(1), func(at time.Time) {
		m.succeed(at, t.Lag, e.options.Edition, func() { m.install(at, ch) })
	})
	e.breakChange(m, when, resting)
}

// breakChange schedules the early ends that a fault wants.
func (e *Emulator) breakChange(m *machine, when func(part float64) time.Time, resting string) {
	o := m.running
	if o.struckBy(Vanish) {
		m.schedule(when(lostAt), m.vanish)
	}
	if !o.struckBy(JobFail) {
		return
	}
	switch o.fault.Variant {
	case VariantChanged:
		m.schedule(when(brokenAt), func(at time.Time) {
			m.enter(at, "error", "")
			m.Fault = "Failed to change the OS."
			m.fail(at, "Ecs.0203", "Failed to start the server from the new system disk.")
		})
	case VariantLost:
		m.schedule(when(lostAt), func(at time.Time) {
			m.SystemVolumeID = ""
			m.enter(at, "error", "")
			m.Fault = "Failed to change the OS."
			m.fail(at, "Ecs.0219", "Failed to attach the system disk.")
		})
	default:
		m.schedule(when(mappingFrom), func(at time.Time) {
			m.enter(at, resting, "")
			m.fail(at, "Ecs.0202", "Failed to create the system disk.")
		})
	}
}

// install is what a successful change leaves: the new image, its login, and a server that runs.
func (m *machine) install(at time.Time, ch change) {
	m.ImageID, m.installed = ch.image.ID, ch.image
	m.KeyName, m.UserID = ch.keyName, ch.userID
	m.PasswordSHA256, m.UserDataSHA256 = ch.passwordSHA256, ch.userDataSHA256
	m.BYOL, m.Encrypted, m.KMSKeyID = ch.byol, ch.encrypted, ch.kmsKeyID
	m.APIVersion = ch.version
	m.Fault = ""
	m.Launched = at
	m.enter(at, "active", "")
}

// temporaryServer is the server that the platform makes for the time of a change. Its name and its status are published
// nowhere; by default its name is found by a fuzzy search for the real server, which is the worst case for a fleet selector.
func (e *Emulator) temporaryServer(m *machine) view {
	s := Server{
		ID: e.seed.uuid("temporary", m.ID, m.number()), Name: strings.ReplaceAll(e.options.Edition.TemporaryName, "*", m.Name), Status: "BUILD", VMState: "building",
		TaskState: "spawning", ImageID: m.ImageID, FlavorID: m.FlavorID, VCPUs: m.VCPUs, RAMMB: m.RAMMB, Zone: m.Zone,
		ChargingMode: payPerUse, UserID: m.UserID, Created: m.Updated, Updated: m.Updated, Launched: m.Updated,
	}
	v := view{Server: s, installed: m.installed}
	if e.options.Edition.TemporaryStatus == "ACTIVE" {
		v.Status, v.VMState, v.TaskState = "ACTIVE", "active", ""
		v.SystemVolumeID, v.SystemDiskGB = e.seed.uuid("temporary volume", m.ID, m.number()), m.SystemDiskGB
		v.boot = []string{v.SystemVolumeID}
	}
	return v
}
