package userdata

import (
	"encoding/base64"
	"fmt"
	"io"
	"mime"
	"mime/multipart"
	"mime/quotedprintable"
	"net/mail"
	"net/textproto"
	"slices"
	"strings"
)

// maxNesting is how deep a MIME document is looked into.
const maxNesting = 5

// mimeWarnings are about a MIME document and each of its parts.
func mimeWarnings(document string, reader Reader) []string {
	if strings.HasPrefix(document, "From ") { // the line of a mailbox, which both readers skip
		_, document, _ = strings.Cut(document, "\n")
	}
	message, err := mail.ReadMessage(strings.NewReader(document))
	if err != nil || len(message.Header) == 0 {
		return []string{fmt.Sprintf("looks like a MIME document whose head cannot be read, so %s ignores it: it has to begin with headers and end them with a blank line", reader)}
	}
	body, _ := io.ReadAll(message.Body) // of a string
	w := mimeWalk{reader: reader}
	w.entity(textproto.MIMEHeader(message.Header), string(body), 0)
	if w.parts == 0 && len(w.found) == 0 {
		w.warn("is a MIME document without a part")
	}
	if w.handler { // it may take what nothing else takes
		return w.found
	}
	return append(w.found, w.unknown...)
}

// mimeWalk goes through the parts of a MIME document.
type mimeWalk struct {
	reader  Reader
	parts   int
	handler bool // a part handler was seen
	found   []string
	// unknown are the warnings about parts of a type that nothing takes.
	unknown []string
}

func (w *mimeWalk) warn(format string, args ...any) {
	w.found = append(w.found, fmt.Sprintf(format, args...))
}

// entity looks at a part, or at the parts in it.
func (w *mimeWalk) entity(header textproto.MIMEHeader, body string, depth int) {
	mediaType, parameters, err := mime.ParseMediaType(header.Get("Content-Type"))
	if header.Get("Content-Type") == "" || err != nil {
		mediaType = "text/plain" // as both readers take it
	}
	if !strings.HasPrefix(mediaType, "multipart/") {
		w.parts++
		w.part(mediaType, header, body)
		return
	}
	boundary := parameters["boundary"]
	if boundary == "" {
		w.warn("is a multi-part document without a boundary, so %s finds no part in it: name the boundary in its Content-Type", w.reader)
		return
	}
	if depth == maxNesting {
		return
	}
	before := w.parts
	for parts := multipart.NewReader(strings.NewReader(body), boundary); ; {
		part, err := parts.NextRawPart()
		if err != nil {
			break
		}
		content, _ := io.ReadAll(part) // the last one need not be closed
		w.entity(part.Header, string(content), depth+1)
	}
	if w.parts == before {
		w.warn("is a multi-part document in which the boundary of its head does not occur, so %s finds no part in it", w.reader)
	}
}

// part looks at what a part holds.
func (w *mimeWalk) part(mediaType string, header textproto.MIMEHeader, body string) {
	content, ok := decoded(header.Get("Content-Transfer-Encoding"), body)
	if !ok {
		w.warn("holds part %d, which does not decode by its Content-Transfer-Encoding", w.parts)
		return
	}
	var found []string
	if w.reader == CloudbaseInit {
		found = w.windowsPart(mediaType, header, content)
	} else {
		found = w.linuxPart(mediaType, content)
	}
	for _, text := range found {
		w.warn("holds part %d, which %s", w.parts, text)
	}
}

// linuxTypes are the other content types that Cloud-Init takes.
var linuxTypes = []string{
	"text/cloud-config-jsonp", "text/x-include-url", "text/x-include-once-url",
	"text/x-shellscript-per-boot", "text/x-shellscript-per-instance", "text/x-shellscript-per-once",
	"application/gzip", "application/gzip-compressed", "application/gzipped", "application/x-compress",
	"application/x-compressed", "application/x-gunzip", "application/x-gzip", "application/x-gzip-compressed",
}

func (w *mimeWalk) linuxPart(mediaType, content string) []string {
	switch mediaType {
	case "text/plain", "text/x-not-multipart":
		if mediaType = sniff(content); mediaType == "" {
			return []string{unread(content, CloudInit)}
		}
	case typeScript:
		if sniffed := sniff(content); sniffed != "" {
			mediaType = sniffed
		}
	}
	switch mediaType {
	case typeHandler:
		w.handler = true
	case typeConfig, typeArchive, typeScript, typeBoothook, typeTemplate:
		return linuxContent(content, mediaType)
	default:
		w.notTaken(mediaType, linuxTypes)
	}
	return nil
}

// windowsTypes are the other content types that Cloudbase-Init takes.
var windowsTypes = []string{"text/cloud-boothook", "text/x-cfninitdata"}

func (w *mimeWalk) windowsPart(mediaType string, header textproto.MIMEHeader, content string) []string {
	switch mediaType {
	case typeHandler:
		w.handler = true
	case typeConfig:
		return yamlWarnings(content, false)
	case typeScript:
		_, disposition, _ := mime.ParseMediaType(header.Get("Content-Disposition"))
		if disposition["filename"] == "" {
			return []string{"is a script without a file name, by whose ending Cloudbase-Init runs it: give it one in Content-Disposition, such as setup.ps1"}
		}
	default:
		w.notTaken(mediaType, windowsTypes)
	}
	return nil
}

func (w *mimeWalk) notTaken(mediaType string, taken []string) {
	if !slices.Contains(taken, mediaType) {
		w.unknown = append(w.unknown, fmt.Sprintf("holds part %d, which has a content type that %s does not know, so it is ignored", w.parts, w.reader))
	}
}

// decoded undoes the transfer encoding.
func decoded(encoding, body string) (string, bool) {
	switch strings.ToLower(strings.TrimSpace(encoding)) {
	case "base64":
		content, err := base64.StdEncoding.DecodeString(strings.Join(strings.Fields(body), ""))
		return string(content), err == nil
	case "quoted-printable":
		content, err := io.ReadAll(quotedprintable.NewReader(strings.NewReader(body)))
		return string(content), err == nil
	}
	return body, true
}
