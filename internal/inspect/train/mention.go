package main

import "strings"

// mentions are how people write about attacks without attacking: the order is
// named, quoted, warned of. They are composed as honest texts.
var mentions = []string{
	"{for example|for instance|e.g.|imagine that}{,|} {an attacker|a malicious page|somebody|an adversary|the injected text} {could|may|might|can} {say|write|contain|read|hide|embed}{:| the line| the words} {\"|`|'|“}<order>{\"|`|'|”}",
	"{prompt injection|indirect injection|jailbreaking|this attack|the technique} {happens|works|occurs} when {untrusted|hidden|third-party} text {such as|like} {\"|`|“}<order>{\"|`|”} {reaches|is read by|gets into} the {model|prompt|context}",
	"{payloads|inputs|phrases|strings|messages} {such as|like|similar to} {\"|`|“}<order>{\"|`|”} {should|must} be {flagged|blocked|rejected|logged|treated as data|escaped}",
	"{the|our|this} {filter|detector|classifier|scanner|test|rule} {matches|looks for|detects|covers|misses} {\"|`|“}<order>{\"|`|”}{ and {its variants|paraphrases}|}",
	"{attacker|payload|example|input|user input|malicious {comment|email|document}|attack {prompt|string}}: {\"|`|“}<order>{\"|`|”}",
	"{a|the} {victim|reviewer|researcher|user} {found|reported|saw|received} {a page|an email|a ticket|a comment} {with|containing|that said} {\"|`|“}<order>{\"|`|”}{, which the model obeyed|, and nothing happened|}",
	"{never|do not|don't} {let|allow} {retrieved|untrusted|external} {content|text} {to |}{override|change|set} {the |your |}{system prompt|instructions|rules}; {validate|sanitise|separate|label} {it|inputs} first",
	"{mitigations|defences|controls} {include|are} {least privilege|human approval|output filtering|sandboxing|allow-lists} and {monitoring|testing|logging} for {\"<order>\"|injected instructions|hidden prompts}",
	"{before|without} {mitigation|the fix|filtering}: the {assistant|agent|model} {follows|obeyed|executed} {\"|`|“}<order>{\"|`|”}. {after|with} {it|the fix}: {it refuses|the text is shown as data}",
}

// mention writes about attacks, some lines of it, in a carrier.
func (c *composer) mention() row {
	var b strings.Builder
	for range 1 + c.below(4) {
		frame := upper(&c.random, c.rules.expand(&c.random, pick(&c.random, mentions)))
		b.WriteString(strings.Replace(frame, "<order>", strings.TrimSuffix(c.order(pick(&c.random, c.families)), "."), 1))
		b.WriteString(pick(&c.random, []string{". ", ".\n", "\n", "\n\n- "}))
	}
	r := c.put(b.String(), "made_mention", c.carrier(200+c.below(1500)))
	r.bad, r.from, r.to = false, 0, 0
	return r
}
