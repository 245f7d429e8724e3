package store

import (
	"crypto/rand"
	"testing"

	"sallyport"
	"sallyport/internal/tlog"
)

// BenchmarkSequence turns entries of 600 bytes into tiles, bundles and a
// checkpoint for every 4,000. One iteration is one entry.
func BenchmarkSequence(b *testing.B) {
	const per = 4000
	text := make([]byte, 600)
	s := open(b, b.TempDir())
	s.sequencer.pass.Lock()
	defer s.sequencer.pass.Unlock()
	g := grower{tree: new(tlog.Tree), write: s.writeTile}
	start := processorTime(b)
	b.ResetTimer()
	for i := range b.N {
		rand.Read(text[:8])
		if err := g.add(text, sallyport.LeafHash(text)); err != nil {
			b.Fatal(err)
		}
		if (i+1)%per == 0 || i+1 == b.N {
			if err := g.end(); err != nil {
				b.Fatal(err)
			}
			if err := s.sequencer.publish(g.tree); err != nil {
				b.Fatal(err)
			}
		}
	}
	b.ReportMetric(float64((processorTime(b)-start).Nanoseconds())/1e3/float64(b.N), "cpu-µs/entry")
	b.ReportMetric(float64(b.N)/b.Elapsed().Seconds(), "entries/s")
}
