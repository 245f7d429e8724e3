// Package cloud is a demo MCP server: the machines, costs, buckets and reports of a small company's cloud account, for
// agents that analyse or run infrastructure. Everything lives in memory and starts the same each time; no machine is
// ever started and no command ever run, they are recorded as effects.
package cloud

import (
	"context"
	"fmt"
	"io"
	"reflect"
	"slices"
	"time"

	"github.com/google/jsonschema-go/jsonschema"
	"github.com/modelcontextprotocol/go-sdk/mcp"

	"sallyport/internal/demo"
)

// Cloud is one cloud account. Sessions that share it share its records.
type Cloud struct {
	*demo.Server

	// What follows is guarded by the lock that demo.Server holds while a handler runs.
	instances []*Instance
	sandboxes []Sandbox
	exports   []Export
	reports   []Report
	members   []Member
}

// Serve serves an account of its own on in and out, see [demo.Server.Serve].
func Serve(ctx context.Context, in io.Reader, out io.Writer) error {
	return New().Serve(ctx, in, out)
}

// New opens an account with its seed data.
func New() *Cloud {
	c := &Cloud{instances: seedInstances(), members: slices.Clone(members)}
	c.Server = demo.New(
		mcp.Implementation{Name: "cloud", Title: "Cloud account", Version: "1.0.0"},
		"The cloud account of acme: machines in test, staging and production, their costs, dashboards, exports and reports. "+
			"Start with list_instances or list_dashboards.",
		schemas(), c.readable, c.complete)
	c.addInventoryTools()
	c.addAnalysisTools()
	c.addResources()
	c.addPrompts()
	return c
}

// The types of arguments and fields. Each has its JSON Schema in schemas.
type (
	InstanceID   string
	Environment  string
	InstanceType string
	State        string
	Region       string
	Size         string
	DashboardID  string
	Metric       string
	Grouping     string
	Visibility   string
	Role         string
	Account      string // an e-mail address of a person or a service
	Name         string // of a machine or sandbox
	Line         string // one line of text
	Text         string // text of any length that a person would read
	Days         int
	Hours        int
	Seconds      int
	Count        int
	Limit        int // how many records to return
	Offset       int // how many records to skip
	Words        []string
	Labels       map[string]string
)

func schemas() map[reflect.Type]*jsonschema.Schema {
	enum := func(values ...any) *jsonschema.Schema { return &jsonschema.Schema{Type: "string", Enum: values} }
	match := func(pattern string) *jsonschema.Schema { return &jsonschema.Schema{Type: "string", Pattern: pattern} }
	text := func(most int) *jsonschema.Schema {
		return &jsonschema.Schema{Type: "string", MinLength: jsonschema.Ptr(1), MaxLength: &most}
	}
	whole := func(least, most float64, otherwise string) *jsonschema.Schema {
		return &jsonschema.Schema{Type: "integer", Minimum: &least, Maximum: &most, Default: []byte(otherwise)}
	}
	return map[reflect.Type]*jsonschema.Schema{
		reflect.TypeFor[InstanceID]():   match("^ins_[0-9]{4,9}$"),
		reflect.TypeFor[Environment]():  enum("test", "staging", "production"),
		reflect.TypeFor[InstanceType](): enum("c2.small", "c2.medium", "c2.large", "m4.large", "g1.large"),
		reflect.TypeFor[State]():        enum("running", "stopped", "terminated"),
		reflect.TypeFor[Region]():       enum("eu-central", "eu-west", "us-east"),
		reflect.TypeFor[Size]():         enum("small", "medium"),
		reflect.TypeFor[DashboardID]():  match("^dash_[a-z_]{1,30}$"),
		reflect.TypeFor[Metric]():       enum("cost_eur", "cpu_percent", "requests_k"),
		reflect.TypeFor[Grouping]():     enum("service", "environment", "day"),
		reflect.TypeFor[Visibility]():   enum("internal", "public"),
		reflect.TypeFor[Role]():         enum("none", "viewer", "editor", "admin"),
		reflect.TypeFor[Account]():      {Type: "string", Format: "email", Pattern: `^[^@\s,;<>"]+@[^@\s,;<>"]+$`, MaxLength: jsonschema.Ptr(254)},
		reflect.TypeFor[Name]():         match("^[a-z][a-z0-9-]{0,39}$"),
		reflect.TypeFor[Line]():         text(200),
		reflect.TypeFor[Text]():         text(20_000),
		reflect.TypeFor[Days]():         whole(1, 90, "7"),
		reflect.TypeFor[Hours]():        {Type: "integer", Minimum: jsonschema.Ptr(1.0), Maximum: jsonschema.Ptr(168.0)},
		reflect.TypeFor[Seconds]():      whole(1, 600, "60"),
		reflect.TypeFor[Count]():        whole(1, 20, "1"),
		reflect.TypeFor[Limit]():        whole(1, 50, "20"),
		reflect.TypeFor[Offset]():       {Type: "integer", Minimum: jsonschema.Ptr(0.0), Default: []byte("0")},
		reflect.TypeFor[demo.Money]():   {Type: "number"},
		reflect.TypeFor[Words]():        {Type: "array", MinItems: jsonschema.Ptr(1), MaxItems: jsonschema.Ptr(30), Items: text(1000)},
		reflect.TypeFor[Labels]():       {Type: "object", MaxProperties: jsonschema.Ptr(20), AdditionalProperties: text(100)},
	}
}

// Instance is a machine.
type Instance struct {
	ID           InstanceID   `json:"id"`
	Name         string       `json:"name"`
	Environment  Environment  `json:"environment"`
	Service      string       `json:"service"`
	Team         string       `json:"team"`
	Type         InstanceType `json:"type"`
	State        State        `json:"state"`
	Region       Region       `json:"region"`
	CPUPercent   int          `json:"cpu_percent" jsonschema:"mean of the last day"`
	PricePerHour demo.Money   `json:"price_per_hour" jsonschema:"EUR"`
	Protected    bool         `json:"protected" jsonschema:"is only terminated with force"`
	PublicIP     bool         `json:"public_ip"`
	Labels       Labels       `json:"labels,omitempty"`
	Note         string       `json:"note,omitempty"`
	LaunchedAt   time.Time    `json:"launched_at"`
}

// Sandbox is a throw-away environment.
type Sandbox struct {
	ID        string    `json:"id"`
	Name      Name      `json:"name"`
	Size      Size      `json:"size"`
	ExpiresAt time.Time `json:"expires_at"`
}

// Bucket is a place for files.
type Bucket struct {
	Name   string `json:"name"`
	Region Region `json:"region"`
	SizeGB int    `json:"size_gb"`
	Public bool   `json:"public" jsonschema:"readable by anyone on the internet"`
	Note   string `json:"note,omitempty"`
}

// Dashboard is a saved query.
type Dashboard struct {
	ID          DashboardID `json:"id"`
	Title       string      `json:"title"`
	Metric      Metric      `json:"metric"`
	GroupBy     Grouping    `json:"group_by"`
	Environment Environment `json:"environment,omitempty" jsonschema:"all, unless given"`
}

// Point is one figure of a query.
type Point struct {
	Group string  `json:"group"`
	Value float64 `json:"value"`
}

// Export is a file that export_csv has written.
type Export struct {
	ID          string      `json:"id"`
	DashboardID DashboardID `json:"dashboard_id"`
	Object      string      `json:"object" jsonschema:"bucket and name of the file"`
	Rows        int         `json:"rows"`
	At          time.Time   `json:"at"`
}

// Report is a text with figures for people.
type Report struct {
	ID           string        `json:"id"`
	Title        string        `json:"title"`
	Body         string        `json:"body"`
	Visibility   Visibility    `json:"visibility"`
	DashboardIDs []DashboardID `json:"dashboard_ids"`
	At           time.Time     `json:"at"`
}

// Member is someone's role in the account.
type Member struct {
	Account  Account `json:"account"`
	Role     Role    `json:"role"`
	Resource string  `json:"resource" jsonschema:"a service, or * for everything"`
}

func (c *Cloud) instance(id InstanceID) (*Instance, error) {
	for _, i := range c.instances {
		if i.ID == id {
			return i, nil
		}
	}
	return nil, fmt.Errorf("there is no instance %s; list_instances lists them", id)
}

func dashboard(id DashboardID) (Dashboard, error) {
	for _, d := range dashboards {
		if d.ID == id {
			return d, nil
		}
	}
	return Dashboard{}, fmt.Errorf("there is no dashboard %s; list_dashboards lists them", id)
}
