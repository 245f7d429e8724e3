// Package session keeps what browsers have shown: in memory, so that a restart
// ends it all.
package session

import (
	"crypto/rand"
	"crypto/sha256"
	"crypto/subtle"
	"encoding/base64"
	"maps"
	"net/http"
	"sync"
	"time"

	"sallyport"
	"sallyport/internal/sse"
)

// A Session is what a browser has shown. One that began with a link shows the
// console; one that began with a person's secret or passkey can answer, too.
type Session struct {
	Who    string // the person; empty where nobody has shown who they are
	key    sallyport.Digest
	cookie sallyport.Digest
	began  time.Time
	seen   time.Time
}

// Person reports whether the session can answer.
func (s *Session) Person() bool { return s.Who != "" }

// Is reports whether two are the same session.
func (s *Session) Is(other *Session) bool { return s.cookie == other.cookie }

const (
	// Longest is how long a session lasts, Idle how long without a request.
	Longest, Idle = 12 * time.Hour, time.Hour
	// LinkFor is how long a link can be opened.
	LinkFor = 10 * time.Minute
	// most is how many sessions, and links, there are; the oldest makes room.
	most = 256
)

// Sessions are kept in memory alone: a restart ends them.
type Sessions struct {
	Now func() time.Time
	mu  sync.Mutex
	// Proving is held while a secret is looked at.
	Proving sync.Mutex
	all     map[sallyport.Digest]*Session  // by the hash of their cookie
	links   map[sallyport.Digest]time.Time // by their hash: until when
	vouched map[sallyport.Digest]voucher
	noted   time.Time // when a refused login was put on the record last
}

// voucher is the word of a session for one act of its person.
type voucher struct {
	who, how string
	signed   sallyport.Digest // by a passkey
	until    time.Time
}

// What a person has shown who has logged in, and whose device has signed the very
// thing that is done.
const BySession, ByPasskey = "session", "passkey"

// VouchFor is how long a voucher is good: it goes no further than the gate.
const VouchFor = 30 * time.Second

// token is fresh and can't be guessed; only its hash is kept.
func token() (text string, hash sallyport.Digest) {
	var raw [32]byte
	rand.Read(raw[:]) // never fails (crypto/rand)
	text = base64.RawURLEncoding.EncodeToString(raw[:])
	return text, sha256.Sum256([]byte(text))
}

// Begin makes a session. The cookie shows; the key, which no cookie and no page
// holds, acts. A browser sends the cookie to every port of this machine, so a
// server that an agent started could get hold of it, and not of the key.
func (s *Sessions) Begin(who string) (cookie, key string) {
	one := &Session{Who: who, began: s.Now(), seen: s.Now()}
	cookie, one.cookie = token()
	key, one.key = token()
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.all == nil {
		s.all = map[sallyport.Digest]*Session{}
	}
	s.drop()
	s.all[one.cookie] = one
	return cookie, key
}

// drop forgets what is over and, when there are too many, the one that was seen
// the longest ago. Links cost nothing to whoever reaches the control socket: they
// push nobody out who has logged in.
func (s *Sessions) drop() {
	var oldest *Session
	for hash, one := range s.all {
		switch {
		case s.over(one):
			delete(s.all, hash)
		case oldest == nil || one.Person() != oldest.Person() && oldest.Person() || one.Person() == oldest.Person() && one.seen.Before(oldest.seen):
			oldest = one
		}
	}
	if len(s.all) >= most {
		delete(s.all, oldest.cookie)
	}
}

func (s *Sessions) over(one *Session) bool {
	now := s.Now()
	return now.Sub(one.began) >= Longest || now.Sub(one.seen) >= Idle
}

// Of is the session of a request, nil when it has none.
func (s *Sessions) Of(r *http.Request, cookie string) *Session {
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
	if r.Header.Get(ByItself) == "" && r.Header.Get("Accept") != sse.ContentType {
		one.seen = s.Now()
	}
	seen := *one
	return &seen
}

// ByItself is on what a page fetches by itself: a page left open must not keep
// its session alive.
const ByItself = "X-Sallyport-Live"

// Acts reports whether a request shows the session's key.
func (s *Session) Acts(r *http.Request) bool {
	sent := sha256.Sum256([]byte(r.Header.Get(KeyHeader)))
	return subtle.ConstantTimeCompare(sent[:], s.key[:]) == 1
}

// KeyHeader carries the key. A page of another origin can't set it without
// being asked first (CORS).
const KeyHeader = "X-Sallyport-Key"

// Notable reports whether a refused login goes on the record.
func (s *Sessions) Notable() bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.Now().Sub(s.noted) < time.Second {
		return false
	}
	s.noted = s.Now()
	return true
}

// EndAll forgets all sessions of a person.
func (s *Sessions) EndAll(who string) {
	s.mu.Lock()
	defer s.mu.Unlock()
	maps.DeleteFunc(s.all, func(_ sallyport.Digest, one *Session) bool { return one.Who == who })
}

// End forgets a session.
func (s *Sessions) End(one *Session) {
	s.mu.Lock()
	defer s.mu.Unlock()
	delete(s.all, one.cookie)
}

// Link is a fresh link's token.
func (s *Sessions) Link() string {
	text, hash := token()
	s.mu.Lock()
	defer s.mu.Unlock()
	for old, until := range s.links {
		if !s.Now().Before(until) {
			delete(s.links, old)
		}
	}
	if s.links == nil || len(s.links) >= most {
		s.links = map[sallyport.Digest]time.Time{}
	}
	s.links[hash] = s.Now().Add(LinkFor)
	return text
}

// Take uses a link up.
func (s *Sessions) Take(text string) bool {
	hash := sallyport.Digest(sha256.Sum256([]byte(text)))
	s.mu.Lock()
	defer s.mu.Unlock()
	until, known := s.links[hash]
	delete(s.links, hash)
	return known && s.Now().Before(until)
}

// Vouch is a secret for one act of a person who has logged in.
func (s *Sessions) Vouch(who string) string {
	return s.vouch(voucher{who: who, how: BySession})
}

// VouchSigned is Vouch for a person whose passkey has signed what is done.
func (s *Sessions) VouchSigned(who string, signed sallyport.Digest) string {
	return s.vouch(voucher{who: who, how: ByPasskey, signed: signed})
}

func (s *Sessions) vouch(v voucher) string {
	text, hash := token()
	v.until = s.Now().Add(VouchFor)
	s.mu.Lock()
	defer s.mu.Unlock()
	for old, one := range s.vouched {
		if !s.Now().Before(one.until) {
			delete(s.vouched, old)
		}
	}
	if s.vouched == nil {
		s.vouched = map[sallyport.Digest]voucher{}
	}
	s.vouched[hash] = v
	return text
}

// Whose is whose voucher a secret is, which stays one; "" when it is none.
func (s *Sessions) Whose(secret string) string {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.vouched[sha256.Sum256([]byte(secret))].who
}

// Vouched says what a person has shown whose voucher it is, which is used up, and
// what a passkey of theirs has signed.
func (s *Sessions) Vouched(who, secret string) (how string, signed sallyport.Digest, ok bool) {
	hash := sallyport.Digest(sha256.Sum256([]byte(secret)))
	s.mu.Lock()
	defer s.mu.Unlock()
	one, ok := s.vouched[hash]
	delete(s.vouched, hash)
	return one.how, one.signed, ok && one.who == who && s.Now().Before(one.until)
}
