package main

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"io/fs"
	"log/slog"
	"os"
	"path/filepath"
	"time"

	"github.com/spf13/cobra"

	"sallyport/internal/app"
	"sallyport/internal/control"
	"sallyport/internal/install"
	"sallyport/internal/store"
	"sallyport/internal/verbs"
)

// with runs a verb against the gateway that runs in the state directory or,
// when none does, against the directory itself.
func (c *cli) with(cmd *cobra.Command, verb func(ctx context.Context, gate *control.Client) error) error {
	dir, err := c.stateDir()
	if err != nil {
		return err
	}
	return c.withDir(cmd.Context(), dir, verb)
}

// stateDir is the directory that a verb is about: the one named, that of the
// gateway that is installed here, or the one below this directory. The installed
// one goes before what lies about where an agent may write: a secret is typed
// into it.
func (c *cli) stateDir() (string, error) {
	dir, err := app.StateDir(cmp.Or(c.dir, install.Here()), "")
	if err != nil {
		return "", err
	}
	return dir, install.BecomeOwner(dir)
}

// inUseFor is how long a directory may be in use by nobody who answers: another
// verb is at work on it, or a gateway is starting or stopping.
const inUseFor = 5 * time.Second

func (c *cli) withDir(ctx context.Context, dir string, verb func(ctx context.Context, gate *control.Client) error) error {
	for began := time.Now(); ; {
		if control.Running(dir) {
			return verb(ctx, control.Dial(dir))
		}
		if _, err := os.Stat(filepath.Join(dir, "sallyport.db")); errors.Is(err, fs.ErrNotExist) {
			return noState(dir)
		}
		a, err := app.Open(ctx, app.Options{Dir: dir, Version: version(), Log: slog.New(slog.DiscardHandler)})
		if err == nil {
			err = verb(ctx, control.Local(a.Control()))
			return errors.Join(err, a.Close(context.WithoutCancel(ctx)))
		}
		if !errors.Is(err, store.ErrInUse) || ctx.Err() != nil || time.Since(began) > inUseFor {
			return err
		}
		time.Sleep(20 * time.Millisecond)
	}
}

// kit is what the verbs that have a package of their own are made of.
func (c *cli) kit() verbs.Kit {
	return verbs.Kit{
		In: c.in, Out: c.out, Errs: c.errs, With: c.with, Dir: c.stateDir,
		Endpoint: c.endpoint, Secret: c.humanSecret, SecretFlag: c.secretFlag, SecretFrom: c.secretFrom, NewSecret: c.newSecret, Print: c.print, Minute: minute,
		Group: group, Exactly: exactly, Usage: usage, CompleteAgents: c.completeAgents,
	}
}

func noState(dir string) error {
	return fmt.Errorf("no gateway runs in %s, and none ever did: start one with \"sallyport up\", or name its directory with --dir", dir)
}
