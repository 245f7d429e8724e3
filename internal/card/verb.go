package card

import (
	"slices"

	"sallyport"
)

// does says what the call does, by its strictest effect.
func (c *Card) does(q sallyport.Value, amount string) {
	what := text(q, "server") + " / " + text(q, "name")
	c.Tool, c.Amount = what, Exact(amount)
	kind, _ := q.Get("kind").Text()
	switch sallyport.KindOf(kind) {
	case sallyport.KindResource:
		c.says("READ", "READ the resource "+what)
		return
	case sallyport.KindSubscribe:
		c.says("FOLLOW", "FOLLOW the resource "+what)
		return
	case sallyport.KindPrompt:
		c.says("GET", "GET the prompt "+what)
		return
	}
	act := acts[strictest(c.Effects)]
	verb := act.verb
	if amount != "" {
		verb += " " + c.Amount
	}
	c.Act, c.Verb, c.Undo, c.Irreversible = act.verb, verb+" with "+what, act.undo, act.final
}

// says is does for what changes nothing.
func (c *Card) says(act, verb string) { c.Act, c.Verb, c.Undo = act, verb, "Nothing is changed." }

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
