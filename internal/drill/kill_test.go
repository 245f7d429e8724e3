package drill

import "testing"

// After a kill is acknowledged its agent has no effect, and the others have.
func TestNoEffectAfterAKill(t *testing.T) {
	m, err := Run(t.Context())
	if err != nil || m.Kills != rounds || m.Late != 0 || m.Others < rounds {
		t.Errorf("%+v, %v", m, err)
	}
}
