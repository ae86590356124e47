// Package userdata tells whether the program that reads user data would recognise it: Cloud-Init on Linux and
// Cloudbase-Init on Windows. Neither fails over a document that it does not recognise: it logs a warning on the server and
// goes on, and the server looks as good as any other.
//
// The rules are those of the programs' sources, read 2026-12: cloudinit/user_data.py, cloudinit/handlers and
// cloudbaseinit/plugins/common/userdata.py, userdatautils.py.
package userdata

import (
	"bytes"
	"encoding/base64"
	"encoding/json"
	"fmt"
	"regexp"
	"strings"
	"unicode"
	"unicode/utf8"
)

// Reader is the program that reads user data.
type Reader string

// The readers.
const (
	CloudInit     Reader = "Cloud-Init"
	CloudbaseInit Reader = "Cloudbase-Init"
)

// Warnings says why the reader of a Linux or a Windows image would ignore a document, or a part of it: one sentence for
// each reason, with what to do. They never repeat the document. The document is the unpacked one.
//
// Each has the document as its subject: "is YAML without a header, which ...".
func Warnings(document string, reader Reader) []string {
	if reader == CloudbaseInit {
		return windowsWarnings(document)
	}
	return linuxWarnings(document)
}

const (
	byteOrderMark = "\ufeff"
	bomAdvice     = "begins with a byte order mark, which %s takes for a part of the header: save it as UTF-8 without one"
)

// unread describes a document whose beginning the reader does not recognise. The first thing that it looks like counts.
func unread(document string, reader Reader) string {
	trimmed := strings.TrimSpace(document)
	begins, begun := strings.ToLower(firstLine(trimmed)), strings.ToLower(trimmed)
	if kind := encodedKind(trimmed); kind != "" {
		return fmt.Sprintf("looks like base64 of %s: reimage encodes user data itself, so %s would read base64 and ignore it; give the document as it is", kind, reader)
	}
	if kind := ofOtherSystem(begun, reader); kind != "" {
		return kind
	}
	if strings.HasPrefix(begun, "content-type:") || strings.HasPrefix(begun, "mime-version:") {
		return mimeHeaderAdvice(reader)
	}
	if header := misspelt(begins, reader); header != "" {
		return fmt.Sprintf("begins with a header that %s does not know, and which looks like %s: write that, with nothing before it", reader, header)
	}
	if line, header := laterHeader(document, reader); line > 0 {
		return fmt.Sprintf("has its header %s on line %d: %s looks at the first line only", header, line, reader)
	}
	switch {
	case json.Valid([]byte(trimmed)) && strings.HasPrefix(trimmed, "{") && strings.Contains(trimmed, `"ignition"`):
		return fmt.Sprintf("is a configuration for Ignition, which %s ignores: only images with Ignition read it", reader)
	case json.Valid([]byte(trimmed)):
		return fmt.Sprintf("is JSON without a header, which %s ignores: put #cloud-config on a line before it if it is meant as cloud-config", reader)
	case strings.HasPrefix(begun, "<"):
		return fmt.Sprintf("looks like HTML or XML, which %s ignores: it may be an error page in place of the document", reader)
	case isMapping(document):
		return fmt.Sprintf("is YAML without a header, which %s ignores: put #cloud-config on a line before it", reader)
	}
	return fmt.Sprintf("begins with no header that %s knows, so it is ignored: the first line has to be %s", reader, headersOf[reader])
}

// headersOf are the usual first lines.
var headersOf = map[Reader]string{
	CloudInit:     "#!/bin/sh or another interpreter, #cloud-config, #include, #cloud-boothook, or the head of a MIME document",
	CloudbaseInit: "#ps1_sysnative, rem cmd, #cloud-config, or the head of a multi-part MIME document",
}

func mimeHeaderAdvice(reader Reader) string {
	if reader == CloudbaseInit {
		return `is a MIME document that Cloudbase-Init does not know: among its first headers has to be one that begins "Content-Type: multipart", in these capitals`
	}
	return "is a MIME document without the header MIME-Version: 1.0, by which Cloud-Init knows it: put that on a line before it"
}

// firstLine is without its line end.
func firstLine(text string) string {
	line, _, _ := strings.Cut(text, "\n")
	return strings.TrimSuffix(line, "\r")
}

// encodedKind says what a document holds that is base64 of a document. Empty for none.
func encodedKind(text string) string {
	dense := strings.Join(strings.Fields(text), "")
	if len(dense) < 8 {
		return ""
	}
	dense = strings.NewReplacer("-", "+", "_", "/").Replace(strings.TrimRight(dense, "="))
	content, err := base64.RawStdEncoding.DecodeString(dense)
	switch {
	case err != nil:
		return ""
	case bytes.HasPrefix(content, []byte("\x1f\x8b")):
		return "a gzip file"
	case !isText(content):
		return ""
	}
	switch lower := strings.ToLower(strings.TrimSpace(string(content))); {
	case strings.HasPrefix(lower, "#!"), strings.HasPrefix(lower, "#ps1"), strings.HasPrefix(lower, "rem cmd"):
		return "a script"
	case strings.HasPrefix(lower, "#cloud-config"):
		return "a cloud-config"
	}
	return "a document"
}

// isText is true for UTF-8 that prints: what is decoded by chance is none.
func isText(content []byte) bool {
	if !utf8.Valid(content) {
		return false
	}
	return !strings.ContainsFunc(string(content), func(r rune) bool {
		return !unicode.IsPrint(r) && !strings.ContainsRune("\n\r\t\f"+byteOrderMark, r)
	})
}

// ofOtherSystem describes a document for the reader of the other operating system. Empty for none.
func ofOtherSystem(begun string, reader Reader) string {
	if reader == CloudInit {
		for _, mark := range []string{"#ps1", "rem cmd", "<powershell>", "<script>", "@echo off"} {
			if strings.HasPrefix(begun, mark) {
				return "is a script for Windows, and the image is not a Windows image: Cloud-Init ignores it"
			}
		}
		return ""
	}
	for _, mark := range []string{"#include", "#cloud-boothook", "#part-handler", "#upstart-job"} {
		if strings.HasPrefix(begun, mark) {
			return "is of a kind that only Cloud-Init on Linux reads, and the image is a Windows image: Cloudbase-Init ignores it"
		}
	}
	return ""
}

// headers are those of a reader that are looked for where they do not count, the longer before the shorter.
var headers = map[Reader][]string{
	CloudInit:     {"#cloud-config-archive", "#cloud-config-jsonp", "#cloud-config", "#cloud-boothook", "#part-handler", "#include-once", "#include", "## template: jinja", "#!"},
	CloudbaseInit: {"#cloud-config", "#ps1_sysnative", "#ps1_x86", "#ps1", "rem cmd", "#!"},
}

var notInHeaders = regexp.MustCompile(`[^a-z0-9]+`)

// misspelt is the header that a first line looks like, in lower case: "# cloud config" looks like #cloud-config.
func misspelt(line string, reader Reader) string {
	line = strings.TrimPrefix(line, byteOrderMark)
	squeezed := notInHeaders.ReplaceAllString(line, "")
	for _, header := range headers[reader] {
		if letters := notInHeaders.ReplaceAllString(header, ""); letters != "" && squeezed == letters {
			return header
		}
	}
	if strings.HasPrefix(squeezed, "cloudconf") || strings.HasPrefix(line, "#") && strings.HasPrefix(squeezed, "cloud") {
		return "#cloud-config"
	}
	// An interpreter without #!, or with something in between or before.
	if interpreter.MatchString(line) {
		return "#!/bin/sh"
	}
	return ""
}

var interpreter = regexp.MustCompile(`^[\s#!"']*/(usr/)?(local/)?s?bin/[a-z0-9./]+(\s|$)`)

// laterHeader finds a header that stands on a line after the first.
func laterHeader(document string, reader Reader) (line int, header string) {
	for number, text := range strings.Split(document, "\n") {
		for _, header := range headers[reader] {
			if number > 0 && strings.HasPrefix(text, header) {
				return number + 1, header
			}
		}
	}
	return 0, ""
}
