package install

import (
	"errors"
	"os"
)

// Remove plans to take the service away. The state and the configuration stay,
// and with them the user, unless they are to be erased.
func Remove(root string, erase bool) (*Plan, error) {
	m, err := on(root)
	if err != nil {
		return nil, err
	}
	p := &Plan{Notes: []string{"The program stays: " + program + "."}}
	systemctl := func(words ...string) func() error {
		return func() error {
			if root != "" {
				words = append([]string{"--root=" + m.at("/")}, words...)
			}
			return m.run("systemctl", words...)
		}
	}
	if root == "" {
		p.add(!m.has(unitFile), systemctl("disable", "--now", account), "stop the service, and have it start no more (systemctl disable --now)")
	} else {
		p.add(!m.has(enabled), systemctl("disable", account), "have it start no more (systemctl disable)")
	}
	remove := func(path string) {
		p.add(!m.has(path), func() error { return os.RemoveAll(m.at(path)) }, "remove %s", path)
	}
	gone := !m.has(unitFile)
	for _, path := range []string{unitFile, cacheDir} {
		remove(path)
	}
	if root == "" {
		p.add(gone, systemctl("daemon-reload"), "have systemd forget it (systemctl daemon-reload)")
	}
	if !erase {
		p.Notes = append(p.Notes, "The state, the configuration and the user stay: "+StateDir+", "+configDir+". --erase removes them, and with them the log.")
		return p, nil
	}
	remove(StateDir)
	remove(configDir)
	found, err := m.account()
	if err != nil {
		return nil, err
	}
	p.add(found == nil, func() error {
		words := []string{account}
		if root != "" {
			words = []string{"--prefix", m.at("/"), account}
		}
		if err := m.run("userdel", words...); err != nil {
			return err
		}
		if left, err := m.account(); err != nil || left != nil {
			return errors.Join(errors.New("the user is still there"), err)
		}
		return nil
	}, "remove the user and the group %s (userdel)", account)
	return p, nil
}
