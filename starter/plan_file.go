package main

import (
	"encoding/json"
	"fmt"
	"io"
	"os"

	"go.yaml.in/yaml/v3"

	"github.com/reimage/reimage/internal/timestamp"
	"github.com/reimage/reimage/rollout"
	"github.com/reimage/reimage/rollout/document"
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
func readPlan(in io.Reader, path string) (rollout.Plan, error) {
	content, err := readInput(in, path, rollout.MaxPlanSize)
	if err != nil {
		return rollout.Plan{}, err
	}
	plan, err := rollout.ReadPlan(content)
	switch {
	case err == nil:
		return plan, nil
	case looksLikeDocument(content):
		return plan, fmt.Errorf("%s is a rollout and not a plan yet; make one with: reimage plan -f %s -o plan.json", shownPath(path), fileWord(path))
	}
	return plan, fmt.Errorf("%s cannot be carried out: %w; make a new plan with: reimage plan -f FILE -o %s", shownPath(path), err, planWord(path))
}

// planWord is the file of a plan in a command to type.
func planWord(path string) string {
	if path == stdin {
		return "plan.json"
	}
	return fileWord(path)
}

// stillPlanned adds to the error of a plan that was not made which plan the file holds all the same, for apply would
// take that one.
func stillPlanned(path string, failed error) error {
	if info, err := os.Stat(path); err != nil || !info.Mode().IsRegular() { // a pipe holds no plan, and would be waited for
		return failed
	}
	old, err := readPlan(nil, path)
	if err != nil {
		return failed
	}
	return fmt.Errorf("%w\n%s still holds the plan of %s", failed, path, timestamp.Full(old.MadeAt))
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
	var doc struct {
		Kind string `yaml:"kind"`
	}
	return len(content) <= spec.MaxSize && yaml.Unmarshal(content, &doc) == nil && doc.Kind == document.Kind
}
