package config

import (
	"slices"
	"time"

	"sallyport/internal/breaker"
	"sallyport/internal/policy/source"
)

// Breaker cuts off for a while what keeps going wrong. There is none unless it is
// configured.
type Breaker struct {
	// Per is what is cut off, each by itself: agent, server or tool.
	Per string `yaml:"per"`
	// On is what counts: errors (no answer, or an error instead of a result),
	// denials (by policy or people) or latency.
	On string `yaml:"on"`
	// Rate is the percentage of calls from which on it opens, default 50; of at
	// least Calls (20) Within a time (1m).
	Rate   int      `yaml:"rate"`
	Calls  int      `yaml:"calls"`
	Within Duration `yaml:"within"`
	// Slow is what a call may take before it counts for latency; default 10s.
	Slow Duration `yaml:"slow"`
	// Open is the time until one call may try it again; default 1m.
	Open Duration `yaml:"open"`
}

func (b *Breaker) defaults() {
	set(&b.Rate, 50)
	set(&b.Calls, 20)
	set(&b.Within, Duration(time.Minute))
	set(&b.Open, Duration(time.Minute))
	if b.On == breaker.Latency {
		set(&b.Slow, Duration(10*time.Second))
	}
}

var (
	breakersPer = []string{breaker.Agent, breaker.Server, breaker.Tool}
	breakersOn  = []string{breaker.Errors, breaker.Denials, breaker.Latency}
)

func (r *reader) checkBreakers() {
	for i, b := range r.config.Breakers {
		at := func(key string) []any { return []any{"breakers", i, key} }
		if !slices.Contains(breakersPer, b.Per) {
			r.problem(at("per"), "a breaker is per agent, server or tool, not %q%s", b.Per, source.Meant(b.Per, breakersPer))
		}
		if !slices.Contains(breakersOn, b.On) {
			r.problem(at("on"), "a breaker opens on errors, denials or latency, not %q%s", b.On, source.Meant(b.On, breakersOn))
		}
		if b.Rate < 1 || b.Rate > 100 || b.Calls < 1 {
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

// BreakerRules are the breakers for the package that has them.
func (c *Config) BreakerRules() []breaker.Rule {
	var rules []breaker.Rule
	for _, b := range c.Breakers {
		rules = append(rules, breaker.Rule{Per: b.Per, On: b.On, Rate: b.Rate, Calls: b.Calls,
			Within: time.Duration(b.Within), Slow: time.Duration(b.Slow), Open: time.Duration(b.Open)})
	}
	return rules
}
