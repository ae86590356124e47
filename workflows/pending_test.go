package workflows_test

import (
	"encoding/json"
	"strings"
	"testing"
	"unicode/utf8"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
	"go.temporal.io/sdk/temporal"

	"github.com/reimage/reimage/activities/contract"
	"github.com/reimage/reimage/api"
	"github.com/reimage/reimage/rollout"
	"github.com/reimage/reimage/rollout/change"
)

// TestRecords: what the memo says of a change, before each step and at the end.
func TestRecords(t *testing.T) {
	overdue := func(status string) contract.PollJobResult {
		return contract.PollJobResult{End: change.JobEndOverdue, Status: status}
	}
	isBack := contract.RestorePowerResult{Status: rollout.StatusActive}
	for name, test := range map[string]struct {
		play    func(s *stage)
		records []string
	}{
		"done":                               {func(*stage) {}, []string{"off", "off pending", "off pending job", "done"}},
		"done, it was stopped":               {func(s *stage) { s.look.returns(found("SHUTOFF")) }, []string{"", "pending", "pending job", "done"}},
		"done, stopped by an earlier change": {func(s *stage) { s.look.returns(found("SHUTOFF")); s.in.AsBefore = "ACTIVE" }, []string{"off", "off pending", "off pending job", "done"}},
		"the platform stops it":              {func(s *stage) { s.in.Change.WithStopServer = true }, []string{"off pending", "off pending job", "done"}},
		"refused by the look": {func(s *stage) {
			refused := found("ACTIVE")
			refused.Refusals = []string{"it is locked"}
			s.look.returns(refused)
		}, nil},
		"not stopped": {func(s *stage) { s.stop.fails(final(api.ErrOverdue, "")); s.leave.returns(isBack) }, []string{"off", "failed-intact"}},
		"recalled before the stop": {func(s *stage) {
			s.stop.fails(temporal.NewNonRetryableApplicationError("", api.ErrRecalled, nil, false))
		}, []string{"off", "not-started"}},
		"refused":                 {func(s *stage) { s.submit.fails(final(api.ErrRefused, "")); s.leave.returns(isBack) }, []string{"off", "off pending", "failed-intact"}},
		"refused, power not back": {func(s *stage) { s.submit.fails(final(api.ErrRefused, "")) }, []string{"off", "off pending", "off failed-intact"}},
		"another disk": {func(s *stage) {
			s.submit.fails(final(api.ErrForeignDisk, ""))
			s.prove.returns(seen("SHUTOFF", "other", "other"))
		}, []string{"off", "off pending", "off failed-changed"}},
		"gone":                       {func(s *stage) { s.submit.fails(final(api.ErrVanished, "")) }, []string{"off", "off pending", "off pending vanished"}},
		"in doubt, and not seen":     {func(s *stage) { s.submit.fails(final(api.ErrInDoubt, "")); s.prove.returns(untouched()) }, []string{"off", "off pending", "off pending failed-changed"}},
		"in doubt, and seen":         {func(s *stage) { s.submit.fails(final(api.ErrInDoubt, "")) }, []string{"off", "off pending", "done"}},
		"unpaid":                     {func(s *stage) { s.wait.returns(overdue("PENDING_PAYMENT")); s.prove.returns(untouched()) }, []string{"off", "off pending", "off pending job", "off pending job failed-changed"}},
		"unpaid, changed by another": {func(s *stage) { s.wait.returns(overdue("PENDING_PAYMENT")) }, []string{"off", "off pending", "off pending job", "pending job done"}},
		"stuck":                      {func(s *stage) { s.wait.returns(overdue("RUNNING")); s.prove.returns(untouched()) }, []string{"off", "off pending", "off pending job", "off pending job in-progress failed-changed"}},
		"stuck, and seen":            {func(s *stage) { s.wait.returns(overdue("RUNNING")) }, []string{"off", "off pending", "off pending job", "in-progress done"}},
		"forgotten":                  {func(s *stage) { s.wait.returns(contract.PollJobResult{End: change.JobEndForgotten}) }, []string{"off", "off pending", "off pending job", "pending job done"}},
		"failed": {func(s *stage) {
			s.wait.returns(contract.PollJobResult{End: change.JobEndFailed})
			s.prove.returns(untouched())
			s.leave.returns(isBack)
		}, []string{"off", "off pending", "off pending job", "failed-intact"}},
		"failed, the disk is lost": {func(s *stage) {
			s.wait.returns(contract.PollJobResult{End: change.JobEndFailed})
			s.prove.returns(seen("ERROR", oldImage, ""))
		}, []string{"off", "off pending", "off pending job", "off failed-lost"}},
	} {
		t.Run(name, func(t *testing.T) {
			s := newStage(t)
			test.play(s)
			result := s.ended()
			var records []string
			for i, r := range s.records {
				var words []string
				add := func(is bool, word string) {
					if is {
						words = append(words, word)
					}
				}
				add(r.LeftOff == oldDisk, "off")
				add(r.Pending, "pending")
				add(r.Pending && r.Result.JobID == jobID, "job")
				add(!r.InProgressSince.IsZero(), "in-progress")
				add(r.Result.End != "", string(r.Result.End))
				records = append(records, strings.Join(words, " "))
				assert.Equal(t, s.in.Change, r.Change)
				assert.Equal(t, []string{serverID, called, oldDisk}, []string{r.Result.ServerID, r.Result.Name, r.Result.Before.VolumeID})
				if r.Result.End == "" {
					assert.Equal(t, i+1, r.begun, "it is written before the step begins")
				}
			}
			assert.Equal(t, test.records, records)
			if len(s.records) > 0 {
				assert.Equal(t, result, s.records[len(s.records)-1].Result)
			}
		})
	}
}

// TestRecordIsSmall: Temporal warns from 2 KB on.
func TestRecordIsSmall(t *testing.T) {
	s := newStage(t)
	s.submit.fails(final(api.ErrInDoubt, strings.Repeat("Ä trouble ", 500)))
	s.prove.returns(untouched())
	assert.Greater(t, len(s.ended().Reason), 4000)
	record := s.records[len(s.records)-1]
	assert.True(t, utf8.ValidString(record.Result.Reason))
	encoded, err := json.Marshal(record.ChangeRecord)
	require.NoError(t, err)
	assert.Less(t, len(encoded), 2<<10)
}
