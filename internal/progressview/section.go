package progressview

import "fmt"

// section is a part of a frame. Its items can be left out when the terminal is too low.
type section struct {
	lines []line   // always shown
	title string   // over the items
	items [][]line // each is shown whole or not at all
	focus int      // the item that is left out last
	limit int      // how many items are shown
}

func newSection(title string, items [][]line) *section {
	return &section{title: title, items: items, limit: len(items)}
}

func (s *section) shown() []line {
	lines := s.lines
	if len(s.items) == 0 {
		return lines
	}
	title := s.title
	if s.limit < len(s.items) {
		title += fmt.Sprintf(" (%d of %d shown)", s.limit, len(s.items))
	}
	lines = append(lines, line{}.add(bold, title))
	from := max(0, min(s.focus-s.limit/2, len(s.items)-s.limit))
	for _, item := range s.items[from : from+s.limit] {
		lines = append(lines, item...)
	}
	return append(lines, line{})
}

// fit leaves items out, one by one and always of the longest section, until the frame is low enough or
// every section is down to one item.
func fit(sections []*section, height int) {
	if height <= 0 {
		return
	}
	for {
		total, longest := 0, sections[0]
		for _, s := range sections {
			lines := len(s.shown())
			total += lines
			if s.limit > 1 && (longest.limit <= 1 || lines > len(longest.shown())) {
				longest = s
			}
		}
		if total <= height || longest.limit <= 1 {
			return
		}
		longest.limit--
	}
}
