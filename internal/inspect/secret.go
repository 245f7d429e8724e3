package inspect

import (
	"hash/crc32"
	"math"
	"strings"
)

// words walks over the text once and shows every run that could be a secret, a
// number of a person or a link to the rules that know it.
func (s *scan) words() {
	text := s.text
	for at := 0; at < len(text); {
		switch c := text[at]; {
		case runes[c]&startsRun != 0:
			end := at + 1
			for end < len(text) && runes[text[end]]&inRun != 0 {
				end++
			}
			at = s.run(at, end)
		case c == '@':
			s.mail(at)
			at++
		case c == '-' && strings.HasPrefix(text[at:], "-----BEGIN "):
			at = s.privateKey(at)
		case c == '+' && at+8 < len(text):
			at = s.phone(at)
		case c == '(' && at > 0 && text[at-1] == ']':
			at = s.markdownLink(at)
		case c == '<' || c == '[':
			if next := s.marker(at); next > at {
				at = next
			} else if c == '<' {
				at = s.tag(at)
			} else {
				at++
			}
		default:
			at++
		}
	}
}

const (
	startsRun = 1 << iota
	inRun
)

var runes = func() (r [256]uint8) {
	for c := range r {
		switch {
		case 'a' <= c|0x20 && c|0x20 <= 'z', '0' <= c && c <= '9':
			r[c] = startsRun | inRun
		case c == '_', c == '-', c == '/', c == '+', c == '=', c == '.', c == '~':
			r[c] = inRun
		}
	}
	return r
}()

// run looks at one run of letters, digits and what tokens are made of, and
// returns where to go on.
func (s *scan) run(start, end int) int {
	next := end
	run := s.text[start:end]
	for len(run) > 0 && (run[len(run)-1] == '.' || run[len(run)-1] == '-') {
		run = run[:len(run)-1]
	}
	end = start + len(run)
	switch n := len(run); {
	case n < 3:
	case digit(run[0]):
		s.number(start, end)
		if n >= 20 {
			s.token(run, start, end)
		}
	case n >= 15 && n <= 42 && upperCase(run[0]) && upperCase(run[1]) && digit(run[2]) && digit(run[3]):
		s.iban(start)
		s.token(run, start, end)
	case n == 4 && upperCase(run[0]) && upperCase(run[1]) && digit(run[2]) && digit(run[3]):
		s.iban(start)
	case n >= 14:
		s.token(run, start, end)
	}
	if end+3 < len(s.text) && s.text[end] == ':' && strings.HasPrefix(s.text[end:], "://") {
		return max(next, s.connection(start, end+3))
	}
	return next
}

func digit(c byte) bool     { return '0' <= c && c <= '9' }
func upperCase(c byte) bool { return 'A' <= c && c <= 'Z' }

// keyFormat is the published format of one issuer's credentials.
type keyFormat struct {
	prefix    string
	rule      string
	low, high int // length with the prefix
	check     func(string) bool
}

// formats, by their first letter. Prefixes are the issuers' own, made for
// being found.
var formats = func() (by [256][]keyFormat) {
	for _, f := range []keyFormat{
		{"AKIA", "aws-key", 20, 20, awsKey}, {"ASIA", "aws-key", 20, 20, awsKey},
		{"ghp_", "github-token", 40, 40, githubSum}, {"gho_", "github-token", 40, 40, githubSum}, {"ghu_", "github-token", 40, 40, githubSum},
		{"ghs_", "github-token", 40, 40, githubSum}, {"ghr_", "github-token", 40, 80, nil}, {"github_pat_", "github-token", 82, 93, nil},
		{"npm_", "npm-token", 40, 40, githubSum}, {"glpat-", "gitlab-token", 26, 64, mixed}, {"pypi-AgE", "pypi-token", 60, 300, nil},
		{"sk-ant-", "anthropic-key", 40, 200, mixed}, {"sk-proj-", "openai-key", 40, 250, mixed}, {"sk-", "openai-key", 35, 250, mixed},
		{"sk_live_", "stripe-key", 24, 250, mixed}, {"rk_live_", "stripe-key", 24, 250, mixed}, {"whsec_", "stripe-key", 30, 80, mixed},
		{"xoxb-", "slack-token", 30, 100, mixed}, {"xoxp-", "slack-token", 30, 110, mixed}, {"xapp-", "slack-token", 30, 130, mixed},
		{"AIza", "google-key", 39, 39, mixed}, {"ya29.", "google-token", 40, 400, nil}, {"GOCSPX-", "google-secret", 35, 35, nil},
		{"SG.", "sendgrid-key", 69, 69, nil}, {"hf_", "huggingface-token", 37, 37, mixed}, {"dop_v1_", "digitalocean-token", 71, 71, nil},
		{"eyJ", "jwt", 60, 4096, threeParts}, {"AGE-SECRET-KEY-1", "private-key", 74, 74, nil}, {"sp_", "sallyport-token", 30, 80, mixed},
		{"shpat_", "shopify-token", 38, 38, nil}, {"hvs.", "vault-token", 90, 130, nil}, {"dckr_pat_", "docker-token", 36, 36, nil},
		{"lin_api_", "linear-key", 48, 48, nil}, {"xai-", "xai-key", 80, 90, nil}, {"gsk_", "groq-key", 56, 56, nil},
	} {
		by[f.prefix[0]] = append(by[f.prefix[0]], f)
	}
	return by
}()

// token looks for a credential in one run.
func (s *scan) token(run string, start, end int) {
	for _, f := range formats[run[0]] {
		if strings.HasPrefix(run, f.prefix) && len(run) >= f.low && len(run) <= f.high && (f.check == nil || f.check(run)) {
			s.add(ScannerSecret, f.rule, start, end, 1)
			return
		}
	}
	if i := strings.IndexByte(run, '='); i > 0 && i < len(run)-14 { // name=value
		s.named(run[:i], start+i+1, end)
		return
	}
	if len(run) >= 16 && len(run) <= 256 {
		if name := s.nameBefore(start); name != "" {
			s.named(name, start, end)
		}
	}
}

// nameBefore is the word before `: "` or `=` at the left of a value.
func (s *scan) nameBefore(start int) string {
	i, low := start, max(0, start-8)
	for i > low && strings.IndexByte(" \"'`", s.text[i-1]) >= 0 {
		i--
	}
	if i == low || s.text[i-1] != ':' && s.text[i-1] != '=' {
		return ""
	}
	for i--; i > low && strings.IndexByte(" \"'`", s.text[i-1]) >= 0; i-- {
	}
	end := i
	for i > 0 && end-i < 32 && runes[s.text[i-1]]&inRun != 0 {
		i--
	}
	return s.text[i:end]
}

// named judges a value by the name that it was given, and by how random it is.
func (s *scan) named(name string, start, end int) {
	if secretName(name) && isRandom(s.text[start:end]) {
		s.add(ScannerSecret, "named", start, end, 0.8)
	}
}

// isRandom reports a value that nobody chose for its meaning.
func isRandom(value string) bool {
	return len(value) >= 16 && len(value) <= 256 && strings.Count(value, "/") <= 2 && strings.Count(value, ".") <= 2 &&
		strings.IndexByte(value, ' ') < 0 && entropy(value) >= 3.3 && mixed(value)
}

// secretName reports names that people give to secrets.
func secretName(name string) bool {
	var small [32]byte
	n := 0
	for i := 0; i < len(name) && n < len(small); i++ {
		if c := name[i]; c != '_' && c != '-' && c != '.' {
			if upperCase(c) {
				c |= 0x20
			}
			small[n] = c
			n++
		}
	}
	s := string(small[:n])
	for _, part := range [...]string{"secret", "password", "passwd", "apikey", "token", "accesskey", "privatekey", "authorization", "bearer", "credential"} {
		if strings.HasSuffix(s, part) {
			return true
		}
	}
	return s == "key" || s == "auth" || s == "pwd"
}

// entropy is the bits per byte of s.
func entropy(s string) (bits float64) {
	var count [128]uint16
	for i := 0; i < len(s); i++ {
		count[s[i]&127]++
	}
	for _, n := range count {
		if n > 0 {
			p := float64(n) / float64(len(s))
			bits -= p * math.Log2(p)
		}
	}
	return bits
}

// mixed reports letters and digits together, as words and numbers are not, and
// enough different ones, as placeholders have not.
func mixed(s string) bool {
	letters, digits := 0, 0
	var seen [128]bool
	different := 0
	for i := 0; i < len(s); i++ {
		c := s[i] & 127
		if digit(c) {
			digits++
		} else if 'a' <= c|0x20 && c|0x20 <= 'z' {
			letters++
		}
		if !seen[c] {
			seen[c] = true
			different++
		}
	}
	return digits >= 2 && letters >= 4 && different >= 10
}

// awsKey checks the alphabet, and leaves out the keys of the manuals.
func awsKey(s string) bool {
	if strings.HasSuffix(s, "EXAMPLE") {
		return false
	}
	for i := 0; i < len(s); i++ {
		if !upperCase(s[i]) && !digit(s[i]) {
			return false
		}
	}
	return true
}

// githubSum checks the last six characters of a token of GitHub or npm: the
// CRC-32 of what is between prefix and them, in base 62.
func githubSum(s string) bool {
	body, sum := s[4:len(s)-6], s[len(s)-6:]
	var want [6]byte
	n := crc32.ChecksumIEEE([]byte(body))
	for i := len(want) - 1; i >= 0; i-- {
		want[i] = "0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz"[n%62]
		n /= 62
	}
	return string(want[:]) == sum || mixed(s) // old tokens have no sum
}

// threeParts reports what has the form of a signed JWT.
func threeParts(s string) bool {
	a := strings.IndexByte(s, '.')
	if a < 8 {
		return false
	}
	b := strings.IndexByte(s[a+1:], '.')
	return b > 8 && len(s)-a-b > 20
}

// privateKey notes a PEM block of a private key, as far as it goes.
func (s *scan) privateKey(at int) int {
	rest := s.text[at:]
	line := rest[:min(len(rest), 64)]
	if !strings.Contains(line, "PRIVATE KEY") {
		return at + 11
	}
	body := rest[:min(len(rest), 8192)]
	end := len(body)
	if i := strings.Index(body[11:], "-----END "); i >= 0 {
		end = min(len(body), 11+i+9+30)
		if j := strings.IndexByte(body[11+i:end], '\n'); j >= 0 {
			end = 11 + i + j
		}
	}
	s.add(ScannerSecret, "private-key", at, at+end, 1)
	return at + end
}

// connection notes user:password@host behind a scheme that ends before at, and
// returns where it ends: at when there is none.
func (s *scan) connection(start, at int) int {
	rest := s.text[at:min(len(s.text), at+256)]
	end := strings.IndexAny(rest, " \t\r\n\"'`<>/?")
	if end < 0 {
		end = len(rest)
	}
	host := strings.LastIndexByte(rest[:end], '@')
	colon := strings.IndexByte(rest[:max(host, 0)], ':')
	if colon < 0 || host-colon < 2 || placeholder(rest[colon+1:host]) {
		return at
	}
	s.add(ScannerSecret, "connection-string", start, at+end, 1)
	return at + end
}

// placeholder reports passwords of documentation.
func placeholder(s string) bool {
	return strings.ContainsAny(s, "<>{}$*[") || strings.EqualFold(s, "password") || strings.EqualFold(s, "pass") || strings.EqualFold(s, "secret") || strings.Trim(s, "xX") == ""
}
