package emulator

import (
	"errors"
	"fmt"
	"maps"
	"slices"
	"strconv"
	"strings"

	"github.com/reimage/reimage/rollout/edition"
)

// Edition decides what the published editions of the API contradict each other about, or do not say at all.
// The zero value is the default edition.
type Edition struct {
	edition.Edition // what the documents of the clouds say: docs/editions.md

	NoHardOverSoft    bool // a HARD stop while a SOFT one runs is refused as busy, else it takes over
	NoTemporary       bool // the platform's temporary server stays out of lists
	NoMetadataSession bool // the metadata service is of version 1 and knows no session (a fallback of the SDK)
	StartedIsSuccess  bool // stopping a stopped or starting a running server is an empty success, else Ecs.0100

	UnknownJob         string // status of an unknown job: "400" (default, Common.0011) or "404"
	BusyCode           string // a write while another runs: "Ecs.0603" (default, HTTP 501) or "Ecs.0100" (HTTP 400)
	RebuildView        string // view during a change: "rebuild" (default) or "shutoff": SHUTOFF, task_state null, all the time
	JobShape           string // entities of a change: "flat" (default) or "sub_jobs"
	JobType            string // job_type of a change; published nowhere; default "changeOs"
	TemporaryName      string // of the platform's temporary server, "*" for that of the server; default "*_os_change_tmp"
	TemporaryStatus    string // of the same: "BUILD" (default) or "ACTIVE"
	WeightZeroSourceIP string // of a pool with the algorithm SOURCE_IP or QUIC_CID: "honoured" (default), or "ignored": weight 0 changes nothing
	PowerStateShutdown int    // OS-EXT-STS:power_state of a stopped server: 4 (default) or 3
}

// NamedEdition returns the edition of a cloud: docs/editions.md has the names.
func NamedEdition(name string) (Edition, error) {
	documented, err := edition.Named(name)
	return Edition{Edition: documented}, err
}

// Set turns one switch, by its name in snake case: "strict_key_name", "busy_code". A switch that is on or off takes
// "true" or "false". New checks the values of the others.
func (e *Edition) Set(name, value string) error {
	flags := map[string]*bool{
		"no_hard_over_soft": &e.NoHardOverSoft, "no_temporary": &e.NoTemporary, "started_is_success": &e.StartedIsSuccess,
		"no_metadata_session": &e.NoMetadataSession,
	}
	for _, documented := range edition.Switches(&e.Edition) {
		flags[documented.Name] = documented.On
	}
	texts := map[string]*string{
		"unknown_job": &e.UnknownJob, "busy_code": &e.BusyCode, "rebuild_view": &e.RebuildView, "job_shape": &e.JobShape, "job_type": &e.JobType,
		"temporary_name": &e.TemporaryName, "temporary_status": &e.TemporaryStatus,
		"weight_zero_source_ip": &e.WeightZeroSourceIP,
	}
	numbers := map[string]*int{"power_state_shutdown": &e.PowerStateShutdown}

	if field, ok := texts[name]; ok {
		*field = value
		return nil
	}
	var err error
	if field, ok := flags[name]; ok {
		if *field, err = strconv.ParseBool(value); err != nil {
			return fmt.Errorf("edition: %s %q is neither true nor false", name, value)
		}
		return nil
	}
	if field, ok := numbers[name]; ok {
		if *field, err = strconv.Atoi(value); err != nil {
			return fmt.Errorf("edition: %s %q is not a number", name, value)
		}
		return nil
	}
	known := slices.Concat(slices.Collect(maps.Keys(flags)), slices.Collect(maps.Keys(texts)), slices.Collect(maps.Keys(numbers)))
	slices.Sort(known)
	return fmt.Errorf("edition: switch %q is not known; known are %s", name, strings.Join(known, ", "))
}

func (e Edition) withDefaults() Edition {
	text := func(field *string, value string) {
		if *field == "" {
			*field = value
		}
	}
	text(&e.UnknownJob, "400")
	text(&e.BusyCode, "Ecs.0603")
	text(&e.RebuildView, "rebuild")
	text(&e.JobShape, "flat")
	text(&e.JobType, "changeOs")
	text(&e.TemporaryName, "*_os_change_tmp")
	text(&e.TemporaryStatus, "BUILD")
	text(&e.WeightZeroSourceIP, "honoured")
	if e.PowerStateShutdown == 0 {
		e.PowerStateShutdown = 4
	}
	return e
}

func (e Edition) validate() error {
	var problems []error
	among := func(field, value string, allowed ...string) {
		if !slices.Contains(allowed, value) {
			problems = append(problems, fmt.Errorf("edition: %s %q is not one of %s", field, value, strings.Join(allowed, ", ")))
		}
	}
	among("unknown job", e.UnknownJob, "400", "404")
	among("busy code", e.BusyCode, "Ecs.0603", "Ecs.0100")
	among("rebuild view", e.RebuildView, "rebuild", "shutoff")
	among("job shape", e.JobShape, "flat", "sub_jobs")
	among("status of the temporary server", e.TemporaryStatus, "BUILD", "ACTIVE")
	among("weight 0 under SOURCE_IP", e.WeightZeroSourceIP, "honoured", "ignored")
	among("power state of a stopped server", fmt.Sprint(e.PowerStateShutdown), "4", "3")
	return errors.Join(problems...)
}
