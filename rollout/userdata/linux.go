package userdata

import (
	"fmt"
	"regexp"
	"strings"
	"unicode"
)

// The content types of Cloud-Init.
const (
	typeScript   = "text/x-shellscript"
	typeConfig   = "text/cloud-config"
	typeArchive  = "text/cloud-config-archive"
	typeBoothook = "text/cloud-boothook"
	typeTemplate = "text/jinja2"
	typeHandler  = "text/part-handler"
	typeInclude  = "text/x-include-url"
)

// cloudInitHeaders are what Cloud-Init goes by, in lower case after leading white space, the longer before the shorter.
var cloudInitHeaders = []struct{ prefix, contentType string }{
	{"#cloud-config-archive", typeArchive},
	{"#cloud-config-jsonp", "text/cloud-config-jsonp"},
	{"## template: jinja", typeTemplate},
	{"#cloud-boothook", typeBoothook},
	{"#include-once", "text/x-include-once-url"},
	{"#cloud-config", typeConfig},
	{"#part-handler", typeHandler},
	{"#include", typeInclude},
	{"#!", typeScript},
}

// sniff is the content type by the beginning of a document. Empty when Cloud-Init knows none.
func sniff(document string) string {
	begins := strings.ToLower(strings.TrimLeftFunc(document, unicode.IsSpace))
	for _, header := range cloudInitHeaders {
		if strings.HasPrefix(begins, header.prefix) {
			return header.contentType
		}
	}
	return ""
}

func linuxWarnings(document string) []string {
	contentType := sniff(document)
	if contentType != "" {
		return linuxContent(document, contentType)
	}
	if strings.HasPrefix(document, byteOrderMark) {
		return []string{fmt.Sprintf(bomAdvice, CloudInit)}
	}
	// Cloud-Init takes for MIME what has this among its first 4096 bytes.
	if strings.Contains(strings.ToLower(document[:min(len(document), 4096)]), "mime-version:") {
		return mimeWarnings(document, CloudInit)
	}
	if strings.HasPrefix(strings.ToLower(strings.TrimSpace(document)), "#upstart-job") {
		return []string{"is a job for upstart, which Cloud-Init no longer reads: make it a script or a cloud-config"}
	}
	return []string{unread(document, CloudInit)}
}

// linuxContent is about what follows a header that Cloud-Init knows.
func linuxContent(document, contentType string) []string {
	switch contentType {
	case typeScript:
		return scriptWarnings(document)
	case typeBoothook:
		script, ok := strings.CutPrefix(document, "#cloud-boothook")
		if !ok && sniff(document) == typeBoothook {
			return []string{"has a header that Cloud-Init finds and does not remove, so Linux cannot run it: write #cloud-boothook in small letters, with nothing before it"}
		}
		return scriptWarnings(strings.TrimLeftFunc(script, unicode.IsSpace))
	case typeConfig:
		return yamlWarnings(document, false)
	case typeArchive:
		return yamlWarnings(document, true)
	case typeTemplate:
		return templateWarnings(document)
	}
	return nil
}

// absoluteInterpreter is a first line that Linux can run.
var absoluteInterpreter = regexp.MustCompile(`^#![ \t]*/`)

// scriptWarnings are about a script that Cloud-Init writes to a file and runs. It turns the line ends of Windows into
// those of Linux if the first line has one, and changes nothing else.
func scriptWarnings(script string) []string {
	first, rest, _ := strings.Cut(script, "\n")
	switch {
	case !strings.HasPrefix(script, "#!") && sniff(script) == typeScript:
		return []string{"has a blank before #!: Linux runs a script only if these are its first two characters; remove what is before them"}
	case !strings.HasPrefix(script, "#!"):
		return []string{"is a script that does not begin with an interpreter, so Linux cannot run it: begin it with a line such as #!/bin/sh"}
	case strings.Contains(strings.TrimSuffix(first, "\r"), "\r"):
		return []string{"ends its lines in a carriage return alone, so that Linux sees one line: save it with the line ends of Linux"}
	case strings.HasSuffix(first, "\r"):
		return []string{"ends its #! line in a carriage return (line ends of Windows), so Linux finds no such interpreter unless Cloud-Init converts the file first: save it with the line ends of Linux (dos2unix)"}
	case !absoluteInterpreter.MatchString(first):
		return []string{"has a #! line without the absolute path of an interpreter, so Linux cannot run it: write a line such as #!/bin/sh"}
	case strings.Contains(rest, "\r\n"):
		return []string{"has lines that end in a carriage return (line ends of Windows) though the first does not, so Cloud-Init keeps them and the shell takes them for a part of the commands: save it with the line ends of Linux (dos2unix)"}
	}
	return nil
}

// templateWarnings are about a Jinja template. What it becomes is known on the server only, unless its second line says
// it.
func templateWarnings(document string) []string {
	if !strings.HasPrefix(document, "##") {
		return []string{"has a blank before ## template: jinja, so Cloud-Init does not render it: remove what is before it"}
	}
	_, rest, _ := strings.Cut(document, "\n")
	rest = strings.TrimLeftFunc(rest, unicode.IsSpace)
	if rest != "" && (strings.HasPrefix(rest, "{") || sniff(rest) != "") {
		return nil
	}
	return []string{"is a Jinja template without a header of its own, so Cloud-Init ignores what it becomes: the line after ## template: jinja has to be #cloud-config or #!"}
}
