package main

import (
	"io"
	"os"
	"strconv"
	"strings"

	"golang.org/x/term"
)

// screen draws frames in place: each one over the one before, without an alternate screen, so that the last
// one stays in the terminal when the command has ended.
type screen struct {
	out io.Writer
	// size is the terminal's width and height now.
	size    func() (columns, lines int)
	colours bool
	drawn   int // lines of the frame on the screen
}

// The size of a terminal that does not tell.
const (
	usualColumns = 80
	usualLines   = 24
)

// newScreen gives a screen when out is a terminal that can move its cursor.
func newScreen(out io.Writer) (*screen, bool) {
	file, ok := out.(*os.File)
	if !ok || !term.IsTerminal(int(file.Fd())) || os.Getenv("TERM") == "dumb" {
		return nil, false
	}
	size := func() (int, int) {
		columns, lines, err := term.GetSize(int(file.Fd()))
		if err != nil || columns <= 0 || lines <= 0 {
			return usualColumns, usualLines
		}
		return columns, lines
	}
	return &screen{out: out, size: size, colours: os.Getenv("NO_COLOR") == ""}, true
}

// room is what a frame may take: the last column and the last line are left to the cursor.
func (s *screen) room() (columns, lines int) {
	columns, lines = s.size()
	return max(1, columns-1), max(1, lines-1)
}

// draw replaces the frame. What does not fit is left out at the end, because nothing that has scrolled away
// could be drawn over. It is one write, so that nothing flickers.
func (s *screen) draw(frame []string) error {
	_, lines := s.room()
	frame = frame[:min(len(frame), lines)]
	var text strings.Builder
	text.WriteString("\r")
	if up := min(s.drawn, lines); up > 0 {
		text.WriteString("\x1b[" + strconv.Itoa(up) + "A")
	}
	for _, line := range frame {
		text.WriteString(line + "\x1b[K\n")
	}
	text.WriteString("\x1b[J")
	s.drawn = len(frame)
	_, err := io.WriteString(s.out, text.String())
	return err
}
