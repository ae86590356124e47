package userdata

import (
	"fmt"
	"regexp"
	"strings"
)

// What Cloudbase-Init goes by. It does not skip white space, and capitals count.
var (
	windowsScript   = regexp.MustCompile(`^(rem\s+cmd\s|#(ps1|ps1_sysnative|ps1_x86)\s|#!\s*/usr/bin/env\s+python\s)`)
	windowsTag      = regexp.MustCompile(`</?(script|powershell)>`)
	windowsSection  = regexp.MustCompile(`(?s)<script>.+?</script>|<powershell>.+?</powershell>`)
	windowsTemplate = regexp.MustCompile(`(?i)^##\s*template:\s*jinja\s*(\n|$)`)
)

func windowsWarnings(document string) []string {
	if strings.HasPrefix(document, byteOrderMark) && !windowsTag.MatchString(document) {
		return []string{fmt.Sprintf(bomAdvice, CloudbaseInit)}
	}
	if windowsTemplate.MatchString(document) {
		_, document, _ = strings.Cut(document, "\n")
		if strings.HasPrefix(document, "{") {
			return nil // what it becomes is known on the server only
		}
	}
	head, _, _ := strings.Cut(document, "\n\n")
	switch {
	case strings.Contains(head, "Content-Type: multipart"):
		return mimeWarnings(document, CloudbaseInit)
	case strings.HasPrefix(document, "#cloud-config"):
		return yamlWarnings(document, false)
	case strings.HasPrefix(strings.TrimSpace(document), "-----BEGIN CERTIFICATE-----"), windowsScript.MatchString(document):
		return nil
	case strings.HasPrefix(document, "#!"):
		return []string{"is a script for a shell of Linux, and the image is a Windows image: Cloudbase-Init runs it only if the image has bash; for PowerShell the first line is #ps1_sysnative"}
	case windowsSection.MatchString(document):
		return nil
	case windowsTag.MatchString(document):
		return []string{"has a tag <powershell> or <script> without its end, so Cloudbase-Init runs nothing of it: close the tag"}
	}
	return []string{unread(document, CloudbaseInit)}
}
