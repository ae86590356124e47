package emulator

import (
	"cmp"
	"crypto/sha256"
	"encoding/base64"
	"encoding/hex"
	"regexp"
	"slices"
	"strings"
	"time"
)

// maxUserData is the documented limit in bytes, before base64.
const maxUserData = 32 * 1024

// osRequest is the body under os-change or os-reinstall. All scalars are strings, booleans too.
type osRequest struct {
	ImageID   string      `json:"imageid"`
	KeyName   string      `json:"keyname"`
	AdminPass string      `json:"adminpass"`
	UserID    string      `json:"userid"`
	Mode      string      `json:"mode"`
	IsAutoPay string      `json:"isAutoPay"`
	Metadata  *osMetadata `json:"metadata"`
}

type osMetadata struct {
	BYOL      *string `json:"BYOL"`
	UserData  string  `json:"user_data"`
	Encrypted string  `json:"__system__encrypted"`
	KMSKeyID  string  `json:"__system__cmkid"`
}

// changeOS is POST changeos, v1 and v2.
func (e *Emulator) changeOS(c *call) answer {
	var body struct {
		Change *osRequest `json:"os-change"`
	}
	if r := decode(c.body, &body); r != nil {
		return r.answer(c.requestID)
	}
	if body.Change == nil {
		return refuse("Ecs.0005", "os-change is missing").answer(c.requestID)
	}
	if !isUUID(body.Change.ImageID) {
		return refuse("Ecs.0005", "imageid must be a UUID").answer(c.requestID)
	}
	return e.replaceDisk(c, *body.Change)
}

// reinstallOS is POST reinstallos, v1 and v2: a change to the image that is already there.
func (e *Emulator) reinstallOS(c *call) answer {
	var body struct {
		Reinstall *osRequest `json:"os-reinstall"`
	}
	if r := decode(c.body, &body); r != nil {
		return r.answer(c.requestID)
	}
	if body.Reinstall == nil {
		return refuse("Ecs.0005", "os-reinstall is missing").answer(c.requestID)
	}
	return e.replaceDisk(c, *body.Reinstall)
}

// replaceDisk judges a request and, when nothing speaks against it, accepts it.
func (e *Emulator) replaceDisk(c *call, request osRequest) answer {
	m, ok := e.byID[c.vars["server_id"]]
	if !ok {
		return refuseServer(c.vars["server_id"]).answer(c.requestID)
	}
	if c.op == OpReinstallOS {
		request.ImageID = m.ImageID
	}
	ch, r := e.judgeRequest(c.version, request)
	if r == nil {
		r = e.judgeServer(m, request.Mode)
	}
	if r == nil {
		ch.image, r = e.judgeImage(m, request.ImageID)
	}
	if r == nil && ch.passwordSHA256 != "" && ch.image.OSType == "Windows" && namesAdministrator(request.AdminPass) {
		r = refuse("Ecs.0011", "the password holds the user name")
	}
	if r != nil {
		return r.answer(c.requestID)
	}
	// Documented: with user data on Linux the password is accepted but not applied.
	if ch.userDataSHA256 != "" && ch.image.OSType == "Linux" {
		ch.passwordSHA256 = ""
	}
	return jsonAnswer(200, jobAccepted{e.acceptChange(c, m, ch).id})
}

// acceptChange books the write and starts it.
func (e *Emulator) acceptChange(c *call, m *machine, ch change) *job {
	work := &job{id: e.seed.job("change", m.ID, m.number()), kind: e.options.Edition.JobType, server: m.ID, begin: c.now, lead: e.lead(m)}
	top := work
	if e.options.Edition.JobShape == "sub_jobs" {
		work.id = e.seed.job("sub-job", m.ID, m.number())
		top = &job{id: e.seed.job("change", m.ID, m.number()), kind: work.kind, begin: c.now, subs: []*job{work}}
	}
	e.jobs[work.id], e.jobs[top.id] = work, top

	e.book(m, Write{Time: c.now, Op: c.op, JobID: top.id, ImageID: ch.image.ID, Beside: e.open(m, c.now), Copy: c.isCopy})
	m.running = &operation{op: c.op, job: work, fault: c.faultOn(m)}
	if m.running.struckBy(JobForgotten) {
		work.forgotten, top.forgotten = true, true
	}
	if m.running.struckBy(LagStart) {
		m.hideFrom(c.now, e.options.Edition, m.running.fault.Delay)
	}
	switch {
	case m.running.struckBy(JobStuck) && m.running.fault.Variant == VariantPendingPayment:
		e.awaitPayment(m, c.now, m.running.fault.Delay, ch, work, top)
	case m.ChargingMode == prepaid && ch.image.Fee && !m.installed.Fee && !ch.autoPay && !e.options.Edition.NoAutoPay:
		e.awaitPayment(m, c.now, 0, ch, work, top)
	default:
		e.beginChange(m, c.now, ch)
	}
	m.accepted++
	m.advance(c.now)
	return top
}

// open is the job of the server's latest change that may still do something, whether or not the cloud tells of it.
func (e *Emulator) open(m *machine, now time.Time) string {
	writes := e.ledger.Servers[m.ID].Writes
	for _, w := range slices.Backward(writes) {
		if w.Op != OpChangeOS && w.Op != OpReinstallOS {
			continue
		}
		if j := e.jobs[w.JobID]; j != nil && j.mayDoMore(now) {
			return w.JobID
		}
	}
	return ""
}

// awaitPayment leaves the server alone until somebody pays, that much later, or for ever when that is 0.
func (e *Emulator) awaitPayment(m *machine, now time.Time, later time.Duration, ch change, jobs ...*job) {
	paid := m.running
	m.running = nil
	for _, j := range jobs {
		j.unpaid = true
	}
	if later == 0 {
		return
	}
	e.doLater(now.Add(later), func(at time.Time) {
		if jobs[0].idle { // its order was cancelled
			return
		}
		for _, j := range jobs {
			j.unpaid = false
		}
		if m.running != nil || m.gone {
			paid.job.finish(at, "Ecs.0603", "The server is busy.")
			return
		}
		paid.fault = nil
		m.running = paid
		e.beginChange(m, at, ch)
	})
}

// judgeRequest checks what can be checked without looking at the server.
func (e *Emulator) judgeRequest(version string, request osRequest) (change, *refusal) {
	edition := e.options.Edition
	metadata := osMetadata{}
	if request.Metadata != nil {
		metadata = *request.Metadata
	}
	switch {
	case request.Mode != "" && request.Mode != "withStopServer" && !edition.NoMode:
		return change{}, refuse("Ecs.0005", "mode must be withStopServer")
	case request.IsAutoPay != "" && request.IsAutoPay != "true" && request.IsAutoPay != "false":
		return change{}, refuse("Ecs.0005", `isAutoPay must be "true" or "false"`)
	case request.IsAutoPay != "" && edition.NoAutoPay:
		return change{}, refuse("Ecs.0005", "isAutoPay is not a parameter of this API")
	case (metadata.Encrypted != "" || metadata.KMSKeyID != "") && edition.NoEncryption:
		return change{}, refuse("Ecs.0005", "__system__encrypted and __system__cmkid are not parameters of this API")
	case request.AdminPass != "" && edition.NoAdminPass:
		return change{}, refuse("Ecs.0005", "adminpass is not a parameter of this API")
	case request.AdminPass != "" && request.KeyName != "":
		return change{}, refuse("Ecs.0005", "adminpass and keyname exclude each other")
	case request.KeyName == "" && edition.StrictKeyName:
		return change{}, refuse("Ecs.0005", "keyname is mandatory")
	case version == "v1" && edition.V1NeedsLogin && request.KeyName == "" && request.AdminPass == "":
		return change{}, refuse("Ecs.0005", "adminpass and keyname must not both be empty")
	case request.AdminPass != "" && !strongPassword(request.AdminPass):
		return change{}, refuse("Ecs.0011", "")
	case request.KeyName != "" && !e.mayUseKeyPair(request.KeyName, cmp.Or(request.UserID, e.userID())):
		return change{}, refuse("Ecs.0314", "key pair "+request.KeyName)
	case metadata.BYOL != nil && *metadata.BYOL != "true" && edition.RefuseOtherBYOL:
		return change{}, refuse("Ecs.0005", "BYOL must be true")
	case metadata.Encrypted != "" && metadata.Encrypted != "0" && metadata.Encrypted != "1":
		return change{}, refuse("Ecs.0005", `__system__encrypted must be "0" or "1"`)
	case metadata.Encrypted == "1" && !isUUID(metadata.KMSKeyID):
		return change{}, refuse("Ecs.0912", "__system__cmkid must be the UUID of a KMS key")
	case metadata.UserData != "" && version == "v1":
		return change{}, refuse("Ecs.0005", "user_data is not a parameter of v1")
	}
	ch := change{
		version: version, keyName: request.KeyName, userID: request.UserID,
		byol:      metadata.BYOL != nil && *metadata.BYOL == "true",
		encrypted: metadata.Encrypted == "1", kmsKeyID: metadata.KMSKeyID,
		autoPay: request.IsAutoPay == "true",
	}
	if ch.userID == "" {
		ch.userID = e.userID()
	}
	if request.AdminPass != "" {
		ch.passwordSHA256 = fingerprint([]byte(request.AdminPass))
	}
	if metadata.UserData != "" {
		plain, err := base64.StdEncoding.DecodeString(metadata.UserData)
		if err != nil {
			return change{}, refuse("Ecs.0005", "user_data is not base64")
		}
		if len(plain) > maxUserData {
			return change{}, refuse("Ecs.0005", "user_data is larger than 32 KB")
		}
		ch.userDataSHA256 = fingerprint(plain)
	}
	return ch, nil
}

// judgeServer checks whether the server may be changed in the state it truly is in.
func (e *Emulator) judgeServer(m *machine, mode string) *refusal {
	stopsFirst := mode == "withStopServer" && !e.options.Edition.NoMode && !e.options.Edition.StoppedOnly
	if r := m.barred(); r != nil {
		return r
	}
	switch {
	case m.ChargingMode == spot:
		return refuse("Ecs.0005", "spot servers cannot change their OS: server "+m.ID)
	case m.running != nil:
		return refuse(e.options.Edition.BusyCode, "server "+m.ID)
	case m.SystemVolumeID == "":
		return refuse("Ecs.0105", "server "+m.ID)
	case m.Status == "SHUTOFF" && m.TaskState == "", m.Status == "ERROR" && m.TaskState == "":
		return nil
	case m.Status == "ACTIVE" && m.TaskState == "" && stopsFirst:
		return nil
	}
	return refuse("Ecs.0100", "server "+m.ID+" is "+m.Status)
}

// barred refuses what no write may do.
func (m *machine) barred() *refusal {
	switch {
	case m.Locked:
		return refuse("Ecs.0605", "server "+m.ID)
	case m.Frozen:
		return refuse("Ecs.0030", "server "+m.ID)
	}
	return nil
}

// judgeImage checks whether the image exists and fits the server.
func (e *Emulator) judgeImage(m *machine, id string) (Image, *refusal) {
	image, ok := e.image(id)
	switch {
	case !ok:
		return Image{}, refuse("Ecs.0031", "image "+id)
	case image.Status != "active":
		return Image{}, refuse("Ecs.0032", "image "+id+" is "+image.Status)
	case m.ChargingMode == prepaid && (image.Type == "market" || m.installed.Type == "market"):
		return Image{}, refuse("Ecs.0510", "image "+id)
	case image.OSType == "Windows" && e.options.Edition.NoWindows:
		return Image{}, refuse("Ecs.0074", "image "+id)
	case image.WholeImage:
		return Image{}, refuse("Ecs.0007", "image "+id+" holds more than a system disk")
	case image.VirtualEnvType != "FusionCompute":
		return Image{}, refuse("Ecs.0007", "virtual_env_type is "+image.VirtualEnvType)
	case image.ARM != m.ARM:
		return Image{}, refuse("Ecs.0007", "the architecture of the image is not that of the flavor")
	case image.Firmware != m.Firmware:
		return Image{}, refuse("Ecs.0007", "the boot mode changes from "+m.Firmware+" to "+image.Firmware)
	case image.MinRAMMB > m.RAMMB:
		return Image{}, refuse("Ecs.0007", "the flavor has less memory than the image needs")
	case image.MinDiskGB > m.SystemDiskGB && m.ChargingMode == prepaid:
		return Image{}, refuse("Ecs.0007", "extend the system disk of a yearly/monthly server first")
	}
	return image, nil
}

// strongPassword applies the rules of adminpass: 8 to 26 characters of three kinds out of four. The specials are the
// union of what the editions allow.
func strongPassword(password string) bool {
	if len(password) < 8 || len(password) > 26 {
		return false
	}
	var upper, lower, digit, special int
	for _, r := range password {
		switch {
		case r >= 'A' && r <= 'Z':
			upper = 1
		case r >= 'a' && r <= 'z':
			lower = 1
		case r >= '0' && r <= '9':
			digit = 1
		case strings.ContainsRune("!@$%^-_=+[{}]:,./?~#*", r):
			special = 1
		default:
			return false
		}
	}
	return upper+lower+digit+special >= 3
}

// namesAdministrator is the extra rule for Windows: neither the user name nor the name reversed.
func namesAdministrator(password string) bool {
	lower := strings.ToLower(password)
	return strings.Contains(lower, "administrator") || strings.Contains(lower, "rotartsinimda")
}

func isUUID(text string) bool {
	matched, err := regexp.MatchString(`^[0-9a-fA-F]{8}(-[0-9a-fA-F]{4}){3}-[0-9a-fA-F]{12}$`, text)
	return err == nil && matched
}

func fingerprint(secret []byte) string {
	sum := sha256.Sum256(secret)
	return hex.EncodeToString(sum[:])
}
