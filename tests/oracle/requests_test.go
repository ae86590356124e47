package oracle

import (
	"context"
	"encoding/base64"
	"encoding/json"
	"io"
	"maps"
	"net/http"
	"reflect"
	"slices"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/huaweicloud/huaweicloud-sdk-go-v3/core/auth/global"
	"github.com/huaweicloud/huaweicloud-sdk-go-v3/services/ecs/v2/model"
	sdkiam "github.com/huaweicloud/huaweicloud-sdk-go-v3/services/iam/v3"
	iam "github.com/huaweicloud/huaweicloud-sdk-go-v3/services/iam/v3/model"
	ims "github.com/huaweicloud/huaweicloud-sdk-go-v3/services/ims/v2/model"
	sdkkps "github.com/huaweicloud/huaweicloud-sdk-go-v3/services/kps/v3"
	kps "github.com/huaweicloud/huaweicloud-sdk-go-v3/services/kps/v3/model"
	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/reimage/reimage/ecs"
)

const (
	serverID = "616fb98f-46ca-475e-917e-2563e5a8cd19"
	otherID  = "726fb98f-46ca-475e-917e-2563e5a8cd20"
	imageID  = "e215580f-73ad-429d-b6f2-5433947433b0"
	kmsKeyID = "83cfa9e2-1234-4234-8234-123456789012"
	jobID    = "ff8080829a1c22e0019a33d0b7a40f5e"
)

// A sent request, as it arrived.
type sent struct {
	method, target string
	header         http.Header
	body           string
}

// A recorder is a cloud that accepts everything and remembers the first request of a call.
type recorder struct{ first sent }

func (r *recorder) ServeHTTP(w http.ResponseWriter, req *http.Request) {
	body, err := io.ReadAll(req.Body)
	if err != nil {
		return // the request did not arrive whole
	}
	if r.first.method == "" {
		r.first = sent{req.Method, req.RequestURI, req.Header, string(body)}
	}
	w.Header().Set("Content-Type", "application/json")
	_, _ = io.WriteString(w, `{"job_id":"`+jobID+`"}`)
}

// record returns what a call has sent.
func (r *recorder) record(t *testing.T, call func()) sent {
	t.Helper()
	r.first = sent{}
	call()
	require.NotEmpty(t, r.first.method, "nothing was sent")
	return r.first
}

// inRecorder runs the test at simulated time, which stands still: both clients date their requests alike.
func inRecorder(t *testing.T, test func(t *testing.T, r *recorder, a account)) {
	t.Helper()
	synctest.Test(t, func(t *testing.T) {
		r := &recorder{}
		test(t, r, serveInBubble(t, r))
	})
}

// assertAlike compares everything but what ours does on purpose: it wants answers as they are, not compressed, and sends writes
// on connections of their own.
func assertAlike(t *testing.T, theirs, ours sent) {
	t.Helper()
	assert.Equal(t, theirs.method, ours.method)
	assert.Equal(t, theirs.target, ours.target)
	assert.Equal(t, theirs.body, ours.body)
	assert.Equal(t, "gzip", theirs.header.Get("Accept-Encoding"))
	theirs.header.Del("Accept-Encoding")
	if ours.method == http.MethodPost {
		assert.Equal(t, "close", ours.header.Get("Connection"))
		ours.header.Del("Connection")
	}
	assert.Equal(t, theirs.header, ours.header)
}

// official says in the words of the SDK what ours is asked for.
func official(r ecs.ChangeOSRequest) *model.ChangeServerOsWithCloudInitOption {
	option := &model.ChangeServerOsWithCloudInitOption{
		Imageid: r.ImageID, Keyname: optional(r.KeyName), Userid: optional(r.UserID), Adminpass: optional(r.AdminPass.Reveal()),
		IsAutoPay: spelled(r.AutoPay, "true", "false"),
	}
	if r.WithStopServer {
		option.Mode = optional("withStopServer")
	}
	metadata := model.ChangeSeversOsMetadata{
		SystemEncrypted: spelled(r.Encrypted, "1", "0"), SystemCmkid: optional(r.CMKID),
		UserData: optional(base64.StdEncoding.EncodeToString([]byte(r.UserData.Reveal()))),
	}
	if r.BYOL {
		metadata.Byol = optional("true")
	}
	if metadata != (model.ChangeSeversOsMetadata{}) {
		option.Metadata = &metadata
	}
	return option
}

// officialV1 is the same for version 1, whose types differ.
func officialV1(r ecs.ChangeOSRequest) *model.ChangeServerOsWithoutCloudInitOption {
	v2 := official(r)
	option := &model.ChangeServerOsWithoutCloudInitOption{
		Imageid: v2.Imageid, Keyname: v2.Keyname, Userid: v2.Userid, Adminpass: v2.Adminpass, Mode: v2.Mode, IsAutoPay: v2.IsAutoPay,
	}
	if m := v2.Metadata; m != nil {
		option.Metadata = &model.ChangeSeversOsMetadataWithoutCloudInitOption{
			SystemEncrypted: m.SystemEncrypted, SystemCmkid: m.SystemCmkid, Byol: m.Byol,
		}
	}
	return option
}

// optional is nil for an empty text, which the SDK would send.
func optional(text string) *string {
	if text == "" {
		return nil
	}
	return &text
}

func spelled(choice *bool, yes, no string) *string {
	switch {
	case choice == nil:
		return nil
	case *choice:
		return &yes
	}
	return &no
}

// changes are all requests that can be made of these values, as far as ours would send them.
func changes() []ecs.ChangeOSRequest {
	yes, no := true, false
	logins := []ecs.ChangeOSRequest{
		{}, {KeyName: "KeyPair-350b"}, {KeyName: "a key <&> ü", UserID: "7e25b1da389f4697a79df3a0e5bd494e"}, {UserID: "7e25b1da389f4697a79df3a0e5bd494e"},
		{AdminPass: ecs.NewSecret("Secr3t!_pass")}, {AdminPass: ecs.NewSecret("Pa55@%^-_=+[{}]:,./?")},
	}
	var all []ecs.ChangeOSRequest
	for _, r := range logins {
		r.ImageID = imageID
		for _, r.API = range []ecs.APIVersion{"", ecs.APIv1, ecs.APIv2} {
			for _, script := range []string{"", "#!/bin/sh\n", "#cloud-config\nmotd: \"<&> \u2028 日本\"\n"} {
				r.UserData = ecs.NewSecret(script)
				for _, r.BYOL = range []bool{false, true} {
					for _, r.WithStopServer = range []bool{false, true} {
						for _, r.AutoPay = range []*bool{nil, &yes, &no} {
							for _, r.Encrypted = range []*bool{nil, &yes, &no} {
								r.CMKID = ""
								if r.Encrypted == &yes {
									r.CMKID = kmsKeyID
								}
								if r.Validate() == nil {
									all = append(all, r)
								}
							}
						}
					}
				}
			}
		}
	}
	return all
}

// TestChangesAreSentAsTheSDKSendsThem compares every combination of what a request may hold, byte by byte, and makes sure that
// there is no member of the SDK's types that ours never sends.
func TestChangesAreSentAsTheSDKSendsThem(t *testing.T) {
	inRecorder(t, func(t *testing.T, r *recorder, a account) {
		client, sdk := a.ours(t), a.sdkECS(t)
		members := map[string]map[string]bool{"v1": {}, "v2": {}}
		all := changes()
		for _, change := range all {
			ours := r.record(t, func() {
				assert.Equal(t, ecs.Accepted, client.ChangeOS(context.Background(), serverID, change).Kind)
			})
			theirs := r.record(t, func() {
				if change.API == ecs.APIv1 {
					_, err := sdk.ChangeServerOsWithoutCloudInit(&model.ChangeServerOsWithoutCloudInitRequest{
						ServerId: serverID, Body: &model.ChangeServerOsWithoutCloudInitRequestBody{OsChange: officialV1(change)},
					})
					require.NoError(t, err)
					return
				}
				_, err := sdk.ChangeServerOsWithCloudInit(&model.ChangeServerOsWithCloudInitRequest{
					ServerId: serverID, Body: &model.ChangeServerOsWithCloudInitRequestBody{OsChange: official(change)},
				})
				require.NoError(t, err)
			})
			collectMembers(t, members[strings.Split(ours.target, "/")[1]], ours.body)
			if change.API == ecs.APIv1 && ours.body != theirs.body {
				// In version 1 the SDK has the mode before the metadata. To JSON that is the same, to a signature it is not.
				assert.JSONEq(t, theirs.body, ours.body)
				assert.Contains(t, theirs.body, `"mode":"withStopServer","metadata":`)
				ours.body = theirs.body
				ours.header.Set("Authorization", theirs.header.Get("Authorization"))
			}
			assertAlike(t, theirs, ours)
			if t.Failed() {
				t.Fatalf("%+v", change)
			}
		}
		t.Logf("%d requests", len(all))
		assert.Equal(t, membersOf(reflect.TypeFor[model.ChangeServerOsWithCloudInitOption]()), slices.Sorted(maps.Keys(members["v2"])))
		assert.Equal(t, membersOf(reflect.TypeFor[model.ChangeServerOsWithoutCloudInitOption]()), slices.Sorted(maps.Keys(members["v1"])))
	})
}

// collectMembers adds the names in a body, those of the metadata behind a dot.
func collectMembers(t *testing.T, into map[string]bool, body string) {
	t.Helper()
	var change struct {
		Members map[string]any `json:"os-change"`
	}
	require.NoError(t, json.Unmarshal([]byte(body), &change))
	for name, value := range change.Members {
		inner, ok := value.(map[string]any)
		if !ok {
			into[name] = true
		}
		for member := range inner {
			into[name+"."+member] = true
		}
	}
}

// membersOf are the same names in a type of the SDK.
func membersOf(option reflect.Type) []string {
	var names []string
	for i := range option.NumField() {
		name, _, _ := strings.Cut(option.Field(i).Tag.Get("json"), ",")
		if of := option.Field(i).Type; of.Kind() == reflect.Pointer && of.Elem().Kind() == reflect.Struct {
			for _, member := range membersOf(of.Elem()) {
				names = append(names, name+"."+member)
			}
			continue
		}
		names = append(names, name)
	}
	slices.Sort(names)
	return names
}

// TestPowerActionsAreSentAsTheSDKSendsThem compares stops and starts of one server and of as many as one request may name.
func TestPowerActionsAreSentAsTheSDKSendsThem(t *testing.T) {
	inRecorder(t, func(t *testing.T, r *recorder, a account) {
		client, sdk := a.ours(t), a.sdkECS(t)
		many := make([]string, 100)
		for i := range many {
			many[i] = strings.Replace(serverID, "616", "6"+string([]byte{'0' + byte(i/10), '0' + byte(i%10)}), 1)
		}
		for _, ids := range [][]string{{serverID}, {serverID, otherID}, many} {
			named := make([]model.ServerId, len(ids))
			for i, id := range ids {
				named[i].Id = id
			}
			types := model.GetBatchStopServersOptionTypeEnum()
			for how, theirHow := range map[ecs.StopType]model.BatchStopServersOptionType{ecs.StopSoft: types.SOFT, ecs.StopHard: types.HARD} {
				assertAlike(t,
					r.record(t, func() {
						_, err := sdk.BatchStopServers(&model.BatchStopServersRequest{Body: &model.BatchStopServersRequestBody{
							OsStop: &model.BatchStopServersOption{Servers: named, Type: &theirHow},
						}})
						require.NoError(t, err)
					}),
					r.record(t, func() {
						assert.Equal(t, ecs.Accepted, client.StopServers(context.Background(), ids, how).Kind)
					}))
			}
			assertAlike(t,
				r.record(t, func() {
					_, err := sdk.BatchStartServers(&model.BatchStartServersRequest{Body: &model.BatchStartServersRequestBody{
						OsStart: &model.BatchStartServersOption{Servers: named},
					}})
					require.NoError(t, err)
				}),
				r.record(t, func() { assert.Equal(t, ecs.Accepted, client.StartServers(context.Background(), ids).Kind) }))
		}
	})
}

// TestReadsAreSentAsTheSDKSendsThem compares what is read with permanent and with temporary keys. What is answered is no matter.
func TestReadsAreSentAsTheSDKSendsThem(t *testing.T) {
	limit, page, most, all, ids := int32(100), int32(1), int32(500), int32(1000), serverID+","+otherID
	status, tags, notTags, everywhere := "ACTIVE", "env=prod,role=w b+1,ü", "__type_baremetal,noreimage", "all_granted_eps"
	ctx := context.Background()
	for _, token := range []string{"", "temporary/token+with=signs"} {
		inRecorder(t, func(t *testing.T, r *recorder, a account) {
			a.token = token
			client, sdk, images := a.ours(t), a.sdkECS(t), a.sdkIMS(t)
			keyPairs := sdkkps.NewKpsClient(a.client(t, sdkkps.KpsClientBuilder(), a.credentials(t)))
			a.enterprise = everywhere
			narrowed := a.ours(t)
			for _, test := range []struct {
				name         string
				theirs, ours func()
			}{
				{"job", func() { _, _ = sdk.ShowJob(&model.ShowJobRequest{JobId: jobID}) }, func() { _, _ = client.Job(ctx, jobID) }},
				{"server", func() { _, _ = sdk.ShowServer(&model.ShowServerRequest{ServerId: serverID}) }, func() { _, _ = client.Server(ctx, serverID) }},
				{"servers of enterprise projects", func() {
					_, _ = sdk.ListServersDetails(&model.ListServersDetailsRequest{
						Limit: &all, Offset: &page, Status: &status, Tags: &tags, NotTags: &notTags, EnterpriseProjectId: &everywhere,
					})
				}, func() {
					_, _ = narrowed.Servers(ctx, ecs.ServerQuery{
						Status: status, Tags: strings.Split(tags, ","), NotTags: strings.Split(notTags, ","),
					})
				}},
				{"servers by id", func() {
					_, _ = sdk.ListServersDetails(&model.ListServersDetailsRequest{Limit: &limit, ServerId: &ids})
				}, func() { _, _, _ = client.ServersByID(ctx, []string{serverID, otherID}) }},
				{"disks", func() {
					_, _ = sdk.ListServerBlockDevices(&model.ListServerBlockDevicesRequest{ServerId: serverID})
				}, func() { _, _ = client.SystemDisk(ctx, serverID) }},
				{"groups", func() {
					_, _ = sdk.ListServerGroups(&model.ListServerGroupsRequest{Limit: &all})
				}, func() { _, _ = client.ServerGroups(ctx) }},
				{"key pair", func() {
					_, _ = sdk.NovaShowKeypair(&model.NovaShowKeypairRequest{KeypairName: "a key+ü"})
				}, func() { _, _ = client.KeyPair(ctx, "a key+ü") }},
				{"key pairs", func() {
					_, _ = sdk.NovaListKeypairs(&model.NovaListKeypairsRequest{})
				}, func() { _, _ = client.KeyPairNames(ctx) }},
				{"key pair of the account", func() {
					_, _ = keyPairs.ListKeypairDetail(&kps.ListKeypairDetailRequest{KeypairName: "ops-key"})
				}, func() { _, _ = client.AccountKeyPair(ctx, "ops-key") }},
				{"image", func() {
					_, _ = images.ListImages(&ims.ListImagesRequest{Id: optional(imageID)})
				}, func() { _, _ = client.Image(ctx, imageID) }},
				{"image of enterprise projects", func() {
					_, _ = images.ListImages(&ims.ListImagesRequest{Id: optional(imageID), EnterpriseProjectId: &everywhere})
				}, func() { _, _ = narrowed.Image(ctx, imageID) }},
				{"images by name", func() {
					_, _ = images.ListImages(&ims.ListImagesRequest{Name: optional("base 2026+02 ü"), Limit: &most})
				}, func() { _, _ = client.ImagesByName(ctx, "base 2026+02 ü") }},
			} {
				theirs, ours := r.record(t, test.theirs), r.record(t, test.ours)
				assertAlike(t, theirs, ours)
				assert.Equal(t, token, ours.header.Get("X-Security-Token"))
				if t.Failed() {
					t.Fatal(test.name)
				}
			}
		})
	}
}

// TestProjectLookUp: there is no project yet to name in a header.
func TestProjectLookUp(t *testing.T) {
	inRecorder(t, func(t *testing.T, r *recorder, a account) {
		a.project = ""
		sdk := sdkiam.NewIamClient(a.client(t, sdkiam.IamClientBuilder(), a.credentials(t)))
		theirs := r.record(t, func() {
			_, _ = sdk.KeystoneListProjects(&iam.KeystoneListProjectsRequest{Name: optional("eu-de_team 1")})
		})
		identity, err := ecs.NewIdentity(ecs.IdentityConfig{URL: a.base + "/v3", Dial: a.dial})
		require.NoError(t, err)
		t.Cleanup(identity.Close)
		ours := r.record(t, func() {
			_, _ = identity.FindProject(ecs.AccessKey{ID: a.key, Secret: ecs.NewSecret(a.secret)}, "eu-de_team 1")(context.Background())
		})
		for _, own := range []*sent{&theirs, &ours} {
			own.header.Del("User-Agent") // and so the signature
			own.header.Del("Authorization")
		}
		assertAlike(t, theirs, ours)
	})
}

// TestTokensAreAskedForAsTheSDKAsksForThem, by a user for a project of either kind of name.
func TestTokensAreAskedForAsTheSDKAsksForThem(t *testing.T) {
	const user, password, domain, project = "fleet worker ü", `p"<&>\ü`, "OTC-EU-DE-000", "eu-de_team 1"
	for _, byID := range []bool{true, false} {
		inRecorder(t, func(t *testing.T, r *recorder, a account) {
			login := ecs.Login{User: user, Domain: domain, Password: ecs.NewSecret(password)}
			scope := &iam.AuthScopeProject{}
			if byID {
				login.ProjectID, scope.Id = a.project, &a.project
			} else {
				login.ProjectName, scope.Name = project, optional(project)
			}
			theirs := r.record(t, func() { _, _ = tokenWithSDK(t, a, user, password, domain, scope) })
			identity, err := ecs.NewIdentity(ecs.IdentityConfig{URL: a.base + "/v3", Dial: a.dial})
			require.NoError(t, err)
			t.Cleanup(identity.Close)
			token, err := ecs.NewUserToken(identity, login)
			require.NoError(t, err)
			ours := r.record(t, func() {
				request, err := http.NewRequest(http.MethodGet, a.base, nil)
				require.NoError(t, err)
				_ = token.Authorize(request, nil, time.Now())
			})
			assert.Equal(t, theirs.method, ours.method)
			assert.Equal(t, theirs.target, ours.target, "without the catalog, which nobody reads")
			assert.JSONEq(t, theirs.body, ours.body)
		})
	}
}

// tokenWithSDK signs in as the SDK does, which signs that request, too.
func tokenWithSDK(t *testing.T, a account, user, password, domain string, project *iam.AuthScopeProject) (*iam.KeystoneCreateUserTokenByPasswordResponse, error) {
	t.Helper()
	as, err := global.NewCredentialsBuilder().WithAk(a.key).WithSk(a.secret).WithDomainId("none").SafeBuild()
	require.NoError(t, err)
	return sdkiam.NewIamClient(a.client(t, sdkiam.IamClientBuilder(), as)).KeystoneCreateUserTokenByPassword(&iam.KeystoneCreateUserTokenByPasswordRequest{
		Nocatalog: optional("true"),
		Body: &iam.KeystoneCreateUserTokenByPasswordRequestBody{Auth: &iam.PwdAuth{
			Identity: &iam.PwdIdentity{
				Methods:  []iam.PwdIdentityMethods{iam.GetPwdIdentityMethodsEnum().PASSWORD},
				Password: &iam.PwdPassword{User: &iam.PwdPasswordUser{Name: user, Password: password, Domain: &iam.PwdPasswordUserDomain{Name: domain}}},
			},
			Scope: &iam.AuthScope{Project: project},
		}},
	})
}
