package manifest

import (
	"testing"
	"time"

	"sallyport"
)

// Numbers that are cheap to write and dear to hold must not cost more than a
// refusal, and must not end the process.
func TestHugeNumbers(t *testing.T) {
	for _, property := range []string{`{"type":"integer"}`, `{"type":"number","minimum":1}`, `{"type":"number","multipleOf":0.01}`, `{"const":5}`, `{"enum":[1,2]}`, `{}`, `{"type":["integer","string"]}`, `{"type":"array","uniqueItems":true}`} {
		tool := &sallyport.Definition{Name: "x", Raw: sallyport.MustParse(`{"inputSchema":{"type":"object","properties":{"n":` + property + `}}}`)}
		schema, err := Compile(tool)
		if err != nil {
			t.Fatal(err)
		}
		for _, number := range []string{"1e10000000", "1e-10000000", "1e999999", "-1e999999", "1e-999999", "1e99999999999999999999", "0e999999999", "[1e999999,1e-999999,2e99999999]", "[1e99999999999,1e99999999999]"} {
			begin := time.Now()
			func() {
				defer func() {
					if r := recover(); r != nil {
						t.Errorf("%s %s: panic %v", property, number, r)
					}
				}()
				err = schema.Check(sallyport.MustParse(`{"n":` + number + `}`))
			}()
			if took := time.Since(begin); took > 300*time.Millisecond {
				t.Errorf("%s %s: %s (%v)", property, number, took, err)
			}
			if err == nil {
				t.Errorf("%s admits %s", property, number)
			}
		}
		if err := schema.Check(sallyport.MustParse(`{"n":1e308}`)); err != nil && property == "{}" {
			t.Errorf("the largest doubles: %v", err)
		}
	}
	for _, schema := range []string{`{"type":"object","minProperties":1e10000000}`, `{"type":"object","properties":{"n":{"minimum":1e999999}}}`} {
		tool := &sallyport.Definition{Name: "x", Raw: sallyport.MustParse(`{"inputSchema":` + schema + `}`)}
		if _, err := Compile(tool); err == nil {
			t.Errorf("%s is compiled", schema)
		}
	}
}
