package kernel

//go:noescape
func pathAVX512(t *PathTree, points *Points, first int, keys *Keys, slots, totals *[PathLanes]float64, hot *uint16)

//go:noescape
func pathAVX2(t *PathTree, points *Points, first int, keys *Keys, slots, totals *[PathLanes]float64, hot *uint16)

func path(t *PathTree, points *Points, all bool, keys *Keys, s *PathScratch) {
	if level == Plain {
		pathGo(t, points, 0, keys, s)
		if all {
			pathGo(t, points, PathLanes/2, keys, s)
		}
		return
	}
	slots, totals, hot := &s.slots[:t.Slots()][0], &s.Totals[0], &s.hot[:t.Slots()][0]
	switch {
	case !all:
		pathAVX2(t, points, 0, keys, slots, totals, hot)
	case level == AVX512:
		pathAVX512(t, points, 0, keys, slots, totals, hot)
	default:
		pathAVX2(t, points, 0, keys, slots, totals, hot)
		pathAVX2(t, points, PathLanes/2, keys, slots, totals, hot)
	}
}
