package activities_test

import (
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/reimage/reimage/activities/contract"
	"github.com/reimage/reimage/api"
	"github.com/reimage/reimage/ecs"
	"github.com/reimage/reimage/internal/emulator"
	"github.com/reimage/reimage/rollout"
	"github.com/reimage/reimage/rollout/document"
	"github.com/reimage/reimage/rollout/edition"
)

const unknownID = "00000000-1111-4222-8333-444455556666"

// question asks about the lab's server and its target.
func (l *lab) question() contract.PreflightInput {
	return contract.PreflightInput{
		Project: emulator.DefaultProjectID, ServerID: l.server.ID, Change: rollout.Change{ImageID: l.target.ID},
	}
}

// preflight makes one attempt, and checks that the look changed nothing, whatever it found.
func (l *lab) preflight(in contract.PreflightInput) ended[contract.PreflightResult] {
	l.Helper()
	end := run(l, l.acts.Preflight, in, attempt{})
	for id, account := range l.cloud.Ledger().Servers {
		assert.Empty(l, account.Writes, "preflight wrote to server %s", id)
	}
	l.onlyRead()
	return end
}

func TestPreflightOfAGoodServer(t *testing.T) {
	for _, status := range []string{rollout.StatusActive, rollout.StatusShutoff} {
		options := fleetOf(emulator.Server{Name: "db-01", Status: status, SystemDiskGB: 60, DataVolumeIDs: []string{"", ""}})
		inLab(t, options, func(l *lab) {
			end := l.preflight(l.question())
			require.NoError(l, end.err)
			assert.Equal(l, contract.PreflightResult{
				Project:          emulator.DefaultProjectID,
				Name:             "db-01",
				Before:           rollout.Observation{Fingerprint: l.before(), Exists: true, Status: status, Updated: l.server.Updated.Format(time.RFC3339)},
				PresentImageName: emulator.CurrentImageName,
				ImageName:        emulator.TargetImageName,
				SystemDiskGB:     60,
				DataDisks:        2,
			}, end.result)
		})
	}
}

// TestPreflightRefusesTheServer: every state in which a server may not be changed, each with its reason.
func TestPreflightRefusesTheServer(t *testing.T) {
	tests := []struct {
		name   string
		change func(*emulator.Server)
		says   string
	}{
		{"no disk", func(s *emulator.Server) { s.SystemVolumeID = "" }, "has no system disk (status SHUTOFF)"},
		{"locked", func(s *emulator.Server) { s.Locked = true }, "is locked: unlock it first"},
		{"locked by", func(s *emulator.Server) { s.Locked, s.LockSource = true, "ORDER" }, "is locked by ORDER"},
		{"frozen", func(s *emulator.Server) { s.Frozen = true }, "is frozen by the account"},
		{"spot", func(s *emulator.Server) { s.ChargingMode = "2" }, "is a spot server"},
		{"busy", func(s *emulator.Server) { s.TaskState = "powering-on" }, "is busy (status SHUTOFF, task powering-on)"},
		{"rebuilding", func(s *emulator.Server) { s.TaskState = "rebuilding" }, "is busy (status REBUILD, task rebuilding)"},
		{"odd status", func(s *emulator.Server) { s.Status, s.VMState = "SHELVED", "shelved" }, "has status SHELVED: only running, stopped or failed"},
		{"architecture", func(s *emulator.Server) { s.ImageID = imageNamed("arm") }, "are of different processor architectures"},
		{"firmware", func(s *emulator.Server) { s.ImageID = imageNamed("uefi") }, "boots with uefi firmware and image good needs bios"},
	}
	for _, test := range tests {
		t.Run(test.name, func(t *testing.T) {
			inLab(t, gallery(), func(l *lab) {
				l.update(test.change)
				in := l.question()
				in.Change.ImageID = imageNamed("good")
				end := l.preflight(in)
				require.NoError(l, end.err)
				require.Len(l, end.result.Refusals, 1)
				assert.Contains(l, end.result.Refusals[0], test.says)
				assert.Contains(l, end.result.Refusals[0], "one ("+l.server.ID+")", "the reason names the server")
			})
		})
	}
}

// gallery is a cloud with one image for each reason against an image.
func gallery() emulator.Options {
	options := stopped()
	options.Fleet[0].ImageID = imageNamed("present")
	for _, image := range []emulator.Image{
		{Name: "present"}, {Name: "good"}, {Name: "arm", ARM: true}, {Name: "uefi", Firmware: "uefi"}, {Name: "saving", Status: "saving"},
		{Name: "data", VirtualEnvType: "DataImage"}, {Name: "large", MinDiskGB: 100}, {Name: "hungry", MinRAMMB: 8192},
		{Name: "market", Type: "market"}, {Name: "windows", OSType: "Windows"}, {Name: "whole", WholeImage: true},
		{Name: "encrypted", Encrypted: true, EncryptionKey: unknownID}, {Name: "uninjected", FCInject: "true"},
		{Name: "public", Type: "gold"}, {Name: "resettable", Type: "gold", PasswordLater: true},
		{Name: "shared", Type: "shared"},
	} {
		image.ID = imageNamed(image.Name)
		options.Images = append(options.Images, image)
	}
	return options
}

// imageNamed is the id of an image of the gallery.
func imageNamed(name string) string {
	names := map[string]string{
		"present": "0", "good": "1", "arm": "2", "uefi": "3", "saving": "4", "data": "5", "large": "6", "hungry": "7", "market": "8", "windows": "9",
		"whole": "a", "encrypted": "b", "uninjected": "c", "public": "d", "resettable": "e", "shared": "f",
	}
	return "7d3c9f60-3f0b-4a57-8a1d-0f4be2f1c9d" + names[name]
}

func TestPreflightRefusesTheImage(t *testing.T) {
	nothing := func(*emulator.Server) {}
	tests := []struct {
		image  string
		server func(*emulator.Server)
		change func(*rollout.Change)
		says   string
	}{
		{"saving", nothing, nil, "has status saving and must be active"},
		{"data", nothing, nil, "is of type DataImage"},
		{"arm", nothing, nil, "are of different processor architectures (x86 and ARM)"},
		{"uefi", nothing, nil, "boots with bios firmware and image uefi needs uefi"},
		{"large", nothing, nil, "needs a system disk of 100 GB and that of one"},
		{"hungry", nothing, nil, "needs 8192 MB of memory and one"},
		{"market", func(s *emulator.Server) { s.ChargingMode = "1" }, nil, "is a marketplace image"},
		{"good", func(s *emulator.Server) { s.ChargingMode, s.ImageID = "1", imageNamed("market") }, nil, "runs market, a marketplace image"},
		{"windows", nothing, func(c *rollout.Change) { c.API, c.Login.KeyPair = rollout.APIv1, "fleet-key-01" }, "takes a password, not a key pair"},
		{"windows", nothing, nil, "nobody could log in"},
		{"whole", nothing, nil, "is a full-server image, with data disks"},
		{"encrypted", nothing, func(c *rollout.Change) { c.Encrypted, c.EncryptionKeyID = new(true), imageNamed("good") }, "is encrypted with key " + unknownID},
	}
	for _, test := range tests {
		t.Run(test.image, func(t *testing.T) {
			inLab(t, gallery(), func(l *lab) {
				l.update(test.server)
				in := l.question()
				in.Change.ImageID = imageNamed(test.image)
				if test.change != nil {
					test.change(&in.Change)
				}
				end := l.preflight(in)
				require.NoError(l, end.err)
				require.Len(l, end.result.Refusals, 1)
				assert.Contains(l, end.result.Refusals[0], test.says)
			})
		})
	}
	t.Run("the edition and a server that is not fit", func(t *testing.T) {
		inLab(t, gallery(), func(l *lab) {
			l.acts.Profiles[0].Edition = edition.Edition{Name: "otc", StrictKeyName: true}
			l.update(func(s *emulator.Server) { s.Locked = true })
			in := l.question()
			in.Change.ImageID = imageNamed("saving")
			refusals := l.preflight(in).result.Refusals
			require.Len(l, refusals, 3)
			assert.Equal(l, "the API of edition otc demands a key pair: write login.keyPair, or --key-pair (docs/editions.md)", refusals[0])
		})
	})
	t.Run("a market image for a server paid by use", func(t *testing.T) {
		inLab(t, gallery(), func(l *lab) {
			in := l.question()
			in.Change.ImageID = imageNamed("market")
			assert.Empty(l, l.preflight(in).result.Refusals)
		})
	})
}

// TestPasswordOfWindows: a rule that depends on the image is checked with the image, in a plan and for one server.
func TestPasswordOfWindows(t *testing.T) {
	for password, fits := range map[string]bool{"Quaint-7Badmint": false, plantedPassword: true} {
		inLab(t, gallery(), func(l *lab) {
			l.acts.Secrets.LookupEnv = func(string) (string, bool) { return password, true }
			l.update(func(s *emulator.Server) { s.Tags = []string{selectsWeb} })
			login := rollout.Login{PasswordFrom: "env:REIMAGE_SECRET_ROOT_PASSWORD"}
			for image, refused := range map[string]bool{"windows": !fits, "good": false} {
				in := l.question()
				in.Change.ImageID, in.Change.Login = imageNamed(image), login
				end := l.preflight(in)
				require.NoError(l, end.err)
				planned := l.makePlan(l.planOf(selectsWeb, func(s *document.Spec) {
					s.Image.ID, s.Login.PasswordFrom = imageNamed(image), login.PasswordFrom
				}))
				require.NoError(l, planned.err)
				if !refused {
					assert.Empty(l, slices.Concat(end.result.Refusals, planned.result.Problems))
					continue
				}
				says := []string{"password from env:REIMAGE_SECRET_ROOT_PASSWORD: it may, with a Windows image, hold neither three characters in a row of Administrator, nor that backwards"}
				assert.Equal(l, says, end.result.Refusals)
				assert.Equal(l, says, planned.result.Problems)
			}
		})
	}
}

// TestPreflightNotesWhatIsInDoubt: what the image service serves of an image reaches whoever has to consent.
func TestPreflightNotesWhatIsInDoubt(t *testing.T) {
	for image, says := range map[string]string{
		"encrypted":  "while its key " + unknownID + " is disabled none can be made",
		"uninjected": `carries __support_fc_inject "true"`,
		"public":     "nobody may be able to log in",
		"resettable": "",
		"good":       "",
	} {
		t.Run(image, func(t *testing.T) {
			inLab(t, gallery(), func(l *lab) {
				in := l.question()
				in.Change.ImageID = imageNamed(image)
				end := l.preflight(in)
				require.NoError(l, end.err)
				assert.Empty(l, end.result.Refusals)
				if says == "" {
					assert.Empty(l, end.result.Notes)
					return
				}
				require.Len(l, end.result.Notes, 1)
				assert.Contains(l, end.result.Notes[0], says)
			})
		})
	}
}

// TestPreflightOfAPrepaidServer: what a plan says of such servers, whoever changes one alone has to know, too.
func TestPreflightOfAPrepaidServer(t *testing.T) {
	const mayWait, mayBeRefused = "may wait until somebody pays", "is a shared one"
	for name, test := range map[string]struct {
		image   string
		autoPay *bool
		edition edition.Edition
		notes   []string
	}{
		"nobody pays by itself": {image: "good", notes: []string{mayWait}},
		"it is not to be paid":  {image: "good", autoPay: new(false), notes: []string{mayWait}},
		"it is paid":            {image: "good", autoPay: new(true)},
		"no orders":             {image: "good", edition: edition.Edition{NoAutoPay: true}},
		"it is on the image":    {image: "present"},
		"a shared image":        {image: "shared", autoPay: new(true), notes: []string{mayBeRefused}},
	} {
		t.Run(name, func(t *testing.T) {
			inLab(t, gallery(), func(l *lab) {
				l.acts.Profiles[0].Edition = test.edition
				l.update(func(s *emulator.Server) { s.ChargingMode = "1" })
				in := l.question()
				in.Change.ImageID, in.Change.AutoPay = imageNamed(test.image), test.autoPay
				end := l.preflight(in)
				require.NoError(l, end.err)
				assert.Empty(l, end.result.Refusals)
				require.Len(l, end.result.Notes, len(test.notes))
				for i, note := range test.notes {
					assert.Contains(l, end.result.Notes[i], note)
				}
			})
		})
	}
}

// TestPreflightOfAHiddenImage: one that the cloud does not show is not known to be gone.
func TestPreflightOfAHiddenImage(t *testing.T) {
	for image, says := range map[string]string{
		"":        "which image the server runs is not shown, so firmware and architecture were not compared",
		unknownID: "the server's present image " + unknownID + " is gone, so firmware and architecture were not compared",
	} {
		inLab(t, gallery(), func(l *lab) {
			l.update(func(s *emulator.Server) { s.ImageID = image })
			in := l.question()
			in.Change.ImageID = imageNamed("good")
			end := l.preflight(in)
			require.NoError(l, end.err)
			assert.Empty(l, end.result.Refusals)
			assert.Equal(l, []string{says}, end.result.Notes)
		})
	}
}

// TestEditionOfTheProfile: what a cloud cannot carry out is refused in a plan and for one server, with all other
// reasons; and what is not refused, the emulator of that edition accepts.
func TestEditionOfTheProfile(t *testing.T) {
	for _, row := range edition.Rows() {
		t.Run(row.Name, func(t *testing.T) {
			options := gallery()
			options.Edition.Edition = row.Edition
			inLab(t, options, func(l *lab) {
				l.acts.Profiles[0].Edition = row.Edition
				for name, change := range map[string]func(*rollout.Change){
					"nothing":  func(*rollout.Change) {},
					"key pair": func(c *rollout.Change) { c.Login.KeyPair = "fleet-key-01" },
					"password": func(c *rollout.Change) { c.Login.PasswordFrom = "env:REIMAGE_SECRET_ROOT_PASSWORD" },
					"v1":       func(c *rollout.Change) { c.API, c.Login.KeyPair = rollout.APIv1, "fleet-key-01" },
					"auto pay": func(c *rollout.Change) { c.AutoPay, c.Login.KeyPair = new(true), "fleet-key-01" },
					"encryption": func(c *rollout.Change) {
						c.Encrypted, c.EncryptionKeyID, c.Login.KeyPair = new(true), unknownID, "fleet-key-01"
					},
					"windows":       func(c *rollout.Change) { c.ImageID, c.Login.KeyPair = imageNamed("windows"), "fleet-key-01" },
					"platform stop": func(c *rollout.Change) { c.WithStopServer, c.Login.KeyPair = true, "fleet-key-01" },
				} {
					l.update(func(s *emulator.Server) {
						s.Status, s.VMState = "SHUTOFF", "stopped"
						if name == "platform stop" {
							s.Status, s.VMState = "ACTIVE", "active"
						}
					})
					in := l.question()
					in.Change.ImageID = imageNamed("good")
					change(&in.Change)
					end := run(l, l.acts.Preflight, in, attempt{})
					require.NoError(l, end.err)

					request := ecs.ChangeOSRequest{
						API: ecs.APIVersion(in.Change.API), ImageID: in.Change.ImageID, KeyName: in.Change.Login.KeyPair, AutoPay: in.Change.AutoPay,
						Encrypted: in.Change.Encrypted, CMKID: in.Change.EncryptionKeyID, WithStopServer: in.Change.WithStopServer,
					}
					if in.Change.Login.PasswordFrom != "" {
						request.AdminPass = ecs.NewSecret(plantedPassword)
					}
					outcome := l.acts.Profiles[0].Cloud.ChangeOS(l.Context(), l.server.ID, request)
					assert.Equal(l, len(end.result.Refusals) == 0, outcome.Kind == ecs.Accepted, "%s: %v, and the cloud: %v", name, end.result.Refusals, outcome.Err)
					time.Sleep(time.Hour)
				}
			})
		})
	}
}

// TestPreflightGivesEveryReasonAtOnce: nobody should have to fix one thing to learn of the next.
func TestPreflightGivesEveryReasonAtOnce(t *testing.T) {
	inLab(t, gallery(), func(l *lab) {
		l.update(func(s *emulator.Server) {
			s.SystemVolumeID, s.Locked, s.Frozen, s.ChargingMode, s.TaskState = "", true, true, "2", "powering-on"
		})
		in := l.question()
		in.Change.ImageID = imageNamed("saving")
		assert.Len(l, l.preflight(in).result.Refusals, 6)
	})
	inLab(t, stopped(), func(l *lab) {
		in := l.question()
		in.ServerID, in.Change.ImageID = unknownID, unknownID
		end := l.preflight(in)
		require.NoError(l, end.err)
		require.Len(l, end.result.Refusals, 2)
		assert.Contains(l, end.result.Refusals[0], "server "+unknownID+" does not exist")
		assert.Contains(l, end.result.Refusals[1], "image "+unknownID+" does not exist")
		assert.False(l, end.result.Before.Exists)
	})
}

// TestPreflightBeforeAsking: what is wrong with the request itself is said without asking the cloud.
func TestPreflightBeforeAsking(t *testing.T) {
	tests := []struct {
		name   string
		change func(*contract.PreflightInput)
		says   []string
	}{
		{"another project", func(in *contract.PreflightInput) { in.Project = "6af1c92eaf7e471fb35c82eecd4b7b5d" }, []string{"this worker serves project " + emulator.DefaultProjectID}},
		{"another spelling", func(in *contract.PreflightInput) { in.ServerID = strings.ToUpper(in.ServerID) }, []string{"is not a UUID (in lower case)"}},
		{"no ids", func(in *contract.PreflightInput) { in.ServerID, in.Change.ImageID = "one", "../x" }, []string{`server id "one" is not a UUID`, `image id "../x" is not a UUID`}},
		{"two logins", func(in *contract.PreflightInput) {
			in.Change.Login = rollout.Login{KeyPair: "fleet-key-01", PasswordFrom: "env:REIMAGE_SECRET_ROOT_PASSWORD"}
		}, []string{"a key pair and a password exclude each other"}},
		{"a variable that is no secret", func(in *contract.PreflightInput) { in.Change.Login.PasswordFrom = "env:OTHER" }, []string{"only variables of the worker that begin with REIMAGE_SECRET_ are handed out"}},
		{"a secret in place of a reference", func(in *contract.PreflightInput) { in.Change.Login.PasswordFrom = plantedPassword }, []string{"a secret itself is never accepted here"}},
		{"user data as a password", func(in *contract.PreflightInput) { in.Change.Login.PasswordFrom = "env:REIMAGE_SECRET_CLOUD_CONFIG" }, []string{"password from env:REIMAGE_SECRET_CLOUD_CONFIG: it must have 8 to 26 characters"}},
	}
	for _, test := range tests {
		t.Run(test.name, func(t *testing.T) {
			inLab(t, stopped(), func(l *lab) {
				in := l.question()
				test.change(&in)
				end := l.preflight(in)
				require.NoError(l, end.err)
				require.GreaterOrEqual(l, len(end.result.Refusals), len(test.says))
				for i, text := range test.says {
					assert.Contains(l, end.result.Refusals[i], text)
				}
				assert.Empty(l, l.cloud.Ledger().Requests)
			})
		})
	}
}

// TestPreflightWithoutThePresentImage: an image that is gone cannot be compared, and that is said.
func TestPreflightWithoutThePresentImage(t *testing.T) {
	inLab(t, stopped(), func(l *lab) {
		l.update(func(s *emulator.Server) { s.ImageID = unknownID })
		end := l.preflight(l.question())
		require.NoError(l, end.err)
		assert.Empty(l, end.result.Refusals)
		assert.Empty(l, end.result.PresentImageName)
		require.Len(l, end.result.Notes, 1)
		assert.Contains(l, end.result.Notes[0], "firmware and architecture were not compared")
	})
}

// TestPreflightTroubleIsNoReason: trouble with asking is an error to try again, never a verdict on the server.
func TestPreflightTroubleIsNoReason(t *testing.T) {
	tests := []struct {
		fault emulator.Fault
		kind  string
	}{
		{emulator.Fault{Op: emulator.OpServer, Kind: emulator.ServerError}, api.ErrCloud},
		{emulator.Fault{Op: emulator.OpServer, Kind: emulator.HangBefore}, api.ErrCloud},
		{emulator.Fault{Op: emulator.OpBlockDevice, Kind: emulator.BadGatewayHTML}, api.ErrCloud},
		{emulator.Fault{Op: emulator.OpBlockDevice, Kind: emulator.Throttle, RetryAfter: time.Minute}, api.ErrThrottled},
		{emulator.Fault{Op: emulator.OpImage, Kind: emulator.ServerError}, api.ErrCloud},
		{emulator.Fault{Op: emulator.OpImage, Kind: emulator.Throttle}, api.ErrThrottled},
		{emulator.Fault{Op: emulator.OpImage, Kind: emulator.ServerError, After: 1}, api.ErrCloud}, // the present image
		{emulator.Fault{Op: emulator.OpImage, Kind: emulator.CutBody, After: 1}, api.ErrCloud},
	}
	for _, test := range tests {
		t.Run(test.fault.Op+" "+string(test.fault.Kind), func(t *testing.T) {
			inLab(t, withFaults(stopped(), test.fault), func(l *lab) {
				failsWith(l, l.preflight(l.question()).err, test.kind, false)
				end := l.preflight(l.question())
				require.NoError(l, end.err)
				assert.Empty(l, end.result.Refusals)
				assert.Empty(l, end.result.Notes)
			})
		})
	}
}

func TestPreflightWithCredentialsThatAreRefused(t *testing.T) {
	t.Run("wrong key", func(t *testing.T) {
		inLab(t, stopped(), func(l *lab) {
			l.config.Credentials = ecs.AccessKey{ID: emulator.DefaultAccessKey, Secret: ecs.NewSecret("not-the-key")}
			l.acts.Profiles[0].Cloud = l.client(l.config)
			failed := failsWith(l, l.preflight(l.question()).err, api.ErrCredentials, true)
			assert.NotContains(l, failed.Message(), "not-the-key")
			assert.NotContains(l, failed.Message(), "clock")
		})
	})
	t.Run("wrong clock", func(t *testing.T) {
		inLab(t, stopped(), func(l *lab) {
			l.config.Now = func() time.Time { return time.Now().Add(-20 * time.Minute) }
			l.acts.Profiles[0].Cloud = l.client(l.config)
			failed := failsWith(l, l.preflight(l.question()).err, api.ErrCredentials, true)
			assert.Contains(l, failed.Message(), "the clock of the machine that sent this is 20m0s behind the cloud's: set it right there")
		})
	})
}
