package spec

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"regexp"
	"strconv"
	"strings"
	"unicode/utf8"

	"go.yaml.in/yaml/v3"

	"github.com/reimage/reimage/rollout/document"
)

// MaxSize is the largest document, and the largest file of servers, in bytes.
const MaxSize = 1 << 20

// Parse reads a document and checks it against every rule. file is its name in messages. The error is
// Problems: all that is wrong, each with its line and column.
//
// A document is plain YAML: one per file, no aliases, nothing left without a value, no field twice. What
// is left out stays zero: see WithDefaults.
func Parse(file string, content []byte) (document.Rollout, error) {
	root, problem := readTree(content)
	if problem != nil {
		problem.File = file
		return document.Rollout{}, Problems{*problem}
	}
	var doc document.Rollout
	problems := decode(root, &doc)
	for i := range problems {
		problems[i].File = file
	}
	return doc, problems.err()
}

// readTree reads the one YAML document of a file.
func readTree(content []byte) (*yaml.Node, *Problem) {
	if len(content) > MaxSize {
		return nil, &Problem{Line: 1, Column: 1, Message: fmt.Sprintf("the file has %d bytes, more than %d: long lists of servers go into a file of their own, see select.file", len(content), MaxSize)}
	}
	if !utf8.Valid(content) {
		return nil, notUTF8(content)
	}
	decoder := yaml.NewDecoder(bytes.NewReader(content))
	var root, second yaml.Node
	if err := decoder.Decode(&root); err != nil && !errors.Is(err, io.EOF) {
		return nil, syntaxProblem(content, err)
	}
	if isEmpty(root) {
		return nil, &Problem{Line: 1, Column: 1, Message: "the file is empty: a rollout begins with apiVersion: " + document.APIVersion}
	}
	for isEmpty(second) { // files that were put together may end in ---
		second = yaml.Node{}
		switch err := decoder.Decode(&second); {
		case errors.Is(err, io.EOF):
			return root.Content[0], nil
		case err != nil:
			return nil, syntaxProblem(content, err)
		}
	}
	return nil, &Problem{Line: second.Line, Column: second.Column, Message: "a second document begins here: one file holds one rollout"}
}

func isEmpty(document yaml.Node) bool {
	return len(document.Content) == 0 || document.Content[0].Tag == "!!null"
}

func notUTF8(content []byte) *Problem {
	good := 0
	for good < len(content) {
		r, size := utf8.DecodeRune(content[good:])
		if r == utf8.RuneError && size == 1 {
			break
		}
		good += size
	}
	line, column := placeIn(content, good)
	return &Problem{Line: line, Column: column, Message: "the file is not UTF-8 text"}
}

// placeIn is the line and column of an offset.
func placeIn(content []byte, offset int) (line, column int) {
	before := content[:offset]
	return bytes.Count(before, []byte{'\n'}) + 1, utf8.RuneCount(before[bytes.LastIndexByte(before, '\n')+1:]) + 1
}

// syntaxProblem gives an error of the YAML library a place. The library knows the line at best; the
// column is where that line begins.
func syntaxProblem(content []byte, err error) *Problem {
	message, line := strings.TrimPrefix(err.Error(), "yaml: "), 1
	if parts := regexp.MustCompile(`(?s)^line (\d+): (.*)$`).FindStringSubmatch(message); parts != nil {
		line, _ = strconv.Atoi(parts[1])
		message = parts[2]
	}
	if rest, ok := strings.CutPrefix(message, "unknown anchor '"); ok {
		// The library repeats the text, which may be a password that begins with *.
		alias := "*" + strings.TrimSuffix(rest, "' referenced")
		line, column := placeIn(content, max(0, bytes.Index(content, []byte(alias))))
		return &Problem{Line: line, Column: column, Message: noAliases}
	}
	lines := strings.Split(string(content), "\n")
	line = max(1, min(line, len(lines))) // YAML breaks lines at carriage returns too
	text := lines[line-1]
	indent := text[:len(text)-len(strings.TrimLeft(text, " \t"))]
	if strings.Contains(indent, "\t") {
		message += " (the line is indented with a tab: YAML takes only spaces)"
	}
	return &Problem{Line: line, Column: len(indent) + 1, Message: "not YAML: " + message}
}
