package event

import (
	"math"
	"math/big"
	"strings"
	"testing"
	"testing/quick"
)

func TestParseAmount(t *testing.T) {
	for _, tt := range []struct {
		text string
		want Amount
	}{
		{"0", 0}, {"-0", 0}, {"12", 12 * Unit}, {"+12", 12 * Unit}, {"-3.50", -3_500_000},
		{"1.", Unit}, {".5", 500_000}, {"0.000001", 1}, {"1.5e3", 1500 * Unit}, {"2E-3", 2000},
		{"000000000000000000012.50", 12_500_000},
		{"1000000000", MaxAmount}, {"-1000000000.000000", -MaxAmount}, {"1e9", MaxAmount},
		// Half away from zero, exactly: as a float64, 1.0000005 is less than the
		// half and 4.35 times a million is 4349999.99….
		{"0.0000004", 0}, {"0.0000005", 1}, {"-0.0000005", -1}, {"0.00000049999", 0},
		{"1.0000005", 1_000_001}, {"-1.0000005", -1_000_001}, {"4.35", 4_350_000},
		{"999999999.9999995", MaxAmount}, {"0.1234567890123456789", 123_457},
		{"1e-400", 0},
	} {
		got, err := ParseAmount(tt.text)
		if err != nil || got != tt.want {
			t.Errorf("ParseAmount(%q) = %d, %v, want %d", tt.text, int64(got), err, int64(tt.want))
		}
	}
}

func TestParseAmountErrors(t *testing.T) {
	for _, tt := range []struct{ text, want string }{
		{"", "not a finite"}, {" ", "not a finite"}, {"-", "not a finite"}, {".", "not a finite"}, {"1.2.3", "not a finite"},
		{"NaN", "not a finite"}, {"nan", "not a finite"}, {"Inf", "not a finite"}, {"-infinity", "not a finite"},
		{"1e400", "not a finite"}, {"1,5", "decimal point"}, {"1,000.00", "decimal point"},
		{"0x10", "not a finite"}, {"0x1p3", "not a finite"}, {"1_000", "not a finite"}, {"0b1", "not a finite"},
		{"1000000000.000001", "larger than"}, {"1e308", "larger than"}, {"9223372036854775808", "larger than"},
		{"-9223372036855", "larger than"}, {"999999999.99999951e1", "larger than"}, {strings.Repeat("9", 1<<20), "not a finite"},
		{"12 EUR", "not a finite"}, {"€12", "not a finite"}, {"１２", "not a finite"}, {"1-2", "not a finite"},
	} {
		got, err := ParseAmount(tt.text)
		if err == nil || !strings.Contains(err.Error(), tt.want) {
			t.Errorf("ParseAmount(%.30q) = %d, %v, want an error with %q", tt.text, int64(got), err, tt.want)
		}
	}
}

func TestAmountRoundTrip(t *testing.T) {
	for _, a := range []Amount{math.MinInt64, math.MaxInt64, math.MinInt64 + 1} {
		want := new(big.Rat).SetFrac64(int64(a), int64(Unit))
		if got, ok := new(big.Rat).SetString(a.String()); !ok || got.Cmp(want) != 0 {
			t.Errorf("String of %d is %s", int64(a), a)
		}
	}
	if err := quick.Check(func(n int64) bool {
		a := Amount(n) % (MaxAmount + 1)
		got, err := ParseAmount(a.String())
		return err == nil && got == a
	}, nil); err != nil {
		t.Error(err)
	}
}

func TestFromFloat(t *testing.T) {
	for _, f := range []float64{math.NaN(), math.Inf(1), math.Inf(-1), 1e9 + 1e-6, -1e10, math.MaxFloat64} {
		if a, err := FromFloat(f); err == nil {
			t.Errorf("FromFloat(%v) = %v, want an error", f, a)
		}
	}
	if a, err := FromFloat(-2.5e-6); err != nil || a != -3 { // half away from zero
		t.Errorf("FromFloat(-2.5e-6) = %d, %v, want -3", int64(a), err)
	}
}

// FuzzParseAmount compares with exact rational arithmetic.
func FuzzParseAmount(f *testing.F) {
	for _, s := range []string{"0", "-3.50", "1.0000005", "1e400", "1.5e3", "1,5", "NaN", "0x1p3", "999999999.9999995", ".", "+.5", "1_0"} {
		f.Add(s)
	}
	f.Fuzz(func(t *testing.T, s string) {
		a, err := ParseAmount(s)
		if err != nil {
			if strings.Contains(err.Error(), s) && len(s) > 20 {
				t.Errorf("the error repeats the value: %v", err)
			}
			return
		}
		if a > MaxAmount || a < -MaxAmount {
			t.Fatalf("%q gives %d, out of range", s, int64(a))
		}
		if b, err := ParseAmount(a.String()); err != nil || b != a {
			t.Fatalf("%q gives %s, which gives %s, %v", s, a, b, err)
		}
		if strings.ContainsAny(s, "eE") {
			return // by way of a float64, and maybe far too small for a fraction
		}
		exact, ok := new(big.Rat).SetString(s)
		if !ok {
			t.Fatalf("%q is no number, but gives %s", s, a)
		}
		exact.Mul(exact, big.NewRat(int64(Unit), 1))
		exact.Sub(exact, new(big.Rat).SetInt64(int64(a)))
		if exact.Abs(exact).Cmp(big.NewRat(1, 2)) > 0 {
			t.Fatalf("%q gives %s, which is not the nearest", s, a)
		}
	})
}
