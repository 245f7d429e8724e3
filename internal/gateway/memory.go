package gateway

import (
	"fmt"
	"slices"
	"strings"

	"sallyport"
)

// An entry traces at most so many arguments, in lines of at most so many bytes:
// names that an agent or a server chose must not make it too long for the log.
const (
	maxOrigins = 8
	maxOrigin  = 256
)

// origins says for the log where the arguments came from that matter: the
// critical ones, and those that others could have written. It names places,
// never values: an entry is for good.
func origins(flow *sallyport.Flow) []string {
	if flow == nil {
		return nil
	}
	var lines []string
	for i := range flow.Traces {
		t := &flow.Traces[i]
		if !t.Critical && t.Origin.Writer != sallyport.WriterUntrusted {
			continue
		}
		if len(lines) == maxOrigins {
			return append(lines, "more arguments are not listed")
		}
		line := originOf(t, slices.Contains(flow.Unlinked, t.Path))
		if len(line) > maxOrigin {
			line = strings.ToValidUTF8(line[:maxOrigin], "") + "…"
		}
		lines = append(lines, line)
	}
	return lines
}

func originOf(t *sallyport.Trace, unlinked bool) string {
	line := t.Path + ": " + t.Origin.Writer.String()
	if unlinked {
		line += ", not linked to the task"
	}
	for i, s := range t.Sources {
		if i == 2 {
			line += " and elsewhere"
			break
		}
		if s.Call == "" {
			line += fmt.Sprintf("; the user's words (%s)", s.Strength)
			continue
		}
		line += fmt.Sprintf("; %s/%s %s record %d", s.Server, s.Tool, s.Call, s.Record)
		if s.Field != "" {
			line += " field " + s.Field
		}
		line += fmt.Sprintf(" bytes %d-%d", s.Start, s.End)
	}
	if len(t.Through) > 0 {
		line += "; through " + strings.Join(t.Through, ", ")
	}
	return line
}
