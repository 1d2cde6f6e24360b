package event

import (
	"encoding/binary"
	"fmt"
	"io"
	"math/rand/v2"
	"os"
	"slices"
	"strings"
	"testing"
)

// Whatever the memory, the records come as a stable sort in memory has them,
// and nothing is left in the directory.
func TestSorter(t *testing.T) {
	rng := rand.New(rand.NewPCG(1, 3))
	for _, limit := range []int{1, 100, 1000, 20_000, 1 << 30} {
		for _, n := range []int{0, 1, 2, 1000} {
			type record struct{ key, value string }
			var want []record
			dir := t.TempDir()
			s := newSorter(dir, limit)
			s.fan = 3
			for i := range n {
				r := record{strings.Repeat("ab\x00\xff"[i%4:i%4+1], rng.IntN(12)) + fmt.Sprint(rng.IntN(n/4+1)), strings.Repeat("v", rng.IntN(300)) + fmt.Sprint(i)}
				want = append(want, r)
				if err := s.add([]byte(r.key), []byte(r.value)); err != nil {
					t.Fatal(err)
				}
			}
			slices.SortStableFunc(want, func(a, b record) int { return strings.Compare(a.key, b.key) })
			m, err := s.merge()
			if err != nil {
				t.Fatal(err)
			}
			for i := 0; ; i++ {
				key, value, err := m.next()
				if err == io.EOF && i == n {
					break
				}
				if err != nil || i >= n || string(key) != want[i].key || string(value) != want[i].value {
					t.Fatalf("limit %d, %d records: record %d is %q %q, %v", limit, n, i, key, value, err)
				}
			}
			s.close()
			if left, err := os.ReadDir(dir); err != nil || len(left) > 0 {
				t.Errorf("left behind: %v, %v", left, err)
			}
		}
	}
}

// A run that lost its end, or says it has more than it has, is an error.
func TestSorterDamaged(t *testing.T) {
	for _, cut := range []int64{1, 7, 15} {
		s := newSorter(t.TempDir(), 64)
		for i := range 10 {
			if err := s.add(binary.BigEndian.AppendUint32(nil, uint32(i)), []byte("0123456789")); err != nil {
				t.Fatal(err)
			}
		}
		if len(s.open()) < 2 {
			t.Fatal("nothing was spilled")
		}
		info, err := s.levels[0][0].Stat()
		if err != nil {
			t.Fatal(err)
		}
		if err := s.levels[0][0].Truncate(info.Size() - cut); err != nil {
			t.Fatal(err)
		}
		m, err := s.merge()
		n := 0
		for err == nil {
			if _, _, err = m.next(); err == nil {
				n++
			}
		}
		if err == io.EOF && n == 10 {
			t.Errorf("%d bytes less: all records, without an error", cut)
		}
		s.close()
	}
}
