package memory

import (
	"testing"

	"sallyport/internal/scope"
)

// What the agent may have got and nobody here has seen counts as the worst, at
// once and after a restart.
func TestMissed(t *testing.T) {
	r := newRecord()
	m := New(r, r, scope.Default)
	call := callOf("r_1", "c_1", "mail", "read_mail", `{"id":"1"}`)
	if flow := flowOf(m, r, call); flow.Run.SawUntrusted {
		t.Fatalf("%+v", flow.Run)
	}
	m.Missed(call)
	if flow := flowOf(m, r, call); !flow.Run.SawUntrusted {
		t.Errorf("%+v", flow.Run)
	}
	r.acts["r_1"] = []Act{{Call: "c_1", Server: "mail", Tool: "read_mail"}}
	if flow := flowOf(New(r, r, scope.Default), r, call); !flow.Run.SawUntrusted {
		t.Errorf("after a restart: %+v", flow.Run)
	}
}
