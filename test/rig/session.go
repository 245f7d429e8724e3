package rig

import (
	"fmt"
	"io"
	"net/http"
	"strings"
)

// Session is one client's session of 2025-11-25, with a connection of its own.
type Session struct {
	url    string
	id     string
	client *http.Client
}

// Open begins a session.
func Open(url string) (*Session, error) {
	s := &Session{url: url, client: &http.Client{Transport: &http.Transport{MaxIdleConnsPerHost: 1}}}
	answer, err := s.Post(`{"jsonrpc":"2.0","id":1,"method":"initialize","params":{"protocolVersion":"2025-11-25","capabilities":{},"clientInfo":{"name":"rig","version":"1"}}}`)
	if err == nil && s.id == "" {
		err = fmt.Errorf("no session: %.500s", answer)
	}
	if err != nil {
		return nil, err
	}
	_, err = s.Post(`{"jsonrpc":"2.0","method":"notifications/initialized"}`)
	return s, err
}

// Post sends one message and returns the answer's body.
func (s *Session) Post(body string) ([]byte, error) {
	request, err := s.Request(http.MethodPost, body)
	if err != nil {
		return nil, err
	}
	response, err := s.client.Do(request)
	if err != nil {
		return nil, err
	}
	defer response.Body.Close()
	if id := response.Header.Get("Mcp-Session-Id"); id != "" {
		s.id = id
	}
	answer, err := io.ReadAll(response.Body)
	if err == nil && response.StatusCode >= 300 {
		err = fmt.Errorf("HTTP %d: %.200s", response.StatusCode, answer)
	}
	return answer, err
}

// Request is a request of the session, not sent yet.
func (s *Session) Request(method, body string) (*http.Request, error) {
	request, err := http.NewRequest(method, s.url, strings.NewReader(body))
	if err != nil {
		return nil, err
	}
	request.Header.Set("Content-Type", "application/json")
	request.Header.Set("Accept", "application/json, text/event-stream")
	if s.id != "" {
		request.Header.Set("Mcp-Session-Id", s.id)
		request.Header.Set("Mcp-Protocol-Version", "2025-11-25")
	}
	return request, nil
}

// Close ends the session, as clients do when they go.
func (s *Session) Close() {
	if request, err := s.Request(http.MethodDelete, ""); err == nil && s.id != "" {
		if response, err := s.client.Do(request); err == nil {
			response.Body.Close()
		}
	}
	s.client.CloseIdleConnections()
}
