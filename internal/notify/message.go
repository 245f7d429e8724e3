package notify

import (
	"strings"
	"time"
)

// messages are what the kinds that take JSON are sent.
var messages = map[string]func(Event) any{Webhook: plain, Slack: slack, Teams: teams}

type object = map[string]any

// plain is an event as Standard Webhooks has it.
func plain(e Event) any {
	data := object{"id": e.ID, "title": e.Title, "facts": e.Facts}
	if e.Link != "" {
		data["link"] = e.Link
	}
	if len(e.Groups) > 0 {
		data["groups"] = e.Groups
	}
	return object{"type": e.Kind, "timestamp": e.At.UTC().Format(time.RFC3339Nano), "data": data}
}

// slack is a message in Block Kit. Everything is plain_text: in mrkdwn a word of
// an agent could call people (@channel) or look like our link.
func slack(e Event) any {
	text := func(s string) object { return object{"type": "plain_text", "text": s, "emoji": false} }
	blocks := []object{{"type": "section", "text": text(e.Title)}}
	for _, f := range e.Facts {
		blocks = append(blocks, object{"type": "context", "elements": []object{text(f.Name + ": “" + f.Value + "”")}})
	}
	if e.Link != "" {
		blocks = append(blocks, object{"type": "actions", "elements": []object{{"type": "button", "text": text("Look at it"), "url": e.Link}}})
	}
	// What notifications show is mrkdwn: what has a meaning there is escaped.
	short := strings.NewReplacer("&", "&amp;", "<", "&lt;", ">", "&gt;").Replace(e.Title)
	return object{"text": short, "blocks": blocks, "unfurl_links": false}
}

// teams is an Adaptive Card. Text blocks read Markdown, in which a word of an
// agent could look like our link; text runs don't.
func teams(e Event) any {
	line := func(s string, more object) object {
		run := object{"type": "TextRun", "text": s}
		for k, v := range more {
			run[k] = v
		}
		return object{"type": "RichTextBlock", "inlines": []object{run}}
	}
	body := []object{line(e.Title, object{"weight": "Bolder"})}
	for _, f := range e.Facts {
		body = append(body, line(f.Name+": “"+f.Value+"”", object{"size": "Small"}))
	}
	card := object{"type": "AdaptiveCard", "$schema": "http://adaptivecards.io/schemas/adaptive-card.json", "version": "1.4", "body": body}
	if e.Link != "" {
		card["actions"] = []object{{"type": "Action.OpenUrl", "title": "Look at it", "url": e.Link}}
	}
	return object{"type": "message", "attachments": []object{{"contentType": "application/vnd.microsoft.card.adaptive", "content": card}}}
}

// letter is an event as the text of an e-mail.
func letter(e Event) string {
	var b strings.Builder
	b.WriteString(e.Title + "\n\n")
	for _, f := range e.Facts {
		b.WriteString("  " + f.Name + ": “" + f.Value + "”\n")
	}
	if e.Link != "" {
		b.WriteString("\n" + e.Link + "\n")
	}
	b.WriteString("\nWhat stands in quotation marks may be an agent's or a server's words. Nothing can be\nanswered from here: open the console yourself, or use sallyport approvals.\n")
	return b.String()
}
