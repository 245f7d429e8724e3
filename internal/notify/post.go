package notify

import (
	"context"
	"crypto/hmac"
	"crypto/sha256"
	"encoding/base64"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"strconv"
	"strings"
	"time"

	"github.com/cenkalti/backoff/v5"

	"sallyport/internal/upstream/remote"
)

// post sends messages to a URL: no redirect, no proxy, and no address that the
// operator did not mean.
type post struct {
	target Target
	remote *remote.Remote
	err    error // why it can't be reached at all
}

func newPost(t Target) *post {
	p := &post{target: t, err: remote.Config{URL: t.URL}.Check()}
	if p.err == nil {
		p.remote = remote.New(remote.Config{URL: t.URL, Allow: t.Allow}, nil)
	}
	return p
}

func (p *post) send(ctx context.Context, e Event) error {
	if p.err != nil {
		return backoff.Permanent(p.err)
	}
	body, err := json.Marshal(messages[p.target.Kind](e))
	if err != nil {
		return backoff.Permanent(err)
	}
	header := p.remote.Header(5)
	header["Content-Type"] = []string{"application/json"}
	if p.target.Kind == Webhook {
		if err := sign(header, p.target.Key, e.ID, time.Now(), body); err != nil {
			return backoff.Permanent(err)
		}
	}
	response, err := p.remote.Do(ctx, http.MethodPost, p.remote.URL, header, body)
	if err != nil {
		return err
	}
	defer response.Body.Close()
	_, _ = io.Copy(io.Discard, io.LimitReader(response.Body, 64<<10)) // so that the connection can be used again
	switch code := response.StatusCode; {
	case code >= 200 && code < 300:
		return nil
	case code == http.StatusRequestTimeout || code == http.StatusTooEarly || code == http.StatusTooManyRequests || code >= 500:
		return fmt.Errorf("answered HTTP %d", code)
	default: // the same will be refused again; a redirect is never followed
		return backoff.Permanent(fmt.Errorf("answered HTTP %d", code))
	}
}

// keyPrefix begins the keys of Standard Webhooks.
const keyPrefix = "whsec_"

// sign signs a message as Standard Webhooks has it, so that its receiver knows
// who sent it, and that it is not an old one.
func sign(header http.Header, key, id string, at time.Time, body []byte) error {
	secret, err := base64.StdEncoding.DecodeString(strings.TrimPrefix(key, keyPrefix))
	if err != nil || len(secret) < 24 {
		return errors.New("the key of a webhook is whsec_ and at least 24 bytes in base64")
	}
	stamp := strconv.FormatInt(at.Unix(), 10)
	mac := hmac.New(sha256.New, secret)
	fmt.Fprintf(mac, "%s.%s.", id, stamp)
	mac.Write(body)
	header["Webhook-Id"] = []string{id}
	header["Webhook-Timestamp"] = []string{stamp}
	header["Webhook-Signature"] = []string{"v1," + base64.StdEncoding.EncodeToString(mac.Sum(nil))}
	return nil
}
