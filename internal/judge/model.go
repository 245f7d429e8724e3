package judge

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"strconv"
	"sync"
	"time"

	"sallyport"
)

// Endpoint is where one judge answers.
type Endpoint struct {
	URL    string        // of an OpenAI-compatible API, up to and with its version; of a classifier, where it answers
	Model  string        // as the API names it
	Key    string        // bearer token, "" for none
	Within time.Duration // for one answer
	Tokens int           // a day; 0 for as many as it takes. A classifier has none
	// Err says why there is no endpoint although one is configured, such as a key
	// that is missing. Then every question fails.
	Err error
}

// Bounds of one question.
const (
	maxQuestion = 64 << 10 // bytes
	maxAnswer   = 64 << 10 // bytes
	maxTokens   = 1024     // of an answer
)

// client follows no redirect: a question goes where the operator said, and the
// key with it.
var client = &http.Client{CheckRedirect: func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse }}

// model asks one model for answers in a fixed form.
type model struct {
	Endpoint
	now func() time.Time

	mu    sync.Mutex
	day   string
	spent int // tokens of the day
}

// ask puts a question and reads the answer, a JSON object of the schema given,
// into answer. An error means that there is none: nothing may be concluded.
func (m *model) ask(ctx context.Context, instructions, question, schema string, answer any) error {
	if len(question) > maxQuestion {
		return fmt.Errorf("the question has %d bytes; at most %d are asked", len(question), maxQuestion)
	}
	// Before the answer is there it counts as long as it may become, in tokens of
	// about three bytes: racing questions must not spend more than there is.
	reserved := (len(instructions)+len(question)+len(schema))/3 + maxTokens
	day, err := m.reserve(reserved)
	if err != nil {
		return err
	}
	body, err := json.Marshal(map[string]any{
		"model": m.Model, "temperature": 0, "max_tokens": maxTokens,
		"messages":        []map[string]string{{"role": "system", "content": instructions}, {"role": "user", "content": question}},
		"response_format": map[string]any{"type": "json_schema", "json_schema": map[string]any{"name": "answer", "strict": true, "schema": json.RawMessage(schema)}},
	})
	if err != nil {
		return err
	}
	text, err := m.post(ctx, m.URL+"/chat/completions", body)
	if err != nil {
		return err // what was reserved stays spent: nobody knows what it cost
	}
	v, err := sallyport.Parse(text)
	if err != nil {
		return errors.New("the model's API answered what is no JSON")
	}
	if used, err := strconv.Atoi(string(v.Get("usage").Get("total_tokens").Raw())); err == nil && used >= 0 {
		m.settle(day, used-reserved)
	}
	var content string
	for i, choice := range v.Get("choices").Items() {
		if finished, _ := choice.Get("finish_reason").Text(); i > 0 || finished != "stop" {
			return errors.New("the model did not end its answer")
		}
		content, _ = choice.Get("message").Get("content").Text()
	}
	return strictly(content, answer)
}

// strictly reads an answer as it must be: duplicate and unknown names, and
// whatever stands around it, are no answer.
func strictly(content string, answer any) error {
	if _, err := sallyport.Parse([]byte(content)); err != nil {
		return errors.New("the model's answer has not the form that was asked for")
	}
	d := json.NewDecoder(bytes.NewReader([]byte(content)))
	d.DisallowUnknownFields()
	if err := d.Decode(answer); err != nil {
		return errors.New("the model's answer has not the form that was asked for")
	}
	return nil
}

// post sends JSON and gives the answer's bytes.
func (e *Endpoint) post(ctx context.Context, url string, body []byte) ([]byte, error) {
	if e.Err != nil {
		return nil, e.Err
	}
	ctx, cancel := context.WithTimeout(ctx, e.Within)
	defer cancel()
	request, err := http.NewRequestWithContext(ctx, http.MethodPost, url, bytes.NewReader(body))
	if err != nil {
		return nil, errors.New("the judge's URL is none")
	}
	request.Header.Set("Content-Type", "application/json")
	if e.Key != "" {
		request.Header.Set("Authorization", "Bearer "+e.Key)
	}
	response, err := client.Do(request)
	if err != nil {
		return nil, fmt.Errorf("the judge can't be reached, or takes longer than %s", e.Within) // err may name the URL, which may hold a key
	}
	defer response.Body.Close()
	if response.StatusCode != http.StatusOK {
		return nil, fmt.Errorf("the judge answered with HTTP status %d", response.StatusCode)
	}
	text, err := io.ReadAll(io.LimitReader(response.Body, maxAnswer+1))
	if err != nil || len(text) > maxAnswer {
		return nil, errors.New("the judge's answer broke off, or is too long")
	}
	return text, nil
}

// reserve takes tokens out of what the day has. An error means that there are
// not as many left.
func (m *model) reserve(tokens int) (day string, err error) {
	m.mu.Lock()
	defer m.mu.Unlock()
	if day = m.now().UTC().Format(time.DateOnly); day != m.day {
		m.day, m.spent = day, 0
	}
	if m.Tokens > 0 && m.spent+tokens > m.Tokens {
		return day, fmt.Errorf("the judge has used what it may of its %d tokens of this day", m.Tokens)
	}
	m.spent += tokens
	return day, nil
}

func (m *model) settle(day string, difference int) {
	m.mu.Lock()
	defer m.mu.Unlock()
	if day == m.day {
		m.spent += difference
	}
}
