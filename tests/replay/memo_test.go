package replay

import (
	"strings"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/reimage/reimage/activities/contract"
	"github.com/reimage/reimage/api"
)

// TestRecordsComeBeforeTheirSteps: a change is on record in the very workflow task that schedules a step which needs it. Then
// Temporal has the record whenever the step has begun.
func TestRecordsComeBeforeTheirSteps(t *testing.T) {
	for _, path := range paths() {
		if !strings.HasPrefix(path.name, "changeos-") {
			continue
		}
		t.Run(path.name, func(t *testing.T) {
			var record api.ChangeRecord
			var recordedBy int64 // the workflow task
			steps := 0
			for _, event := range load(t, file(path.name)).GetEvents() {
				if upserted := event.GetWorkflowPropertiesModifiedEventAttributes(); upserted != nil {
					payload := upserted.GetUpsertedMemo().GetFields()[api.ChangeMemo]
					assert.Equal(t, "json/plain", string(payload.GetMetadata()["encoding"]))
					assert.Less(t, len(payload.GetData()), 2<<10, "Temporal warns from 2 KB on")
					record, recordedBy = api.ChangeRecord{}, upserted.GetWorkflowTaskCompletedEventId()
					require.NoError(t, api.DataConverter().FromPayload(payload, &record))
				}
				scheduled := event.GetActivityTaskScheduledEventAttributes()
				switch step := scheduled.GetActivityType().GetName(); step {
				case contract.StopIfNeeded, contract.SubmitChangeOS, contract.PollJob:
					steps++
					assert.Equal(t, scheduled.GetWorkflowTaskCompletedEventId(), recordedBy, step)
					assert.Equal(t, step != contract.StopIfNeeded, record.Pending, step)
					assert.Equal(t, step == contract.PollJob, record.Result.JobID != "", step)
					assert.Equal(t, path.status == "ACTIVE", record.LeftOff != "", step)
				}
				if closed := event.GetWorkflowExecutionCompletedEventAttributes(); closed != nil {
					assert.Equal(t, closed.GetWorkflowTaskCompletedEventId(), recordedBy, "the end")
					assert.Equal(t, path.end, record.Result.End)
				}
			}
			assert.Positive(t, steps)
		})
	}
}
