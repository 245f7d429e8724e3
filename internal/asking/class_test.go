package asking

import (
	"testing"

	"sallyport"
)

func TestClassOf(t *testing.T) {
	for _, c := range []struct {
		kind    sallyport.Kind
		effects []sallyport.Effect
		want    sallyport.Class
	}{
		{sallyport.KindTool, []sallyport.Effect{sallyport.Read}, sallyport.ClassTap}, {sallyport.KindTool, []sallyport.Effect{sallyport.Read, sallyport.Write}, sallyport.ClassTap}, {sallyport.KindTool, []sallyport.Effect{sallyport.Send}, sallyport.ClassType},
		{sallyport.KindTool, []sallyport.Effect{sallyport.Read, sallyport.Pay}, sallyport.ClassType}, {sallyport.KindTool, []sallyport.Effect{sallyport.Delete}, sallyport.ClassType}, {sallyport.KindTool, []sallyport.Effect{sallyport.Access}, sallyport.ClassType},
		{sallyport.KindTool, []sallyport.Effect{sallyport.Exec}, sallyport.ClassType}, {sallyport.KindTool, nil, sallyport.ClassType}, {sallyport.KindTool, []sallyport.Effect{"new"}, sallyport.ClassType},
		{sallyport.KindResource, nil, sallyport.ClassTap}, {sallyport.KindPrompt, nil, sallyport.ClassTap},
	} {
		if got := classOf(c.kind, c.effects); got != c.want {
			t.Errorf("%s %v: %d, want %d", c.kind, c.effects, got, c.want)
		}
	}
}
