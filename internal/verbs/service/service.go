// Package service is the verbs that make the gateway a service, and no service.
package service

import (
	"os"
	"path/filepath"
	"slices"

	"github.com/spf13/cobra"

	"sallyport/internal/config"
	"sallyport/internal/control"
	"sallyport/internal/install"
	"sallyport/internal/starter"
	"sallyport/internal/terminal"
)

// Verbs are the verbs, with what the command line has at hand.
type Verbs struct {
	Print   func(value any, show func(*terminal.Table)) error
	Exactly func(names ...string) cobra.PositionalArgs
}

// Install is the verb that makes the gateway a service.
func (v Verbs) Install() *cobra.Command {
	o := install.Options{Starter: starter.Files, Named: named, Up: func() bool { return control.Running(install.StateDir) }}
	var dry bool
	cmd := &cobra.Command{
		Use: "install", Short: "Set the gateway up as a service with a user of its own", Args: v.Exactly(),
		Long: `Set the gateway up as a systemd service that runs as a system user of its own, so
that an agent with a shell under your user can't read its state and keys, change
its policy or answer in your place. It takes root, and can be repeated.

The state is then in /var/lib/sallyport, configuration and policies in
/etc/sallyport (which the service can't change either). Members of the group
sallyport may look, kill, pause, and answer with the human's secret; nobody is put
into it. --from moves what "sallyport up" made for a user, while it does not run.`,
		Example: `  sallyport install --dry-run
  sudo sallyport install
  sudo sallyport install --from .sallyport`,
		RunE: func(*cobra.Command, []string) (err error) {
			if o.Program, err = os.Executable(); err != nil {
				return err
			}
			plan, err := install.New(o)
			if err != nil {
				return err
			}
			if o.Root != "" {
				return v.carry(plan, dry, "It starts with the machine. There: sudo sallyport enroll")
			}
			return v.carry(plan, dry, `It runs. Next:
  sudo sallyport enroll                             you become its human
  sudo usermod --append --groups sallyport USER     lets somebody look, from the next login on
  sallyport agents rotate support-bot               a token for the agent of the first configuration`)
		},
	}
	cmd.Flags().StringVar(&o.From, "from", "", "move the state directory of a gateway that ran as a user")
	planFlags(cmd, &o.Root, &dry)
	return cmd
}

// Uninstall is the verb that undoes Install.
func (v Verbs) Uninstall() *cobra.Command {
	var root string
	var dry, erase bool
	cmd := &cobra.Command{
		Use: "uninstall", Short: "Take the service away that install has set up; the state stays", Args: v.Exactly(),
		RunE: func(*cobra.Command, []string) error {
			plan, err := install.Remove(root, erase)
			if err != nil {
				return err
			}
			return v.carry(plan, dry, "The service is gone.")
		},
	}
	cmd.Flags().BoolVar(&erase, "erase", false, "remove the state, the configuration and the user, too: the log is lost for good")
	planFlags(cmd, &root, &dry)
	return cmd
}

func planFlags(cmd *cobra.Command, root *string, dry *bool) {
	cmd.Flags().BoolVar(dry, "dry-run", false, "change nothing, print each step and each file")
	cmd.Flags().StringVar(root, "root", "", "change the system in this directory, such as an image, and not this machine's")
}

// carry carries a plan out, or shows it.
func (v Verbs) carry(plan *install.Plan, dry bool, done string) error {
	if !dry && os.Geteuid() != 0 {
		return install.ErrNotRoot
	}
	states := make([]string, len(plan.Steps))
	for i, s := range plan.Steps {
		if states[i] = "to do"; s.Done {
			states[i] = "is so"
		}
	}
	var failed error
	if !dry {
		failed = plan.Carry()
	}
	err := v.Print(plan, func(t *terminal.Table) {
		for i, s := range plan.Steps {
			if !dry && s.Done && states[i] == "to do" {
				states[i] = "done"
			}
			t.Row(states[i], s.What)
			if dry && s.Text != "" {
				t.Line("\n" + s.Text)
			}
		}
		for _, note := range plan.Notes {
			t.Line("\n" + terminal.Visible(note))
		}
		if !dry && failed == nil {
			t.Line("\n" + done)
		}
	})
	if failed != nil {
		return failed
	}
	return err
}

// named are the paths that a configuration names.
func named(file string) (policies, others []string, err error) {
	c, _, err := config.Read(file)
	if err != nil {
		return nil, nil, err
	}
	if c.TLS != nil {
		others = append(others, c.TLS.Cert, c.TLS.Key)
	}
	for _, s := range c.Servers {
		paths := []string{s.Cwd, s.Command}
		for _, arg := range s.Args {
			paths = append(paths, arg.Value)
		}
		others = append(others, slices.DeleteFunc(paths, func(path string) bool { return !filepath.IsAbs(path) })...)
	}
	return c.Policy, others, nil
}
