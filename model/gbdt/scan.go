package gbdt

import (
	"cmp"
	"fmt"
	"slices"
	"strconv"
	"strings"
)

// fields are the lines "key=value" of a header or a tree. A bare word is a
// key without value. Taking a field out leaves those nobody asked for. They
// are few and asked for in about their order, so going through them is quick.
type fields []keyValue

type keyValue struct{ key, value string }

func (fs fields) find(key string) int {
	for i := range fs {
		if fs[i].key == key {
			return i
		}
	}
	return -1
}

// take returns a field's value and removes the field.
func (fs *fields) take(key string) (string, bool) {
	i := fs.find(key)
	if i < 0 {
		return "", false
	}
	value := (*fs)[i].value
	*fs = slices.Delete(*fs, i, i+1)
	return value, true
}

// rest returns an error if a field is left. Of several it names the first in
// the alphabet.
func (fs fields) rest() error {
	if len(fs) == 0 {
		return nil
	}
	first := slices.MinFunc(fs, func(a, b keyValue) int { return strings.Compare(a.key, b.key) })
	return fmt.Errorf("field %q is not known", shorten(first.key))
}

// words splits s at single spaces into at most limit words. The words do not
// keep the text they are part of in memory.
func words(key, s string, limit int) ([]string, error) {
	if s == "" {
		return nil, nil
	}
	n := strings.Count(s, " ") + 1
	if n > limit {
		return nil, fmt.Errorf("%s has %d values, over the limit of %d", key, n, limit)
	}
	return strings.Split(strings.Clone(s), " "), nil
}

// ints reads n whole numbers, or any number of them if n is negative.
func ints(key, s string, n int) ([]int, error) {
	return numbers(key, s, n, scanInt, strconv.Atoi)
}

// floats reads n numbers. They may be infinite or NaN.
func floats(key, s string, n int) ([]float64, error) {
	return numbers(key, s, n, scanFloat, func(w string) (float64, error) { return strconv.ParseFloat(w, 64) })
}

// numbers counts before it allocates, so that memory follows the text. What
// scan does not know, because it is rare or wrong, is left to parse.
func numbers[T any](key, s string, n int, scan func(string) (T, int), parse func(string) (T, error)) ([]T, error) {
	have := 0
	if s != "" {
		have = strings.Count(s, " ") + 1
	}
	if n >= 0 && have != n {
		return nil, fmt.Errorf("%s has %d values, want %d", key, have, n)
	}
	values := make([]T, have)
	for i := range values {
		v, length := scan(s)
		if length == 0 {
			w, _, _ := strings.Cut(s, " ")
			var err error
			if v, err = parse(w); err != nil {
				return nil, fmt.Errorf("%s[%d]: %q is not a number of the right kind", key, i, shorten(w))
			}
			length = len(w)
		}
		values[i] = v
		s = s[min(length+1, len(s)):]
	}
	return values, nil
}

// scanInt reads the word that s begins with, up to a blank or the end, if it
// is a whole number of a few digits, and returns its length; 0 is any other
// word. The number is that of strconv.Atoi.
func scanInt(s string) (v, length int) {
	digits, negative := strings.CutPrefix(s, "-")
	i := 0
	for i < len(digits) && i < 9 && isDigit(digits[i]) {
		v = 10*v + int(digits[i]-'0')
		i++
	}
	if i == 0 || i < len(digits) && digits[i] != ' ' {
		return 0, 0
	}
	if negative {
		return -v, i + 1
	}
	return v, i
}

// tens are powers of ten that a float64 holds exactly.
var tens = [...]float64{1e0, 1e1, 1e2, 1e3, 1e4, 1e5, 1e6, 1e7, 1e8, 1e9, 1e10, 1e11, 1e12, 1e13, 1e14, 1e15}

// scanFloat is scanInt for numbers of at most 15 digits and without exponent.
// Both the digits and the power of ten are exact, so one division rounds as
// strconv.ParseFloat does.
func scanFloat(s string) (v float64, length int) {
	text, negative := strings.CutPrefix(s, "-")
	mantissa, digits, point := int64(0), 0, -1
	i := 0
	for ; i < len(text) && text[i] != ' '; i++ {
		switch c := text[i]; {
		case isDigit(c) && digits < 15:
			mantissa = 10*mantissa + int64(c-'0')
			digits++
		case c == '.' && point < 0:
			point = digits
		default:
			return 0, 0
		}
	}
	if digits == 0 {
		return 0, 0
	}
	v = float64(mantissa)
	if point >= 0 {
		v /= tens[digits-point]
	}
	if negative {
		return -v, i + 1
	}
	return v, i
}

func isDigit(c byte) bool { return '0' <= c && c <= '9' }

// shorten makes foreign text fit for an error message.
func shorten(s string) string {
	const most = 40
	if len(s) <= most {
		return s
	}
	return strings.ToValidUTF8(s[:most], "") + "…"
}

// cmpOr returns v, or otherwise if v is not greater than zero.
func cmpOr[T cmp.Ordered](v, otherwise T) T {
	var zero T
	if v <= zero {
		return otherwise
	}
	return v
}
