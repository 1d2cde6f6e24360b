package gbdt

import (
	"cmp"
	"fmt"
	"strconv"
	"strings"
)

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
	return numbers(key, s, n, strconv.Atoi)
}

// floats reads n numbers. They may be infinite or NaN.
func floats(key, s string, n int) ([]float64, error) {
	return numbers(key, s, n, func(w string) (float64, error) { return strconv.ParseFloat(w, 64) })
}

// numbers counts before it allocates, so that memory follows the text.
func numbers[T any](key, s string, n int, parse func(string) (T, error)) ([]T, error) {
	have := 0
	if s != "" {
		have = strings.Count(s, " ") + 1
	}
	if n >= 0 && have != n {
		return nil, fmt.Errorf("%s has %d values, want %d", key, have, n)
	}
	values := make([]T, 0, have)
	for range have {
		var w string
		w, s, _ = strings.Cut(s, " ")
		v, err := parse(w)
		if err != nil {
			return nil, fmt.Errorf("%s[%d]: %q is not a number of the right kind", key, len(values), shorten(w))
		}
		values = append(values, v)
	}
	return values, nil
}

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
