package importer

import (
	"math"
	"net/url"
	"path"
	"regexp"
	"strings"
	"unicode"

	"sallyport/internal/importer/clientfile"
)

// Text is a setting of a server that may be a credential. Printing, formatting
// or encoding a credential shows a mask; only [Text.Reveal] gives it away.
type Text struct {
	value  string
	secret bool
}

// Reveal returns the setting itself, credential or not.
func (t Text) Reveal() string { return t.value }

// Secret reports whether the setting looks like a credential.
func (t Text) Secret() bool { return t.secret }

// String returns the setting, or a mask in place of a credential.
func (t Text) String() string {
	if t.secret {
		return clientfile.Hidden
	}
	return t.value
}

// GoString is String, so that %#v masks as well.
func (t Text) GoString() string { return t.String() }

// MarshalText encodes what String shows.
func (t Text) MarshalText() ([]byte, error) { return []byte(t.String()), nil }

// credentialName matches names of variables, headers, flags and query
// parameters that hold credentials. It errs towards finding too many: moving a
// harmless value into the secret store costs nothing but a look-up.
var credentialName = regexp.MustCompile(`(?i)(^|[^a-z])(pat|pwd|dsn|auth|sig|jwt|sid|pin)($|[^a-z])|` +
	`token|secret|passw|passphrase|passcode|credential|authorization|cookie|bearer|signature|` +
	`api[-_]?key|access[-_]?key|private[-_]?key|[-_]key$|^key$|connection[-_]?string|webhook`)

// credentialText matches credentials by the shapes that their issuers gave
// them, wherever in a text they stand.
var credentialText = regexp.MustCompile(`(?i:\b(?:bearer|basic)\s+[a-z0-9._~+/=-]{8,})|` +
	`-----BEGIN [A-Z ]*PRIVATE KEY|` +
	`\b(?:` +
	`sk-[A-Za-z0-9_-]{16,}|[rsp]k_(?:live|test)_[A-Za-z0-9]{8,}|` +
	`gh[opsur]_[A-Za-z0-9]{16,}|github_pat_[A-Za-z0-9_]{16,}|glpat-[A-Za-z0-9_-]{16,}|` +
	`xox[abeoprs]-[A-Za-z0-9-]{8,}|xapp-[A-Za-z0-9-]{8,}|` +
	`A(?:KIA|SIA)[A-Z0-9]{16}|AIza[A-Za-z0-9_-]{30,}|ya29\.[A-Za-z0-9_-]{16,}|` +
	`eyJ[A-Za-z0-9_-]{8,}\.[A-Za-z0-9_-]{8,}|` +
	`(?:hf|npm|gsk|r8|sbp|ntn|secret|figd|lin_api|dop_v1|shpat|sntrys|phc|phx|rnd)_[A-Za-z0-9_-]{16,}|` +
	`(?:pypi|tvly|pplx|xai|tskey|PMAK|NRAK|ATATT|key)-?[A-Za-z0-9_-]{20,}|SG\.[A-Za-z0-9_-]{16,}` +
	`)`)

// keyed matches NAME=VALUE, NAME: VALUE and --name=VALUE.
var keyed = regexp.MustCompile(`^-{0,2}([A-Za-z][A-Za-z0-9_.-]*)\s*(?:=|:\s)\s*(.+)$`)

// plainReference matches a reference that has no default, which might itself be
// a credential.
var plainReference = regexp.MustCompile(`\$\{(?:[a-z]+:)?[A-Za-z0-9_][A-Za-z0-9_.-]*\}`)

var notSecretBeside = map[string]bool{"": true, "bearer": true, "basic": true, "token": true}

// looksSecret reports whether value, standing under name, is a credential. The
// name may be empty.
func looksSecret(name, value string) bool {
	switch strings.ToLower(value) {
	case "", "true", "false", "yes", "no", "on", "off", "none", "null":
		return false
	}
	if rest := plainReference.ReplaceAllString(value, ""); rest != value && notSecretBeside[strings.ToLower(strings.TrimSpace(rest))] {
		return false // it names where the credential is, and is none
	}
	if credentialName.MatchString(name) || credentialText.MatchString(value) {
		return true
	}
	if m := keyed.FindStringSubmatch(value); m != nil && looksSecret(m[1], m[2]) {
		return true
	}
	if u, err := url.Parse(value); err == nil && u.Scheme != "" && u.Host != "" {
		return secretURL(u)
	}
	return highEntropy(value)
}

// secretURL reports whether a URL carries a credential: a password or token
// before the host, in the query, or as a segment of the path, which is how
// hosted servers hand out personal addresses.
func secretURL(u *url.URL) bool {
	if u.User != nil {
		if _, ok := u.User.Password(); ok || highEntropy(u.User.Username()) {
			return true
		}
	}
	for name, values := range u.Query() {
		for _, v := range values {
			if looksSecret(name, v) {
				return true
			}
		}
	}
	for segment := range strings.SplitSeq(u.Path, "/") {
		if credentialText.MatchString(segment) || highEntropy(segment) {
			return true
		}
	}
	return false
}

// highEntropy reports whether s reads like random key material: one long token
// that mixes digits with letters and repeats itself little. Paths, package
// names and sentences do not.
func highEntropy(s string) bool {
	if len(s) < 20 || strings.ContainsFunc(s, notTokenRune) || strings.HasPrefix(s, "/") ||
		strings.HasPrefix(s, ".") || path.Ext(s) != "" {
		return false
	}
	var upper, lower, digits int
	count := make(map[rune]int)
	for _, r := range s {
		count[r]++
		switch {
		case unicode.IsUpper(r):
			upper++
		case unicode.IsLower(r):
			lower++
		case unicode.IsDigit(r):
			digits++
		}
	}
	var bits float64
	for _, n := range count {
		p := float64(n) / float64(len(s))
		bits -= p * math.Log2(p)
	}
	mixed := upper > 0 && lower > 0
	dense := !strings.ContainsAny(s, "-_/") || len(s) >= 32
	return bits >= 3 && digits*10 >= len(s) && (mixed || dense)
}

func notTokenRune(r rune) bool {
	return !strings.ContainsRune("abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789+/=_-", r)
}

// mark decides for each setting of s whether it is a credential.
func (s *Server) mark() {
	s.URL.secret = looksSecret("", s.URL.value)
	flagged := false // the previous argument was a flag such as --token
	for i := range s.Args {
		arg := &s.Args[i]
		arg.secret = looksSecret("", arg.value)
		isFlag := strings.HasPrefix(arg.value, "-")
		if flagged && !isFlag {
			arg.secret = looksSecret("token", arg.value)
		}
		flagged = isFlag && !strings.Contains(arg.value, "=") && credentialName.MatchString(arg.value)
	}
	for _, settings := range []map[string]Text{s.Env, s.Headers} {
		for name, t := range settings {
			t.secret = looksSecret(name, t.value)
			settings[name] = t
		}
	}
}
