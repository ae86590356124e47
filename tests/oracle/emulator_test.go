package oracle

import (
	"context"
	"encoding/base64"
	"net/netip"
	"strconv"
	"testing"
	"time"

	"github.com/huaweicloud/huaweicloud-sdk-go-v3/core/auth"
	"github.com/huaweicloud/huaweicloud-sdk-go-v3/core/auth/global"
	"github.com/huaweicloud/huaweicloud-sdk-go-v3/core/region"
	"github.com/huaweicloud/huaweicloud-sdk-go-v3/core/sdkerr"
	sdkecs "github.com/huaweicloud/huaweicloud-sdk-go-v3/services/ecs/v2"
	"github.com/huaweicloud/huaweicloud-sdk-go-v3/services/ecs/v2/model"
	sdkiam "github.com/huaweicloud/huaweicloud-sdk-go-v3/services/iam/v3"
	iam "github.com/huaweicloud/huaweicloud-sdk-go-v3/services/iam/v3/model"
	ims "github.com/huaweicloud/huaweicloud-sdk-go-v3/services/ims/v2/model"
	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/reimage/reimage/ecs"
	"github.com/reimage/reimage/internal/emulator"
	"github.com/reimage/reimage/rollout/edition"
)

// A caller is somebody who works with the SDK alone.
type caller struct {
	*testing.T
	account
	ecs *sdkecs.EcsClient
}

// finish waits for the job that a write has named, and returns it.
func (c caller) finish(jobID *string, err error) *model.ShowJobResponse {
	c.Helper()
	require.NoError(c, err)
	require.NotEmpty(c, value(jobID))
	for range 100 {
		job, err := c.ecs.ShowJob(&model.ShowJobRequest{JobId: *jobID})
		require.NoError(c, err)
		assert.Equal(c, *jobID, value(job.JobId))
		if status := job.Status.Value(); status == "SUCCESS" || status == "FAIL" {
			return job
		}
		time.Sleep(10 * time.Second)
	}
	c.Fatalf("job %s has not ended", *jobID)
	return nil
}

func (c caller) succeed(jobID *string, err error) {
	c.Helper()
	job := c.finish(jobID, err)
	assert.Equal(c, "SUCCESS", job.Status.Value(), "%s: %s", value(job.ErrorCode), value(job.FailReason))
	assert.NotEmpty(c, value(job.BeginTime))
	assert.NotEmpty(c, value(job.EndTime))
}

func (c caller) stop(id string) {
	c.Helper()
	soft := model.GetBatchStopServersOptionTypeEnum().SOFT
	job, err := c.ecs.BatchStopServers(&model.BatchStopServersRequest{Body: &model.BatchStopServersRequestBody{
		OsStop: &model.BatchStopServersOption{Servers: []model.ServerId{{Id: id}}, Type: &soft},
	}})
	require.NoError(c, err)
	c.succeed(job.JobId, nil)
}

func (c caller) start(id string) {
	c.Helper()
	job, err := c.ecs.BatchStartServers(&model.BatchStartServersRequest{Body: &model.BatchStartServersRequestBody{
		OsStart: &model.BatchStartServersOption{Servers: []model.ServerId{{Id: id}}},
	}})
	require.NoError(c, err)
	c.succeed(job.JobId, nil)
}

func (c caller) show(id string) *model.ServerDetail {
	c.Helper()
	shown, err := c.ecs.ShowServer(&model.ShowServerRequest{ServerId: id})
	require.NoError(c, err)
	require.NotNil(c, shown.Server)
	assert.Equal(c, id, shown.Server.Id)
	return shown.Server
}

// systemVolume is the id of the disk the server boots from.
func (c caller) systemVolume(server *model.ServerDetail) string {
	c.Helper()
	for _, volume := range server.OsExtendedVolumesvolumesAttached {
		if value(volume.BootIndex) == "0" {
			return volume.Id
		}
	}
	c.Fatalf("server %s shows no system volume", server.Id)
	return ""
}

// projectNamed returns the id of a project.
func (c caller) projectNamed(name string) string {
	c.Helper()
	client := sdkiam.NewIamClient(c.client(c.T, sdkiam.IamClientBuilder(), c.credentials(c.T)))
	list, err := client.KeystoneListProjects(&iam.KeystoneListProjectsRequest{Name: &name})
	require.NoError(c, err)
	require.Len(c, *list.Projects, 1)
	return (*list.Projects)[0].Id
}

func (c caller) imageNamed(name string) ims.ImageInfo {
	c.Helper()
	active := ims.GetListImagesRequestStatusEnum().ACTIVE
	list, err := c.sdkIMS(c.T).ListImages(&ims.ListImagesRequest{Name: &name, Status: &active})
	require.NoError(c, err)
	require.Len(c, *list.Images, 1)
	return (*list.Images)[0]
}

// serverNamed goes through the pages of the list.
func (c caller) serverNamed(name string) model.ServerDetail {
	c.Helper()
	limit, tags := int32(3), "role=web"
	for page := int32(1); page < 10; page++ {
		list, err := c.ecs.ListServersDetails(&model.ListServersDetailsRequest{Limit: &limit, Offset: &page, Tags: &tags})
		require.NoError(c, err)
		assert.EqualValues(c, 6, value(list.Count))
		for _, server := range *list.Servers {
			if server.Name == name {
				return server
			}
		}
	}
	c.Fatalf("no page shows the server %s", name)
	return model.ServerDetail{}
}

// ofTwoUsers are key pairs of the same name: of the user of the credentials, and of the one whom the changes name.
func ofTwoUsers() []emulator.KeyPair {
	return []emulator.KeyPair{{Name: "fleet-key-01"}, {Name: "fleet-key-01", UserID: "7e25b1da389f4697a79df3a0e5bd494e"}}
}

const script = "#cloud-config\nruncmd: []\n"

func withCloudInit(c caller, id, imageID string) (*string, error) {
	key, owner, userData := "fleet-key-01", "7e25b1da389f4697a79df3a0e5bd494e", base64.StdEncoding.EncodeToString([]byte(script))
	job, err := c.ecs.ChangeServerOsWithCloudInit(&model.ChangeServerOsWithCloudInitRequest{
		ServerId: id,
		Body: &model.ChangeServerOsWithCloudInitRequestBody{OsChange: &model.ChangeServerOsWithCloudInitOption{
			Imageid: imageID, Keyname: &key, Userid: &owner, Metadata: &model.ChangeSeversOsMetadata{UserData: &userData},
		}},
	})
	if err != nil {
		return nil, err
	}
	return job.JobId, nil
}

// withoutCloudInit sets a password, or the key pair where the edition knows no password.
func withoutCloudInit(c caller, id, imageID string, e edition.Edition) (*string, error) {
	key, password := "fleet-key-01", "Emulated-pass-1"
	change := &model.ChangeServerOsWithoutCloudInitOption{Imageid: imageID, Adminpass: &password}
	if e.NoAdminPass {
		change = &model.ChangeServerOsWithoutCloudInitOption{Imageid: imageID, Keyname: &key}
	}
	job, err := c.ecs.ChangeServerOsWithoutCloudInit(&model.ChangeServerOsWithoutCloudInitRequest{
		ServerId: id, Body: &model.ChangeServerOsWithoutCloudInitRequestBody{OsChange: change},
	})
	if err != nil {
		return nil, err
	}
	return job.JobId, nil
}

// TestOfficialSDKChangesAnOperatingSystem goes the whole way in every edition, by both versions of the call. An edition
// that has no version 1 refuses it, and touches nothing.
func TestOfficialSDKChangesAnOperatingSystem(t *testing.T) {
	editions := []edition.Edition{{Name: edition.Any}}
	for _, row := range edition.Rows() {
		editions = append(editions, row.Edition)
	}
	for _, e := range editions {
		options := emulator.Options{Servers: 12, Edition: emulator.Edition{Edition: e}, KeyPairs: ofTwoUsers()}
		for _, version := range []string{"v2", "v1"} {
			t.Run(e.Name+" "+version, func(t *testing.T) {
				inCloud(t, options, func(t *testing.T, cloud *emulator.Emulator, a account) {
					changeAnOperatingSystem(t, cloud, a, e, version)
				})
			})
		}
	}
}

func changeAnOperatingSystem(t *testing.T, cloud *emulator.Emulator, a account, e edition.Edition, version string) {
	c := caller{t, a, a.sdkECS(t)}
	assert.Equal(t, emulator.DefaultProjectID, c.projectNamed(emulator.DefaultProjectName))
	image := c.imageNamed(emulator.TargetImageName)
	server := c.serverNamed("web-05")
	require.Equal(t, "ACTIVE", server.Status)
	disk := c.systemVolume(&server)

	c.stop(server.Id)
	require.Equal(t, "SHUTOFF", c.show(server.Id).Status)
	var job *string
	var err error
	if version == "v2" {
		job, err = withCloudInit(c, server.Id, image.Id)
	} else {
		job, err = withoutCloudInit(c, server.Id, image.Id, e)
	}
	if version == "v1" && e.V2Only {
		assertRefused(t, err, 404, "APIGW.0101")
		assert.Zero(t, cloud.Ledger().Servers[server.Id].ChangeOSAccepted)
		return
	}
	c.succeed(job, err)

	changed := c.show(server.Id)
	assert.Equal(t, "ACTIVE", changed.Status)
	assert.Equal(t, image.Id, changed.Image.Id)
	assert.NotEqual(t, disk, c.systemVolume(changed))
	c.stop(server.Id)
	c.start(server.Id)
	assert.Equal(t, "ACTIVE", c.show(server.Id).Status)

	book := cloud.Ledger().Servers[server.Id]
	assert.Equal(t, 1, book.ChangeOSAccepted)
	var ops []string
	for _, write := range book.Writes {
		ops = append(ops, write.Op)
	}
	assert.Equal(t, []string{emulator.OpStop, emulator.OpChangeOS, emulator.OpStop, emulator.OpStart}, ops)
	truth, _ := cloud.Server(server.Id)
	assert.Equal(t, version, truth.APIVersion)
	assert.Equal(t, version == "v2", truth.UserDataSHA256 != "")
	assert.Equal(t, version == "v2" || e.NoAdminPass, truth.KeyName != "")
	assert.Equal(t, version == "v1" && !e.NoAdminPass, truth.PasswordSHA256 != "")
}

// TestTemporaryKeysOfTheSDK: the security token travels in a header that is signed.
func TestTemporaryKeysOfTheSDK(t *testing.T) {
	inCloud(t, emulator.Options{SecurityToken: "temporary"}, func(t *testing.T, _ *emulator.Emulator, a account) {
		_, err := a.sdkECS(t).ListServersDetails(&model.ListServersDetailsRequest{})
		assertRefused(t, err, 401, "APIGW.0301")
		a.token = "temporary"
		list, err := a.sdkECS(t).ListServersDetails(&model.ListServersDetailsRequest{})
		require.NoError(t, err)
		assert.EqualValues(t, emulator.DefaultServers, value(list.Count))
	})
}

// TestSDKFindsProjectAndDomain: without them the SDK asks the identity service while it builds a client.
func TestSDKFindsProjectAndDomain(t *testing.T) {
	inCloud(t, emulator.Options{}, func(t *testing.T, cloud *emulator.Emulator, a account) {
		a.project = ""
		here := region.NewRegion(emulator.DefaultProjectName, a.base)
		servers := sdkecs.NewEcsClient(a.client(t, sdkecs.EcsClientBuilder().WithRegion(here), a.credentials(t)))
		_, err := servers.ShowServer(&model.ShowServerRequest{ServerId: cloud.Servers()[0].ID})
		require.NoError(t, err)

		var account auth.ICredential
		account, err = global.NewCredentialsBuilder().WithAk(a.key).WithSk(a.secret).WithIamEndpointOverride(a.base).SafeBuild()
		require.NoError(t, err)
		identity := sdkiam.NewIamClient(a.client(t, sdkiam.IamClientBuilder().WithRegion(here), account))
		list, err := identity.KeystoneListProjects(&iam.KeystoneListProjectsRequest{})
		require.NoError(t, err)
		require.Len(t, *list.Projects, 1)
		assert.Equal(t, emulator.DefaultProjectID, (*list.Projects)[0].Id)
		assert.Equal(t, (*list.Projects)[0].DomainId, account.(*global.Credentials).DomainId)
	})
}

// TestSDKSignsInAtTheEmulator: the token that the SDK gets is worth as much as one that ours gets.
func TestSDKSignsInAtTheEmulator(t *testing.T) {
	inCloud(t, emulator.Options{}, func(t *testing.T, cloud *emulator.Emulator, a account) {
		answer, err := tokenWithSDK(t, a, emulator.DefaultUserName, emulator.DefaultPassword, emulator.DefaultDomainName, &iam.AuthScopeProject{Name: optional(emulator.DefaultProjectName)})
		require.NoError(t, err)
		assert.Equal(t, 201, answer.HttpStatusCode)
		assert.Equal(t, emulator.DefaultProjectID, answer.Token.Project.Id)
		client, err := ecs.New(ecs.Config{ProjectID: a.project, ECS: a.base, IMS: a.base, Dial: a.dial, Credentials: ecs.Token{Value: ecs.NewSecret(value(answer.XSubjectToken))}})
		require.NoError(t, err)
		t.Cleanup(client.Close)
		_, err = client.Server(t.Context(), cloud.Servers()[0].ID)
		require.NoError(t, err)

		_, err = tokenWithSDK(t, a, emulator.DefaultUserName, "another", emulator.DefaultDomainName, &iam.AuthScopeProject{Name: optional(emulator.DefaultProjectName)})
		var failed *sdkerr.ServiceResponseError
		require.ErrorAs(t, err, &failed)
		assert.Equal(t, 401, failed.StatusCode)
	})
}

// TestSDKUnderstandsRefusals of the emulator: those in which a change of an operating system ends.
func TestSDKUnderstandsRefusals(t *testing.T) {
	inCloud(t, emulator.Options{KeyPairs: ofTwoUsers()}, func(t *testing.T, cloud *emulator.Emulator, a account) {
		c := caller{t, a, a.sdkECS(t)}
		server, image := cloud.Servers()[0].ID, c.imageNamed(emulator.TargetImageName).Id
		_, err := withCloudInit(c, server, image)
		assertRefused(t, err, 400, "Ecs.0100")
		_, err = withCloudInit(c, "00000000-0000-4000-8000-000000000000", image)
		assertRefused(t, err, 404, "Ecs.0114")
		_, err = c.ecs.ShowJob(&model.ShowJobRequest{JobId: "ff8080829a1c22e0019a33d0b7a40f5e"})
		assertRefused(t, err, 400, "Common.0011")

		a.secret += "x"
		_, err = withCloudInit(caller{t, a, a.sdkECS(t)}, server, image)
		assertRefused(t, err, 401, "APIGW.0301")
		assert.Zero(t, cloud.Ledger().Servers[server].ChangeOSAccepted)
	})
}

// TestSDKSeesFailedJobs: an error of a sub-job reaches who asks for the parent.
func TestSDKSeesFailedJobs(t *testing.T) {
	options := emulator.Options{Faults: []emulator.Fault{{Op: emulator.OpStart, Kind: emulator.JobFail}}, Fleet: []emulator.Server{{Status: "SHUTOFF"}}}
	inCloud(t, options, func(t *testing.T, cloud *emulator.Emulator, a account) {
		c := caller{t, a, a.sdkECS(t)}
		started, err := c.ecs.BatchStartServers(&model.BatchStartServersRequest{Body: &model.BatchStartServersRequestBody{
			OsStart: &model.BatchStartServersOption{Servers: []model.ServerId{{Id: cloud.Servers()[0].ID}}},
		}})
		require.NoError(t, err)
		job := c.finish(started.JobId, nil)
		assert.Equal(t, "FAIL", job.Status.Value())
		assert.Equal(t, "Ecs.0611", value(job.ErrorCode))
		require.Len(t, value(job.Entities.SubJobs), 1)
		assert.Equal(t, "Ecs.0226", value((*job.Entities.SubJobs)[0].ErrorCode))
	})
}

func assertRefused(t *testing.T, err error, status int, code string) {
	t.Helper()
	var refused *sdkerr.ServiceResponseError
	require.ErrorAs(t, err, &refused)
	assert.Equal(t, status, refused.StatusCode)
	assert.Equal(t, code, refused.ErrorCode)
	assert.NotEmpty(t, refused.ErrorMessage)
	assert.NotEmpty(t, refused.RequestId)
}

// TestBothClientsSeeTheSame: the same fleet and the same images, read by the SDK and by ours.
func TestBothClientsSeeTheSame(t *testing.T) {
	options := emulator.Options{Fleet: []emulator.Server{
		{Name: "plain", Tags: []string{"role=web", "ring"}},
		{Name: "stopped", Status: "SHUTOFF", KeyName: "fleet-key-01", DataVolumeIDs: []string{"", ""}},
		{Name: "broken", Status: "ERROR", Fault: "Failed to change the OS."},
		{Name: "locked", Locked: true, LockSource: "ORDER", ChargingMode: "1"},
		{Name: "frozen", Frozen: true},
	}}
	inCloud(t, options, func(t *testing.T, _ *emulator.Emulator, a account) {
		listed, err := a.sdkECS(t).ListServersDetails(&model.ListServersDetailsRequest{})
		require.NoError(t, err)
		servers, err := a.ours(t).Servers(context.Background(), ecs.ServerQuery{})
		require.NoError(t, err)
		var theirs []ecs.Server
		for _, server := range *listed.Servers {
			theirs = append(theirs, asOurs(server))
		}
		assert.Equal(t, theirs, servers)

		images, err := a.sdkIMS(t).ListImages(&ims.ListImagesRequest{})
		require.NoError(t, err)
		for _, image := range *images.Images {
			read, err := a.ours(t).Image(context.Background(), image.Id)
			require.NoError(t, err)
			assert.Equal(t, ecs.Image{
				ID: image.Id, Name: image.Name, Status: image.Status.Value(), OSType: image.OsType.Value(), Type: image.Imagetype.Value(),
				VirtualEnvType: image.VirtualEnvType.Value(), Firmware: image.HwFirmwareType.Value(),
				MinDiskGB: int(image.MinDisk), MinRAMMB: int(image.MinRam),
				ARM: image.SupportArm != nil && image.SupportArm.Value() == "true",
			}, read)
		}
	})
}

// asOurs says of a server, in our words, what the SDK has read.
func asOurs(s model.ServerDetail) ecs.Server {
	ram, _ := strconv.Atoi(s.Flavor.Ram)
	ours := ecs.Server{
		ID: s.Id, Name: s.Name, Status: s.Status, VMState: s.OSEXTSTSvmState, TaskState: s.OSEXTSTStaskState, ImageID: s.Image.Id,
		KeyName: s.KeyName, Zone: s.OSEXTAZavailabilityZone, Locked: s.Locked, LockSource: s.Metadata["lockSource"],
		ChargingMode: s.Metadata["charging_mode"], ResourceStatus: s.Metadata["EcmResStatus"], OSType: s.Metadata["os_type"],
		Flavor: ecs.Flavor{ID: s.Flavor.Id, RAMMB: ram}, RootDevice: s.OSEXTSRVATTRrootDeviceName, Tags: value(s.Tags),
		HostStatus: s.HostStatus, Created: s.Created, Updated: s.Updated,
	}
	for _, v := range s.OsExtendedVolumesvolumesAttached {
		ours.Volumes = append(ours.Volumes, ecs.Volume{ID: v.Id, BootIndex: value(v.BootIndex), Device: v.Device})
	}
	for _, network := range s.Addresses { // the emulator's servers are in one
		for _, a := range network {
			ours.Addresses = append(ours.Addresses, ecs.Address{IP: netip.MustParseAddr(a.Addr), Floating: a.OSEXTIPStype.Value() == "floating"})
		}
	}
	return ours
}
