package main

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os"

	"github.com/reimage/reimage/rollout"
)

// writePlan writes a plan for apply.
func writePlan(path string, plan rollout.Plan) error {
	content, err := json.MarshalIndent(plan, "", "  ")
	if err != nil {
		return fmt.Errorf("the plan cannot be written: %w", err)
	}
	return writeFile(path, append(content, '\n'))
}

// readPlan reads a plan and refuses one that is not as the planner made it, down to fields that this
// program does not know: the digest could not tell of them.
func readPlan(path string) (rollout.Plan, error) {
	var plan rollout.Plan
	content, err := os.ReadFile(path)
	if err != nil {
		return plan, err
	}
	decoder := json.NewDecoder(bytes.NewReader(content))
	decoder.DisallowUnknownFields()
	err = decoder.Decode(&plan)
	if err == nil {
		if _, more := decoder.Token(); !errors.Is(more, io.EOF) {
			err = errors.New("something follows the plan")
		}
	}
	if err != nil {
		return plan, fmt.Errorf("%s is not a plan, or was edited: %w; make one with: reimage plan", path, err)
	}
	if err := plan.Verify(); err != nil {
		return plan, fmt.Errorf("%s: %w", path, err)
	}
	return plan, nil
}
