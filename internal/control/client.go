package control

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
)

// Client speaks to a gateway.
type Client struct {
	http http.Client
}

// Dial makes a client of the gateway that runs in a state directory.
func Dial(dir string) *Client {
	return &Client{http.Client{Transport: &http.Transport{DialContext: func(ctx context.Context, _, _ string) (net.Conn, error) { return dial(ctx, dir) }}}}
}

// Local makes a client of a handler in this process.
func Local(handler http.Handler) *Client {
	return &Client{http.Client{Transport: inProcess{handler}}}
}

// Get asks for something.
func Get[Out any](ctx context.Context, c *Client, path string) (out Out, err error) {
	return out, c.Get(ctx, path, &out)
}

// Post asks for something to be done.
func Post[Out any](ctx context.Context, c *Client, path string, in any) (out Out, err error) {
	return out, c.Post(ctx, path, in, &out)
}

// Get is Get for who does not have the answer's own type.
func (c *Client) Get(ctx context.Context, path string, out any) error {
	return c.exchange(ctx, http.MethodGet, path, nil, out)
}

// Post is Post for who does not have the answer's own type.
func (c *Client) Post(ctx context.Context, path string, in, out any) error {
	body, err := json.Marshal(in)
	if err != nil {
		return err
	}
	return c.exchange(ctx, http.MethodPost, path, body, out)
}

func (c *Client) exchange(ctx context.Context, method, path string, body []byte, out any) error {
	answer, err := c.do(ctx, method, path, body)
	if err != nil {
		return err
	}
	defer answer.Close()
	if err := json.NewDecoder(answer).Decode(out); err != nil {
		return fmt.Errorf("the gateway's answer is malformed; is it of another version? %w", err)
	}
	return nil
}

// Stream asks for an answer that is read as it comes.
func (c *Client) Stream(ctx context.Context, method, path string, in any) (io.ReadCloser, error) {
	var body []byte
	if in != nil {
		var err error
		if body, err = json.Marshal(in); err != nil {
			return nil, err
		}
	}
	return c.do(ctx, method, path, body)
}

func (c *Client) do(ctx context.Context, method, path string, body []byte) (io.ReadCloser, error) {
	request, err := http.NewRequestWithContext(ctx, method, "http://sallyport"+path, bytes.NewReader(body))
	if err != nil {
		return nil, err
	}
	response, err := c.http.Do(request)
	if err != nil {
		return nil, fmt.Errorf("the gateway does not answer: %w", errors.Unwrap(err))
	}
	if response.StatusCode == http.StatusOK {
		return response.Body, nil
	}
	defer response.Body.Close()
	text, err := io.ReadAll(io.LimitReader(response.Body, 1<<20))
	if err != nil {
		return nil, err
	}
	var p problem
	if json.Unmarshal(text, &p) != nil || p.Error == "" {
		return nil, fmt.Errorf("the gateway answered %s: is it of another version?", response.Status)
	}
	return nil, &CodedError{p.Code, p.Error}
}
