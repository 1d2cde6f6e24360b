//go:build !linux

package kernel

import "testing"

func guarded(_ testing.TB, n int) []uint8 { return make([]uint8, n) }
