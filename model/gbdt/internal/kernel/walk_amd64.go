package kernel

//go:noescape
func walkAsm(nodes []uint64, values []float64, roots [][Width]uint32, keys *Keys, sum float64) float64

// walk uses no vectors: gathering is slower than eight loads.
func walk(nodes []uint64, values []float64, roots [][Width]uint32, keys *Keys, sum float64) float64 {
	if level == Plain {
		return walkGo(nodes, values, roots, keys, sum)
	}
	for len(roots) > 0 {
		n := min(len(roots), maxGroups)
		sum = walkAsm(nodes, values, roots[:n], keys, sum)
		roots = roots[n:]
	}
	return sum
}
