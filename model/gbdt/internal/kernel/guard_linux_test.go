package kernel

import (
	"syscall"
	"testing"
)

// guarded returns n bytes in front of a page that cannot be read: a kernel
// that goes beyond them dies.
func guarded(tb testing.TB, n int) []uint8 {
	page := syscall.Getpagesize()
	size := (n + page - 1) / page * page
	mem, err := syscall.Mmap(-1, 0, size+page, syscall.PROT_READ|syscall.PROT_WRITE, syscall.MAP_ANON|syscall.MAP_PRIVATE)
	if err != nil {
		tb.Fatal(err)
	}
	tb.Cleanup(func() { syscall.Munmap(mem) })
	if err := syscall.Mprotect(mem[size:], syscall.PROT_NONE); err != nil {
		tb.Fatal(err)
	}
	return mem[size-n : size : size]
}
