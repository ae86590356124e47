package spec

import (
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"strings"
	"unicode/utf8"

	"github.com/reimage/reimage/rollout"
	"github.com/reimage/reimage/rollout/document"
)

// ReadFiles reads the files of the selection and of its exclusion, moves what they name into ids and
// names, and clears the fields. Paths count from dir, the folder of the document. A name with * or ? in a
// file is a pattern, as it is in the document. The error is Problems, and then nothing is changed.
func ReadFiles(r *document.Rollout, dir string) error {
	read := *r
	selection, problems := &read.Spec.Select, Problems(nil)
	ids, names, found := readServers(dir, "spec.select.file", selection.File)
	problems = append(problems, found...)
	if selection.File != "" && len(ids)+len(names)+len(found) == 0 {
		problems = append(problems, Problem{File: pathIn(dir, selection.File), Path: "spec.select.file", Message: "the file names no server"})
	}
	selection.IDs, selection.Names = concat(selection.IDs, ids), concat(selection.Names, names)
	selection.File = ""

	exclude := &selection.Exclude
	ids, names, found = readServers(dir, "spec.select.exclude.file", exclude.File)
	problems = append(problems, found...)
	exclude.IDs, exclude.Names = concat(exclude.IDs, ids), concat(exclude.Names, names)
	exclude.File = ""
	if len(problems) > 0 {
		return problems
	}
	*r = read
	return nil
}

// concat never writes into the lists it is given.
func concat(a, b []string) []string { return append(a[:len(a):len(a)], b...) }

func pathIn(dir, file string) string {
	if filepath.IsAbs(file) {
		return file
	}
	return filepath.Join(dir, file)
}

// readServers reads a file of ids and names, one a line. No file gives nothing.
func readServers(dir, path, file string) (ids, names []string, problems Problems) {
	if file == "" {
		return nil, nil, nil
	}
	file = pathIn(dir, file)
	content, err := readSmall(file)
	if err != nil {
		return nil, nil, Problems{{File: file, Path: path, Message: err.Error()}}
	}
	content = strings.TrimPrefix(content, "\ufeff")
	for i, line := range strings.Split(content, "\n") {
		entry, _, _ := strings.Cut(line, "#")
		switch entry = strings.TrimSpace(entry); {
		case entry == "":
		case rollout.IsUUID(strings.ToLower(entry)):
			ids = append(ids, strings.ToLower(entry)) // as a name it would match nothing, and spare nobody
		case wrongServerName(entry) != "":
			column := utf8.RuneCountInString(line[:strings.Index(line, entry)]) + 1
			problems = append(problems, Problem{File: file, Line: i + 1, Column: column, Message: wrongServerName(entry) + "; one id or name a line"})
		default:
			names = append(names, entry)
		}
	}
	return ids, names, problems
}

// readSmall reads a text of at most MaxSize.
func readSmall(file string) (string, error) {
	opened, err := os.Open(file)
	if err != nil {
		return "", fmt.Errorf("the file cannot be read: %w", cause(err))
	}
	defer opened.Close()
	content, err := io.ReadAll(io.LimitReader(opened, MaxSize+1))
	switch {
	case err != nil:
		return "", fmt.Errorf("the file cannot be read: %w", cause(err))
	case len(content) > MaxSize:
		return "", fmt.Errorf("the file has more than %d bytes", MaxSize)
	case !utf8.Valid(content):
		return "", errors.New("the file is not UTF-8 text")
	}
	return string(content), nil
}

// cause is the error without the path, which the problem names already.
func cause(err error) error {
	if failed, ok := errors.AsType[*fs.PathError](err); ok {
		return failed.Err
	}
	return err
}
