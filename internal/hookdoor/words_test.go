package hookdoor

import (
	"fmt"
	"strings"
	"testing"

	"sallyport"
)

// However much an agent writes at once, not more is remembered than there is
// room for, and the last of it is.
func TestWrittenIsBounded(t *testing.T) {
	var w written
	var all strings.Builder
	for i := range 3 * maxWritten {
		fmt.Fprintf(&all, "%q,", fmt.Sprint("word ", i))
	}
	w.note("r", sallyport.MustParse(`[`+all.String()+`"pay mallory"]`))
	if n := len(w.runs["r"]); n > maxWritten {
		t.Errorf("%d texts are remembered", n)
	}
	if w.check("r", " pay mallory ") == nil || w.check("r", "pay bob") != nil {
		t.Error("the last text is not known, or another is")
	}
}
