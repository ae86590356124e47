package report

import (
	"encoding/csv"
	"io"
	"strconv"
	"strings"
	"time"
	"unicode"

	"github.com/reimage/reimage/internal/safetext"
	"github.com/reimage/reimage/internal/timestamp"
)

// csv writes a line per server, after a line of column names.
func (r Report) csv(w io.Writer) error {
	out := csv.NewWriter(w)
	err := out.Write([]string{
		"id", "name", "zone", "group", "wave", "state", "end", "reason", "accepted", "attempts",
		"started_at", "ended_at", "seconds", "image_before", "volume_before", "image_after", "volume_after",
	})
	for _, s := range r.Servers {
		if err != nil {
			return err
		}
		cells := []string{
			s.ID, s.Name, s.Zone, s.Group, s.Wave, string(s.State), string(s.End), s.Reason,
			strconv.FormatBool(s.Accepted), strconv.Itoa(s.Attempts), moment(s.StartedAt), moment(s.EndedAt), strconv.FormatInt(int64(took(s).Seconds()), 10),
			s.Before.ImageID, s.Before.VolumeID, s.After.ImageID, s.After.VolumeID,
		}
		for i := range cells {
			cells[i] = cell(cells[i])
		}
		err = out.Write(cells)
	}
	out.Flush()
	if err == nil {
		err = out.Error()
	}
	return err
}

// cell keeps a spreadsheet from running a text of the cloud as a formula: a text that begins like one, also
// behind blanks, gets an apostrophe in front. Nor does it steer a terminal.
func cell(text string) string {
	text = safetext.Line(text)
	begins := strings.TrimLeftFunc(text, func(r rune) bool { return unicode.IsSpace(r) || unicode.IsControl(r) || unicode.Is(unicode.Cf, r) })
	if begins != "" && strings.ContainsRune("=+-@＝＋－＠", []rune(begins)[0]) {
		return "'" + text
	}
	return text
}

func moment(t time.Time) string { return timestamp.Full(t) }
