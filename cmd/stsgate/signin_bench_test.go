package main

import (
	"bufio"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"
)

// BenchmarkSignIns is of the real gateway with synced state, its farm and its
// clients on the same cores (STATE-13: 200 a second on two): by kind, how many a
// second, how long, and how many writes of the store each made.
func BenchmarkSignIns(b *testing.B) {
	const strangers = 20_000
	f := newFleet(b, 1, strangers, func(int) string { return "{dir: state, key: ../state.key}" })
	f.start(0)
	g := f.gateways[0]
	var guess atomic.Int64
	for _, kind := range []struct {
		name string
		ask  func() upshot
		want upshot
	}{
		{"password right", func() upshot { o, _ := g.ask("alice@contoso.example", alicePassword); return o }, granted},
		{"password wrong", func() upshot {
			n := int(guess.Add(1))
			o, _ := g.ask(victim(n%strangers), fmt.Sprint("guess", n))
			return o
		}, wrongCredential},
	} {
		b.Run(kind.name, func(b *testing.B) {
			before := g.writes(b)
			hasten(b, 32, 0, func() {
				if o := kind.ask(); o != kind.want {
					b.Errorf("answered %v, want %v", o, kind.want)
				}
			})
			b.ReportMetric((g.writes(b)-before)/float64(b.N), "writes/op")
		})
	}
}

// BenchmarkAuditLine is what the durable line costs a sign-in at 200 a second:
// with the audit log on a disk, and with one that keeps nothing.
func BenchmarkAuditLine(b *testing.B) {
	for _, file := range []string{"audit.jsonl", os.DevNull} {
		b.Run(filepath.Base(file), func(b *testing.B) {
			f := newFleet(b, 1, 0, func(int) string { return "{dir: state, key: ../state.key}" })
			g := f.gateways[0]
			config := filepath.Join(g.dir, "stsgate.yaml")
			text, err := os.ReadFile(config)
			if err != nil {
				b.Fatal(err)
			}
			if err := os.WriteFile(config, []byte(strings.Replace(string(text), "audit.jsonl", file, 1)), 0o600); err != nil {
				b.Fatal(err)
			}
			f.start(0)
			hasten(b, 32, 5*time.Millisecond, func() {
				if o, _ := g.ask("alice@contoso.example", alicePassword); o != granted {
					b.Errorf("answered %v", o)
				}
			})
		})
	}
}

// hasten does something b.N times, in so many goroutines, each at its time when
// there is a pace.
func hasten(b *testing.B, workers int, pace time.Duration, do func()) {
	took := make([]time.Duration, b.N)
	var next atomic.Int64
	var all sync.WaitGroup
	b.ResetTimer()
	start := time.Now()
	for range workers {
		all.Go(func() {
			for i := int(next.Add(1)) - 1; i < b.N; i = int(next.Add(1)) - 1 {
				due := start.Add(time.Duration(i) * pace)
				if pace > 0 {
					<-time.After(time.Until(due))
				} else {
					due = time.Now()
				}
				do()
				took[i] = time.Since(due)
			}
		})
	}
	all.Wait()
	b.StopTimer()
	slices.Sort(took)
	b.ReportMetric(float64(b.N)/b.Elapsed().Seconds(), "op/s")
	b.ReportMetric(float64(took[len(took)/2].Microseconds()), "p50-µs")
	b.ReportMetric(float64(took[len(took)*99/100].Microseconds()), "p99-µs")
}

// writes is how many writes the store took.
func (g *gatewayProcess) writes(b *testing.B) float64 {
	b.Helper()
	r, err := operator.Get("http://" + g.admin + "/metrics")
	if err != nil {
		b.Fatal(err)
	}
	defer r.Body.Close()
	return sum(r.Body, `stsgate_state_operations_total{operation="create",outcome="ok"}`, `stsgate_state_operations_total{operation="swap",outcome="ok"}`)
}

func sum(metrics io.Reader, series ...string) (total float64) {
	for lines := bufio.NewScanner(metrics); lines.Scan(); {
		for _, name := range series {
			if value, ok := strings.CutPrefix(lines.Text(), name+" "); ok {
				n, _ := strconv.ParseFloat(value, 64)
				total += n
			}
		}
	}
	return total
}
