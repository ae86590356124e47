package change

import (
	"errors"
	"fmt"
	"time"
)

// Timing says how often the cloud is asked and for how long it is distrusted.
type Timing struct {
	// Poll is the time between two looks at a job or a server.
	Poll time.Duration
	// Lag is the longest time by which the server view may trail behind what really happened.
	Lag time.Duration
	// Settle is how long a server must look untouched before an unanswered request counts as not accepted. It has to
	// outlast the deadline of the request, which counts from its look, and Lag.
	Settle time.Duration
	// SoftStop is how long a guest may take to shut down. The platform forces it after at most 5 minutes.
	SoftStop time.Duration
}

// DefaultTiming suits the real cloud: changes take one to twenty minutes.
func DefaultTiming() Timing {
	return Timing{
		Poll:     10 * time.Second,
		Lag:      90 * time.Second,
		Settle:   2*time.Minute + 10*time.Second,
		SoftStop: 6 * time.Minute,
	}
}

// MaxSettle keeps the settle time within the time limit of one attempt of SubmitChangeOS.
const MaxSettle = 8 * time.Minute

// Validate refuses a timing with which a server could be wiped twice.
func (t Timing) Validate(requestTimeout time.Duration) error {
	var wrong []error
	if t.Poll <= 0 || t.SoftStop <= 0 || t.Lag < 0 {
		wrong = append(wrong, fmt.Errorf("the poll interval (%s) and soft stop time (%s) must be above zero, the lag (%s) not below", t.Poll, t.SoftStop, t.Lag))
	}
	if shortest := requestTimeout + t.Lag; t.Settle < shortest {
		wrong = append(wrong, fmt.Errorf("the settle time (%s) must not be shorter than the request timeout plus the lag (%s): a request that is still on its way would be taken for lost and sent again", t.Settle, shortest))
	}
	if t.Settle > MaxSettle {
		wrong = append(wrong, fmt.Errorf("the settle time (%s) must not exceed %s", t.Settle, MaxSettle))
	}
	return errors.Join(wrong...)
}
