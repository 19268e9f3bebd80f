package wstrust_test

import (
	"fmt"
	"math/rand/v2"
	"path/filepath"
	"reflect"
	"strings"
	"testing"

	"stsgate/gateway/wstrust"
	"stsgate/testdata"
)

// exported are the fields of a struct that others see.
func exported(p any) map[string]any {
	all, v := map[string]any{}, reflect.ValueOf(p).Elem()
	for i := range v.NumField() {
		if f := v.Type().Field(i); f.IsExported() {
			all[f.Name] = v.Field(i).Interface()
		}
	}
	return all
}

// remains names the first part of v that is not zero. Of slices it looks at the
// whole capacity; only their length must be none.
func remains(v reflect.Value, path string) string {
	switch v.Kind() {
	case reflect.Struct:
		for i := range v.NumField() {
			if found := remains(v.Field(i), path+"."+v.Type().Field(i).Name); found != "" {
				return found
			}
		}
		return ""
	case reflect.Slice:
		if v.Len() > 0 {
			return path
		}
		for i := range v.Cap() {
			if !v.Slice(0, v.Cap()).Index(i).IsZero() {
				return fmt.Sprintf("%s[%d]", path, i)
			}
		}
		return ""
	case reflect.Map:
		if v.Len() > 0 {
			return path
		}
		return ""
	default:
		if !v.IsZero() {
			return path
		}
		return ""
	}
}

// TestMemory reads many messages in one memory, as they are and with changes,
// and each as if it were the first: AUD-05. Wipe leaves nothing of it.
func TestMemory(t *testing.T) {
	var requests, answers [][]byte
	for pattern, seeds := range map[string]*[][]byte{"rst/*.xml": &requests, "rstr/*.xml": &answers, "fault/*.xml": &answers} {
		names, err := filepath.Glob(filepath.Join(testdata.Root(t), "testdata", "messages", filepath.FromSlash(pattern)))
		if err != nil || len(names) == 0 {
			t.Fatalf("%s: %v, %d messages", pattern, err, len(names))
		}
		for _, name := range names {
			*seeds = append(*seeds, testdata.Message(t, filepath.Join(filepath.Base(filepath.Dir(name)), filepath.Base(name))))
		}
	}
	m, memory := &mutator{rand.New(rand.NewPCG(1, 2)), append(requests, answers...)}, new(wstrust.Memory)
	accepted, released := 0, 0
	for n := range 3000 {
		body, answer := pick(m, requests), pick(m, answers)
		if n%2 == 1 {
			body = m.mutant(body)
		}
		if n%3 == 1 {
			answer = m.mutant(answer)
		}
		in := wstrust.Inbound{Body: body, Now: clock}
		want, wantErr := wstrust.Inspect(in)
		in.Memory = memory
		got, err := wstrust.Inspect(in)
		if !reflect.DeepEqual(exported(got), exported(want)) || !reflect.DeepEqual(err, wantErr) {
			t.Fatalf("got %+v, %v, want %+v, %v, of\n%s", exported(got), err, exported(want), wantErr, body)
		}
		if err == nil {
			accepted++
			want, wantErr := wstrust.ReadAnswer(answer, got.Version)
			got, err := got.ReadAnswer(append(got.Room(), answer...))
			if (err == nil) != (wantErr == nil) || err != nil && !reflect.DeepEqual(err, wantErr) {
				t.Fatalf("got %v, want %v, of\n%s", err, wantErr, answer)
			}
			if err == nil {
				released++
				if !reflect.DeepEqual(exported(got), exported(want)) {
					t.Fatalf("got %+v, want %+v, of\n%s", exported(got), exported(want), answer)
				}
			}
		}
		memory.Wipe()
		if found := remains(reflect.ValueOf(memory).Elem(), "memory"); found != "" {
			t.Fatalf("%s is left of\n%s\nand\n%s", found, body, answer)
		}
	}
	if accepted < 500 || released < 100 {
		t.Errorf("only %d requests were accepted and %d answers", accepted, released)
	}
}

// A request that is read where another was costs no more than its texts, its
// password and its envelope.
func TestMemoryAllocations(t *testing.T) {
	in := wstrust.Inbound{Body: testdata.Message(t, "rst/msal-net-13.xml"), Memory: new(wstrust.Memory), Now: clock}
	got := testing.AllocsPerRun(100, func() {
		if _, err := wstrust.ReadRequest(in); err != nil {
			t.Error(err)
		}
		in.Memory.Wipe()
	})
	if got > 4 {
		t.Errorf("got %v allocations, want at most 4", got)
	}
}

// AUD-05: of a password that is nobody's no copy is made, since none of those
// who wipe would know of it.
func TestPasswordWithoutUser(t *testing.T) {
	body := string(testdata.Message(t, "rst/wcf-13.xml"))
	size := func(n int) float64 {
		message := edit(t, body, `CONTOSO\alice`, "", "Str0ng", strings.Repeat("s", n))
		return allocated([]byte(message), func(b []byte) error {
			_, err := wstrust.ReadRequest(wstrust.Inbound{Body: b, Now: clock})
			if verdict(err) != "unsupported credential" {
				t.Fatalf("got %v", err)
			}
			return err
		})
	}
	if short, long := size(100), size(8<<10); long > short+1<<10 {
		t.Errorf("got %.0f bytes allocated for a password of 8 KiB, %.0f for one of 100 bytes", long, short)
	}
}
