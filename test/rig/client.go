package rig

import (
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"time"
)

// Client is a driver in test/clients: a client that others wrote, speaking one era
// over one transport.
type Client struct {
	Script string
	Era    string // what the driver is told; empty is the client's own choice
	More   []string
}

// Target is where a client finds its server: a URL, or the command of a stdio one.
type Target struct {
	URL, Token string
	Command    []string
}

// Call is one tool call.
type Call struct {
	Tool string
	Args map[string]any
}

// Answer is what a driver prints.
type Answer struct {
	Tools    []string
	OK       bool
	IsError  bool
	Text     string
	Progress []string // what was said of it before the result
	Opened   []string // pages that the user was shown, or the texts of forms
}

// Do lets the client make the calls, in one process: starting Node and the client
// takes longer than all they do.
func (c Client) Do(ctx context.Context, to Target, calls ...Call) ([]Answer, error) {
	return c.run(ctx, to, nil, calls)
}

// ListAndDo lets it list the tools first.
func (c Client) ListAndDo(ctx context.Context, to Target, calls ...Call) (tools []string, answers []Answer, err error) {
	answers, err = c.run(ctx, to, []string{"--list"}, calls)
	if err != nil {
		return nil, nil, err
	}
	return answers[0].Tools, answers[1:], nil
}

func (c Client) run(ctx context.Context, to Target, args []string, calls []Call) ([]Answer, error) {
	wanted := len(args) + len(calls)
	if to.URL != "" {
		args = append(args, "--url", to.URL)
	} else {
		command, err := json.Marshal(to.Command)
		if err != nil {
			return nil, err
		}
		args = append(args, "--stdio", string(command))
	}
	if to.Token != "" {
		args = append(args, "--token", to.Token)
	}
	if c.Era != "" {
		args = append(args, "--era", c.Era)
	}
	for _, call := range calls {
		arguments, err := json.Marshal(call.Args)
		if err != nil {
			return nil, err
		}
		args = append(args, "--call", call.Tool, "--args", string(arguments))
	}
	args = append(args, c.More...)
	ctx, cancel := context.WithTimeout(ctx, 2*time.Minute)
	defer cancel()
	cmd, err := Node(ctx, "clients/"+c.Script+".mjs", args...)
	if err != nil {
		return nil, err
	}
	var stderr bytes.Buffer
	cmd.Stderr = &stderr
	out, err := cmd.Output()
	lines := bytes.Split(bytes.TrimSpace(out), []byte("\n"))
	if err != nil || len(lines) != wanted {
		return nil, fmt.Errorf("%s %q broke: %v\n%s%s", c.Script, args, err, out, &stderr)
	}
	answers := make([]Answer, wanted)
	for i, line := range lines {
		if err := json.Unmarshal(line, &answers[i]); err != nil {
			return nil, fmt.Errorf("%s said %q: %w", c.Script, line, err)
		}
	}
	return answers, nil
}
