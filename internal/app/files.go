package app

import (
	"io/fs"
	"os"
	"path/filepath"
)

// paths are what is read when the policy is loaded again: the configuration,
// secrets, and the policies with the directories below. The configuration's
// directory itself is not among them: by default the database is in it, and
// every call would wake us. The caller holds changing.
func (a *App) paths() []string {
	paths := []string{a.configPath}
	if secrets := filepath.Join(a.options.Dir, "secrets.json"); exists(secrets) {
		paths = append(paths, secrets)
	}
	for _, path := range a.law.inForce.config.Policy {
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

func exists(path string) bool {
	_, err := os.Stat(path)
	return err == nil
}
