package spec_test

import (
	"encoding"
	"reflect"
	"strings"

	"github.com/reimage/reimage/rollout/document"
)

// fieldPaths are the paths of all fields of a document that hold a value of their own, with waves[] for
// what is in a list.
func fieldPaths() []string { return pathsOf(reflect.TypeFor[document.Rollout](), "") }

func pathsOf(t reflect.Type, path string) []string {
	if t.Kind() == reflect.Pointer {
		t = t.Elem()
	}
	if t.Kind() == reflect.Slice && t.Elem().Kind() == reflect.Struct {
		t, path = t.Elem(), path+"[]"
	}
	if t.Kind() != reflect.Struct || reflect.PointerTo(t).Implements(reflect.TypeFor[encoding.TextUnmarshaler]()) {
		return []string{path}
	}
	var all []string
	for field := range t.Fields() {
		name, _, _ := strings.Cut(field.Tag.Get("yaml"), ",")
		all = append(all, pathsOf(field.Type, strings.TrimPrefix(path+"."+name, "."))...)
	}
	return all
}
