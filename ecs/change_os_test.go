package ecs_test

import (
	"context"
	"encoding/base64"
	"errors"
	"strings"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/reimage/reimage/ecs"
)

const keyID = "83cfa9e2-1234-1234-1234-123456789012"

// fields lists what Validate complains about, in order.
func fields(t *testing.T, err error) []string {
	t.Helper()
	if err == nil {
		return nil
	}
	var joined interface{ Unwrap() []error }
	require.ErrorAs(t, err, &joined)
	var names []string
	for _, one := range joined.Unwrap() {
		field, ok := errors.AsType[*ecs.FieldError](one)
		require.True(t, ok, "%v", one)
		names = append(names, field.Field)
	}
	return names
}

func TestChangeOSRules(t *testing.T) {
	yes, no := true, false
	pass := ecs.NewSecret("Passw0rd!")
	data := ecs.NewSecret("#cloud-config\n")
	for name, test := range map[string]struct {
		request ecs.ChangeOSRequest
		want    []string
	}{
		"image only":              {ecs.ChangeOSRequest{ImageID: imageID}, nil},
		"v1, image only":          {ecs.ChangeOSRequest{API: ecs.APIv1, ImageID: imageID}, nil},
		"password":                {ecs.ChangeOSRequest{ImageID: imageID, AdminPass: pass}, nil},
		"key pair":                {ecs.ChangeOSRequest{ImageID: imageID, KeyName: "k", UserID: "7e25b1da389f4697a79df3a0e5bd494e"}, nil},
		"key pair and user data":  {ecs.ChangeOSRequest{ImageID: imageID, KeyName: "k", UserData: data}, nil},
		"user data":               {ecs.ChangeOSRequest{API: ecs.APIv2, ImageID: imageID, UserData: data}, nil},
		"encrypted":               {ecs.ChangeOSRequest{ImageID: imageID, Encrypted: &yes, CMKID: keyID, BYOL: true, AutoPay: &no, WithStopServer: true}, nil},
		"plain disk":              {ecs.ChangeOSRequest{ImageID: imageID, Encrypted: &no}, nil},
		"largest user data":       {ecs.ChangeOSRequest{ImageID: imageID, UserData: ecs.NewSecret(strings.Repeat("x", 32<<10))}, nil},
		"password and key pair":   {ecs.ChangeOSRequest{ImageID: imageID, AdminPass: pass, KeyName: "k"}, []string{"AdminPass"}},
		"password and user data":  {ecs.ChangeOSRequest{ImageID: imageID, AdminPass: pass, UserData: data}, []string{"AdminPass"}},
		"user data with v1":       {ecs.ChangeOSRequest{API: ecs.APIv1, ImageID: imageID, UserData: data}, []string{"UserData"}},
		"user data too large":     {ecs.ChangeOSRequest{ImageID: imageID, UserData: ecs.NewSecret(strings.Repeat("x", 32<<10+1))}, []string{"UserData"}},
		"half a gzip":             {ecs.ChangeOSRequest{ImageID: imageID, UserData: ecs.NewSecret("\x1f\x8b\x08")}, []string{"UserData"}},
		"NUL":                     {ecs.ChangeOSRequest{ImageID: imageID, UserData: ecs.NewSecret("a\x00b")}, []string{"UserData"}},
		"encrypted without a key": {ecs.ChangeOSRequest{ImageID: imageID, Encrypted: &yes}, []string{"CMKID"}},
		"key for a plain disk":    {ecs.ChangeOSRequest{ImageID: imageID, Encrypted: &no, CMKID: keyID}, []string{"CMKID"}},
		"key for any disk":        {ecs.ChangeOSRequest{ImageID: imageID, CMKID: keyID}, []string{"CMKID"}},
		"bad key":                 {ecs.ChangeOSRequest{ImageID: imageID, Encrypted: &yes, CMKID: "k"}, []string{"CMKID"}},
		"bad key name":            {ecs.ChangeOSRequest{ImageID: imageID, KeyName: "a\nb"}, []string{"KeyName"}},
		"bad user":                {ecs.ChangeOSRequest{ImageID: imageID, UserID: "a b"}, []string{"UserID"}},
		"everything at once": {
			ecs.ChangeOSRequest{API: "v9", ImageID: "x", AdminPass: ecs.NewSecret("x"), KeyName: "k", UserID: "/", UserData: ecs.NewSecret("\xff"), CMKID: keyID},
			[]string{"API", "ImageID", "AdminPass", "AdminPass", "AdminPass", "AdminPass", "UserID", "UserData", "CMKID"},
		},
	} {
		assert.Equal(t, test.want, fields(t, test.request.Validate()), name)
	}
}

// TestPasswordForWindows gives the password away to nobody.
func TestPasswordForWindows(t *testing.T) {
	for password, fits := range map[string]bool{
		"": true, "Corr3ct-Horse": true, "Ad-Mi-Ni5-Str": false, "xADMx-12345": false, "1-Administrator": false, "1-rotartsinimdA": false, "Ad12-mi-Ni5-St": true,
	} {
		err := ecs.ChangeOSRequest{AdminPass: ecs.NewSecret(password)}.ValidateForWindows()
		if fits {
			assert.NoError(t, err, password)
			continue
		}
		assert.EqualError(t, err, "AdminPass: may, with a Windows image, hold neither three characters in a row of Administrator, nor that backwards", password)
	}
}

func TestPasswordRules(t *testing.T) {
	for password, problems := range map[string][]string{
		"Passw0rd":                      nil,
		"!@$%^-_=+[{}]:,./?aA":          nil,
		"abcdef1!":                      nil,
		"Passw0r":                       {"8 to 26"},
		strings.Repeat("aA1", 9):        {"8 to 26"},
		strings.Repeat("aA1", 8) + "!!": nil,
		"password1":                     {"three of"},
		"Password":                      {"three of"},
		"Passw0rd~":                     {"may only contain"},
		"Passw0rd#":                     {"may only contain"},
		"Passw0rd ":                     {"may only contain"},
		"Passw\u00f6rd1":                {"may only contain"},
		"\"":                            {"8 to 26", "three of", "may only contain"},
	} {
		err := ecs.ChangeOSRequest{ImageID: imageID, AdminPass: ecs.NewSecret(password)}.Validate()
		if problems == nil {
			assert.NoError(t, err, password)
			continue
		}
		require.Error(t, err, password)
		assert.Len(t, fields(t, err), len(problems), password)
		for _, problem := range problems {
			assert.ErrorContains(t, err, problem, password)
		}
		if len(password) > 2 {
			assert.NotContains(t, err.Error(), password)
		}
	}
}

func TestUserDataIsEncodedOnce(t *testing.T) {
	cloud := newCloud(t, answering(200, `{"job_id":"`+jobID+`"}`))
	script := "#!/bin/sh\necho <\u00fc> & done\n"
	request := ecs.ChangeOSRequest{ImageID: imageID, UserData: ecs.NewSecret(script)}
	require.Equal(t, ecs.Accepted, clientOf(t, cloud).ChangeOS(context.Background(), serverID, request).Kind)
	assert.Equal(t, `{"os-change":{"imageid":"`+imageID+`","metadata":{"user_data":"`+base64.StdEncoding.EncodeToString([]byte(script))+`"}}}`+"\n",
		cloud.seen()[0].body)
}
