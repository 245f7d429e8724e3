package config

import (
	"slices"
	"time"

	"sallyport"
	"sallyport/internal/breaker"
	"sallyport/internal/policy/source"
)

// Breaker cuts off for a while what keeps going wrong. There is none unless it is
// configured.
type Breaker struct {
	// Per is what is cut off, each by itself: agent, server or tool.
	Per string `yaml:"per"`
	// On is what counts: errors (no answer, or an error instead of a result),
	// denials (by policy or people), latency or spend.
	On string `yaml:"on"`
	// Rate is the percentage of calls from which on it opens, default 50; of at
	// least Calls (20) Within a time (1m).
	Rate   int      `yaml:"rate"`
	Calls  int      `yaml:"calls"`
	Within Duration `yaml:"within"`
	// Slow is what a call may take before it counts for latency; default 10s.
	Slow Duration `yaml:"slow"`
	// Unit is what spend is of, one that limits count; more than Over Within the
	// time opens it, whatever the number of calls.
	Unit string `yaml:"unit"`
	Over Amount `yaml:"over"`
	// Open is the time until one call may try it again; default 1m.
	Open Duration `yaml:"open"`
}

func (b *Breaker) defaults() {
	if b.On != breaker.Spend {
		set(&b.Rate, 50)
		set(&b.Calls, 20)
	}
	set(&b.Within, Duration(time.Minute))
	set(&b.Open, Duration(time.Minute))
	if b.On == breaker.Latency {
		set(&b.Slow, Duration(10*time.Second))
	}
}

var (
	breakersPer = []string{breaker.Agent, breaker.Server, breaker.Tool}
	breakersOn  = []string{breaker.Errors, breaker.Denials, breaker.Latency, breaker.Spend}
)

func (r *reader) checkBreakers() {
	for i, b := range r.config.Breakers {
		at := func(key string) []any { return []any{"breakers", i, key} }
		if !slices.Contains(breakersPer, b.Per) {
			r.problem(at("per"), "a breaker is per agent, server or tool, not %q%s", b.Per, source.Meant(b.Per, breakersPer))
		}
		if !slices.Contains(breakersOn, b.On) {
			r.problem(at("on"), "a breaker opens on errors, denials, latency or spend, not %q%s", b.On, source.Meant(b.On, breakersOn))
		}
		if r.checkSpend(b, at); b.On != breaker.Spend && (b.Rate < 1 || b.Rate > 100 || b.Calls < 1) {
			r.problem(at("rate"), "a breaker opens from a percentage on, 1 to 100, of at least one call")
		}
		if b.On != breaker.Latency && b.Slow != 0 {
			r.problem(at("slow"), "slow belongs to latency")
		}
		for key, d := range map[string]Duration{"within": b.Within, "open": b.Open, "slow": b.Slow} {
			if key == "slow" && b.On != breaker.Latency {
				continue
			}
			if time.Duration(d) < time.Millisecond || time.Duration(d) > 24*time.Hour {
				r.problem(at(key), "%s is 1ms to 24h", key)
			}
		}
	}
}

// checkSpend checks what belongs to spend alone. What no limit counts is never
// spent: such a breaker would look like one, and never open.
func (r *reader) checkSpend(b Breaker, at func(key string) []any) {
	var counted []string
	for _, l := range r.config.Limits {
		counted = append(counted, l.Unit)
	}
	switch {
	case b.On != breaker.Spend && b.Unit != "":
		r.problem(at("unit"), "unit belongs to spend")
	case b.On != breaker.Spend && b.Over != 0:
		r.problem(at("over"), "over belongs to spend")
	case b.On != breaker.Spend:
	case b.Rate != 0:
		r.problem(at("rate"), "a breaker on spend opens on an amount, over, not on a rate of calls")
	case b.Calls != 0:
		r.problem(at("calls"), "a breaker on spend opens on an amount, over, not on a number of calls")
	case !slices.Contains(counted, b.Unit):
		r.problem(at("unit"), "a breaker on spend counts what a limit counts, and none counts %q%s", b.Unit, source.Meant(b.Unit, counted))
	case b.Over <= 0:
		r.problem(at("over"), "say from which amount on it opens, with over")
	}
}

// BreakerRules are the breakers for the package that has them.
func (c *Config) BreakerRules() []breaker.Rule {
	var rules []breaker.Rule
	for _, b := range c.Breakers {
		rules = append(rules, breaker.Rule{Per: b.Per, On: b.On, Rate: b.Rate, Calls: b.Calls,
			Within: time.Duration(b.Within), Slow: time.Duration(b.Slow), Open: time.Duration(b.Open), Unit: b.Unit, Over: sallyport.Amount(b.Over)})
	}
	return rules
}
