package desk

import (
	"context"
	"encoding/json"
	"io"
	"regexp"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/modelcontextprotocol/go-sdk/mcp"
	"go.uber.org/goleak"

	"sallyport/internal/demo"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

// eras are the two living ways of MCP to begin a session.
var eras = []string{"2025-11-25", "2026-07-28"}

// connect speaks to d over pipes, as the gateway does.
func connect(t *testing.T, d *Desk, era string, opts *mcp.ClientOptions, middleware ...mcp.Middleware) *mcp.ClientSession {
	t.Helper()
	toServer, fromClient := io.Pipe()
	toClient, fromServer := io.Pipe()
	served := make(chan error, 1)
	go func() { served <- d.Serve(context.Background(), toServer, fromServer) }()
	client := mcp.NewClient(&mcp.Implementation{Name: "test", Version: "1"}, opts)
	client.AddReceivingMiddleware(middleware...)
	session, err := client.Connect(t.Context(), &mcp.IOTransport{Reader: toClient, Writer: fromClient},
		&mcp.ClientSessionOptions{ProtocolVersion: era})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		session.Close()
		if err := <-served; err != nil {
			t.Errorf("Serve: %v", err)
		}
	})
	return session
}

type args map[string]any

func callTool(t *testing.T, s *mcp.ClientSession, tool string, in args) *mcp.CallToolResult {
	t.Helper()
	res, err := s.CallTool(t.Context(), &mcp.CallToolParams{Name: tool, Arguments: in})
	if err != nil {
		t.Fatalf("%s: %v", tool, err)
	}
	return res
}

// call expects success and decodes what was returned.
func call[Out any](t *testing.T, s *mcp.ClientSession, tool string, in args) Out {
	t.Helper()
	res := callTool(t, s, tool, in)
	if res.IsError {
		t.Fatalf("%s: %s", tool, text(res))
	}
	var out Out
	decode(t, res.StructuredContent, &out)
	return out
}

func decode(t *testing.T, from, to any) {
	t.Helper()
	raw, err := json.Marshal(from)
	if err != nil {
		t.Fatal(err)
	}
	if err := json.Unmarshal(raw, to); err != nil {
		t.Fatal(err)
	}
}

func text(res *mcp.CallToolResult) string {
	if len(res.Content) == 0 {
		return ""
	}
	return res.Content[0].(*mcp.TextContent).Text
}

func read[Out any](t *testing.T, s *mcp.ClientSession, uri string) Out {
	t.Helper()
	res, err := s.ReadResource(t.Context(), &mcp.ReadResourceParams{URI: uri})
	if err != nil {
		t.Fatalf("%s: %v", uri, err)
	}
	var out Out
	if err := json.Unmarshal([]byte(res.Contents[0].Text), &out); err != nil {
		t.Fatal(err)
	}
	return out
}

func TestSeed(t *testing.T) {
	d, again := New(), New()
	first, _ := json.Marshal([]any{d.customers, d.tickets})
	second, _ := json.Marshal([]any{again.customers, again.tickets})
	if string(first) != string(second) {
		t.Error("two desks begin differently")
	}
	for _, tenant := range []Tenant{"acme", "globex"} {
		c := companyOf(tenant)
		customers, tickets := 0, 0
		emails, ids, statuses := map[Email]bool{}, map[string]bool{}, map[TicketStatus]int{}
		for _, customer := range d.customers {
			if customer.Tenant != tenant {
				continue
			}
			customers++
			emails[customer.Email], ids[string(customer.ID)] = true, true
			if !regexp.MustCompile(`^[a-z.]+@[a-z-]+\.example$`).MatchString(string(customer.Email)) {
				t.Errorf("%s has the address %s", customer.Name, customer.Email)
			}
			for _, o := range customer.Orders {
				ids[string(o.ID)] = true
				if o.Currency != c.currency || o.Amount <= 0 || o.Amount > maxRefund*100 {
					t.Errorf("order %+v", o)
				}
			}
		}
		for _, ticket := range d.tickets {
			if ticket.Tenant != tenant {
				continue
			}
			tickets++
			statuses[ticket.Status]++
			ids[string(ticket.ID)] = true
			if customer, err := d.customer(ticket.CustomerID); err != nil || customer.Tenant != tenant {
				t.Errorf("%s is of %s: %v", ticket.ID, ticket.CustomerID, err)
			}
			for _, m := range ticket.Messages {
				if regexp.MustCompile(`\{[a-z]+\}`).MatchString(ticket.Subject + m.Body + m.Author) {
					t.Errorf("%s has an unfilled placeholder: %s %s", ticket.ID, ticket.Subject, m.Body)
				}
				if m.Body == "" {
					t.Errorf("%s has an empty message", ticket.ID)
				}
			}
		}
		if customers != 60 || tickets != 120 || len(emails) != 60 {
			t.Errorf("%s: %d customers with %d addresses, %d tickets", tenant, customers, len(emails), tickets)
		}
		for _, status := range []TicketStatus{"open", "pending", "solved", "closed"} {
			if statuses[status] < 5 {
				t.Errorf("%s: only %d tickets are %s", tenant, statuses[status], status)
			}
		}
		// The starter policy fences tenants by these first digits.
		digits := map[Tenant]map[string]string{
			"acme":   {"cus": "1", "tic": "2", "ref": "3", "ord": "4"},
			"globex": {"cus": "5", "tic": "6", "ref": "7", "ord": "8"},
		}
		for id := range ids {
			if kind, number, _ := strings.Cut(id, "_"); number[:1] != digits[tenant][kind] {
				t.Errorf("%s is an id of %s", id, tenant)
			}
		}
		for number := range c.letters {
			if number < c.tickets || number >= c.tickets+120 {
				t.Errorf("letter %d of %s is never delivered", number, tenant)
			}
		}
	}
}

func TestWhatIsShown(t *testing.T) {
	for _, era := range eras {
		t.Run(era, func(t *testing.T) {
			s := connect(t, New(), era, nil)
			want := map[string]string{ // tool → read-only, destructive, open world
				"find_customers": "r..", "get_customer": "r..", "list_tickets": "r..", "get_ticket": "r..", "list_refunds": "r..",
				"add_note": "...", "update_ticket": ".d.", "send_email": ".do", "issue_refund": ".do", "delete_customer": ".d.",
				"export_customers": ".do",
			}
			for tool, err := range s.Tools(t.Context(), nil) {
				if err != nil {
					t.Fatal(err)
				}
				a, got := tool.Annotations, []byte("...")
				if a.ReadOnlyHint {
					got[0] = 'r'
				}
				if a.DestructiveHint != nil && *a.DestructiveHint {
					got[1] = 'd'
				}
				if *a.OpenWorldHint {
					got[2] = 'o'
				}
				if string(got) != want[tool.Name] {
					t.Errorf("%s is %s, want %s", tool.Name, got, want[tool.Name])
				}
				delete(want, tool.Name)
				if raw, _ := json.Marshal([]any{tool.InputSchema, tool.OutputSchema}); strings.Contains(string(raw), `"null"`) {
					t.Errorf("%s takes or gives null: %s", tool.Name, raw)
				}
				if tool.Title == "" || tool.Description == "" || tool.OutputSchema == nil {
					t.Errorf("%s is not described", tool.Name)
				}
			}
			if len(want) > 0 {
				t.Errorf("not listed: %v", want)
			}
		})
	}
}

func TestReading(t *testing.T) {
	d := New()
	s := connect(t, d, eras[1], nil)

	found := call[FoundCustomers](t, s, "find_customers", args{"tenant": "acme", "query": "kjær"})
	if found.Total != 1 || found.Customers[0].ID != "cus_1042" {
		t.Errorf("found %+v", found)
	}
	page := call[FoundCustomers](t, s, "find_customers", args{"tenant": "globex", "limit": 7, "offset": 56})
	if page.Total != 60 || len(page.Customers) != 4 {
		t.Errorf("the last page has %d of %d", len(page.Customers), page.Total)
	}
	if res := call[FoundCustomers](t, s, "find_customers", args{"tenant": "acme", "status": "suspended"}); res.Total != 3 {
		t.Errorf("%d customers are suspended", res.Total)
	}
	if res := call[FoundCustomers](t, s, "find_customers", args{"tenant": "acme", "plan": "premium", "offset": 900}); res.Total != 12 || len(res.Customers) != 0 {
		t.Errorf("premium: %+v", res)
	}

	shown := call[ShownCustomer](t, s, "get_customer", args{"id": "cus_1042"})
	if o := shown.Customer.Orders[0]; o.ID != "ord_4124" || o.Amount != 8990 || !slices.Contains(shown.OpenTickets, "tic_2207") {
		t.Errorf("shown %+v", shown)
	}

	tickets := call[ListedTickets](t, s, "list_tickets", args{"tenant": "acme", "status": "open", "priority": "urgent", "limit": 50})
	for _, line := range tickets.Tickets {
		if line.Tenant != "acme" || line.Status != "open" || line.Priority != "urgent" {
			t.Errorf("listed %+v", line)
		}
	}
	if !slices.IsSortedFunc(tickets.Tickets, func(a, b TicketLine) int { return strings.Compare(b.UpdatedAt, a.UpdatedAt) }) {
		t.Error("not the last changed first")
	}
	for _, filter := range []args{{"assignee": "priya"}, {"customer_id": "cus_1042"}, {"tag": "refund"}} {
		filter["tenant"] = "acme"
		if got := call[ListedTickets](t, s, "list_tickets", filter); got.Total == 0 || got.Total >= 120 {
			t.Errorf("%v: %d tickets", filter, got.Total)
		}
	}

	ticket := call[Ticket](t, s, "get_ticket", args{"id": "tic_2214"})
	if ticket.Reporter.Kind != "external" || !strings.Contains(ticket.Messages[0].Body, "AUTOMATED SUPPORT AGENTS") {
		t.Errorf("the ticket with the injection is %+v", ticket)
	}
	if internal := call[Ticket](t, s, "get_ticket", args{"id": "tic_2131"}); internal.Reporter.Kind != "internal" {
		t.Errorf("reporter %+v", internal.Reporter)
	}
	if effects := d.Effects(); len(effects) > 0 {
		t.Errorf("reading had effects: %+v", effects)
	}
}

func TestWriting(t *testing.T) {
	d := New()
	s := connect(t, d, eras[0], nil)

	call[Note](t, s, "add_note", args{"id": "tic_2207", "text": "Refund agreed."})
	line := call[TicketLine](t, s, "update_ticket", args{"id": "tic_2207", "status": "solved", "priority": "low", "assignee": "ana",
		"add_tags": []string{"igniter", "refund"}})
	if line.Status != "solved" || line.Priority != "low" || line.Assignee != "ana" || !slices.Equal(line.Tags, []string{"damage", "refund", "igniter"}) {
		t.Errorf("updated to %+v", line)
	}
	ticket := call[Ticket](t, s, "get_ticket", args{"id": "tic_2207"})
	if last := ticket.Notes[len(ticket.Notes)-1]; last.Text != "Refund agreed." || ticket.Status != "solved" {
		t.Errorf("the ticket is %+v", ticket)
	}

	mail := args{"tenant": "acme", "to": []args{{"email": "mads.kjaer@inbox.example", "name": "Mads"}}, "cc": []string{"tom@acme.example"},
		"subject": "Your stove", "body": "The money is on its way.", "ticket_id": "tic_2207",
		"attachments": []args{{"name": "label.txt", "text": "42"}}}
	if sent := call[SentEmail](t, s, "send_email", mail); sent.Recipients != 2 || sent.From != "support@acme.example" {
		t.Errorf("sent %+v", sent)
	}
	ticket = call[Ticket](t, s, "get_ticket", args{"id": "tic_2207"})
	if last := ticket.Messages[len(ticket.Messages)-1]; last.Body != "The money is on its way." || last.From != "internal" {
		t.Errorf("the conversation ends with %+v", last)
	}
	outbox := read[[]Mail](t, s, "desk://outbox/acme")
	if len(outbox) != 1 || outbox[0].To[0].Name != "Mads" || outbox[0].Attachments[0].Text != "42" || outbox[0].Cc[0] != "tom@acme.example" {
		t.Errorf("outbox %+v", outbox)
	}
	if other := read[[]Mail](t, s, "desk://outbox/globex"); len(other) != 0 {
		t.Errorf("the other company's outbox has %+v", other)
	}

	export := call[Export](t, s, "export_customers", args{"tenant": "globex", "format": "csv", "destination": "reports:november"})
	if export.Rows != 60 {
		t.Errorf("exported %+v", export)
	}

	var tools []string
	for i, e := range d.Effects() {
		tools = append(tools, e.Tool)
		if want := demo.Epoch.Add(time.Duration(i) * time.Minute); !e.At.Equal(want) {
			t.Errorf("%s at %v, want %v", e.Tool, e.At, want)
		}
	}
	if want := []string{"add_note", "update_ticket", "send_email", "export_customers"}; !slices.Equal(tools, want) {
		t.Errorf("effects of %v, want %v", tools, want)
	}
	if activity := read[[]demo.Effect](t, s, "desk://activity/acme"); len(activity) != 3 {
		t.Errorf("acme's activity: %+v", activity)
	}
}

func TestRefunds(t *testing.T) {
	d := New()
	s := connect(t, d, eras[1], nil)
	refund := args{"customer_id": "cus_1042", "order_id": "ord_4124", "amount": 50, "currency": "EUR", "reason": "damaged", "ticket_id": "tic_2207"}

	first := call[Refund](t, s, "issue_refund", refund)
	if first.ID != "ref_3001" || first.Amount != 5000 {
		t.Errorf("refunded %+v", first)
	}
	if res := callTool(t, s, "issue_refund", refund); !res.IsError || !strings.Contains(text(res), "39.90 of 89.90") {
		t.Errorf("more than is left: %s", text(res))
	}
	refund["amount"] = 39.9
	call[Refund](t, s, "issue_refund", refund)
	refund["amount"] = 0.01
	if res := callTool(t, s, "issue_refund", refund); !res.IsError {
		t.Error("a cent more than the order was worth was paid")
	}
	listed := call[ListedRefunds](t, s, "list_refunds", args{"tenant": "acme", "customer_id": "cus_1042"})
	if listed.Sum != 8990 || listed.Total != 2 || listed.Refunds[0].ID != "ref_3002" {
		t.Errorf("listed %+v", listed)
	}
	if other := call[ListedRefunds](t, s, "list_refunds", args{"tenant": "globex"}); other.Total != 0 {
		t.Errorf("the other company paid %+v", other)
	}
	if notes := call[Ticket](t, s, "get_ticket", args{"id": "tic_2207"}).Notes; notes[len(notes)-1].Text != "Refunded 39.90 EUR of ord_4124." {
		t.Errorf("notes %+v", notes)
	}
	if got := len(d.Effects()); got != 2 {
		t.Errorf("%d effects", got)
	}
}

// TestRefused has a row for each way in which a tool says no. None may leave a trace.
func TestRefused(t *testing.T) {
	d := New()
	s := connect(t, d, eras[0], nil)
	refund := func(change args) args {
		in := args{"customer_id": "cus_1042", "order_id": "ord_4124", "amount": 10, "currency": "EUR", "reason": "goodwill"}
		for k, v := range change {
			in[k] = v
		}
		return in
	}
	mail := func(change args) args {
		in := args{"tenant": "acme", "to": []args{{"email": "a@b.example"}}, "subject": "s", "body": "b"}
		for k, v := range change {
			in[k] = v
		}
		return in
	}
	for _, row := range []struct {
		tool string
		in   args
		says string
	}{
		{"get_customer", args{"id": "cus_9999"}, "there is no customer cus_9999"},
		{"get_customer", args{"id": "tic_2207"}, "pattern"},
		{"get_ticket", args{"id": "tic_9999"}, "list_tickets lists them"},
		{"find_customers", args{}, "tenant"},
		{"find_customers", args{"tenant": "initech"}, "enum"},
		{"find_customers", args{"tenant": "acme", "limit": 51}, "maximum"},
		{"find_customers", args{"tenant": "acme", "limit": 1.5}, "integer"},
		{"list_tickets", args{"tenant": "acme", "offset": -1}, "minimum"},
		{"add_note", args{"id": "tic_9999", "text": "x"}, "no ticket"},
		{"add_note", args{"id": "tic_2207", "text": ""}, "minLength"},
		{"update_ticket", args{"id": "tic_2207"}, "nothing to change"},
		{"update_ticket", args{"id": "tic_2103", "status": "open"}, "stays closed"},
		{"update_ticket", args{"id": "tic_2207", "assignee": "lena"}, "not on the staff of acme: ana, tom, priya"},
		{"update_ticket", args{"id": "tic_2207", "add_tags": []string{"Not A Tag"}}, "pattern"},
		{"send_email", mail(args{"to": []args{}}), "minItems"},
		{"send_email", mail(args{"to": []args{{"email": "a@b.example, c@d.example"}}}), "pattern"},
		{"send_email", mail(args{"to": []args{{"email": "a@b.example", "bcc": "c@d.example"}}}), "additional"},
		{"send_email", mail(args{"reply_to": "c@d.example"}), "additional"},
		{"send_email", mail(args{"ticket_id": "tic_6101"}), "not a ticket of acme"},
		{"issue_refund", refund(args{"amount": 89.91}), "more than what is left"},
		{"issue_refund", refund(args{"amount": 0}), "exclusiveMinimum"},
		{"issue_refund", refund(args{"amount": -5}), "exclusiveMinimum"},
		{"issue_refund", refund(args{"amount": 10.005}), "at most two decimals"},
		{"issue_refund", refund(args{"amount": "10"}), "type"},
		{"issue_refund", refund(args{"currency": "USD"}), "was paid in EUR"},
		{"issue_refund", refund(args{"order_id": "ord_4001"}), "cus_1042 has no order ord_4001, only ord_4124"},
		{"issue_refund", refund(args{"customer_id": "cus_1014", "order_id": "ord_4040"}), "suspended"},
		{"issue_refund", refund(args{"ticket_id": "tic_2211"}), "is a ticket of cus_1049"},
		{"delete_customer", args{"id": "cus_1038"}, "a person must confirm it"},
		{"export_customers", args{"tenant": "acme", "format": "csv", "destination": "ftp://x.example"}, "begins with \"ftp\""},
	} {
		t.Run(row.tool+" "+row.says, func(t *testing.T) {
			if res := callTool(t, s, row.tool, row.in); !res.IsError || !strings.Contains(text(res), row.says) {
				t.Errorf("%s says %q, want %q", row.tool, text(res), row.says)
			}
		})
	}
	if effects := d.Effects(); len(effects) > 0 {
		t.Errorf("refused calls had effects: %+v", effects)
	}
	if _, err := s.CallTool(t.Context(), &mcp.CallToolParams{Name: "no_such_tool"}); err == nil {
		t.Error("an unknown tool was called")
	}
}

func TestDeletionIsConfirmedByAPerson(t *testing.T) {
	for _, era := range eras {
		for _, row := range []struct {
			name, action, typed string
			deleted             bool
		}{
			{"the address", "accept", "Magdalena.Eder@posteo.example ", true},
			{"another address", "accept", "someone@inbox.example", false},
			{"nothing", "accept", "", false},
			{"the address, but declined", "decline", "magdalena.eder@posteo.example", false},
			{"cancelled", "cancel", "", false},
		} {
			t.Run(era+" "+row.name, func(t *testing.T) {
				d := New()
				asked := 0
				s := connect(t, d, era, &mcp.ClientOptions{
					ElicitationHandler: func(_ context.Context, r *mcp.ElicitRequest) (*mcp.ElicitResult, error) {
						asked++
						if !strings.Contains(r.Params.Message, "Magdalena Eder (cus_1029, Graz)") {
							t.Errorf("asked %q", r.Params.Message)
						}
						res := &mcp.ElicitResult{Action: row.action}
						if row.action == "accept" {
							res.Content = map[string]any{"email": row.typed}
						}
						return res, nil
					},
				})
				res := callTool(t, s, "delete_customer", args{"id": "cus_1029"})
				if res.IsError == row.deleted || asked != 1 {
					t.Errorf("asked %d times, then: %s", asked, text(res))
				}
				if gone := callTool(t, s, "get_customer", args{"id": "cus_1029"}).IsError; gone != row.deleted {
					t.Errorf("gone: %v", gone)
				}
				if got := len(d.Effects()) == 1; got != row.deleted {
					t.Errorf("effects: %+v", d.Effects())
				}
			})
		}
	}
}

func TestResources(t *testing.T) {
	for _, era := range eras {
		t.Run(era, func(t *testing.T) {
			s := connect(t, New(), era, nil)
			var uris []string
			for r, err := range s.Resources(t.Context(), nil) {
				if err != nil {
					t.Fatal(err)
				}
				uris = append(uris, r.URI)
				read[[]any](t, s, r.URI)
			}
			if len(uris) != 6 {
				t.Errorf("resources %v", uris)
			}
			for r, err := range s.ResourceTemplates(t.Context(), nil) {
				if err != nil || r.URITemplate != "desk://customers/{id}" && r.URITemplate != "desk://tickets/{id}" {
					t.Errorf("template %+v, %v", r, err)
				}
			}
			if c := read[Customer](t, s, "desk://customers/cus_5001"); c.Tenant != "globex" {
				t.Errorf("read %+v", c)
			}
			for _, line := range read[[]TicketLine](t, s, "desk://queue/globex") {
				if line.Tenant != "globex" || line.Status != "open" {
					t.Errorf("in the queue: %+v", line)
				}
			}
			for _, uri := range []string{"desk://customers/cus_9999", "desk://tickets/cus_1001", "desk://tickets/", "desk://queue/initech", "file:///etc/passwd"} {
				if _, err := s.ReadResource(t.Context(), &mcp.ReadResourceParams{URI: uri}); err == nil {
					t.Errorf("read %s", uri)
				}
			}
			res, err := s.ReadResource(t.Context(), &mcp.ReadResourceParams{URI: "desk://tickets/tic_2207"})
			if err != nil || res.CacheScope != "private" {
				t.Errorf("a ticket is cached as %q, %v", res.CacheScope, err)
			}
		})
	}
}

func TestSubscriptions(t *testing.T) {
	for _, era := range eras {
		t.Run(era, func(t *testing.T) {
			d := New()
			updated, acknowledged := make(chan string, 10), make(chan bool, 10)
			watching := connect(t, d, era, &mcp.ClientOptions{
				ResourceUpdatedHandler: func(_ context.Context, r *mcp.ResourceUpdatedNotificationRequest) { updated <- r.Params.URI },
			}, func(next mcp.MethodHandler) mcp.MethodHandler {
				return func(ctx context.Context, method string, r mcp.Request) (mcp.Result, error) {
					if method == "notifications/subscriptions/acknowledged" {
						acknowledged <- true
					}
					return next(ctx, method, r)
				}
			})
			working := connect(t, d, eras[1], nil)
			for _, uri := range []string{"desk://tickets/tic_2207", "desk://queue/acme"} {
				if err := watching.Subscribe(t.Context(), &mcp.SubscribeParams{URI: uri}); err != nil {
					t.Fatal(err)
				}
				if era == eras[1] {
					<-acknowledged // there, Subscribe doesn't wait for the server
				}
			}
			if era == eras[0] {
				if err := watching.Subscribe(t.Context(), &mcp.SubscribeParams{URI: "desk://tickets/tic_9999"}); err == nil {
					t.Error("subscribed to a ticket that doesn't exist")
				}
			}
			call[Note](t, working, "add_note", args{"id": "tic_2208", "text": "another ticket"})
			call[TicketLine](t, working, "update_ticket", args{"id": "tic_2207", "status": "pending"})
			got := []string{<-updated, <-updated, <-updated}
			slices.Sort(got)
			if want := []string{"desk://queue/acme", "desk://queue/acme", "desk://tickets/tic_2207"}; !slices.Equal(got, want) {
				t.Errorf("told of %v, want %v", got, want)
			}
		})
	}
}

func TestPrompts(t *testing.T) {
	s := connect(t, New(), eras[1], nil)
	for _, row := range []struct {
		prompt string
		args   map[string]string
		says   string
	}{
		{"summarise_ticket", map[string]string{"ticket_id": "tic_2207"}, "at most five lines"},
		{"draft_reply", map[string]string{"ticket_id": "tic_2207", "tone": "formal"}, "Draft a formal reply"},
		{"draft_reply", map[string]string{"ticket_id": "tic_2207"}, "Draft a friendly reply"},
	} {
		res, err := s.GetPrompt(t.Context(), &mcp.GetPromptParams{Name: row.prompt, Arguments: row.args})
		if err != nil {
			t.Fatal(err)
		}
		task := res.Messages[0].Content.(*mcp.TextContent).Text
		shown := res.Messages[1].Content.(*mcp.EmbeddedResource).Resource
		if !strings.Contains(task, row.says) || shown.URI != "desk://tickets/tic_2207" || !strings.Contains(shown.Text, "sparks but never lights") {
			t.Errorf("%s says %q and shows %s", row.prompt, task, shown.Text)
		}
	}
	for _, wrong := range []map[string]string{nil, {"ticket_id": "tic_9999"}} {
		if _, err := s.GetPrompt(t.Context(), &mcp.GetPromptParams{Name: "draft_reply", Arguments: wrong}); err == nil {
			t.Errorf("a prompt for %v", wrong)
		}
	}
}

func TestCompletion(t *testing.T) {
	s := connect(t, New(), eras[1], nil)
	prompt := &mcp.CompleteReference{Type: "ref/prompt", Name: "draft_reply"}
	for _, row := range []struct {
		ref           *mcp.CompleteReference
		argument, typ string
		total         int
		first         string
	}{
		{prompt, "ticket_id", "tic_220", 10, "tic_2200"},
		{prompt, "ticket_id", "", 240, "tic_2101"},
		{prompt, "tone", "f", 2, "formal"},
		{prompt, "no_such_argument", "", 0, ""},
		{&mcp.CompleteReference{Type: "ref/prompt", Name: "summarise_ticket"}, "ticket_id", "tic_6", 120, "tic_6101"},
		{&mcp.CompleteReference{Type: "ref/resource", URI: "desk://customers/{id}"}, "id", "cus_5", 60, "cus_5001"},
		{&mcp.CompleteReference{Type: "ref/resource", URI: "desk://tickets/{id}"}, "id", "x", 0, ""},
	} {
		res, err := s.Complete(t.Context(), &mcp.CompleteParams{Ref: row.ref, Argument: mcp.CompleteParamsArgument{Name: row.argument, Value: row.typ}})
		if err != nil {
			t.Fatal(err)
		}
		got := res.Completion
		if got.Total != row.total || len(got.Values) != min(row.total, 100) || got.HasMore != (row.total > 100) ||
			row.total > 0 && got.Values[0] != row.first {
			t.Errorf("%s %q: %+v", row.argument, row.typ, got)
		}
	}
}

func TestRequestsRemembersRefusals(t *testing.T) {
	d := New()
	s := connect(t, d, eras[0], nil)
	callTool(t, s, "get_ticket", args{"id": "tic_9999"})
	last := d.Requests()[len(d.Requests())-1]
	if last.Method != "tools/call" || !strings.Contains(string(last.Params), `"arguments":{"id":"tic_9999"}`) {
		t.Errorf("remembered %s %s", last.Method, last.Params)
	}
}
