package planner

import (
	"cmp"
	"fmt"
	"strings"
)

// problem adds a reason why there is no plan.
func (p *planner) problem(format string, args ...any) {
	p.problems = append(p.problems, fmt.Sprintf(format, args...))
}

// warning adds a sentence that an operator should read before applying the plan.
func (p *planner) warning(format string, args ...any) {
	p.plan.Warnings = append(p.plan.Warnings, fmt.Sprintf(format, args...))
}

// maxNamed is how many servers a sentence names.
const maxNamed = 10

// list names at most maxNamed of what it is given, and says how many more there are.
func list(names []string) string {
	if len(names) <= maxNamed {
		return strings.Join(names, ", ")
	}
	return fmt.Sprintf("%s and %d more", strings.Join(names[:maxNamed], ", "), len(names)-maxNamed)
}

// conjoined is a list that ends with "and".
func conjoined(parts []string) string {
	last := len(parts) - 1
	if last < 1 {
		return strings.Join(parts, "")
	}
	return strings.Join(parts[:last], ", ") + " and " + parts[last]
}

// labels call servers by their names, and where that is not enough by their ids too.
type labels map[string]int // how many servers have the name

func (l labels) add(name string) { l[name]++ }

func (l labels) of(id, name string) string {
	if name != "" && l[name] > 1 {
		return fmt.Sprintf("%s (%s)", name, id)
	}
	return cmp.Or(name, id)
}
