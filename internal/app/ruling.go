package app

import (
	"bytes"
	"crypto/sha256"
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"maps"
	"os"
	"path/filepath"
	"slices"
	"strings"

	"github.com/rogpeppe/go-internal/diff"

	"sallyport"
	"sallyport/internal/app/aside"
	"sallyport/internal/config"
	"sallyport/internal/gateway"
	"sallyport/internal/manifest"
	"sallyport/internal/policy"
)

// maxPolicy bounds all policy files together, in bytes.
const maxPolicy = 32 << 20

// Ruling is a configuration and the policy that it names, as one: it is read,
// compared, accepted and put in force as one.
type ruling struct {
	config *config.Config
	text   []byte // of the configuration
	name   string // of its file
	files  []policy.File
	more   []policy.File // of the command line: in force, but not kept or compared
}

// readRuling reads a configuration and the policy that it names.
func readRuling(name string) (*ruling, error) {
	c, text, err := config.Read(name)
	if err != nil {
		return nil, err
	}
	r := &ruling{config: c, text: text, name: name}
	r.files, err = readPolicy(c.Policy, filepath.Dir(name))
	return r, err
}

// readPolicy reads every *.cedar file of the paths given, directories with
// all below them. Names are relative to base where that is shorter to read.
func readPolicy(paths []string, base string) ([]policy.File, error) {
	var files []policy.File
	size := 0
	add := func(name string) error {
		text, err := os.ReadFile(name)
		if err != nil {
			return err
		}
		if size += len(text); size > maxPolicy {
			return fmt.Errorf("the policy files have more than %d bytes", maxPolicy)
		}
		files = append(files, policy.File{Name: shortName(name, base), Text: text})
		return nil
	}
	for _, path := range paths {
		info, err := os.Stat(path)
		switch {
		case errors.Is(err, fs.ErrNotExist):
			return nil, fmt.Errorf("there is no policy %s; without one nothing is allowed", path)
		case err != nil:
			return nil, err
		case !info.IsDir():
			if err := add(path); err != nil {
				return nil, err
			}
			continue
		}
		err = filepath.WalkDir(path, func(name string, entry fs.DirEntry, err error) error {
			if err != nil || entry.IsDir() || !strings.HasSuffix(name, ".cedar") {
				return err
			}
			return add(name)
		})
		if err != nil {
			return nil, err
		}
	}
	return files, nil
}

func shortName(name, base string) string {
	if absolute, err := filepath.Abs(base); err == nil {
		if short, err := filepath.Rel(absolute, name); err == nil && !strings.HasPrefix(short, "..") {
			return short
		}
	}
	return name
}

// digest identifies the ruling by every byte of it.
func (r *ruling) digest() sallyport.Digest {
	h := sha256.New()
	fmt.Fprintf(h, "%d:%s", len(r.text), r.text)
	for _, file := range r.files {
		fmt.Fprintf(h, "%d:%s%d:%s", len(file.Name), file.Name, len(file.Text), file.Text)
	}
	return sallyport.Digest(h.Sum(nil))
}

// kept is a ruling as the state keeps it: what was accepted last stays in
// force whatever the files say while the gateway is down.
type kept struct {
	Name  string   `json:"name"`
	Text  []byte   `json:"text"`
	Names []string `json:"names"`
	Files [][]byte `json:"files"`
}

func (r *ruling) keep() ([]byte, error) {
	k := kept{Name: r.name, Text: r.text}
	for _, file := range r.files {
		k.Names, k.Files = append(k.Names, file.Name), append(k.Files, file.Text)
	}
	return json.Marshal(k)
}

func restoreRuling(record []byte) (*ruling, error) {
	var k kept
	if err := json.Unmarshal(record, &k); err != nil || len(k.Names) != len(k.Files) {
		return nil, errors.New("the configuration that was accepted last is damaged in the state directory")
	}
	r := &ruling{text: k.Text, name: k.Name}
	for i, name := range k.Names {
		r.files = append(r.files, policy.File{Name: name, Text: k.Files[i]})
	}
	var err error
	r.config, err = config.Parse(k.Name, k.Text)
	return r, err
}

// load makes rules of the ruling, checked against what was accepted of the
// servers. What is in quarantine still counts: a changed manifest must not
// break a policy that a human wrote against the accepted one. Rules about
// servers that were never accepted wait for them.
func (r *ruling) load(pins []gateway.Pin) (*policy.Rules, error) {
	files, _ := r.ready(pins)
	return policy.Load(files, definitions(pins, r.config), r.config.Declared())
}

// ready are the files with the rules set aside that are about servers which
// were never accepted, and the text of those rules.
func (r *ruling) ready(pins []gateway.Pin) (files []policy.File, late []string) {
	files = slices.Concat(r.files, r.more)
	if servers := unseen(r.config, pins); len(servers) > 0 {
		return aside.Set(files, servers)
	}
	return files, nil
}

// unseen are the configured servers of which nothing was ever accepted: no
// call to them is possible, and what a policy says of their tools can't be
// checked yet.
func unseen(c *config.Config, pins []gateway.Pin) []string {
	var names []string
	for name := range c.Servers {
		known := slices.ContainsFunc(pins, func(p gateway.Pin) bool { return p.Server == name && p.Raw != nil })
		if !known {
			names = append(names, name)
		}
	}
	slices.Sort(names)
	return names
}

func definitions(pins []gateway.Pin, c *config.Config) []sallyport.Definition {
	var all []sallyport.Definition
	for _, pin := range pins {
		if _, configured := c.Servers[pin.Server]; !configured || pin.Raw == nil {
			continue
		}
		raw, err := sallyport.Parse(pin.Raw)
		if err != nil {
			continue // damaged: the pin refuses its calls
		}
		kind, name := pin.Key.Split()
		if kind == sallyport.KindUnknown {
			continue // no call is about the server's own words
		}
		d := sallyport.Definition{Server: pin.Server, Kind: kind, Name: name, Raw: raw,
			Digest: manifest.NewItem(pin.Key, raw).Digest, Since: pin.Since}
		if kind == sallyport.KindTool {
			d.Effects, d.Undeclared = c.Settings(pin.Server, name)
		}
		all = append(all, d)
	}
	return all
}

// diffOf shows what a new ruling changes, file by file.
func diffOf(old, next *ruling) string {
	texts := func(r *ruling) map[string][]byte {
		all := map[string][]byte{filepath.Base(r.name): r.text}
		for _, file := range r.files {
			all[file.Name] = file.Text
		}
		return all
	}
	before, after := texts(old), texts(next)
	names := maps.Clone(before)
	maps.Copy(names, after)
	var out bytes.Buffer
	for _, name := range slices.Sorted(maps.Keys(names)) {
		out.Write(diff.Diff("in force/"+name, before[name], "new/"+name, after[name]))
	}
	return out.String()
}
