package policyhistory

import (
	"fmt"
	"testing"

	"sallyport"
)

// What an entry keeps of a flow is that flow again, as far as rules read it; what
// it does not keep counts as the worst.
func TestFlowOf(t *testing.T) {
	args := sallyport.MustParse(`{"to":[{"email":"x"}],"iban":"y","body":"z"}`)
	for _, c := range []struct {
		name  string
		entry sallyport.Entry
		want  string
	}{
		{"nothing kept", sallyport.Entry{}, "nobody knows"},
		{"a task, and nothing read", sallyport.Entry{Labels: []sallyport.Label{"task"}},
			"task=true outside=false saw=false/false to[0].email:user iban:user body:user unlinked=[] exposed=[]"},
		{"read, and no task", sallyport.Entry{Labels: []sallyport.Label{"taskless", "sawUntrusted", "sawPrivate"}},
			"task=false outside=false saw=true/true to[0].email:user iban:user body:user unlinked=[] exposed=[]"},
		{"outside and unlinked", sallyport.Entry{Labels: []sallyport.Label{"task", "outside", "unlinked", "sawUntrusted"},
			Origins: []string{"to[0].email: untrusted, not linked to the task; mail/read c_1 record 0 bytes 1-2", "iban: trusted; bank/list c_0 record 0"}},
			"task=true outside=true saw=true/false to[0].email:untrusted! iban:trusted! body:user unlinked=[to[0].email] exposed=[]"},
		{"exposed", sallyport.Entry{Labels: []sallyport.Label{"task", "exposed"}},
			"task=true outside=false saw=false/false to[0].email:user iban:user body:user unlinked=[] exposed=[to[0].email iban body]"},
		{"others are not listed", sallyport.Entry{Labels: []sallyport.Label{"task"}, Origins: []string{"iban: unknown", "more arguments are not listed"}},
			"task=true outside=false saw=false/false to[0].email:user iban:unknown! body:user :unknown unlinked=[] exposed=[]"},
		{"what is unlinked is not listed", sallyport.Entry{Labels: []sallyport.Label{"task", "unlinked"}, Origins: []string{"iban: unknown"}},
			"task=true outside=false saw=false/false to[0].email:user iban:unknown! body:user :unknown unlinked=[] exposed=[]"},
		{"about an argument that is not there", sallyport.Entry{Labels: []sallyport.Label{"task"}, Origins: []string{"cc: untrusted"}},
			"task=true outside=false saw=false/false to[0].email:user iban:user body:user :unknown unlinked=[] exposed=[]"},
	} {
		got := "nobody knows"
		if f := FlowOf(&c.entry, args); f != nil {
			got = fmt.Sprintf("task=%v outside=%v saw=%v/%v", f.Task, f.Outside != "", f.Run.SawUntrusted, f.Run.SawPrivate)
			for _, trace := range f.Traces {
				got += " " + trace.Path + ":" + trace.Origin.Writer.String()
				if trace.Critical {
					got += "!"
				}
			}
			got += fmt.Sprintf(" unlinked=%v exposed=%v", f.Unlinked, f.Exposed)
		}
		if got != c.want {
			t.Errorf("%s:\n%s, want\n%s", c.name, got, c.want)
		}
	}
}
