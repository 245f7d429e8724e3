package importer

import (
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"maps"
	"os"
	"path/filepath"
)

// SecretStore keeps credentials by name in one file of the state directory,
// readable by its owner alone. It is the place until a vault takes over.
type SecretStore struct {
	path   string
	values map[string]string
}

// OpenSecrets reads the secret store of a state directory; a missing one is
// empty. A store that others can read is refused.
func OpenSecrets(stateDir string) (*SecretStore, error) {
	s := &SecretStore{path: filepath.Join(stateDir, "secrets.json"), values: make(map[string]string)}
	info, err := os.Stat(s.path)
	if errors.Is(err, fs.ErrNotExist) {
		return s, nil
	}
	if err != nil {
		return nil, err
	}
	if !private(info.Mode()) {
		return nil, fmt.Errorf("%s can be read by others: chmod 600 it, and replace the credentials in it", s.path)
	}
	text, err := readText(s.path)
	if err != nil {
		return nil, err
	}
	if err := json.Unmarshal(text, &s.values); err != nil {
		return nil, fmt.Errorf("%s is damaged: not a JSON object of strings", s.path) // the error may quote a value
	}
	return s, nil
}

// Get returns the credential of that name.
func (s *SecretStore) Get(name string) (string, bool) {
	v, ok := s.values[name]
	return v, ok
}

// Put adds or replaces credentials and returns once they are durable.
func (s *SecretStore) Put(secrets []Secret) error {
	if len(secrets) == 0 {
		return nil
	}
	values := maps.Clone(s.values)
	for _, secret := range secrets {
		values[secret.Name] = secret.Value.value
	}
	text, err := json.MarshalIndent(values, "", "  ")
	if err != nil {
		return err
	}
	if err := os.MkdirAll(filepath.Dir(s.path), 0o700); err != nil {
		return err
	}
	if err := writeFile(s.path, append(text, '\n'), nil); err != nil {
		return err
	}
	s.values = values
	return nil
}
