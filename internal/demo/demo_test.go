package demo

import (
	"encoding/json"
	"testing"
)

func TestMoney(t *testing.T) {
	for text, want := range map[string]Money{"0": 0, "0.07": 7, "89.9": 8990, "89.90": 8990, "1e2": 10000, "4999.99": 499999} {
		var m Money
		if err := json.Unmarshal([]byte(text), &m); err != nil || m != want {
			t.Errorf("%s is %d, %v; want %d", text, m, err, want)
		}
	}
	for _, text := range []string{"-1.5", "0.001", "10.005", `"10"`, "true", "1e30", "{}"} {
		var m Money
		if err := json.Unmarshal([]byte(text), &m); err == nil {
			t.Errorf("%s is %s", text, m)
		}
	}
	for m, want := range map[Money]string{7: "0.07", 8990: "89.90", 100: "1.00"} {
		if got, _ := json.Marshal(m); string(got) != want {
			t.Errorf("%d cents are %s, want %s", m, got, want)
		}
	}
}
