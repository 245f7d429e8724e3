package cloud

import (
	"encoding/csv"
	"fmt"
	"strconv"
	"strings"
	"time"

	"github.com/modelcontextprotocol/go-sdk/mcp"

	"sallyport/internal/demo"
)

func (c *Cloud) addAnalysisTools() {
	demo.AddTool(c.Server, mcp.Tool{
		Name: "list_dashboards", Title: "List dashboards", Annotations: demo.Reads(),
		Description: "Lists the dashboards: saved queries over costs, load and traffic.",
	}, c.listDashboards)
	demo.AddTool(c.Server, mcp.Tool{
		Name: "get_dashboard", Title: "Show a dashboard", Annotations: demo.Reads(),
		Description: "Shows the figures of a dashboard for the last days.",
	}, c.getDashboard)
	demo.AddTool(c.Server, mcp.Tool{
		Name: "list_exports", Title: "List exports", Annotations: demo.Reads(),
		Description: "Lists the files that export_csv has written.",
	}, c.listExports)
	demo.AddTool(c.Server, mcp.Tool{
		Name: "query_metrics", Title: "Query metrics", Annotations: demo.Reads(),
		Description: "Runs a query over costs, load or traffic. Queries are billed by the data they read.",
	}, c.queryMetrics)
	demo.AddTool(c.Server, mcp.Tool{
		Name: "export_csv", Title: "Export a dashboard as CSV", Annotations: demo.Adds(),
		Description: "Writes the figures of a dashboard as a CSV file into the bucket exports-internal, and returns it.",
	}, c.exportCSV)
	demo.AddTool(c.Server, mcp.Tool{
		Name: "write_report", Title: "Write a report", Annotations: demo.Adds(),
		Description: "Publishes a report: internal ones for colleagues, public ones on the company's status site.",
	}, c.writeReport)
}

// Nothing is what a tool without arguments takes.
type Nothing struct{}

// ListedDashboards is what list_dashboards returns.
type ListedDashboards struct {
	Dashboards []Dashboard `json:"dashboards"`
}

func (c *Cloud) listDashboards(*demo.Call, Nothing) (ListedDashboards, error) {
	return ListedDashboards{Dashboards: dashboards}, nil
}

// GetDashboard is what get_dashboard takes.
type GetDashboard struct {
	ID   DashboardID `json:"id" jsonschema:"like dash_costs"`
	Days Days        `json:"days,omitempty" jsonschema:"how many days back, 7 unless given"`
}

// ShownDashboard is what get_dashboard returns.
type ShownDashboard struct {
	Dashboard Dashboard `json:"dashboard"`
	Points    []Point   `json:"points"`
}

func (c *Cloud) getDashboard(_ *demo.Call, in GetDashboard) (ShownDashboard, error) {
	d, err := dashboard(in.ID)
	if err != nil {
		return ShownDashboard{}, err
	}
	return ShownDashboard{Dashboard: d, Points: d.points(in.Days)}, nil
}

func (d Dashboard) points(days Days) []Point {
	return points(QueryMetrics{Metric: d.Metric, GroupBy: d.GroupBy, Environment: d.Environment, Days: days})
}

// ListedExports is what list_exports returns.
type ListedExports struct {
	Exports []Export `json:"exports"`
}

func (c *Cloud) listExports(*demo.Call, Nothing) (ListedExports, error) {
	return ListedExports{Exports: append([]Export{}, c.exports...)}, nil
}

// QueryMetrics is what query_metrics takes.
type QueryMetrics struct {
	Metric      Metric      `json:"metric"`
	GroupBy     Grouping    `json:"group_by"`
	Environment Environment `json:"environment,omitempty" jsonschema:"all unless given"`
	Service     string      `json:"service,omitempty" jsonschema:"all unless given"`
	Days        Days        `json:"days,omitempty" jsonschema:"how many days back, 7 unless given"`
}

// Queried is what query_metrics returns.
type Queried struct {
	Points []Point `json:"points"`
}

func (c *Cloud) queryMetrics(_ *demo.Call, in QueryMetrics) (Queried, error) {
	found := points(in)
	if len(found) == 0 {
		return Queried{}, fmt.Errorf("there is no service %s", in.Service)
	}
	return Queried{Points: found}, nil
}

// points sums a metric up by group, in the order in which the groups first appear. Loads are means, not sums.
func points(q QueryMetrics) []Point {
	found, seen := []Point{}, map[string]int{}
	counts := map[string]int{}
	for i := range services {
		s := &services[i]
		if q.Service != "" && s.name != q.Service {
			continue
		}
		for _, env := range []Environment{"production", "staging", "test"} {
			if q.Environment != "" && env != q.Environment {
				continue
			}
			for back := int(q.Days) - 1; back >= 0; back-- {
				date := demo.Epoch.AddDate(0, 0, -back).Format(time.DateOnly)
				group := map[Grouping]string{"service": s.name, "environment": string(env), "day": date}[q.GroupBy]
				at, known := seen[group]
				if !known {
					at = len(found)
					seen[group] = at
					found = append(found, Point{Group: group})
				}
				found[at].Value += s.measure(q.Metric, env, back)
				counts[group]++
			}
		}
	}
	for i := range found {
		if q.Metric == "cpu_percent" {
			found[i].Value /= float64(counts[found[i].Group])
		}
		found[i].Value = float64(int(found[i].Value*100+0.5)) / 100
	}
	return found
}

// ExportCSV is what export_csv takes.
type ExportCSV struct {
	DashboardID DashboardID `json:"dashboard_id" jsonschema:"like dash_costs"`
	Days        Days        `json:"days,omitempty" jsonschema:"how many days back, 7 unless given"`
}

// Exported is what export_csv returns.
type Exported struct {
	Export Export `json:"export"`
	CSV    string `json:"csv"`
}

func (c *Cloud) exportCSV(call *demo.Call, in ExportCSV) (Exported, error) {
	d, err := dashboard(in.DashboardID)
	if err != nil {
		return Exported{}, err
	}
	var text strings.Builder
	w := csv.NewWriter(&text)
	found := d.points(in.Days)
	rows := [][]string{{string(d.GroupBy), string(d.Metric)}}
	for _, p := range found {
		rows = append(rows, []string{p.Group, strconv.FormatFloat(p.Value, 'f', 2, 64)})
	}
	if err := w.WriteAll(rows); err != nil {
		return Exported{}, err
	}
	id := fmt.Sprintf("exp_%d", 1+len(c.exports))
	export := Export{ID: id, DashboardID: d.ID, Object: "exports-internal/" + id + ".csv", Rows: len(found), At: call.Now}
	c.exports = append(c.exports, export)
	call.Did(demo.Effect{Target: id, Summary: fmt.Sprintf("%d rows of %s", export.Rows, d.ID), Record: export}, "cloud://activity")
	return Exported{Export: export, CSV: text.String()}, nil
}

// WriteReport is what write_report takes.
type WriteReport struct {
	Title        Line          `json:"title"`
	Body         Text          `json:"body" jsonschema:"Markdown"`
	Visibility   Visibility    `json:"visibility" jsonschema:"internal: colleagues; public: everyone"`
	DashboardIDs []DashboardID `json:"dashboard_ids,omitempty" jsonschema:"dashboards to show below the text"`
}

// WrittenReport is what write_report returns.
type WrittenReport struct {
	ID         string     `json:"id"`
	Visibility Visibility `json:"visibility"`
}

func (c *Cloud) writeReport(call *demo.Call, in WriteReport) (WrittenReport, error) {
	for _, id := range in.DashboardIDs {
		if _, err := dashboard(id); err != nil {
			return WrittenReport{}, err
		}
	}
	r := Report{
		ID: fmt.Sprintf("rep_%d", 1+len(c.reports)), Title: string(in.Title), Body: string(in.Body),
		Visibility: in.Visibility, DashboardIDs: append([]DashboardID{}, in.DashboardIDs...), At: call.Now,
	}
	c.reports = append(c.reports, r)
	call.Did(demo.Effect{Target: r.ID, Summary: fmt.Sprintf("%s report: %s", r.Visibility, r.Title), Record: r},
		"cloud://reports", "cloud://activity")
	return WrittenReport{ID: r.ID, Visibility: r.Visibility}, nil
}
