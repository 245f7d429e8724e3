package config

import (
	"slices"
	"strings"
	"testing"
	"time"

	"sallyport/internal/breaker"
	"sallyport/internal/notify"
)

func TestBreakers(t *testing.T) {
	c, err := Parse("sallyport.yaml", []byte("limits: {money: {unit: USD, cap: 9, window: day UTC, estimate: 1}}\nbreakers: [{per: server, on: errors}, {per: tool, on: latency, slow: 2s, rate: 10, calls: 5, within: 10s, open: 30s}, {per: agent, on: spend, unit: USD, over: 49.90}]\n"))
	if err != nil {
		t.Fatal(err)
	}
	want := []breaker.Rule{
		{Per: "server", On: "errors", Rate: 50, Calls: 20, Within: time.Minute, Open: time.Minute},
		{Per: "tool", On: "latency", Rate: 10, Calls: 5, Within: 10 * time.Second, Slow: 2 * time.Second, Open: 30 * time.Second},
		{Per: "agent", On: "spend", Within: time.Minute, Open: time.Minute, Unit: "USD", Over: 49_900_000},
	}
	if got := c.BreakerRules(); !slices.Equal(got, want) {
		t.Errorf("%+v", got)
	}
	for text, want := range map[string]string{
		"{per: user, on: errors}":                               "per agent, server or tool",
		"{per: agent, on: costs}":                               "errors, denials, latency or spend",
		"{per: agent, on: spend}":                               "none counts",
		"{per: agent, on: spend, unit: EUR, over: 5}":           "none counts \"EUR\"",
		"{per: agent, on: spend, unit: USD}":                    "from which amount on",
		"{per: agent, on: spend, unit: USD, over: 5, rate: 5}":  "not on a rate",
		"{per: agent, on: spend, unit: USD, over: 5, calls: 5}": "not on a number",
		"{per: agent, on: spend, unit: USD, over: -5}":          "only amounts from 0",
		"{per: agent, on: errors, unit: USD}":                   "unit belongs to spend",
		"{per: agent, on: errors, over: 5}":                     "over belongs to spend",
		"{per: agent, on: errors, rate: 101}":                   "1 to 100",
		"{per: agent, on: errors, calls: -1}":                   "at least one call",
		"{per: agent, on: errors, slow: 1s}":                    "slow belongs to latency",
		"{per: agent, on: errors, open: 48h}":                   "open is 1ms to 24h",
		"{per: agent, on: latency, slow: 48h}":                  "slow is 1ms to 24h",
		"{per: agent, on: errors, treshold: 5}":                 `there is no key "treshold"`,
	} {
		if _, err := Parse("sallyport.yaml", []byte("limits: {money: {unit: USD, cap: 9, window: day UTC, estimate: 1}}\nbreakers: ["+text+"]\n")); err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("%s: %v", text, err)
		}
	}
}

func TestNotify(t *testing.T) {
	people := "tenants: [acme]\nusers: {ana: {tenant: acme, groups: [ops]}}\n"
	c, err := Parse("sallyport.yaml", []byte(people+`notify:
  - {name: hook, kind: webhook, url: "http://127.0.0.1:8080/x", key: {secret: hook}, events: [kill], groups: [ops], allow_addresses: [10.0.0.0/8, 192.168.1.1]}
  - {name: chat, kind: slack, url: {secret: chat}}
  - {name: desk, kind: desktop, events: [kill]}
  - {name: mail, kind: email, server: "smtp.example.com:587", user: gate, key: {secret: absent}, from: gate@example.com, to: [ops@example.com]}
`))
	if err != nil {
		t.Fatal(err)
	}
	secrets := map[string]string{"hook": "whsec_x", "chat": "https://hooks.example/secret"}
	got := c.Notifies(func(name string) (string, bool) { value, ok := secrets[name]; return value, ok })
	if len(got) != 4 || got[2].Kind != notify.Desktop || got[2].Err != nil || got[0].Kind != notify.Webhook || got[0].Key != "whsec_x" || len(got[0].Allow) != 2 || got[0].Allow[1].Bits() != 32 || got[0].Err != nil ||
		got[1].URL != "https://hooks.example/secret" || got[3].Err == nil || !strings.Contains(got[3].Err.Error(), "absent") || got[3].Key != "" {
		t.Errorf("%+v", got)
	}
	for text, want := range map[string]string{
		`{name: a, kind: pager, url: "https://x.example"}`:                                              "there is no kind",
		`{kind: slack, url: "https://x.example"}`:                                                       "a name of its own",
		`{name: a, kind: desktop, url: "https://x.example"}`:                                            "no url",
		`{name: a, kind: desktop, allow_addresses: [10.0.0.1]}`:                                         "no addresses",
		`{name: a, kind: desktop, key: {secret: k}}`:                                                    "have none",
		`{name: a, kind: desktop, to: [b@x.example]}`:                                                   "belong to e-mail",
		`{name: a, kind: slack}`:                                                                        "an http or https URL is needed",
		`{name: a, kind: slack, url: "http://x.example"}`:                                               "use https",
		`{name: a, kind: slack, url: "https://u:p@x.example"}`:                                          "an http or https URL is needed",
		`{name: a, kind: slack, url: "https://x.example", key: {secret: k}}`:                            "Slack, Teams and a desktop have none",
		`{name: a, kind: webhook, url: "https://x.example"}`:                                            "is signed with a key",
		`{name: a, kind: webhook, url: "https://x.example", key: whsec_x}`:                              "put it into secrets.json",
		`{name: a, kind: slack, url: "https://x.example", from: a@x.example}`:                           "belong to e-mail",
		`{name: a, kind: email, server: "x.example:25", from: a@x.example}`:                             "needs server, from and to",
		`{name: a, kind: email, server: "x.example", from: a@x.example, to: [b@x.example]}`:             "write it like smtp.example.com:587",
		`{name: a, kind: email, server: "x.example:25", from: a@x.example, to: ["b"]}`:                  "not an e-mail address",
		`{name: a, kind: email, server: "x.example:25", user: u, from: a@x.example, to: [b@x.example]}`: "go together",
		`{name: a, kind: slack, url: "https://x.example", events: [kills]}`:                             `there is no event "kills"`,
		`{name: a, kind: slack, url: "https://x.example", groups: [bosses]}`:                            `no user is in a group "bosses"`,
		`{name: a, kind: slack, url: "https://x.example", allow_addresses: [x]}`:                        "not an address",
	} {
		if _, err := Parse("sallyport.yaml", []byte(people+"notify: ["+text+"]\n")); err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("%s: %v", text, err)
		}
	}
}
