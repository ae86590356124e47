package userdata

import (
	"errors"
	"fmt"
	"io"
	"regexp"
	"strings"

	"go.yaml.in/yaml/v3"
)

// maxYAML is up to which size YAML is read. 32 KB of user data may unpack to megabytes, which take the parser seconds.
const maxYAML = 256 << 10

// yamlWarnings are about a cloud-config, which has to be a mapping, or an archive, which has to be a list.
func yamlWarnings(document string, archive bool) []string {
	if len(document) > maxYAML {
		return nil
	}
	kind, wanted, what := yaml.MappingNode, "a mapping (key: value)", "cloud-config"
	if archive {
		kind, wanted, what = yaml.SequenceNode, "a list", "cloud-config-archive"
	}
	root, err := parse(document)
	switch {
	case err != nil:
		return []string{fmt.Sprintf("is a %s that does not read as YAML%s, so that all of it is ignored: mend it", what, lineOf(err))}
	case root == nil:
		return []string{fmt.Sprintf("is a %s with nothing behind its header", what)}
	case root.Kind != kind:
		return []string{fmt.Sprintf("is a %s that is not %s, so that all of it is ignored: mend it", what, wanted)}
	}
	return nil
}

// isMapping is true for YAML of keys and values, as a cloud-config is.
func isMapping(document string) bool {
	if len(document) > maxYAML {
		return false
	}
	root, err := parse(document)
	return err == nil && root != nil && root.Kind == yaml.MappingNode
}

var errSeveral = errors.New("it holds several documents")

// parse reads the one YAML document. Nil stands for an empty one.
func parse(document string) (*yaml.Node, error) {
	decoder := yaml.NewDecoder(strings.NewReader(document))
	var first, second yaml.Node
	if err := decoder.Decode(&first); err != nil {
		if errors.Is(err, io.EOF) {
			return nil, nil
		}
		return nil, err
	}
	if err := decoder.Decode(&second); !errors.Is(err, io.EOF) {
		return nil, errSeveral
	}
	if len(first.Content) == 0 || first.Content[0].Tag == "!!null" {
		return nil, nil
	}
	return first.Content[0], nil
}

var yamlLine = regexp.MustCompile(`line \d+`)

// lineOf says where it does not read. The parser's own text may repeat the document.
func lineOf(err error) string {
	if errors.Is(err, errSeveral) {
		return " (it holds several documents)"
	}
	if line := yamlLine.FindString(err.Error()); line != "" {
		return " (" + line + ")"
	}
	return ""
}
