package ecs_test

import (
	"context"
	"strings"
	"testing"

	"github.com/stretchr/testify/assert"

	"github.com/reimage/reimage/ecs"
)

// TestClassOfCodes repeats the error tables of the service and of the gateway.
func TestClassOfCodes(t *testing.T) {
	for class, codes := range map[ecs.Class]string{
		ecs.ClassPermanent: `Ecs.0000 Ecs.0001 Ecs.0003 Ecs.0005 Ecs.0007 Ecs.0011 Ecs.0021 Ecs.0023 Ecs.0025 Ecs.0030 Ecs.0031 Ecs.0034
			Ecs.0046 Ecs.0048 Ecs.0058 Ecs.0066 Ecs.0067 Ecs.0068 Ecs.0069 Ecs.0070 Ecs.0071 Ecs.0074 Ecs.0090 Ecs.0110 Ecs.0118 Ecs.0119 Ecs.0120
			Ecs.0122 Ecs.0123 Ecs.0124 Ecs.0314 Ecs.0510 Ecs.0912 Ecs.7000 Common.0002 Common.0018 Pdp.0001
			APIGW.0101 APIGW.0103 APIGW.0201 APIGW.0302 APIGW.0303 APIGW.0305 APIGW.0306 APIGW.0310 APIGW.0401 APIGW.0402 APIGW.0602 APIGW.0801 APIG.0802`,
		ecs.ClassState:     `Ecs.0032 Ecs.0073 Ecs.0100 Ecs.0105 Ecs.0605 Ecs.0611 Ecs.1002`,
		ecs.ClassTransient: `Ecs.0301 Ecs.0304 Ecs.0503 Ecs.0603 Ecs.0615 Ecs.1201 Ecs.1300 Common.0001 Common.0025 APIGW.0601 APIGW.0605 APIG.0612 APIGW.0613`,
		ecs.ClassThrottled: `Common.0024 Common.1503 APIGW.0308 APIG.0308`,
		ecs.ClassUnclear: `Ecs.0002 Ecs.0004 Ecs.0101 Ecs.0102 Ecs.0202 Ecs.0203 Ecs.0204 Ecs.0208 Ecs.0219 Ecs.0226 Ecs.0227 Ecs.0319 Ecs.0402
			Ecs.1000 Ecs.1001 Ecs.1100 Ecs.1200 Common.0020 Common.0021 Common.0022 Common.0999`,
		ecs.ClassAuth:     `Common.0013 APIGW.0301 APIG.0301 APIGW.0307`,
		ecs.ClassNotFound: `Ecs.0114 Ecs.0614 Common.0011`,
	} {
		for _, code := range strings.Fields(codes) {
			assert.Equal(t, class, (&ecs.Error{Status: 400, Code: code}).Class(), code)
		}
	}
}

func TestClassOfStatuses(t *testing.T) {
	for status, class := range map[int]ecs.Class{
		0: ecs.ClassTransient, 200: ecs.ClassUnclear, 302: ecs.ClassUnclear, 400: ecs.ClassPermanent, 401: ecs.ClassAuth,
		403: ecs.ClassPermanent, 404: ecs.ClassNotFound, 408: ecs.ClassTransient, 409: ecs.ClassState, 413: ecs.ClassPermanent,
		429: ecs.ClassThrottled, 500: ecs.ClassTransient, 501: ecs.ClassPermanent, 502: ecs.ClassTransient, 504: ecs.ClassTransient,
	} {
		assert.Equal(t, class, (&ecs.Error{Status: status}).Class(), status)
		assert.Equal(t, class, (&ecs.Error{Status: status, Code: "New.0001"}).Class(), status)
	}
	assert.Equal(t, ecs.ClassTransient, (&ecs.Error{Status: 502, Code: "APIGW.0201"}).Class())
	assert.Equal(t, ecs.ClassThrottled, (&ecs.Error{Status: 429, Code: "Ecs.0005"}).Class())
}

// TestListed: a refusal that is in no table is no proof that nothing was started.
func TestListed(t *testing.T) {
	for _, listed := range []*ecs.Error{
		{Status: 400, Code: "Ecs.0005"}, {Status: 400, Code: "Ecs.0073"}, {Status: 404, Code: "Ecs.0114"}, {Status: 404, Code: "APIGW.0101"}, {Status: 400, Code: "APIG.0201"},
		{Status: 401}, {Status: 403}, {Status: 403, Code: "New.0001"},
	} {
		assert.True(t, listed.Listed(), "%d %s", listed.Status, listed.Code)
	}
	for _, unlisted := range []*ecs.Error{
		{Status: 400, Code: "Ecs.0205"}, {Status: 400}, {Status: 404}, {Status: 409}, {Status: 409, Code: "conflictingRequest"}, {Status: 400, Code: "Ecs.1000"}, {},
	} {
		assert.False(t, unlisted.Listed(), "%d %s", unlisted.Status, unlisted.Code)
	}
	out := clientOf(t, newCloud(t, answering(200, `{}`))).ChangeOS(context.Background(), "no id", ecs.ChangeOSRequest{})
	assert.True(t, out.Err.Listed(), "what this package refuses was never sent")
}
