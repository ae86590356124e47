package spec

import (
	"cmp"
	"fmt"
	"slices"
	"strconv"
	"strings"
)

// Problem is one thing that is wrong with a document, or with a file of servers.
type Problem struct {
	File string
	// Line and Column count from 1. They are zero when no file was read.
	Line, Column int
	// Path is the field, such as spec.waves[1].upTo. Empty means the document as a whole.
	Path    string
	Message string

	// dependsOn are the fields that the problem follows from, when they are others than Path and what stands in it.
	dependsOn []string
}

// String is "file:line:column: path: message", as far as they are known.
func (p Problem) String() string {
	var text strings.Builder
	if p.File != "" {
		text.WriteString(p.File + ":")
		if p.Line > 0 {
			fmt.Fprintf(&text, "%d:%d:", p.Line, p.Column)
		}
		text.WriteByte(' ')
	}
	if p.Path != "" {
		text.WriteString(p.Path + ": ")
	}
	return text.String() + p.Message
}

// Problems are all of them, in the order of the lines. They are the error of Parse, Validate and ReadFiles.
type Problems []Problem

// shownProblems is how many problems Error spells out: more of them have one cause.
const shownProblems = 100

// Error puts each problem on a line of its own.
func (p Problems) Error() string {
	var lines []string
	for _, problem := range p[:min(len(p), shownProblems)] {
		lines = append(lines, problem.String())
	}
	if more := len(p) - shownProblems; more > 0 {
		lines = append(lines, fmt.Sprintf("and %d more", more))
	}
	return strings.Join(lines, "\n")
}

// err is nil when there are none.
func (p Problems) err() error {
	if len(p) == 0 {
		return nil
	}
	return p
}

func (p Problems) sort() {
	slices.SortStableFunc(p, func(a, b Problem) int {
		return cmp.Or(cmp.Compare(a.Line, b.Line), cmp.Compare(a.Column, b.Column))
	})
}

// quote shows a text of the document in a message, shortened when somebody pasted a file.
func quote(text string) string {
	const most = 60
	if runes := []rune(text); len(runes) > most {
		text = string(runes[:most]) + "..."
	}
	return strconv.Quote(text)
}

// nearest is the known word that a misspelled one was meant to be, nothing if none is near.
func nearest(word string, known []string) string {
	const longest = 40 // no field is longer, and the distance takes time
	best, least := "", 1+len(word)/2
	if len(word) > longest {
		return ""
	}
	for _, candidate := range known {
		if d := Distance(strings.ToLower(word), strings.ToLower(candidate)); d < least {
			best, least = candidate, d
		}
	}
	return best
}

// Near are at most five names that may have been meant, the nearest first.
func Near(name string, names []string) []string {
	type candidate struct {
		name     string
		distance int
	}
	var close []candidate
	for _, other := range names {
		d := Distance(strings.ToLower(name), strings.ToLower(other))
		if d <= max(1, len(name)/3) || strings.Contains(other, name) || strings.Contains(name, other) {
			close = append(close, candidate{other, d})
		}
	}
	slices.SortStableFunc(close, func(a, b candidate) int { return cmp.Compare(a.distance, b.distance) })
	var nearest []string
	for _, c := range close[:min(5, len(close))] {
		nearest = append(nearest, c.name)
	}
	return nearest
}

// Distance is the number of letters to insert, delete or replace to get from a to b (Levenshtein).
func Distance(a, b string) int {
	row := make([]int, len(b)+1)
	for j := range row {
		row[j] = j
	}
	for i := range len(a) {
		diagonal := row[0]
		row[0] = i + 1
		for j := range len(b) {
			replaced := diagonal
			if a[i] != b[j] {
				replaced++
			}
			diagonal = row[j+1]
			row[j+1] = min(replaced, row[j]+1, row[j+1]+1)
		}
	}
	return row[len(b)]
}
