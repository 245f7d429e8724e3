package config

import (
	"fmt"
	"maps"
	"reflect"
	"slices"

	"sallyport/internal/asking"
)

// Looser says what in a new configuration is not provably tighter than in the
// old one; nothing means that it may take effect without a human. Whatever
// this function does not know counts as looser.
func Looser(old, next *Config) []string {
	var why []string
	add := func(format string, args ...any) { why = append(why, fmt.Sprintf(format, args...)) }
	if old.Mode == Enforce && next.Mode != Enforce {
		add("mode: verdicts are no longer enforced")
	}
	if old.Pin == PinAsk && next.Pin != PinAsk {
		add("pin: the first sight of a server is no longer looked at")
	}
	if !reflect.DeepEqual(old.Judge, next.Judge) {
		add("judge: others judge, or are told what passes")
	}
	if old.Inspect == On && next.Inspect != On {
		add("inspect: scanners no longer look at what passes, and nothing is masked")
	}
	if next.Sizes.Body > old.Sizes.Body || next.Sizes.Result > old.Sizes.Result {
		add("sizes: more is read")
	}
	if next.Approvals.Expire > old.Approvals.Expire {
		add("approvals: what people agreed to can be used longer")
	}
	why = append(why, looserAsking(old.Approvals, next.Approvals)...)
	if s := next.Runs.Standing; s != 0 && (old.Runs.Standing == 0 || s < old.Runs.Standing) {
		add("runs: what standing runs have read is forgotten earlier")
	}
	if len(added(next.Breakers, old.Breakers)) > 0 {
		add("breakers: what keeps going wrong is cut off later, or not at all")
	}
	if !reflect.DeepEqual(old.Notify, next.Notify) {
		add("notify: others are told what happens, or fewer are")
	}
	if next.Retention < old.Retention {
		add("retention: payloads are erased earlier")
	}
	if old.Telemetry != next.Telemetry && next.Telemetry.OTLP != "" {
		add("telemetry: metadata goes to %s", next.Telemetry.OTLP)
	}
	if host, ok := hostOf(next.Listen); old.Listen != next.Listen && !(ok && loopback(host)) {
		add("listen: others can reach %s", next.Listen)
	}
	if old.TLS != nil && !reflect.DeepEqual(old.TLS, next.TLS) {
		add("tls: the certificate is another one")
	}
	for _, host := range added(old.Hosts, next.Hosts) {
		add("hosts: %s is admitted", host)
	}
	for _, origin := range added(old.Origins, next.Origins) {
		add("origins: %s is admitted", origin)
	}
	for _, l := range added(old.Listeners, next.Listeners) {
		add("listeners: whoever can connect to %s is agent %s", l.Address, l.Agent)
	}
	why = append(why, looserServers(old.Servers, next.Servers)...)
	why = append(why, looserPeople(old, next)...)
	why = append(why, looserLimits(old, next)...)
	return why
}

// looserAsking: questions come to be of a lower class, or others answer them.
func looserAsking(old, next Approvals) []string {
	var why []string
	for _, effect := range slices.Sorted(maps.Keys(old.Classes)) {
		if next.Classes[effect] < old.Classes[effect] {
			why = append(why, fmt.Sprintf("approvals: the class of %s is not raised as much", effect))
		}
	}
	if order, ok := asking.Compare(next.Large, old.Large); old.Large != "" && (!ok || order > 0) {
		why = append(why, "approvals: larger payments are not of class 3 any more")
	}
	if more := added(old.Form, next.Form); len(more) > 0 {
		why = append(why, fmt.Sprintf("approvals: users can answer for %v in the client of their agent", more))
	}
	if was, is := old.Load, next.Load; was.Beyond == BeyondDeny && (is.Beyond != BeyondDeny || is.Cap > was.Cap) {
		why = append(why, "approvals: people are asked more on a day")
	}
	for _, name := range slices.Sorted(maps.Keys(next.Quiet)) {
		if next.Quiet[name] != old.Quiet[name] {
			why = append(why, fmt.Sprintf("approvals: %s is told of questions at other hours", name))
		}
	}
	if next.Escalate != nil && !reflect.DeepEqual(old.Escalate, next.Escalate) {
		why = append(why, "approvals: others can answer than could before")
	}
	return why
}

func added[T comparable](old, next []T) []T {
	var more []T
	for _, item := range next {
		if !slices.Contains(old, item) {
			more = append(more, item)
		}
	}
	return more
}

func looserServers(old, next map[string]Server) []string {
	var why []string
	for _, name := range slices.Sorted(maps.Keys(next)) {
		before, existed := old[name]
		after := next[name]
		if !existed {
			why = append(why, fmt.Sprintf("server %s is added", name))
			continue
		}
		if !maps.EqualFunc(before.Effects, after.Effects, slices.Equal) {
			why = append(why, fmt.Sprintf("server %s: effects of tools change", name))
		}
		if more := added(before.Undeclared, after.Undeclared); len(more) > 0 {
			why = append(why, fmt.Sprintf("server %s: undeclared arguments are admitted for %v", name, more))
		}
		if more := added(before.AllowAddresses, after.AllowAddresses); len(more) > 0 {
			why = append(why, fmt.Sprintf("server %s: the addresses %v are admitted", name, more))
		}
		why = append(why, looserOrigins(name, &before, &after)...)
		// What remains says which server it is.
		before, after = before.Reach(), after.Reach()
		before.AllowAddresses, after.AllowAddresses = nil, nil
		if !reflect.DeepEqual(before, after) {
			why = append(why, fmt.Sprintf("server %s is another one, or is started otherwise", name))
		}
	}
	return why
}

func looserPeople(old, next *Config) []string {
	var why []string
	for _, name := range slices.Sorted(maps.Keys(next.Users)) {
		before, existed := old.Users[name]
		switch {
		case !existed:
			why = append(why, fmt.Sprintf("user %s is added", name))
		case !reflect.DeepEqual(before, next.Users[name]):
			why = append(why, fmt.Sprintf("user %s: roles, groups, tenant or attributes change", name))
		}
	}
	for _, name := range slices.Sorted(maps.Keys(next.Agents)) {
		before, existed := old.Agents[name]
		switch {
		case !existed:
			why = append(why, fmt.Sprintf("agent %s is added", name))
		case before != next.Agents[name]:
			why = append(why, fmt.Sprintf("agent %s: role, user or tenant change", name))
		}
	}
	for _, name := range slices.Sorted(maps.Keys(next.Sources)) {
		before, existed := old.Sources[name]
		after := next.Sources[name]
		switch {
		case !existed:
			why = append(why, fmt.Sprintf("source %s is added, which speaks for users", name))
		case before.Kind != after.Kind || len(added(before.Agents, after.Agents))+len(added(before.Users, after.Users)) > 0:
			why = append(why, fmt.Sprintf("source %s: its kind changes, or it reaches more agents or users", name))
		}
	}
	for _, role := range added(old.Roles, next.Roles) {
		why = append(why, fmt.Sprintf("role %s is declared", role))
	}
	for _, tenant := range added(old.Tenants, next.Tenants) {
		why = append(why, fmt.Sprintf("tenant %s is declared", tenant))
	}
	return why
}

// NeedsRestart names what of a changed configuration takes effect at the next
// start only.
func NeedsRestart(started, now *Config) []string {
	var keys []string
	for _, part := range []struct {
		key  string
		same bool
	}{
		{"listen", started.Listen == now.Listen},
		{"tls", reflect.DeepEqual(started.TLS, now.TLS)},
		{"hosts", slices.Equal(started.Hosts, now.Hosts)},
		{"origins", slices.Equal(started.Origins, now.Origins)},
		{"sizes", started.Sizes == now.Sizes},
		{"telemetry", started.Telemetry == now.Telemetry},
	} {
		if !part.same {
			keys = append(keys, part.key)
		}
	}
	return keys
}
