// Package rundoor is the door through which programs begin runs, pass on what
// users said, and end them: HTTP with JSON on the gateway's port. It translates,
// and decides nothing.
//
//	POST /v1/runs                {"agent","user","task","parent"}  begin a run
//	GET  /v1/runs                                                  those that go on
//	GET  /v1/runs/{id}                                             one, with its words
//	POST /v1/runs/{id}/messages  {"text"}                          the user's words
//	POST /v1/runs/{id}/end                                         end it, and all below
package rundoor

import (
	"encoding/json"
	"errors"
	"fmt"
	"net/http"
	"slices"

	"sallyport"
	"sallyport/internal/guard"
	"sallyport/internal/identity"
)

// maxBody is the longest body, in bytes: the longest words with every letter
// escaped.
const maxBody = 512 << 10

// Door is an http.Handler for /v1/runs and below.
type Door struct {
	runs           *identity.Runs
	hosts, origins []string
	room           guard.Room
	mux            *http.ServeMux
}

// New makes a door. Hosts and origins are admitted in the headers of these
// names besides loopback and the address that the connection came to.
func New(runs *identity.Runs, hosts, origins []string) *Door {
	d := &Door{runs: runs, hosts: hosts, origins: origins, mux: http.NewServeMux()}
	d.mux.HandleFunc("POST /v1/runs", d.known(d.begin))
	d.mux.HandleFunc("GET /v1/runs", d.known(d.list))
	d.mux.HandleFunc("GET /v1/runs/{id}", d.known(d.show))
	d.mux.HandleFunc("POST /v1/runs/{id}/messages", d.known(d.tell))
	d.mux.HandleFunc("POST /v1/runs/{id}/end", d.known(d.end))
	return d
}

func (d *Door) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	if _, ok := guard.Origin(r, d.origins); !ok || !guard.Host(r, d.hosts) {
		refuse(w, http.StatusForbidden, "the Host or Origin of this request is not one that this gateway serves (a web page must not reach it through your browser)")
		return
	}
	d.mux.ServeHTTP(w, r)
}

// known lets through whoever is known by a credential.
func (d *Door) known(next func(http.ResponseWriter, *http.Request, identity.Caller)) http.HandlerFunc {
	return func(w http.ResponseWriter, r *http.Request) {
		caller, err := d.runs.Caller(r.Context(), sallyport.Credential{Token: guard.Bearer(r)})
		if err != nil {
			w.Header().Set("WWW-Authenticate", `Bearer realm="sallyport"`)
			refuse(w, http.StatusUnauthorized, err.Error())
			return
		}
		next(w, r, caller)
	}
}

func (d *Door) begin(w http.ResponseWriter, r *http.Request, caller identity.Caller) {
	in, leave, ok := d.read(w, r, caller, "agent", "user", "task", "parent")
	if !ok {
		return
	}
	defer leave()
	begun, err := d.runs.Begin(r.Context(), caller, identity.NewRun{Agent: in["agent"], User: in["user"], Task: in["task"], Parent: in["parent"]})
	respond(w, http.StatusCreated, begun, err)
}

func (d *Door) list(w http.ResponseWriter, _ *http.Request, caller identity.Caller) {
	respond(w, http.StatusOK, map[string]any{"runs": d.runs.List(caller)}, nil)
}

func (d *Door) show(w http.ResponseWriter, r *http.Request, caller identity.Caller) {
	shown, err := d.runs.Show(r.Context(), caller, r.PathValue("id"))
	respond(w, http.StatusOK, shown, err)
}

func (d *Door) tell(w http.ResponseWriter, r *http.Request, caller identity.Caller) {
	in, leave, ok := d.read(w, r, caller, "text")
	if !ok {
		return
	}
	defer leave()
	respond(w, http.StatusOK, struct{}{}, d.runs.Say(r.Context(), caller, r.PathValue("id"), in["text"]))
}

func (d *Door) end(w http.ResponseWriter, r *http.Request, caller identity.Caller) {
	if r.ContentLength != 0 { // a body would say something that nobody heeds
		_, leave, ok := d.read(w, r, caller)
		if !ok {
			return
		}
		defer leave()
	}
	_, err := d.runs.End(r.Context(), caller, r.PathValue("id"))
	respond(w, http.StatusOK, struct{}{}, err)
}

// read reads a body: one JSON object of texts with these names and no others.
func (d *Door) read(w http.ResponseWriter, r *http.Request, caller identity.Caller, names ...string) (in map[string]string, leave func(), ok bool) {
	if !guard.IsJSON(r) {
		refuse(w, http.StatusUnsupportedMediaType, "Content-Type must be application/json, in UTF-8")
		return nil, nil, false
	}
	body, leave, status, err := d.room.Body(w, r, caller.By(), maxBody)
	if err != nil {
		refuse(w, status, err.Error())
		return nil, nil, false
	}
	in, err = parse(body, names)
	if err != nil {
		leave()
		refuse(w, http.StatusBadRequest, err.Error())
		return nil, nil, false
	}
	return in, leave, true
}

// parse is strict: what one reader overlooks another may take as meant.
func parse(body []byte, names []string) (map[string]string, error) {
	object, err := sallyport.Parse(body)
	if err != nil {
		return nil, err
	}
	if object.Type() != sallyport.Object {
		return nil, errors.New("the body must be a JSON object")
	}
	in := map[string]string{}
	for name, value := range object.Members() {
		text, isText := value.Text()
		switch {
		case !slices.Contains(names, name):
			return nil, fmt.Errorf("%q is not known here; known are %q", name, names)
		case !isText:
			return nil, fmt.Errorf("%q must be a text", name)
		}
		in[name] = text
	}
	return in, nil
}

// respond answers with a value or with what went wrong.
func respond(w http.ResponseWriter, status int, value any, err error) {
	switch {
	case err == nil:
	case errors.Is(err, identity.ErrForbidden):
		refuse(w, http.StatusForbidden, err.Error())
		return
	case errors.Is(err, identity.ErrNoRun):
		refuse(w, http.StatusNotFound, err.Error())
		return
	case errors.Is(err, identity.ErrUnrecorded):
		refuse(w, http.StatusServiceUnavailable, err.Error())
		return
	default:
		refuse(w, http.StatusBadRequest, err.Error())
		return
	}
	write(w, status, value)
}

func refuse(w http.ResponseWriter, status int, text string) {
	write(w, status, map[string]string{"error": text})
}

func write(w http.ResponseWriter, status int, value any) {
	w.Header().Set("Content-Type", "application/json")
	w.Header().Set("Cache-Control", "no-store") // it may hold a token
	w.WriteHeader(status)
	_ = json.NewEncoder(w).Encode(value) // nobody is left to tell
}
