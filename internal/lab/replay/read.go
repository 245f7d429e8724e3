package replay

import (
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"
)

// Read reads what was recorded: suites (.json), transcripts of real models in
// them, and trajectories (.jsonl, also with .gz), told apart by what is in them.
// A directory stands for the files in it. With transcripts the runs of suites are
// those of the transcripts, which also may be in a directory of that name beside
// the suite; a transcript that is named needs no such word.
func Read(paths []string, transcripts bool) ([]*Suite, error) {
	r := reader{suites: map[string]*Suite{}, beside: map[string]bool{}}
	for _, path := range paths {
		if err := r.path(path, transcripts); err != nil {
			return nil, err
		}
	}
	if transcripts {
		for _, s := range r.named {
			s.Runs = nil // those of the worst case
		}
	}
	for _, file := range r.transcripts {
		if err := readTranscripts(file, r.suiteOf(file)); err != nil {
			return nil, err
		}
	}
	all := slices.DeleteFunc(slices.Concat(r.named, r.found), func(s *Suite) bool { return len(s.Runs) == 0 })
	if len(all) == 0 {
		return nil, fmt.Errorf("nothing is recorded in %s", strings.Join(paths, ", "))
	}
	slices.SortStableFunc(all, func(a, b *Suite) int { return strings.Compare(a.Name, b.Name) })
	return all, nil
}

type reader struct {
	named       []*Suite // on the command line
	found       []*Suite // beside a transcript that needs it
	suites      map[string]*Suite
	transcripts []string
	beside      map[string]bool // files that were read already
}

func (r *reader) path(path string, transcripts bool) error {
	info, err := os.Stat(path)
	if err != nil {
		return err
	}
	if !info.IsDir() {
		return r.file(path)
	}
	var files []string
	patterns := []string{"*.json", "*.jsonl", "*.jsonl.gz"}
	if transcripts {
		patterns = append(patterns, "transcripts/*.jsonl", "transcripts/*.jsonl.gz")
	}
	for _, pattern := range patterns {
		found, err := filepath.Glob(filepath.Join(path, pattern))
		if err != nil {
			return err
		}
		files = append(files, found...)
	}
	if len(files) == 0 {
		return fmt.Errorf("there is no *.json, *.jsonl or *.jsonl.gz file in %s", path)
	}
	for _, file := range files {
		if err := r.file(file); err != nil {
			return err
		}
	}
	return nil
}

func (r *reader) file(file string) error {
	if !strings.HasSuffix(file, ".jsonl") && !strings.HasSuffix(file, ".jsonl.gz") {
		s, err := readSuite(file)
		if err != nil {
			return err
		}
		return r.add(file, s, &r.named)
	}
	kind, err := kindOf(file)
	if err != nil || kind == "transcripts" {
		r.transcripts = append(r.transcripts, file)
		return err
	}
	suites, err := readTrajectories(file)
	for _, s := range suites {
		if err := r.add(file, s, &r.found); err != nil {
			return err
		}
	}
	return err
}

func (r *reader) add(file string, s *Suite, to *[]*Suite) error {
	if r.suites[s.Name] != nil {
		return fmt.Errorf("%s: a suite called %s was read already", file, s.Name)
	}
	r.suites[s.Name], *to = s, append(*to, s)
	return nil
}

// kindOf tells the formats apart that have a run in each line.
func kindOf(file string) (kind string, err error) {
	enough := errors.New("enough")
	err = eachLine(file, func(line []byte) error {
		var has struct{ Messages, Calls json.RawMessage }
		if err := json.Unmarshal(line, &has); err != nil {
			return plainly(err)
		}
		switch {
		case has.Messages != nil:
			kind = "trajectories"
		case has.Calls != nil:
			kind = "transcripts"
		default:
			return errors.New("neither messages (a trajectory) nor calls (a transcript) are in it")
		}
		return enough
	})
	if errors.Is(err, enough) {
		err = nil
	}
	return kind, err
}

// suiteOf finds the suite that a transcript is about, beside it or a directory
// higher where it was not named.
func (r *reader) suiteOf(file string) func(name string) (*Suite, error) {
	return func(name string) (*Suite, error) {
		if s := r.suites[serverName(name)]; s != nil {
			return s, nil
		}
		for _, dir := range []string{filepath.Dir(file), filepath.Dir(filepath.Dir(file))} {
			beside := filepath.Join(dir, filepath.Base(name)+".json")
			if _, err := os.Stat(beside); err != nil {
				continue
			}
			s, err := readSuite(beside)
			if err != nil {
				return nil, err
			}
			s.Runs = nil
			return s, r.add(beside, s, &r.found)
		}
		return nil, fmt.Errorf("the tools of suite %q are not known: name its %s.json, too", name, name)
	}
}
