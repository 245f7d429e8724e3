package card

import (
	"fmt"
	"strings"
	"testing"

	"sallyport"
)

// alike are texts that look like another one, or show nothing of a part, without a
// control character, a mark upon a Latin letter or a letter of another alphabet in
// a Latin word.
var alike = map[string]string{
	"a blank that is no space":               "acct-9\u2800",
	"a blank note head":                      "acct\U0001d159-9",
	"half a blank":                           "acct\u303f9",
	"a place for an object":                  "acct\ufffc9",
	"a code point that is no character":      "acct\ufdd09\uffff",
	"a code point that nobody has given":     "acct\u0378\U000e0fff9",
	"another digit":                          "1\u09ea00",          // Bengali 4 for 8
	"digits alone":                           "\u09ea\u0966\u0966", // for 800
	"a zero of N'Ko":                         "10\u07c0",
	"a zero of ideographs":                   "10\u3007",
	"a superscript":                          "10\u00b2",
	"a fraction":                             "1\u00bd",
	"small capitals":                         "paypal.\u1d04\u1d0fm",
	"a phonetic letter":                      "\u0261oogle.com",
	"another phonetic letter":                "p\u0251ypal.com",
	"a click":                                "paypa\u01c0.com",
	"a long s":                               "\u017fafe.example",
	"a letter of other books":                "\ua730acct", // small capital F
	"an African l":                           "pay\u0196pal",
	"a whole name of another alphabet":       "\u0440\u0430\u0443\u0440\u0430\u04cf.com",
	"its mailbox":                            "\u0435\u0445\u0435\u0441@corp.example",
	"a digit that turns letters round":       "5\u05d0000",
	"marks upon digits":                      "1\u0489000",
	"a tower of marks":                       "\u0e01" + strings.Repeat("\u0e49", 12),
	"a minus that is none":                   "\u2212500",
	"a dash":                                 "acct\u20139",
	"a dash for a minus":                     "amount \u2013500",
	"a minus at the end":                     "5 \u2013",
	"a dash at a word":                       "acct\u2013 9",
	"a raised letter":                        "c\u00aa",
	"a letter like a digit":                  "\u021d00",
	"a letter of small books":                "paypa\u2c61",
	"a letter as a symbol":                   "paypa\u2113",
	"a letter of a syllable":                 "\u3163\u3163",
	"a stroke":                               "\u4e28\u4e28",
	"a hyphen that is none":                  "acct\u20119",
	"a comma that is none":                   "1\u201a000",
	"an Arabic comma of thousands":           "1\u066c000",
	"a colon that is none":                   "https\u0589//a",
	"a slash that is none":                   "a\u29f8b",
	"a quote that is none":                   "x\u2033, \u2033amount",
	"an asterisk that is none":               "\u2217@corp.example",
	"a vertical line that is none":           "a\u2223b",
	"an at sign of a small form":             "a\ufe6bb",
	"a full stop of another script":          "corp\ua4f8example",
	"letters in a ring":                      "\u24d0cct",
	"a filler of Khitan":                     "acct\U00016fe49",
	"a shorthand control":                    "acct\U0001bca09",
	"a joiner of hieroglyphs":                "acct\U000134309",
	"a variation of Mongolian":               "acct\u180b9",
	"a tag":                                  "acct\U000e00619",
	"a soft sign of a private agreement":     "acct\ue0009",
	"a new kind of separator between digits": "1\u2e310",
}

// Whoever decides sees of each of them that it is not what it looks like, at its
// place.
func TestWhatLooksAlikeIsShown(t *testing.T) {
	for name, text := range alike {
		shown := Exact(text)
		if !strings.Contains(shown, `\u{`) {
			t.Errorf("%s: %q is shown as %s", name, text, shown)
		}
		question := fmt.Sprintf(`{"agent":"bot","args":{"to":%s},"effects":["pay"],"kind":"tool","name":"pay","server":"bank","user":"ana","v":1}`, sallyport.AppendString(nil, text))
		value, err := sallyport.Parse([]byte(question))
		if err != nil {
			continue // and no call has it
		}
		a := asked(string(value.AppendCanonical(nil)))
		a.Findings, a.Origins = nil, nil
		c, err := New(&a, Around{})
		if err != nil || len(c.Careful) == 0 || !strings.Contains(c.Arguments[0].Value, `\u{`) {
			t.Errorf("%s: %v, %+v %q", name, err, c.Arguments, c.Careful)
		}
	}
}

// What reads from right to left moves what stands beside it; a line says so.
func TestRightToLeftIsSaid(t *testing.T) {
	for text, said := range map[string]bool{"12 \u05d0\u05d1 34": true, "\u0645\u0631\u062d\u0628\u0627": true, "Москва": false, "plain": false} {
		a := asked(fmt.Sprintf(`{"agent":"bot","args":{"to":%q},"kind":"tool","name":"pay","server":"bank"}`, text))
		if got := strings.Contains(strings.Join(careful(&a), " "), "from right to left"); got != said {
			t.Errorf("%q: %v", text, careful(&a))
		}
	}
}

// What people write in their own alphabets stays legible.
func TestWhatPeopleWriteStays(t *testing.T) {
	for _, text := range []string{
		"Straße, café, Łódź, Þórður, Đặng Thị Hương", "Москва and Αθήνα", "東京 हिन्दी ภาษาไทยน้ำ", "בְּרֵאשִׁית", "محمد", "1.50 € – “quoted” … no 👍", "İstanbul", `"Москва","x"`, "ツ ひらがな 한국어",
	} {
		shown := strings.ReplaceAll(Exact(text), `\u{2026}`, "…")
		if strings.Contains(shown, `\u{`) {
			t.Errorf("%s is shown as %s", text, shown)
		}
	}
}

// What has no shape yet is visible everywhere, not on cards alone.
func TestUnassignedIsHidden(t *testing.T) {
	for _, r := range []rune{0x378, 0xfdd0, 0xffff, 0xe0fff, 0x202e, 0x2028, 0xe000} {
		if !Hidden(r) {
			t.Errorf("%x is taken for visible", r)
		}
	}
}
