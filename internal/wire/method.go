package wire

import "sallyport"

// The revisions of MCP that Sallyport speaks, oldest first. Stateless is the
// first of the second era; all before it need initialize and a session.
const (
	Revision20241105 = "2024-11-05"
	Revision20250326 = "2025-03-26"
	Revision20250618 = "2025-06-18"
	Revision20251125 = "2025-11-25"
	Stateless        = "2026-07-28"
)

// Revisions lists the revisions, oldest first.
var Revisions = [...]string{Revision20241105, Revision20250326, Revision20250618, Revision20251125, Stateless}

// IsStateless reports whether a revision belongs to the stateless era.
func IsStateless(revision string) bool { return revision >= Stateless }

// Negotiate picks the revision of a session: the wanted one where we know it
// and it has sessions, else the newest that has.
func Negotiate(wanted string) string {
	for _, revision := range Revisions {
		if revision == wanted && !IsStateless(revision) {
			return revision
		}
	}
	return Revision20251125
}

// Header names of Streamable HTTP.
const (
	HeaderRevision = "Mcp-Protocol-Version"
	HeaderSession  = "Mcp-Session-Id"
	HeaderMethod   = "Mcp-Method"
	HeaderName     = "Mcp-Name"
	HeaderParam    = "Mcp-Param-"
)

// Keys of params._meta and result._meta in the stateless era.
const (
	MetaRevision     = "io.modelcontextprotocol/protocolVersion"
	MetaClientInfo   = "io.modelcontextprotocol/clientInfo"
	MetaServerInfo   = "io.modelcontextprotocol/serverInfo"
	MetaCapabilities = "io.modelcontextprotocol/clientCapabilities"
	MetaLogLevel     = "io.modelcontextprotocol/logLevel"
	MetaSubscription = "io.modelcontextprotocol/subscriptionId"
)

// Treatment says what the gateway does with a method. The zero Treatment
// refuses.
type Treatment uint8

// The treatments.
const (
	Refused  Treatment = iota
	Local              // the door answers or consumes it itself
	List               // filtered by policy and pins
	Calls              // a Call: decided, recorded, executed
	Sessions           // belongs to the session and carries no effect: forwarded
	Tickets            // belongs to an open ticket of the same principal
)

// Era says in which of the two eras of MCP a method exists.
type Era uint8

// The eras.
const (
	BothEras     Era = iota
	SessionEra       // up to 2025-11-25
	StatelessEra     // from 2026-07-28
)

// Method is one row of the table of methods.
type Method struct {
	Treatment Treatment
	Kind      sallyport.Kind // of a Call or of the items of a List
	Items     string         // member of a list result that holds the items
	Era       Era
}

// Lookup is the row of a method that an agent may send in a revision. What is
// not in the table, or not of that era, gets the zero Method, which refuses.
func Lookup(method, revision string) Method {
	row := FromClient[method]
	if row.Era == SessionEra && IsStateless(revision) || row.Era == StatelessEra && !IsStateless(revision) {
		return Method{}
	}
	return row
}

// FromClient is the table of what a client may send. What is not in it is
// refused, so a method that a later revision invents cannot slip past the
// decision.
var FromClient = map[string]Method{
	"initialize":                {Treatment: Local, Era: SessionEra},
	"notifications/initialized": {Treatment: Local, Era: SessionEra},
	"server/discover":           {Treatment: Local, Era: StatelessEra},
	"ping":                      {Treatment: Local, Era: SessionEra},

	"tools/list":               {Treatment: List, Kind: sallyport.KindTool, Items: "tools"},
	"prompts/list":             {Treatment: List, Kind: sallyport.KindPrompt, Items: "prompts"},
	"resources/list":           {Treatment: List, Kind: sallyport.KindResource, Items: "resources"},
	"resources/templates/list": {Treatment: List, Kind: sallyport.KindResource, Items: "resourceTemplates"},

	"tools/call":           {Treatment: Calls, Kind: sallyport.KindTool},
	"prompts/get":          {Treatment: Calls, Kind: sallyport.KindPrompt},
	"resources/read":       {Treatment: Calls, Kind: sallyport.KindResource},
	"resources/subscribe":  {Treatment: Calls, Kind: sallyport.KindSubscribe, Era: SessionEra},
	"subscriptions/listen": {Treatment: Calls, Kind: sallyport.KindSubscribe, Era: StatelessEra},
	"completion/complete":  {Treatment: Calls, Kind: sallyport.KindCompletion},

	"resources/unsubscribe":            {Treatment: Sessions, Era: SessionEra},
	"logging/setLevel":                 {Treatment: Sessions, Era: SessionEra},
	"notifications/roots/list_changed": {Treatment: Sessions, Era: SessionEra},

	"notifications/cancelled": {Treatment: Tickets},
	"notifications/progress":  {Treatment: Tickets},
	"tasks/get":               {Treatment: Tickets},
	"tasks/update":            {Treatment: Calls, Kind: sallyport.KindTask, Era: StatelessEra},
	"tasks/cancel":            {Treatment: Calls, Kind: sallyport.KindTask},
	"tasks/result":            {Treatment: Tickets, Era: SessionEra},
	"tasks/list":              {Treatment: Tickets, Era: SessionEra},
}

// FromServer is the table of what a server may send of its own accord.
var FromServer = map[string]Method{
	"ping":                   {Treatment: Local},
	"elicitation/create":     {Treatment: Calls, Kind: sallyport.KindAsk},
	"sampling/createMessage": {Treatment: Calls, Kind: sallyport.KindAsk},
	"roots/list":             {Treatment: Calls, Kind: sallyport.KindAsk},

	"notifications/tools/list_changed":         {Treatment: Sessions},
	"notifications/prompts/list_changed":       {Treatment: Sessions},
	"notifications/resources/list_changed":     {Treatment: Sessions},
	"notifications/message":                    {Treatment: Sessions},
	"notifications/cancelled":                  {Treatment: Tickets},
	"notifications/progress":                   {Treatment: Tickets},
	"notifications/resources/updated":          {Treatment: Tickets},
	"notifications/subscriptions/acknowledged": {Treatment: Tickets},
	"notifications/elicitation/complete":       {Treatment: Tickets},
	"notifications/tasks/status":               {Treatment: Tickets},
	"notifications/tasks":                      {Treatment: Tickets},
}
