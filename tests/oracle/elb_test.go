package oracle

import (
	"testing"
	"time"

	"github.com/huaweicloud/huaweicloud-sdk-go-v3/core/sdkerr"
	"github.com/huaweicloud/huaweicloud-sdk-go-v3/services/elb/v3/model"
	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/reimage/reimage/internal/emulator"
)

// TestSDKDrainsAServer: the SDK finds the pools and members of a server, drains it, waits and gives its weight back.
func TestSDKDrainsAServer(t *testing.T) {
	weight := 10
	options := emulator.Options{Servers: 6, Pools: []emulator.Pool{
		{Tag: "role=web", Weight: &weight, SessionPersistence: "HTTP_COOKIE", SlowStart: 45 * time.Second}, {Tag: "role=db", Protocol: "TCP"},
	}}
	inCloud(t, options, func(t *testing.T, cloud *emulator.Emulator, a account) {
		client, server := a.sdkELB(t), cloud.Servers()[len(cloud.Servers())-1]
		require.Equal(t, "web-03", server.Name)
		pools, err := client.ListPools(&model.ListPoolsRequest{MemberDeviceId: &[]string{server.ID}})
		require.NoError(t, err)
		require.Len(t, value(pools.Pools), 1)
		pool := value(pools.Pools)[0]
		assert.Equal(t, emulator.RoundRobin, pool.LbAlgorithm)
		assert.Equal(t, "HTTP_COOKIE", pool.SessionPersistence.Type)
		assert.EqualValues(t, 60, value(pool.SessionPersistence.PersistenceTimeout))
		assert.EqualValues(t, 45, pool.SlowStart.Duration)
		assert.EqualValues(t, 1, pools.PageInfo.CurrentCount)

		listeners, err := client.ListListeners(&model.ListListenersRequest{MemberDeviceId: &[]string{server.ID}})
		require.NoError(t, err)
		require.Len(t, value(listeners.Listeners), 1)
		listener := value(listeners.Listeners)[0]
		assert.Equal(t, pool.Id, listener.DefaultPoolId)
		assert.EqualValues(t, 60, listener.MemberTimeout)

		monitors, err := client.ListHealthMonitors(&model.ListHealthMonitorsRequest{Id: &[]string{pool.HealthmonitorId}})
		require.NoError(t, err)
		require.Len(t, value(monitors.Healthmonitors), 1)
		assert.EqualValues(t, 5, value(monitors.Healthmonitors)[0].Delay)

		balancers, err := client.ListLoadBalancers(&model.ListLoadBalancersRequest{Id: &[]string{value(pool.Loadbalancers[0].Id)}})
		require.NoError(t, err)
		require.Len(t, value(balancers.Loadbalancers), 1)
		assert.Equal(t, "ACTIVE", value(balancers.Loadbalancers)[0].ProvisioningStatus)

		members, err := client.ListMembers(&model.ListMembersRequest{PoolId: pool.Id, InstanceId: &[]string{server.ID}})
		require.NoError(t, err)
		require.Len(t, value(members.Members), 1)
		member := value(members.Members)[0]
		assert.Equal(t, server.IP, member.Address)
		assert.EqualValues(t, 10, member.Weight)
		assert.Equal(t, "ONLINE", member.OperatingStatus)
		assert.Equal(t, listener.Id, member.Status[0].ListenerId)

		zero := int32(0)
		drained, err := client.UpdateMember(&model.UpdateMemberRequest{
			PoolId: pool.Id, MemberId: member.Id, Body: &model.UpdateMemberRequestBody{Member: &model.UpdateMemberOption{Weight: &zero}},
		})
		require.NoError(t, err)
		assert.Zero(t, drained.Member.Weight)
		time.Sleep(5 * time.Second)
		account := cloud.Ledger().Pools[pool.Id]
		assert.Equal(t, []int{2, 2}, []int{account.InService, account.MinInService})

		back, err := client.UpdateMember(&model.UpdateMemberRequest{
			PoolId: pool.Id, MemberId: member.Id, Body: &model.UpdateMemberRequestBody{Member: &model.UpdateMemberOption{Weight: &member.Weight}},
		})
		require.NoError(t, err)
		assert.EqualValues(t, 10, back.Member.Weight)
		time.Sleep(5 * time.Second)
		assert.Equal(t, 3, cloud.Ledger().Pools[pool.Id].InService)
	})
}

// TestSDKReplacesAMember: removal and a new member with a new id, and the errors on the way.
func TestSDKReplacesAMember(t *testing.T) {
	inCloud(t, emulator.Options{Servers: 4, Pools: []emulator.Pool{{Tag: "env=prod"}}}, func(t *testing.T, cloud *emulator.Emulator, a account) {
		client := a.sdkELB(t)
		limit := int32(3)
		first, err := client.ListAllMembers(&model.ListAllMembersRequest{Limit: &limit})
		require.NoError(t, err)
		require.Len(t, value(first.Members), 3)
		rest, err := client.ListAllMembers(&model.ListAllMembersRequest{Limit: &limit, Marker: first.PageInfo.NextMarker})
		require.NoError(t, err)
		require.Len(t, value(rest.Members), 1)
		assert.Nil(t, rest.PageInfo.NextMarker, "the last page")

		pools, err := client.ListPools(&model.ListPoolsRequest{})
		require.NoError(t, err)
		pool, member := value(pools.Pools)[0], value(rest.Members)[0]
		add := &model.CreateMemberRequest{PoolId: pool.Id, Body: &model.CreateMemberRequestBody{Member: &model.CreateMemberOption{
			Address: member.Address, ProtocolPort: &member.ProtocolPort, SubnetCidrId: member.SubnetCidrId, Weight: &member.Weight,
		}}}
		_, err = client.CreateMember(add)
		var refused *sdkerr.ServiceResponseError
		require.ErrorAs(t, err, &refused)
		assert.Equal(t, 409, refused.StatusCode)
		assert.Equal(t, "ELB.8907", refused.ErrorCode)
		assert.NotEmpty(t, refused.RequestId)

		_, err = client.DeleteMember(&model.DeleteMemberRequest{PoolId: pool.Id, MemberId: member.Id})
		require.NoError(t, err)
		_, err = client.DeleteMember(&model.DeleteMemberRequest{PoolId: pool.Id, MemberId: member.Id})
		require.ErrorAs(t, err, &refused)
		assert.Equal(t, 404, refused.StatusCode)
		assert.Equal(t, "ELB.8904", refused.ErrorCode)

		added, err := client.CreateMember(add)
		require.NoError(t, err)
		assert.NotEqual(t, member.Id, added.Member.Id)
		assert.Equal(t, "INITIAL", added.Member.OperatingStatus)
		shown, err := client.ShowMember(&model.ShowMemberRequest{PoolId: pool.Id, MemberId: added.Member.Id})
		require.NoError(t, err)
		assert.Equal(t, member.Address, shown.Member.Address)
		assert.Equal(t, 3, cloud.Ledger().Pools[pool.Id].MinInService)
	})
}

// TestSDKSeesMasterSlavePoolsApart from the others.
func TestSDKSeesMasterSlavePoolsApart(t *testing.T) {
	options := emulator.Options{Servers: 4, Pools: []emulator.Pool{{Servers: []string{"web-01", "web-02"}, Name: "pair", MasterSlave: true}}}
	inCloud(t, options, func(t *testing.T, _ *emulator.Emulator, a account) {
		client := a.sdkELB(t)
		pools, err := client.ListPools(&model.ListPoolsRequest{})
		require.NoError(t, err)
		assert.Empty(t, value(pools.Pools))
		pairs, err := client.ListMasterSlavePools(&model.ListMasterSlavePoolsRequest{})
		require.NoError(t, err)
		require.Len(t, value(pairs.Pools), 1)
		pair := value(pairs.Pools)[0]
		require.Len(t, pair.Members, 2)
		assert.Equal(t, []string{"master", "slave"}, []string{pair.Members[0].Role, pair.Members[1].Role})
		assert.EqualValues(t, 5, pair.Healthmonitor.Delay)
	})
}
