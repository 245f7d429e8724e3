package app

import (
	"context"
	"errors"
	"time"

	"sallyport"
	"sallyport/internal/app/people"
	"sallyport/internal/asking"
	"sallyport/internal/card"
	"sallyport/internal/identity"
	"sallyport/internal/inbox"
)

// Inbox is where people answer what waits, whatever they look with.
func (a *App) Inbox() *inbox.Inbox {
	return &inbox.Inbox{Store: a.store, Gateway: a.gateway, Terms: a.terms, Prove: a.prove, Said: a.said, Now: time.Now}
}

// terms are those on which people are asked now.
func (a *App) terms() *asking.Terms {
	return people.Terms(a.config(), a.human.People(), func(agent string) string {
		principal, _ := a.runs.Principal(agent)
		return principal.User
	})
}

// prove takes a person's secret.
func (a *App) prove(ctx context.Context, by string, class sallyport.Class, signed sallyport.Digest, proof asking.Proof) (string, error) {
	if proof.Session != "" {
		return a.console.Proven(by, class, signed, proof.Session)
	}
	if proof.Secret == "" {
		return "", errors.New("an answer needs the person's secret")
	}
	return "secret", a.verifyAs(ctx, by, proof.Secret)
}

// said is what the user told a run.
func (a *App) said(ctx context.Context, run string) []card.Said {
	shown, err := a.runs.Show(ctx, identity.AtSocket(), run)
	if err != nil {
		return nil
	}
	var said []card.Said
	for _, word := range shown.Words {
		text := word.Text
		if word.Gone != "" {
			text = word.Gone
		}
		said = append(said, card.Said{Text: text, Strength: string(word.Strength)})
	}
	return said
}
