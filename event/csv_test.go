package event

import (
	"encoding/csv"
	"errors"
	"io"
	"math/rand/v2"
	"slices"
	"strings"
	"testing"
)

// judge reads as encoding/csv does: rows, and for each that is refused its
// lines.
func judge(text string, comma rune) (rows [][]string, lines []int) {
	r := csv.NewReader(strings.NewReader(text))
	r.Comma, r.FieldsPerRecord = comma, -1
	for {
		row, err := r.Read()
		var pe *csv.ParseError
		switch {
		case err == io.EOF:
			return rows, lines
		case errors.As(err, &pe):
			rows, lines = append(rows, nil), append(lines, pe.StartLine, pe.Line-pe.StartLine+1)
		default:
			at, _ := r.FieldPos(0)
			rows, lines = append(rows, row), append(lines, at, 0)
		}
	}
}

func checkCSV(t *testing.T, text string, comma rune, ahead int) {
	t.Helper()
	c := NewCSV(strings.NewReader(text), "t.csv", comma)
	c.least = ahead
	wantRows, wantLines := judge(text, comma)
	for i := 0; ; i++ {
		cells, err := c.Next()
		if err == io.EOF {
			if i != len(wantRows) {
				t.Fatalf("%q: %d rows, want %q", text, i, wantRows)
			}
			return
		}
		var bad *RowError
		if err != nil && !errors.As(err, &bad) {
			t.Fatalf("%q: %v", text, err)
		}
		if i >= len(wantRows) {
			t.Fatalf("%q: %q, %v after %q", text, cells, err, wantRows)
		}
		var row []string
		for _, cell := range cells {
			row = append(row, string(cell))
		}
		line, lines := c.Place()
		if !slices.Equal(row, wantRows[i]) || line != wantLines[2*i] || bad != nil && lines != wantLines[2*i+1] {
			t.Fatalf("%q read %d ahead: row %d is %q on %d+%d, %v; want %q on %v", text, ahead, i, row, line, lines, err, wantRows[i], wantLines[2*i:2*i+2])
		}
	}
}

// Whatever the text and wherever reading stops for a while, the rows are those
// of encoding/csv.
func TestCSVAgrees(t *testing.T) {
	rng := rand.New(rand.NewPCG(1, 1))
	alphabets := []string{"ab,,\n\n\"", "a,\n\r\"", "aaaa,\r\n\"\"\"\"", "\"\"\"\n", "ab,\n"}
	for range 100_000 {
		alphabet := alphabets[rng.IntN(len(alphabets))]
		b := make([]byte, rng.IntN(24))
		for i := range b {
			b[i] = alphabet[rng.IntN(len(alphabet))]
		}
		checkCSV(t, string(b), ',', 1+rng.IntN(8))
	}
	for _, text := range []string{"a;b\n1;2\n", "\"a\";b\r\n1;\"2;\"\"3\"\r\n", "a\u00a6b\n"} {
		for _, comma := range ";\u00a6\t" {
			checkCSV(t, text, comma, 3)
		}
	}
}

func FuzzCSV(f *testing.F) {
	f.Add("a,b\n\"1\",\"2\"\"\n3\"\r\n", 3)
	f.Add("a,\"b\n\n\r", 1)
	f.Fuzz(func(t *testing.T, text string, ahead int) {
		if len(text) < 1<<12 {
			checkCSV(t, text, ',', 1+ahead&63)
		}
	})
}
