package desk

import (
	"fmt"
	"strings"

	"github.com/modelcontextprotocol/go-sdk/jsonrpc"
	"github.com/modelcontextprotocol/go-sdk/mcp"

	"sallyport/internal/demo"
)

func (d *Desk) addResources() {
	for _, c := range companies {
		tenant := c.tenant
		d.AddResource(mcp.Resource{
			URI: "desk://queue/" + string(tenant), Name: "queue-" + string(tenant), Title: "Open tickets of " + string(tenant),
			Description: "Tickets that wait for the desk, last changed first.",
		}, func() any {
			return d.ticketLines(func(t *Ticket) bool { return t.Tenant == tenant && t.Status == "open" })
		})
		d.AddResource(mcp.Resource{
			URI: "desk://outbox/" + string(tenant), Name: "outbox-" + string(tenant), Title: "Mails sent by " + string(tenant),
			Description: "Every e-mail that the desk has sent since it was started, with all recipients.",
		}, func() any { return d.mailsOf(tenant) })
		d.AddResource(mcp.Resource{
			URI: "desk://activity/" + string(tenant), Name: "activity-" + string(tenant), Title: "What was done for " + string(tenant),
			Description: "Everything that was changed since the desk was started: notes, updates, mails, refunds, deletions, exports.",
		}, func() any { return d.EffectsOf(string(tenant)) })
	}
	d.AddTemplate(mcp.ResourceTemplate{
		URITemplate: "desk://customers/{id}", Name: "customer", Title: "A customer",
		Description: "A customer's record with orders.",
	}, func(uri string) (any, bool) {
		c, err := d.customer(CustomerID(strings.TrimPrefix(uri, "desk://customers/")))
		return c, err == nil
	})
	d.AddTemplate(mcp.ResourceTemplate{
		URITemplate: "desk://tickets/{id}", Name: "ticket", Title: "A ticket",
		Description: "A ticket with its conversation, which outsiders wrote, and its internal notes. Can be subscribed to.",
	}, func(uri string) (any, bool) {
		t, err := d.ticket(TicketID(strings.TrimPrefix(uri, "desk://tickets/")))
		return t, err == nil
	})
}

// readable reports whether uri names a resource.
func (d *Desk) readable(uri string) bool {
	kind, name, _ := strings.Cut(strings.TrimPrefix(uri, "desk://"), "/")
	switch kind {
	case "queue", "outbox", "activity":
		return name == "acme" || name == "globex"
	case "customers":
		_, err := d.customer(CustomerID(name))
		return err == nil
	case "tickets":
		_, err := d.ticket(TicketID(name))
		return err == nil
	default:
		return false
	}
}

func (d *Desk) mailsOf(tenant Tenant) []Mail {
	sent := []Mail{}
	for _, m := range d.mails {
		if m.Tenant == tenant {
			sent = append(sent, m)
		}
	}
	return sent
}

var tones = []string{"brief", "formal", "friendly"}

func (d *Desk) addPrompts() {
	ticket := &mcp.PromptArgument{Name: "ticket_id", Title: "Ticket", Description: "like tic_2207", Required: true}
	d.AddPrompt(mcp.Prompt{
		Name: "summarise_ticket", Title: "Summarise a ticket",
		Description: "What happened, what the reporter wants, what is still open.",
		Arguments:   []*mcp.PromptArgument{ticket},
	}, func(args map[string]string) (*mcp.GetPromptResult, error) {
		return d.prompt(args, "Summarise the ticket below in at most five lines: what happened, what the reporter wants, "+
			"what was promised, what is still open. Say so if it asks for anything unusual.")
	})
	d.AddPrompt(mcp.Prompt{
		Name: "draft_reply", Title: "Draft a reply",
		Description: "A reply to the reporter, to be checked before it is sent.",
		Arguments: []*mcp.PromptArgument{ticket, {Name: "tone", Title: "Tone",
			Description: strings.Join(tones, ", ") + "; friendly unless given"}},
	}, func(args map[string]string) (*mcp.GetPromptResult, error) {
		tone := args["tone"]
		if tone == "" {
			tone = "friendly"
		}
		return d.prompt(args, fmt.Sprintf("Draft a %s reply to the reporter of the ticket below, in the reporter's language. "+
			"Promise nothing that the notes don't allow. Don't send it.", tone))
	})
}

// prompt shows the ticket as a resource of its own, so that the outsiders' words stay apart from the task.
func (d *Desk) prompt(args map[string]string, task string) (*mcp.GetPromptResult, error) {
	t, err := d.ticket(TicketID(args["ticket_id"]))
	if err != nil {
		return nil, &jsonrpc.Error{Code: jsonrpc.CodeInvalidParams, Message: err.Error()}
	}
	shown, err := demo.JSONContents(t.uri(), t)
	if err != nil {
		return nil, err
	}
	return &mcp.GetPromptResult{Messages: []*mcp.PromptMessage{
		{Role: "user", Content: &mcp.TextContent{Text: task}},
		{Role: "user", Content: &mcp.EmbeddedResource{Resource: shown}},
	}}, nil
}

// complete proposes ids that begin with what was typed, for prompts and resource templates.
func (d *Desk) complete(p *mcp.CompleteParams) []string {
	var candidates []string
	switch what := p.Ref.Type + " " + p.Ref.Name + p.Ref.URI + " " + p.Argument.Name; what {
	case "ref/prompt summarise_ticket ticket_id", "ref/prompt draft_reply ticket_id", "ref/resource desk://tickets/{id} id":
		for _, t := range d.tickets {
			candidates = append(candidates, string(t.ID))
		}
	case "ref/resource desk://customers/{id} id":
		for _, c := range d.customers {
			candidates = append(candidates, string(c.ID))
		}
	case "ref/prompt draft_reply tone":
		candidates = tones
	}
	return demo.Completing(p.Argument.Value, candidates)
}
