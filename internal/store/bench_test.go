package store

import (
	"bytes"
	"context"
	"fmt"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"golang.org/x/sys/unix"
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
