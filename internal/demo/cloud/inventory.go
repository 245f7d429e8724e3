package cloud

import (
	"fmt"
	"slices"
	"strings"
	"time"

	"github.com/modelcontextprotocol/go-sdk/mcp"

	"sallyport/internal/demo"
)

func (c *Cloud) addInventoryTools() {
	demo.AddTool(c.Server, mcp.Tool{
		Name: "list_instances", Title: "List machines", Annotations: demo.Reads(),
		Description: "Lists machines with load and price. All filters given must match.",
	}, c.listInstances)
	demo.AddTool(c.Server, mcp.Tool{
		Name: "get_instance", Title: "Show a machine", Annotations: demo.Reads(),
		Description: "Shows one machine.",
	}, c.getInstance)
	demo.AddTool(c.Server, mcp.Tool{
		Name: "list_buckets", Title: "List buckets", Annotations: demo.Reads(),
		Description: "Lists buckets with size, and whether anyone on the internet can read them.",
	}, c.listBuckets)
	demo.AddTool(c.Server, mcp.Tool{
		Name: "provision_sandbox", Title: "Provision a sandbox", Annotations: demo.Adds(),
		Description: "Makes a throw-away environment without access to real data. It vanishes when its time is over.",
	}, c.provisionSandbox)
	demo.AddTool(c.Server, mcp.Tool{
		Name: "launch_instance", Title: "Launch machines", Annotations: demo.Adds(),
		Description: "Starts one or more machines, which cost money by the hour until they are terminated.",
	}, c.launchInstance)
	demo.AddTool(c.Server, mcp.Tool{
		Name: "terminate_instance", Title: "Terminate a machine", Annotations: demo.Sets(),
		Description: "Terminates a machine and deletes its disk. Protected machines need force.",
	}, c.terminateInstance)
	demo.AddTool(c.Server, mcp.Tool{
		Name: "run_command", Title: "Run a command", Annotations: demo.Leaves(),
		Description: "Runs a command as root on a machine and returns what it printed.",
	}, c.runCommand)
	demo.AddTool(c.Server, mcp.Tool{
		Name: "set_iam_role", Title: "Set someone's role", Annotations: demo.Sets(),
		Description: "Gives an account a role on a service, or on everything. The role none takes it away.",
	}, c.setIAMRole)
}

// ListInstances is what list_instances takes.
type ListInstances struct {
	Environment Environment `json:"environment,omitempty"`
	State       State       `json:"state,omitempty"`
	Service     string      `json:"service,omitempty" jsonschema:"like shop or search"`
	MaxCPU      *int        `json:"max_cpu_percent,omitempty" jsonschema:"only machines with at most this load"`
	Limit       Limit       `json:"limit,omitempty" jsonschema:"how many to return, 20 unless given"`
	Offset      Offset      `json:"offset,omitempty" jsonschema:"how many to skip, for the next page"`
}

// ListedInstances is what list_instances returns.
type ListedInstances struct {
	Instances    []Instance `json:"instances"`
	Total        int        `json:"total" jsonschema:"how many match in all"`
	PricePerHour demo.Money `json:"price_per_hour" jsonschema:"EUR, of all running ones that match"`
}

func (in ListInstances) matches(i *Instance) bool {
	return (in.Environment == "" || i.Environment == in.Environment) &&
		(in.State == "" || i.State == in.State) &&
		(in.Service == "" || i.Service == in.Service) &&
		(in.MaxCPU == nil || i.CPUPercent <= *in.MaxCPU)
}

func (c *Cloud) listInstances(_ *demo.Call, in ListInstances) (ListedInstances, error) {
	listed := ListedInstances{Instances: []Instance{}}
	for _, i := range c.instances {
		if !in.matches(i) {
			continue
		}
		if i.State == "running" {
			listed.PricePerHour += i.PricePerHour
		}
		if listed.Total >= int(in.Offset) && len(listed.Instances) < int(in.Limit) {
			listed.Instances = append(listed.Instances, *i)
		}
		listed.Total++
	}
	return listed, nil
}

// GetInstance is what get_instance takes.
type GetInstance struct {
	ID InstanceID `json:"id" jsonschema:"like ins_4001"`
}

func (c *Cloud) getInstance(_ *demo.Call, in GetInstance) (Instance, error) {
	i, err := c.instance(in.ID)
	if err != nil {
		return Instance{}, err
	}
	return *i, nil
}

// ListBuckets is what list_buckets takes.
type ListBuckets struct {
	PublicOnly bool `json:"public_only,omitempty"`
}

// ListedBuckets is what list_buckets returns.
type ListedBuckets struct {
	Buckets []Bucket `json:"buckets"`
}

func (c *Cloud) listBuckets(_ *demo.Call, in ListBuckets) (ListedBuckets, error) {
	listed := ListedBuckets{Buckets: []Bucket{}}
	for _, b := range buckets {
		if b.Public || !in.PublicOnly {
			listed.Buckets = append(listed.Buckets, b)
		}
	}
	return listed, nil
}

// ProvisionSandbox is what provision_sandbox takes.
type ProvisionSandbox struct {
	Name     Name  `json:"name" jsonschema:"lower-case letters, digits and dashes"`
	Size     Size  `json:"size"`
	TTLHours Hours `json:"ttl_hours" jsonschema:"how long it lives, at most a week"`
}

func (c *Cloud) provisionSandbox(call *demo.Call, in ProvisionSandbox) (Sandbox, error) {
	for _, s := range c.sandboxes {
		if s.Name == in.Name {
			return Sandbox{}, fmt.Errorf("there is a sandbox %s already, until %s", s.Name, s.ExpiresAt.Format(time.DateTime))
		}
	}
	s := Sandbox{
		ID: fmt.Sprintf("box_%d", 1+len(c.sandboxes)), Name: in.Name, Size: in.Size,
		ExpiresAt: call.Now.Add(time.Duration(in.TTLHours) * time.Hour),
	}
	c.sandboxes = append(c.sandboxes, s)
	call.Did(demo.Effect{Target: s.ID, Summary: fmt.Sprintf("sandbox %s, %s", s.Name, s.Size), Record: s}, "cloud://activity")
	return s, nil
}

// LaunchInstance is what launch_instance takes.
type LaunchInstance struct {
	Name        Name         `json:"name" jsonschema:"lower-case letters, digits and dashes"`
	Environment Environment  `json:"environment"`
	Type        InstanceType `json:"type"`
	Count       Count        `json:"count,omitempty" jsonschema:"how many, one unless given"`
	Region      Region       `json:"region,omitempty" jsonschema:"eu-central unless given"`
	Network     Network      `json:"network,omitzero"`
	Labels      Labels       `json:"labels,omitempty" jsonschema:"free names and values"`
}

// Network is how a machine is reached.
type Network struct {
	PublicIP bool     `json:"public_ip,omitempty" jsonschema:"reachable from the internet"`
	Ports    []uint16 `json:"ports,omitempty" jsonschema:"open ports"`
}

// Launched is what launch_instance returns.
type Launched struct {
	Instances    []InstanceID `json:"instances"`
	PricePerHour demo.Money   `json:"price_per_hour" jsonschema:"EUR, of all of them"`
}

func (c *Cloud) launchInstance(call *demo.Call, in LaunchInstance) (Launched, error) {
	if in.Region == "" {
		in.Region = regions[0]
	}
	launched := Launched{Instances: []InstanceID{}}
	for n := range int(in.Count) {
		i := &Instance{
			ID: InstanceID(fmt.Sprintf("ins_%d", 4001+len(c.instances))), Name: fmt.Sprintf("%s-%d", in.Name, n+1),
			Environment: in.Environment, Service: string(in.Name), Team: "agents", Type: in.Type, State: "running",
			Region: in.Region, PricePerHour: prices[in.Type], Protected: in.Environment == "production",
			PublicIP: in.Network.PublicIP, Labels: in.Labels, LaunchedAt: call.Now,
		}
		c.instances = append(c.instances, i)
		launched.Instances = append(launched.Instances, i.ID)
		launched.PricePerHour += i.PricePerHour
		call.Did(demo.Effect{Target: string(i.ID), Summary: fmt.Sprintf("launched %s in %s", i.Type, i.Environment), Record: *i})
	}
	call.Changed("cloud://inventory", "cloud://activity")
	return launched, nil
}

// TerminateInstance is what terminate_instance takes.
type TerminateInstance struct {
	ID    InstanceID `json:"id" jsonschema:"the machine to terminate"`
	Force bool       `json:"force,omitempty" jsonschema:"also if it is protected"`
}

func (c *Cloud) terminateInstance(call *demo.Call, in TerminateInstance) (Instance, error) {
	i, err := c.instance(in.ID)
	if err != nil {
		return Instance{}, err
	}
	if i.State == "terminated" {
		return Instance{}, fmt.Errorf("%s is terminated already", i.ID)
	}
	if i.Protected && !in.Force {
		return Instance{}, fmt.Errorf("%s (%s, %s) is protected: it is only terminated with force", i.ID, i.Name, i.Environment)
	}
	i.State, i.CPUPercent = "terminated", 0
	call.Did(demo.Effect{Target: string(i.ID), Summary: fmt.Sprintf("terminated %s in %s", i.Name, i.Environment), Record: *i},
		"cloud://instances/"+string(i.ID), "cloud://inventory", "cloud://activity")
	return *i, nil
}

// RunCommand is what run_command takes.
type RunCommand struct {
	InstanceID     InstanceID `json:"instance_id"`
	Command        Words      `json:"command" jsonschema:"program and arguments, not a shell line"`
	TimeoutSeconds Seconds    `json:"timeout_seconds,omitempty" jsonschema:"60 unless given"`
}

// Ran is what run_command returns.
type Ran struct {
	InstanceID InstanceID `json:"instance_id"`
	ExitCode   int        `json:"exit_code"`
	Output     string     `json:"output"`
}

func (c *Cloud) runCommand(call *demo.Call, in RunCommand) (Ran, error) {
	i, err := c.instance(in.InstanceID)
	if err != nil {
		return Ran{}, err
	}
	if i.State != "running" {
		return Ran{}, fmt.Errorf("%s is %s", i.ID, i.State)
	}
	ran := Ran{InstanceID: i.ID, Output: printed(i, in.Command[0])}
	call.Did(demo.Effect{Target: string(i.ID), Summary: "ran " + strings.Join(in.Command, " "), Record: in}, "cloud://activity")
	return ran, nil
}

// printed is what a command would have printed. None is really run.
func printed(i *Instance, program string) string {
	switch program {
	case "hostname":
		return i.Name + "\n"
	case "uptime":
		days := int(demo.Epoch.Sub(i.LaunchedAt).Hours()) / 24
		return fmt.Sprintf(" 09:00:00 up %d days,  2 users,  load average: 0.%02d, 0.%02d, 0.%02d\n", days, i.CPUPercent, i.CPUPercent, i.CPUPercent)
	case "df":
		return "Filesystem      Size  Used Avail Use% Mounted on\n/dev/vda1        80G   31G   49G  39% /\n"
	default:
		return ""
	}
}

// SetIAMRole is what set_iam_role takes.
type SetIAMRole struct {
	Account  Account `json:"account" jsonschema:"e-mail address of a person or a service"`
	Role     Role    `json:"role"`
	Resource Line    `json:"resource" jsonschema:"a service, or * for everything"`
}

func (c *Cloud) setIAMRole(call *demo.Call, in SetIAMRole) (Member, error) {
	m := Member{Account: in.Account, Role: in.Role, Resource: string(in.Resource)}
	c.members = slices.DeleteFunc(c.members, func(o Member) bool { return o.Account == m.Account && o.Resource == m.Resource })
	if m.Role != "none" {
		c.members = append(c.members, m)
	}
	call.Did(demo.Effect{Target: string(m.Account), Summary: fmt.Sprintf("%s on %s", m.Role, m.Resource), Record: m},
		"cloud://members", "cloud://activity")
	return m, nil
}
