package gbdt

import (
	"fmt"
	"math"
	"math/rand/v2"
	"reflect"
	"strconv"
	"strings"
	"testing"
)

// readBy reads a text by so many workers, 0 being the plain way. A forest
// comes as text, since it may hold NaN.
func readBy(t testing.TB, s string, limits Limits, workers int) string {
	t.Helper()
	r := &textReader{text: s, limits: limits.orDefault(), workers: workers}
	f, err := r.forest()
	if err != nil {
		return fmt.Sprintf("line %d: %v", r.line, err)
	}
	return text(t, f)
}

// TestAhead: however many workers read a text, forest and error are those of
// reading line by line.
func TestAhead(t *testing.T) {
	r := rand.New(rand.NewPCG(23, 24))
	texts := []string{}
	for _, c := range hostile {
		good := goodText(t)
		texts = append(texts, resize(strings.Replace(good, c.old, c.new, 1), strings.Contains(c.name, "size")))
	}
	for range 10 {
		good := text(t, randomForest(r, 1+r.IntN(4), 40+r.IntN(40), 6))
		texts = append(texts, good)
		for range 60 { // damaged in one to three places
			b := []byte(good)
			for range 1 + r.IntN(3) {
				switch i := r.IntN(len(b)); r.IntN(4) {
				case 0:
					b[i] ^= 1 << r.IntN(8)
				case 1:
					b[i] = "\n =-.0"[r.IntN(6)]
				case 2:
					b = append(b[:i], b[i+1:]...)
				case 3:
					b = append(b[:i], append([]byte{"\n 1"[r.IntN(3)]}, b[i:]...)...)
				}
			}
			texts = append(texts, string(b))
		}
	}
	good, bad := 0, 0
	for _, s := range texts {
		for _, limits := range []Limits{{}, {Depth: 3}} {
			want := readBy(t, s, limits, 0)
			if strings.HasPrefix(want, "line ") {
				bad++
			} else {
				good++
			}
			for _, workers := range []int{1, 3} {
				if got := readBy(t, s, limits, workers); got != want {
					t.Fatalf("%d workers read\n%.2000s\nwant\n%.2000s\nof\n%s", workers, got, want, s)
				}
			}
		}
	}
	if good < 20 || bad < 100 {
		t.Errorf("%d texts are good and %d bad: too few to show anything", good, bad)
	}
}

// scanWord is what strconv says of the first word of s.
func scanWord[T any](s string, parse func(string) (T, error)) (T, int, bool) {
	w, _, _ := strings.Cut(s, " ")
	v, err := parse(w)
	return v, len(w), err == nil
}

// checkScan: what the fast scanners take they read as strconv does.
func checkScan(t *testing.T, s string) (taken int) {
	t.Helper()
	if v, n := scanInt(s); n > 0 {
		taken++
		if want, length, ok := scanWord(s, strconv.Atoi); !ok || v != want || n != length {
			t.Fatalf("%q: %d of %d bytes, strconv has %d of %d, %v", s, v, n, want, length, ok)
		}
	}
	if v, n := scanFloat(s); n > 0 {
		taken++
		parse := func(w string) (float64, error) { return strconv.ParseFloat(w, 64) }
		if want, length, ok := scanWord(s, parse); !ok || math.Float64bits(v) != math.Float64bits(want) || n != length {
			t.Fatalf("%q: %v of %d bytes, strconv has %v of %d, %v", s, v, n, want, length, ok)
		}
	}
	return taken
}

func TestScan(t *testing.T) {
	for _, s := range []string{"", " ", "-", ".", "-.", "1.", ".5", "-0", "-0.0", "00012", "+1", "1_0", "0x1", "1e5", "inf", "nan", "999999999",
		"9999999999", "-999999999 1", "123456789012345", "0.00000000000001", "9007199254740993", "1.2.3", "1-2", "--1", "1 2", "12 "} {
		checkScan(t, s)
	}
	r := rand.New(rand.NewPCG(25, 26))
	taken := 0
	for range 200_000 {
		var s string
		switch r.IntN(4) {
		case 0:
			s = strconv.FormatFloat(math.Float64frombits(r.Uint64()), 'g', 1+r.IntN(17), 64)
		case 1:
			s = strconv.FormatFloat(r.NormFloat64()*math.Pow(10, float64(r.IntN(20)-10)), 'f', r.IntN(15), 64)
		case 2:
			s = strconv.FormatInt(int64(r.Uint64())>>r.IntN(64), 10)
		case 3:
			for range r.IntN(20) {
				s += string("0123456789.- e"[r.IntN(14)])
			}
		}
		taken += checkScan(t, s+[]string{"", " 7", "x"}[r.IntN(3)])
	}
	if taken < 50_000 {
		t.Errorf("only %d numbers were scanned: the test shows little", taken)
	}
}

func FuzzScan(f *testing.F) {
	f.Add("-12.5 3")
	f.Fuzz(func(t *testing.T, s string) { checkScan(t, s) })
}

// TestNumbersKeepOrder: numbers that are scanned and numbers that are parsed
// stand in one list.
func TestNumbersKeepOrder(t *testing.T) {
	got, err := floats("x", "1 1e2 -0.5 inf 0.30000000000000004", -1)
	if want := []float64{1, 100, -0.5, math.Inf(1), 0.30000000000000004}; err != nil || !reflect.DeepEqual(got, want) {
		t.Errorf("%v, %v, want %v", got, err, want)
	}
	for _, s := range []string{"1  2 3", " 1 2 3", "1 2 3 "} {
		if got, err := ints("x", s, -1); err == nil || !strings.Contains(err.Error(), `"" is not a number`) {
			t.Errorf("%q: %v, %v", s, got, err)
		}
	}
}
