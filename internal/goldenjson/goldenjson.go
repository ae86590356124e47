// Package goldenjson holds the JSON of a package's structs against a file, for tests: other programs, and histories, hold what was
// written before.
package goldenjson

import (
	"encoding/json"
	"go/ast"
	"go/parser"
	"go/token"
	"os"
	"path/filepath"
	"reflect"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
)

const file = "testdata/structs.json"

// Check compares the JSON of the given structs with testdata/structs.json of the package under test, or writes that file. In the
// file every field has a value, so that none is missed, and each value is read again as it was. The structs have to be all
// exported ones of the package.
func Check(t *testing.T, update bool, structs ...any) {
	t.Helper()
	forms := map[string]any{}
	for _, empty := range structs {
		filled := reflect.New(reflect.TypeOf(empty))
		fill(t, filled.Elem())
		forms[filled.Elem().Type().Name()] = filled.Interface()

		content, err := json.Marshal(filled.Interface())
		require.NoError(t, err)
		again := reflect.New(filled.Elem().Type())
		require.NoError(t, json.Unmarshal(content, again.Interface()))
		assert.Equal(t, filled.Interface(), again.Interface(), "a field is lost in JSON")
	}
	assert.ElementsMatch(t, exportedStructs(t), keys(forms), "every exported struct has to be checked")

	got, err := json.MarshalIndent(forms, "", "  ")
	require.NoError(t, err)
	got = append(got, '\n')
	if update {
		require.NoError(t, os.MkdirAll(filepath.Dir(file), 0o755))
		require.NoError(t, os.WriteFile(file, got, 0o644))
	}
	want, err := os.ReadFile(file)
	require.NoError(t, err)
	assert.Equal(t, string(want), string(got), "what other programs and histories hold has another form now; if that is meant, and breaks none of them: go test -update")
}

// fill gives every field a value other than its zero value.
func fill(t *testing.T, value reflect.Value) {
	t.Helper()
	if at, ok := value.Addr().Interface().(*time.Time); ok {
		*at = time.Date(2026, time.March, 4, 5, 6, 7, 0, time.UTC)
		return
	}
	switch value.Kind() {
	case reflect.Struct:
		for i := range value.NumField() {
			require.True(t, value.Type().Field(i).IsExported(), "%s has a field that JSON does not show", value.Type())
			fill(t, value.Field(i))
		}
	case reflect.Pointer:
		value.Set(reflect.New(value.Type().Elem()))
		fill(t, value.Elem())
	case reflect.Slice:
		value.Set(reflect.MakeSlice(value.Type(), 1, 1))
		fill(t, value.Index(0))
	case reflect.String:
		value.SetString("text")
	case reflect.Bool:
		value.SetBool(true)
	case reflect.Int, reflect.Int32, reflect.Int64:
		value.SetInt(1)
	default:
		require.FailNow(t, "a field is of a kind that has no example yet", "%s", value.Type())
	}
}

// exportedStructs are the names of those that the package in the working directory declares.
func exportedStructs(t *testing.T) []string {
	t.Helper()
	files, err := filepath.Glob("*.go")
	require.NoError(t, err)
	var names []string
	for _, name := range files {
		if strings.HasSuffix(name, "_test.go") {
			continue
		}
		parsed, err := parser.ParseFile(token.NewFileSet(), name, nil, 0)
		require.NoError(t, err)
		ast.Inspect(parsed, func(node ast.Node) bool {
			if declared, ok := node.(*ast.TypeSpec); ok && declared.Name.IsExported() {
				if _, ok := declared.Type.(*ast.StructType); ok {
					names = append(names, declared.Name.Name)
				}
			}
			return true
		})
	}
	return names
}

func keys(forms map[string]any) []string {
	var names []string
	for name := range forms {
		names = append(names, name)
	}
	slices.Sort(names)
	return names
}
