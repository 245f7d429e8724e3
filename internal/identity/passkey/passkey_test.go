package passkey

import (
	"context"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/sha256"
	"encoding/base64"
	"encoding/binary"
	"encoding/json"
	"errors"
	"fmt"
	"strings"
	"testing"
	"time"

	"github.com/go-webauthn/webauthn/protocol/webauthncbor"

	"sallyport"
)

const site = "http://localhost:7717"

// records keeps records in memory.
type records map[string][]byte

func (r records) Credentials(context.Context) (map[string][]byte, error) { return r, nil }
func (r records) SaveCredential(_ context.Context, name string, record []byte) error {
	r[name] = record
	return nil
}

// device holds one passkey.
type device struct {
	key     *ecdsa.PrivateKey
	id      []byte
	handle  string
	counter uint32
	origin  string
	flags   byte // user present, verified
}

func newDevice(t *testing.T) *device {
	t.Helper()
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	d := &device{key: key, id: make([]byte, 16), origin: site, flags: 0x05}
	rand.Read(d.id)
	return d
}

func b64(raw []byte) string { return base64.RawURLEncoding.EncodeToString(raw) }

// client is what a browser says of a ceremony.
func (d *device) client(t *testing.T, kind string, ask []byte) []byte {
	t.Helper()
	var asked struct {
		Challenge string
		User      struct{ ID string }
	}
	if err := json.Unmarshal(ask, &asked); err != nil {
		t.Fatal(err)
	}
	if asked.User.ID != "" {
		d.handle = asked.User.ID
	}
	text, err := json.Marshal(map[string]any{"type": kind, "challenge": asked.Challenge, "origin": d.origin, "crossOrigin": false})
	if err != nil {
		t.Fatal(err)
	}
	return text
}

func (d *device) data(attested bool) []byte {
	d.counter++
	hash := sha256.Sum256([]byte("localhost"))
	flags := d.flags
	if attested {
		flags |= 0x40
	}
	return binary.BigEndian.AppendUint32(append(hash[:], flags), d.counter)
}

func (d *device) enrol(t *testing.T, ask []byte) []byte {
	t.Helper()
	client := d.client(t, "webauthn.create", ask)
	public, err := d.key.PublicKey.Bytes()
	if err != nil {
		t.Fatal(err)
	}
	key, err := webauthncbor.Marshal(map[int]any{1: 2, 3: -7, -1: 1, -2: public[1:33], -3: public[33:]})
	if err != nil {
		t.Fatal(err)
	}
	data := append(d.data(true), make([]byte, 16)...) // no model of device
	data = append(append(binary.BigEndian.AppendUint16(data, uint16(len(d.id))), d.id...), key...)
	object, err := webauthncbor.Marshal(map[string]any{"fmt": "none", "attStmt": map[string]any{}, "authData": data})
	if err != nil {
		t.Fatal(err)
	}
	return answer(t, d.id, map[string]string{"clientDataJSON": b64(client), "attestationObject": b64(object)})
}

func (d *device) show(t *testing.T, ask []byte) []byte {
	t.Helper()
	client := d.client(t, "webauthn.get", ask)
	data, hash := d.data(false), sha256.Sum256(client)
	digest := sha256.Sum256(append(append([]byte{}, data...), hash[:]...))
	signature, err := ecdsa.SignASN1(rand.Reader, d.key, digest[:])
	if err != nil {
		t.Fatal(err)
	}
	return answer(t, d.id, map[string]string{"clientDataJSON": b64(client), "authenticatorData": b64(data), "signature": b64(signature), "userHandle": d.handle})
}

func answer(t *testing.T, id []byte, response map[string]string) []byte {
	t.Helper()
	text, err := json.Marshal(map[string]any{"id": b64(id), "rawId": b64(id), "type": "public-key", "response": response, "clientExtensionResults": map[string]any{}})
	if err != nil {
		t.Fatal(err)
	}
	return text
}

type clock struct{ at time.Time }

func (c *clock) now() time.Time { return c.at }

// enrolled is a device of a person.
func enrolled(t *testing.T, p *Passkeys, person string) *device {
	t.Helper()
	d := newDevice(t)
	id, ask, err := p.BeginEnrol(t.Context(), site, person)
	if err == nil {
		err = p.FinishEnrol(t.Context(), id, d.enrol(t, ask))
	}
	if err != nil {
		t.Fatal(err)
	}
	return d
}

func begin(t *testing.T, p *Passkeys, person string, bound sallyport.Digest) (string, []byte) {
	t.Helper()
	id, ask, err := p.BeginShow(t.Context(), site, person, bound)
	if err != nil {
		t.Fatal(err)
	}
	return id, ask
}

func TestShow(t *testing.T) {
	store, c := records{}, &clock{time.Now()}
	p := New(store, c.now)
	maren, curtis := enrolled(t, p, "maren"), enrolled(t, p, "curtis")
	p = New(store, c.now) // it is kept
	if n, err := p.Has(t.Context(), site, "maren"); n != 1 || err != nil {
		t.Errorf("%d passkeys, %v", n, err)
	}
	if n, _ := p.Has(t.Context(), "https://gate.example", "maren"); n != 0 {
		t.Error("a passkey of another site counts")
	}
	none, one := sallyport.Digest{}, sallyport.DigestOf([]byte("one question"))
	for _, person := range []string{"maren", ""} {
		id, ask := begin(t, p, person, none)
		if who, err := p.FinishShow(t.Context(), id, maren.show(t, ask), none); who != "maren" || err != nil {
			t.Errorf("shown as %q: %v", who, err)
		}
	}
	// The question that is agreed to is part of what is signed.
	id, ask := begin(t, p, "maren", one)
	var asked struct{ Challenge string }
	if err := json.Unmarshal(ask, &asked); err != nil {
		t.Fatal(err)
	}
	if challenge, _ := base64.RawURLEncoding.DecodeString(asked.Challenge); !strings.HasSuffix(string(challenge), string(one[:])) || len(challenge) != 48 {
		t.Errorf("signed is %x", challenge)
	}
	signed := maren.show(t, ask)
	if who, err := p.FinishShow(t.Context(), id, signed, one); who != "maren" || err != nil {
		t.Errorf("shown as %q: %v", who, err)
	}
	if _, err := p.FinishShow(t.Context(), id, signed, one); !errors.Is(err, ErrOver) {
		t.Errorf("a signature was taken twice: %v", err)
	}
	for name, try := range map[string]func() (string, []byte, sallyport.Digest){
		"a login as a yes": func() (string, []byte, sallyport.Digest) {
			id, ask := begin(t, p, "maren", none)
			return id, maren.show(t, ask), one
		},
		"a yes as a login": func() (string, []byte, sallyport.Digest) {
			id, ask := begin(t, p, "maren", one)
			return id, maren.show(t, ask), none
		},
		"another person's": func() (string, []byte, sallyport.Digest) {
			id, ask := begin(t, p, "maren", one)
			return id, curtis.show(t, ask), one
		},
		"what another ceremony asked": func() (string, []byte, sallyport.Digest) {
			_, ask := begin(t, p, "maren", one)
			id, _ := begin(t, p, "maren", one)
			return id, maren.show(t, ask), one
		},
		"another site": func() (string, []byte, sallyport.Digest) {
			id, ask := begin(t, p, "maren", one)
			thief := *maren
			thief.origin = "http://localhost:3000"
			return id, thief.show(t, ask), one
		},
		"a device that did not ask its user": func() (string, []byte, sallyport.Digest) {
			id, ask := begin(t, p, "maren", one)
			lax := *maren
			lax.flags = 0x01
			return id, lax.show(t, ask), one
		},
		"a device nobody enrolled": func() (string, []byte, sallyport.Digest) {
			id, ask := begin(t, p, "", none)
			d := newDevice(t)
			d.handle = maren.handle
			return id, d.show(t, ask), none
		},
		"an enrolment": func() (string, []byte, sallyport.Digest) {
			id, ask, err := p.BeginEnrol(t.Context(), site, "maren")
			if err != nil {
				t.Fatal(err)
			}
			return id, maren.show(t, ask), none
		},
		"too late": func() (string, []byte, sallyport.Digest) {
			id, ask := begin(t, p, "maren", one)
			c.at = c.at.Add(open)
			return id, maren.show(t, ask), one
		},
		"nothing": func() (string, []byte, sallyport.Digest) {
			id, _ := begin(t, p, "maren", one)
			return id, []byte(`{}`), one
		},
	} {
		id, text, bound := try()
		if who, err := p.FinishShow(t.Context(), id, text, bound); err == nil || who != "" {
			t.Errorf("%s was taken, as %q", name, who)
		}
	}
	// A copy of the device has its own counter.
	maren.counter = 0
	id, ask = begin(t, p, "maren", none)
	if _, err := p.FinishShow(t.Context(), id, maren.show(t, ask), none); err == nil || !strings.Contains(err.Error(), "copy") {
		t.Errorf("a copy was taken: %v", err)
	}
}

func TestEnrol(t *testing.T) {
	p := New(records{}, time.Now)
	for _, address := range []string{"http://127.0.0.1:7717", "http://[::1]:7717", "http://10.0.0.1", ""} {
		if _, _, err := p.BeginEnrol(t.Context(), address, "maren"); err == nil {
			t.Errorf("a passkey for %q", address)
		}
	}
	if _, _, err := p.BeginShow(t.Context(), site, "maren", sallyport.Digest{}); !errors.Is(err, ErrNone) {
		t.Errorf("nobody has any: %v", err)
	}
	id, ask, err := p.BeginEnrol(t.Context(), site, "maren")
	if err != nil {
		t.Fatal(err)
	}
	lax := newDevice(t)
	lax.flags = 0x01
	if err := p.FinishEnrol(t.Context(), id, lax.enrol(t, ask)); err == nil {
		t.Error("a device that does not ask its user was enrolled")
	}
	if err := p.FinishEnrol(t.Context(), id, newDevice(t).enrol(t, ask)); !errors.Is(err, ErrOver) {
		t.Errorf("enrolled twice with one ceremony: %v", err)
	}
	d := enrolled(t, p, "maren")
	id, ask = begin(t, p, "maren", sallyport.Digest{})
	if err := p.FinishEnrol(t.Context(), id, d.enrol(t, ask)); !errors.Is(err, ErrOver) {
		t.Errorf("a login enrolled something: %v", err)
	}
	// Logins, which anybody can begin, keep nobody from logging in or answering.
	for range maxOpen {
		begin(t, p, "maren", sallyport.Digest{})
	}
	if _, _, err := p.BeginShow(t.Context(), site, "maren", sallyport.Digest{}); err == nil {
		t.Error("ceremonies of a person without end")
	}
	first, _ := begin(t, p, "", sallyport.Digest{})
	for n := range maxLogins - 1 {
		p.ceremonies[fmt.Sprint(n)] = &ceremony{until: p.ceremonies[first].until.Add(time.Duration(n+1) * time.Millisecond)}
	}
	id, ask = begin(t, p, "", sallyport.Digest{})
	if p.ceremonies[first] != nil || len(p.ceremonies) != maxLogins+maxOpen {
		t.Errorf("%d ceremonies", len(p.ceremonies))
	}
	if who, err := p.FinishShow(t.Context(), id, d.show(t, ask), sallyport.Digest{}); who != "maren" || err != nil {
		t.Errorf("while others begin: %q, %v", who, err)
	}
}

// With another secret the passkeys that somebody enrolled with the old one are no
// more, nor what they had begun.
func TestForget(t *testing.T) {
	store := records{}
	p := New(store, time.Now)
	d, other := enrolled(t, p, "maren"), enrolled(t, p, "curtis")
	id, ask := begin(t, p, "maren", sallyport.Digest{})
	enrols, request, err := p.BeginEnrol(t.Context(), site, "maren")
	if err == nil {
		err = p.Forget(t.Context(), "maren")
	}
	if err == nil {
		err = p.Forget(t.Context(), "nobody")
	}
	if err != nil {
		t.Fatal(err)
	}
	for _, p := range []*Passkeys{p, New(store, time.Now)} {
		if n, err := p.Has(t.Context(), site, "maren"); n != 0 || err != nil {
			t.Errorf("%d left, %v", n, err)
		}
	}
	if _, err := p.FinishShow(t.Context(), id, d.show(t, ask), sallyport.Digest{}); err == nil {
		t.Error("what was begun before is good")
	}
	if err := p.FinishEnrol(t.Context(), enrols, newDevice(t).enrol(t, request)); err == nil {
		t.Error("an enrolment that was begun before is good")
	}
	id, ask = begin(t, p, "", sallyport.Digest{})
	if who, err := p.FinishShow(t.Context(), id, d.show(t, ask), sallyport.Digest{}); err == nil {
		t.Errorf("it logs %q in", who)
	}
	id, ask = begin(t, p, "", sallyport.Digest{})
	if who, err := p.FinishShow(t.Context(), id, other.show(t, ask), sallyport.Digest{}); who != "curtis" || err != nil {
		t.Errorf("another person: %q, %v", who, err)
	}
}
