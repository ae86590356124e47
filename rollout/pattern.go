package rollout

import "strings"

// IsPattern is true for a text that may mean several servers: a name with * or ?.
func IsPattern(text string) bool { return strings.ContainsAny(text, "*?") }

// MatchName matches a whole name with a pattern: * stands for any text, ? for any character, all else for itself.
func MatchName(pattern, name string) bool {
	p, n := []rune(pattern), []rune(name)
	i, star, from := 0, -1, 0 // the last * and where in the name its text ends for now
	for j := 0; j < len(n); {
		switch {
		case i < len(p) && p[i] == '*':
			star, from = i, j
			i++
		case i < len(p) && (p[i] == '?' || p[i] == n[j]):
			i++
			j++
		case star >= 0:
			from++
			i, j = star+1, from
		default:
			return false
		}
	}
	return strings.Trim(string(p[i:]), "*") == ""
}
