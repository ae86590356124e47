package rollout

import "fmt"

// Count writes a number with its noun: "1 server", "2 servers".
func Count(n int, noun string) string {
	if n == 1 {
		return "1 " + noun
	}
	return fmt.Sprintf("%d %ss", n, noun)
}
