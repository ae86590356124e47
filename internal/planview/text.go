package planview

import (
	"strings"
	"time"

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
