package ecs_test

import (
	"bytes"
	"compress/gzip"
	"math/rand/v2"
	"strings"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/reimage/reimage/ecs"
)

func packed(t *testing.T, text string) string {
	t.Helper()
	var out bytes.Buffer
	writer := gzip.NewWriter(&out)
	_, err := writer.Write([]byte(text))
	require.NoError(t, err)
	require.NoError(t, writer.Close())
	return out.String()
}

// TestUserDataText: text and gzip of text are accepted, whole or not at all.
func TestUserDataText(t *testing.T) {
	const document = "#cloud-config\nruncmd: [planted-marker]\n"
	whole := packed(t, document)
	damaged := []byte(whole)
	damaged[len(damaged)-6] ^= 1 // of the checksum
	tests := map[string]struct{ data, text, says string }{
		"nothing":               {"", "", ""},
		"text":                  {document, document, ""},
		"gzip":                  {whole, document, ""},
		"gzip in two members":   {whole + packed(t, "# more\n"), document + "# more\n", ""},
		"gzip cut off":          {whole[:len(whole)-9], "", "does not unpack"},
		"gzip without checksum": {whole[:len(whole)-8], "", "does not unpack"},
		"gzip header only":      {whole[:2], "", "does not unpack"},
		"gzip damaged":          {string(damaged), "", "does not unpack"},
		"gzip and a newline":    {whole + "\n", "", "does not unpack"},
		"gzip and more":         {whole + document, "", "does not unpack"},
		"gzip of nothing":       {packed(t, " \n"), "", "gzip of nothing"},
		"gzip of binary":        {packed(t, "a\x00planted-marker"), "", "must hold text"},
		"gzip of UTF-16":        {packed(t, "\xff\xfe#\x00!\x00"), "", "is UTF-16"},
		"gzip bomb":             {packed(t, strings.Repeat("x", 8<<20+1)), "", "more than 8 MB"},
		"gzip at the bound":     {packed(t, strings.Repeat("x", 8<<20)), strings.Repeat("x", 8<<20), ""},
		"NUL":                   {"planted-marker\x00b", "", "must be text"},
		"not UTF-8":             {"planted-marker\xff", "", "must be text"},
		"UTF-16, little endian": {"\xff\xfe#\x00!\x00", "", "is UTF-16"},
		"UTF-16, big endian":    {"\xfe\xff\x00#\x00!", "", "is UTF-16"},
		"UTF-16 without a mark": {"#\x00!\x00/\x00b\x00", "", "is UTF-16"},
	}
	for name, test := range tests {
		t.Run(name, func(t *testing.T) {
			text, err := ecs.UserDataText(ecs.NewSecret(test.data))
			assert.True(t, test.text == text)
			if test.says == "" {
				require.NoError(t, err)
				return
			}
			require.ErrorContains(t, err, test.says)
			assert.NotContains(t, err.Error(), "planted-marker")
		})
	}
}

// TestUserDataThatIsTooLarge: the refusal says what gzip would make of it.
func TestUserDataThatIsTooLarge(t *testing.T) {
	random := rand.New(rand.NewPCG(1, 2))
	noise := make([]byte, 60<<10)
	for i := range noise {
		noise[i] = "0123456789abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ-_"[random.IntN(64)]
	}
	text := "#!/bin/sh\n" + strings.Repeat("echo of a long script\n", 2000)
	for name, test := range map[string]struct{ data, says string }{
		"gzip is small enough": {text, "has 44010 bytes and at most 32768 are allowed: gzip is accepted and would have about 1"},
		"gzip is too large":    {string(noise), "has 61440 bytes and at most 32768 are allowed: gzip is accepted and would still have about 4"},
		"it is gzip":           {packed(t, string(noise)), "it is packed (gzip) already; have the server fetch a part of it (#include)"},
	} {
		t.Run(name, func(t *testing.T) {
			err := ecs.ChangeOSRequest{ImageID: imageID, UserData: ecs.NewSecret(test.data)}.Validate()
			require.ErrorContains(t, err, test.says)
		})
	}
	assert.NoError(t, ecs.ChangeOSRequest{ImageID: imageID, UserData: ecs.NewSecret(packed(t, text))}.Validate())
}
