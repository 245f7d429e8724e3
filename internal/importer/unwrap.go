package importer

import (
	"bytes"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"slices"
	"strings"

	"sallyport/internal/importer/clientfile"
)

// Outcome is what Unwrap did with one file.
type Outcome string

// The outcomes of Unwrap.
const (
	Restored  Outcome = "restored"  // byte for byte as it was before Wrap
	Untouched Outcome = "untouched" // it was that already
	Merged    Outcome = "merged"    // the user's later changes are kept, our entries have their old settings
	Gone      Outcome = "gone"      // the user has removed the file
	Refused   Outcome = "refused"   // nothing was done; the reason is in the error
)

// Result is the outcome for one file.
type Result struct {
	Client  Client
	Path    string
	Outcome Outcome
	Backup  string   // where the old text is kept still; empty when nobody needs it
	Notes   []string // entries that were not restored, and why
}

// Unwrap undoes every Wrap of a state directory. A file that nobody has written
// since comes back byte for byte. In one that was changed since, only the
// entries that still point at Sallyport get their old settings back; what the
// user or the client has changed stays.
//
// A file for which even that fails is refused and left alone, while the others
// are restored. With force it comes back byte for byte as it was before Wrap,
// and so does one that was changed or removed; the changed text is kept as a
// backup. The credentials stay in the secret store.
func Unwrap(stateDir string, force bool) ([]Result, error) {
	m, err := readManifest(stateDir)
	if err != nil {
		return nil, err
	}
	var results []Result
	var refused []error
	for len(m.Layers) > 0 {
		target := m.Layers[0].Target
		var layers, others []layer
		for _, l := range m.Layers {
			if l.Target == target {
				layers = append(layers, l)
			} else {
				others = append(others, l)
			}
		}
		m.Layers = others
		u := unwrapping{stateDir: stateDir, layers: layers, force: force}
		result, err := u.run()
		if err != nil {
			var parse *clientfile.ParseError
			if !errors.As(err, &parse) { // which names the file
				err = fmt.Errorf("%s: %w", layers[0].Path, err)
			}
			refused = append(refused, err)
			result.Outcome = Refused
		}
		results = append(results, result)
		if err == nil {
			err = forget(stateDir, target)
			if err != nil {
				return results, err
			}
			if result.Backup == "" {
				u.dropBackups(others)
			}
		}
	}
	return results, errors.Join(refused...)
}

// forget takes the layers of a file off the manifest, once the file is
// restored: after a crash in between, restoring it again changes nothing.
func forget(stateDir, target string) error {
	m, err := readManifest(stateDir)
	if err != nil {
		return err
	}
	m.Layers = slices.DeleteFunc(m.Layers, func(l layer) bool { return l.Target == target })
	return m.write(stateDir)
}

// unwrapping is the way back of one file.
type unwrapping struct {
	stateDir string
	layers   []layer // oldest first
	force    bool
}

func (u *unwrapping) run() (Result, error) {
	oldest := u.layers[0]
	result := Result{Client: oldest.Client, Path: oldest.Path, Outcome: Restored}
	current, err := readText(oldest.Target)
	if errors.Is(err, fs.ErrNotExist) {
		return u.gone(result)
	}
	if err != nil {
		return result, err
	}
	text, merged, notes, err := u.peel(current)
	switch {
	case (err != nil || merged) && u.force:
		return u.overwrite(result, current)
	case err != nil:
		return result, fmt.Errorf("%w; --force brings back the text from before wrap (%s) and keeps the present one as a backup",
			err, backupPath(u.stateDir, oldest.Before))
	case merged:
		result.Outcome, result.Notes = Merged, notes
		result.Backup = backupPath(u.stateDir, oldest.Before)
	}
	if bytes.Equal(text, current) {
		if !merged {
			result.Outcome = Untouched
		}
		return result, nil
	}
	return result, replaceFile(oldest.Target, current, text)
}

// peel takes the layers off text, newest first. merged tells that some layer
// had been changed since and only its entries were restored.
func (u *unwrapping) peel(text []byte) (peeled []byte, merged bool, notes []string, err error) {
	for i := len(u.layers) - 1; i >= 0; i-- {
		present := hash(text)
		if undone := slices.IndexFunc(u.layers[:i+1], func(l layer) bool { return l.Before == present }); undone >= 0 {
			i = undone // these edits never happened, or are undone already
			continue
		}
		l := u.layers[i]
		before, err := readBackup(u.stateDir, l.Before)
		if err != nil {
			return nil, false, nil, err
		}
		if present == l.After {
			text = before
			continue
		}
		merged = true
		restored, left, err := restoreEntries(l, text, before)
		if err != nil {
			return nil, true, nil, err
		}
		text, notes = restored, append(notes, left...)
	}
	if merged {
		left, err := stillWrapped(u.layers, text)
		if err != nil {
			return nil, true, nil, err
		}
		notes = append(notes, left...)
	}
	return text, merged, notes, nil
}

// restoreEntries gives the entries of a layer that still point at Sallyport the
// settings they had before.
func restoreEntries(l layer, text, before []byte) (restored []byte, notes []string, err error) {
	f := l.Client.dialect().format
	present, err := readEntries(l, text)
	if err != nil {
		return nil, nil, err
	}
	restored = text
	var done []Entry
	for _, e := range l.Entries {
		name := strings.Join(e.Path, ".")
		at := slices.IndexFunc(present, func(p clientfile.Entry) bool { return slices.Equal(p.Path, e.Path) })
		if at < 0 {
			notes = append(notes, name+" has been removed since: it is not brought back")
			continue
		}
		if !readServer(l.Client, l.Path, "", present[at]).Wrapped {
			notes = append(notes, name+" has been changed since and no longer points at Sallyport: it is left as it is")
			continue
		}
		restored, err = f.Restore(restored, before, e.Path)
		if err != nil {
			return nil, nil, err
		}
		done = append(done, e)
	}
	return restored, notes, clientfile.Check(f, text, restored, paths(done))
}

// readEntries reads all entries of the tables that a layer has touched.
func readEntries(l layer, text []byte) ([]clientfile.Entry, error) {
	var tables [][]string
	for _, e := range l.Entries {
		if table := e.Path[:len(e.Path)-1]; !clientfile.HasTable(tables, table) {
			tables = append(tables, table)
		}
	}
	entries, err := l.Client.dialect().format.Entries(text, tables)
	var parse *clientfile.ParseError
	if errors.As(err, &parse) {
		parse.Path = l.Path
	}
	return entries, err
}

// stillWrapped remarks on entries that point at Sallyport after all layers are
// off: the user has renamed or copied them.
func stillWrapped(layers []layer, text []byte) ([]string, error) {
	all := layers[0]
	for _, l := range layers[1:] {
		all.Entries = slices.Concat(all.Entries, l.Entries)
	}
	entries, err := readEntries(all, text)
	if err != nil {
		return nil, err
	}
	var notes []string
	for _, e := range entries {
		if readServer(all.Client, all.Path, "", e).Wrapped {
			notes = append(notes, strings.Join(e.Path, ".")+" still points at Sallyport, but import did not write it there: it is left as it is")
		}
	}
	return notes, nil
}

// gone handles a file that the user has removed.
func (u *unwrapping) gone(result Result) (Result, error) {
	oldest := u.layers[0]
	if !u.force {
		result.Outcome, result.Backup = Gone, backupPath(u.stateDir, oldest.Before)
		return result, nil
	}
	before, err := readBackup(u.stateDir, oldest.Before)
	if err != nil {
		return result, err
	}
	return result, writeFile(oldest.Target, before, nil)
}

// overwrite brings back the text from before the first Wrap, whatever is there
// now, and keeps what is there now.
func (u *unwrapping) overwrite(result Result, current []byte) (Result, error) {
	before, err := readBackup(u.stateDir, u.layers[0].Before)
	if err != nil {
		return result, err
	}
	if err := writeBackup(u.stateDir, current); err != nil {
		return result, err
	}
	result.Backup = backupPath(u.stateDir, hash(current))
	return result, replaceFile(u.layers[0].Target, current, before)
}

// dropBackups removes the backups of a file that is byte for byte what it was:
// they hold credentials, and nobody needs them any more. One that another file
// still needs stays.
func (u *unwrapping) dropBackups(others []layer) {
	for _, l := range u.layers {
		needed := slices.ContainsFunc(others, func(o layer) bool { return o.Before == l.Before })
		if !needed {
			_ = os.Remove(backupPath(u.stateDir, l.Before)) // a leftover does no harm: it is private
		}
	}
}
