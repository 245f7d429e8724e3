package cloud

import (
	"fmt"
	"slices"
	"strings"

	"github.com/modelcontextprotocol/go-sdk/jsonrpc"
	"github.com/modelcontextprotocol/go-sdk/mcp"

	"sallyport/internal/demo"
)

func (c *Cloud) addResources() {
	c.AddResource(mcp.Resource{
		URI: "cloud://inventory", Name: "inventory", Title: "All machines", Description: "Every machine of the account.",
	}, func() any { return c.instances })
	c.AddResource(mcp.Resource{
		URI: "cloud://reports", Name: "reports", Title: "Reports", Description: "Reports that were written, internal ones too.",
	}, func() any { return append([]Report{}, c.reports...) })
	c.AddResource(mcp.Resource{
		URI: "cloud://members", Name: "members", Title: "Members", Description: "Who has which role in the account.",
	}, func() any { return c.members })
	c.AddResource(mcp.Resource{
		URI: "cloud://activity", Name: "activity", Title: "What was done",
		Description: "Everything that was changed since the account was opened.",
	}, func() any { return c.EffectsOf("") })
	c.AddTemplate(mcp.ResourceTemplate{
		URITemplate: "cloud://instances/{id}", Name: "instance", Title: "A machine", Description: "One machine. Can be subscribed to.",
	}, func(uri string) (any, bool) {
		i, err := c.instance(InstanceID(strings.TrimPrefix(uri, "cloud://instances/")))
		return i, err == nil
	})
	c.AddTemplate(mcp.ResourceTemplate{
		URITemplate: "cloud://dashboards/{id}", Name: "dashboard", Title: "A dashboard", Description: "The last seven days of a dashboard.",
	}, func(uri string) (any, bool) {
		d, err := dashboard(DashboardID(strings.TrimPrefix(uri, "cloud://dashboards/")))
		return ShownDashboard{Dashboard: d, Points: d.points(7)}, err == nil
	})
}

// readable reports whether uri names a resource.
func (c *Cloud) readable(uri string) bool {
	kind, name, _ := strings.Cut(strings.TrimPrefix(uri, "cloud://"), "/")
	var err error
	switch kind {
	case "inventory", "reports", "members", "activity":
		return name == ""
	case "instances":
		_, err = c.instance(InstanceID(name))
	case "dashboards":
		_, err = dashboard(DashboardID(name))
	default:
		return false
	}
	return err == nil
}

var environments = []string{"production", "staging", "test"}

func (c *Cloud) addPrompts() {
	c.AddPrompt(mcp.Prompt{
		Name: "cost_review", Title: "Review the costs", Description: "Where the money went, and what could be switched off.",
		Arguments: []*mcp.PromptArgument{{Name: "environment", Title: "Environment",
			Description: strings.Join(environments, ", "), Required: true}},
	}, func(args map[string]string) (*mcp.GetPromptResult, error) {
		env := args["environment"]
		if !slices.Contains(environments, env) {
			return nil, &jsonrpc.Error{Code: jsonrpc.CodeInvalidParams,
				Message: fmt.Sprintf("there is no environment %s, only %s", env, strings.Join(environments, ", "))}
		}
		figures := points(QueryMetrics{Metric: "cost_eur", GroupBy: "service", Environment: Environment(env), Days: 30})
		shown, err := demo.JSONContents("cloud://dashboards/dash_costs", figures)
		if err != nil {
			return nil, err
		}
		return &mcp.GetPromptResult{Messages: []*mcp.PromptMessage{
			{Role: "user", Content: &mcp.TextContent{Text: "Below are the costs of " + env + " by service for thirty days, in EUR. " +
				"Say where the money goes, what is out of line, and what you would look at first. Change nothing."}},
			{Role: "user", Content: &mcp.EmbeddedResource{Resource: shown}},
		}}, nil
	})
}

// complete proposes what begins with what was typed, for prompts and resource templates.
func (c *Cloud) complete(p *mcp.CompleteParams) []string {
	var candidates []string
	switch what := p.Ref.Type + " " + p.Ref.Name + p.Ref.URI + " " + p.Argument.Name; what {
	case "ref/prompt cost_review environment":
		candidates = environments
	case "ref/resource cloud://instances/{id} id":
		for _, i := range c.instances {
			candidates = append(candidates, string(i.ID))
		}
	case "ref/resource cloud://dashboards/{id} id":
		for _, d := range dashboards {
			candidates = append(candidates, string(d.ID))
		}
	}
	return demo.Completing(p.Argument.Value, candidates)
}
