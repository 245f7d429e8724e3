package manifest

import (
	"strings"
	"testing"

	"sallyport"
)

// What does not fit is said without the value: the sentence goes into an entry
// of the log, which nothing can erase.
func TestCheckQuotesNoValue(t *testing.T) {
	const secret = "hunter2-4242"
	text := `"` + secret + `"`
	for property, value := range map[string]string{
		`{"type":"integer"}`:                                           text,
		`{"type":"string","pattern":"^[0-9]+$"}`:                       text,
		`{"type":"string","format":"email"}`:                           text,
		`{"type":"string","maxLength":3}`:                              text,
		`{"type":"string","minLength":99}`:                             text,
		`{"enum":["a","b"]}`:                                           text,
		`{"const":"a"}`:                                                text,
		`{"not":{"type":"string"}}`:                                    text,
		`{"anyOf":[{"type":"integer"},{"pattern":"^x"}]}`:              text,
		`{"oneOf":[{"type":"string"},{"minLength":1}]}`:                text,
		`{"allOf":[{"pattern":"^x"}]}`:                                 text,
		`{"if":{"type":"string"},"then":{"pattern":"^x"}}`:             text,
		`{"type":"number","minimum":99999}`:                            "4242",
		`{"type":"number","maximum":1}`:                                "4242",
		`{"type":"number","exclusiveMinimum":99999}`:                   "4242",
		`{"type":"number","exclusiveMaximum":1}`:                       "4242",
		`{"type":"number","multipleOf":1000}`:                          "4242",
		`{"type":"array","items":{"pattern":"^x"}}`:                    "[" + text + "]",
		`{"type":"array","uniqueItems":true}`:                          "[" + text + "," + text + "]",
		`{"type":"array","contains":{"const":"a"}}`:                    "[" + text + "]",
		`{"type":"array","maxItems":0}`:                                "[" + text + "]",
		`{"type":"object","propertyNames":{"pattern":"^x"}}`:           `{` + text + `:1}`,
		`{"type":"string","contentEncoding":"base64"}`:                 text,
		`{"type":"string","contentMediaType":"application/json"}`:      text,
		`{"type":"object","properties":{"a":{}},"required":["a","b"]}`: `{"a":` + text + `}`,
	} {
		schema, err := Compile(&sallyport.Definition{Name: "x", Raw: sallyport.MustParse(
			`{"inputSchema":{"type":"object","properties":{"n":` + property + `}}}`)})
		if err != nil {
			t.Fatal(err)
		}
		err = schema.Check(sallyport.MustParse(`{"n":` + value + `}`))
		if err == nil {
			t.Logf("%s admits %s", property, value)
			continue
		}
		// An undeclared name is said, so that an operator can admit it.
		if strings.HasPrefix(property, `{"type":"object","propertyNames"`) {
			continue
		}
		if strings.Contains(err.Error(), "hunter2") || strings.Contains(err.Error(), "4242") || strings.Contains(err.Error(), "4,242") {
			t.Errorf("%s: %v", property, err)
		}
	}
}

// It still says what would fit.
func TestCheckSaysWhatFits(t *testing.T) {
	for property, test := range map[string]struct{ value, want string }{
		`{"type":"integer"}`:             {`"x"`, "/n: got string, want integer"},
		`{"pattern":"^[0-9]+$"}`:         {`"x"`, "/n: does not match pattern '^[0-9]+$'"},
		`{"maxLength":3}`:                {`"four"`, "/n: maxLength: got 4, want 3"},
		`{"enum":["a","b"]}`:             {`"x"`, "/n: value must be one of 'a', 'b'"},
		`{"minimum":5}`:                  {`4`, "/n: does not fit minimum 5"},
		`{"exclusiveMaximum":2.5}`:       {`4`, "/n: does not fit exclusiveMaximum 2.5"},
		`{"multipleOf":0.01}`:            {`0.001`, "/n: does not fit multipleOf 0.01"},
		`{"not":{"type":"integer"}}`:     {`1`, "/n: 'not' failed"},
		`{"required":["a"]}`:             {`{}`, "/n: missing property 'a'"},
		`{"contains":{"const":"a"}}`:     {`[]`, "/n: no items match contains schema"},
		`{"minItems":1,"type":"array"}`:  {`[]`, "/n: minItems: got 0, want 1"},
		`{"additionalProperties":false}`: {`{"a":1}`, "/n"},
	} {
		schema, err := Compile(&sallyport.Definition{Name: "x", Raw: sallyport.MustParse(
			`{"inputSchema":{"type":"object","properties":{"n":` + property + `}}}`)})
		if err != nil {
			t.Fatal(err)
		}
		if err := schema.Check(sallyport.MustParse(`{"n":` + test.value + `}`)); err == nil || !strings.HasPrefix(err.Error(), test.want) {
			t.Errorf("%s: %v, want %s", property, err, test.want)
		}
	}
}
