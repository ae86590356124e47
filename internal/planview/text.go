package planview

import (
	"fmt"
	"strings"
	"time"
	"unicode"

	"github.com/reimage/reimage/rollout"
)

// namesRepeat is true when two servers of the plan have the same name.
func namesRepeat(p rollout.Plan) bool {
	seen := map[string]bool{}
	for _, s := range p.Servers {
		if s.Name != "" && seen[s.Name] {
			return true
		}
		seen[s.Name] = true
	}
	for _, s := range p.Skipped {
		if s.Name != "" && seen[s.Name] {
			return true
		}
		seen[s.Name] = true
	}
	return false
}

// plain keeps a text that others chose from moving the cursor, colouring the terminal or breaking a line.
func plain(text string) string {
	return strings.Map(func(r rune) rune {
		switch {
		case unicode.IsSpace(r):
			return ' '
		case !unicode.IsPrint(r):
			return '?'
		}
		return r
	}, text)
}

// short writes a duration without what is zero: "1h30m", "6m", "45s".
func short(d time.Duration) string {
	text := d.String()
	for _, zero := range []string{"0s", "0m"} {
		if strings.HasSuffix(text, "m"+zero) || strings.HasSuffix(text, "h"+zero) {
			text = strings.TrimSuffix(text, zero)
		}
	}
	return text
}

func count(n int, noun string) string {
	if n == 1 {
		return "1 " + noun
	}
	return fmt.Sprintf("%d %ss", n, noun)
}
