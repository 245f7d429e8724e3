package control

import (
	"testing"

	"sallyport"
)

// What nobody asked for is told from what somebody did, and reading is free.
func TestUnasked(t *testing.T) {
	for name, c := range map[string]struct {
		entry sallyport.Entry
		want  bool
	}{
		"within the task":                     {sallyport.Entry{Type: sallyport.Intent, Kind: sallyport.KindTool, Effects: []sallyport.Effect{sallyport.Pay}, Labels: []sallyport.Label{sallyport.LabelTask}}, false},
		"outside the task":                    {sallyport.Entry{Type: sallyport.Intent, Kind: sallyport.KindTool, Effects: []sallyport.Effect{sallyport.Pay}, Labels: []sallyport.Label{sallyport.LabelTask, sallyport.LabelOutside}}, true},
		"to somebody else":                    {sallyport.Entry{Type: sallyport.Intent, Kind: sallyport.KindTool, Effects: []sallyport.Effect{sallyport.Pay}, Labels: []sallyport.Label{sallyport.LabelTask, sallyport.LabelUnlinked}}, true},
		"held":                                {sallyport.Entry{Type: sallyport.Held, Kind: sallyport.KindTool, Effects: []sallyport.Effect{sallyport.Pay}, Labels: []sallyport.Label{sallyport.LabelTask, sallyport.LabelOutside}}, true},
		"no task":                             {sallyport.Entry{Type: sallyport.Intent, Kind: sallyport.KindTool, Effects: []sallyport.Effect{sallyport.Write}, Labels: []sallyport.Label{sallyport.LabelTaskless}}, true},
		"no task, and more than reading":      {sallyport.Entry{Type: sallyport.Intent, Kind: sallyport.KindTool, Effects: []sallyport.Effect{sallyport.Read, sallyport.Write}, Labels: []sallyport.Label{sallyport.LabelTaskless}}, true},
		"reading without a task":              {sallyport.Entry{Type: sallyport.Intent, Kind: sallyport.KindTool, Effects: []sallyport.Effect{sallyport.Read}, Labels: []sallyport.Label{sallyport.LabelTaskless}}, false},
		"reading an address that nobody said": {sallyport.Entry{Type: sallyport.Intent, Kind: sallyport.KindTool, Effects: []sallyport.Effect{sallyport.Read}, Labels: []sallyport.Label{sallyport.LabelTask, sallyport.LabelUnlinked}}, true},
		"a resource":                          {sallyport.Entry{Type: sallyport.Intent, Kind: sallyport.KindResource, Labels: []sallyport.Label{sallyport.LabelTaskless}}, false},
		"nobody looked":                       {sallyport.Entry{Type: sallyport.Intent, Kind: sallyport.KindTool, Effects: []sallyport.Effect{sallyport.Write}}, true},
		"nobody looked at what was read":      {sallyport.Entry{Type: sallyport.Intent, Kind: sallyport.KindTool, Effects: []sallyport.Effect{sallyport.Read}}, false},
		"refused before anybody looked":       {sallyport.Entry{Type: sallyport.Refusal, Kind: sallyport.KindTool, Effects: []sallyport.Effect{sallyport.Write}}, false},
		"what is done to a task of a server":  {sallyport.Entry{Type: sallyport.Intent, Kind: sallyport.KindTask, Effects: []sallyport.Effect{sallyport.Write}, Labels: []sallyport.Label{sallyport.LabelTaskless}}, true},
		"a change":                            {sallyport.Entry{Type: sallyport.Change, Kind: sallyport.KindTool, Effects: []sallyport.Effect{sallyport.Write}}, false},
		"an outcome":                          {sallyport.Entry{Type: sallyport.Closed, Kind: sallyport.KindTool}, false},
	} {
		if got := unasked(&c.entry); got != c.want {
			t.Errorf("%s: %v", name, got)
		}
	}
}
