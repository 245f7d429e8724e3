package app

import (
	"context"
	"errors"
	"time"

	"sallyport"
	"sallyport/internal/app/around"
	"sallyport/internal/app/people"
	"sallyport/internal/asking"
	"sallyport/internal/inbox"
	"sallyport/internal/scope"
)

// Inbox is where people answer what waits, whatever they look with.
func (a *App) Inbox() *inbox.Inbox {
	return &inbox.Inbox{Store: a.store, Gateway: a.gateway, Terms: a.terms, Prove: a.prove, Around: a.around().Of, Record: a.gateway.Record, Guesses: &a.guesses, Now: time.Now}
}

// around finds what people want to know beside a question.
func (a *App) around() *around.Around {
	return &around.Around{Run: a.ShowRun, Admit: a.pins.Admit, Costs: a.allowance.Costs,
		Means: func(server, tool string) map[string]scope.Role { return a.config().Meanings(server, tool) }}
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
