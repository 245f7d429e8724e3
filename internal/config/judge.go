package config

import (
	"fmt"
	"net/url"
	"slices"
	"time"

	"sallyport/internal/inspect"
	"sallyport/internal/judge"
	"sallyport/internal/policy/source"
)

// Judging names models that look at what passes, each at an endpoint of its own.
// They make decisions stricter and nothing else.
type Judging struct {
	// Scope says which tools a task needs: calls of others count as outside the
	// task. It sees the task and the definitions of the tools.
	Scope *Judge `yaml:"scope"`
	// Calls checks each call that does more than read against the task.
	Calls *Judge `yaml:"calls"`
	// Reader marks lines of what servers return that are meant to steer whoever
	// reads them.
	Reader *Judge `yaml:"reader"`
	// Classifier gives labels to texts: arguments and what servers return.
	Classifier *Judge `yaml:"classifier"`
}

// Judge is one of them.
type Judge struct {
	// URL is of an OpenAI-compatible API, up to and with its version
	// (https://models.example/v1); of a classifier, where it answers.
	URL string `yaml:"url"`
	// Model is the model's name there, Key the bearer token.
	Model string `yaml:"model"`
	Key   Text   `yaml:"key"`
	// Within is how long one answer may take; default 10s, of a classifier 2s.
	Within Duration `yaml:"within"`
	// Tokens bounds what it may use a day; 0 for whatever it takes.
	Tokens int `yaml:"tokens"`
	// Servers are those whose results the reader reads.
	Servers []string `yaml:"servers"`
	// Labels are the classifier's that flag a text, from the score Above on;
	// default 0.9.
	Labels []string `yaml:"labels"`
	Above  float64  `yaml:"above"`
}

// Told says who is told what of what passes.
func (j *Judging) Told() (all []string) {
	for _, one := range []struct {
		judge *Judge
		what  string
	}{{j.Scope, "tasks and the definitions of tools"}, {j.Calls, "tasks, and the arguments of calls"}, {j.Reader, "what servers return"}, {j.Classifier, "arguments, and what servers return"}} {
		if one.judge != nil {
			all = append(all, fmt.Sprintf("%s is told %s, to judge them", one.judge.URL, one.what))
		}
	}
	return all
}

func (j *Judging) defaults() {
	for _, one := range []*Judge{j.Scope, j.Calls, j.Reader} {
		if one != nil {
			set(&one.Within, Duration(10*time.Second))
		}
	}
	if j.Classifier != nil {
		set(&j.Classifier.Within, Duration(2*time.Second))
		set(&j.Classifier.Above, 0.9)
	}
}

func (r *reader) checkJudges() {
	j := r.config.Judge
	for _, one := range []struct {
		name  string
		judge *Judge
		model bool
	}{{"scope", j.Scope, true}, {"calls", j.Calls, true}, {"reader", j.Reader, true}, {"classifier", j.Classifier, false}} {
		if one.judge == nil {
			continue
		}
		at := func(path ...any) []any { return append([]any{"judge", one.name}, path...) }
		u, err := url.Parse(one.judge.URL)
		switch {
		case err != nil || u.Host == "" || u.Scheme != "http" && u.Scheme != "https" || u.User != nil || u.RawQuery != "" || u.Fragment != "":
			r.problem(at("url"), "the %s needs an http or https URL without a query; a key goes into key", one.name)
		case u.Scheme == "http" && !loopback(u.Hostname()):
			r.problem(at("url"), "what is judged, and the key, would be readable on the way to %s: use https", u.Hostname())
		}
		if one.model == (one.judge.Model == "") {
			r.problem(at("model"), "scope, calls and reader need a model, a classifier has none")
		}
		if within := time.Duration(one.judge.Within); within < time.Millisecond || within > time.Minute {
			r.problem(at("within"), "a call waits for its judges: say 1ms to 1m")
		}
		if one.judge.Tokens < 0 || !one.model && one.judge.Tokens != 0 {
			r.problem(at("tokens"), "tokens are of scope, calls and reader, and not negative")
		}
		if (one.name == "reader") != (len(one.judge.Servers) > 0) {
			r.problem(at("servers"), "servers are those whose results the reader reads: it needs some, and the others have none")
		}
		for i, server := range one.judge.Servers {
			if _, known := r.config.Servers[server]; !known {
				r.problem(at("servers", i), "there is no server %q%s", server, source.Meant(server, serverNames(r.config)))
			}
		}
		if classifies := one.name == "classifier"; classifies != (len(one.judge.Labels) > 0) || !classifies && one.judge.Above != 0 || one.judge.Above < 0 || one.judge.Above > 1 {
			r.problem(at("labels"), "a classifier needs the labels that flag a text, and above from 0 to 1; the others have neither")
		}
	}
}

func serverNames(c *Config) (names []string) {
	for name := range c.Servers {
		names = append(names, name)
	}
	return names
}

// Judges are the judges for the package that asks them. A key that is missing
// makes its judge fail, which is the stricter way.
func (c *Config) Judges(secret func(name string) (string, bool)) judge.Config {
	of := func(one *Judge) *judge.Endpoint {
		if one == nil {
			return nil
		}
		e := &judge.Endpoint{URL: one.URL, Model: one.Model, Key: one.Key.Value, Within: time.Duration(one.Within), Tokens: one.Tokens}
		if one.Key.Secret != "" {
			var known bool
			if e.Key, known = secret(one.Key.Secret); !known {
				e.Err = fmt.Errorf("the state directory keeps no secret %s", one.Key.Secret)
			}
		}
		return e
	}
	j := judge.Config{Scope: of(c.Judge.Scope), Checker: of(c.Judge.Calls), Reader: of(c.Judge.Reader)}
	if c.Judge.Reader != nil {
		j.ReaderOf = c.Judge.Reader.Servers
	}
	if one := c.Judge.Classifier; one != nil {
		j.Classifier = &judge.Classifier{Endpoint: *of(one), Labels: one.Labels, Above: one.Above}
	}
	return j
}

// findingNames are the names of findings that policies may ask for.
func (c *Config) findingNames() []string {
	judges := c.Judges(func(string) (string, bool) { return "", false })
	return slices.Concat(inspect.Names, judges.Names())
}
