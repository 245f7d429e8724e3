package console

import (
	"net/http"
	"strings"
	"testing"
	"time"

	"sallyport"
	"sallyport/internal/card"
	"sallyport/internal/store"
	"sallyport/proof"
)

// hostile is what an agent or a server could call itself: markup, a page's own
// words, a way out of an attribute, and characters that show nothing.
const hostile = "\"><script>alert(1)</script><img src=x onerror=alert(1)>' onfocus='x {{.}} javascript:alert(1) \u202eevil\u202c\u200bzero\x1b[2Jwidth\u2028"

// Whatever is in the texts that others wrote, on no screen is it markup, and on
// none is anything of it invisible.
func TestHostileTexts(t *testing.T) {
	w := newWorld()
	c := open(t, w, false)
	cookie, _ := person(t, c)
	entry := sallyport.Entry{
		Type: sallyport.Refusal, Time: w.at, Call: hostile, Kind: sallyport.KindTool, Server: hostile, Name: hostile, Action: hostile + "/tool:" + hostile,
		Effects: []sallyport.Effect{hostile}, Principal: sallyport.Principal{Agent: hostile, User: hostile}, Run: hostile, Reason: hostile, Rules: []string{hostile},
		Origins: []string{hostile}, Labels: []sallyport.Label{hostile}, Findings: []string{hostile}, Approval: hostile, Approver: hostile, Subject: hostile, By: hostile, Cause: hostile,
	}
	closed := entry
	closed.Type, closed.Outcome = sallyport.Closed, hostile
	w.found = []store.Found{{Entry: entry, Outcome: &closed}}
	read := entry
	read.Type, read.Effects = sallyport.Intent, []sallyport.Effect{sallyport.Read}
	w.found = append(w.found, store.Found{Entry: read})
	w.opened = []store.Opened{{Entry: entry, Args: &proof.Payload{Text: []byte(`{"a":` + quote(hostile) + `}`)}, Result: &proof.Payload{Text: []byte(hostile)}}}
	question := map[string]any{
		"agent": hostile, "args": map[string]any{hostile: hostile, "list": []string{hostile}}, "kind": "tool", "name": hostile, "server": hostile, "user": hostile,
		"role": hostile, "tenant": hostile, "run": hostile, "params": map[string]any{hostile: hostile}, "effects": []string{hostile}, "rules": []any{},
	}
	text := jsonOf(question)
	a := sallyport.Approval{ID: "a_1", State: sallyport.Pending, Digest: sallyport.DigestOf([]byte(text)), Question: []byte(text), Class: sallyport.ClassType,
		Principal: sallyport.Principal{Agent: hostile, User: hostile}, Server: hostile, Name: hostile, Run: hostile, Reason: hostile, By: hostile, Origins: []string{"list[0]: " + hostile},
		Rules: []sallyport.Rule{{ID: hostile, File: hostile, Because: hostile, Otherwise: hostile, Ask: []string{"finance"}}}, Expires: w.at.Add(time.Hour)}
	earlier := a
	earlier.State = sallyport.Refused
	shown, err := card.New(&a, card.Around{Words: []card.Said{{Text: hostile, Strength: hostile}}, Chain: []card.Link{{Run: hostile, Agent: hostile, User: hostile, Task: hostile}},
		Costs: []card.Cost{{Limit: hostile, Account: hostile, Unit: hostile, Takes: hostile, Left: hostile, Cap: hostile}}, Uncounted: hostile, Past: []sallyport.Approval{earlier}})
	if err != nil {
		t.Fatal(err)
	}
	one := map[string]any{}
	decode(t, jsonOf(shown), &one)
	for name, value := range map[string]any{"server": hostile, "name": hostile, "kind": hostile, "call": hostile, "groups": []string{hostile}, "question": text} {
		one[name] = value
	}
	w.answers["/approvals"], w.answers["/approvals?all"], w.answers["/approvals/a_1"] = []any{one}, []any{one}, one
	one["people"], one["later"], one["grant"] = []any{map[string]any{"name": hostile}}, []string{hostile}, hostile
	w.answers["/approvals/a_1/equal"] = []any{one, one}
	w.answers["/approvals/a_2"] = map[string]any{"id": "a_2", "state": hostile, "problem": hostile}
	w.answers["/kills"] = []any{map[string]any{"id": hostile, "by": hostile, "reason": hostile, "scope": map[string]string{"kind": hostile, "name": hostile}}}
	w.answers["/agents"] = []any{map[string]any{"name": hostile}}
	server := map[string]any{"name": "desk", "kind": hostile, "address": hostile, "state": hostile, "error": hostile, "trust": hostile, "readers": hostile, "unfit": []string{hostile}}
	w.answers["/servers"] = []any{server, map[string]any{"name": hostile, "state": hostile}}
	w.answers["/tools"] = []any{map[string]any{"server": "desk", "name": hostile, "title": hostile, "effects": []string{hostile}, "state": hostile, "allowed": []string{hostile}, "asked": []string{hostile}}}
	w.answers["/servers/desk/changes"] = map[string]any{"digest": hostile, "changes": []any{map[string]any{"key": hostile, "before": map[string]string{"a": hostile}, "after": map[string]string{hostile: hostile},
		"effects": []string{hostile}, "findings": []string{hostile}, "grave": []string{hostile + "!"}}}}
	w.answers["/runs"] = []any{map[string]any{"run": hostile, "agent": hostile, "user": hostile, "state": hostile}}
	w.answers["/runs/r_1"] = map[string]any{"run": hostile, "agent": hostile, "user": hostile, "state": hostile, "tenant": hostile, "parent": hostile, "by": hostile, "children": []string{hostile},
		"ended_by": hostile, "ended": w.at, "words": []any{map[string]any{"text": hostile, "by": hostile, "strength": hostile}, map[string]any{"gone": hostile}}}
	w.answers["/doctor"] = map[string]any{"checks": []any{map[string]string{"level": "broken", "what": hostile, "do": hostile}}}
	w.answers["/policy"] = map[string]any{"digest": hostile, "mode": hostile, "broken": hostile, "pending": map[string]any{"digest": hostile, "reasons": []string{hostile}, "diff": "+" + hostile}}
	w.answers["/policy/files"] = []any{map[string]string{"name": hostile, "text": hostile + "\n" + hostile}}
	w.answers["POST /policy/test"] = map[string]any{"problems": []string{hostile}, "results": []any{map[string]any{"file": hostile, "suite": hostile, "name": hostile, "detail": hostile}},
		"coverage": []any{map[string]any{"rule": hostile, "place": hostile}}}
	w.answers["/policy/why/c_1"] = map[string]any{"call": hostile, "action": hostile, "agent": hostile, "verdict": hostile, "reason": hostile, "note": hostile, "approval": hostile, "approver": hostile,
		"origins": []string{hostile}, "findings": []string{hostile}, "found": []string{hostile}, "modified": []string{hostile}, "now": map[string]string{"verdict": hostile, "reason": hostile},
		"rules": []any{map[string]any{"rule": hostile, "place": hostile, "outcome": hostile, "because": hostile, "change": hostile, "reads": []any{map[string]string{"path": hostile, "value": hostile}}}}}
	limit := map[string]any{"name": hostile, "place": hostile, "unit": hostile, "cap": hostile, "window": hostile, "per": []string{hostile}, "within": hostile, "groups": []string{hostile}, "applies": hostile}
	w.answers["/grants?all"] = []any{map[string]any{"id": hostile, "state": hostile, "text": hostile, "rules": []string{hostile}, "by": hostile, "approval": hostile, "until": w.at}}
	w.answers["/limits"] = []any{limit, map[string]any{"name": "whole"}, map[string]any{"name": "part", "within": "whole"}}
	w.answers["/limits/l"] = map[string]any{"limit": limit, "accounts": []any{map[string]any{"account": hostile, "key": hostile, "cap": hostile, "used": hostile, "reserved": hostile, "left": hostile}}}
	w.answers["/limits/l/course?"+urlValues{"account": {hostile}}.Encode()] = map[string]any{"limit": limit, "account": map[string]any{"account": hostile, "key": hostile, "reserved": hostile}, "now": w.at, "full": w.at.Add(time.Hour),
		"estimate": hostile, "settled": hostile, "pace": hostile, "points": []any{map[string]any{"at": w.at, "settled": 12}}}
	w.answers["/spent"] = []any{map[string]any{"unit": hostile, "settled": hostile, "limits": []any{limit}}}
	w.answers["/policy/rules"] = []any{map[string]any{"rule": hostile, "file": hostile, "line": 1, "calls": 1, "last": 3}, map[string]any{"rule": hostile, "file": hostile, "line": 2}}
	for _, path := range []string{"", "limits", "limits/l", "grants", "approvals", "approvals/a_1", "approvals/a_1/equal", "approvals/a_2", "runs", "runs/r_1", "map", "log", "log/1", "log/0/proof", "servers", "servers/desk", "policies", "policies/tests", "why/c_1", "account", "login",
		"log?agent=" + urlOf(hostile), "login?next=" + urlOf("/console/"+hostile), "servers/" + urlOf(hostile), "runs/" + urlOf(hostile)} {
		answer := ask(c, "GET", Path+path, "", cookie)
		page := answer.Body.String()
		if answer.Code != http.StatusOK && !strings.Contains(path, "%") || !strings.HasPrefix(answer.Header().Get("Content-Type"), "text/html") {
			t.Errorf("%s: HTTP %d %s", path, answer.Code, page)
		}
		for _, markup := range []string{"<script>alert", "<img", "onerror=alert(1)>", "' onfocus='", "href=\"javascript:"} {
			if at := strings.Index(page, markup); at >= 0 {
				t.Errorf("%s has %q: …%s", path, markup, page[max(0, at-120):min(len(page), at+60)])
			}
		}
		if at := strings.IndexFunc(page, func(r rune) bool { return card.Hidden(r) && r != '\n' && r != '\t' }); at >= 0 {
			t.Errorf("%s has something invisible: %q", path, page[max(0, at-60):min(len(page), at+20)])
		}
	}
}

// Of what is decided on no space is swallowed by the page.
func TestSpacesAreKept(t *testing.T) {
	css, err := files.ReadFile("asset/console.css")
	if err != nil || !strings.Contains(string(css), "\n.leaf .value, .leaf dt, .does, .question .mono { white-space: break-spaces; unicode-bidi: isolate; }\n") {
		t.Errorf("%v: two names that differ by a space look alike", err)
	}
}

// What is read from right to left turns no number round that stands beside it.
func TestNumbersKeepTheirPlace(t *testing.T) {
	w := newWorld()
	c := open(t, w, false)
	text := strings.ReplaceAll(`{"agent":"bot","args":{"to":"12 HEBREW 34<b>"},"kind":"tool","name":"refund","server":"desk"}`, "HEBREW", "\u05d0\u05b8\u05d1")
	a := sallyport.Approval{ID: "a_1", State: sallyport.Pending, Digest: sallyport.DigestOf([]byte(text)), Question: []byte(text), Expires: w.at.Add(time.Hour)}
	shown, err := card.New(&a, card.Around{})
	if err != nil {
		t.Fatal(err)
	}
	one := map[string]any{}
	decode(t, jsonOf(shown), &one)
	one["question"] = text
	w.answers["/approvals/a_1"] = one
	page := ask(c, "GET", Path+"approvals/a_1", "", looking(t, c)).Body.String()
	if !strings.Contains(page, ">&#34;12 <bdi>\u05d0\u05b8\u05d1</bdi> 34&lt;b&gt;&#34;</div>") {
		at := strings.Index(page, "class=\"value\"")
		t.Errorf("the page has %q", page[max(0, at):min(len(page), max(0, at)+200)])
	}
}
