package sallyport

import "testing"

// What nobody asked for is told from what somebody did, and reading is free.
func TestUnsupported(t *testing.T) {
	for name, c := range map[string]struct {
		entry Entry
		want  bool
	}{
		"within the task":                     {Entry{Type: Intent, Kind: KindTool, Effects: []Effect{Pay}, Labels: []Label{LabelTask}}, false},
		"outside the task":                    {Entry{Type: Intent, Kind: KindTool, Effects: []Effect{Pay}, Labels: []Label{LabelTask, LabelOutside}}, true},
		"to somebody else":                    {Entry{Type: Intent, Kind: KindTool, Effects: []Effect{Pay}, Labels: []Label{LabelTask, LabelUnlinked}}, true},
		"held":                                {Entry{Type: Held, Kind: KindTool, Effects: []Effect{Pay}, Labels: []Label{LabelTask, LabelOutside}}, true},
		"no task":                             {Entry{Type: Intent, Kind: KindTool, Effects: []Effect{Write}, Labels: []Label{LabelTaskless}}, true},
		"no task, and more than reading":      {Entry{Type: Intent, Kind: KindTool, Effects: []Effect{Read, Write}, Labels: []Label{LabelTaskless}}, true},
		"reading without a task":              {Entry{Type: Intent, Kind: KindTool, Effects: []Effect{Read}, Labels: []Label{LabelTaskless}}, false},
		"reading an address that nobody said": {Entry{Type: Intent, Kind: KindTool, Effects: []Effect{Read}, Labels: []Label{LabelTask, LabelUnlinked}}, true},
		"a resource":                          {Entry{Type: Intent, Kind: KindResource, Labels: []Label{LabelTaskless}}, false},
		"nobody looked":                       {Entry{Type: Intent, Kind: KindTool, Effects: []Effect{Write}}, true},
		"nobody looked at what was read":      {Entry{Type: Intent, Kind: KindTool, Effects: []Effect{Read}}, false},
		"refused before anybody looked":       {Entry{Type: Refusal, Kind: KindTool, Effects: []Effect{Write}}, false},
		"what is done to a task of a server":  {Entry{Type: Intent, Kind: KindTask, Effects: []Effect{Write}, Labels: []Label{LabelTaskless}}, true},
		"a change":                            {Entry{Type: Change, Kind: KindTool, Effects: []Effect{Write}}, false},
		"an outcome":                          {Entry{Type: Closed, Kind: KindTool}, false},
	} {
		if got := c.entry.Unsupported(); got != c.want {
			t.Errorf("%s: %v", name, got)
		}
	}
}
