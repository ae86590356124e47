package report

import (
	"encoding/xml"
	"fmt"
	"io"
	"time"

	"github.com/reimage/reimage/internal/safetext"
	"github.com/reimage/reimage/rollout"
)

type suites struct {
	XMLName  xml.Name `xml:"testsuites"`
	Name     string   `xml:"name,attr"`
	Tests    int      `xml:"tests,attr"`
	Failures int      `xml:"failures,attr"`
	Errors   int      `xml:"errors,attr"`
	Skipped  int      `xml:"skipped,attr"`
	Time     seconds  `xml:"time,attr"`
	Suites   []suite  `xml:"testsuite"`
}

type suite struct {
	Name      string     `xml:"name,attr"`
	Tests     int        `xml:"tests,attr"`
	Failures  int        `xml:"failures,attr"`
	Errors    int        `xml:"errors,attr"`
	Skipped   int        `xml:"skipped,attr"`
	Time      seconds    `xml:"time,attr"`
	Timestamp string     `xml:"timestamp,attr,omitempty"`
	Cases     []testcase `xml:"testcase"`
}

type testcase struct {
	Name      string   `xml:"name,attr"`
	ClassName string   `xml:"classname,attr"`
	Time      seconds  `xml:"time,attr"`
	Failure   *failure `xml:"failure"`
	Error     *failure `xml:"error"`
	Skipped   *skipped `xml:"skipped"`
}

type failure struct {
	Message string `xml:"message,attr"`
	Type    string `xml:"type,attr"`
	Text    string `xml:",chardata"`
}

type skipped struct {
	Message string `xml:"message,attr"`
}

// seconds are written with three decimals, as build servers read them.
type seconds time.Duration

// MarshalXMLAttr writes the seconds.
func (s seconds) MarshalXMLAttr(name xml.Name) (xml.Attr, error) {
	return xml.Attr{Name: name, Value: fmt.Sprintf("%.3f", time.Duration(s).Seconds())}, nil
}

// junit writes a test suite per wave and a test case per server. A server passes when it has the new image;
// an accepted failure is a failure, and so is a server that got its old image back. Of servers that had not ended
// when the workflow was closed nobody knows: they are errors.
func (r Report) junit(w io.Writer) error {
	r.Name = safetext.Line(r.Name)
	all := suites{Name: "reimage " + r.Name}
	if !r.EndedAt.IsZero() {
		all.Time = seconds(r.EndedAt.Sub(r.StartedAt))
	}
	type place struct{ wave, name string }
	servers := map[place]int{}
	for _, s := range r.Servers {
		servers[place{s.Wave, s.Name}]++
	}
	for _, wave := range r.Waves {
		one := suite{Name: wave.Name}
		var began time.Time
		for _, s := range r.Servers {
			if s.Wave != wave.Name {
				continue
			}
			if began.IsZero() || !s.StartedAt.IsZero() && s.StartedAt.Before(began) {
				began = s.StartedAt
			}
			c := r.testcase(s)
			if s.Name != "" && servers[place{s.Wave, s.Name}] > 1 { // build servers take cases of one name for one case
				c.Name += " (" + s.ID + ")"
			}
			one.add(c)
		}
		if !began.IsZero() {
			one.Timestamp = began.UTC().Format("2006-01-02T15:04:05")
		}
		all.Tests, all.Failures, all.Errors, all.Skipped = all.Tests+one.Tests, all.Failures+one.Failures, all.Errors+one.Errors, all.Skipped+one.Skipped
		all.Suites = append(all.Suites, one)
	}
	if _, err := io.WriteString(w, xml.Header); err != nil {
		return err
	}
	encoder := xml.NewEncoder(w)
	encoder.Indent("", "  ")
	if err := encoder.Encode(all); err != nil {
		return err
	}
	_, err := io.WriteString(w, "\n")
	return err
}

func (s *suite) add(c testcase) {
	s.Tests++
	if c.Failure != nil {
		s.Failures++
	}
	if c.Error != nil {
		s.Errors++
	}
	if c.Skipped != nil {
		s.Skipped++
	}
	s.Time += c.Time
	s.Cases = append(s.Cases, c)
}

func (r Report) testcase(s rollout.ServerProgress) testcase {
	s.Name, s.Reason = safetext.Line(s.Name), safetext.Line(s.Reason)
	c := testcase{Name: s.Name, ClassName: r.Name + "." + s.Wave, Time: seconds(took(s))}
	if s.Name == "" {
		c.Name = s.ID
	}
	switch {
	case s.End == rollout.Done && s.State == rollout.Ended:
	case s.State != rollout.Ended && r.ClosedAs != "":
		c.Error = &failure{Message: fmt.Sprintf("not known: it was %s when the workflow of the rollout was %s", s.State, r.ClosedAs), Type: r.ClosedAs, Text: details(s)}
	case s.State != rollout.Ended:
		c.Skipped = &skipped{"not ended: " + string(s.State)}
	case s.End == rollout.Skipped, s.End == rollout.NotStarted && s.Attempts == 0:
		c.Skipped = &skipped{string(s.End) + ": " + s.Reason}
	default:
		message := string(s.End) + ": " + s.Reason
		if s.Accepted {
			message += " (the failure was accepted)"
		}
		c.Failure = &failure{Message: message, Type: string(s.End), Text: details(s)}
	}
	return c
}

// details tell which server it is and which disks it had and has.
func details(s rollout.ServerProgress) string {
	return fmt.Sprintf("server %s\nbefore: image %s, system disk %s\nafter: image %s, system disk %s\nattempts: %d, started %s, ended %s\n%s\n",
		s.ID, s.Before.ImageID, s.Before.VolumeID, s.After.ImageID, s.After.VolumeID, s.Attempts, moment(s.StartedAt), moment(s.EndedAt), s.Reason)
}
