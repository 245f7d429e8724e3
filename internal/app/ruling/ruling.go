// Package ruling reads, compares and keeps a configuration and the policy that
// it names.
package ruling

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
	"sallyport/internal/manifest"
	"sallyport/internal/pin"
	"sallyport/internal/policy"
	"sallyport/internal/policytest"
)

// maxPolicy bounds all policy files together, in bytes.
const maxPolicy = 32 << 20

// Ruling is a configuration and the policy that it names, as one: it is read,
// compared, accepted and put in force as one.
type Ruling struct {
	Config *config.Config
	Name   string // of the configuration's file
	Files  []policy.File
	More   []policy.File // of the command line: in force, but not kept or compared

	text []byte // of the configuration
}

// Read reads a configuration and the policy that it names.
func Read(name string) (*Ruling, error) {
	c, text, err := config.Read(name)
	if err != nil {
		return nil, err
	}
	r := &Ruling{Config: c, text: text, Name: name}
	r.Files, err = readPolicy(c.Policy, filepath.Dir(name))
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

// Digest identifies the ruling by every byte of it.
func (r *Ruling) Digest() sallyport.Digest {
	h := sha256.New()
	fmt.Fprintf(h, "%d:%s", len(r.text), r.text)
	for _, file := range r.Files {
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

// Keep is the record that Restore reads.
func (r *Ruling) Keep() ([]byte, error) {
	k := kept{Name: r.Name, Text: r.text}
	for _, file := range r.Files {
		k.Names, k.Files = append(k.Names, file.Name), append(k.Files, file.Text)
	}
	return json.Marshal(k)
}

// Restore makes the ruling of its record again.
func Restore(record []byte) (*Ruling, error) {
	var k kept
	if err := json.Unmarshal(record, &k); err != nil || len(k.Names) != len(k.Files) {
		return nil, errors.New("the configuration that was accepted last is damaged in the state directory")
	}
	r := &Ruling{text: k.Text, Name: k.Name}
	for i, name := range k.Names {
		r.Files = append(r.Files, policy.File{Name: name, Text: k.Files[i]})
	}
	var err error
	r.Config, err = config.Parse(k.Name, k.Text)
	return r, err
}

// Load makes rules of the ruling, checked against what was accepted of the
// servers. What is in quarantine still counts: a changed manifest must not
// break a policy that a human wrote against the accepted one. Rules about
// servers that were never accepted wait for them.
func (r *Ruling) Load(pins []pin.Pin) (*policy.Rules, error) {
	files, _ := r.Ready(pins)
	return policy.Load(files, r.Definitions(pins), r.Config.Declared())
}

// Ready are the files with the rules set aside that are about servers which
// were never accepted, and the text of those rules.
func (r *Ruling) Ready(pins []pin.Pin) (files []policy.File, late []string) {
	files = slices.Concat(r.Files, r.More)
	if servers := r.Unseen(pins); len(servers) > 0 {
		return aside.Set(files, servers)
	}
	return files, nil
}

// Unseen are the configured servers of which nothing was ever accepted: no
// call to them is possible, and what a policy says of their tools can't be
// checked yet.
func (r *Ruling) Unseen(pins []pin.Pin) []string {
	var names []string
	for name := range r.Config.Servers {
		known := slices.ContainsFunc(pins, func(p pin.Pin) bool { return p.Server == name && p.Raw != nil })
		if !known {
			names = append(names, name)
		}
	}
	slices.Sort(names)
	return names
}

// Definitions are what the pins say of the configured servers.
func (r *Ruling) Definitions(pins []pin.Pin) []sallyport.Definition {
	var all []sallyport.Definition
	for _, pin := range pins {
		if _, configured := r.Config.Servers[pin.Server]; !configured || pin.Raw == nil {
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
			d.Effects, d.Undeclared = r.Config.Settings(pin.Server, name)
		}
		all = append(all, d)
	}
	return all
}

// World is what tests of the policy run in.
func (r *Ruling) World(pins []pin.Pin) policytest.World {
	world := policytest.World{Pinned: r.Definitions(pins), Roles: r.Config.Roles, Users: map[string]policytest.User{}}
	for name, user := range r.Config.Users {
		world.Users[name] = policytest.User{Groups: user.Groups, Roles: user.Roles, Tenant: user.Tenant, Attributes: user.Attributes}
	}
	return world
}

// Diff shows what a new ruling changes, file by file.
func (r *Ruling) Diff(next *Ruling) string {
	texts := func(r *Ruling) map[string][]byte {
		all := map[string][]byte{filepath.Base(r.Name): r.text}
		for _, file := range r.Files {
			all[file.Name] = file.Text
		}
		return all
	}
	before, after := texts(r), texts(next)
	names := maps.Clone(before)
	maps.Copy(names, after)
	var out bytes.Buffer
	for _, name := range slices.Sorted(maps.Keys(names)) {
		out.Write(diff.Diff("in force/"+name, before[name], "new/"+name, after[name]))
	}
	return out.String()
}

// Paths are what is read when the policy is loaded again: the policies with
// the directories below.
func (r *Ruling) Paths() []string {
	var paths []string
	for _, path := range r.Config.Policy {
		paths = append(paths, path)
		filepath.WalkDir(path, func(name string, entry fs.DirEntry, err error) error {
			if err == nil && entry.IsDir() {
				paths = append(paths, name)
			}
			return nil
		})
	}
	return paths
}
