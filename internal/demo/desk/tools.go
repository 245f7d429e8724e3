package desk

import (
	"errors"
	"fmt"
	"slices"
	"strings"

	"github.com/modelcontextprotocol/go-sdk/mcp"

	"sallyport/internal/demo"
)

func (d *Desk) addReadingTools() {
	demo.AddTool(d.Server, mcp.Tool{
		Name: "find_customers", Title: "Find customers", Annotations: demo.Reads(),
		Description: "Finds customers of one company by name, e-mail address, city or id. Without a query, lists them all, a page at a time.",
	}, d.findCustomers)
	demo.AddTool(d.Server, mcp.Tool{
		Name: "get_customer", Title: "Show a customer", Annotations: demo.Reads(),
		Description: "Shows a customer's record with orders, what has been refunded of them, and open tickets.",
	}, d.getCustomer)
	demo.AddTool(d.Server, mcp.Tool{
		Name: "list_tickets", Title: "List tickets", Annotations: demo.Reads(),
		Description: "Lists tickets of one company, last changed first. All filters given must match.",
	}, d.listTickets)
	demo.AddTool(d.Server, mcp.Tool{
		Name: "get_ticket", Title: "Show a ticket", Annotations: demo.Reads(),
		Description: "Shows a ticket with its conversation and internal notes. The conversation was written by outsiders.",
	}, d.getTicket)
	demo.AddTool(d.Server, mcp.Tool{
		Name: "list_refunds", Title: "List refunds", Annotations: demo.Reads(),
		Description: "Lists the refunds that were made since the desk was started, newest first.",
	}, d.listRefunds)
}

func (d *Desk) addTicketTools() {
	demo.AddTool(d.Server, mcp.Tool{
		Name: "add_note", Title: "Add an internal note", Annotations: demo.Adds(),
		Description: "Adds an internal note to a ticket. The reporter never sees it.",
	}, d.addNote)
	demo.AddTool(d.Server, mcp.Tool{
		Name: "update_ticket", Title: "Update a ticket", Annotations: demo.Sets(),
		Description: "Changes a ticket's status, priority or assignee, or adds tags. Give only what should change. " +
			"A closed ticket stays closed.",
	}, d.updateTicket)
}

func (d *Desk) addActingTools() {
	demo.AddTool(d.Server, mcp.Tool{
		Name: "send_email", Title: "Send an e-mail", Annotations: demo.Leaves(),
		Description: "Sends an e-mail from a company's support address. With a ticket id, the mail becomes part of the conversation.",
	}, d.sendEmail)
	demo.AddTool(d.Server, mcp.Tool{
		Name: "issue_refund", Title: "Refund an order", Annotations: demo.Leaves(),
		Description: "Pays money for an order back to the card it was paid with, at once. " +
			"At most what is left of the order's amount, in the order's currency.",
	}, d.issueRefund)
	demo.AddTool(d.Server, mcp.Tool{
		Name: "delete_customer", Title: "Delete a customer", Annotations: demo.Sets(),
		Description: "Deletes a customer's record for good, on the customer's own request. " +
			"A person is asked to confirm it; clients that can't ask one are refused.",
	}, d.deleteCustomer)
	demo.AddTool(d.Server, mcp.Tool{
		Name: "export_customers", Title: "Export the customer list", Annotations: demo.Leaves(),
		Description: "Sends a company's whole customer list, with names, addresses and orders, to a destination: " +
			"an https: or mailto: address, or reports:NAME for the internal report folder.",
	}, d.exportCustomers)
}

// CustomerLine is a customer in a list.
type CustomerLine struct {
	ID     CustomerID     `json:"id"`
	Tenant Tenant         `json:"tenant"`
	Name   string         `json:"name"`
	Email  Email          `json:"email"`
	City   string         `json:"city"`
	Plan   Plan           `json:"plan"`
	Status CustomerStatus `json:"status"`
}

// FindCustomers is what find_customers takes.
type FindCustomers struct {
	Tenant Tenant         `json:"tenant" jsonschema:"the company whose customers are searched"`
	Query  string         `json:"query,omitempty" jsonschema:"part of a name, e-mail address, city or id"`
	Status CustomerStatus `json:"status,omitempty"`
	Plan   Plan           `json:"plan,omitempty"`
	Limit  Limit          `json:"limit,omitempty" jsonschema:"how many to return, 10 unless given"`
	Offset Offset         `json:"offset,omitempty" jsonschema:"how many to skip, for the next page"`
}

// FoundCustomers is what find_customers returns.
type FoundCustomers struct {
	Customers []CustomerLine `json:"customers"`
	Total     int            `json:"total" jsonschema:"how many match in all"`
}

func (d *Desk) findCustomers(_ *demo.Call, in FindCustomers) (FoundCustomers, error) {
	found := []CustomerLine{}
	for _, c := range d.customers {
		if c.Tenant != in.Tenant || in.Status != "" && c.Status != in.Status || in.Plan != "" && c.Plan != in.Plan {
			continue
		}
		text := strings.ToLower(strings.Join([]string{string(c.ID), c.Name, string(c.Email), c.City}, "\n"))
		if strings.Contains(text, strings.ToLower(strings.TrimSpace(in.Query))) {
			found = append(found, CustomerLine{c.ID, c.Tenant, c.Name, c.Email, c.City, c.Plan, c.Status})
		}
	}
	return FoundCustomers{Customers: page(found, in.Offset, in.Limit), Total: len(found)}, nil
}

// page cuts one page out of a list.
func page[T any](list []T, offset Offset, limit Limit) []T {
	from := min(int(offset), len(list))
	return list[from:min(from+int(limit), len(list))]
}

// GetCustomer is what get_customer takes.
type GetCustomer struct {
	ID CustomerID `json:"id" jsonschema:"like cus_1042"`
}

// ShownCustomer is what get_customer returns.
type ShownCustomer struct {
	Customer    Customer   `json:"customer"`
	OpenTickets []TicketID `json:"open_tickets"`
}

func (d *Desk) getCustomer(_ *demo.Call, in GetCustomer) (ShownCustomer, error) {
	c, err := d.customer(in.ID)
	if err != nil {
		return ShownCustomer{}, err
	}
	shown := ShownCustomer{Customer: *c, OpenTickets: d.openTickets(c.ID)}
	shown.Customer.Orders = slices.Clone(c.Orders) // shown when the lock is gone, and a refund changes them
	return shown, nil
}

// TicketLine is a ticket in a list.
type TicketLine struct {
	ID         TicketID     `json:"id"`
	Tenant     Tenant       `json:"tenant"`
	CustomerID CustomerID   `json:"customer_id"`
	Subject    string       `json:"subject" jsonschema:"written by the reporter"`
	Status     TicketStatus `json:"status"`
	Priority   Priority     `json:"priority"`
	Assignee   string       `json:"assignee"`
	Tags       []string     `json:"tags"`
	Reporter   Party        `json:"reporter" jsonschema:"external or internal"`
	UpdatedAt  string       `json:"updated_at"`
}

func (t *Ticket) line() TicketLine {
	return TicketLine{t.ID, t.Tenant, t.CustomerID, t.Subject, t.Status, t.Priority, t.Assignee, t.Tags, t.Reporter.Kind,
		t.UpdatedAt.Format("2006-01-02 15:04")}
}

// ListTickets is what list_tickets takes.
type ListTickets struct {
	Tenant     Tenant       `json:"tenant" jsonschema:"the company whose tickets are listed"`
	Status     TicketStatus `json:"status,omitempty"`
	Priority   Priority     `json:"priority,omitempty"`
	Assignee   string       `json:"assignee,omitempty" jsonschema:"a member of the staff, like ana"`
	CustomerID CustomerID   `json:"customer_id,omitempty"`
	Tag        string       `json:"tag,omitempty" jsonschema:"like refund, delivery, privacy"`
	Limit      Limit        `json:"limit,omitempty" jsonschema:"how many to return, 10 unless given"`
	Offset     Offset       `json:"offset,omitempty" jsonschema:"how many to skip, for the next page"`
}

// ListedTickets is what list_tickets returns.
type ListedTickets struct {
	Tickets []TicketLine `json:"tickets"`
	Total   int          `json:"total" jsonschema:"how many match in all"`
}

func (in ListTickets) matches(t *Ticket) bool {
	return t.Tenant == in.Tenant &&
		(in.Status == "" || t.Status == in.Status) &&
		(in.Priority == "" || t.Priority == in.Priority) &&
		(in.Assignee == "" || t.Assignee == in.Assignee) &&
		(in.CustomerID == "" || t.CustomerID == in.CustomerID) &&
		(in.Tag == "" || slices.Contains(t.Tags, in.Tag))
}

func (d *Desk) listTickets(_ *demo.Call, in ListTickets) (ListedTickets, error) {
	found := d.ticketLines(in.matches)
	return ListedTickets{Tickets: page(found, in.Offset, in.Limit), Total: len(found)}, nil
}

// ticketLines lists the tickets that match, last changed first.
func (d *Desk) ticketLines(matches func(*Ticket) bool) []TicketLine {
	tickets := slices.DeleteFunc(slices.Clone(d.tickets), func(t *Ticket) bool { return !matches(t) })
	slices.SortStableFunc(tickets, func(a, b *Ticket) int { return b.UpdatedAt.Compare(a.UpdatedAt) })
	lines := []TicketLine{}
	for _, t := range tickets {
		lines = append(lines, t.line())
	}
	return lines
}

// GetTicket is what get_ticket takes.
type GetTicket struct {
	ID TicketID `json:"id" jsonschema:"like tic_2207"`
}

func (d *Desk) getTicket(_ *demo.Call, in GetTicket) (Ticket, error) {
	t, err := d.ticket(in.ID)
	if err != nil {
		return Ticket{}, err
	}
	return *t, nil
}

// ListRefunds is what list_refunds takes.
type ListRefunds struct {
	Tenant     Tenant     `json:"tenant" jsonschema:"the company that paid"`
	CustomerID CustomerID `json:"customer_id,omitempty"`
	Limit      Limit      `json:"limit,omitempty" jsonschema:"how many to return, 10 unless given"`
	Offset     Offset     `json:"offset,omitempty" jsonschema:"how many to skip, for the next page"`
}

// ListedRefunds is what list_refunds returns.
type ListedRefunds struct {
	Refunds []Refund   `json:"refunds"`
	Total   int        `json:"total" jsonschema:"how many match in all"`
	Sum     demo.Money `json:"sum" jsonschema:"of all that match"`
}

func (d *Desk) listRefunds(_ *demo.Call, in ListRefunds) (ListedRefunds, error) {
	found := []Refund{}
	var sum demo.Money
	for _, r := range slices.Backward(d.refunds) {
		if r.Tenant == in.Tenant && (in.CustomerID == "" || r.CustomerID == in.CustomerID) {
			found = append(found, r)
			sum += r.Amount
		}
	}
	return ListedRefunds{Refunds: page(found, in.Offset, in.Limit), Total: len(found), Sum: sum}, nil
}

// AddNote is what add_note takes.
type AddNote struct {
	ID   TicketID `json:"id" jsonschema:"the ticket"`
	Text Text     `json:"text" jsonschema:"what colleagues should know"`
}

func (d *Desk) addNote(c *demo.Call, in AddNote) (Note, error) {
	t, err := d.ticket(in.ID)
	if err != nil {
		return Note{}, err
	}
	note := Note{Author: "agent", At: c.Now, Text: string(in.Text)}
	t.Notes = append(t.Notes, note)
	t.UpdatedAt = c.Now
	c.Did(demo.Effect{Tenant: string(t.Tenant), Target: string(t.ID), Summary: "note added", Record: note}, t.changed()...)
	return note, nil
}

// UpdateTicket is what update_ticket takes.
type UpdateTicket struct {
	ID       TicketID     `json:"id" jsonschema:"the ticket"`
	Status   TicketStatus `json:"status,omitempty"`
	Priority Priority     `json:"priority,omitempty"`
	Assignee Line         `json:"assignee,omitempty" jsonschema:"a member of the company's staff, like ana"`
	AddTags  Tags         `json:"add_tags,omitempty" jsonschema:"lower-case words"`
}

func (d *Desk) updateTicket(c *demo.Call, in UpdateTicket) (TicketLine, error) {
	t, err := d.ticket(in.ID)
	if err != nil {
		return TicketLine{}, err
	}
	if in.Status == "" && in.Priority == "" && in.Assignee == "" && len(in.AddTags) == 0 {
		return TicketLine{}, errors.New("nothing to change: give a status, a priority, an assignee or tags")
	}
	if t.Status == "closed" && in.Status != "" && in.Status != "closed" {
		return TicketLine{}, fmt.Errorf("%s is closed and stays closed; the customer can write a new ticket", t.ID)
	}
	if staff := staffOf(t.Tenant); in.Assignee != "" && !slices.Contains(staff, string(in.Assignee)) {
		return TicketLine{}, fmt.Errorf("%s is not on the staff of %s: %s", in.Assignee, t.Tenant, strings.Join(staff, ", "))
	}
	var did []string
	if in.Status != "" {
		t.Status = in.Status
		did = append(did, "status "+string(in.Status))
	}
	if in.Priority != "" {
		t.Priority = in.Priority
		did = append(did, "priority "+string(in.Priority))
	}
	if in.Assignee != "" {
		t.Assignee = string(in.Assignee)
		did = append(did, "assignee "+string(in.Assignee))
	}
	for _, tag := range in.AddTags {
		if !slices.Contains(t.Tags, tag) {
			t.Tags = append(t.Tags, tag)
		}
		did = append(did, "tag "+tag)
	}
	t.UpdatedAt = c.Now
	c.Did(demo.Effect{Tenant: string(t.Tenant), Target: string(t.ID), Summary: strings.Join(did, ", "), Record: t.line()},
		t.changed()...)
	return t.line(), nil
}

func companyOf(tenant Tenant) *company {
	return &companies[slices.IndexFunc(companies, func(c company) bool { return c.tenant == tenant })]
}

func staffOf(tenant Tenant) []string { return companyOf(tenant).staff }
