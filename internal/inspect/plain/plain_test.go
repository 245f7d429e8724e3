package plain

import (
	"strings"
	"testing"
	"unicode/utf8"
)

func TestPlain(t *testing.T) {
	tests := []struct {
		name, text, plain string
		rule              string // of the first anomaly, "" for none
	}{
		{"plain text stays itself", "Two lines,\n\tone tab & no more.", "Two lines,\n\tone tab & no more.", ""},
		{"full width", "ｐａｙ now", "pay now", ""},
		{"mathematical letters", "𝐫𝐮𝐧 𝓲𝓽", "run it", ""},
		{"ligature and accents", "ﬁle naïve café", "file naive cafe", ""},
		{"zero width within a word", "de\u200blete", "delete", "zero-width"},
		{"joiner of an emoji", "👩\u200d🌾 farms", "👩🌾 farms", ""},
		{"non-joiner of Persian", "می\u200cخواهم", "میخواهم", ""},
		{"byte order mark", "\ufeffstart", "start", ""},
		{"soft hyphen", "trans\u00adfer", "transfer", "zero-width"},
		{"override of direction", "a \u202egnp.exe\u202c", "a gnp.exe", "bidi"},
		{"mark of direction", "שלום\u200f (ok)", "שלום (ok)", ""},
		{"tags", "ok\U000e0072\U000e0075\U000e006e done", "ok run  done", "tags"},
		{"flag of Wales", "🏴\U000e0067\U000e0062\U000e0077\U000e006c\U000e0073\U000e007f", "🏴", ""},
		{"letter behind a flag", "🏴\U000e0064\U000e0072\U000e006f\U000e0070\U000e0020\U000e0061\U000e006c\U000e006c", "🏴 drop all ", "tags"},
		{"emoji selector", "❤\ufe0f", "❤", ""},
		{"bytes in selectors", "x\U000e0158\U000e0159", "x hi ", "selectors"},
		{"Cyrillic in a Latin word", "pаssword ok", "password ok", "homoglyph"},
		{"Greek in a Latin word", "tοkεn", "tοkεn", ""}, // ε is nobody's twin: no longer a Latin word
		{"Greek o alone", "tοken", "token", "homoglyph"},
		{"Russian stays Russian", "Привет, как дела", "Привет, как дела", ""},
		{"Greek stays Greek", "καλημέρα", "καλημερα", ""},
		{"units", "5 kΩ at 3 µm", "5 kΩ at 3 μm", ""},
		{"Turkish", "sınıf ve ışık", "sınıf ve ısık", ""},
		{"Korean", "한국어 문서", "한국어 문서", ""},
		{"references", "&#105;gnore &lt;b&gt; AT&T &amp; R&D; x", "ignore <b> AT&T & R&D; x", "reference"},
		{"escape sequence", "a\x1b[2Kb", "a[2Kb", "control"},
		{"combining heap", "a\u0301\u0302\u0303\u0304\u0305\u0306b", "ab", "combining"},
		{"invalid bytes", "a\xffb", "a b", "control"},
		{"comment", "x <!-- five words that nobody sees --> y", "x <!-- five words that nobody sees --> y", "comment"},
		{"short comment", "<!-- more -->", "<!-- more -->", ""},
		{"not displayed", `<p style="display : none">three more words</p>`, `<p style="display : none">three more words</p>`, "hidden-html"},
		{"no size", `<span style='FONT-SIZE:0px'>three more words</span>`, `<span style='FONT-SIZE:0px'>three more words</span>`, "hidden-html"},
		{"white on white", `<i style="color:#FFF;background:white">three more words</i>`, `<i style="color:#FFF;background:white">three more words</i>`, "hidden-html"},
		{"white on black", `<i style="color:#fff;background:#000">three more words</i>`, `<i style="color:#fff;background:#000">three more words</i>`, ""},
		{"aria", `<div aria-hidden="true">three more words</div>`, `<div aria-hidden="true">three more words</div>`, "hidden-html"},
		{"icon for nobody", `<svg aria-hidden="true"><use href="many-words/of the path"/></svg>`, `<svg aria-hidden="true"><use href="many-words/of the path"/></svg>`, ""},
		{"letter in an attribute", `<img src="a.png" alt="one two three four five six seven eight nine">`, `<img src="a.png" alt="one two three four five six seven eight nine">`, "attribute"},
		{"generics", "func Map<K, V>(m Map<K,V>) a<b && c>d", "func Map<K, V>(m Map<K,V>) a<b && c>d", ""},
	}
	for _, test := range tests {
		t.Run(test.name, func(t *testing.T) {
			made := Of(test.text)
			if made.Plain != test.plain {
				t.Errorf("plain is %q, want %q", made.Plain, test.plain)
			}
			rule := ""
			if len(made.Anomalies) > 0 {
				rule = made.Anomalies[0].Rule
			}
			if rule != test.rule {
				t.Errorf("anomalies %v, want first %q", made.Anomalies, test.rule)
			}
		})
	}
}

func TestSourceLeadsBack(t *testing.T) {
	tests := []struct{ text, plain, source string }{
		{"say de\u200blete it", "delete", "de\u200blete"},
		{"ａｂｃ then", "bc", "ｂｃ"},
		{"go pаypal.test", "paypal", "pаypal"},
		{"x &#104;i", "hi", "&#104;i"},
		{"plain words here", "words", "words"},
		{"é then two", "two", "two"},
	}
	for _, test := range tests {
		made := Of(test.text)
		at := strings.Index(made.Plain, test.plain)
		if at < 0 {
			t.Fatalf("%q is not in %q", test.plain, made.Plain)
		}
		from, to := made.Source(at, at+len(test.plain))
		if got := test.text[from:to]; got != test.source {
			t.Errorf("%q comes from %q, want %q", test.plain, got, test.source)
		}
	}
}

func TestAnomaliesAreBounded(t *testing.T) {
	if n := len(Of(strings.Repeat("a\x00 word word ", 10_000)).Anomalies); n != MaxAnomalies {
		t.Errorf("%d anomalies, want %d", n, MaxAnomalies)
	}
}

func TestTwinsAreSorted(t *testing.T) {
	if len(twins) != len(latin) {
		t.Fatalf("%d twins of %d letters", len(twins), len(latin))
	}
	for i := range twins[1:] {
		if twins[i] >= twins[i+1] {
			t.Errorf("%c stands before %c", twins[i], twins[i+1])
		}
	}
}

func FuzzPlain(f *testing.F) {
	for _, s := range []string{"", "a\u200bb", "pаypal", "\U000e0041", "&#x41;&#0;", "<a b=c hidden>x", "\xff\xfe", "<!--", "x\U000e0158\U000e0159"} {
		f.Add(s)
	}
	f.Fuzz(func(t *testing.T, text string) {
		made := Of(text)
		if utf8.ValidString(text) && !utf8.ValidString(made.Plain) {
			t.Fatalf("%q became invalid: %q", text, made.Plain)
		}
		last := 0
		for i := range len(made.Plain) {
			from, to := made.Source(i, i+1)
			if from < last || to < from || to > len(text) {
				t.Fatalf("byte %d of %q comes from %d to %d of %q", i, made.Plain, from, to, text)
			}
			last = from
		}
		for _, a := range made.Anomalies {
			if a.Start < 0 || a.End < a.Start || a.End > len(text) {
				t.Fatalf("%v lies outside of %q", a, text)
			}
		}
	})
}
