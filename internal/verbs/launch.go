package verbs

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"os"
	"strings"

	"sallyport/internal/control"
	"sallyport/internal/identity"
	"sallyport/internal/terminal"
	"sallyport/internal/verbs/launch"
)

// launcher begins and ends runs: with the human's secret over the control
// socket, or with a source's token over HTTP.
type launcher struct {
	begin func(ctx context.Context, wanted control.NewRun) (identity.Begun, error)
	end   func(ctx context.Context, run identity.Begun) error
}

func (k Kit) launcher(ctx context.Context, flags runFlags) (launcher, error) {
	token := os.Getenv(launch.SourceVariable)
	if flags.tokenFile != "" {
		var err error
		if token, err = terminal.SecretFile(flags.tokenFile, nil); err != nil {
			return launcher{}, err
		}
	}
	if token != "" {
		return overHTTP(strings.TrimSuffix(flags.url, "/mcp"), token), nil
	}
	dir, err := k.Dir()
	if err != nil {
		return launcher{}, err
	}
	if !control.Running(dir) {
		return launcher{}, k.Usage("without a gateway on this machine a run takes the token of a source: name a file with --source-token-file, or set %s", launch.SourceVariable)
	}
	gate := control.Dial(dir)
	secret, err := k.Secret(ctx, gate)
	if err != nil {
		return launcher{}, err
	}
	return launcher{
		begin: func(ctx context.Context, wanted control.NewRun) (identity.Begun, error) {
			wanted.Secret = secret
			return control.Post[identity.Begun](ctx, gate, "/runs", wanted)
		},
		end: func(ctx context.Context, run identity.Begun) error {
			_, err := control.Post[control.RunEnded](ctx, gate, "/runs/"+run.Run+"/end", control.RunEnd{})
			return err
		},
	}, nil
}

func overHTTP(base, token string) launcher {
	post := func(ctx context.Context, path string, in, out any) error {
		body, err := json.Marshal(in)
		if err != nil {
			return err
		}
		request, err := http.NewRequestWithContext(ctx, http.MethodPost, base+"/v1/runs"+path, bytes.NewReader(body))
		if err != nil {
			return err
		}
		request.Header.Set("Content-Type", "application/json")
		request.Header.Set("Authorization", "Bearer "+token)
		client := http.Client{CheckRedirect: func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse }}
		response, err := client.Do(request)
		if err != nil {
			return fmt.Errorf("the gateway does not answer: %w", errors.Unwrap(err))
		}
		defer response.Body.Close()
		text, err := io.ReadAll(io.LimitReader(response.Body, 1<<20))
		if err != nil {
			return err
		}
		var problem struct{ Error string }
		switch {
		case response.StatusCode/100 == 2:
			return json.Unmarshal(text, out)
		case json.Unmarshal(text, &problem) != nil || problem.Error == "":
			return fmt.Errorf("%s answered %s: is it the address of a gateway?", base, response.Status)
		case response.StatusCode == http.StatusUnauthorized || response.StatusCode == http.StatusForbidden:
			return &control.CodedError{Code: control.Denied, Text: problem.Error}
		default:
			return errors.New(problem.Error)
		}
	}
	return launcher{
		begin: func(ctx context.Context, wanted control.NewRun) (begun identity.Begun, err error) {
			in := map[string]string{"agent": wanted.Agent, "user": wanted.For, "task": wanted.Task, "parent": wanted.Parent}
			return begun, post(ctx, "", in, &begun)
		},
		end: func(ctx context.Context, run identity.Begun) error {
			return post(ctx, "/"+run.Run+"/end", struct{}{}, &struct{}{})
		},
	}
}
