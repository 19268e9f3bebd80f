package audit_test

import (
	"fmt"
	"net/netip"
	"path/filepath"
	"testing"
	"testing/synctest"
	"time"

	"stsgate/gateway/audit"
)

func refused(n int, reason string) *audit.Record {
	return &audit.Record{
		Time: time.Now(), Action: "request", Outcome: "failure", Reason: reason, Transaction: fmt.Sprintf("%032x", n),
		Client: netip.AddrFrom4([4]byte{10, byte(n >> 16), byte(n >> 8), byte(n)}),
	}
}

// What is refused early is one line per source and reason at once, and then one
// in 10 seconds, with the count and the latest of them.
func TestEarly(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		l, file := open(t)
		begin := time.Now()
		for range 5 {
			if err := l.AppendRefused(refused(1, "wrong-path")); err != nil {
				t.Fatal(err)
			}
			time.Sleep(time.Second)
		}
		if err := l.AppendRefused(refused(1, "too-large")); err != nil {
			t.Fatal(err)
		}
		if err := l.AppendRefused(refused(2, "wrong-path")); err != nil {
			t.Fatal(err)
		}
		if got := lines(t, file); len(got) != 3 || got[0]["labels.count"] != nil {
			t.Fatalf("at once: %v", got)
		}
		time.Sleep(6 * time.Second)
		got := lines(t, file)
		if len(got) != 4 {
			t.Fatalf("after 10 seconds: %v", got)
		}
		last := got[3]
		if last["labels.count"] != 4.0 || last["client.ip"] != "10.0.0.1" || last["event.start"] != begin.Add(time.Second).Format(time.RFC3339Nano) ||
			last["@timestamp"] != begin.Add(4*time.Second).Format(time.RFC3339Nano) {
			t.Errorf("got %v", last)
		}
		time.Sleep(20 * time.Second)
		if got := lines(t, file); len(got) != 4 {
			t.Errorf("when nothing comes: %v", got[4:])
		}
		if err := l.AppendRefused(refused(1, "wrong-path")); err != nil {
			t.Fatal(err)
		}
		if err := l.AppendRefused(refused(1, "wrong-path")); err != nil {
			t.Fatal(err)
		}
		stop(t, l)
		if got := lines(t, file); len(got) != 6 || got[5]["labels.count"] != 1.0 {
			t.Errorf("after the stop: %v", got[4:])
		}
	})
}

// Of one source, what breaks another requirement has a line of its own.
func TestEarlyRequirements(t *testing.T) {
	l, file := open(t)
	for _, requirement := range []string{"XML-06", "SOAP-10", "SOAP-10"} {
		r := refused(1, "malformed")
		r.Requirement = requirement
		if err := l.AppendRefused(r); err != nil {
			t.Fatal(err)
		}
	}
	if got := lines(t, file); len(got) != 2 || got[0]["labels.requirement"] != "XML-06" || got[1]["labels.requirement"] != "SOAP-10" {
		t.Errorf("got %v", got)
	}
	stop(t, l)
}

// A stranger with many addresses writes no more than some hundred lines in 10
// seconds, and every request is counted.
func TestEarlyFlood(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		l, file := open(t)
		const sources, times = 5000, 20
		for i := range times {
			for n := range sources {
				if err := l.AppendRefused(refused(n, []string{"wrong-path", "malformed"}[n%2])); err != nil {
					t.Fatal(err)
				}
			}
			if i%2 == 1 {
				time.Sleep(10 * time.Second)
			}
		}
		stop(t, l)
		sum, others, got := 0, 0, lines(t, file)
		for _, r := range got {
			n, counted := r["labels.count"].(float64)
			if !counted {
				n = 1
			}
			sum += int(n)
			if r["labels.other_sources"] == true {
				others++
			}
		}
		if sum != sources*times {
			t.Errorf("%d were counted of %d", sum, sources*times)
		}
		if most := (100 + 2) * (times/2 + 2); len(got) > most || others < times/2 {
			t.Errorf("%d lines, want at most %d; %d of other sources", len(got), most, others)
		}
		good := verify(t, audit.VerifyConfig{Files: []string{file}})
		if good.Bad != nil {
			t.Error(good.Bad)
		}
	})
}

// An IPv6 source is its network.
func TestEarlyNetwork(t *testing.T) {
	dir := t.TempDir()
	l := start(t, dir)
	for i := range 50 {
		r := refused(i, "wrong-path")
		r.Client = netip.AddrFrom16([16]byte{0x20, 1, 0xd, 0xb8, 15: byte(i)})
		if err := l.AppendRefused(r); err != nil {
			t.Fatal(err)
		}
	}
	stop(t, l)
	if got := lines(t, filepath.Join(dir, "audit.jsonl")); len(got) != 3 || got[1]["labels.count"] != 49.0 { // and a checkpoint
		t.Errorf("got %v", got)
	}
}
