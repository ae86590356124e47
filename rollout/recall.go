package rollout

// Recall says which servers in flight a rollout takes back. A server whose change was submitted, or may have been, is
// never taken back: it is finished.
type Recall string

// The recalls.
const (
	RecallNone        Recall = ""
	RecallUntouched   Recall = "untouched"   // servers that nothing was done to
	RecallUnsubmitted Recall = "unsubmitted" // servers that were stopped for their change, too
)

// Includes is true for a recall of servers that were stopped for their change (touched), or of those that were not.
// An unknown recall includes every server: then nothing is sent.
func (r Recall) Includes(touched bool) bool {
	switch r {
	case RecallNone:
		return false
	case RecallUntouched:
		return !touched
	}
	return true
}
