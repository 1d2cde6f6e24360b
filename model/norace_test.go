//go:build !race

package model

const poolsForget = false
