package desk

import (
	"fmt"
	"slices"
	"strings"

	"github.com/google/jsonschema-go/jsonschema"
	"github.com/modelcontextprotocol/go-sdk/mcp"

	"sallyport/internal/demo"
)

// SendEmail is what send_email takes.
type SendEmail struct {
	Tenant      Tenant      `json:"tenant" jsonschema:"the company whose support address it is sent from"`
	To          Recipients  `json:"to"`
	Cc          Addresses   `json:"cc,omitempty" jsonschema:"copies that every recipient sees"`
	Bcc         Addresses   `json:"bcc,omitempty" jsonschema:"copies that no other recipient sees"`
	Subject     Line        `json:"subject"`
	Body        Text        `json:"body" jsonschema:"plain text"`
	Attachments Attachments `json:"attachments,omitempty" jsonschema:"text files"`
	TicketID    TicketID    `json:"ticket_id,omitempty" jsonschema:"the ticket that the mail answers"`
}

// SentEmail is what send_email returns.
type SentEmail struct {
	ID         string `json:"id"`
	From       Email  `json:"from"`
	Recipients int    `json:"recipients" jsonschema:"how many addresses it went to, copies included"`
}

func (d *Desk) sendEmail(c *demo.Call, in SendEmail) (SentEmail, error) {
	var ticket *Ticket
	if in.TicketID != "" {
		t, err := d.ticket(in.TicketID)
		if err != nil {
			return SentEmail{}, err
		}
		if t.Tenant != in.Tenant {
			return SentEmail{}, fmt.Errorf("%s is not a ticket of %s", t.ID, in.Tenant)
		}
		ticket = t
	}
	mail := Mail{
		ID: fmt.Sprintf("mail_%d", 1+len(d.mails)), Tenant: in.Tenant, From: Email(companyOf(in.Tenant).mailbox),
		To: in.To, Cc: in.Cc, Bcc: in.Bcc, Subject: string(in.Subject), Body: string(in.Body),
		Attachments: in.Attachments, TicketID: in.TicketID, At: c.Now,
	}
	d.mails = append(d.mails, mail)
	changed := []string{"desk://outbox/" + string(in.Tenant), "desk://activity/" + string(in.Tenant)}
	if ticket != nil {
		ticket.say("internal", "agent", mail.Body, c.Now)
		changed = append(changed, ticket.uri(), "desk://queue/"+string(in.Tenant))
	}
	c.Did(demo.Effect{
		Tenant: string(in.Tenant), Target: mail.ID, Record: mail,
		Summary: fmt.Sprintf("mail to %s: %s", mail.To[0].Email, mail.Subject),
	}, changed...)
	return SentEmail{ID: mail.ID, From: mail.From, Recipients: len(mail.To) + len(mail.Cc) + len(mail.Bcc)}, nil
}

// IssueRefund is what issue_refund takes.
type IssueRefund struct {
	CustomerID CustomerID `json:"customer_id"`
	OrderID    OrderID    `json:"order_id" jsonschema:"get_customer lists a customer's orders"`
	Amount     Amount     `json:"amount" jsonschema:"how much to pay back, at most two decimals"`
	Currency   Currency   `json:"currency" jsonschema:"the currency of the order"`
	Reason     Reason     `json:"reason"`
	TicketID   TicketID   `json:"ticket_id,omitempty" jsonschema:"the ticket in which the customer asked for it"`
}

func (d *Desk) issueRefund(c *demo.Call, in IssueRefund) (Refund, error) {
	customer, err := d.customer(in.CustomerID)
	if err != nil {
		return Refund{}, err
	}
	order, err := customer.order(in.OrderID)
	if err != nil {
		return Refund{}, err
	}
	left := order.Amount - order.Refunded
	switch {
	case customer.Status != "active":
		return Refund{}, fmt.Errorf("%s is %s: no refunds until finance has looked at the account", customer.ID, customer.Status)
	case in.Currency != order.Currency:
		return Refund{}, fmt.Errorf("%s was paid in %s, not in %s", order.ID, order.Currency, in.Currency)
	case in.Amount.Money > left:
		return Refund{}, fmt.Errorf("%s %s is more than what is left of %s: %s of %s", in.Amount, in.Currency, order.ID, left, order.Amount)
	}
	changed := []string{"desk://customers/" + string(customer.ID), "desk://activity/" + string(customer.Tenant)}
	if in.TicketID != "" {
		ticket, err := d.ticket(in.TicketID)
		if err != nil {
			return Refund{}, err
		}
		if ticket.CustomerID != customer.ID {
			return Refund{}, fmt.Errorf("%s is a ticket of %s, not of %s", ticket.ID, ticket.CustomerID, customer.ID)
		}
		ticket.UpdatedAt = c.Now
		ticket.Notes = append(ticket.Notes, Note{Author: "desk", At: c.Now,
			Text: fmt.Sprintf("Refunded %s %s of %s.", in.Amount, in.Currency, order.ID)})
		changed = append(changed, ticket.uri(), "desk://queue/"+string(ticket.Tenant))
	}
	order.Refunded += in.Amount.Money
	refund := Refund{
		ID: RefundID(fmt.Sprintf("ref_%d", companyOf(customer.Tenant).refunds+len(d.refunds))), Tenant: customer.Tenant,
		CustomerID: customer.ID, OrderID: order.ID, TicketID: in.TicketID, Amount: in.Amount.Money, Currency: in.Currency,
		Reason: in.Reason, At: c.Now,
	}
	d.refunds = append(d.refunds, refund)
	c.Did(demo.Effect{
		Tenant: string(refund.Tenant), Target: string(refund.ID), Record: refund,
		Summary: fmt.Sprintf("%s %s to %s for %s", refund.Amount, refund.Currency, refund.CustomerID, refund.OrderID),
	}, changed...)
	return refund, nil
}

// DeleteCustomer is what delete_customer takes.
type DeleteCustomer struct {
	ID CustomerID `json:"id" jsonschema:"the customer who asked to be deleted"`
}

// DeletedCustomer is what delete_customer returns.
type DeletedCustomer struct {
	ID      CustomerID `json:"id"`
	Deleted bool       `json:"deleted"`
}

func (d *Desk) deleteCustomer(c *demo.Call, in DeleteCustomer) (DeletedCustomer, error) {
	customer, err := d.customer(in.ID)
	if err != nil {
		return DeletedCustomer{}, err
	}
	if err := d.confirmDeletion(c, customer); err != nil {
		return DeletedCustomer{}, err
	}
	d.customers = slices.DeleteFunc(d.customers, func(c *Customer) bool { return c == customer })
	c.Did(demo.Effect{Tenant: string(customer.Tenant), Target: string(customer.ID), Summary: "customer deleted", Record: *customer},
		"desk://customers/"+string(customer.ID), "desk://activity/"+string(customer.Tenant))
	return DeletedCustomer{ID: customer.ID, Deleted: true}, nil
}

// confirmDeletion has a person type the customer's e-mail address: a plain yes is clicked too fast. It returns nil once
// the right one was typed.
func (d *Desk) confirmDeletion(c *demo.Call, customer *Customer) error {
	answer, asked := c.Answer("confirm")
	if !asked {
		if !c.CanAsk() {
			return fmt.Errorf("%s was not deleted: a person must confirm it, and this client can't ask one (elicitation)", customer.ID)
		}
		return &demo.Question{Key: "confirm", Form: &mcp.ElicitParams{
			Mode: "form",
			Message: fmt.Sprintf("Delete %s (%s, %s) for good? Type the customer's e-mail address to confirm.",
				customer.Name, customer.ID, customer.City),
			RequestedSchema: &jsonschema.Schema{
				Type:       "object",
				Properties: map[string]*jsonschema.Schema{"email": {Type: "string", Title: "E-mail address of the customer"}},
				Required:   []string{"email"},
			},
		}}
	}
	typed, _ := answer.Content["email"].(string)
	if answer.Action != "accept" || !strings.EqualFold(strings.TrimSpace(typed), string(customer.Email)) {
		return fmt.Errorf("%s was not deleted: it was not confirmed with the customer's e-mail address", customer.ID)
	}
	return nil
}

// ExportCustomers is what export_customers takes.
type ExportCustomers struct {
	Tenant      Tenant      `json:"tenant" jsonschema:"the company whose customers are exported"`
	Format      Format      `json:"format"`
	Destination Destination `json:"destination" jsonschema:"https://…, mailto:… or reports:NAME"`
}

func (d *Desk) exportCustomers(c *demo.Call, in ExportCustomers) (Export, error) {
	scheme, _, _ := strings.Cut(string(in.Destination), ":")
	if scheme != "https" && scheme != "mailto" && scheme != "reports" {
		return Export{}, fmt.Errorf("can't export to an address that begins with %q, only with https, mailto or reports", scheme)
	}
	export := Export{Tenant: in.Tenant, Destination: string(in.Destination), Format: in.Format}
	for _, customer := range d.customers {
		if customer.Tenant == in.Tenant {
			export.Rows++
		}
	}
	c.Did(demo.Effect{
		Tenant: string(in.Tenant), Target: export.Destination, Record: export,
		Summary: fmt.Sprintf("%d customers of %s exported to %s", export.Rows, in.Tenant, export.Destination),
	}, "desk://activity/"+string(in.Tenant))
	return export, nil
}
