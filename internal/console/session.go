package console

import (
	"crypto/rand"
	"crypto/sha256"
	"crypto/subtle"
	"encoding/base64"
	"errors"
	"net/http"
	"sync"
	"time"

	"sallyport"
	"sallyport/internal/sse"
)

// A session is what a browser has shown. One that began with a link shows the
// console; one that began with a person's secret or passkey can answer, too.
type session struct {
	Who    string // the person; empty where nobody has shown who they are
	key    sallyport.Digest
	cookie sallyport.Digest
	began  time.Time
	seen   time.Time
}

// Person reports whether the session can answer.
func (s *session) Person() bool { return s.Who != "" }

const (
	// longest is how long a session lasts, idle how long without a request.
	longest, idle = 12 * time.Hour, time.Hour
	// linkFor is how long a link can be opened.
	linkFor = 10 * time.Minute
	// most is how many sessions, and links, there are; the oldest makes room.
	most = 256
)

// sessions are kept in memory alone: a restart ends them.
type sessions struct {
	now func() time.Time
	mu  sync.Mutex
	// proving is held while a secret is looked at.
	proving sync.Mutex
	all     map[sallyport.Digest]*session  // by the hash of their cookie
	links   map[sallyport.Digest]time.Time // by their hash: until when
	vouched map[sallyport.Digest]voucher
	noted   time.Time // when a refused login was put on the record last
}

// voucher is the word of a session for one act of its person.
type voucher struct {
	who, how string
	until    time.Time
}

// vouchFor is how long a voucher is good: it goes no further than the gate.
const vouchFor = 30 * time.Second

// token is fresh and can't be guessed; only its hash is kept.
func token() (text string, hash sallyport.Digest) {
	var raw [32]byte
	rand.Read(raw[:]) // never fails (crypto/rand)
	text = base64.RawURLEncoding.EncodeToString(raw[:])
	return text, sha256.Sum256([]byte(text))
}

// begin makes a session. The cookie shows; the key, which no cookie and no page
// holds, acts. A browser sends the cookie to every port of this machine, so a
// server that an agent started could get hold of it, and not of the key.
func (s *sessions) begin(who string) (cookie, key string) {
	one := &session{Who: who, began: s.now(), seen: s.now()}
	cookie, one.cookie = token()
	key, one.key = token()
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.all == nil {
		s.all = map[sallyport.Digest]*session{}
	}
	s.drop()
	s.all[one.cookie] = one
	return cookie, key
}

// drop forgets what is over, and the oldest when there are too many.
func (s *sessions) drop() {
	var oldest *session
	for hash, one := range s.all {
		if s.over(one) {
			delete(s.all, hash)
		} else if oldest == nil || one.seen.Before(oldest.seen) {
			oldest = one
		}
	}
	if len(s.all) >= most {
		delete(s.all, oldest.cookie)
	}
}

func (s *sessions) over(one *session) bool {
	now := s.now()
	return now.Sub(one.began) >= longest || now.Sub(one.seen) >= idle
}

// of is the session of a request, nil when it has none.
func (s *sessions) of(r *http.Request, cookie string) *session {
	sent, err := r.Cookie(cookie)
	if err != nil {
		return nil
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	one := s.all[sha256.Sum256([]byte(sent.Value))]
	if one == nil || s.over(one) {
		return nil
	}
	if r.Header.Get(byItself) == "" && r.Header.Get("Accept") != sse.ContentType {
		one.seen = s.now()
	}
	seen := *one
	return &seen
}

// byItself is on what a page fetches by itself: a page left open must not keep
// its session alive.
const byItself = "X-Sallyport-Live"

// acts reports whether a request shows the session's key.
func (s *session) acts(r *http.Request) bool {
	sent := sha256.Sum256([]byte(r.Header.Get(keyHeader)))
	return subtle.ConstantTimeCompare(sent[:], s.key[:]) == 1
}

// keyHeader carries the key. A page of another origin can't set it without
// being asked first (CORS).
const keyHeader = "X-Sallyport-Key"

// notable reports whether a refused login goes on the record.
func (s *sessions) notable() bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.now().Sub(s.noted) < time.Second {
		return false
	}
	s.noted = s.now()
	return true
}

func (s *sessions) end(one *session) {
	s.mu.Lock()
	defer s.mu.Unlock()
	delete(s.all, one.cookie)
}

// link is a fresh link's token.
func (s *sessions) link() string {
	text, hash := token()
	s.mu.Lock()
	defer s.mu.Unlock()
	for old, until := range s.links {
		if !s.now().Before(until) {
			delete(s.links, old)
		}
	}
	if s.links == nil || len(s.links) >= most {
		s.links = map[sallyport.Digest]time.Time{}
	}
	s.links[hash] = s.now().Add(linkFor)
	return text
}

// take uses a link up.
func (s *sessions) take(text string) bool {
	hash := sallyport.Digest(sha256.Sum256([]byte(text)))
	s.mu.Lock()
	defer s.mu.Unlock()
	until, known := s.links[hash]
	delete(s.links, hash)
	return known && s.now().Before(until)
}

// vouch is a secret for one act of a person who has shown who they are: how is
// what with.
func (s *sessions) vouch(who, how string) string {
	text, hash := token()
	s.mu.Lock()
	defer s.mu.Unlock()
	for old, one := range s.vouched {
		if !s.now().Before(one.until) {
			delete(s.vouched, old)
		}
	}
	if s.vouched == nil {
		s.vouched = map[sallyport.Digest]voucher{}
	}
	s.vouched[hash] = voucher{who, how, s.now().Add(vouchFor)}
	return text
}

// Vouched says what a person has shown here whose voucher it is, which is used
// up.
func (c *Console) Vouched(who, secret string) (how string, ok bool) {
	s := &c.sessions
	hash := sallyport.Digest(sha256.Sum256([]byte(secret)))
	s.mu.Lock()
	defer s.mu.Unlock()
	one, ok := s.vouched[hash]
	delete(s.vouched, hash)
	return one.how, ok && one.who == who && s.now().Before(one.until)
}

// Proven says what a person has shown who answers a question here. What takes two
// people takes the passkey of each.
func (c *Console) Proven(by string, asked *sallyport.Approval, voucher string) (strength string, err error) {
	how, ok := c.Vouched(by, voucher)
	switch {
	case !ok:
		return "", errors.New("your session is over: log in again")
	case asked.Class.Known() == sallyport.ClassPair && how != byPasskey:
		return "", errors.New("this takes your passkey")
	}
	return how, nil
}

// cookieName carries the prefix that has a browser refuse it from any other host,
// where there is https.
func (c *Console) cookieName() string {
	if c.secure {
		return "__Host-sallyport"
	}
	return "sallyport"
}

func (c *Console) setCookie(w http.ResponseWriter, value string) {
	cookie := &http.Cookie{Name: c.cookieName(), Value: value, Path: Path, HttpOnly: true, Secure: c.secure, SameSite: http.SameSiteStrictMode}
	if c.secure {
		cookie.Path = "/" // __Host- demands it
	}
	if value == "" {
		cookie.MaxAge = -1
	}
	http.SetCookie(w, cookie)
}
