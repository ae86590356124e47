package spec

import (
	"encoding"
	"fmt"
	"reflect"
	"slices"
	"strconv"
	"strings"
	"unicode"

	"go.yaml.in/yaml/v3"

	"github.com/reimage/reimage/rollout"
	"github.com/reimage/reimage/rollout/document"
)

// decoder reads a YAML tree into the types of a document. The yaml tags are the only list of the fields.
type decoder struct {
	problems Problems
	// at is where each field of the document stands, by its path.
	at map[string]place
	// failed are the fields that stand in the document but could not be read, and holding is what they
	// stand in. The rules have nothing to say about either: they would complain of what is there.
	failed, holding map[string]bool
}

const noAliases = "an alias stands here: write the value out, so that everybody sees it"

const noValue = "has no value: give one or leave the field out"

type place struct{ line, column int }

// decode reads the tree into a document and checks it against the rules.
func decode(root *yaml.Node, doc *document.Rollout) Problems {
	d := &decoder{
		at:     map[string]place{"": {root.Line, root.Column}},
		failed: make(map[string]bool), holding: make(map[string]bool),
	}
	d.value(root, reflect.ValueOf(doc).Elem(), "")
	for _, problem := range check(*doc) {
		if !d.failedToRead(problem) {
			problem.dependsOn = nil
			problem.Line, problem.Column = d.near(problem.Path)
			d.problems = append(d.problems, problem)
		}
	}
	d.problems.sort()
	return d.problems
}

// value reads a node into a value of any of the types of a document.
func (d *decoder) value(node *yaml.Node, into reflect.Value, path string) {
	if node.Kind == yaml.AliasNode {
		d.refuse(node, path, noAliases)
		return
	}
	if node.Kind == yaml.ScalarNode && (node.Tag == "!!null" || node.Value == "") {
		d.refuse(node, path, noValue)
		return
	}
	if into.Kind() == reflect.Pointer {
		into.Set(reflect.New(into.Type().Elem()))
		into = into.Elem()
	}
	if text, ok := into.Addr().Interface().(encoding.TextUnmarshaler); ok {
		if node.Kind != yaml.ScalarNode {
			d.refuse(node, path, kindOf(node)+" stands here, and a single value is expected")
		} else if err := text.UnmarshalText([]byte(node.Value)); err != nil {
			d.refuse(node, path, err.Error())
		}
		return
	}
	switch into.Kind() {
	case reflect.Struct:
		d.mapping(node, into, path)
	case reflect.Slice:
		d.list(node, into, path)
	default:
		d.scalar(node, into, path)
	}
}

// mapping reads the fields of a struct.
func (d *decoder) mapping(node *yaml.Node, into reflect.Value, path string) {
	names, fields := fieldsOf(into)
	if node.Kind != yaml.MappingNode {
		d.refuse(node, path, fmt.Sprintf("%s stands here, and fields are expected: %s", kindOf(node), strings.Join(names, ", ")))
		return
	}
	seen := make(map[string]int)
	for i := 0; i < len(node.Content); i += 2 {
		key, value := node.Content[i], node.Content[i+1]
		name, at := key.Value, slices.Index(names, key.Value)
		first, twice := seen[name]
		switch {
		case key.Kind != yaml.ScalarNode:
			d.reject(key, path, fmt.Sprintf("%s stands where the name of a field is expected", kindOf(key)))
			continue
		case twice:
			d.reject(key, path, fmt.Sprintf("field %s is given twice, first in line %d", shown(told(name, path, fields)), first))
			continue
		}
		seen[name] = key.Line
		if at < 0 {
			d.unknown(node, key, told(name, path, fields), names, path)
			continue
		}
		d.at[join(path, name)] = placeOf(key, value)
		d.value(value, fields[at], join(path, name))
	}
}

// told is what may be told of the name of a field. Beside a reference to a secret that is its first word only,
// and within the login only the letters of that: where a colon or the space after it was forgotten, the secret is
// in the name.
func told(name, path string, fields []reflect.Value) string {
	isSecret := func(field reflect.Value) bool { return field.Type() == reflect.TypeFor[rollout.SecretRef]() }
	ends := func(r rune) bool {
		return !unicode.IsLetter(r) && (path == "spec.login" || !strings.ContainsRune("_-", r))
	}
	if end := strings.IndexFunc(name, ends); end >= 0 && slices.ContainsFunc(fields, isSecret) {
		return name[:end]
	}
	return name
}

// unknown names the known field that was meant, or all there are. name is what may be told of the key.
func (d *decoder) unknown(node, key *yaml.Node, name string, names []string, path string) {
	if slices.Contains(names, name) {
		d.reject(key, path, fmt.Sprintf("after %s a colon and a space are expected", name))
		d.fail(join(path, name))
		return
	}
	begins := func(known string) bool { return strings.HasPrefix(strings.ToLower(known), strings.ToLower(name)) }
	if instead := hint(name); instead != "" && !slices.ContainsFunc(names, begins) {
		d.reject(key, path, fmt.Sprintf("unknown field %s: %s", shown(name), instead))
		return
	}
	if meant := nearest(name, names); meant != "" {
		d.reject(key, path, fmt.Sprintf("unknown field %s; did you mean %s?", shown(name), meant))
		if !has(node, meant) { // the rules may judge one that is there
			d.fail(join(path, meant))
		}
		return
	}
	d.reject(key, path, fmt.Sprintf("unknown field %s; known here are %s", shown(name), strings.Join(names, ", ")))
}

// has is true for a mapping with the field.
func has(node *yaml.Node, name string) bool {
	for i := 0; i < len(node.Content); i += 2 {
		if node.Content[i].Value == name {
			return true
		}
	}
	return false
}

func (d *decoder) list(node *yaml.Node, into reflect.Value, path string) {
	if node.Kind != yaml.SequenceNode {
		d.refuse(node, path, kindOf(node)+" stands here, and a list is expected")
		return
	}
	if len(node.Content) == 0 {
		d.refuse(node, path, noValue)
		return
	}
	into.Set(reflect.MakeSlice(into.Type(), len(node.Content), len(node.Content)))
	for i, item := range node.Content {
		itemPath := path + "[" + strconv.Itoa(i) + "]"
		d.at[itemPath] = place{item.Line, item.Column}
		d.value(item, into.Index(i), itemPath)
	}
}

// scalar reads a text, a number, or true or false. What stands in the place of a reference to a secret is
// never repeated: it may be the secret.
func (d *decoder) scalar(node *yaml.Node, into reflect.Value, path string) {
	got := kindOf(node)
	secret := into.Type() == reflect.TypeFor[rollout.SecretRef]()
	if node.Kind == yaml.ScalarNode && !secret {
		got = quote(node.Value)
	}
	switch into.Kind() {
	case reflect.String:
		isText := node.Kind == yaml.ScalarNode && node.ShortTag() == "!!str"
		switch {
		case secret && !isText:
			d.refuse(node, path, got+" stands here, and a reference is expected: env:REIMAGE_SECRET_NAME or file:PATH")
		case node.Kind != yaml.ScalarNode:
			d.refuse(node, path, got+" stands here, and a text is expected")
		case !isText:
			d.refuse(node, path, got+" is not a text: put it in quotes")
		case strings.ContainsFunc(node.Value, func(r rune) bool { return unicode.IsControl(r) && r != '\n' && r != '\t' }):
			d.refuse(node, path, "the text has control characters")
		default:
			into.SetString(node.Value)
		}
	case reflect.Bool:
		if node.Kind != yaml.ScalarNode || node.ShortTag() != "!!bool" {
			d.refuse(node, path, got+" is neither true nor false")
		} else {
			into.SetBool(strings.EqualFold(node.Value, "true"))
		}
	case reflect.Int:
		n, err := strconv.Atoi(node.Value)
		// 010, 0x10 and 1_000 mean other numbers to other readers of YAML.
		if node.Kind != yaml.ScalarNode || node.ShortTag() != "!!int" || err != nil || strconv.Itoa(n) != node.Value {
			d.refuse(node, path, got+" is not a whole number")
		} else {
			into.SetInt(int64(n))
		}
	default:
		d.refuse(node, path, fmt.Sprintf("a %s cannot be read", into.Type()))
	}
}

// refuse rejects the value of a field.
func (d *decoder) refuse(node *yaml.Node, path, message string) {
	d.fail(path)
	d.reject(node, path, message)
}

func (d *decoder) reject(node *yaml.Node, path, message string) {
	d.problems = append(d.problems, Problem{Line: node.Line, Column: node.Column, Path: path, Message: message})
}

// fail notes that a field could not be read.
func (d *decoder) fail(path string) {
	d.failed[path] = true
	for path != "" && !d.holding[path] {
		path = parent(path)
		d.holding[path] = true
	}
}

// failedToRead is true for a problem that follows from a field that could not be read.
func (d *decoder) failedToRead(problem Problem) bool {
	if len(problem.dependsOn) == 0 {
		return d.unread(problem.Path)
	}
	return slices.ContainsFunc(problem.dependsOn, d.unread)
}

// unread is true for a field that could not be read, whole or in part.
func (d *decoder) unread(path string) bool {
	if d.holding[path] {
		return true
	}
	for ; path != ""; path = parent(path) {
		if d.failed[path] {
			return true
		}
	}
	return d.failed[""]
}

// near is where a field stands, or what it would stand in.
func (d *decoder) near(path string) (line, column int) {
	at, ok := d.at[path]
	for !ok && path != "" {
		path = parent(path)
		at, ok = d.at[path]
	}
	return at.line, at.column
}

// parent is what a field stands in.
func parent(path string) string { return path[:max(0, strings.LastIndexAny(path, ".["))] }

// fieldsOf are the fields of a struct and their names in the document, in the order of the type.
func fieldsOf(value reflect.Value) (names []string, fields []reflect.Value) {
	for i := range value.NumField() {
		name, _, _ := strings.Cut(value.Type().Field(i).Tag.Get("yaml"), ",")
		names, fields = append(names, name), append(fields, value.Field(i))
	}
	return names, fields
}

// placeOf is where a field is looked for: its value when that is a word, otherwise its name.
func placeOf(key, value *yaml.Node) place {
	if value.Kind == yaml.ScalarNode {
		return place{value.Line, value.Column}
	}
	return place{key.Line, key.Column}
}

func kindOf(node *yaml.Node) string {
	switch node.Kind {
	case yaml.MappingNode:
		return "a mapping"
	case yaml.SequenceNode:
		return "a list"
	case yaml.AliasNode:
		return "an alias"
	}
	switch node.ShortTag() {
	case "!!str":
		return "a text"
	case "!!int", "!!float":
		return "a number"
	case "!!bool":
		return "true or false"
	}
	return "a value of another type"
}

// shown is the name of a field in a message, in quotes when it is not a plain word.
func shown(name string) string {
	odd := func(r rune) bool { return !unicode.IsLetter(r) && !unicode.IsDigit(r) && r != '_' && r != '-' }
	if name == "" || len(name) > 60 || strings.ContainsFunc(name, odd) {
		return quote(name)
	}
	return name
}

func join(path, name string) string {
	if path == "" {
		return name
	}
	return path + "." + name
}
