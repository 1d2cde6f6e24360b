package kernel

import "testing"

// eachLevel runs f at every level this machine has.
func eachLevel[TB interface {
	testing.TB
	Run(string, func(TB)) bool
}](tb TB, f func(TB)) {
	for l := Plain; l <= Best(); l++ {
		tb.Run(l.String(), func(tb TB) {
			defer Use(Use(l))
			f(tb)
		})
	}
}
