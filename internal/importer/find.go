package importer

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"unicode/utf8"

	"sallyport/internal/importer/clientfile"
)

// maxFile bounds the size of a client's file, in bytes.
const maxFile = 64 << 20

// File is one file in which a client keeps servers.
type File struct {
	Client  Client
	Path    string // as the client knows it
	Project string // the project it belongs to; empty for the user's own
	Servers []Server

	target string // what Path stands for, symbolic links followed
	text   []byte
	fixed  bool // it is read-only
	home   string
}

// Find reads the servers that the clients have configured: in the user's files
// under home, and in those of the project unless it is empty. goos is a GOOS
// and says where applications keep their files; from limits the clients.
//
// Files that don't exist are left out. A file that can't be read or parsed is
// part of the joined error, a [*clientfile.ParseError] where its text is at fault, and the
// other files are returned all the same.
func Find(home, project, goos string, from []string) ([]File, error) {
	selected, err := selectClients(from)
	if err != nil {
		return nil, err
	}
	wanted := make(map[Client]bool)
	for _, c := range selected {
		wanted[c] = true
	}
	var files []File
	var failed []error
	seen := make(map[string]bool) // two clients may share a file through a link
	for _, p := range places(home, project, goos) {
		if !wanted[p.client] {
			continue
		}
		file, err := readFile(p)
		switch {
		case errors.Is(err, fs.ErrNotExist):
			continue
		case err != nil:
			failed = append(failed, err)
			continue
		case seen[file.target]:
			continue
		}
		seen[file.target] = true
		file.home = home
		if len(file.Servers) > 0 {
			files = append(files, file)
		}
	}
	return files, errors.Join(failed...)
}

func readFile(p place) (File, error) {
	target, err := filepath.EvalSymlinks(p.path)
	if err != nil {
		return File{}, err
	}
	text, err := readText(target)
	info, statErr := os.Stat(target)
	if err := errors.Join(err, statErr); err != nil {
		return File{}, err
	}
	file := File{Client: p.client, Path: p.path, Project: p.project, target: target, text: text, fixed: readOnly(info)}
	if blank := bytes.TrimSpace(bytes.TrimPrefix(text, []byte("\ufeff"))); len(blank) == 0 {
		return file, nil
	}
	if !utf8.Valid(text) {
		return File{}, &clientfile.ParseError{Path: p.path, Reason: "not UTF-8 text"}
	}
	entries, err := p.client.dialect().format.Entries(text, p.tables)
	if err != nil {
		var parse *clientfile.ParseError
		if errors.As(err, &parse) {
			parse.Path = p.path
		}
		return File{}, err
	}
	for _, e := range entries {
		file.Servers = append(file.Servers, readServer(p.client, p.path, p.project, e))
	}
	return file, nil
}

// readText reads a regular file of bounded size.
func readText(path string) ([]byte, error) {
	f, err := os.Open(path)
	if err != nil {
		return nil, err
	}
	defer f.Close()
	info, err := f.Stat()
	if err != nil {
		return nil, err
	}
	if !info.Mode().IsRegular() {
		return nil, fmt.Errorf("%s: not a regular file", path)
	}
	text, err := io.ReadAll(io.LimitReader(f, maxFile+1))
	if err != nil {
		return nil, err
	}
	if len(text) > maxFile {
		return nil, fmt.Errorf("%s: larger than %d MiB", path, maxFile>>20)
	}
	return text, nil
}
