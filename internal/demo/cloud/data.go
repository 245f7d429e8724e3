package cloud

import (
	"fmt"
	"time"

	"sallyport/internal/demo"
)

// A service runs on machines, which the seed data lists by environment, and has its own daily figures.
type service struct {
	name, team string
	machines   []machines
	cost       demo.Money // of a usual day
	requests   int        // thousands on a usual day
	grows      int        // percent by which the cost of the last week lies above the usual
}

type machines struct {
	environment Environment
	kind        InstanceType
	count       int
	state       State
	cpu         int // percent
	note        string
}

var services = []service{
	{"shop", "web", []machines{
		{"production", "c2.large", 4, "running", 61, ""},
		{"staging", "c2.medium", 2, "running", 9, ""},
		{"test", "c2.small", 2, "running", 4, ""},
	}, 41260, 9120, 0},
	{"checkout", "payments", []machines{
		{"production", "c2.large", 3, "running", 38, "card data: no shell access without the payments team"},
		{"staging", "c2.medium", 1, "running", 6, ""},
	}, 29840, 1310, 0},
	{"search", "web", []machines{
		{"production", "m4.large", 3, "running", 72, ""},
		{"test", "m4.large", 1, "running", 2, "load test of March, nobody remembers whose"},
	}, 35410, 5400, 4},
	{"image-resize", "media", []machines{
		{"production", "c2.medium", 6, "running", 94, "scaled up on 14 November"},
		{"staging", "c2.small", 1, "stopped", 0, ""},
	}, 12030, 2270, 180},
	{"recommendations", "data", []machines{
		{"production", "g1.large", 1, "running", 55, ""},
		{"test", "g1.large", 2, "running", 1, "notebooks, idle since the summer school"},
	}, 58800, 640, 0},
	{"warehouse", "data", []machines{
		{"production", "m4.large", 2, "running", 33, "looks idle at night, runs the payroll export at four"},
		{"staging", "m4.large", 1, "stopped", 0, ""},
	}, 22190, 35, 0},
	{"mail", "platform", []machines{
		{"production", "c2.small", 2, "running", 12, ""},
	}, 3150, 210, 0},
	{"build", "platform", []machines{
		{"test", "c2.large", 3, "running", 47, ""},
		{"test", "c2.large", 2, "stopped", 0, "kept for the old pipeline"},
	}, 17700, 0, 11},
}

// prices are per hour.
var prices = map[InstanceType]demo.Money{"c2.small": 5, "c2.medium": 19, "c2.large": 74, "m4.large": 112, "g1.large": 245}

var regions = []Region{"eu-central", "eu-west", "us-east"}

var buckets = []Bucket{
	{"shop-media", "eu-central", 1840, true, "product pictures, public on purpose"},
	{"shop-backups", "eu-west", 6120, false, "nightly database dumps"},
	{"checkout-receipts", "eu-central", 310, false, "personal data, ten years"},
	{"exports-internal", "eu-central", 12, false, "where export_csv puts its files"},
	{"press-kit", "eu-west", 3, true, ""},
	{"training-sets", "eu-west", 2210, false, "customer behaviour, pseudonymous"},
	{"tmp-migration-2024", "us-east", 940, true, "was only meant to be public for a day"},
	{"audit-logs", "eu-central", 75, false, "write once"},
}

var dashboards = []Dashboard{
	{"dash_costs", "Cost by service", "cost_eur", "service", ""},
	{"dash_costs_env", "Cost by environment", "cost_eur", "environment", ""},
	{"dash_traffic", "Requests by service", "requests_k", "service", ""},
	{"dash_load", "Processor load by service", "cpu_percent", "service", "production"},
	{"dash_idle", "Processor load of test machines", "cpu_percent", "service", "test"},
	{"dash_daily", "Cost by day", "cost_eur", "day", ""},
}

var members = []Member{
	{"ivo@acme.example", "admin", "*"},
	{"dana@acme.example", "viewer", "warehouse"},
	{"build-runner@acme.example", "editor", "build"},
	{"contractor-7@partner.example", "viewer", "shop"},
}

func seedInstances() []*Instance {
	var all []*Instance
	for _, s := range services {
		for _, m := range s.machines {
			for i := range m.count {
				n := len(all)
				all = append(all, &Instance{
					ID: InstanceID(fmt.Sprintf("ins_%d", 4001+n)), Name: fmt.Sprintf("%s-%s-%d", s.name, m.environment, i+1),
					Environment: m.environment, Service: s.name, Team: s.team, Type: m.kind, State: m.state,
					Region: regions[n%2], CPUPercent: min(99, m.cpu+n%3), PricePerHour: prices[m.kind],
					Protected: m.environment == "production", Note: m.note,
					LaunchedAt: demo.Epoch.AddDate(0, 0, -20-(n*47)%300).Truncate(time.Hour),
				})
			}
		}
	}
	return all
}

// measure is the figure of one service in one environment, so many days back. Weekends are quieter.
func (s *service) measure(metric Metric, env Environment, back int) float64 {
	share := map[Environment]int{"production": 80, "staging": 12, "test": 8}[env]
	var machines, cpu int
	for _, m := range s.machines {
		if m.environment == env {
			machines += m.count
			cpu += m.count * m.cpu
		}
	}
	if machines == 0 {
		return 0
	}
	wave := 95 + (back*31+len(s.name)*7)%11 // percent of a usual day
	if d := demo.Epoch.AddDate(0, 0, -back).Weekday(); d == time.Saturday || d == time.Sunday {
		wave -= 25
	}
	switch metric {
	case "cost_eur":
		if back < 7 {
			wave += s.grows
		}
		return float64(int(s.cost)*share*wave/10_000) / 100
	case "requests_k":
		return float64(s.requests * share * wave / 10_000)
	default: // cpu_percent
		return float64(cpu / machines)
	}
}
