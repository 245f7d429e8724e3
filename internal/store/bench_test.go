package store

import (
	"bytes"
	"context"
	"fmt"
	"os"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"golang.org/x/sys/unix"

	"sallyport"
)

func processorTime(b *testing.B) time.Duration {
	var usage unix.Rusage
	if err := unix.Getrusage(unix.RUSAGE_SELF, &usage); err != nil {
		b.Fatal(err)
	}
	return time.Duration(usage.Utime.Nano() + usage.Stime.Nano())
}

// BenchmarkCalls writes the two records of a call, the intent by Commit and the
// outcome by Append, from so many agents at once. One iteration is one record.
func BenchmarkCalls(b *testing.B) {
	for _, result := range []int{200, 64 << 10} {
		for _, writers := range []int{1, 16, 64} {
			b.Run(fmt.Sprintf("result=%d/writers=%d", result, writers), func(b *testing.B) {
				s := open(b, b.TempDir())
				payload := append(append([]byte{'"'}, bytes.Repeat([]byte("x"), result-2)...), '"')
				var next atomic.Int64
				var group sync.WaitGroup
				start := processorTime(b)
				b.ResetTimer()
				for range writers {
					group.Go(func() {
						for i := next.Add(2); i <= int64(b.N); i = next.Add(2) {
							asked := intent(fmt.Sprintf("c_%020d", i))
							if err := s.Commit(context.Background(), asked); err != nil {
								b.Error(err)
								return
							}
							answered := outcome(asked)
							answered.Result = payload
							if err := s.Append(context.Background(), answered); err != nil {
								b.Error(err)
								return
							}
						}
					})
				}
				group.Wait()
				if err := s.Close(); err != nil {
					b.Fatal(err)
				}
				b.StopTimer()
				b.ReportMetric(float64((processorTime(b)-start).Microseconds())/float64(b.N), "cpu-µs/record")
				b.ReportMetric(float64(b.N)/b.Elapsed().Seconds(), "records/s")
			})
		}
	}
}

// BenchmarkOpen opens a directory with 100,000 entries after a kill: 16 calls
// are under way, and the last second is neither in the tree nor projected.
func BenchmarkOpen(b *testing.B) {
	kept := b.TempDir()
	s := open(b, kept)
	write := func(calls int, records func(*sallyport.Record) []*sallyport.Record) {
		var group []*waiting
		for i := range calls {
			for _, record := range records(intent(fmt.Sprintf("c_%d_%020d", calls, i))) {
				w, err := s.prepare(record)
				if err != nil {
					b.Fatal(err)
				}
				group = append(group, w)
			}
		}
		if err := s.committer.write(context.Background(), group); err != nil {
			b.Fatal(err)
		}
	}
	ended := func(r *sallyport.Record) []*sallyport.Record { return []*sallyport.Record{r, outcome(r)} }
	write(46_000, ended)
	if err := s.sequencer.advance(context.Background()); err != nil {
		b.Fatal(err)
	}
	s.sequencer.pass.Lock() // nothing is sequenced or projected any more
	defer s.sequencer.pass.Unlock()
	s.projecting.Lock()
	defer s.projecting.Unlock()
	write(4000, ended)
	write(16, func(r *sallyport.Record) []*sallyport.Record { return []*sallyport.Record{r} })
	size, err := s.Size(context.Background())
	if err != nil {
		b.Fatal(err)
	}
	for b.Loop() {
		b.StopTimer()
		dir := b.TempDir()
		if err := os.CopyFS(dir, os.DirFS(kept)); err != nil {
			b.Fatal(err)
		}
		b.StartTimer()
		s, err := Open(dir, time.Now)
		if err != nil {
			b.Fatal(err)
		}
		b.StopTimer()
		if after, err := s.Size(context.Background()); err != nil || after != size+16 {
			b.Fatal(after, err)
		}
		if err := s.Close(); err != nil {
			b.Fatal(err)
		}
		b.StartTimer()
	}
	b.ReportMetric(float64(size), "entries")
}

// BenchmarkReindex builds the projections of 50,000 entries anew. One iteration is
// one entry.
func BenchmarkReindex(b *testing.B) {
	s := open(b, b.TempDir())
	calls(b, s, 25_000)
	for b.Loop() {
		start := processorTime(b)
		if err := s.Reindex(b.Context()); err != nil {
			b.Fatal(err)
		}
		b.ReportMetric(float64((processorTime(b)-start).Nanoseconds())/1e3/50_000, "cpu-µs/entry")
	}
}
