package people

import (
	"fmt"

	"sallyport/internal/config"
	"sallyport/internal/identity"
)

// Visitors are people as the console knows them: who has enrolled, and is declared
// still.
type Visitors struct {
	Human  *identity.Human
	Config func() *config.Config
}

// Login implements console.People.
func (v *Visitors) Login(known bool, who, secret string) error {
	if err := v.Human.Login(known, who, secret); err != nil {
		return err
	}
	if !v.Here(who) {
		return fmt.Errorf("%s is no person here any more: the configuration does not name them", who)
	}
	return nil
}

// Here implements console.People.
func (v *Visitors) Here(who string) bool {
	_, declared := v.Config().Users[who]
	return who == identity.OperatorName || declared
}

// Subject is that of a change that is about a person, "the human" being the
// operator.
func Subject(subject, who string) string {
	if who == identity.OperatorName {
		return subject
	}
	return subject + " " + who
}
