package kernel

// Keys are what the nodes of compiled trees see of a row: a node has the byte
// offset of the four bytes of its key, and the row goes left if they are, as a
// little-endian number, less than its bound. All offsets a node can have are
// in the array, so that none needs a check.
type Keys [1<<16 + 3]byte

// At returns the key at an offset.
func (k *Keys) At(offset uint16) uint32 {
	b := k[int(offset) : int(offset)+4 : int(offset)+4]
	return uint32(b[0]) | uint32(b[1])<<8 | uint32(b[2])<<16 | uint32(b[3])<<24
}

// A Test is a node's question: bound 32 | key 16 in the high and low bits. Left
// is the answer if the key is less than the bound.
type Test uint64

// below is 1 if the key of t is less than its bound and else 0. The difference
// of two 32-bit numbers is negative in 64 bits if the first is the smaller.
func (k *Keys) below(t Test) uint64 {
	return (uint64(k.At(uint16(t))) - uint64(t)>>32) >> 63
}
