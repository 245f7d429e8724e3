package app

import (
	"os"
	"path/filepath"
)

// paths are what is read when the ruling is made again: the configuration,
// secrets, and the policies. The configuration's directory itself is not among
// them: by default the database is in it, and every call would wake us. The
// caller holds changing.
func (a *App) paths() []string {
	paths := []string{a.configPath}
	if secrets := filepath.Join(a.options.Dir, "secrets.json"); exists(secrets) {
		paths = append(paths, secrets)
	}
	return append(paths, a.law.inForce.Paths()...)
}

func exists(path string) bool {
	_, err := os.Stat(path)
	return err == nil
}
