package spec_test

import (
	"bytes"
	"encoding/json"
	"go/ast"
	"go/parser"
	"go/token"
	"path/filepath"
	"reflect"
	"regexp"
	"strings"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
	"go.yaml.in/yaml/v3"

	"github.com/reimage/reimage/rollout"
	"github.com/reimage/reimage/rollout/document"
	"github.com/reimage/reimage/rollout/spec"
)

const schemaFile = "../../docs/rollout.schema.json"

// schema is the part of JSON Schema 2020-12 that a document needs.
type schema struct {
	Schema      string            `json:"$schema,omitempty"`
	Title       string            `json:"title,omitempty"`
	Ref         string            `json:"$ref,omitempty"`
	Description string            `json:"description,omitempty"`
	Type        string            `json:"type,omitempty"`
	Enum        []string          `json:"enum,omitempty"`
	Default     string            `json:"default,omitempty"`
	Pattern     string            `json:"pattern,omitempty"`
	Minimum     *int              `json:"minimum,omitempty"`
	Items       *schema           `json:"items,omitempty"`
	MinItems    int               `json:"minItems,omitempty"`
	Properties  map[string]schema `json:"properties,omitempty"`
	Required    []string          `json:"required,omitempty"`
	Additional  *bool             `json:"additionalProperties,omitempty"`
	Defs        map[string]schema `json:"$defs,omitempty"`
}

// patterns are the forms of texts, by type, or by type and field.
func patterns() map[string]string {
	const uuid = "^[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}$"
	return map[string]string{
		"Percent":       `^(100(\.0{1,2})?|0?[0-9]{1,2}(\.[0-9]{1,2})?)%$`,
		"Duration":      `^(0|[0-9]+d([0-9]+(\.[0-9]+)?(h|m|s|ms|us|ns))*|([0-9]+(\.[0-9]+)?(h|m|s|ms|us|ns))+)$`,
		"SecretRef":     `^(env:REIMAGE_SECRET_|file:.)`,
		"SpreadKey":     `^(zone|group|tag:[^= ][^=]*)$`,
		"Metadata.Name": `^[a-z0-9]([a-z0-9-]{0,61}[a-z0-9])?$`,
		"Image.ID":      uuid,
		"Selection.IDs": uuid,
		"Exclusion.IDs": uuid,
	}
}

// generator makes the schema of the types of a document, with their comments.
type generator struct {
	comments map[string]string // by type, or by type and field
	patterns map[string]string
	defs     map[string]schema
}

func generate(t *testing.T) schema {
	t.Helper()
	g := generator{comments: readComments(t), patterns: patterns(), defs: make(map[string]schema)}
	root := g.object(reflect.TypeFor[document.Rollout]())
	root.Schema = "https://json-schema.org/draft/2020-12/schema"
	root.Title = "The specification of a rollout of reimage"
	root.Defs = g.defs
	return root
}

func readComments(t *testing.T) map[string]string {
	t.Helper()
	file, err := parser.ParseFile(token.NewFileSet(), "../document/document.go", nil, parser.ParseComments)
	require.NoError(t, err)
	comments := make(map[string]string)
	one := func(group *ast.CommentGroup) string { return strings.Join(strings.Fields(group.Text()), " ") }
	for _, decl := range file.Decls {
		types, ok := decl.(*ast.GenDecl)
		if !ok || types.Tok != token.TYPE {
			continue
		}
		name := types.Specs[0].(*ast.TypeSpec)
		comments[name.Name.Name] = one(types.Doc)
		if fields, ok := name.Type.(*ast.StructType); ok {
			for _, field := range fields.Fields.List {
				comments[name.Name.Name+"."+field.Names[0].Name] = one(field.Doc)
			}
		}
	}
	return comments
}

func (g generator) object(t reflect.Type) schema {
	object := schema{Type: "object", Description: g.comments[t.Name()], Properties: make(map[string]schema), Additional: new(false)}
	for field := range t.Fields() {
		name, options, _ := strings.Cut(field.Tag.Get("yaml"), ",")
		if options == "" {
			object.Required = append(object.Required, name)
		}
		of := g.value(field.Type, g.patterns[t.Name()+"."+field.Name])
		of.Description = g.comments[t.Name()+"."+field.Name]
		if words := strings.Fields(field.Tag.Get("one")); len(words) > 0 {
			of.Enum = words
			if options != "" {
				of.Default = words[0]
			}
		}
		object.Properties[name] = of
	}
	return object
}

func (g generator) value(t reflect.Type, pattern string) schema {
	if t.Kind() == reflect.Pointer {
		t = t.Elem()
	}
	if form := g.patterns[t.Name()]; form != "" {
		return schema{Type: "string", Pattern: form}
	}
	switch t.Kind() {
	case reflect.Bool:
		return schema{Type: "boolean"}
	case reflect.Int:
		return schema{Type: "integer", Minimum: new(0)}
	case reflect.Slice:
		return schema{Type: "array", Items: new(g.value(t.Elem(), pattern)), MinItems: 1}
	case reflect.Struct:
		g.defs[t.Name()] = g.object(t)
		return schema{Ref: "#/$defs/" + t.Name()}
	}
	return schema{Type: "string", Pattern: pattern}
}

// TestSchema fails when the schema in docs is not that of the types.
func TestSchema(t *testing.T) {
	var out bytes.Buffer
	encoder := json.NewEncoder(&out)
	encoder.SetIndent("", "  ")
	encoder.SetEscapeHTML(false)
	require.NoError(t, encoder.Encode(generate(t)))
	checkGolden(t, schemaFile, out.String())
	for _, field := range []string{"Metadata.Name", "Image.ID", "Selection.IDs", "Exclusion.IDs"} {
		assert.NotEmpty(t, readComments(t)[field], "a pattern for a field that is not there")
	}
}

// TestSchemaDescribesEverything: an editor shows the comment of every field.
func TestSchemaDescribesEverything(t *testing.T) {
	root := generate(t)
	for field, of := range root.Properties {
		assert.NotEmpty(t, of.Description, field)
	}
	for name, def := range root.Defs {
		for field, of := range def.Properties {
			assert.NotEmpty(t, of.Description, "%s.%s", name, field)
		}
	}
	assert.Equal(t, []string{"apiVersion", "kind", "metadata", "spec"}, root.Required)
	assert.Equal(t, []string{"select", "image"}, root.Defs["Spec"].Required)
}

// faults are what the schema has against a value.
func (s schema) faults(root schema, value any, path string) []string {
	if name, ok := strings.CutPrefix(s.Ref, "#/$defs/"); ok {
		return root.Defs[name].faults(root, value, path)
	}
	var faults []string
	switch value := value.(type) {
	case map[string]any:
		for name, inside := range value {
			if of, known := s.Properties[name]; known {
				faults = append(faults, of.faults(root, inside, path+"."+name)...)
			} else {
				faults = append(faults, path+"."+name+" is unknown")
			}
		}
		for _, name := range s.Required {
			if _, given := value[name]; !given {
				faults = append(faults, path+"."+name+" is missing")
			}
		}
		return s.unless("object", faults, path)
	case []any:
		if len(value) < s.MinItems {
			faults = append(faults, path+" is empty")
		}
		for _, item := range value {
			if s.Items != nil {
				faults = append(faults, s.Items.faults(root, item, path+"[]")...)
			}
		}
		return s.unless("array", faults, path)
	case string:
		if s.Pattern != "" && !regexp.MustCompile(s.Pattern).MatchString(value) || len(s.Enum) > 0 && !strings.Contains(" "+strings.Join(s.Enum, " ")+" ", " "+value+" ") {
			faults = append(faults, path+" is "+value)
		}
		return s.unless("string", faults, path)
	case int:
		if s.Minimum != nil && value < *s.Minimum {
			faults = append(faults, path+" is too small")
		}
		return s.unless("integer", faults, path)
	case bool:
		return s.unless("boolean", nil, path)
	}
	return []string{path + " is of no type"}
}

func (s schema) unless(kind string, faults []string, path string) []string {
	if s.Type != kind {
		return append(faults, path+" is not of type "+s.Type)
	}
	return faults
}

func schemaFaults(t *testing.T, text string) []string {
	t.Helper()
	var root schema
	require.NoError(t, json.Unmarshal(read(t, schemaFile), &root))
	var value any
	require.NoError(t, yaml.Unmarshal([]byte(text), &value))
	return root.faults(root, value, "")
}

// TestSchemaAgrees holds the schema of docs against Parse.
func TestSchemaAgrees(t *testing.T) {
	assert.Empty(t, schemaFaults(t, minimal))
	assert.Empty(t, schemaFaults(t, string(read(t, example))))
	for name, fields := range accepted() {
		assert.Empty(t, schemaFaults(t, minimal+"  "+fields+"\n"), name)
	}
	for _, file := range []string{"header", "nothing-but-spec", "selection", "secrets", "unknown-fields", "words", "wrong-types"} {
		assert.NotEmpty(t, schemaFaults(t, string(read(t, filepath.Join("testdata", file+".yaml")))), file)
	}
	// Every field that a file of wrong types has wrong, the schema finds as well.
	faults := strings.Join(schemaFaults(t, string(read(t, "testdata/wrong-types.yaml"))), "\n")
	_, err := spec.Parse("", read(t, "testdata/wrong-types.yaml"))
	for _, problem := range err.(spec.Problems) {
		path := regexp.MustCompile(`\[\d+\]`).ReplaceAllString(problem.Path, "[]")
		if strings.Contains(problem.Message, "whole number") || path == "spec.order" || path == "spec.select.exclude.names" {
			continue // 010 and "5" are matters of YAML alone
		}
		assert.Contains(t, faults, "."+path, problem.Message)
	}
}

// TestPatterns holds the forms of texts against what reads them.
func TestPatterns(t *testing.T) {
	match := func(name, text string) bool { return regexp.MustCompile(patterns()[name]).MatchString(text) }
	for _, text := range []string{"0%", "00%", "000%", "9.9%", "9.99%", "099%", "100%", "100.0%", "100.00%", "100.01%", "101%", "1.%", ".5%", "5", "1000%", "-1%", "1.234%", ""} {
		_, err := rollout.ParsePercent(text)
		assert.Equal(t, err == nil, match("Percent", text), text)
	}
	for _, text := range []string{"0", "0s", "90s", "1.5h", "3d", "1d12h", "1h30m5s", "500ms", "1ns", "d", "5", "1.5d", "1h1d", "1 h", "", "1w"} {
		_, err := document.ParseDuration(text)
		assert.Equal(t, err == nil, match("Duration", text), text)
	}
	for _, text := range []string{"env:X", "env:REIMAGE_SECRET_X", "env:PATH", "file:a/b", "env:", "file", "vault:x", "hunter2"} {
		assert.Equal(t, rollout.SecretRef(text).Validate() == nil, match("SecretRef", text), text)
	}
	for _, text := range []string{"zone", "group", "tag:role", "tag:a b", "tag:", "tag:a=b", "tag: a", "rack", "zones", ""} {
		doc := parse(t, minimal+"  perGroup: {tag: cluster, count: 1}\n")
		doc.Spec.Spread = []document.SpreadKey{document.SpreadKey(text)}
		assert.Equal(t, spec.Validate(doc) == nil, match("SpreadKey", text), text)
	}
	for _, text := range []string{serverA, strings.ToUpper(serverA), serverB, serverA[1:], serverA + "0", "web-1", strings.Replace(serverA, "-", "0", 1)} {
		assert.Equal(t, rollout.IsUUID(text), match("Image.ID", text), text)
	}
	for name, good := range names() {
		if name[0] != '"' && !regexp.MustCompile(`^\d+$`).MatchString(name) {
			assert.Equal(t, good, match("Metadata.Name", name), name)
		}
	}
}
