// Package limits says what a call takes of which limits, on whose accounts, and
// whether there is room. It is pure: what was taken before it is told.
package limits

import (
	"cmp"
	"crypto/hmac"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"slices"
	"strings"
	"time"
	"unicode"

	"golang.org/x/text/cases"
	"golang.org/x/text/unicode/norm"

	"sallyport"
)

// Limit is one limit, as the operator wrote it.
type Limit struct {
	Name   string
	File   string // where it is written
	Line   int
	Unit   string
	Cap    sallyport.Amount
	Window sallyport.Window
	Spell  string   // of the window, as it is written
	Per    []string // what has an account of its own: see Keys
	Within string   // the limit of which this one is a part, "" for none

	// Applies says which calls it is about: those that fit all lists that are not
	// nil. Without any it is about what its parts are about, and about every call
	// when it has none.
	Applies Applies

	// Estimate says before a call what it takes, Cost afterwards what it came to;
	// nil for the estimate. History takes the most that such a call has cost
	// lately for an estimate, and First while there has been none.
	Estimate *Expression
	History  bool
	First    sallyport.Amount
	Cost     *Expression
	// Currency is where the call says in which it is: another than Unit can't be
	// counted.
	Currency *Expression

	Ask  []string // groups that may let a call go beyond it; nil refuses
	Ramp Ramp

	arguments map[string]*Expression // of Per
}

// Applies is which calls a limit is about.
type Applies struct {
	Effects []sallyport.Effect
	Tools   []string // patterns of SERVER/TOOL or, of what is no tool, of the action
	Servers []string
}

// Ramp starts a new account with a part of the limit, which grows day by day.
type Ramp struct {
	From int64 // percent
	Days int64 // until it is whole; 0 for no ramp
}

// Keys are what limits can be per, besides arguments (input.PATH).
var Keys = []string{"agent", "role", "run", "server", "tenant", "tool", "user"}

// CheckKey says why there can't be accounts per key.
func CheckKey(key string) error {
	if slices.Contains(Keys, key) {
		return nil
	}
	if !strings.HasPrefix(key, "input.") {
		return fmt.Errorf("there are no accounts per %q, only per %s and input.ARGUMENT", key, strings.Join(Keys, ", "))
	}
	e, err := ParseExpression(key, "input")
	if err == nil {
		_, err = pathOf(e.tree, []string{"input"})
	}
	return err
}

// Set is all limits that are in force. The zero Set limits nothing.
type Set struct {
	limits []*Limit // parts before what they are part of
	byName map[string]*Limit
	parts  map[string]bool // limits that have parts
	// honest are the servers that are trusted when they say that they did nothing.
	honest map[string]bool
	secret []byte // keys the digests of arguments
}

// New makes a set of limits, whose parents must be there and in no circle.
func New(all []Limit, honest map[string]bool, secret []byte) (*Set, error) {
	s := &Set{byName: map[string]*Limit{}, parts: map[string]bool{}, honest: honest, secret: secret}
	for i := range all {
		s.byName[all[i].Name] = &all[i]
		s.parts[all[i].Within] = true
	}
	depth := map[string]int{}
	for name := range s.byName {
		for at := name; at != ""; at = s.byName[at].Within {
			if s.byName[at] == nil || depth[name] > len(all) {
				return nil, fmt.Errorf("limit %s: what it is within is no limit, or within it", name)
			}
			depth[name]++
		}
	}
	for i := range all {
		s.limits = append(s.limits, &all[i])
		all[i].arguments = map[string]*Expression{}
		for _, key := range all[i].Per {
			if slices.Contains(Keys, key) {
				continue
			}
			e, err := ParseExpression(key, "input")
			if err != nil {
				return nil, fmt.Errorf("limit %s: %w", all[i].Name, err)
			}
			all[i].arguments[key] = e
		}
	}
	slices.SortFunc(s.limits, func(a, b *Limit) int {
		return cmp.Or(depth[b.Name]-depth[a.Name], strings.Compare(a.Name, b.Name))
	})
	return s, nil
}

// All are the limits, parts before what they are part of.
func (s *Set) All() []*Limit { return s.limits }

// Memory is what calls cost before.
type Memory interface {
	// Typical is the most that calls of an action have cost lately under a limit;
	// ok is false when there were none. An error means that nobody knows.
	Typical(limit, action string) (amount sallyport.Amount, ok bool, err error)
}

// Charges says what a call takes of which limits, parts before what they are part
// of. An error means that this can't be told, and so not whether there is room.
func (s *Set) Charges(call *sallyport.Call, tool *sallyport.Definition, memory Memory) ([]sallyport.Charge, error) {
	switch call.Kind {
	case sallyport.KindAsk, sallyport.KindAnswer, sallyport.KindTask:
		return nil, nil // charged with the call that they belong to
	}
	var charges []sallyport.Charge
	passed := map[string]sallyport.Amount{} // by parts, to what they are part of
	firm := map[string]sallyport.Amount{}   // of that, by parts of which nothing is kept to be settled
	for _, l := range s.limits {
		amount, counts := passed[l.Name]
		if l.about(call, tool, s.parts[l.Name]) {
			own, err := l.estimate(call, memory)
			if err != nil {
				return nil, fmt.Errorf("limit %s: %w", l.Name, err)
			}
			amount, counts = max(amount, own), true
		}
		if !counts {
			continue
		}
		c := sallyport.Charge{Limit: l.Name, Unit: l.Unit, Window: l.Window, Cap: l.Cap, Ceiling: l.Cap, Amount: amount, Firm: firm[l.Name], Ramped: l.Ramp.Days > 0}
		if l.History {
			c.Costly = call.Action()
		}
		var err error
		if c.Account, c.Label, err = s.account(l, call); err != nil {
			return nil, fmt.Errorf("limit %s: %w", l.Name, err)
		}
		charges = append(charges, c)
		if l.Within != "" {
			passed[l.Within] = max(passed[l.Within], amount)
			if l.Window.Kind == sallyport.PerCall {
				firm[l.Within] = max(firm[l.Within], amount)
			}
		}
	}
	return charges, nil
}

// about reports whether a limit is about a call itself, and not only by its parts.
func (l *Limit) about(call *sallyport.Call, tool *sallyport.Definition, hasParts bool) bool {
	a := &l.Applies
	if a.Effects == nil && a.Tools == nil && a.Servers == nil {
		return !hasParts
	}
	return (a.Servers == nil || slices.Contains(a.Servers, call.Server)) &&
		(a.Tools == nil || slices.ContainsFunc(a.Tools, func(pattern string) bool {
			return call.Kind == sallyport.KindTool && fits(pattern, call.Server+"/"+call.Name) || fits(pattern, call.Action())
		})) &&
		(a.Effects == nil || slices.ContainsFunc(effects(call, tool), func(e sallyport.Effect) bool { return slices.Contains(a.Effects, e) }))
}

// effects of a call. Those of a tool that nobody knows could be any.
func effects(call *sallyport.Call, tool *sallyport.Definition) []sallyport.Effect {
	switch {
	case call.Kind != sallyport.KindTool:
		return []sallyport.Effect{sallyport.Read}
	case tool == nil || len(tool.Effects) == 0:
		return sallyport.Effects[:]
	default:
		return tool.Effects
	}
}

// fits reports whether a name fits a pattern, in which * stands for anything.
func fits(pattern, name string) bool {
	first, rest, wild := strings.Cut(pattern, "*")
	name, ok := strings.CutPrefix(name, first)
	if !ok || !wild {
		return ok && name == ""
	}
	for ; ; name = name[1:] {
		if fits(rest, name) {
			return true
		}
		if name == "" {
			return false
		}
	}
}

func (l *Limit) estimate(call *sallyport.Call, memory Memory) (sallyport.Amount, error) {
	if l.Currency != nil {
		values, all := named{input: call.Args}.values(l.Currency.tree)
		if !all || len(values) != 1 || !values[0].IsText(l.Unit) {
			return 0, fmt.Errorf("it counts %s, and %s is not that", l.Unit, l.Currency)
		}
	}
	if !l.History {
		return l.Estimate.amount(named{input: call.Args})
	}
	amount, known, err := memory.Typical(l.Name, call.Action())
	if !known {
		amount = l.First
	}
	return amount, err
}

// account is whose account a call is charged to. Whoever writes the same thing
// otherwise (case, form, as a number or as a text) is charged to the same one:
// what is taken for one by mistake is limited sooner, never later.
func (s *Set) account(l *Limit, call *sallyport.Call) (account, label string, err error) {
	accounts, labels := make([]byte, 0, 128), make([]byte, 0, 128)
	for i, key := range l.Per {
		value := known(key, call)
		shown := value
		if e := l.arguments[key]; e != nil {
			if value, err = argument(e, call.Args); err != nil {
				return "", "", err
			}
			// The log keeps nothing of arguments that could be read off it.
			shown, value = cut(value), s.digest(key, value)
		} else if len(value) > maxLabel {
			value = s.digest(key, value)
		}
		if i > 0 {
			accounts, labels = append(accounts, ' '), append(labels, ' ')
		}
		accounts = append(append(append(accounts, key...), '='), value...)
		labels = append(append(append(labels, key...), '='), cut(shown)...)
	}
	return string(accounts), string(labels), nil
}

// known is what the gateway itself knows of a call.
func known(key string, call *sallyport.Call) string {
	switch key {
	case "agent":
		return call.Principal.Agent
	case "role":
		return call.Principal.Role
	case "run":
		return call.Run.RememberedIn() // or an agent would have an account more with each run that it begins
	case "server":
		return call.Server
	case "tenant":
		return call.Principal.Tenant
	case "tool":
		return call.Action()
	case "user":
		return call.Principal.User
	default:
		return ""
	}
}

// maxLabel is the longest that one part of an account is shown, in bytes.
const maxLabel = 100

func cut(text string) string {
	if len(text) > maxLabel {
		return strings.ToValidUTF8(text[:maxLabel], "") + "…"
	}
	return text
}

func (s *Set) digest(key, value string) string {
	mac := hmac.New(sha256.New, s.secret)
	fmt.Fprintf(mac, "%s\x00%s", key, value)
	return "#" + hex.EncodeToString(mac.Sum(nil)[:12])
}

// argument is what an argument says, in one spelling for all that mean the same.
func argument(e *Expression, args sallyport.Value) (string, error) {
	values, all := named{input: args}.values(e.tree)
	if !all || len(values) != 1 {
		return "", fmt.Errorf("it counts per %s, and this call names none, or several", e)
	}
	v := values[0]
	text, ok := v.Text()
	if v.Type() == sallyport.Number || v.Type() == sallyport.True || v.Type() == sallyport.False {
		text, ok = string(v.Raw()), true
	}
	text = strings.Map(seen, cases.Fold().String(norm.NFKC.String(text)))
	if number, is := sallyport.ParseNumber(text); is {
		text = number.RatString()
	}
	if !ok || text == "" {
		return "", fmt.Errorf("it counts per %s, and this call names none there", e)
	}
	return text, nil
}

// seen keeps what of a name people see: spaces, and what shows nothing, a server may
// well leave out.
func seen(r rune) rune {
	if unicode.IsSpace(r) || unicode.In(r, unicode.C, unicode.Other_Default_Ignorable_Code_Point, unicode.Variation_Selector) {
		return -1
	}
	return r
}

// Settle says what the charges of a call came to, whose outcome this is. Answered
// says that the server did, and result what.
//
// Nothing was taken when nothing was done: the call never reached its server, the
// server wants to be asked again with more (the retry is charged), or one that is
// trusted with its own states says that it failed; but what reached the server has
// been a call, and what it sent is there. Whatever else can't be told comes to what
// was reserved.
func (s *Set) Settle(charges []sallyport.Charge, call *sallyport.Call, outcome sallyport.Outcome, answered bool, result sallyport.Value) []sallyport.Charge {
	again, _ := result.Get("resultType").Text()
	failed := outcome == sallyport.OutcomeError || outcome == sallyport.OutcomeToolErr
	unsent := failed && !answered
	undone := answered && again == "input_required" || failed && s.honest[call.Server]
	settled := slices.Clone(charges)
	passed := map[string]sallyport.Amount{}
	for i := range settled {
		c := &settled[i]
		l := s.byName[c.Limit]
		c.Cost = c.Amount
		if l == nil { // gone since
			continue
		}
		part, hasParts := passed[l.Name]
		switch {
		case unsent, undone && Units[l.Unit] == "":
			c.Cost = 0
		case outcome == sallyport.OutcomeUnknown:
		case l.Cost != nil:
			if cost, err := l.Cost.amount(named{call.Args, result}); err == nil {
				c.Cost = cost
			}
		case hasParts && !l.about(call, nil, true):
			c.Cost = max(part, c.Firm)
		}
		if l.Within != "" {
			passed[l.Within] = max(passed[l.Within], c.Cost)
		}
	}
	return settled
}

// Kept are the charges that have an account: what counts for one call alone is
// forgotten with it.
func Kept(charges []sallyport.Charge) []sallyport.Charge {
	return slices.DeleteFunc(slices.Clone(charges), func(c sallyport.Charge) bool { return c.Window.Kind == sallyport.PerCall })
}

// Account is what is charged to one account and still counts.
type Account struct {
	Parts []Part    // by when they stop to count, the soonest first
	Since time.Time // when it was charged first, as far as a ramp wants to know; zero for never
}

// Part is what stops to count at one time.
type Part struct {
	Until          time.Time
	Reserved, Used sallyport.Amount
}

// Total is all that counts.
func (a *Account) Total() (total sallyport.Amount) {
	for _, p := range a.Parts {
		total = total.Plus(p.Reserved).Plus(p.Used)
	}
	return total
}

// Whole is the limit for an account at a time: a new one has a part of it.
func (l *Limit) Whole(since, now time.Time) sallyport.Amount {
	if l.Ramp.Days == 0 {
		return l.Cap
	}
	var days int64
	if !since.IsZero() {
		days = max(0, int64(now.Sub(since)/(24*time.Hour)))
	}
	if days >= l.Ramp.Days {
		return l.Cap
	}
	return l.Cap.Share(l.Ramp.From + (100-l.Ramp.From)*days/l.Ramp.Days)
}

// Beyond are the limits that charges go beyond, as rules that refuse, or ask. It
// sets what each account may come to: the limit or, where people are asked, what
// they would agree to.
func (s *Set) Beyond(charges []sallyport.Charge, accounts []Account, now time.Time) (rules []sallyport.Rule) {
	for i := range charges {
		c, account := &charges[i], &accounts[i]
		l := s.byName[c.Limit]
		c.Cap = l.Whole(account.Since, now)
		c.Ceiling = c.Cap
		total := account.Total()
		if total+c.Amount <= c.Cap {
			continue
		}
		rule := sallyport.Rule{ID: "limit " + l.Name, File: l.File, Line: l.Line, Ask: l.Ask, Because: l.because(c, account, now)}
		if l.Ask != nil {
			c.Ceiling = ceiling(c.Cap, total.Plus(c.Amount))
			rule.ID += fmt.Sprintf(" up to %s %s", c.Ceiling, l.Unit)
		}
		rule.Digest = sallyport.DigestOf([]byte(strings.Join([]string{rule.ID, l.Unit, l.Cap.String(), l.Spell, strings.Join(l.Per, " "), c.Account, strings.Join(l.Ask, " ")}, "\x00")))
		rules = append(rules, rule)
	}
	return rules
}

// ceiling is the next tenth of a limit that holds a total. Were it exact, the
// same call would be another question as soon as another call has come.
func ceiling(limit, total sallyport.Amount) sallyport.Amount {
	step := max(limit/10, 1)
	return min((total+step-1)/step*step, sallyport.MaxAmount)
}

// because says how far a call goes beyond, and when there is room for it again.
func (l *Limit) because(c *sallyport.Charge, account *Account, now time.Time) string {
	head := fmt.Sprintf("%s of %s %s are taken%s, and this call takes %s", account.Total(), c.Cap, l.Unit, l.perText(), c.Amount)
	if l.Window.Kind == sallyport.PerCall {
		return fmt.Sprintf("a call may take %s %s, and this one takes %s", c.Cap, l.Unit, c.Amount)
	}
	switch {
	case c.Amount > l.Cap:
		return head + ": more than there ever is"
	case c.Amount > c.Cap:
		return fmt.Sprintf("%s: more than there is yet, of the %s that a new account comes to in %d days", head, l.Cap, l.Ramp.Days)
	}
	return head + ": there is room again at " + Room(c, account, now).UTC().Format(time.RFC3339) + " at the latest"
}

// Room is when enough of an account has stopped to count for a charge.
func Room(c *sallyport.Charge, account *Account, now time.Time) time.Time {
	total, at := account.Total(), now
	for _, p := range account.Parts {
		if total+c.Amount <= c.Cap {
			break
		}
		total, at = total-p.Reserved-p.Used, p.Until
	}
	return at
}

func (l *Limit) perText() string {
	if len(l.Per) == 0 {
		return ""
	}
	return " per " + strings.Join(l.Per, ", ")
}

// Crossed are the charges with which an account has come to half of its limit, to
// four fifths, and to the whole: each with the percentage.
func Crossed(charges []sallyport.Charge) (crossed []sallyport.Charge, percent []int64) {
	for _, c := range charges {
		for _, share := range []int64{100, 80, 50} {
			if line := c.Cap.Share(share); c.Before < line && line <= c.Before.Plus(c.Amount) {
				crossed, percent = append(crossed, c), append(percent, share)
				break
			}
		}
	}
	return crossed, percent
}

// ErrUnit says that a unit needs an estimate.
var ErrUnit = errors.New("say what a call takes, with estimate")

// Units that need no estimate: a call is one call, and sends what it sends.
var Units = map[string]string{"calls": "1", "bytes": "bytes(input)"}

// None is no limits.
func None() *Set { return &Set{} }
