package inspect

import "strings"

// mail notes an address around the @ at the given place.
func (s *scan) mail(at int) {
	start, end := at, at+1
	for start > 0 && at-start < 64 && (runes[s.text[start-1]]&inRun != 0) && s.text[start-1] != '/' && s.text[start-1] != '=' {
		start--
	}
	dots, letters := 0, 0
	for end < len(s.text) && end-at < 255 && (runes[s.text[end]]&startsRun != 0 || s.text[end] == '-' || s.text[end] == '.') {
		if s.text[end] == '.' {
			dots++
			letters = 0
		} else {
			letters++
		}
		end++
	}
	if end > at+1 && s.text[end-1] == '.' {
		end--
		dots--
		letters = 2
	}
	if start < at && dots > 0 && letters >= 2 {
		s.add(ScannerPII, "email", start, end, 1)
	}
}

// phone notes an international number that begins with the + at the given
// place, and returns where to go on.
func (s *scan) phone(at int) int {
	digits, end := 0, at+1
	for end < len(s.text) && end-at < 24 {
		switch c := s.text[end]; {
		case digit(c):
			digits++
		case c == ' ' || c == '-' || c == '.' || c == '(' || c == ')' || c == '/':
			if end+1 < len(s.text) && s.text[end+1] == c {
				goto done
			}
		default:
			goto done
		}
		end++
	}
done:
	for end > at+1 && !digit(s.text[end-1]) {
		end--
	}
	if digits < 8 || digits > 15 || at > 0 && runes[s.text[at-1]]&startsRun != 0 || end < len(s.text) && runes[s.text[end]]&startsRun != 0 {
		return at + 1
	}
	s.add(ScannerPII, "phone", at, end, 0.9)
	return end
}

// number looks at digits, with blanks or dashes among them, for numbers that
// prove themselves by a check digit.
func (s *scan) number(start, end int) {
	if start > 0 && (s.text[start-1] == '.' || s.text[start-1] == '$') {
		return
	}
	var d [20]byte
	n, groups, at := 0, 1, start
	for at < len(s.text) && n < len(d) {
		c := s.text[at]
		if digit(c) {
			d[n] = c - '0'
			n++
		} else if (c == ' ' || c == '-') && at+1 < len(s.text) && digit(s.text[at+1]) {
			groups++
		} else {
			break
		}
		at++
	}
	if n == 8 && groups == 1 && end == start+9 && dni(d[:n], s.text[end-1]) {
		s.add(ScannerPII, "es-dni", start, end, 0.9)
	}
	if at < len(s.text) && runes[s.text[at]]&startsRun != 0 {
		return
	}
	whole := s.text[start:at]
	switch {
	case n >= 13 && n <= 19 && card(d[:n]) && (groups == 1 || evenGroups(whole)):
		s.add(ScannerPII, "card", start, at, 1)
	case n == 9 && len(whole) == 11 && whole[3] == '-' && whole[6] == '-' && socialSecurity(d[:n]):
		s.add(ScannerPII, "us-ssn", start, at, 0.9)
	case n == 10 && len(whole) == 12 && (whole[3] == ' ' && whole[7] == ' ') && nhs(d[:n]):
		s.add(ScannerPII, "uk-nhs", start, at, 0.9)
	case n == 10 && len(whole) == 12 && whole[3] == '-' && whole[7] == '-' && d[0] > 1 && d[3] > 1:
		s.add(ScannerPII, "phone", start, at, 0.8)
	}
}

// evenGroups reports groups as they are printed on cards.
func evenGroups(s string) bool {
	groups := strings.FieldsFunc(s, func(r rune) bool { return r == ' ' || r == '-' })
	return len(groups) == 4 && len(groups[0]) == 4 && len(groups[1]) == 4 && len(groups[2]) == 4 ||
		len(groups) == 3 && len(groups[0]) == 4 && len(groups[1]) == 6 && len(groups[2]) == 5
}

// card checks the issuer's range and Luhn's sum.
func card(d []byte) bool {
	two := int(d[0])*10 + int(d[1])
	four := two*100 + int(d[2])*10 + int(d[3])
	known := d[0] == 4 && (len(d) == 13 || len(d) == 16 || len(d) == 19) ||
		len(d) == 16 && (two >= 51 && two <= 55 || four >= 2221 && four <= 2720 || four == 6011 || two == 65 || two == 35) ||
		len(d) == 15 && (two == 34 || two == 37) || len(d) == 14 && (two == 36 || two == 38 || two == 30)
	return known && luhn(d)
}

func luhn(d []byte) bool {
	sum := 0
	for i := range d {
		n := int(d[len(d)-1-i])
		if i%2 == 1 {
			if n *= 2; n > 9 {
				n -= 9
			}
		}
		sum += n
	}
	return sum%10 == 0
}

func socialSecurity(d []byte) bool {
	area := int(d[0])*100 + int(d[1])*10 + int(d[2])
	return area != 0 && area != 666 && area < 900 && d[3]+d[4] != 0 && d[5]+d[6]+d[7]+d[8] != 0
}

func nhs(d []byte) bool {
	sum := 0
	for i := range 9 {
		sum += int(d[i]) * (10 - i)
	}
	check := 11 - sum%11
	if check == 11 {
		check = 0
	}
	return check == int(d[9])
}

func dni(d []byte, letter byte) bool {
	n := 0
	for _, c := range d {
		n = n*10 + int(c)
	}
	return "TRWAGMYFPDXBNJZSQVHLCKE"[n%23] == letter
}

// ibanLengths are the lengths of account numbers by country.
const ibanLengths = "AD24AE23AL28AT20AZ28BA20BE16BG22BH22BR29BY28CH21CR22CY28CZ24DE22DK18DO28EE20EG29ES24FI18FO18FR27GB22GE22GI23GL18GR27GT28HR21HU28IE22IL23IQ23IS26IT27JO30KW30KZ20LB28LI21LT20LU20LV21MC27MD24ME22MK19MR27MT31MU30NL18NO15PK24PL28PS29PT25QA29RO24RS22SA24SC31SE24SI19SK24SM27SV28TN24TR26UA29VA22VG24XK20"

// iban notes an account number that begins at start, in one piece or in groups
// of four, when its length and its sum modulo 97 are right.
func (s *scan) iban(start int) {
	want := 0
	for i := 0; i < len(ibanLengths); i += 4 {
		if ibanLengths[i:i+2] == s.text[start:start+2] {
			want = int(ibanLengths[i+2]-'0')*10 + int(ibanLengths[i+3]-'0')
		}
	}
	if want == 0 {
		return
	}
	var b [34]byte
	n, at := 0, start
	for at < len(s.text) && n < want {
		c := s.text[at]
		if digit(c) || upperCase(c) {
			b[n] = c
			n++
		} else if c != ' ' || n%4 != 0 {
			return
		}
		at++
	}
	if n < want || at < len(s.text) && (digit(s.text[at]) || upperCase(s.text[at])) {
		return
	}
	rest := 0
	for i := range n {
		c := b[(i+4)%n]
		if digit(c) {
			rest = (rest*10 + int(c-'0')) % 97
		} else {
			rest = (rest*100 + int(c-'A') + 10) % 97
		}
	}
	if rest == 1 {
		s.add(ScannerPII, "iban", start, at, 1)
	}
}
