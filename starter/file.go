package main

import (
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"slices"

	"github.com/reimage/reimage/internal/progressview"
)

// writeFile writes a whole file or none, readable by its owner: what was there stays until all is written. A
// symbolic link stays one. What is no regular file, such as /dev/stdout or a pipe, is written to as it is.
func writeFile(path string, content []byte) error {
	info, err := os.Stat(path)
	switch {
	case err == nil && !info.Mode().IsRegular():
		err = writeInto(path, content)
	case err == nil || errors.Is(err, fs.ErrNotExist):
		err = replaceFile(path, content)
	}
	if err != nil {
		return fmt.Errorf("%s was not written: %w", path, err)
	}
	return nil
}

// writeInto writes to a device or a pipe.
func writeInto(path string, content []byte) error {
	file, err := os.OpenFile(path, os.O_WRONLY, 0)
	if err != nil {
		return err
	}
	_, err = file.Write(content)
	return errors.Join(err, file.Close())
}

// replaceFile puts a new file in the place of the one that is there, if any.
func replaceFile(path string, content []byte) error {
	target := path
	if _, err := os.Lstat(path); err == nil {
		if target, err = filepath.EvalSymlinks(path); err != nil {
			return err
		}
	}
	file, err := os.CreateTemp(filepath.Dir(target), "."+filepath.Base(target)+"-*") // mode 0600
	if err != nil {
		return err
	}
	_, err = file.Write(content)
	if err == nil {
		err = file.Sync()
	}
	if err = errors.Join(err, file.Close()); err == nil {
		err = os.Rename(file.Name(), target)
	}
	if err != nil {
		return errors.Join(err, os.Remove(file.Name()))
	}
	return nil
}

// stdin in place of a path means standard input.
const stdin = "-"

// shownPath is a path in messages.
func shownPath(path string) string {
	if path == stdin {
		return "standard input"
	}
	return path
}

// fileWord is a path in a command to type.
func fileWord(path string) string {
	if path == stdin {
		return path
	}
	return progressview.Word(path)
}

// errNobodyToAsk is for a command that cannot ask for consent: its standard input is a file.
var errNobodyToAsk = errors.New("standard input is read for a file, so it cannot answer a question: consent with --yes, or give the file by its name; nothing was touched")

// readInput reads a whole file, or standard input.
func readInput(in io.Reader, path string, limit int64) ([]byte, error) {
	if path == stdin {
		return readAll(in, path, limit)
	}
	return readFile(path, limit)
}

// readFile reads a whole file, and refuses one that is larger, or has no end.
func readFile(path string, limit int64) ([]byte, error) {
	file, err := os.Open(path)
	if err != nil {
		return nil, fmt.Errorf("nothing was touched: %w", err)
	}
	defer file.Close()
	return readAll(file, path, limit)
}

func readAll(in io.Reader, path string, limit int64) ([]byte, error) {
	content, err := io.ReadAll(io.LimitReader(in, limit+1))
	if err == nil && int64(len(content)) > limit {
		err = fmt.Errorf("%s has more than %d MB, which is more than a plan of tens of thousands of servers has", shownPath(path), limit>>20)
	}
	return content, err
}

// notAFormat refuses "-o json" and "-o -": -o takes a file here, and a file called so is never what is meant.
func notAFormat(what, file, flag string, formats []string) error {
	if file == stdin {
		return fmt.Errorf("-o is the file that the %s is written to: leave it away to have the %s on standard output, with %s in another format", what, what, flag)
	}
	if slices.Contains(formats, file) {
		return fmt.Errorf("-o is the file that the %s is written to; its format is: %s %s", what, flag, file)
	}
	return nil
}
