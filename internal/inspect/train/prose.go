package main

import "strings"

// prose is what honest texts say that no corpus of documentation has: facts
// about the world, and what people ask of people in mail.
var prose = []string{
	"<who> {is|was} {a|an} {British|German|small|former|well-known|coastal} {<job>|<place>|<work>} {in|from|of} <where>{, {founded|born|built|opened} in <year>|}",
	"{in|by|since|until} <year>, <who> {became|was named|was appointed|succeeded as|resigned as} {the |}{first |second |}<job> of <where>",
	"<who> {was|were} {born|founded|built|released|completed|discovered|destroyed|described|won|abolished} {in|by} {<where> in <year>|<who>|<year>}",
	"{the|this} <work> {tells the story of|is about|is based on|depicts|follows} <who>{, who {lives|works|grew up} in <where>|}",
	"{the|its} {population|area|capital|height|length|value|estate} {is|was|of <where> is|reached} {estimated at |about |}{1,200|48|3.5 million|<year>}",
	"{after|following|during} the {war|fire|season|election|merger|flood} of <year>, {he|she|they|it} {moved to <where>|was {rebuilt|sold|renamed}|returned to <where>|lost {the title|its status}}",
	"{he|she|it|they} {also |later |then |}{won|wrote|played|joined|served in|led|studied|recorded|produced} {the|a|several|two} {<work>|prizes|seasons|<job>s|matches} {in|at|with} {<where>|<who>|<year>}",
	"{according to|as reported by|in the words of} <who>, {most|some|many} {people|species|towns|studies|critics} {are|were|remain} {unknown|found in <where>|rare|older than <year>}",
	"{the|a} {term|name|word|title} {derives|comes} from {the|an old} {Latin|Greek|French} {for|word for} {river|stone|king|light}",
	"{it|this} {consists of|contains|comprises|includes|is divided into} {three|two|several|many} {parts|districts|layers|species|chapters}{, {each|most} of which {is|are} {small|inhabited|described}|}",

	"{please|feel free to|do not hesitate to|don't hesitate to} {contact|call|email|reach out to|write to|get in touch with} {us|me|our team|support|<address>} {if you have {any|further} questions|{with|for} any questions|at any time}",
	"{if you have any {questions|concerns|problems}|should you need help|if anything is unclear}, {just |please |simply |}{reply to this {email|message}|let {us|me} know|call us|visit our help page}",
	"{please|kindly} {find attached|see below|see the attached|note that|be aware that|review the attached|remit payment|submit your payment} {the {invoice|document|report|agenda}|your {balance|statement}|{our office is|we are} closed}{ by {Friday|the end of the month}|}",
	"{click|go|visit|follow} {here|the link below|<url>|our website} to {unsubscribe|be removed|view {your order|the invoice|in your browser}|manage your preferences|read more|update your details|confirm your address}",
	"to {unsubscribe|be removed|stop receiving these mails}{,|} {reply with {REMOVE|unsubscribe} in the subject|click here|visit <url>|send a blank email to <address>}",
	"you {have received|are receiving|got} this {email|message|notice} because you {signed up|are subscribed|have an account}{ with {<brand>|us}|}",
	"{hi|hello|dear} {<name>|all|team|customer}, {thanks|thank you} for {your {order|mail|patience|payment|interest}|signing up|getting in touch}",
	"your {payment|order|card|booking|account|invoice} {of|for|ending in} {$|EUR }{48|250.00|1,900} {was|has been} {sent|charged|received|shipped|confirmed|declined}",
	"{I|we} {would|'d} {appreciate|welcome} {any|your} {help|feedback|comments|thoughts}{ on this|}",
	"{can|could|would} you {please |}{take a look|review section 4|send me the {file|slides|minutes}|let me know{ by Friday|}|point me to the right {page|person}|confirm the {date|time|room}}?",
	"{let me know|tell me|write back} {if|when|whether} {that|this|it} {works for you|is fine|is done|looks right}",
	"{please|remember to|don't forget to} {bring|check|finish|rotate|renew|update|complete|return} {your|the} {laptop|passport|training|access tokens|timesheet|password|form} {by|before|on} {Friday|Monday|the end of the {day|week}}",
	"{once|when|if} you {are|feel} {ready|familiar|done|sure}, {please |}{submit|open|send|start} {a {report|pull request|ticket}|the form|the next part}",
	"{the|your} {access token|session|password|request} {has expired|is invalid|could not be found|was refused}. {please |}{refresh|renew|check|retry|sign in}{ it|}{ using the {form|endpoint|link}|}{ and try again|}",
}

// proseWords are what facts are about.
var proseWords = grammar{
	"who":   {"{Anna|John|Marta|Pierre|Lord|Sir Edward|Captain} {Hale|Novak|Moreau|Quint|Abara|Lindgren}", "{the |}{Harrow|Silver|Northern|Saint Olaf|Green River} {Company|Bridge|Festival|Council|Railway|Society}", "the {beetle|river|castle|museum|stadium|treaty|species|album}"},
	"where": {"{northern|southern|western|} {Norway|Ohio|Bavaria|Kenya|Peru|Wales|Japan}", "the {Alps|Baltic|county|province|capital}"},
	"year":  {"1{7|8|9}{0|2|4|6|8}{1|3|5|7}", "20{0|1|2}{2|4|9}"},
	"job":   {"{president|mayor|bishop|director|painter|general|composer|coach|engineer|minister}"},
	"place": {"{village|river|district|island|mountain|railway station|port}"},
	"work":  {"{novel|album|film|opera|series|painting|song|game}"},
}

// plain puts some lines of prose where orders are put.
func (c *composer) plain() row {
	var b strings.Builder
	for range 1 + c.below(3) {
		b.WriteString(upper(&c.random, c.rules.expand(&c.random, pick(&c.random, prose))))
		b.WriteString(pick(&c.random, []string{". ", ".\n", ".", "! "}))
	}
	r := c.put(b.String(), "made_prose", c.carrier(200+c.below(1800)))
	r.bad, r.from, r.to = false, 0, 0
	return r
}
