package userdata_test

import (
	"bytes"
	"compress/gzip"
	"encoding/base64"
	"strings"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/reimage/reimage/rollout/userdata"
)

// marker stands for what is secret in a document.
const marker = "planted-marker-4711"

const (
	shell    = "#!/bin/sh\necho " + marker + "\n"
	config   = "#cloud-config\nruncmd: [echo " + marker + "]\n"
	settings = "runcmd: [echo " + marker + "]\n"
)

func encoded(text string) string { return base64.StdEncoding.EncodeToString([]byte(text)) }

func zipped(t *testing.T, text string) string {
	t.Helper()
	var out bytes.Buffer
	writer := gzip.NewWriter(&out)
	_, err := writer.Write([]byte(text))
	require.NoError(t, err)
	require.NoError(t, writer.Close())
	return out.String()
}

// windowsLines has the line ends of Windows.
func windowsLines(text string) string { return strings.ReplaceAll(text, "\n", "\r\n") }

// mimeOf is a multi-part document as Terraform's cloudinit_config writes it.
func mimeOf(parts ...string) string {
	text := "Content-Type: multipart/mixed; boundary=\"MIMEBOUNDARY\"\nMIME-Version: 1.0\r\n\r\n"
	for _, part := range parts {
		text += "--MIMEBOUNDARY\r\n" + part + "\r\n"
	}
	return text + "--MIMEBOUNDARY--\r\n"
}

func part(contentType, content string) string {
	return "Content-Transfer-Encoding: 7bit\r\nContent-Type: " + contentType + "\r\nMime-Version: 1.0\r\n\r\n" + content
}

// TestLinux: what Cloud-Init reads has no warning, and everything else has one that says what it looks like.
func TestLinux(t *testing.T) {
	tests := map[string]struct{ document, says string }{
		"shell script":                      {shell, ""},
		"script with a blank after #!":      {"#! /bin/bash\n", ""},
		"script with env":                   {"#!/usr/bin/env python3\nprint(1)\n", ""},
		"script with a lone carriage":       {"#!/bin/sh\nprintf 'a\rb'\n", ""},
		"cloud-config":                      {config, ""},
		"cloud-config in capitals":          {"#Cloud-Config\n" + settings, ""},
		"cloud-config after a blank line":   {"\n  " + config, ""},
		"cloud-config with Windows lines":   {windowsLines(config), ""},
		"cloud-config with a document mark": {"#cloud-config\n---\n" + settings, ""},
		"cloud-config with an empty map":    {"#cloud-config\n{}\n", ""},
		"cloud-config in JSON":              {"#cloud-config\n{\"runcmd\": []}\n", ""},
		"cloud-config about mail":           {config + "# MIME-Version: 1.0\n", ""},
		"archive":                           {"#cloud-config-archive\n- type: text/cloud-config\n  content: 'a: 1'\n", ""},
		"JSON patch":                        {"#cloud-config-jsonp\n[]\n", ""},
		"include":                           {"#include\nhttps://example.org/a\n", ""},
		"include once":                      {"#include-once https://example.org/a\n", ""},
		"boothook":                          {"#cloud-boothook\n" + shell, ""},
		"part handler":                      {"#part-handler\ndef list_types(): pass\n", ""},
		"Jinja of a cloud-config":           {"## template: jinja\n" + config + "{{ x }}\n", ""},
		"Jinja of a script":                 {"## template: jinja\n" + shell, ""},
		"Jinja that begins with a block":    {"## template: jinja\n{% if a %}\n" + config + "{% endif %}\n", ""},
		"multi-part": {mimeOf(
			part("text/cloud-config", settings), part("text/x-shellscript", shell), part("text/plain", config),
			part("text/x-shellscript", config), part("text/cloud-boothook", shell), part("text/cloud-boothook; charset=utf-8", "#cloud-boothook\n"+shell),
			"Content-Type: text/cloud-config\nContent-Transfer-Encoding: base64\n\n"+encoded(settings),
			"Content-Type: application/x-gzip\nContent-Transfer-Encoding: base64\n\n"+encoded(zipped(t, shell)),
			"Content-Type: multipart/mixed; boundary=inner\n\n--inner\nContent-Type: text/cloud-config\n\n"+settings+"--inner--\n",
		), ""},
		"multi-part, not closed":             {"MIME-Version: 1.0\nContent-Type: multipart/mixed; boundary=b\n\n--b\nContent-Type: text/cloud-config\n\n" + settings, ""},
		"multi-part after a mailbox's line":  {"From nobody Tue Dec  1 2026\n" + mimeOf(part("text/cloud-config", settings)), ""},
		"multi-part with a part handler":     {mimeOf(part("text/part-handler", "#part-handler\n"), part("text/x-own", marker)), ""},
		"one part in MIME":                   {"MIME-Version: 1.0\nContent-Type: text/cloud-config\n\n" + settings, ""},
		"base64 of a script":                 {encoded(shell), "looks like base64 of a script"},
		"base64 of a cloud-config":           {encoded(config), "looks like base64 of a cloud-config"},
		"base64 in lines":                    {encoded(shell)[:20] + "\n" + encoded(shell)[20:] + "\n", "looks like base64 of a script"},
		"base64 for URLs":                    {base64.RawURLEncoding.EncodeToString([]byte(shell + "?~>")), "looks like base64 of a script"},
		"base64 of gzip":                     {encoded(zipped(t, config)), "looks like base64 of a gzip file"},
		"base64 twice":                       {encoded(encoded(config)), "looks like base64 of a document"},
		"base64 of a script after a mark":    {encoded("\ufeff" + shell), "looks like base64 of a document"},
		"shebang that ends in a carriage":    {windowsLines(shell), "ends its #! line in a carriage return"},
		"carriage returns below":             {"#!/bin/sh\n" + windowsLines(shell), "has lines that end in a carriage return"},
		"carriage returns alone":             {strings.ReplaceAll(shell, "\n", "\r"), "ends its lines in a carriage return alone"},
		"blank line before a script":         {"\n" + shell, "has a blank before #!"},
		"script without an absolute path":    {"#!sh\n", "without the absolute path"},
		"script without an interpreter":      {"#!\necho\n", "without the absolute path"},
		"byte order mark":                    {"\ufeff" + config, "begins with a byte order mark"},
		"byte order mark before a script":    {"\ufeff" + shell, "begins with a byte order mark"},
		"byte order mark before MIME":        {"\ufeff" + mimeOf(part("text/cloud-config", settings)), "begins with a byte order mark"},
		"# cloud-config":                     {"# cloud-config\n" + settings, "looks like #cloud-config"},
		"#cloud_config":                      {"#cloud_config\n" + settings, "looks like #cloud-config"},
		"#cloudconfig":                       {"#cloudconfig\n" + settings, "looks like #cloud-config"},
		"#cloud-confg":                       {"#cloud-confg\n" + settings, "looks like #cloud-config"},
		"cloud-config without #":             {"cloud-config\n", "looks like #cloud-config"},
		"##template":                         {"##template: jinja\n" + config, "looks like ## template: jinja"},
		"#cloud boothook":                    {"#cloud boothook\n" + shell, "looks like #cloud-boothook"},
		"interpreter without #!":             {"/bin/bash\necho\n", "looks like #!/bin/sh"},
		"# !/bin/bash":                       {"# !/bin/bash\necho\n", "looks like #!/bin/sh"},
		"!#/bin/bash":                        {"!#/bin/bash\necho\n", "looks like #!/bin/sh"},
		"header on line 3":                   {"# licence\n\n" + config, "has its header #cloud-config on line 3"},
		"header after a document mark":       {"---\n" + config, "has its header #cloud-config on line 2"},
		"script after a comment":             {"# setup\n" + shell, "has its header #! on line 2"},
		"YAML without a header":              {settings, "is YAML without a header"},
		"JSON without a header":              {`{"runcmd": ["echo ` + marker + `"]}`, "is JSON without a header"},
		"Ignition":                           {`{"ignition": {"version": "3.4.0"}}`, "is a configuration for Ignition"},
		"error page":                         {"<!DOCTYPE html><html>" + marker + "</html>", "looks like HTML or XML"},
		"upstart job":                        {"#upstart-job\nstart on x\n", "is a job for upstart"},
		"commands alone":                     {"apt-get update\necho " + marker + "\n", "begins with no header that Cloud-Init knows"},
		"a word":                             {marker, "begins with no header that Cloud-Init knows"},
		"PowerShell":                         {"#ps1_sysnative\nWrite-Host " + marker + "\n", "is a script for Windows"},
		"PowerShell in tags":                 {"<powershell>\nWrite-Host\n</powershell>\n", "is a script for Windows"},
		"batch file":                         {"rem cmd\necho\n", "is a script for Windows"},
		"batch file without a header":        {"@echo off\n", "is a script for Windows"},
		"cloud-config that is no YAML":       {"#cloud-config\nruncmd:\n - a: [" + marker + "\nb\n", "is a cloud-config that does not read as YAML (line "},
		"cloud-config with a tab":            {"#cloud-config\nusers:\n\t- " + marker + "\n", "is a cloud-config that does not read as YAML"},
		"cloud-config with an unknown alias": {"#cloud-config\na: *" + marker + "\n", "is a cloud-config that does not read as YAML"},
		"cloud-config that is a list":        {"#cloud-config\n- a\n", "is a cloud-config that is not a mapping"},
		"cloud-config that is a word":        {"#cloud-config\n" + marker + "\n", "is a cloud-config that is not a mapping"},
		"cloud-config in two documents":      {config + "---\n" + settings, "(it holds several documents)"},
		"cloud-config with an end mark":      {config + "---\n", "(it holds several documents)"},
		"cloud-config of nothing":            {"#cloud-config\n", "with nothing behind its header"},
		"cloud-config of a comment":          {"#cloud-config\n# " + marker + "\n", "with nothing behind its header"},
		"cloud-config of null":               {"#cloud-config\n---\nnull\n", "with nothing behind its header"},
		"cloud-config too large to check":    {"#cloud-config\n" + strings.Repeat("- a\n", 70_000), ""},
		"archive that is a mapping":          {"#cloud-config-archive\na: 1\n", "is a cloud-config-archive that is not a list"},
		"boothook without an interpreter":    {"#cloud-boothook\necho " + marker + "\n", "does not begin with an interpreter"},
		"boothook in capitals":               {"#Cloud-Boothook\n" + shell, "does not remove"},
		"boothook after a blank":             {" #cloud-boothook\n" + shell, "does not remove"},
		"Jinja of nothing":                   {"## template: jinja\n", "is a Jinja template without a header of its own"},
		"Jinja of YAML":                      {"## template: jinja\n" + settings, "is a Jinja template without a header of its own"},
		"Jinja after a blank":                {"\n## template: jinja\n" + config, "has a blank before ## template: jinja"},
		"multi-part without MIME-Version":    {"Content-Type: multipart/mixed; boundary=b\n\n--b\nContent-Type: text/x-shellscript\n\n" + shell + "--b--\n", "without the header MIME-Version: 1.0"},
		"multi-part without a boundary":      {"MIME-Version: 1.0\nContent-Type: multipart/mixed\n\n--b\n\n" + settings, "without a boundary"},
		"multi-part with another boundary":   {"MIME-Version: 1.0\nContent-Type: multipart/mixed; boundary=a\n\n--b\n\n" + settings + "--b--\n", "the boundary of its head does not occur"},
		"multi-part after a blank line":      {"\n" + mimeOf(part("text/cloud-config", settings)), "whose head cannot be read"},
		"multi-part without a part":          {mimeOf(), "finds no part in it"},
		"part that is no base64":             {mimeOf("Content-Type: text/cloud-config\nContent-Transfer-Encoding: base64\n\n" + settings), "holds part 1, which does not decode"},
		"part of an unknown type":            {mimeOf(part("text/cloud-config", settings), part("text/x-"+marker, "a")), "holds part 2, which has a content type that Cloud-Init does not know"},
		"part that is no YAML":               {mimeOf(part("text/cloud-config", "a: [")), "holds part 1, which is a cloud-config that does not read as YAML"},
		"part of plain text":                 {mimeOf(part("text/plain", "echo "+marker)), "holds part 1, which begins with no header"},
		"part of base64 without a word":      {mimeOf(part("text/plain", encoded(shell))), "holds part 1, which looks like base64 of a script"},
		"script part without an interpreter": {mimeOf(part("text/x-shellscript", "echo "+marker)), "holds part 1, which is a script that does not begin with an interpreter"},
		"script part with Windows lines":     {mimeOf(part("text/x-shellscript", windowsLines(shell))), "holds part 1, which ends its #! line in a carriage return"},
	}
	for name, test := range tests {
		t.Run(name, func(t *testing.T) { check(t, test.document, userdata.CloudInit, test.says) })
	}
}

// TestWindows is the same for Cloudbase-Init, which skips no white space and knows capitals.
func TestWindows(t *testing.T) {
	const power = "#ps1_sysnative\nWrite-Host " + marker + "\n"
	tests := map[string]struct{ document, says string }{
		"PowerShell":                      {power, ""},
		"PowerShell with Windows lines":   {windowsLines(power), ""},
		"PowerShell, short":               {"#ps1\nWrite-Host\n", ""},
		"PowerShell of 32 bit":            {"#ps1_x86\nWrite-Host\n", ""},
		"PowerShell in tags":              {"<powershell>\nWrite-Host\n</powershell>\n", ""},
		"tags after a byte order mark":    {"\ufeff<script>\ndir\n</script>\n", ""},
		"batch file":                      {"rem cmd\r\ndir\r\n", ""},
		"Python":                          {"#!/usr/bin/env python\nprint(1)\n", ""},
		"cloud-config":                    {config, ""},
		"cloud-config with Windows lines": {windowsLines(config), ""},
		"Jinja of a cloud-config":         {"## template:jinja\n" + config, ""},
		"certificate":                     {"\n-----BEGIN CERTIFICATE-----\nMIIB\n", ""},
		"multi-part": {mimeOf(part("text/cloud-config", settings),
			"Content-Type: text/x-shellscript\nContent-Disposition: attachment; filename=\"a.ps1\"\n\nWrite-Host\n"), ""},
		"byte order mark":               {"\ufeff" + power, "begins with a byte order mark"},
		"blank line before":             {"\n" + power, "looks like #ps1_sysnative"},
		"blank line before the config":  {"\n" + config, "looks like #cloud-config"},
		"cloud-config in capitals":      {"#Cloud-Config\n" + settings, "looks like #cloud-config"},
		"batch file in capitals":        {"REM CMD\ndir\n", "looks like rem cmd"},
		"batch file without a header":   {"@echo off\ndir\n", "begins with no header that Cloudbase-Init knows"},
		"PowerShell without a header":   {"Write-Host " + marker + "\n", "begins with no header that Cloudbase-Init knows"},
		"tag that stays open":           {"<powershell>\nWrite-Host\n", "without its end"},
		"shell script":                  {shell, "is a script for a shell of Linux"},
		"include":                       {"#include\nhttps://example.org\n", "is of a kind that only Cloud-Init on Linux reads"},
		"boothook":                      {"#cloud-boothook\n" + shell, "is of a kind that only Cloud-Init on Linux reads"},
		"base64":                        {encoded(power), "looks like base64 of a script"},
		"header below":                  {"# licence\n" + power, "has its header #ps1_sysnative on line 2"},
		"YAML without a header":         {settings, "is YAML without a header"},
		"cloud-config that is no YAML":  {"#cloud-config\na: [\n", "does not read as YAML"},
		"multi-part in small letters":   {strings.Replace(mimeOf(part("text/cloud-config", settings)), "Content-Type: m", "content-type: m", 1), "in these capitals"},
		"one part in MIME":              {"MIME-Version: 1.0\nContent-Type: text/cloud-config\n\n" + settings, `begins "Content-Type: multipart"`},
		"script part without a name":    {mimeOf(part("text/x-shellscript", "dir")), "holds part 1, which is a script without a file name"},
		"part of plain text":            {mimeOf(part("text/plain", config)), "holds part 1, which has a content type that Cloudbase-Init does not know"},
		"multi-part without a boundary": {"Content-Type: multipart/mixed\n\n--b\n\n" + settings, "without a boundary"},
	}
	for name, test := range tests {
		t.Run(name, func(t *testing.T) { check(t, test.document, userdata.CloudbaseInit, test.says) })
	}
}

// check demands one warning or none, which repeats nothing of the document.
func check(t *testing.T, document string, reader userdata.Reader, says string) {
	t.Helper()
	warnings := userdata.Warnings(document, reader)
	if says == "" {
		assert.Empty(t, warnings)
		return
	}
	require.Len(t, warnings, 1)
	assert.Contains(t, warnings[0], says)
	assert.NotContains(t, warnings[0], marker)
	assert.NotContains(t, warnings[0], "\n")
}

// TestEveryPartIsNamed at once.
func TestEveryPartIsNamed(t *testing.T) {
	warnings := userdata.Warnings(mimeOf(part("text/cloud-config", "- a"), part("text/x-shellscript", shell), part("text/plain", "a"), part("text/x-own", "a")), userdata.CloudInit)
	require.Len(t, warnings, 3)
	assert.Contains(t, warnings[0], "part 1")
	assert.Contains(t, warnings[1], "part 3")
	assert.Contains(t, warnings[2], "part 4")
}

// FuzzWarnings: whatever the document, there is an end, and no more of the document in the warnings than the headers.
func FuzzWarnings(f *testing.F) {
	for _, seed := range []string{shell, config, settings, encoded(shell), mimeOf(part("text/plain", shell)), "<powershell>", "\ufeff", ""} {
		f.Add(seed)
	}
	f.Fuzz(func(t *testing.T, document string) {
		for _, reader := range []userdata.Reader{userdata.CloudInit, userdata.CloudbaseInit} {
			assert.NotContains(t, strings.Join(userdata.Warnings(document, reader), "; "), "\n")
			marked := strings.ReplaceAll(document, "a", marker)
			assert.NotContains(t, strings.Join(userdata.Warnings(marked, reader), "; "), marker)
		}
	})
}
