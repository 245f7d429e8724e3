package desk

import (
	"reflect"

	"github.com/google/jsonschema-go/jsonschema"

	"sallyport/internal/demo"
)

// The types of arguments and fields. Each has its JSON Schema in schemas.
type (
	Tenant         string
	CustomerID     string
	TicketID       string
	OrderID        string
	RefundID       string
	Email          string
	Plan           string
	CustomerStatus string
	TicketStatus   string
	Priority       string
	Channel        string
	Party          string
	Currency       string
	Reason         string
	Format         string
	Destination    string
	Line           string // one line of text
	Text           string // text of any length that a person would read
	Limit          int    // how many records to return
	Offset         int    // how many records to skip
	Tags           []string
	Recipients     []Recipient
	Addresses      []Email
	Attachments    []Attachment
)

// Recipient is whom an e-mail is addressed to.
type Recipient struct {
	Email Email  `json:"email"`
	Name  string `json:"name,omitempty"`
}

// Attachment is a file sent with an e-mail.
type Attachment struct {
	Name string `json:"name"`
	Text string `json:"text"`
}

// maxRefund is the most that fits into one refund, in units of either currency: beyond it, people use the bank.
const maxRefund = 5000

func schemas() map[reflect.Type]*jsonschema.Schema {
	enum := func(values ...any) *jsonschema.Schema { return &jsonschema.Schema{Type: "string", Enum: values} }
	id := func(prefix string) *jsonschema.Schema {
		return &jsonschema.Schema{Type: "string", Pattern: "^" + prefix + "_[0-9]{4,9}$"}
	}
	text := func(most int) *jsonschema.Schema {
		return &jsonschema.Schema{Type: "string", MinLength: jsonschema.Ptr(1), MaxLength: &most}
	}
	list := func(least, most int, items *jsonschema.Schema) *jsonschema.Schema {
		return &jsonschema.Schema{Type: "array", MinItems: &least, MaxItems: &most, Items: items}
	}
	record := func(properties map[string]*jsonschema.Schema, required ...string) *jsonschema.Schema {
		nothingElse := &jsonschema.Schema{Not: &jsonschema.Schema{}} // what jsonschema writes as false
		return &jsonschema.Schema{Type: "object", Properties: properties, Required: required, AdditionalProperties: nothingElse}
	}
	email := &jsonschema.Schema{Type: "string", Format: "email", Pattern: `^[^@\s,;<>"]+@[^@\s,;<>"]+$`, MaxLength: jsonschema.Ptr(254)}

	return map[reflect.Type]*jsonschema.Schema{
		reflect.TypeFor[Tenant]():         enum("acme", "globex"),
		reflect.TypeFor[CustomerID]():     id("cus"),
		reflect.TypeFor[TicketID]():       id("tic"),
		reflect.TypeFor[OrderID]():        id("ord"),
		reflect.TypeFor[RefundID]():       id("ref"),
		reflect.TypeFor[Email]():          email,
		reflect.TypeFor[Plan]():           enum("basic", "plus", "premium"),
		reflect.TypeFor[CustomerStatus](): enum("active", "suspended"),
		reflect.TypeFor[TicketStatus]():   enum("open", "pending", "solved", "closed"),
		reflect.TypeFor[Priority]():       enum("low", "normal", "high", "urgent"),
		reflect.TypeFor[Channel]():        enum("email", "web", "chat", "phone"),
		reflect.TypeFor[Party]():          enum("external", "internal"),
		reflect.TypeFor[Currency]():       enum("EUR", "USD"),
		reflect.TypeFor[Reason]():         enum("damaged", "not_delivered", "wrong_item", "returned", "charged_twice", "goodwill"),
		reflect.TypeFor[Format]():         enum("csv", "json"),
		reflect.TypeFor[Destination]():    {Type: "string", Format: "uri", Pattern: "^[a-z][a-z0-9+.-]*:", MaxLength: jsonschema.Ptr(500)},
		reflect.TypeFor[Line]():           text(200),
		reflect.TypeFor[Text]():           text(10_000),
		reflect.TypeFor[Limit](): {Type: "integer", Minimum: jsonschema.Ptr(1.0), Maximum: jsonschema.Ptr(50.0),
			Default: []byte("10")},
		reflect.TypeFor[Offset]():     {Type: "integer", Minimum: jsonschema.Ptr(0.0), Default: []byte("0")},
		reflect.TypeFor[demo.Money](): {Type: "number"},
		reflect.TypeFor[Amount]():     demo.MoneySchema(maxRefund),
		reflect.TypeFor[Tags]():       list(1, 10, &jsonschema.Schema{Type: "string", Pattern: "^[a-z0-9-]{1,30}$"}),
		reflect.TypeFor[Recipients](): list(1, 10, record(map[string]*jsonschema.Schema{"email": email, "name": text(100)}, "email")),
		reflect.TypeFor[Addresses]():  list(0, 10, email),
		reflect.TypeFor[Attachments](): list(0, 5, record(map[string]*jsonschema.Schema{"name": text(100), "text": text(100_000)},
			"name", "text")),
	}
}

// Amount is money that a tool takes, always more than nothing.
type Amount struct{ demo.Money }
