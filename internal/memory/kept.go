package memory

import (
	"context"
	"regexp"
	"slices"
	"strings"
	"sync"

	"sallyport"
	"sallyport/internal/provenance"
	"sallyport/internal/scope"
)

// kept is what is known of those who wrote to a server that keeps what agents
// write for other runs: without it a run would shed its labels by writing what
// it has read, and having another run read that. It is made from the record when
// the server is first asked, and only ever gets worse.
type kept struct {
	mu     sync.Mutex
	loaded bool
	all    taint            // of the whole server
	whole  taint            // of what went to no item that can be told apart
	items  map[string]taint // by key
}

// taint is what an item has on it.
type taint struct{ untrusted, private bool }

var worst = taint{untrusted: true, private: true}

func (t taint) and(other taint) taint {
	return taint{t.untrusted || other.untrusted, t.private || other.private}
}

// Bounds. What is beyond them counts as the worst, or as the whole server.
const (
	maxWritten = 20_000 // calls that are read again
	maxItems   = 10_000 // of a server
)

// keep makes what is kept of a server from the record, when it is not there: what
// comes back later is judged by it. An error means that nobody knows who wrote to
// the server.
func (m *Memories) keep(ctx context.Context, server string) error {
	m.mu.Lock()
	k := m.kept[server]
	if k == nil {
		k = &kept{items: map[string]taint{}}
		m.kept[server] = k
	}
	m.mu.Unlock()
	k.mu.Lock()
	defer k.mu.Unlock()
	if k.loaded {
		return nil
	}
	acts, more, err := m.servers.Written(ctx, server, maxWritten)
	if err != nil {
		return err
	}
	if more {
		k.wrote("", false, worst)
	}
	for i := range acts {
		a := &acts[i]
		key, known := keyOf(m.servers.Use(server, a.Tool).Meanings, a.Args)
		k.wrote(key, known, taintOf(a.Labels))
	}
	k.loaded = true
	return nil
}

// Reread has it all read from the record again, by what the operator says of the
// servers now: other arguments may be the keys of items.
func (m *Memories) Reread() {
	m.mu.Lock()
	defer m.mu.Unlock()
	m.kept = map[string]*kept{}
}

// wrote takes note of what somebody wrote. The caller holds mu.
func (k *kept) wrote(key string, known bool, t taint) {
	k.all = k.all.and(t)
	if _, there := k.items[key]; !known || !there && len(k.items) >= maxItems {
		k.whole = k.whole.and(t)
		return
	}
	k.items[key] = k.items[key].and(t)
}

// read is what comes with an item, or with whatever the server says when it
// can't be told which.
func (k *kept) read(key string, known bool) taint {
	k.mu.Lock()
	defer k.mu.Unlock()
	switch {
	case !k.loaded:
		return worst
	case !known:
		return k.all
	default:
		return k.whole.and(k.items[key])
	}
}

// taintOf is the taint of what a run writes. Where no labels were kept nobody
// knows what the run had read.
func taintOf(labels []sallyport.Label) taint {
	if len(labels) == 0 {
		return worst
	}
	return taint{slices.Contains(labels, sallyport.LabelSawUntrusted), slices.Contains(labels, sallyport.LabelSawPrivate)}
}

// keyOf is the key of the item that a call is about, where the operator says of
// exactly one argument that it means an id or a path. Only plain words count: of
// others the server may make the key of another item ("a/../b").
func keyOf(meanings map[string]scope.Role, args sallyport.Value) (key string, known bool) {
	at := ""
	for path, role := range meanings {
		if role != scope.RoleID && role != scope.RolePath {
			continue
		}
		if at != "" {
			return "", false
		}
		at = path
	}
	for path, leaf := range args.Leaves() {
		if text, ok := leaf.Text(); at != "" && ok && string(path) == at && plainKey.MatchString(text) {
			return strings.ToLower(text), true
		}
	}
	return "", false
}

var plainKey = regexp.MustCompile(`^[A-Za-z0-9_-]{1,128}$`)

// wrote takes note that a call goes to a server that keeps what it is given.
func (m *Memories) wrote(call *sallyport.Call, tool *sallyport.Definition, flow *sallyport.Flow) {
	use := m.servers.Use(call.Server, call.Name)
	if !use.Memory || call.Kind != sallyport.KindAnswer && slices.Equal(effectsOf(tool), onlyRead) {
		return
	}
	m.mu.Lock()
	k := m.kept[call.Server]
	m.mu.Unlock()
	if k == nil {
		return // it will be made from the record, which has the call
	}
	key, known := keyOf(use.Meanings, call.Args)
	k.mu.Lock()
	defer k.mu.Unlock()
	if k.loaded {
		k.wrote(key, known && call.Kind == sallyport.KindTool, taintOf(flow.Labels()))
	}
}

// declaration says who wrote what a call returns, and who may read it: of a
// memory nobody better than those who wrote to it.
func (m *Memories) declaration(call *sallyport.Call) provenance.Declaration {
	d := m.servers.Declaration(call.Server)
	d.Verbatim = call.Kind != sallyport.KindTool || m.tool(call, nil).Fetches()
	use := m.servers.Use(call.Server, call.Name)
	if !use.Memory {
		return d
	}
	m.mu.Lock()
	k := m.kept[call.Server]
	m.mu.Unlock()
	t := worst // nobody could say
	if k != nil {
		t = k.read(keyOf(use.Meanings, call.Args))
	}
	d.Rules = slices.Clone(d.Rules)
	if t.untrusted {
		d.Trust = provenance.Community
		for i := range d.Rules {
			d.Rules[i].Origin.Writer = sallyport.WriterUntrusted
		}
	}
	if t.private {
		d.Readers = sallyport.ReadersPrivate
		for i := range d.Rules {
			d.Rules[i].Origin.Readers = sallyport.ReadersPrivate
		}
	}
	return d
}
