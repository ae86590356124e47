package spec_test

import (
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/reimage/reimage/rollout/document"
	"github.com/reimage/reimage/rollout/spec"
)

const (
	serverA = "3b8f1c52-0d4e-4a6b-9c7d-1e2f3a4b5c6d"
	serverB = "5e6f7a8b-9c0d-4e1f-8a2b-3c4d5e6f7a8b"
)

// withFiles writes files into a folder and reads them into a document that selects by both.
func withFiles(t *testing.T, servers, spared string) (document.Rollout, string, error) {
	t.Helper()
	dir := t.TempDir()
	require.NoError(t, os.WriteFile(filepath.Join(dir, "servers.txt"), []byte(servers), 0o600))
	require.NoError(t, os.WriteFile(filepath.Join(dir, "spared.txt"), []byte(spared), 0o600))
	doc := parse(t, strings.Replace(minimal, "{tags: [role=web]}", "{ids: ["+serverA+"], names: [web-1], file: servers.txt, exclude: {names: [db-*], file: spared.txt}}", 1))
	return doc, dir, spec.ReadFiles(&doc, dir)
}

func TestReadFiles(t *testing.T) {
	doc, _, err := withFiles(t, "\ufeff# web servers\r\nweb-1\r\n\r\n  "+strings.ToUpper(serverB)+"\t# moved\r\nweb-?#all\nweb-1\nwéb", "")
	require.NoError(t, err)
	assert.Equal(t, document.Selection{
		IDs: []string{serverA, serverB}, Names: []string{"web-1", "web-1", "web-?", "web-1", "wéb"},
		Exclude: document.Exclusion{Names: []string{"db-*"}},
	}, doc.Spec.Select, "an empty list of exclusions excludes nothing")
	assert.NoError(t, spec.Validate(doc))

	doc, _, err = withFiles(t, "web 5 (old)\t# moved\n", " db * \n")
	require.NoError(t, err)
	assert.Equal(t, []string{"web-1", "web 5 (old)"}, doc.Spec.Select.Names)
	assert.Equal(t, []string{"db-*", "db *"}, doc.Spec.Select.Exclude.Names)
	assert.NoError(t, spec.Validate(doc))

	doc, _, err = withFiles(t, "web-2", serverA+"\nweb-17\n")
	require.NoError(t, err)
	assert.Equal(t, document.Exclusion{IDs: []string{serverA}, Names: []string{"db-*", "web-17"}}, doc.Spec.Select.Exclude)
}

func TestReadFilesByAbsolutePath(t *testing.T) {
	file := filepath.Join(t.TempDir(), "servers")
	require.NoError(t, os.WriteFile(file, []byte("web-1"), 0o600))
	doc := parse(t, strings.Replace(minimal, "tags: [role=web]", "file: "+file, 1))
	require.NoError(t, spec.ReadFiles(&doc, "/nowhere"))
	assert.Equal(t, document.Selection{Names: []string{"web-1"}}, doc.Spec.Select)
}

func TestReadFilesWithoutAny(t *testing.T) {
	doc := parse(t, minimal)
	require.NoError(t, spec.ReadFiles(&doc, "/nowhere"))
	assert.Equal(t, parse(t, minimal), doc)
}

// TestBadFiles names everything that is wrong in both files, and leaves the document as it was.
func TestBadFiles(t *testing.T) {
	doc, dir, err := withFiles(t, "web-1\n web-2, web-3\n# fine\nweb-[4]\nweb 5 (old) # one name\n", "\"db\"\n")
	var problems spec.Problems
	require.ErrorAs(t, err, &problems)
	assert.Equal(t, strings.ReplaceAll(`DIR/servers.txt:2:2: "web-2, web-3" is not the name of a server: names hold no ','; patterns know only * and ?; one id or name a line
DIR/servers.txt:4:1: "web-[4]" is not the name of a server: names hold no '['; patterns know only * and ?; one id or name a line
DIR/spared.txt:1:1: "\"db\"" is not the name of a server: names hold no '"'; patterns know only * and ?; one id or name a line`, "DIR", dir), err.Error())
	assert.Equal(t, "servers.txt", doc.Spec.Select.File)
	assert.Equal(t, []string{"web-1"}, doc.Spec.Select.Names)

	_, dir, err = withFiles(t, "# none yet\n", "")
	assert.EqualError(t, err, dir+"/servers.txt: spec.select.file: the file names no server")
	_, dir, err = withFiles(t, "\xff", "")
	assert.EqualError(t, err, dir+"/servers.txt: spec.select.file: the file is not UTF-8 text")
	_, dir, err = withFiles(t, "web-1", strings.Repeat("#", spec.MaxSize+1))
	assert.EqualError(t, err, dir+"/spared.txt: spec.select.exclude.file: the file has more than 1048576 bytes")

	err = spec.ReadFiles(&doc, "/nowhere")
	assert.EqualError(t, err, `/nowhere/servers.txt: spec.select.file: the file cannot be read: no such file or directory
/nowhere/spared.txt: spec.select.exclude.file: the file cannot be read: no such file or directory`)
	dir = t.TempDir()
	require.NoError(t, os.Mkdir(filepath.Join(dir, "servers.txt"), 0o700))
	require.NoError(t, os.WriteFile(filepath.Join(dir, "spared.txt"), nil, 0o600))
	assert.EqualError(t, spec.ReadFiles(&doc, dir), dir+"/servers.txt: spec.select.file: the file cannot be read: is a directory")
}

// TestListsAreNotShared: what is read never grows into the lists of a copy of the document.
func TestListsAreNotShared(t *testing.T) {
	dir := t.TempDir()
	require.NoError(t, os.WriteFile(filepath.Join(dir, "f"), []byte("web-9"), 0o600))
	doc := parse(t, strings.Replace(minimal, "tags: [role=web]", "file: f", 1))
	doc.Spec.Select.Names = make([]string, 1, 8)
	doc.Spec.Select.Names[0] = "web-1"
	other := doc
	require.NoError(t, spec.ReadFiles(&doc, dir))
	assert.Equal(t, []string{"web-1", ""}, other.Spec.Select.Names[:2])
}

func TestFilesOfTheExample(t *testing.T) {
	doc := parse(t, string(read(t, example)))
	require.NoError(t, spec.ReadFiles(&doc, filepath.Dir(example)))
	assert.Contains(t, doc.Spec.Select.Names, "web-legacy-2")
	assert.Contains(t, doc.Spec.Select.Exclude.Names, "web-17")
}
