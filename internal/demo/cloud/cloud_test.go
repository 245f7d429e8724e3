package cloud

import (
	"context"
	"encoding/json"
	"io"
	"slices"
	"strings"
	"testing"

	"github.com/modelcontextprotocol/go-sdk/mcp"
	"go.uber.org/goleak"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

var eras = []string{"2025-11-25", "2026-07-28"}

// connect speaks to c over pipes, as the gateway does.
func connect(t *testing.T, c *Cloud, era string, opts *mcp.ClientOptions) *mcp.ClientSession {
	t.Helper()
	toServer, fromClient := io.Pipe()
	toClient, fromServer := io.Pipe()
	served := make(chan error, 1)
	go func() { served <- c.Serve(context.Background(), toServer, fromServer) }()
	session, err := mcp.NewClient(&mcp.Implementation{Name: "test", Version: "1"}, opts).
		Connect(t.Context(), &mcp.IOTransport{Reader: toClient, Writer: fromClient}, &mcp.ClientSessionOptions{ProtocolVersion: era})
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

func callTool(t *testing.T, s *mcp.ClientSession, tool string, in args) (structured []byte, refusal string) {
	t.Helper()
	res, err := s.CallTool(t.Context(), &mcp.CallToolParams{Name: tool, Arguments: in})
	if err != nil {
		t.Fatalf("%s: %v", tool, err)
	}
	if res.IsError {
		return nil, res.Content[0].(*mcp.TextContent).Text
	}
	structured, err = json.Marshal(res.StructuredContent)
	if err != nil {
		t.Fatal(err)
	}
	return structured, ""
}

// call expects success and decodes what was returned.
func call[Out any](t *testing.T, s *mcp.ClientSession, tool string, in args) (out Out) {
	t.Helper()
	structured, refusal := callTool(t, s, tool, in)
	if refusal != "" {
		t.Fatalf("%s: %s", tool, refusal)
	}
	if err := json.Unmarshal(structured, &out); err != nil {
		t.Fatal(err)
	}
	return out
}

func read[Out any](t *testing.T, s *mcp.ClientSession, uri string) (out Out) {
	t.Helper()
	res, err := s.ReadResource(t.Context(), &mcp.ReadResourceParams{URI: uri})
	if err != nil {
		t.Fatalf("%s: %v", uri, err)
	}
	if err := json.Unmarshal([]byte(res.Contents[0].Text), &out); err != nil {
		t.Fatal(err)
	}
	return out
}

func TestSeed(t *testing.T) {
	first, _ := json.Marshal(New().instances)
	second, _ := json.Marshal(New().instances)
	if string(first) != string(second) {
		t.Error("two accounts begin differently")
	}
}

func TestWhatIsShown(t *testing.T) {
	for _, era := range eras {
		t.Run(era, func(t *testing.T) {
			s := connect(t, New(), era, nil)
			readOnly := map[string]bool{
				"list_instances": true, "get_instance": true, "list_buckets": true, "list_dashboards": true, "get_dashboard": true,
				"list_exports": true, "query_metrics": true, "export_csv": false, "write_report": false, "provision_sandbox": false,
				"launch_instance": false, "terminate_instance": false, "run_command": false, "set_iam_role": false,
			}
			for tool, err := range s.Tools(t.Context(), nil) {
				if err != nil {
					t.Fatal(err)
				}
				if want, known := readOnly[tool.Name]; !known || tool.Annotations.ReadOnlyHint != want {
					t.Errorf("%s, read only: %v", tool.Name, tool.Annotations.ReadOnlyHint)
				}
				delete(readOnly, tool.Name)
				if raw, _ := json.Marshal([]any{tool.InputSchema, tool.OutputSchema}); strings.Contains(string(raw), `"null"`) {
					t.Errorf("%s takes or gives null: %s", tool.Name, raw)
				}
				if tool.Title == "" || tool.Description == "" || tool.OutputSchema == nil {
					t.Errorf("%s is not described", tool.Name)
				}
			}
			if len(readOnly) > 0 {
				t.Errorf("not listed: %v", readOnly)
			}
		})
	}
}

func TestInventory(t *testing.T) {
	c := New()
	s := connect(t, c, eras[1], nil)

	all := call[ListedInstances](t, s, "list_instances", args{"limit": 50})
	if all.Total != len(c.instances) || len(all.Instances) != all.Total || all.PricePerHour <= 0 {
		t.Errorf("listed %d of %d", len(all.Instances), all.Total)
	}
	idle := call[ListedInstances](t, s, "list_instances", args{"environment": "test", "state": "running", "max_cpu_percent": 5})
	if idle.Total == 0 || idle.Total >= 10 {
		t.Errorf("%d machines idle", idle.Total)
	}
	for _, i := range idle.Instances {
		if i.Environment != "test" || i.State != "running" || i.CPUPercent > 5 {
			t.Errorf("idle: %+v", i)
		}
	}
	if last := call[ListedInstances](t, s, "list_instances", args{"service": "shop", "offset": 7}); last.Total != 8 || len(last.Instances) != 1 {
		t.Errorf("last page of shop: %+v", last)
	}
	if i := call[Instance](t, s, "get_instance", args{"id": "ins_4001"}); i.Name != "shop-production-1" || !i.Protected {
		t.Errorf("got %+v", i)
	}
	if b := call[ListedBuckets](t, s, "list_buckets", args{"public_only": true}); len(b.Buckets) != 3 {
		t.Errorf("public buckets: %+v", b)
	}
	if b := call[ListedBuckets](t, s, "list_buckets", nil); len(b.Buckets) != len(buckets) {
		t.Errorf("buckets: %+v", b)
	}
	if len(c.Effects()) > 0 {
		t.Errorf("reading had effects: %+v", c.Effects())
	}
}

func TestLaunchAndTerminate(t *testing.T) {
	c := New()
	s := connect(t, c, eras[0], nil)
	launched := call[Launched](t, s, "launch_instance", args{"name": "load-test", "environment": "test", "type": "c2.small", "count": 2,
		"network": args{"public_ip": true, "ports": []int{443}}, "labels": args{"owner": "ivo"}})
	if len(launched.Instances) != 2 || launched.PricePerHour != 10 {
		t.Errorf("launched %+v", launched)
	}
	i := call[Instance](t, s, "get_instance", args{"id": launched.Instances[1]})
	if i.Name != "load-test-2" || !i.PublicIP || i.Labels["owner"] != "ivo" || i.Region != "eu-central" || i.Protected {
		t.Errorf("it is %+v", i)
	}
	if gone := call[Instance](t, s, "terminate_instance", args{"id": i.ID}); gone.State != "terminated" {
		t.Errorf("terminated %+v", gone)
	}
	if _, says := callTool(t, s, "terminate_instance", args{"id": i.ID}); !strings.Contains(says, "terminated already") {
		t.Errorf("again: %q", says)
	}
	if _, says := callTool(t, s, "terminate_instance", args{"id": "ins_4001"}); !strings.Contains(says, "protected") {
		t.Errorf("a protected machine: %q", says)
	}
	call[Instance](t, s, "terminate_instance", args{"id": "ins_4001", "force": true})
	if got := read[Instance](t, s, "cloud://instances/ins_4001"); got.State != "terminated" {
		t.Errorf("forced: %+v", got)
	}
	if got := len(c.Effects()); got != 4 {
		t.Errorf("%d effects", got)
	}
}

func TestActing(t *testing.T) {
	c := New()
	s := connect(t, c, eras[1], nil)
	if box := call[Sandbox](t, s, "provision_sandbox", args{"name": "try-out", "size": "small", "ttl_hours": 24}); box.ID != "box_1" {
		t.Errorf("sandbox %+v", box)
	}
	for program, want := range map[string]string{"hostname": "shop-production-1\n", "uptime": "load average", "df": "/dev/vda1", "rm": ""} {
		if ran := call[Ran](t, s, "run_command", args{"instance_id": "ins_4001", "command": []string{program, "-rf"}}); !strings.Contains(ran.Output, want) {
			t.Errorf("%s printed %q", program, ran.Output)
		}
	}
	call[Member](t, s, "set_iam_role", args{"account": "contractor-7@partner.example", "role": "admin", "resource": "*"})
	call[Member](t, s, "set_iam_role", args{"account": "dana@acme.example", "role": "none", "resource": "warehouse"})
	members := read[[]Member](t, s, "cloud://members")
	if !slices.Contains(members, Member{"contractor-7@partner.example", "admin", "*"}) ||
		slices.ContainsFunc(members, func(m Member) bool { return m.Account == "dana@acme.example" }) {
		t.Errorf("members %+v", members)
	}
	if activity := read[[]any](t, s, "cloud://activity"); len(activity) != 7 || len(c.Effects()) != 7 {
		t.Errorf("activity %+v", activity)
	}
}

func TestAnalysis(t *testing.T) {
	c := New()
	s := connect(t, c, eras[1], nil)
	if d := call[ListedDashboards](t, s, "list_dashboards", nil); len(d.Dashboards) != 6 {
		t.Errorf("dashboards %+v", d)
	}
	costs := call[ShownDashboard](t, s, "get_dashboard", args{"id": "dash_costs", "days": 30})
	var sum float64
	for _, p := range costs.Points {
		sum += p.Value
	}
	byDay := call[Queried](t, s, "query_metrics", args{"metric": "cost_eur", "group_by": "day", "days": 30})
	var again float64
	for _, p := range byDay.Points {
		again += p.Value
	}
	if len(costs.Points) != len(services) || len(byDay.Points) != 30 || byDay.Points[29].Group != "2026-11-20" || int(sum) != int(again) || sum < 10_000 {
		t.Errorf("%d services cost %f, %d days cost %f", len(costs.Points), sum, len(byDay.Points), again)
	}
	one := call[Queried](t, s, "query_metrics", args{"metric": "cpu_percent", "group_by": "environment", "service": "image-resize", "environment": "production"})
	if len(one.Points) != 1 || one.Points[0].Value != 94 {
		t.Errorf("image-resize: %+v", one)
	}

	export := call[Exported](t, s, "export_csv", args{"dashboard_id": "dash_costs_env", "days": 7})
	if !strings.HasPrefix(export.CSV, "environment,cost_eur\nproduction,") || export.Export.Rows != 3 || export.Export.Object != "exports-internal/exp_1.csv" {
		t.Errorf("exported %+v", export)
	}
	if listed := call[ListedExports](t, s, "list_exports", nil); len(listed.Exports) != 1 {
		t.Errorf("exports %+v", listed)
	}
	report := call[WrittenReport](t, s, "write_report", args{"title": "November", "body": "# Costs", "visibility": "internal", "dashboard_ids": []string{"dash_costs"}})
	if reports := read[[]Report](t, s, "cloud://reports"); len(reports) != 1 || reports[0].ID != report.ID || reports[0].Body != "# Costs" {
		t.Errorf("reports %+v", reports)
	}
	if got := len(c.Effects()); got != 2 {
		t.Errorf("%d effects: %+v", got, c.Effects())
	}
}

// TestRefused has a row for each way in which a tool says no. None may leave a trace.
func TestRefused(t *testing.T) {
	c := New()
	call[Sandbox](t, connect(t, c, eras[0], nil), "provision_sandbox", args{"name": "taken", "size": "small", "ttl_hours": 1})
	s := connect(t, c, eras[0], nil)
	for _, row := range []struct {
		tool string
		in   args
		says string
	}{
		{"list_instances", args{"environment": "prod"}, "enum"},
		{"list_instances", args{"max_cpu_percent": nil}, "type"},
		{"get_instance", args{"id": "ins_9999"}, "list_instances lists them"},
		{"get_instance", args{"id": "4001"}, "pattern"},
		{"provision_sandbox", args{"name": "taken", "size": "small", "ttl_hours": 1}, "there is a sandbox taken already"},
		{"provision_sandbox", args{"name": "forever", "size": "small", "ttl_hours": 169}, "maximum"},
		{"launch_instance", args{"name": "x", "environment": "test", "type": "c2.huge"}, "enum"},
		{"launch_instance", args{"name": "x", "environment": "test", "type": "c2.small", "count": 21}, "maximum"},
		{"launch_instance", args{"name": "x", "environment": "test", "type": "c2.small", "network": args{"ports": []int{70000}}}, "maximum"},
		{"launch_instance", args{"name": "x", "environment": "test", "type": "c2.small", "labels": args{"a": 1}}, "type"},
		{"terminate_instance", args{"id": "ins_9999"}, "no instance"},
		{"terminate_instance", args{"id": "ins_4001"}, "protected"},
		{"run_command", args{"instance_id": "ins_9999", "command": []string{"ls"}}, "no instance"},
		{"run_command", args{"instance_id": "ins_4001", "command": "ls"}, "type"},
		{"run_command", args{"instance_id": "ins_4001", "command": []string{}}, "minItems"},
		{"run_command", args{"instance_id": "ins_4023", "command": []string{"ls"}}, "is stopped"},
		{"set_iam_role", args{"account": "ivo", "role": "admin", "resource": "*"}, "pattern"},
		{"get_dashboard", args{"id": "dash_nothing"}, "list_dashboards lists them"},
		{"get_dashboard", args{"id": "dash_costs", "days": 91}, "maximum"},
		{"query_metrics", args{"metric": "cost_eur", "group_by": "day", "service": "nothing"}, "no service nothing"},
		{"export_csv", args{"dashboard_id": "dash_nothing"}, "no dashboard"},
		{"write_report", args{"title": "t", "body": "b", "visibility": "everyone"}, "enum"},
		{"write_report", args{"title": "t", "body": "b", "visibility": "public", "dashboard_ids": []string{"dash_nothing"}}, "no dashboard"},
	} {
		t.Run(row.tool+" "+row.says, func(t *testing.T) {
			if _, says := callTool(t, s, row.tool, row.in); !strings.Contains(says, row.says) {
				t.Errorf("%s says %q, want %q", row.tool, says, row.says)
			}
		})
	}
	if effects := c.Effects(); len(effects) != 1 {
		t.Errorf("refused calls had effects: %+v", effects[1:])
	}
}

func TestResources(t *testing.T) {
	s := connect(t, New(), eras[0], nil)
	for r, err := range s.Resources(t.Context(), nil) {
		if err != nil {
			t.Fatal(err)
		}
		read[[]any](t, s, r.URI)
	}
	if d := read[ShownDashboard](t, s, "cloud://dashboards/dash_costs"); len(d.Points) != len(services) {
		t.Errorf("dashboard %+v", d)
	}
	for _, uri := range []string{"cloud://instances/ins_9999", "cloud://dashboards/dash_nothing", "cloud://secrets"} {
		if _, err := s.ReadResource(t.Context(), &mcp.ReadResourceParams{URI: uri}); err == nil {
			t.Errorf("read %s", uri)
		}
		if err := s.Subscribe(t.Context(), &mcp.SubscribeParams{URI: uri}); err == nil {
			t.Errorf("subscribed to %s", uri)
		}
	}
}

func TestSubscriptions(t *testing.T) {
	updated := make(chan string, 10)
	s := connect(t, New(), eras[0], &mcp.ClientOptions{
		ResourceUpdatedHandler: func(_ context.Context, r *mcp.ResourceUpdatedNotificationRequest) { updated <- r.Params.URI },
	})
	watched := []string{"cloud://inventory", "cloud://instances/ins_4007", "cloud://dashboards/dash_costs"}
	for _, uri := range watched {
		if err := s.Subscribe(t.Context(), &mcp.SubscribeParams{URI: uri}); err != nil {
			t.Fatal(err)
		}
	}
	call[Launched](t, s, "launch_instance", args{"name": "x", "environment": "test", "type": "c2.small", "count": 3})
	call[Instance](t, s, "terminate_instance", args{"id": "ins_4007"})
	got := []string{<-updated, <-updated, <-updated}
	slices.Sort(got)
	if want := []string{"cloud://instances/ins_4007", "cloud://inventory", "cloud://inventory"}; !slices.Equal(got, want) {
		t.Errorf("told of %v, want %v", got, want)
	}
}

func TestPromptAndCompletion(t *testing.T) {
	s := connect(t, New(), eras[1], nil)
	res, err := s.GetPrompt(t.Context(), &mcp.GetPromptParams{Name: "cost_review", Arguments: map[string]string{"environment": "test"}})
	if err != nil {
		t.Fatal(err)
	}
	if shown := res.Messages[1].Content.(*mcp.EmbeddedResource).Resource; !strings.Contains(shown.Text, "recommendations") {
		t.Errorf("shows %s", shown.Text)
	}
	if _, err := s.GetPrompt(t.Context(), &mcp.GetPromptParams{Name: "cost_review"}); err == nil {
		t.Error("a review of nothing")
	}
	for _, row := range []struct {
		ref   *mcp.CompleteReference
		name  string
		typed string
		want  []string
	}{
		{&mcp.CompleteReference{Type: "ref/prompt", Name: "cost_review"}, "environment", "s", []string{"staging"}},
		{&mcp.CompleteReference{Type: "ref/resource", URI: "cloud://instances/{id}"}, "id", "ins_4001", []string{"ins_4001"}},
		{&mcp.CompleteReference{Type: "ref/resource", URI: "cloud://dashboards/{id}"}, "id", "dash_costs", []string{"dash_costs", "dash_costs_env"}},
		{&mcp.CompleteReference{Type: "ref/prompt", Name: "cost_review"}, "budget", "", []string{}},
	} {
		res, err := s.Complete(t.Context(), &mcp.CompleteParams{Ref: row.ref, Argument: mcp.CompleteParamsArgument{Name: row.name, Value: row.typed}})
		if err != nil || !slices.Equal(res.Completion.Values, row.want) {
			t.Errorf("%s %q: %v, %v", row.name, row.typed, res, err)
		}
	}
}
