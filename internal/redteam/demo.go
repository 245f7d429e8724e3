package redteam

import (
	"context"
	"errors"
	"io/fs"
	"os"
	"path/filepath"
	"strings"

	"sallyport/internal/lab/scenario"
	"sallyport/internal/redteam/world"
	"sallyport/internal/starter"
)

// Demo is the configuration of the first minute with the built-in servers.
func Demo(ctx context.Context, open scenario.Open) (_ *world.World, err error) {
	dir, err := os.MkdirTemp("", "sallyport-redteam-")
	if err != nil {
		return nil, err
	}
	defer func() { err = errors.Join(err, os.RemoveAll(dir)) }()
	err = fs.WalkDir(starter.Files, ".", func(name string, entry fs.DirEntry, err error) error {
		if err != nil || entry.IsDir() {
			return errors.Join(err, os.MkdirAll(filepath.Join(dir, name), 0o700))
		}
		text, err := starter.Files.ReadFile(name)
		if err != nil {
			return err
		}
		return os.WriteFile(filepath.Join(dir, name), []byte(strings.Replace(string(text), "127.0.0.1:7717", "127.0.0.1:0", 1)), 0o600)
	})
	if err != nil {
		return nil, err
	}
	name, state := filepath.Join(dir, "sallyport.yaml"), filepath.Join(dir, "state")
	gate, err := open(ctx, state, name) // which asks the servers what they offer
	if err != nil {
		return nil, err
	}
	if err := gate.Close(context.WithoutCancel(ctx)); err != nil {
		return nil, err
	}
	return world.Read(ctx, name, state)
}
