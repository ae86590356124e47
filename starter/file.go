package main

import (
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"slices"
)

// writeFile writes a whole file or none, readable by its owner: what was there stays until all is written.
func writeFile(path string, content []byte) (err error) {
	file, err := os.CreateTemp(filepath.Dir(path), "."+filepath.Base(path)+"-*") // mode 0600
	if err != nil {
		return fmt.Errorf("%s cannot be written: %w", path, err)
	}
	defer func() {
		if err != nil {
			err = fmt.Errorf("%s was not written: %w", path, errors.Join(err, os.Remove(file.Name())))
		}
	}()
	_, err = file.Write(content)
	if err == nil {
		err = file.Sync()
	}
	if err := errors.Join(err, file.Close()); err != nil {
		return err
	}
	return os.Rename(file.Name(), path)
}

// readFile reads a whole file, and refuses one that is larger, or has no end.
func readFile(path string, limit int64) ([]byte, error) {
	file, err := os.Open(path)
	if err != nil {
		return nil, err
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
