package event

import (
	"fmt"
	"math"
	"strconv"
	"strings"
)

// Amount is money, or any measured value, in millionths of its unit. Whole
// numbers, so that a sum does not depend on the order of its terms.
type Amount int64

// Unit is one whole unit of an Amount.
const Unit Amount = 1_000_000

// MaxAmount bounds what a row may carry: a billion units. Nine thousand rows
// of that size still sum without overflow in 64 bits.
const MaxAmount = 1_000_000_000 * Unit

// ParseAmount reads a decimal number such as 12, -3.50 or 1.5e3. Digits below
// a millionth are rounded half away from zero: exactly in plain decimals, by
// way of a float64 in numbers with an exponent. Not a number, infinite, or
// larger than MaxAmount is an error, and so is a decimal comma.
func ParseAmount(s string) (Amount, error) {
	if a, ok := parsePlain(s); ok {
		return a, nil
	}
	if strings.ContainsRune(s, ',') {
		return 0, fmt.Errorf("not a number: write the decimal point as '.' and no thousands separators")
	}
	if strings.ContainsAny(s, "xX_pP") { // ParseFloat takes 0x1p3 and 1_000
		return 0, fmt.Errorf("not a finite decimal number")
	}
	f, err := strconv.ParseFloat(s, 64)
	if err != nil || math.IsNaN(f) || math.IsInf(f, 0) {
		return 0, fmt.Errorf("not a finite decimal number")
	}
	return FromFloat(f)
}

// FromFloat rounds half away from zero to a millionth.
func FromFloat(f float64) (Amount, error) {
	if math.IsNaN(f) || math.IsInf(f, 0) {
		return 0, fmt.Errorf("not a finite number")
	}
	if math.Abs(f) > float64(MaxAmount/Unit) {
		return 0, fmt.Errorf("number larger than %d: wrong unit?", MaxAmount/Unit)
	}
	return Amount(math.Round(f * float64(Unit))), nil
}

// parsePlain reads digits and a decimal point without going through floating
// point, in which 1.0000005 lies below the half and would round down. It
// declines whatever else it meets, and what is out of range.
func parsePlain(s string) (Amount, bool) {
	t, neg := s, false
	if t != "" && (t[0] == '-' || t[0] == '+') {
		neg, t = t[0] == '-', t[1:]
	}
	var n Amount // in units before the point, in ever smaller parts after it
	digits, decimals := 0, -1
	for i := 0; i < len(t); i++ {
		c := t[i]
		switch {
		case c == '.' && decimals < 0:
			decimals = 0
			continue
		case c < '0' || c > '9':
			return 0, false
		}
		digits++
		switch {
		case decimals == 6: // the seventh decimal decides, none after it counts
			if c >= '5' {
				n++
			}
			decimals++
		case decimals > 6:
		default:
			if n > MaxAmount/10 {
				return 0, false
			}
			n = n*10 + Amount(c-'0')
			if decimals >= 0 {
				decimals++
			}
		}
	}
	if digits == 0 {
		return 0, false
	}
	for i := max(decimals, 0); i < 6; i++ {
		if n > MaxAmount/10 {
			return 0, false
		}
		n *= 10
	}
	if n > MaxAmount {
		return 0, false
	}
	if neg {
		n = -n
	}
	return n, true
}

// Float returns the amount in units.
func (a Amount) Float() float64 { return float64(a) / float64(Unit) }

// String formats exactly, without trailing zeros.
func (a Amount) String() string {
	neg, u := "", uint64(a)
	if a < 0 {
		neg, u = "-", -uint64(a)
	}
	s := fmt.Sprintf("%s%d.%06d", neg, u/uint64(Unit), u%uint64(Unit))
	return strings.TrimSuffix(strings.TrimRight(s, "0"), ".")
}

// MarshalText implements encoding.TextMarshaler.
func (a Amount) MarshalText() ([]byte, error) { return []byte(a.String()), nil }

// UnmarshalText implements encoding.TextUnmarshaler; see ParseAmount.
func (a *Amount) UnmarshalText(b []byte) error {
	v, err := ParseAmount(string(b))
	*a = v
	return err
}
