package progressview

import "fmt"

// section is a part of a frame. Its items can be left out when the terminal is too low.
type section struct {
	lines []line   // shown as they are
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
	if s.limit == 0 {
		return lines
	}
	from := max(0, min(s.focus-s.limit/2, len(s.items)-s.limit))
	for _, item := range s.items[from : from+s.limit] {
		lines = append(lines, item...)
	}
	return append(lines, line{})
}

// fit makes a frame low enough, as far as its expendable sections allow. They lose items, one by one and
// always the longest section, down to one each. Then they lose, one after the other, the last one, and then
// everything.
func fit(frame, expendable []*section, height int) {
	tooHigh := func() bool {
		lines := 0
		for _, s := range frame {
			lines += len(s.shown())
		}
		return height > 0 && lines > height
	}
	for tooHigh() {
		var longest *section
		for _, s := range expendable {
			if s.limit > 1 && (longest == nil || len(s.shown()) > len(longest.shown())) {
				longest = s
			}
		}
		if longest == nil {
			break
		}
		longest.limit--
	}
	for _, s := range expendable {
		if tooHigh() {
			s.limit = 0
		}
	}
	for _, s := range expendable {
		if tooHigh() {
			*s = section{}
		}
	}
}
