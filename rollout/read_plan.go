package rollout

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"io"
)

const (
	// MaxPlanSize is the largest plan that is read, in bytes. As they are written, 10,000 servers take 4 MB.
	// 40,000 take 16 MB and fill a payload of Temporal (2 MB, compressed), so more cannot be applied.
	MaxPlanSize = 32 << 20
	// maxPlanObjects bounds what is made of them: read, {}, is a whole server. A planned server has two
	// objects; a skipped one, a wave and a cap have one each.
	maxPlanObjects = 1 << 17
)

// ReadPlan reads a plan and refuses one that does not say what the planner wrote: the same fields, once, in
// the same order. A digest cannot tell of a field that this program does not know, or that is given twice:
// people would read the one and the program the other.
func ReadPlan(content []byte) (Plan, error) {
	switch {
	case len(content) > MaxPlanSize:
		return Plan{}, fmt.Errorf("it has more than %d MB", MaxPlanSize>>20)
	case bytes.Count(content, []byte("{")) > maxPlanObjects:
		return Plan{}, errors.New("it has more servers, waves and caps than Temporal carries")
	}
	var plan Plan
	decoder := json.NewDecoder(bytes.NewReader(content))
	decoder.DisallowUnknownFields()
	if err := decoder.Decode(&plan); err != nil {
		return Plan{}, fmt.Errorf("it is not a plan: %w", err)
	}
	if _, more := decoder.Token(); !errors.Is(more, io.EOF) {
		return Plan{}, errors.New("something follows the plan")
	}
	if err := plan.Verify(); err != nil {
		return Plan{}, err
	}
	if !plan.is(content) {
		return Plan{}, errors.New("a field is given twice, in another place, or spelled in another way than the planner does")
	}
	return plan, nil
}

// is tells whether the content is the JSON of the plan, whatever its blanks.
func (p Plan) is(content []byte) bool {
	var compact, escaped bytes.Buffer
	if json.Compact(&compact, content) != nil {
		return false
	}
	json.HTMLEscape(&escaped, compact.Bytes())
	own, err := json.Marshal(p)
	return err == nil && bytes.Equal(own, escaped.Bytes())
}
