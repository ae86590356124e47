package emulator

import (
	"errors"
	"fmt"
	"io"
	"reflect"
	"slices"

	"go.yaml.in/yaml/v3"
)

// LoadFaults reads a file of fault rules: a list under "faults:", fields in lower snake case, durations such as "90s".
// JSON is read too, being YAML. Unknown fields and kinds are errors that name the line and what is known.
func LoadFaults(r io.Reader) ([]Fault, error) {
	var document yaml.Node
	switch err := yaml.NewDecoder(r).Decode(&document); {
	case errors.Is(err, io.EOF):
		return nil, nil
	case err != nil:
		return nil, fmt.Errorf("faults: %w", err)
	}
	root := document.Content[0]
	if root.Kind != yaml.MappingNode || len(root.Content) != 2 || root.Content[0].Value != "faults" {
		return nil, fmt.Errorf("line %d: the file must hold one list under faults", root.Line)
	}
	rules := root.Content[1]
	if rules.Kind == yaml.ScalarNode && rules.Tag == "!!null" {
		return nil, nil
	}
	if rules.Kind != yaml.SequenceNode {
		return nil, fmt.Errorf("line %d: faults is not a list", rules.Line)
	}
	var faults []Fault
	var problems []error
	for _, node := range rules.Content {
		f, err := readFault(node)
		if err != nil {
			problems = append(problems, err)
			continue
		}
		faults = append(faults, f)
	}
	if err := errors.Join(problems...); err != nil {
		return nil, err
	}
	return faults, nil
}

func readFault(node *yaml.Node) (Fault, error) {
	if node.Kind != yaml.MappingNode {
		return Fault{}, fmt.Errorf("line %d: a fault is a mapping of %s", node.Line, list(faultFields()))
	}
	var problems []error
	for i := 0; i < len(node.Content); i += 2 {
		if key := node.Content[i]; !slices.Contains(faultFields(), key.Value) {
			problems = append(problems, fmt.Errorf("line %d: unknown field %q; known are %s", key.Line, key.Value, list(faultFields())))
		}
	}
	var written writtenFault
	if err := node.Decode(&written); err != nil {
		return Fault{}, errors.Join(append(problems, err)...)
	}
	f, err := written.fault()
	if err = errors.Join(err, f.validate()); err != nil {
		problems = append(problems, fmt.Errorf("line %d: %w", lineOf(node, "kind"), err))
	}
	return f, errors.Join(problems...)
}

// lineOf returns the line of a field, or of the whole mapping when the field is not there.
func lineOf(node *yaml.Node, field string) int {
	for i := 0; i < len(node.Content); i += 2 {
		if node.Content[i].Value == field {
			return node.Content[i].Line
		}
	}
	return node.Line
}

func faultFields() []string {
	var names []string
	for field := range reflect.TypeFor[writtenFault]().Fields() {
		names = append(names, field.Tag.Get("yaml"))
	}
	return names
}
