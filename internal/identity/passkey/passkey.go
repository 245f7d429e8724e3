// Package passkey knows people by what only a device of theirs can sign
// (WebAuthn). It keeps public keys: nothing in it is a secret.
package passkey

import (
	"bytes"
	"context"
	"crypto/rand"
	"encoding/base64"
	"encoding/json"
	"errors"
	"fmt"
	"net/url"
	"strings"
	"sync"
	"time"

	"github.com/go-webauthn/webauthn/protocol"
	"github.com/go-webauthn/webauthn/webauthn"

	"sallyport"
)

// Store keeps named records durably, as identity's does.
type Store interface {
	Credentials(ctx context.Context) (map[string][]byte, error)
	SaveCredential(ctx context.Context, name string, record []byte) error
}

// record begins the names of the records here, one for each person.
const record = "passkeys "

const (
	// open is how long a ceremony may take, maxOpen how many there are of one
	// person, and maxLogins of nobody known.
	open, maxOpen, maxLogins = 5 * time.Minute, 64, 4096
	// maxKeys is how many passkeys a person may have.
	maxKeys = 16
)

// Errors of ceremonies.
var (
	ErrOver = errors.New("this took too long, or was answered already: begin again")
	ErrNone = errors.New("no passkey is enrolled that can be used at this address")
	ErrName = errors.New("passkeys belong to a name, not to an address of numbers: open the console as http://localhost:PORT, or by a name with TLS (hosts: in the configuration)")
)

// Passkeys are the passkeys of all people.
type Passkeys struct {
	store Store
	now   func() time.Time

	mu         sync.Mutex
	ceremonies map[string]*ceremony
}

// ceremony is one exchange with a browser, used once.
type ceremony struct {
	relying *webauthn.WebAuthn
	session *webauthn.SessionData
	person  string // who enrols, or must show; "" for whoever can
	enrols  bool
	bound   sallyport.Digest
	until   time.Time
}

// New makes the passkeys that a store keeps.
func New(store Store, now func() time.Time) *Passkeys {
	return &Passkeys{store: store, now: now, ceremonies: map[string]*ceremony{}}
}

// kept is a person's record.
type kept struct {
	Handle []byte `json:"handle"` // what devices know the person by: random
	Keys   []key  `json:"keys"`
}

type key struct {
	Site       string              `json:"site"` // the name that it belongs to
	Made       time.Time           `json:"made"`
	Credential webauthn.Credential `json:"credential"`
}

// owner is a person as the library sees one, at one site.
type owner struct {
	name string
	site string
	kept *kept
}

func (o owner) WebAuthnID() []byte          { return o.kept.Handle }
func (o owner) WebAuthnName() string        { return o.name }
func (o owner) WebAuthnDisplayName() string { return o.name }
func (o owner) WebAuthnCredentials() []webauthn.Credential {
	var all []webauthn.Credential
	for _, k := range o.kept.Keys {
		if k.Site == o.site {
			all = append(all, k.Credential)
		}
	}
	return all
}

// relying is us at an origin. The user must have been verified by the device:
// whoever merely holds it is nobody.
func relying(origin string) (*webauthn.WebAuthn, string, error) {
	u, err := url.Parse(origin)
	if err != nil {
		return nil, "", err
	}
	site := u.Hostname()
	if protocol.ValidateRPID(site) != nil {
		return nil, "", ErrName
	}
	w, err := webauthn.New(&webauthn.Config{RPID: site, RPDisplayName: "Sallyport", RPOrigins: []string{origin},
		AttestationPreference: protocol.PreferNoAttestation,
		AuthenticatorSelection: protocol.AuthenticatorSelection{
			ResidentKey: protocol.ResidentKeyRequirementRequired, UserVerification: protocol.VerificationRequired,
		}})
	return w, site, err
}

func (p *Passkeys) load(ctx context.Context) (map[string]*kept, error) {
	records, err := p.store.Credentials(ctx)
	if err != nil {
		return nil, err
	}
	all := map[string]*kept{}
	for name, text := range records {
		person, ok := strings.CutPrefix(name, record)
		if !ok {
			continue
		}
		all[person] = &kept{}
		if err := json.Unmarshal(text, all[person]); err != nil {
			return nil, fmt.Errorf("the passkeys of %s are damaged: %w", person, err)
		}
	}
	return all, nil
}

func (p *Passkeys) save(ctx context.Context, person string, k *kept) error {
	text, err := json.Marshal(k)
	if err != nil {
		return err
	}
	return p.store.SaveCredential(ctx, record+person, text)
}

// Has is how many passkeys a person has at an origin.
func (p *Passkeys) Has(ctx context.Context, origin, person string) (int, error) {
	all, err := p.load(ctx)
	u, parsed := url.Parse(origin)
	if err != nil || parsed != nil || all[person] == nil {
		return 0, err
	}
	return len(owner{person, u.Hostname(), all[person]}.WebAuthnCredentials()), nil
}

// BeginEnrol begins to enrol another passkey of a person who is known otherwise.
func (p *Passkeys) BeginEnrol(ctx context.Context, origin, person string) (id string, ask []byte, err error) {
	w, site, err := relying(origin)
	if err != nil {
		return "", nil, err
	}
	k, err := p.known(ctx, person)
	if err != nil {
		return "", nil, err
	}
	if len(k.Keys) >= maxKeys {
		return "", nil, fmt.Errorf("%s has %d passkeys already", person, len(k.Keys))
	}
	user := owner{person, site, k}
	var exclude []protocol.CredentialDescriptor
	for _, c := range user.WebAuthnCredentials() {
		exclude = append(exclude, c.Descriptor())
	}
	options, session, err := w.BeginRegistration(user, webauthn.WithExclusions(exclude))
	if err != nil {
		return "", nil, err
	}
	return p.begin(&ceremony{relying: w, session: session, person: person, enrols: true}, options.Response)
}

// known is a person's record, a fresh one where there is none.
func (p *Passkeys) known(ctx context.Context, person string) (*kept, error) {
	p.mu.Lock() // of two at once the second must not take the first's passkey away
	defer p.mu.Unlock()
	all, err := p.load(ctx)
	if err != nil || all[person] != nil {
		return all[person], err
	}
	return p.fresh(ctx, person)
}

func (p *Passkeys) fresh(ctx context.Context, person string) (*kept, error) {
	k := &kept{Handle: make([]byte, 32)}
	rand.Read(k.Handle) // never fails (crypto/rand)
	return k, p.save(ctx, person, k)
}

// Forget forgets all passkeys of a person. Devices know the person by another
// handle from then on, so that nothing that was begun before can be finished.
func (p *Passkeys) Forget(ctx context.Context, person string) error {
	p.mu.Lock()
	defer p.mu.Unlock()
	all, err := p.load(ctx)
	if err != nil || all[person] == nil {
		return err
	}
	_, err = p.fresh(ctx, person)
	return err
}

// FinishEnrol keeps the passkey.
func (p *Passkeys) FinishEnrol(ctx context.Context, id string, answer []byte) error {
	c := p.take(id, true)
	if c == nil {
		return ErrOver
	}
	parsed, err := protocol.ParseCredentialCreationResponseBytes(answer)
	if err != nil {
		return refusal(err)
	}
	p.mu.Lock() // two at once must not lose one
	defer p.mu.Unlock()
	all, err := p.load(ctx)
	if err != nil || all[c.person] == nil {
		return errors.Join(ErrOver, err)
	}
	credential, err := c.relying.CreateCredential(owner{c.person, c.relying.Config.RPID, all[c.person]}, *c.session, parsed)
	if err != nil {
		return refusal(err)
	}
	all[c.person].Keys = append(all[c.person].Keys, key{c.relying.Config.RPID, p.now().UTC(), *credential})
	return p.save(ctx, c.person, all[c.person])
}

// BeginShow begins to ask for a passkey of a person, or of anybody when person is
// empty. What is signed holds bound, so that the signature says yes to nothing
// else.
func (p *Passkeys) BeginShow(ctx context.Context, origin, person string, bound sallyport.Digest) (id string, ask []byte, err error) {
	w, site, err := relying(origin)
	if err != nil {
		return "", nil, err
	}
	all, err := p.load(ctx)
	if err != nil {
		return "", nil, err
	}
	challenge := make([]byte, 16, 16+len(bound))
	rand.Read(challenge) // never fails (crypto/rand)
	with := webauthn.WithChallenge(append(challenge, bound[:]...))
	var options *protocol.CredentialAssertion
	var session *webauthn.SessionData
	switch {
	case person == "":
		options, session, err = w.BeginDiscoverableLogin(with)
	case all[person] == nil || len(owner{person, site, all[person]}.WebAuthnCredentials()) == 0:
		err = ErrNone
	default:
		options, session, err = w.BeginLogin(owner{person, site, all[person]}, with)
	}
	if err != nil {
		return "", nil, err
	}
	return p.begin(&ceremony{relying: w, session: session, person: person, bound: bound}, options.Response)
}

// FinishShow says whose passkey it was that signed bound.
func (p *Passkeys) FinishShow(ctx context.Context, id string, answer []byte, bound sallyport.Digest) (person string, err error) {
	c := p.take(id, false)
	if c == nil || c.bound != bound { // a login is no yes, and a yes to one question none to another
		return "", ErrOver
	}
	parsed, err := protocol.ParseCredentialRequestResponseBytes(answer)
	if err != nil {
		return "", refusal(err)
	}
	p.mu.Lock() // the counter below is compared and written as one
	defer p.mu.Unlock()
	all, err := p.load(ctx)
	if err != nil {
		return "", err
	}
	credential, person, err := c.validate(all, parsed)
	if err != nil {
		return "", err
	}
	if credential.Authenticator.CloneWarning {
		return "", errors.New("this passkey's counter went back: there may be a copy of it, so it is not taken")
	}
	for i := range all[person].Keys {
		if k := &all[person].Keys[i]; bytes.Equal(k.Credential.ID, credential.ID) {
			k.Credential = *credential
		}
	}
	return person, p.save(ctx, person, all[person])
}

func (c *ceremony) validate(all map[string]*kept, parsed *protocol.ParsedCredentialAssertionData) (*webauthn.Credential, string, error) {
	if c.person != "" {
		if all[c.person] == nil {
			return nil, "", ErrNone
		}
		credential, err := c.relying.ValidateLogin(owner{c.person, c.relying.Config.RPID, all[c.person]}, *c.session, parsed)
		return credential, c.person, refusal(err)
	}
	person := ""
	_, credential, err := c.relying.ValidatePasskeyLogin(func(_, handle []byte) (webauthn.User, error) {
		for name, k := range all {
			if bytes.Equal(k.Handle, handle) {
				person = name
				return owner{name, c.relying.Config.RPID, k}, nil
			}
		}
		return nil, ErrNone
	}, *c.session, parsed)
	return credential, person, refusal(err)
}

// refusal is an error in the words of people; the library's says why to
// programs.
func refusal(err error) error {
	if err == nil {
		return nil
	}
	detail := err.Error()
	if failed, ok := errors.AsType[*protocol.Error](err); ok && failed.Details != "" {
		detail = failed.Details
	}
	return fmt.Errorf("this passkey is not taken: %s", detail)
}

func (p *Passkeys) begin(c *ceremony, options any) (id string, ask []byte, err error) {
	if ask, err = json.Marshal(options); err != nil {
		return "", nil, err
	}
	var raw [16]byte
	rand.Read(raw[:]) // never fails (crypto/rand)
	id = base64.RawURLEncoding.EncodeToString(raw[:])
	c.until = p.now().Add(open)
	p.mu.Lock()
	defer p.mu.Unlock()
	same, oldest := 0, ""
	for old, one := range p.ceremonies {
		switch {
		case !p.now().Before(one.until):
			delete(p.ceremonies, old)
		case one.person == c.person:
			if same++; oldest == "" || one.until.Before(p.ceremonies[oldest].until) {
				oldest = old
			}
		}
	}
	switch {
	case c.person == "" && same >= maxLogins: // anybody can begin one, and must not keep people from it
		delete(p.ceremonies, oldest)
	case c.person != "" && same >= maxOpen:
		return "", nil, errors.New("this person is at it too often at once: try again in some minutes")
	}
	p.ceremonies[id] = c
	return id, ask, nil
}

// take uses a ceremony up, whatever comes of it.
func (p *Passkeys) take(id string, enrols bool) *ceremony {
	p.mu.Lock()
	defer p.mu.Unlock()
	c := p.ceremonies[id]
	delete(p.ceremonies, id)
	if c == nil || c.enrols != enrols || !p.now().Before(c.until) {
		return nil
	}
	return c
}
