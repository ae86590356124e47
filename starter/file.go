package main

import (
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
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

// readFile reads a whole file, and refuses one that is larger, or has no end.
func readFile(path string, limit int64) ([]byte, error) {
	file, err := os.Open(path)
	if err != nil {
		return nil, fmt.Errorf("nothing was touched: %w", err)
	}
	defer file.Close()
	content, err := io.ReadAll(io.LimitReader(file, limit+1))
	if err == nil && int64(len(content)) > limit {
		err = fmt.Errorf("%s has more than %d MB, which is more than a plan of tens of thousands of servers has", path, limit>>20)
	}
	return content, err
}

// notAFormat refuses "-o json": -o takes a file here, and a file called json is never what is meant.
func notAFormat(what, file, flag string, formats []string) error {
	if slices.Contains(formats, file) {
		return fmt.Errorf("-o is the file that the %s is written to; its format is: %s %s", what, flag, file)
	}
	return nil
}
