package planner

import (
	"cmp"
	"fmt"
	"slices"
	"strings"
)

// problem adds a reason why there is no plan.
func (p *planner) problem(format string, args ...any) {
	whole := slices.Clone(args)
	for i, arg := range args {
		if names, ok := arg.(named); ok {
			whole[i] = names.all()
		}
	}
	p.problems = append(p.problems, Problem{Text: fmt.Sprintf(format, args...), Whole: fmt.Sprintf(format, whole...)})
}

// against adds reasons that somebody else has found.
func (p *planner) against(reasons []string) {
	for _, reason := range reasons {
		p.problem("%s", reason)
	}
}

// warning adds a sentence that an operator should read before applying the plan.
func (p *planner) warning(format string, args ...any) {
	p.plan.Warnings = append(p.plan.Warnings, fmt.Sprintf(format, args...))
}

// maxNamed is how many servers a sentence names.
const maxNamed = 10

// named are the names of servers, or of what else a sentence is about.
type named []string

// String names at most maxNamed of them, and says how many more there are.
func (n named) String() string {
	if len(n) <= maxNamed {
		return n.all()
	}
	return fmt.Sprintf("%s and %d more", strings.Join(n[:maxNamed], ", "), len(n)-maxNamed)
}

func (n named) all() string { return strings.Join(n, ", ") }

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
