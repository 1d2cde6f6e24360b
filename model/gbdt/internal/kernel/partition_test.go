package kernel

import (
	"fmt"
	"math/rand/v2"
	"slices"
	"testing"
	"time"
)

func TestPartitionByHand(t *testing.T) {
	column := []uint8{9, 1, 255, 9, 0}
	left := [256]uint8{9: 1, 0: 1}
	eachLevel(t, func(t *testing.T) {
		rows, right := []int32{0, 1, 2, 4}, make([]int32, 4)
		n := Partition(rows, right, column, &left)
		if !slices.Equal(rows[:n], []int32{0, 4}) || !slices.Equal(right[:4-n], []int32{1, 2}) {
			t.Errorf("stay %v, leave %v", rows[:n], right[:4-n])
		}
	})
}

// checkPartition compares the levels with plain Go. The slices are parts of
// larger ones, which must not change.
func checkPartition(t *testing.T, rows []int32, column []uint8, left *[256]uint8) {
	t.Helper()
	n := len(rows)
	stay, leave := slices.Clone(rows), make([]int32, n)
	want := partitionGo(stay, leave, column, left)
	for l := Plain; l <= Best(); l++ {
		in, out := make([]int32, n+64), make([]int32, n+64)
		for i := range in {
			in[i], out[i] = -1, -1
		}
		copy(in[32:], rows)
		before := Use(l)
		got := Partition(in[32:32+n], out[32:], column, left)
		Use(before)
		outside := slices.Concat(in[:32], in[32+n:], out[:32], out[32+n:])
		switch {
		case got != want:
			t.Errorf("%v: %d of %d rows stay, want %d", l, got, n, want)
		case !slices.Equal(in[32:32+got], stay[:want]):
			t.Errorf("%v: %d rows: other rows stay than in plain Go", l, n)
		case !slices.Equal(out[32:32+n-got], leave[:n-want]):
			t.Errorf("%v: %d rows: other rows leave than in plain Go", l, n)
		case slices.ContainsFunc(outside, func(r int32) bool { return r != -1 }):
			t.Errorf("%v: %d rows: wrote outside", l, n)
		}
	}
}

// Lists of all densities, with any share of rows that stay; the column ends
// where memory ends, with the last row of the list.
func TestPartitionLevels(t *testing.T) {
	rnd := rand.New(rand.NewPCG(1, 2))
	lengths := []int{1<<15 + 15, 1<<16 + 3}
	for n := 1; n <= 200; n++ {
		lengths = append(lengths, n)
	}
	for _, n := range lengths {
		for _, step := range []int{1, 2, 8, 9, 40} {
			rows, r := make([]int32, n), -1
			for i := range rows {
				r += 1 + rnd.IntN(step)
				rows[i] = int32(r)
			}
			column := guarded(t, r+1)
			for i := range column {
				column[i] = uint8(rnd.IntN(256))
			}
			for _, share := range []int{0, 3, 128, 256} {
				checkPartition(t, rows, column, randomLeft(rnd, share))
			}
		}
	}
	checkPartition(t, nil, nil, new([256]uint8))
}

// randomLeft lets a share of the 256 bins stay.
func randomLeft(rnd *rand.Rand, share int) *[256]uint8 {
	var left [256]uint8
	for i := range left {
		if rnd.IntN(256) < share {
			left[i] = 1
		}
	}
	return &left
}

func TestPartitionPanics(t *testing.T) {
	rows := make([]int32, 40)
	for i := range rows {
		rows[i] = int32(i)
	}
	eachLevel(t, func(t *testing.T) {
		if !panics(func() { Partition(slices.Clone(rows), make([]int32, 40), make([]uint8, 39, 64), new([256]uint8)) }) {
			t.Error("row beyond the column: no panic")
		}
		if !panics(func() { Partition(slices.Clone(rows), make([]int32, 39), make([]uint8, 40), new([256]uint8)) }) {
			t.Error("no room for rows that leave: no panic")
		}
	})
}

// FuzzPartition takes a column; the rows listed are those whose bins share a
// bit with in, and those stay whose bit number stay is set.
func FuzzPartition(f *testing.F) {
	f.Add([]byte("a few bytes for a start, more than a turn of the loop has rows"), byte(0x55), byte(3))
	f.Fuzz(func(t *testing.T, column []byte, in, stay byte) {
		var left [256]uint8
		for i := range left {
			left[i] = uint8(i) >> (stay % 8) & 1
		}
		var rows []int32
		for r, bin := range column {
			if bin&in != 0 {
				rows = append(rows, int32(r))
			}
		}
		checkPartition(t, rows, column, &left)
	})
}

// BenchmarkPartition measures time per row for leaves with 100 to 1 per cent
// of the rows, half of which stay.
func BenchmarkPartition(b *testing.B) {
	rnd := rand.New(rand.NewPCG(3, 4))
	left := randomLeft(rnd, 128)
	for _, n := range []int{100_000, 1_000_000} {
		columns := make([][]uint8, 8)
		for c := range columns {
			columns[c] = make([]uint8, n)
			for i := range columns[c] {
				columns[c][i] = uint8(rnd.IntN(256))
			}
		}
		rows, right := make([]int32, n), make([]int32, n)
		for _, number := range []int{1, 2, 10, 100} {
			lists := leaves(n, number)
			b.Run(fmt.Sprintf("%dk/1of%d", n/1000, number), func(b *testing.B) {
				eachLevel(b, func(b *testing.B) {
					took, done := time.Duration(0), 0
					for i := 0; b.Loop(); i++ {
						rows := rows[:copy(rows, lists[i%len(lists)])]
						start := time.Now()
						Partition(rows, right, columns[i%len(columns)], left)
						took += time.Since(start)
						done += len(rows)
					}
					b.ReportMetric(float64(took)/float64(done), "ns/row")
				})
			})
		}
	}
}
