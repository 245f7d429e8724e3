package importer

import (
	"bytes"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
)

// manifest remembers what Wrap did, in the order in which it did it. It holds
// no credentials; the backups beside it do.
type manifest struct {
	Version int     `json:"version"`
	Layers  []layer `json:"layers"`
}

// layer is one edit of one file. Unwrap takes layers off in reverse.
type layer struct {
	Client  Client  `json:"client"`
	Path    string  `json:"path"`   // as the client knows it
	Target  string  `json:"target"` // symbolic links followed
	Before  string  `json:"before"` // SHA-256 of the text, and the name of its backup
	After   string  `json:"after"`  // SHA-256 of the text that Wrap wrote
	Entries []Entry `json:"entries"`
}

const manifestVersion = 1

func backupDir(stateDir string) string          { return filepath.Join(stateDir, "import") }
func manifestPath(stateDir string) string       { return filepath.Join(backupDir(stateDir), "manifest.json") }
func backupPath(stateDir, digest string) string { return filepath.Join(backupDir(stateDir), digest) }

func hash(text []byte) string {
	sum := sha256.Sum256(text)
	return hex.EncodeToString(sum[:])
}

func readManifest(stateDir string) (manifest, error) {
	m := manifest{Version: manifestVersion}
	text, err := readText(manifestPath(stateDir))
	if errors.Is(err, fs.ErrNotExist) {
		return m, nil
	}
	if err != nil {
		return m, err
	}
	if err := json.Unmarshal(text, &m); err != nil {
		return m, fmt.Errorf("%s is damaged: %w", manifestPath(stateDir), err)
	}
	if m.Version != manifestVersion {
		return m, fmt.Errorf("%s has version %d, this program knows %d: use the program that wrote it", manifestPath(stateDir), m.Version, manifestVersion)
	}
	return m, nil
}

func (m manifest) write(stateDir string) error {
	text, err := json.MarshalIndent(m, "", "  ")
	if err != nil {
		return err
	}
	return writeFile(manifestPath(stateDir), append(text, '\n'), nil)
}

// Known returns the names that wrapped entries use, with the digests of their
// servers, for [Options]: a client added later gets the same server.
func Known(stateDir string) (map[string]string, error) {
	m, err := readManifest(stateDir)
	known := make(map[string]string)
	for _, l := range m.Layers {
		for _, e := range l.Entries {
			known[e.Server] = e.Digest
		}
	}
	return known, err
}

// step is one change on disk.
type step struct {
	what string
	do   func() error
}

// Wrap carries a plan out: it backs up every file that changes, moves the
// credentials into the secret store of the state directory, and points the
// entries at Sallyport. When it fails half-way, running it again completes it
// and [Unwrap] undoes it.
func Wrap(stateDir string, plan Plan) error {
	steps, err := plan.steps(stateDir)
	if err != nil {
		return err
	}
	for _, s := range steps {
		if err := s.do(); err != nil {
			return fmt.Errorf("%s: %w", s.what, err)
		}
	}
	return nil
}

// steps lists the changes in the one order that survives a crash after any of
// them: backups, credentials, manifest, and only then the clients' files.
func (p Plan) steps(stateDir string) ([]step, error) {
	if len(p.Edits) == 0 {
		return nil, nil
	}
	m, err := readManifest(stateDir)
	if err != nil {
		return nil, err
	}
	store, err := OpenSecrets(stateDir)
	if err != nil {
		return nil, err
	}
	var secrets []Secret
	for _, s := range p.Servers {
		secrets = append(secrets, s.Secrets()...)
	}
	steps := []step{{"make the directory for backups", func() error { return os.MkdirAll(backupDir(stateDir), 0o700) }}}
	for _, e := range p.Edits {
		steps = append(steps, step{"back up " + e.Path, func() error {
			return writeBackup(stateDir, e.before)
		}})
		m.add(e)
	}
	steps = append(steps,
		step{"store the credentials", func() error { return store.Put(secrets) }},
		step{"write the manifest", func() error { return m.write(stateDir) }},
	)
	for _, e := range p.Edits {
		steps = append(steps, step{"edit " + e.Path, func() error { return replaceFile(e.target, e.before, e.after) }})
	}
	return steps, nil
}

// add puts an edit on top of the layers of its file. When the file has the text
// from before one of them, that layer and those above it never took effect, or
// were undone by hand: they go.
func (m *manifest) add(e Edit) {
	before, undone := hash(e.before), false
	m.Layers = slices.DeleteFunc(m.Layers, func(l layer) bool {
		undone = undone || (l.Target == e.target && l.Before == before)
		return undone && l.Target == e.target
	})
	m.Layers = append(m.Layers, layer{
		Client: e.Client, Path: e.Path, Target: e.target,
		Before: before, After: hash(e.after), Entries: e.Entries,
	})
}

// writeBackup keeps a text under its digest. One that is there already, whole,
// is as good.
func writeBackup(stateDir string, text []byte) error {
	path := backupPath(stateDir, hash(text))
	if kept, err := readText(path); err == nil && bytes.Equal(kept, text) {
		return nil
	}
	return writeFile(path, text, nil)
}

func readBackup(stateDir, digest string) ([]byte, error) {
	path := backupPath(stateDir, digest)
	text, err := readText(path)
	if err != nil {
		return nil, fmt.Errorf("the backup is missing: %w", err)
	}
	if hash(text) != digest {
		return nil, fmt.Errorf("the backup %s is damaged: its SHA-256 is not its name", path)
	}
	return text, nil
}
