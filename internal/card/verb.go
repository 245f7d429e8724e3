package card

import (
	"slices"

	"sallyport"
)

// does says what the call does, by its strictest effect.
func (c *Card) does(q sallyport.Value, amount string) {
	what := text(q, "server") + " / " + text(q, "name")
	c.tool = what
	kind, _ := q.Get("kind").Text()
	switch sallyport.KindOf(kind) {
	case sallyport.KindResource:
		c.Verb, c.Undo = "READ the resource "+what, "Nothing is changed."
		return
	case sallyport.KindSubscribe:
		c.Verb, c.Undo = "FOLLOW the resource "+what, "Nothing is changed."
		return
	case sallyport.KindPrompt:
		c.Verb, c.Undo = "GET the prompt "+what, "Nothing is changed."
		return
	}
	act := acts[strictest(c.Effects)]
	verb := act.verb
	if amount != "" {
		verb += " " + Exact(amount)
	}
	c.Verb, c.Undo, c.Irreversible = verb+" with "+what, act.undo, act.final
}

// act is one effect in words.
type act struct {
	verb, undo string
	final      bool // can't be undone
}

var acts = map[sallyport.Effect]act{
	sallyport.Read:   {"READ", "Nothing is changed.", false},
	sallyport.Write:  {"CHANGE DATA", "Can be changed back by whoever knows what was there.", false},
	sallyport.Send:   {"SEND", "What is sent can't be taken back.", true},
	sallyport.Pay:    {"PAY", "What is paid can hardly be had back.", true},
	sallyport.Delete: {"DELETE", "What is deleted is gone.", true},
	sallyport.Access: {"CHANGE WHO MAY DO WHAT", "Can be changed back; what was done meanwhile can't.", true},
	sallyport.Exec:   {"RUN ANYTHING", "Nobody knows what it does.", true},
}

// strictest is the strictest of some effects: exec where nothing or something
// unknown is said.
func strictest(effects []string) sallyport.Effect {
	rank := -1
	for _, name := range effects {
		i := slices.Index(sallyport.Effects[:], sallyport.Effect(name))
		if i < 0 {
			return sallyport.Exec
		}
		rank = max(rank, i)
	}
	if rank < 0 {
		return sallyport.Exec
	}
	return sallyport.Effects[rank]
}
