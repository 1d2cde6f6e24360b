package kernel

import "fmt"

// A Level is a set of machine instructions.
type Level int

// The levels, each including those before.
const (
	Plain  Level = iota // what the Go compiler makes
	AVX2                // 256-bit vectors
	AVX512              // 512-bit vectors (F, BW, DQ, VL)
)

func (l Level) String() string { return [...]string{"plain", "avx2", "avx512"}[l] }

// level is the best this machine has, unless Use has chosen another.
var level = detect()

// best is the highest level Use allows.
var best = level

// Use chooses the level, for tests and benchmarks, and returns the one in use
// before. It must not be called while kernels run. It panics if the machine
// does not have the level.
func Use(l Level) (before Level) {
	if l < Plain || l > best {
		panic(fmt.Sprintf("kernel: this machine has level %v, not %v", best, l))
	}
	before, level = level, l
	return before
}

// Best returns the highest level this machine has.
func Best() Level { return best }
