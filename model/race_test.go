//go:build race

package model

// The race detector makes pools forget at random.
const poolsForget = true
