package main

import (
	"encoding/json"
	"fmt"

	"go.yaml.in/yaml/v3"

	"github.com/reimage/reimage/internal/progressview"
	"github.com/reimage/reimage/rollout"
	"github.com/reimage/reimage/rollout/spec"
)

// writePlan writes a plan for apply.
func writePlan(path string, plan rollout.Plan) error {
	content, err := json.MarshalIndent(plan, "", "  ")
	if err != nil {
		return fmt.Errorf("the plan cannot be written: %w", err)
	}
	return writeFile(path, append(content, '\n'))
}

// readPlan reads a plan and refuses one that is not as the planner made it.
func readPlan(path string) (rollout.Plan, error) {
	content, err := readFile(path, rollout.MaxPlanSize)
	if err != nil {
		return rollout.Plan{}, err
	}
	plan, err := rollout.ReadPlan(content)
	switch {
	case err == nil:
		return plan, nil
	case looksLikeDocument(content):
		return plan, fmt.Errorf("%s is a rollout and not a plan yet; make one with: reimage plan -f %s -o plan.json", path, progressview.Word(path))
	}
	return plan, fmt.Errorf("%s is not a plan, or was edited: %w; make one with: reimage plan", path, err)
}

// looksLikePlan and looksLikeDocument tell the two files of a rollout apart, should somebody give the one for
// the other. A plan is JSON with a digest; a document names its kind.
func looksLikePlan(content []byte) bool {
	var plan struct {
		Digest string `json:"digest"`
	}
	return json.Unmarshal(content, &plan) == nil && plan.Digest != ""
}

func looksLikeDocument(content []byte) bool {
	var document struct {
		Kind string `yaml:"kind"`
	}
	return len(content) <= spec.MaxSize && yaml.Unmarshal(content, &document) == nil && document.Kind == spec.Kind
}
