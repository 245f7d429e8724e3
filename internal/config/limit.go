package config

import (
	"fmt"
	"maps"
	"reflect"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"time"
	_ "time/tzdata" // a calendar day means the same where no time zones are installed

	"github.com/goccy/go-yaml/ast"

	"sallyport"
	"sallyport/internal/limits"
	"sallyport/internal/policy/source"
	"sallyport/internal/provenance"
)

// Limit is how much there may be of something, for whom and how long: see
// docs/limits.md.
type Limit struct {
	// Unit is what is counted: calls, bytes (that are sent), a currency such as
	// USD, or any other word (emails, rows, model-USD).
	Unit string `yaml:"unit"`
	// Cap is how many of them there may be, a decimal number.
	Cap *Amount `yaml:"cap"`
	// Window is how long what was taken counts: "call" (one call by itself), "fixed
	// 1h", "sliding 24h", or "day", "week" or "month" with a time zone behind it
	// (default UTC).
	Window string `yaml:"window"`
	// Per says who has an account of their own: agent, user, role, tenant, run,
	// server, tool, input.ARGUMENT; nothing for one account for all.
	Per []string `yaml:"per"`
	// Applies says which calls it is about; default: those that its parts are
	// about, and without parts every call.
	Applies Applies `yaml:"applies"`
	// Within is the limit of which this one is a part: what is charged here is
	// charged there, too.
	Within string `yaml:"within"`
	// Estimate is what a call takes: an expression over input, or "history" for the
	// most that such calls have cost lately, and First while there were none.
	// Default: 1 of calls, the arguments' size of bytes.
	Estimate string  `yaml:"estimate"`
	First    *Amount `yaml:"first"`
	// Cost is what a call came to: an expression over input and result. Default:
	// the estimate.
	Cost string `yaml:"cost"`
	// Currency is the argument that says in which currency a call is; another than
	// Unit is refused.
	Currency string `yaml:"currency"`
	// Beyond is "deny" (default), or "ask GROUP": then a call that goes beyond is
	// held until people of the group (of each, with commas) agree.
	Beyond string `yaml:"beyond"`
	// Ramp starts the account of a new agent with a part of the limit.
	Ramp *Ramp `yaml:"ramp"`

	line int // where it is written
}

// Applies is which calls a limit is about: those that fit every list given.
type Applies struct {
	Effects EffectList `yaml:"effects"`
	Tools   []string   `yaml:"tools"` // SERVER/TOOL, or patterns (*) of that
	Servers []string   `yaml:"servers"`
}

// Ramp is how a limit grows: from a part ("10%"), over so many days.
type Ramp struct {
	From string `yaml:"from"`
	Days int64  `yaml:"days"`
}

// Amount is an exact decimal number.
type Amount sallyport.Amount

// UnmarshalYAML reads 500 as well as 49.90.
func (a *Amount) UnmarshalYAML(node ast.Node) error {
	text, err := scalar(node)
	if err != nil {
		return err
	}
	amount, err := sallyport.ParseAmount(text)
	if err != nil {
		return problemAt(node, "%v", err)
	}
	*a = Amount(amount)
	return nil
}

var unitName = regexp.MustCompile(`^[A-Za-z][A-Za-z0-9-]{0,23}$`)

func (r *reader) checkLimits() {
	all := r.config.Limits
	names := slices.Sorted(maps.Keys(all))
	for _, name := range names {
		l, at := all[name], []any{"limits", name}
		l.line = r.lineOf(at)
		all[name] = l
		if !serverName.MatchString(name) {
			r.problem(at, "%q can't be a limit's name: use a-z, 0-9, and - behind the first, at most 64", name)
		}
		if !unitName.MatchString(l.Unit) {
			r.problem(append(at, "unit"), "say what limit %s counts, with unit: calls, bytes, a currency such as USD, or another word", name)
		}
		if l.Cap == nil {
			r.problem(at, "say how much there may be, with cap")
		}
		if _, err := l.window(); err != nil {
			r.problem(append(at, "window"), "%v", err)
		}
		for i, key := range l.Per {
			if err := limits.CheckKey(key); err != nil {
				r.problem(append(at, "per", i), "%v", err)
			}
		}
		if whole, within := all[l.Within]; l.Within != "" && !within {
			r.problem(append(at, "within"), "there is no limit %q%s", l.Within, source.Meant(l.Within, names))
		} else if within && whole.Unit != l.Unit {
			r.problem(append(at, "within"), "limit %s counts %s, and %s counts %s", l.Within, whole.Unit, name, l.Unit)
		}
		r.checkApplies(l, at)
		r.checkBeyond(l, at)
		r.checkAmounts(name, l, at)
	}
	if len(r.problems) == 0 {
		if _, err := r.config.LimitSet(nil); err != nil {
			r.problem([]any{"limits"}, "%v", err)
		}
	}
}

func (r *reader) lineOf(path []any) int {
	if at := find(r.root, path); at != nil && at.GetToken() != nil && at.GetToken().Position != nil {
		if value, ok := at.(*ast.MappingValueNode); ok {
			return value.Key.GetToken().Position.Line
		}
		return at.GetToken().Position.Line
	}
	return 0
}

func (r *reader) checkApplies(l Limit, at []any) {
	a, servers := &l.Applies, slices.Sorted(maps.Keys(r.config.Servers))
	for i, effect := range a.Effects {
		if !slices.Contains(sallyport.Effects[:], effect) {
			r.problem(append(at, "applies", "effects", i), "there is no effect %q%s", effect, source.Meant(string(effect), effectNames()))
		}
	}
	for i, name := range a.Servers {
		r.declared(append(at, "applies", "servers", i), "server", name, servers)
	}
	for i, tool := range a.Tools {
		server, name, _ := strings.Cut(tool, "/")
		if name == "" {
			r.problem(append(at, "applies", "tools", i), "%q: write SERVER/TOOL, or a pattern such as desk/*", tool)
		} else if !strings.Contains(server, "*") {
			r.declared(append(at, "applies", "tools", i), "server", server, servers)
		}
	}
	if a.Effects != nil && len(a.Effects) == 0 || a.Servers != nil && len(a.Servers) == 0 || a.Tools != nil && len(a.Tools) == 0 {
		r.problem(append(at, "applies"), "an empty list is about no call: leave it out for all")
	}
}

func (r *reader) checkBeyond(l Limit, at []any) {
	groups := r.config.Declared().Groups
	asked := l.asks()
	if l.Beyond != "" && l.Beyond != "deny" && asked == nil {
		r.problem(append(at, "beyond"), `beyond is deny, or ask and a group, not %q`, l.Beyond)
	}
	for _, group := range asked {
		if r.declared(append(at, "beyond"), "group", group, groups); group == "" {
			r.problem(append(at, "beyond"), "say which group is asked: ask finance")
		}
	}
	if ramp := l.Ramp; ramp != nil {
		if from, err := ramp.percent(); err != nil || from < 1 || from > 99 || ramp.Days < 1 || ramp.Days > 366 {
			r.problem(append(at, "ramp"), "a ramp starts from 1%% to 99%%, and takes 1 to 366 days: {from: 10%%, days: 14}")
		}
		if !slices.Contains(l.Per, "agent") || l.Window == "call" {
			r.problem(append(at, "ramp"), "a ramp is for accounts per agent that last longer than a call")
		}
	}
}

func (r *reader) checkAmounts(name string, l Limit, at []any) {
	parts := false
	for _, other := range r.config.Limits {
		parts = parts || other.Within == name
	}
	if l.Estimate == "" && limits.Units[l.Unit] == "" && (!parts || !reflect.DeepEqual(l.Applies, Applies{})) {
		r.problem(at, "say how many %s a call takes, with estimate", l.Unit)
	}
	if (l.Estimate == history) != (l.First != nil) {
		r.problem(append(at, "first"), "first is the estimate while there is no history: it belongs to estimate: history, which needs it")
	}
	if w, _ := l.window(); w.Kind == sallyport.PerCall && (l.Cost != "" || l.Estimate == history) {
		r.problem(append(at, "window"), "nothing is kept of what counts for one call: say what it cost at a limit that this one is within")
	}
	for _, e := range []struct {
		key, text string
		variables []string
	}{{"estimate", l.Estimate, []string{"input"}}, {"cost", l.Cost, []string{"input", "result"}}, {"currency", l.Currency, []string{"input"}}} {
		if e.text == "" || e.key == "estimate" && e.text == history {
			continue
		}
		if _, err := limits.ParseExpression(e.text, e.variables...); err != nil {
			r.problem(append(at, e.key), "%v", err)
		} else if e.key == "currency" && limits.CheckKey(e.text) != nil {
			r.problem(append(at, e.key), "the currency is an argument: input.currency")
		}
	}
}

// history is the estimate that is none of an expression.
const history = "history"

// asks are the groups that are asked, nil when a call beyond is refused.
func (l *Limit) asks() (groups []string) {
	list, asks := strings.CutPrefix(l.Beyond, "ask ")
	if !asks {
		return nil
	}
	for group := range strings.SplitSeq(list, ",") {
		groups = append(groups, strings.TrimSpace(group))
	}
	return groups
}

func (r *Ramp) percent() (int64, error) {
	number, ok := strings.CutSuffix(r.From, "%")
	if !ok {
		return 0, fmt.Errorf("%q is not a percentage", r.From)
	}
	return strconv.ParseInt(number, 10, 64)
}

func (l *Limit) window() (w sallyport.Window, err error) {
	kind, rest, _ := strings.Cut(l.Window, " ")
	switch kind {
	case "call":
		w.Kind = sallyport.PerCall
		if rest == "" {
			return w, nil
		}
	case "fixed", "sliding":
		w.Kind = map[string]sallyport.WindowKind{"fixed": sallyport.Fixed, "sliding": sallyport.Sliding}[kind]
		w.Length, err = ParseDuration(rest)
		if err == nil && w.Length >= time.Second && w.Length <= 366*24*time.Hour {
			return w, nil
		}
	case "day", "week", "month":
		w.Kind = map[string]sallyport.WindowKind{"day": sallyport.Daily, "week": sallyport.Weekly, "month": sallyport.Monthly}[kind]
		if rest == "Local" { // whatever this machine is set to
			return w, fmt.Errorf("name a time zone, such as Europe/Berlin")
		}
		if w.Zone, err = time.LoadLocation(rest); err == nil {
			return w, nil
		}
		return w, fmt.Errorf("there is no time zone %q: write it like Europe/Berlin", rest)
	}
	return w, fmt.Errorf("%q is not a window: write call, fixed 1h, sliding 24h (from 1s to 366d), or day, week or month with a time zone", l.Window)
}

// LimitSet is what the limits say, for the package that counts. The secret keys
// the digests of arguments.
func (c *Config) LimitSet(secret []byte) (*limits.Set, error) {
	var all []limits.Limit
	for _, name := range slices.Sorted(maps.Keys(c.Limits)) {
		l := c.Limits[name]
		one := limits.Limit{
			Name: name, File: "sallyport.yaml", Line: l.line, Unit: l.Unit, Cap: sallyport.Amount(*l.Cap), Spell: l.Window, Per: l.Per, Within: l.Within,
			Applies: limits.Applies{Effects: l.Applies.Effects, Tools: l.Applies.Tools, Servers: l.Applies.Servers},
			History: l.Estimate == history, Ask: l.asks(),
		}
		if l.Ramp != nil {
			one.Ramp.Days = l.Ramp.Days
			one.Ramp.From, _ = l.Ramp.percent()
		}
		if l.First != nil {
			one.First = sallyport.Amount(*l.First)
		}
		var err error
		if one.Window, err = l.window(); err != nil {
			return nil, err
		}
		estimate := l.Estimate
		if estimate == "" {
			estimate = limits.Units[l.Unit]
		}
		for into, text := range map[**limits.Expression]string{&one.Estimate: estimate, &one.Cost: l.Cost, &one.Currency: l.Currency} {
			if text == "" || text == history {
				continue
			}
			if *into, err = limits.ParseExpression(text, "input", "result"); err != nil {
				return nil, err
			}
		}
		all = append(all, one)
	}
	honest := map[string]bool{}
	for name, s := range c.Servers {
		honest[name] = s.trust() == provenance.FirstParty
	}
	return limits.New(all, honest, secret)
}

// looserLimits says which limits let through more than before, or may.
func looserLimits(old, next *Config) (why []string) {
	for _, name := range slices.Sorted(maps.Keys(old.Limits)) {
		before := old.Limits[name]
		after, stays := next.Limits[name]
		switch {
		case !stays:
			why = append(why, fmt.Sprintf("limit %s is gone", name))
			continue
		case *after.Cap > *before.Cap:
			why = append(why, fmt.Sprintf("limit %s is raised", name))
		case before.asks() == nil && after.asks() != nil:
			why = append(why, fmt.Sprintf("limit %s: people can let calls go beyond it", name))
		case hasParts(next, name) && !hasParts(old, name) && reflect.DeepEqual(before.Applies, Applies{}):
			why = append(why, fmt.Sprintf("limit %s: it is about its parts alone, and was about every call", name))
		}
		if after.asks() == nil {
			before.Beyond = after.Beyond // asking nobody is tighter
		}
		if steeper(before.Ramp, after.Ramp) {
			before.Ramp = after.Ramp
		}
		if before.Within == "" {
			before.Within = after.Within // what counts there, too, still counts here
		}
		before.Cap, before.line = after.Cap, after.line
		if !reflect.DeepEqual(before, after) {
			why = append(why, fmt.Sprintf("limit %s: what it is about, or how it counts, changes", name))
		}
	}
	return why
}

func hasParts(c *Config, name string) bool {
	for _, l := range c.Limits {
		if l.Within == name {
			return true
		}
	}
	return false
}

// steeper reports whether a new account never has more than before.
func steeper(before, after *Ramp) bool {
	if before == nil || after == nil {
		return before == nil
	}
	was, _ := before.percent()
	is, _ := after.percent()
	return is <= was && after.Days >= before.Days
}
